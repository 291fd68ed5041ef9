"""How well people are followed and counted, beside the trackers that others publish, on the same frames and weights.

All get the same detections, found once by yolox_nano, on two films: `pets_s2l1` (real, 10 frames a second, up to eight
people at a time) and `retail_x1` (rendered, 30 frames a second, two people and an obstacle that hides them).

- `footfall` is our tracker with our stitching, on the floor, since both films are calibrated; `footfall in the picture`
  is the same without a calibration. `bytetrack` and `bot-sort` are the `trackers` package's in a plain loop, with their
  own settings and without a look at the pictures. `stitched bot-sort` has our stitching behind it.
- `ultralytics track()` is what that call does after its detector. It is heavy and under AGPL-3.0, so no set-up of ours
  but the extra `export` installs it, and the rows are absent where it is not there.
- `perfect boxes` is `footfall` again, with the true boxes as detections: the mistakes of following alone. Where labels
  of `retail_x1` vanish for longer than a person may be out of sight, who comes back is rightly somebody new to it.
- `ceiling` is perfect association: each detection that overlaps a true person by half or more belongs to that person,
  one a person, and all others are dropped. What it lacks, the detector lacks.
- HOTA, IDF1 and MOTA are agreement with the truth, 1 at best; switches is how often a person's number changes, and in
  one box how many of them come within a second after a frame in which the person and those whose boxes overlap theirs
  had fewer detections than they were. Where labels of `retail_x1` vanish while people stay in view, following those who
  have none is no mistake.
- People is how many numbers were given in the whole film, beside the true count; least and most are over 13 ways to see
  it: whole, at lower rates, from later starts, with frames missing, at unsteady times.
- Half and quarter rate are HOTA on every second and every fourth frame over HOTA on all of them.
- Floor error is the mean distance in metres between the feet of a person and of who is taken for them, where all feet
  are in the picture.
- CPU ms per frame is processor time from detections to people alone, since decoding and detecting are shared: the best
  of five times through the film.
- Peak MiB is the most memory that a process of Python, numpy, the detections and this one follower holds.

`30 people` is a crowd of made-up boxes before a calibrated camera, 1,000 frames, which shows what many people cost.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from edge.detector.detections import Detections
from tests.support.assets import assets_folder
from tests.support.clips import PETS, RETAIL, Clip, Variation, detect, followed, perfect_boxes, variations
from tests.support.crowd import CROWD, PEOPLE, crowd
from tests.support.followers import FOLLOWERS, cost, is_installed
from tests.support.mot import (
    NOBODY,
    People,
    Scores,
    associated_perfectly,
    matches,
    people_in,
    read_mot,
    score,
    switches,
    without_strangers,
)

__all__ = ["Table", "judged", "main", "ratios", "switches_in_one_box"]

Row = Mapping[str, float]
Table = Mapping[str, Row | None]
"""A row for each thing compared; None for what is not installed."""

Seen = Mapping[int, People]
"""Who is said to be in each frame."""

COMPARED = {
    "HOTA": ("ceiling", "bytetrack", "bot-sort"),
    "IDF1": ("ceiling", "bytetrack", "bot-sort"),
    "cpu_ms_per_frame": ("bytetrack", "bot-sort"),
}
"""Which of our figures are divided by whose."""


def main() -> None:
    """Print a table for each film, then one line of JSON."""
    assets = assets_folder()
    tables = {clip.name: on_film(assets, clip) for clip in (PETS, RETAIL)}
    tables[CROWD.name] = table(CROWD, crowd(), variations(CROWD)[:1], in_crowd)
    for name, rows in tables.items():
        print(f"\n{name}")
        for who, row in rows.items():
            print(f"{who:30s}", "absent" if row is None else "  ".join(f"{key} {row[key]:g}" for key in row))
    print(rounded({"ratios": ratios(tables), **tables}))


def on_film(assets: Path, clip: Clip) -> Table:
    """Everybody on one film, and the ceiling."""
    truth, detections, ways = read_mot(assets / f"videos/{clip.name}.gt.txt"), detect(assets, clip), variations(clip)
    quality = partial(on_truth, truth, detections, clip)
    exact = perfect_boxes(truth, clip.frames)
    best = [followed(FOLLOWERS["footfall"](clip.floor(), clip.rate), exact, way) for way in ways]
    perfect = {
        frame: associated_perfectly(people, detections[frame].boxes.astype(np.float64))
        for frame, people in truth.items()
    }
    ceiling = [{frame: perfect[frame] for frame in way.frames if frame in perfect} for way in ways]
    rows = table(clip, detections, ways, quality)
    return {**rows, "perfect boxes": on_truth(truth, exact, clip, best), "ceiling": quality(ceiling)}


def table(
    clip: Clip, detections: Sequence[Detections], ways: Sequence[Variation], quality: Callable[[Sequence[Seen]], Row]
) -> Table:
    """Everybody who is installed: the quality of what they say in these ways to see the film, and their cost."""
    film = [(found.boxes, found.confidence, frame / clip.rate) for frame, found in enumerate(detections)]
    rows: dict[str, Row | None] = {}
    for name, follower in FOLLOWERS.items():
        rows[name] = None
        if is_installed(name):
            seen = [followed(follower(clip.floor(), clip.rate), detections, way) for way in ways]
            rows[name] = {**quality(seen), **cost(name, film, clip)}
    return beside_bytetrack(rows)


def beside_bytetrack(rows: Table) -> Table:
    """The same rows, with how many times the processor time of the `trackers` package's ByteTrack each takes."""
    unit = (rows["bytetrack"] or {})["cpu_ms_per_frame"]
    return {name: row and {**row, "cpu_times_bytetrack": row["cpu_ms_per_frame"] / unit} for name, row in rows.items()}


def on_truth(truth: Seen, detections: Sequence[Detections], clip: Clip, seen: Sequence[Seen]) -> Row:
    """Scores of the whole film, the first of its variations, and what becomes of them in the others."""
    ways = {way.name: (way, one) for way, one in zip(variations(clip), seen, strict=True)}
    whole, half, quarter = (
        judged(truth, one, clip, way)
        for way, one in (ways[name] for name in ("full rate", "every 2. frame", "every 4. frame"))
    )
    counts = [people_in(one) for one in seen]
    return {
        "HOTA": whole.hota,
        "IDF1": whole.idf1,
        "MOTA": whole.mota,
        "switches": whole.id_switches,
        "in_one_box": switches_in_one_box(truth, seen[0], detections, clip, variations(clip)[0]),
        "people": counts[0],
        "people_true": people_in(truth),
        "people_least": min(counts),
        "people_most": max(counts),
        "half_rate": half.hota / whole.hota,
        "quarter_rate": quarter.hota / whole.hota,
        "floor_error_m": floor_error(truth, seen[0], clip),
    }


def switches_in_one_box(truth: Seen, seen: Seen, detections: Sequence[Detections], clip: Clip, way: Variation) -> int:
    """Switches within a second after a frame in which the person and their neighbours had too few boxes."""
    labelled = [frame for frame in way.frames if frame in truth]
    alone = {
        frame: set(associated_perfectly(truth[frame], detections[frame].boxes.astype(np.float64)).ids.tolist())
        for frame in labelled
    }
    count = 0
    for frame, person in switches(truth, fair(truth, seen, clip, way), labelled):
        recent = [one for one in labelled if frame - clip.rate <= one <= frame and person in truth[one].ids]
        count += any(not neighbours(truth[one], person) <= alone[one] for one in recent)
    return count


def neighbours(people: People, person: int) -> set[int]:
    """The person and all whose boxes overlap theirs."""
    own = people.boxes[people.ids == person]
    shared = np.minimum(own[:, 2:], people.boxes[:, 2:]) - np.maximum(own[:, :2], people.boxes[:, :2])
    return set(people.ids[(shared > 0).all(axis=1)].tolist())


def floor_error(truth: Seen, seen: Seen, clip: Clip) -> float:
    """Mean distance in metres between feet that are inside the picture and those of who is taken for them."""
    floor, distances = clip.floor(), []
    for frame, people in seen.items():
        there = truth.get(frame, NOBODY)
        rows, columns = matches(there.boxes, people.boxes)
        inside = there.boxes[rows, 3] < clip.size[1] - 1
        true, told = there.boxes[rows[inside]], people.boxes[columns[inside]]
        distances += np.linalg.norm(floor.place(floor.feet(true)) - floor.place(floor.feet(told)), axis=1).tolist()
    return float(np.mean(distances))


def in_crowd(seen: Sequence[Seen]) -> Row:
    """Proof that whoever is cheap does follow."""
    return {"people": people_in(seen[0]), "people_true": PEOPLE}


def judged(truth: Seen, seen: Seen, clip: Clip, way: Variation) -> Scores:
    """Scores over the labelled frames."""
    return score(truth, fair(truth, seen, clip, way), [frame for frame in way.frames if frame in truth])


def fair(truth: Seen, seen: Seen, clip: Clip, way: Variation) -> Seen:
    """The labelled frames; where the labels are incomplete, who has none is neither wanted nor wrong."""
    return {
        frame: without_strangers(truth[frame], seen[frame]) if clip.is_hole(frame) else seen[frame]
        for frame in way.frames
        if frame in truth
    }


def ratios(tables: Mapping[str, Table]) -> Mapping[str, Mapping[str, float]]:
    """Our figures over those of others, by film."""
    found: dict[str, dict[str, float]] = {}
    for name, rows in tables.items():
        ours = rows["footfall"] or {}
        for figure, peers in COMPARED.items():
            for peer in peers:
                theirs = rows.get(peer) or {}
                if figure in ours and figure in theirs:
                    found.setdefault(f"{figure} ÷ {peer}", {})[name] = ours[figure] / theirs[figure]
        found.setdefault("people ÷ people_true", {})[name] = ours["people"] / ours["people_true"]
        if "half_rate" in ours:
            found.setdefault("HOTA at half rate ÷ at full rate", {})[name] = ours["half_rate"]
    return found


def rounded(figures: object) -> str:
    """One line of JSON with as many digits as mean something."""
    return json.dumps(
        json.loads(json.dumps(figures), parse_float=lambda text: round(float(text), 3)), ensure_ascii=False
    )


if __name__ == "__main__":
    main()
