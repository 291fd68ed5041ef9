"""A day in a made-up shop, as its box would tell it: for looking at the pages without a camera or a day of waiting.

Nothing is real but the messages' shape. The same moment and seed give the same bytes. Floor coordinates are metres,
y up.
"""

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from pydantic import JsonValue

from protocol.tiles import TILE_SIDE
from protocol.wire import JsonObject, format_utc

__all__ = [
    "BOX",
    "OPENING_HOURS",
    "PLAN_METRES_PER_PIXEL",
    "PLAN_SIZE_PX",
    "VENUE",
    "floor_plan",
    "live",
    "payloads",
    "status",
]

VENUE, BOX = "harbour-street", "harbour-box"
OPENING_HOURS: JsonObject = {
    "weekly": {day: [["09:00", "20:00"]] for day in ("mon", "tue", "wed", "thu", "fri", "sat")}
}
PLAN_SIZE_PX, PLAN_METRES_PER_PIXEL = (1040, 640), 0.015625
WIDTH_M, HEIGHT_M, CELL_M = 16.25, 10.0, 0.25

_SCENE, _CONFIG, _EPOCH, _SESSION = "floor", "5" * 32, "a" * 16, "b" * 16
_COMING = (10, 19, 27, 44, 39, 25, 24, 33, 38, 29, 14)
"""Visitors of each hour from opening to closing."""
_ENTRANCE, _TILL = (1.2, 2.0), (3.6, 8.4)
_STOPS = {
    "new-in": (4.6, 3.6),
    "shoes": (9.2, 2.0),
    "denim": (8.6, 5.6),
    "knitwear": (12.6, 5.6),
    "fitting-rooms": (14.6, 8.6),
}
_WALK_M_PER_SECOND = 0.9
_ZONES = {**_STOPS, "checkout": _TILL}
_UNWATCHED_MINUTES = range(130, 152)
"""Counted from opening; the camera over the aisles was away then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stay:
    """One person: where they were each second from `began`, seconds after opening."""

    began: int
    path: NDArray[np.float64]
    zones: dict[str, int]


def payloads(opened: datetime, now: datetime, *, seed: int = 1) -> Iterator[bytes]:
    """Everything that the box sent from opening until now, as envelopes."""
    stays = _stays(Random(seed), seconds=(now - opened).total_seconds())
    items = [
        *_settings(opened),
        *_minutes(stays, opened, now),
        *_visits(stays, opened, now),
        *_tiles(stays, opened, now),
    ]
    for first in range(0, len(items), 40):
        batch = [{**item, "seq": first + index + 1} for index, item in enumerate(items[first : first + 40])]
        yield json.dumps(
            {
                "box": BOX,
                "epoch": _EPOCH,
                "head": _EPOCH,
                "sent_at": format_utc(now),
                "clock": {"source": "ntp"},
                "gaps": [],
                "items": batch,
            }
        ).encode()


def live(now: datetime, *, people: int = 9) -> bytes:
    """Who the box says is there."""
    zones = dict(zip(_ZONES, (2, 1, 2, 1, 1, 1), strict=True))
    shown = [{"zone": zone, "people": count} for zone, count in zones.items()]
    scenes = [{"scene": _SCENE, "people": people, "inside": people + 1, "zones": shown}]
    return _message(now, scenes=scenes)


def status(now: datetime) -> bytes:
    """What the box says of itself."""
    exchange = {"waiting": 3, "oldest_seconds": 20.0, "used": 0.02}
    return _message(now, session=_SESSION, state="online", vision="alive", clock={"source": "ntp"}, exchange=exchange)


def floor_plan() -> bytes:
    """The shop's plan as PNG: walls, shelves, a till and a door."""
    image = Image.new("RGB", PLAN_SIZE_PX, "#ffffff")
    draw = ImageDraw.Draw(image)

    def box(left: float, bottom: float, right: float, top: float) -> tuple[float, float, float, float]:
        scale = 1 / PLAN_METRES_PER_PIXEL
        return left * scale, (HEIGHT_M - top) * scale, right * scale, (HEIGHT_M - bottom) * scale

    draw.rectangle(box(0.1, 0.1, 16.15, 9.9), outline="#40464c", width=7)
    draw.rectangle(box(0.0, 1.2, 0.35, 2.9), fill="#ffffff")
    furniture = [
        *((left, 3.6, left + 1.6, 4.6) for left in (7.8, 10.6, 13.2)),
        *((left, 6.6, left + 1.6, 7.6) for left in (7.0, 9.8, 12.0)),
        (7.0, 0.3, 15.6, 0.9),
        (5.2, 4.4, 6.2, 5.6),
        (2.4, 9.0, 5.4, 9.6),
        *((left, 9.3, left + 1.1, 9.8) for left in (12.4, 13.7, 15.0)),
    ]
    for piece in furniture:
        draw.rounded_rectangle(box(*piece), radius=9, fill="#e3e5e7", outline="#b9bec3", width=3)
    out = io.BytesIO()
    image.save(out, "PNG", optimize=True)
    return out.getvalue()


def _message(now: datetime, **fields: object) -> bytes:
    return json.dumps({"box": BOX, "venue": VENUE, "at": format_utc(now), "mode": "live", **fields}).encode()


def _item(kind: str, at: datetime, **fields: JsonValue) -> JsonObject:
    return {"type": kind, "schema": 1, "venue": VENUE, "config": _CONFIG, "at": format_utc(at), **fields}


def _stays(random: Random, *, seconds: float) -> list[_Stay]:
    began = [3600 * hour + random.randrange(3600) for hour, count in enumerate(_COMING) for _ in range(count)]
    return [_stay(random, moment) for moment in sorted(began) if moment < seconds]


def _stay(random: Random, began: int) -> _Stay:
    wanted = random.sample(sorted(_STOPS), k=random.choice((1, 2, 2, 3)))
    stops = [(name, _STOPS[name]) for name in wanted]
    if random.random() < 0.45:
        stops.append(("checkout", _TILL))
    legs, zones, here = [], {}, np.array(_ENTRANCE)
    for name, (x, y) in stops:
        there = np.array([random.gauss(x, 0.5), random.gauss(y, 0.35)])
        seconds = 30 + int(random.expovariate(1 / 200))
        legs += [_walk(here, there), _linger(random, there, seconds)]
        zones[name], here = seconds, there
    legs.append(_walk(here, np.array(_ENTRANCE)))
    return _Stay(began=began, path=np.concatenate(legs), zones=zones)


def _walk(start: NDArray[np.float64], end: NDArray[np.float64]) -> NDArray[np.float64]:
    steps = max(2, round(float(np.linalg.norm(end - start)) / _WALK_M_PER_SECOND))
    path: NDArray[np.float64] = np.linspace(start, end, steps)
    return path


def _linger(random: Random, place: NDArray[np.float64], seconds: int) -> NDArray[np.float64]:
    path: NDArray[np.float64] = np.array([[random.gauss(0, 0.3), random.gauss(0, 0.25)] for _ in range(seconds)])
    return path + place


def _settings(opened: datetime) -> list[JsonObject]:
    cameras: list[JsonValue] = [
        {"camera": name, "scene": _SCENE, "space": "ground"} for name in ("entrance", "aisles", "till")
    ]
    line: JsonObject = {
        "line": "door",
        "scene": _SCENE,
        "camera": "entrance",
        "kind": "entrance",
        "coordinates": "floor",
    }
    layout: JsonObject = {
        "mode": "live",
        "k": 5,
        "scenes": [{"scene": _SCENE, "counting": True}],
        "cameras": cameras,
        "spaces": [{"space": "ground", "coordinates": "floor", "floor": "ground", "cell": CELL_M}],
        "lines": [{**line, "a": [0.6, 1.2], "b": [0.6, 2.9]}],
        "zones": [_zone(name, x, y) for name, (x, y) in _ZONES.items()],
    }
    healthy = [
        _item("camera-health", opened, scene=_SCENE, camera=name, state="online", reason="none")
        for name in ("entrance", "aisles", "till")
    ]
    return [_item("configuration", opened - timedelta(minutes=1), layout=layout), *healthy]


def _zone(name: str, x: float, y: float) -> JsonObject:
    corners: list[JsonValue] = [[x - 1.4, y - 1], [x + 1.4, y - 1], [x + 1.4, y + 1], [x - 1.4, y + 1]]
    return {
        "zone": name, "scene": _SCENE, "camera": "aisles", "kind": "area", "coordinates": "floor", "polygon": corners,
    }  # fmt: skip


def _visits(stays: list[_Stay], opened: datetime, now: datetime) -> Iterator[JsonObject]:
    for stay in stays:
        at = opened + timedelta(seconds=stay.began)
        if at + timedelta(seconds=len(stay.path)) < now:
            zones: list[JsonValue] = [{"zone": name, "seconds": float(seconds)} for name, seconds in stay.zones.items()]
            yield _item(
                "visit",
                at,
                scene=_SCENE,
                dwell_seconds=float(len(stay.path)),
                began="entered",
                ended="left",
                zones=zones,
                frames_seen=10 * len(stay.path),
                mean_confidence=0.8,
            )


def _minutes(stays: list[_Stay], opened: datetime, now: datetime) -> Iterator[JsonObject]:
    for minute in range(int((now - opened).total_seconds() // 60)):
        at, span = opened + timedelta(minutes=minute), range(60 * minute, 60 * minute + 60)
        there = [stay for stay in stays if stay.began < span.stop and stay.began + len(stay.path) > span.start]
        seconds = sum(len(set(span) & set(range(stay.began, stay.began + len(stay.path)))) for stay in there)
        share = {"entrance": 0.15, "aisles": 0.7, "till": 0.15}
        cameras: list[JsonValue] = [
            {
                "camera": name,
                "watched_seconds": 0.0 if name == "aisles" and minute in _UNWATCHED_MINUTES else 60.0,
                "analysed_frames": 600,
                "dropped_frames": 0,
                "person_seconds": round(seconds * part, 1),
                "max_people": round(len(there) * part),
            }
            for name, part in share.items()
        ]
        zones: list[JsonValue] = [
            {"zone": name, "person_seconds": round(seconds * weight, 1), "max_people": 1}
            for name, weight in zip(_ZONES, (0.22, 0.12, 0.2, 0.1, 0.16, 0.09), strict=True)
        ]
        yield _item("occupancy", at, scene=_SCENE, cameras=cameras, zones=zones, inside=len(there))
        came = sum(stay.began in span for stay in stays)
        went = sum(stay.began + len(stay.path) in span for stay in stays)
        if came or went:
            yield _item("crossing", at, scene=_SCENE, lines=[{"line": "door", "in": came, "out": went}])


def _tiles(stays: list[_Stay], opened: datetime, now: datetime) -> Iterator[JsonObject]:
    """Tenths of a person-second by cell, each quarter of an hour."""
    columns, rows = -(-WIDTH_M // CELL_M), -(-HEIGHT_M // CELL_M)
    for quarter in range(int((now - opened).total_seconds() // 900) + 1):
        paths = [stay.path for stay in stays if stay.began // 900 == quarter]
        if not paths:
            continue
        cells = np.floor(np.concatenate(paths) / CELL_M).astype(int)
        cells = cells[(cells >= 0).all(axis=1) & (cells < [columns, rows]).all(axis=1)]
        for tx, ty in sorted({(int(x), int(y)) for x, y in cells // TILE_SIDE}):
            within = cells[(cells // TILE_SIDE == [tx, ty]).all(axis=1)] % TILE_SIDE
            places, counts = np.unique(within[:, 1] * TILE_SIDE + within[:, 0], return_counts=True)
            yield _item(
                "tile",
                opened + timedelta(minutes=15 * quarter),
                space="ground",
                camera="aisles",
                layer="presence",
                tx=tx,
                ty=ty,
                length_seconds=900,
                cells=places.tolist(),
                values=(10 * counts).tolist(),
            )
