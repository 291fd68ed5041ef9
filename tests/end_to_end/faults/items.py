"""What the stand-in for vision makes: each thing is of a kind and has a number, and its content is a function of both.

Whatever a thing ends up in carries its kind and number, so that nothing can be lost or counted twice without being
missed: a visit and its checkpoints in the name of a line, as a digit in what a crossing or a report counts, in the name
of a queue, in which cell of which tile an increment fills, in the name of a configuration's space. Sums add those of
all that they are made of, on whichever side of a kill that was made.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from random import Random
from typing import Any

from edge import reports
from edge.anonymity import Draft, draft
from edge.exchange.batch import TilePart
from edge.visits import Checkpoint, Ended
from edge.visits import Visit as EndedVisit
from protocol.configuration import Coordinates, Layout, Space, config_hash
from protocol.events import Configuration, Crossing, LineCount, Occupancy, Queue, QueueReport
from protocol.modes import Mode
from protocol.tiles import Layer
from protocol.wire import JsonObject, format_utc

__all__ = [
    "CONFIG",
    "MINUTELY",
    "Made",
    "checkpoint_of",
    "config_of",
    "ended",
    "expected_body",
    "frames_of",
    "make",
    "parts_in",
    "parts_of_cells",
]

Made = tuple[str, int]
"""Kind and number: what was made, whatever name it was then given."""

MINUTELY = ("crossing", "occupancy", "queue", "tile")
"""The kinds that are placed by the minute."""
BUCKET_SECONDS = 60
CELLS_TO_MARK, COMMON_CELLS = 960, 32
"""The cells of a tile after these are filled by every increment, so that increments and tiles add up."""
DOORS, SHELVES = 12, 8
"""What every report tells of, so that a sum is much smaller than what it is made of."""
MARKS_A_ROW, BASE = 10, 4
"""So many crossings share a line, each as a digit of its count to this base: more than 1 is one that counts twice.

Reports share zones in the same way.
"""
LONGEST_STAY_FRAMES = 24
_MARK = "made-"


def layout_of(number: int) -> Layout:
    """The layout that a run has; number 0 is that under which everything else is made."""
    space = Space(space=f"{_MARK}{number}", coordinates=Coordinates.FLOOR, floor="ground", cell=0.5)
    return Layout(mode=Mode.LIVE, k=5, scenes=(), cameras=(), spaces=(space,))


def config_of(number: int) -> str:
    """The hash of a layout."""
    return config_hash(layout_of(number))


CONFIG = config_of(0)


def make(made: Made, *, scene: str, at: float) -> Draft | TilePart:
    """A thing that is over at once, made at monotonic `at`; visits have `checkpoint_of`."""
    kind, number = made
    random = Random(f"{scene}/{kind}/{number}")
    match kind:
        case "configuration":
            return draft(Configuration, at=at, layout=layout_of(number))
        case "crossing":
            return _crossing(scene, number, random, at)
        case "occupancy":
            return _occupancy(scene, number, random, at)
        case "queue":
            return _queue(scene, number, random, at)
        case "tile":
            common = range(CELLS_TO_MARK, CELLS_TO_MARK + COMMON_CELLS)
            cells = {cell: random.randint(1, 9) for cell in (number % CELLS_TO_MARK, *common)}
            return TilePart(
                at=at,
                space=scene,
                camera=scene,
                layer=Layer.ENTRIES,
                tx=number // CELLS_TO_MARK,
                ty=0,
                cells=cells,
            )
    raise ValueError(f"no such kind: {kind}")


def frames_of(number: int, *, scene: str) -> int:
    """After how many frames a visit ends by itself."""
    return Random(f"{scene}/frames/{number}").randint(2, LONGEST_STAY_FRAMES)


def checkpoint_of(number: int, *, scene: str, first_seen: float, frames: int) -> Checkpoint:
    """A visit after so many frames."""
    random = Random(f"{scene}/visit/{number}")
    return Checkpoint(
        scene=scene,
        number=number,
        first_seen=first_seen,
        last_seen=first_seen + frames * random.randint(1, 9) / 10,
        began="entered" if random.random() < 0.5 else "appeared",
        zone_milliseconds={"shelf": frames * random.randint(1, 9) * 100},
        crossings={f"{_MARK}{number}": {"in": 1, "out": 0}},
        frames=frames,
        mean_confidence=random.randrange(1000) / 1000,
    )


def ended(checkpoint: Checkpoint) -> Draft:
    """The visit that ends by itself."""
    number = _number(next(iter(checkpoint.crossings)))
    return reports.visit(EndedVisit(**asdict(checkpoint), ended=_end_of(number, checkpoint.scene)))


def parts_in(body: JsonObject) -> tuple[Made, ...]:
    """What a draft or an item says: one thing that was made, or, being a sum, several; twice what it says twice."""
    match body:
        case {"type": "configuration", "layout": {"spaces": [{"space": str(space)}]}}:
            return (("configuration", _number(space)),)
        case {"type": "visit", "lines": list(rows)}:
            return tuple(("visit", number) for number in _marked(rows, "line"))
        case {"type": "tile", "tx": int(tile), "cells": list(cells)}:
            return parts_of_cells(tile, cells)
        case {"type": "crossing", "lines": list(rows)}:
            return tuple(("crossing", number) for number in _digits(rows, "line", "in"))
        case {"type": "occupancy", "zones": list(rows)}:
            return tuple(("occupancy", number) for number in _digits(rows, "zone", "person_seconds"))
        case {"type": "queue", "queues": list(rows)}:
            return tuple(("queue", number) for number in _marked(rows, "zone"))
    raise ValueError(f"not an item of these: {body}")


def parts_of_cells(tile: int, cells: Iterable[object]) -> tuple[Made, ...]:
    """Which increments filled these cells of a tile."""
    marks = [cell for cell in cells if isinstance(cell, int) and cell < CELLS_TO_MARK]
    return tuple(("tile", tile * CELLS_TO_MARK + cell) for cell in marks)


def expected_body(
    parts: Sequence[Made], *, scene: str, at_ms: Mapping[Made, int | None], is_like: Mapping[str, Any]
) -> dict[str, Any]:
    """The body that an item of these parts must have, without its name and venue.

    `at_ms` is where each part lies in UTC, None where nobody could say. How far a visit came before it was interrupted
    is taken from what the item `is_like`, and so is between when an item without a place was made.
    """
    bodies = [_body(part, scene=scene, is_like=is_like) for part in parts]
    body = _summed(bodies) if len(bodies) > 1 else bodies[0]
    step = BUCKET_SECONDS if body["type"] in MINUTELY else 1
    moments = {None if (ms := at_ms[part]) is None else ms // 1000 // step * step for part in parts}
    if moments == {None}:
        times = {name: is_like.get(name) for name in ("earliest", "latest")}
    else:
        times = {"at": " and ".join(_time(moment) for moment in sorted(moments, key=str))}
    config = CONFIG if body["type"] != "configuration" else config_of(parts[0][1])
    return {**body, **times, "config": config}


def _time(moment: int | None) -> str:
    return "unknown" if moment is None else format_utc(datetime.fromtimestamp(moment, UTC))


def _body(made: Made, *, scene: str, is_like: Mapping[str, Any]) -> dict[str, Any]:
    kind, number = made
    if kind == "visit":
        return _visit_body(number, scene=scene, is_like=is_like)
    thing = make(made, scene=scene, at=0.0)
    return dict(thing.body) if isinstance(thing, Draft) else _tile_body(thing)


def _visit_body(number: int, *, scene: str, is_like: Mapping[str, Any]) -> dict[str, Any]:
    """On purpose not by the product's own arithmetic."""
    is_interrupted = is_like.get("ended") == "interrupted"
    frames = int(is_like.get("frames_seen", 0)) if is_interrupted else frames_of(number, scene=scene)
    one = checkpoint_of(number, scene=scene, first_seen=0.0, frames=1)
    return {
        "type": "visit",
        "schema": 1,
        "scene": scene,
        "dwell_seconds": round(one.last_seen * 10) * frames / 10,
        "began": one.began,
        "ended": "interrupted" if is_interrupted else _end_of(number, scene),
        "zones": [{"zone": "shelf", "seconds": one.zone_milliseconds["shelf"] * frames / 1000}],
        "lines": [{"line": f"{_MARK}{number}", "in": 1, "out": 0}],
        "frames_seen": frames,
        "mean_confidence": one.mean_confidence,
    }


def _end_of(number: int, scene: str) -> Ended:
    return "left" if Random(f"{scene}/end/{number}").random() < 0.5 else "lost"


def _tile_body(made: TilePart) -> dict[str, Any]:
    return {
        "type": "tile",
        "schema": 1,
        "space": made.space,
        "camera": made.camera,
        "layer": str(made.layer),
        "tx": made.tx,
        "ty": made.ty,
        "length_seconds": BUCKET_SECONDS,
        "cells": sorted(made.cells),
        "values": [made.cells[cell] for cell in sorted(made.cells)],
    }


def _summed(bodies: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What equal bodies say together: on purpose another program than the exchange's."""
    total = dict(bodies[0])
    if total["type"] == "occupancy":
        total["length_seconds"] = sum(body["length_seconds"] for body in bodies)
    if total["type"] == "tile":
        cells: Counter[int] = Counter()
        for body in bodies:
            cells.update(dict(zip(body["cells"], body["values"], strict=True)))
        total["cells"], total["values"] = sorted(cells), [cells[cell] for cell in sorted(cells)]
    for field, name in (("lines", "line"), ("zones", "zone"), ("cameras", "camera")):
        if field in total:
            total[field] = _summed_rows([row for body in bodies for row in body[field]], name)
    return total


def _summed_rows(rows: Sequence[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    subjects = dict.fromkeys(row[name] for row in rows)
    return [_summed_row([row for row in rows if row[name] == subject], name) for subject in subjects]


def _summed_row(rows: Sequence[dict[str, Any]], name: str) -> dict[str, Any]:
    total = dict(rows[0])
    for key in total.keys() - {name}:
        values = [row[key] for row in rows]
        total[key] = max(values) if key.startswith("max_") else round(sum(values), 1)
    return total


def _marked(rows: Iterable[object], name: str) -> list[int]:
    marks = [str(row[name]) for row in rows if isinstance(row, dict)]
    return [_number(mark) for mark in marks if mark.startswith(_MARK)]


def _digits(rows: Iterable[object], name: str, count: str) -> Iterable[int]:
    for row in rows:
        if isinstance(row, dict) and str(row[name]).startswith(_MARK):
            first, total = _number(str(row[name])) * MARKS_A_ROW, round(row[count])
            for place in range(MARKS_A_ROW):
                yield from [first + place] * (total // BASE**place % BASE)


def _number(mark: str) -> int:
    return int(mark.removeprefix(_MARK))


def _crossing(scene: str, number: int, random: Random, at: float) -> Draft:
    doors = [
        LineCount(line=f"door-{door}", inward=random.randrange(9), outward=random.randrange(9)) for door in range(DOORS)
    ]
    mark = LineCount(line=f"{_MARK}{number // MARKS_A_ROW}", inward=BASE ** (number % MARKS_A_ROW))
    return draft(Crossing, at=at, scene=scene, lines=[*doors, mark])


def _occupancy(scene: str, number: int, random: Random, at: float) -> Draft:
    seconds = random.randrange(9000) / 10
    camera = {
        "camera": scene,
        "watched_seconds": random.randrange(601) / 10,
        "analysed_frames": random.randrange(600),
        "dropped_frames": random.randrange(9),
        "person_seconds": seconds,
        "max_people": random.randrange(30),
    }
    shelves = {f"shelf-{shelf}": random.randrange(600) / 10 for shelf in range(SHELVES)}
    spent = {**shelves, f"{_MARK}{number // MARKS_A_ROW}": float(BASE ** (number % MARKS_A_ROW))}
    zones = [{"zone": zone, "person_seconds": seconds, "max_people": 1} for zone, seconds in spent.items()]
    return draft(Occupancy, at=at, scene=scene, length_seconds=1, cameras=[camera], zones=zones)


def _queue(scene: str, number: int, random: Random, at: float) -> Draft:
    report = QueueReport(
        zone=f"{_MARK}{number}",
        mean_length=random.randrange(90) / 10,
        max_length=random.randrange(9),
        waits=tuple(random.randrange(3) for _ in range(24)),
        served=random.randrange(9),
        abandoned=random.randrange(3),
    )
    return draft(Queue, at=at, scene=scene, queues=[report])
