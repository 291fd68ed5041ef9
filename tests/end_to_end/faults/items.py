"""What the stand-in for vision appends: each item's content is a function of its epoch and its serial number in it.

Each item carries its epoch and serial, and a sum those of all that it was made of, so that nothing can be lost or
counted twice without being missed: a visit in `frames_seen`, reports in the name of a zone or line, a tile in its space
and in which cell it fills.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from random import Random
from typing import Any

from edge.anonymity import Draft, draft
from edge.exchange.batch import TilePart
from protocol.events import Configuration, Crossing, LineCount, NamedSeconds, Occupancy, Queue, QueueReport, Visit
from protocol.tiles import Layer
from protocol.wire import JsonObject, format_utc
from tests.support.exchange import LAYOUT

__all__ = ["Made", "at_seconds", "expected_body", "make", "parts_in"]

Made = tuple[str, int]
"""Epoch and serial: what was appended, whatever name it was then given."""

BUCKET_SECONDS = 60
CELLS_TO_MARK = 1_000
"""The cells of a tile from this one on are filled by every tile, so that tiles add up."""
YOUNGEST_SECONDS, OLDEST_SECONDS = 120, 600
"""How long before its epoch began an item says that it was made; all buckets are over by then."""
_KINDS = ("visit", "crossing", "occupancy", "queue", "tile")
_SHARES = (4, 3, 3, 1, 2)
_MINUTELY = frozenset({"crossing", "occupancy", "queue", "tile"})
_MARK = "made-"


def at_seconds(epoch: str, serial: int) -> int:
    """How many seconds it lies before the beginning of its epoch."""
    return Random(f"{epoch}@{serial}").randint(YOUNGEST_SECONDS, OLDEST_SECONDS)


def make(epoch: str, serial: int, *, scene: str, at: float) -> Draft | TilePart:
    """The item, made at monotonic `at`; each epoch begins with its configuration."""
    random = Random(f"{epoch}/{serial}")
    kind = "configuration" if serial == 1 else random.choices(_KINDS, _SHARES)[0]
    mark = f"{_MARK}{epoch}-{serial}"
    match kind:
        case "configuration":
            return draft(Configuration, at=at, layout=LAYOUT)
        case "visit":
            return _visit(scene, serial, random, at)
        case "crossing":
            return _crossing(scene, mark, random, at)
        case "occupancy":
            return _occupancy(scene, mark, random, at)
        case "queue":
            return _queue(scene, mark, random, at)
    cells = {serial % CELLS_TO_MARK: random.randint(1, 9), CELLS_TO_MARK: random.randint(1, 9)}
    place = f"{scene}-{epoch}"
    return TilePart(
        at=at, space=place, camera=scene, layer=Layer.ENTRIES, tx=serial // CELLS_TO_MARK, ty=0, cells=cells
    )


def parts_in(epoch: str, body: JsonObject) -> tuple[Made, ...]:
    """What an item of this epoch says: one thing that was appended, or, being a sum, several."""
    match body:
        case {"type": "configuration"}:
            return ((epoch, 1),)
        case {"type": "visit", "frames_seen": int(serial)}:
            return ((epoch, serial),)
        case {"type": "tile", "tx": int(tile), "space": str(space), "cells": list(cells)}:
            marks = [cell for cell in cells if isinstance(cell, int) and cell < CELLS_TO_MARK]
            return tuple((space.rpartition("-")[2], tile * CELLS_TO_MARK + cell) for cell in marks)
        case {"type": "crossing", "lines": list(rows)}:
            return _marked(rows, "line")
        case {"type": "occupancy", "zones": list(rows)} | {"type": "queue", "queues": list(rows)}:
            return _marked(rows, "zone")
    raise ValueError(f"not an item of these: {body}")


def expected_body(parts: Sequence[Made], *, scene: str, base_ms: Mapping[str, int]) -> dict[str, Any]:
    """The body that an item of these parts must have, without its name, venue and configuration.

    `base_ms` is the UTC before which each epoch's items are placed.
    """
    bodies = [_body(*part, scene=scene, base_ms=base_ms[part[0]]) for part in parts]
    return _summed(bodies) if len(bodies) > 1 else bodies[0]


def _body(epoch: str, serial: int, *, scene: str, base_ms: int) -> dict[str, Any]:
    made = make(epoch, serial, scene=scene, at=0.0)
    body: dict[str, Any] = dict(made.body) if isinstance(made, Draft) else _tile_body(made)
    step = BUCKET_SECONDS if body["type"] in _MINUTELY else 1
    at = (base_ms // 1000 - at_seconds(epoch, serial)) // step * step
    return {**body, "at": format_utc(datetime.fromtimestamp(at, UTC))}


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


def _marked(rows: Sequence[object], name: str) -> tuple[Made, ...]:
    marks = [str(row[name]) for row in rows if isinstance(row, dict)]
    made = [mark.removeprefix(_MARK).split("-") for mark in marks if mark.startswith(_MARK)]
    return tuple((epoch, int(serial)) for epoch, serial in made)


def _visit(scene: str, serial: int, random: Random, at: float) -> Draft:
    return draft(
        Visit,
        at=at,
        scene=scene,
        dwell_seconds=random.randrange(20_000) / 10,
        began=random.choice(["entered", "appeared", "resumed"]),
        ended=random.choice(["left", "lost", "interrupted"]),
        zones=[NamedSeconds(zone="shelf", seconds=random.randrange(1000) / 10)],
        frames_seen=serial,
        mean_confidence=random.randrange(1000) / 1000,
    )


def _crossing(scene: str, mark: str, random: Random, at: float) -> Draft:
    door = LineCount(line="door", inward=random.randrange(9), outward=random.randrange(9))
    return draft(Crossing, at=at, scene=scene, lines=[door, LineCount(line=mark, inward=1)])


def _occupancy(scene: str, mark: str, random: Random, at: float) -> Draft:
    seconds = random.randrange(9000) / 10
    camera = {
        "camera": scene,
        "watched_seconds": random.randrange(601) / 10,
        "analysed_frames": random.randrange(600),
        "dropped_frames": random.randrange(9),
        "person_seconds": seconds,
        "max_people": random.randrange(30),
    }
    zone = {"zone": mark, "person_seconds": seconds, "max_people": 1}
    return draft(Occupancy, at=at, scene=scene, cameras=[camera], zones=[zone])


def _queue(scene: str, mark: str, random: Random, at: float) -> Draft:
    report = QueueReport(
        zone=mark,
        mean_length=random.randrange(90) / 10,
        max_length=random.randrange(9),
        waits=tuple(random.randrange(3) for _ in range(24)),
        served=random.randrange(9),
        abandoned=random.randrange(3),
    )
    return draft(Queue, at=at, scene=scene, queues=[report])
