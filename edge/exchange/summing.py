"""Which items may be added up, and how: equal tiles, and the minute reports of the same cameras within one bucket."""

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from pydantic import JsonValue

from protocol.modes import DISCLOSURE, Mode
from protocol.tiles import MAX_CELLS_PER_ITEM
from protocol.wire import JsonObject

__all__ = ["SumKey", "sum_bodies", "sum_key"]

SumKey = tuple[str | int, ...]
"""The type and the fields that equal items share."""

_NAMES = ("seq", "venue", "config", "at")
_LONGEST_REPORT_SECONDS = 3600
_TILE_KEY = ("space", "camera", "layer", "tx", "ty", "length_seconds")


def sum_key(kind: str, at_ms: int, body: str, mode: Mode) -> tuple[int, SumKey] | None:
    """What items must share to be added up: the bucket's start in UTC ms, and a key; None for what never merges."""
    bucket_ms = DISCLOSURE[mode].bucket_seconds * 1000
    start = at_ms // bucket_ms * bucket_ms
    data = json.loads(body)
    if kind == "tile":
        return at_ms, (kind, *(data[name] for name in _TILE_KEY))
    if kind == "occupancy":
        cameras = (str(row["camera"]) for row in data["cameras"])
        drift = data.get("drift", 0)
        return start, (kind, data["scene"], (drift > 0) - (drift < 0), *sorted(cameras))
    if kind == "crossing":
        return start, (kind, data["scene"])
    return None


def sum_bodies(kind: str, bodies: Sequence[JsonObject]) -> JsonObject | None:
    """One body that says what these said together, without name, venue, configuration or moment.

    The bodies come in the order of their moments. None when the sum would not fit into an item.
    """
    first = {name: value for name, value in bodies[0].items() if name not in _NAMES}
    summed = _SUMS[kind](bodies)
    return None if summed is None else {**first, **summed}


def _sum_tiles(bodies: Sequence[JsonObject]) -> JsonObject | None:
    cells: dict[int, int] = defaultdict(int)
    for body in bodies:
        for cell, value in zip(_list(body["cells"]), _list(body["values"]), strict=True):
            cells[_int(cell)] += _int(value)
    if len(cells) > MAX_CELLS_PER_ITEM:
        return None
    rows = sorted(cells.items())
    return {"cells": [cell for cell, _ in rows], "values": [value for _, value in rows]}


def _sum_reports(bodies: Sequence[JsonObject]) -> JsonObject | None:
    length = sum(_int(body["length_seconds"]) for body in bodies)
    if length > _LONGEST_REPORT_SECONDS:
        return None
    summed: JsonObject = {
        "length_seconds": length,
        "cameras": _sum_rows(bodies, "cameras", "camera"),
        "zones": _sum_rows(bodies, "zones", "zone"),
    }
    drifts = [_int(body["drift"]) for body in bodies if "drift" in body]
    counted = [body["inside"] for body in bodies if "inside" in body]
    if counted:
        summed["inside"] = max(_int(number) for number in counted)
    if drifts:
        summed["drift"] = sum(drifts)
    return summed


def _sum_crossings(bodies: Sequence[JsonObject]) -> JsonObject | None:
    return {"lines": _sum_rows(bodies, "lines", "line")}


_SUMS: Mapping[str, Callable[[Sequence[JsonObject]], JsonObject | None]] = {
    "tile": _sum_tiles,
    "occupancy": _sum_reports,
    "crossing": _sum_crossings,
}


def _sum_rows(bodies: Sequence[JsonObject], field: str, name: str) -> list[JsonValue]:
    """Add up rows of one name: numbers add, but those called max_… take the greatest."""
    rows: dict[str, dict[str, float]] = {}
    for body in bodies:
        for row in _list(body.get(field, [])):
            if not isinstance(row, dict):
                continue
            total = rows.setdefault(str(row[name]), defaultdict(int))
            for key, value in row.items():
                if isinstance(value, int | float):
                    total[key] = max(total[key], value) if key.startswith("max_") else round(total[key] + value, 1)
    return [{name: subject, **total} for subject, total in rows.items()]


def _list(value: JsonValue) -> list[JsonValue]:
    return value if isinstance(value, list) else []


def _int(value: JsonValue) -> int:
    return value if isinstance(value, int) else 0
