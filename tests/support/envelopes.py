"""Items, envelopes and enrolments as a box would make them, and the rows they leave."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from pydantic import JsonValue
from sqlalchemy import Engine, RowMapping, select
from sqlmodel import SQLModel

from cloud.ingest.intake import Delivery, intake
from cloud.store.engine import reading, writing
from cloud.store.moments import to_ms
from cloud.store.tables import Box, Enrolment, Venue
from cloud.store.upsert import insert_missing, table_of
from protocol.wire import format_utc

__all__ = [
    "BOX",
    "CONFIG",
    "EPOCH",
    "NOW",
    "SETUP",
    "VENUE",
    "JsonObject",
    "camera_health",
    "certificate",
    "configuration",
    "crossing",
    "deliver",
    "enrol",
    "envelope",
    "gap",
    "item",
    "live",
    "occupancy",
    "rows_of",
    "tile",
    "topic",
    "visit",
]

JsonObject = dict[str, JsonValue]

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
VENUE, BOX = "corner-shop", "box-1"
EPOCH = "a" * 16
CONFIG = "c" * 32
SETUP = "5e" * 16


def item(seq: int, kind: str, *, at: datetime | None = NOW - timedelta(hours=1), **fields: JsonValue) -> JsonObject:
    """Any item; with `at=None` it has no place in time beyond a day."""
    day = {"earliest": format_utc(NOW - timedelta(days=1)), "latest": format_utc(NOW)}
    when: dict[str, str] = day if at is None else {"at": format_utc(at)}
    return {"seq": seq, "type": kind, "schema": 1, "venue": VENUE, "config": CONFIG, **when, **fields}


def visit(seq: int, *, at: datetime | None = NOW - timedelta(hours=1), **fields: JsonValue) -> JsonObject:
    plain: JsonObject = {
        "scene": "floor",
        "dwell_seconds": 42.5,
        "began": "entered",
        "ended": "left",
        "zones": [{"zone": "shelf", "seconds": 12.3}],
        "frames_seen": 400,
        "mean_confidence": 0.71,
    }
    return item(seq, "visit", at=at, **{**plain, **fields})


def crossing(
    seq: int, *, at: datetime | None = NOW - timedelta(hours=1), inward: int = 2, outward: int = 1
) -> JsonObject:
    return item(seq, "crossing", at=at, scene="floor", lines=[{"line": "door", "in": inward, "out": outward}])


def occupancy(seq: int, *, at: datetime | None = NOW - timedelta(hours=1), **fields: JsonValue) -> JsonObject:
    camera: JsonObject = {
        "camera": "cam-1",
        "watched_seconds": 59.8,
        "analysed_frames": 500,
        "dropped_frames": 3,
        "person_seconds": 61.4,
        "max_people": 3,
    }
    plain: JsonObject = {
        "scene": "floor",
        "cameras": [camera],
        "zones": [{"zone": "shelf", "person_seconds": 20.2, "max_people": 2}],
        "inside": 4,
        "drift": -1,
    }
    return item(seq, "occupancy", at=at, **{**plain, **fields})


def tile(seq: int, *, at: datetime | None = NOW - timedelta(hours=1), **fields: JsonValue) -> JsonObject:
    plain: JsonObject = {
        "space": "ground-1",
        "camera": "cam-1",
        "layer": "presence",
        "tx": 0,
        "ty": 0,
        "length_seconds": 900,
        "cells": [0, 5, 1023],
        "values": [7, 1, 2],
    }
    return item(seq, "tile", at=at, **{**plain, **fields})


def configuration(
    seq: int,
    *,
    at: datetime | None = NOW - timedelta(hours=2),
    config: str = CONFIG,
    cameras: Sequence[str] = ("cam-1",),
    entrance: str | None = None,
    counting: bool = True,
    setup: str | None = None,
) -> JsonObject:
    """A layout of one scene, with a line for its entrance where one is named."""
    line: JsonObject = {"line": entrance, "scene": "floor", "camera": cameras[0], "kind": "entrance"}
    if setup is not None:
        line["setup"] = setup
    layout: JsonObject = {
        "mode": "statistics",
        "k": 5,
        "scenes": [{"scene": "floor", "counting": counting}],
        "cameras": [{"camera": camera, "scene": "floor", "space": "ground-1"} for camera in cameras],
        "spaces": [{"space": "ground-1", "coordinates": "floor", "floor": "ground", "cell": 0.5}],
        "lines": [{**line, "coordinates": "floor", "a": [0, 0], "b": [2, 0]}] if entrance else [],
    }
    return {**item(seq, "configuration", at=at, layout=layout), "config": config}


def camera_health(
    seq: int, *, at: datetime | None = NOW - timedelta(hours=1), camera: str = "cam-1", state: str = "offline"
) -> JsonObject:
    return item(seq, "camera-health", at=at, scene="floor", camera=camera, state=state, reason="unreachable")


def certificate(
    seq: int, *, at: datetime | None = NOW - timedelta(minutes=90), setup: str = SETUP, ways: JsonObject | None = None
) -> JsonObject:
    """Twenty of twenty found each way, unless told otherwise."""
    perfect: JsonObject = {"counted": 20, "by_hand": 20, "matched": 20}
    plain: JsonObject = {
        "scene": "floor",
        "camera": "cam-1",
        "line": "door",
        "setup": setup,
        "model": "yolox-nano",
        "model_digest": "d" * 64,
        "method": "moments",
        "length_seconds": 300,
    }
    return item(seq, "camera-certificate", at=at, **plain, **(ways or {"in": perfect, "out": perfect}))


def gap(first: int, last: int, *, epoch: str = EPOCH, reason: str = "dropped", **fields: JsonValue) -> JsonObject:
    return {"epoch": epoch, "from_seq": first, "to_seq": last, "reason": reason, **fields}


def live(
    *, at: datetime = NOW, box: str = BOX, people: int = 3, scene: str = "floor", inside: int | None = None
) -> bytes:
    """The payload that says who is there."""
    there: JsonObject = {"scene": scene, "people": people, "zones": [{"zone": "shelf", "people": min(people, 2)}]}
    if inside is not None:
        there["inside"] = inside
    return json.dumps(
        {"box": box, "venue": VENUE, "at": format_utc(at), "mode": "statistics", "scenes": [there]}
    ).encode()


def envelope(
    items: Sequence[JsonObject] = (),
    *,
    gaps: Sequence[JsonObject] = (),
    box: str = BOX,
    epoch: str = EPOCH,
    head: str | None = None,
    sent_at: datetime | None = NOW,
    seen: JsonObject | None = None,
) -> bytes:
    """The payload of an envelope."""
    header: JsonObject = {"box": box, "epoch": epoch, "head": head or epoch, "clock": {"source": "ntp"}}
    if sent_at is not None:
        header["sent_at"] = format_utc(sent_at)
    if seen is not None:
        header["seen"] = seen
    return json.dumps({**header, "gaps": list(gaps), "items": list(items)}).encode()


def topic(leaf: str = "events", *, box: str = BOX, venue: str = VENUE) -> str:
    return f"footfall/v1/{venue}/{box}/up/{leaf}"


def deliver(*payloads: bytes, box: str = BOX, leaf: str = "events") -> tuple[Delivery, ...]:
    """Payloads as the intake reads them."""
    return tuple(intake(topic(leaf, box=box), payload) for payload in payloads)


def enrol(
    engine: Engine,
    *,
    box: str = BOX,
    venue: str = VENUE,
    start: datetime | None = None,
    end: datetime | None = None,
) -> None:
    """Put a box into a venue, for ever unless told otherwise."""
    place = {
        "venue": venue,
        "name": venue,
        "timezone": "Europe/Berlin",
        "kind": "shop",
        "city": "",
        "country": "",
        "opening_hours": "{}",
        "created_ms": 0,
    }
    during = {"from_ms": to_ms(start) if start else 0, "until_ms": to_ms(end) if end else None}
    with writing(engine) as connection:
        insert_missing(connection, Venue, [place])
        insert_missing(connection, Box, [{"box": box, "position": 0, "state": "unknown", "status": "{}"}])
        insert_missing(connection, Enrolment, [{"box": box, "venue": venue, **during}])


def rows_of(engine: Engine, model: type[SQLModel], *, box: str | None = BOX) -> list[RowMapping]:
    """A table's rows in key order, of one box or of all."""
    table = table_of(model)
    query = select(table).order_by(*table.primary_key.columns)
    if box is not None:
        query = query.where(table.c.box == box)
    with reading(engine) as connection:
        return list(connection.execute(query).mappings())
