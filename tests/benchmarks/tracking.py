"""How well people are followed and counted, beside the trackers that others publish, on the same frames and weights.

All get the same detections, found once by yolox_nano, on two films: `pets_s2l1` (real, 10 frames a second, up to eight
people at a time) and `retail_x1` (rendered, 30 frames a second, two people and an obstacle that hides them).

- `footfall` is our tracker with our stitching. `bytetrack` and `bot-sort` are the `trackers` package's in a plain loop,
  with their own settings and without a look at the pictures. `stitched bot-sort` has our stitching behind it.
- `ultralytics track()` is what that call does after its detector. It is heavy and under AGPL-3.0, so nothing of ours
  installs it, and the rows are absent where it is not there.
- `ceiling` is perfect association: each detection that overlaps a true person by half or more belongs to that person,
  one a person, and all others are dropped. What it lacks, the detector lacks.
- HOTA, IDF1 and MOTA are agreement with the truth, 1 at best; switches is how often a person's number changes. Where
  labels of `retail_x1` vanish while people stay in view, following those who have none is no mistake.
- People is how many numbers were given in the whole film, beside the true count; least and most are over 12 ways to see
  it: whole, at lower rates, from later starts, with frames missing, at unsteady times.
- Half rate is HOTA on every second frame over HOTA on all of them.
- CPU ms per frame is processor time from detections to people alone, since decoding and detecting are shared: the best
  of five times through the film.
- Peak MiB is the most memory that a process of Python, numpy, the detections and this one follower holds.

`30 people` is a crowd of made-up boxes, 1,000 frames, which shows what many people cost.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from edge.detector.detections import Detections
from tests.support.assets import assets_folder
from tests.support.clips import PETS, RETAIL, Clip, Variation, detect, followed, variations
from tests.support.crowd import CROWD, PEOPLE, crowd
from tests.support.followers import FOLLOWERS, cost, is_installed
from tests.support.mot import People, Scores, associated_perfectly, people_in, read_mot, score, without_strangers

__all__ = ["Table", "judged", "main", "ratios"]

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
    quality = partial(on_truth, truth, clip)
    perfect = {
        frame: associated_perfectly(people, detections[frame].boxes.astype(np.float64))
        for frame, people in truth.items()
    }
    ceiling = [{frame: perfect[frame] for frame in way.frames if frame in perfect} for way in ways]
    return {**table(clip, detections, ways, quality), "ceiling": quality(ceiling)}


def table(
    clip: Clip, detections: Sequence[Detections], ways: Sequence[Variation], quality: Callable[[Sequence[Seen]], Row]
) -> Table:
    """Everybody who is installed: the quality of what they say in these ways to see the film, and their cost."""
    film = [(found.boxes, found.confidence, frame / clip.rate) for frame, found in enumerate(detections)]
    rows: dict[str, Row | None] = {}
    for name, follower in FOLLOWERS.items():
        rows[name] = None
        if is_installed(name):
            seen = [followed(follower(clip.size, clip.rate), detections, way) for way in ways]
            rows[name] = {**quality(seen), **cost(name, film, size=clip.size, rate=clip.rate)}
    return beside_bytetrack(rows)


def beside_bytetrack(rows: Table) -> Table:
    """The same rows, with how many times the processor time of the `trackers` package's ByteTrack each takes."""
    unit = (rows["bytetrack"] or {})["cpu_ms_per_frame"]
    return {name: row and {**row, "cpu_times_bytetrack": row["cpu_ms_per_frame"] / unit} for name, row in rows.items()}


def on_truth(truth: Seen, clip: Clip, seen: Sequence[Seen]) -> Row:
    """Scores of the whole film, the first of its variations, and what becomes of them in the others."""
    whole, half = (judged(truth, one, clip, way) for one, way in zip(seen, variations(clip)[:2], strict=False))
    counts = [people_in(one) for one in seen]
    return {
        "HOTA": whole.hota,
        "IDF1": whole.idf1,
        "MOTA": whole.mota,
        "switches": whole.id_switches,
        "people": counts[0],
        "people_true": people_in(truth),
        "people_least": min(counts),
        "people_most": max(counts),
        "half_rate": half.hota / whole.hota,
    }


def in_crowd(seen: Sequence[Seen]) -> Row:
    """Proof that whoever is cheap does follow."""
    return {"people": people_in(seen[0]), "people_true": PEOPLE}


def judged(truth: Seen, seen: Seen, clip: Clip, way: Variation) -> Scores:
    """Scores over the labelled frames; where the labels are incomplete, who has none is neither wanted nor wrong."""
    labelled = [frame for frame in way.frames if frame in truth]
    fair = {
        frame: without_strangers(truth[frame], seen[frame]) if clip.is_hole(frame) else seen[frame]
        for frame in labelled
    }
    return score(truth, fair, labelled)


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
