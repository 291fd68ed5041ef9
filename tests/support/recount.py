"""What the sums should be, by plain loops over the JSON of items: on purpose another program than the ingest."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from cloud.ingest.tiles import decode_cells

__all__ = ["Key", "Recount", "recount", "stored_sums"]

HISTOGRAM_BOUNDS = (
    5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 240, 300, 420, 600, 900, 1200, 1800, 2700, 3600, 5400, 7200, 14400, 28800,
)  # fmt: skip
ENDS = {"left": 0, "lost": 1, "interrupted": 2, "split": 3}
Key = tuple[object, ...]


@dataclass(kw_only=True, slots=True)
class Recount:
    """Sums by (metric, scope, subject, bucket, bin), peaks by the same without bin, cells by tile."""

    sums: Counter[Key] = field(default_factory=Counter)
    peaks: dict[Key, int] = field(default_factory=dict)
    cells: defaultdict[Key, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    bucket: int = 0

    def add(self, scope: str, subject: str, metric: str, value: int, place: int = 0) -> None:
        if value:
            self.sums[metric, scope, subject, self.bucket, place] += value

    def top(self, scope: str, subject: str, metric: str, value: int) -> None:
        key = (metric, scope, subject, self.bucket)
        self.peaks[key] = max(value, self.peaks.get(key, value))


def recount(bodies: Iterable[dict[str, Any]]) -> Recount:
    """Count items from nothing."""
    total = Recount()
    for body in bodies:
        if "at" in body:
            at_ms = round(datetime.fromisoformat(body["at"]).timestamp()) * 1000
            total.bucket = at_ms // 900_000 * 900_000
            count = {"visit": _visit, "occupancy": _occupancy, "queue": _queue, "tile": _tile}.get(body["type"], _lines)
            count(total, body, at_ms)
    return total


def stored_sums(connection: Connection, *, box: str) -> Recount:
    """What the database has counted of a box."""
    of_box, stored = {"box": box}, Recount()
    sums = text("SELECT metric, scope, subject, bucket_ms, bin, value FROM rollup WHERE box = :box")
    peaks = text("SELECT metric, scope, subject, bucket_ms, value FROM rollup_peak WHERE box = :box")
    tiles = text("SELECT space, layer, length_seconds, start_ms, camera, tx, ty, cells FROM tile WHERE box = :box")
    stored.sums.update({tuple(key): value for *key, value in connection.execute(sums, of_box)})
    stored.peaks.update({tuple(key): value for *key, value in connection.execute(peaks, of_box)})
    for *key, cells in connection.execute(tiles, of_box):
        values = decode_cells(cells).ravel().tolist()
        stored.cells[tuple(key)].update({cell: value for cell, value in enumerate(values) if value})
    return stored


def _visit(total: Recount, body: dict[str, Any], _at_ms: int) -> None:
    scene = body["scene"]
    total.add("scene", scene, "visits" if body["began"] in {"entered", "appeared"} else "visits_resumed", 1)
    total.add("scene", scene, "visit_ends", 1, ENDS.get(body["ended"], 4))
    total.add("scene", scene, "dwell_ms", round(body["dwell_seconds"] * 1000))
    total.add("scene", scene, "dwell_histogram", 1, sum(body["dwell_seconds"] >= bound for bound in HISTOGRAM_BOUNDS))
    for zone in body["zones"]:
        total.add("zone", zone["zone"], "zone_visits", 1)
        total.add("zone", zone["zone"], "zone_dwell_ms", round(zone["seconds"] * 1000))
        place = sum(zone["seconds"] >= bound for bound in HISTOGRAM_BOUNDS)
        total.add("zone", zone["zone"], "zone_dwell_histogram", 1, place)


def _lines(total: Recount, body: dict[str, Any], _at_ms: int) -> None:
    metric = {"crossing": "crossings", "staff": "staff_crossings"}.get(body["type"], "")
    for line in body.get("lines", ()):
        total.add("line", line["line"], metric, line["in"], 0)
        total.add("line", line["line"], metric, line["out"], 1)


def _occupancy(total: Recount, body: dict[str, Any], at_ms: int) -> None:
    scene, drift = body["scene"], body.get("drift") or 0
    total.add("scene", scene, "reports", 1)
    total.add("scene", scene, "reported_ms", body.get("length_seconds", 60) * 1000)
    total.add("scene", scene, "drift", abs(drift), 0 if drift > 0 else 1)
    if body.get("inside") is not None:
        total.top("scene", scene, "inside", body["inside"])
    for camera in body["cameras"]:
        name = camera["camera"]
        total.add("camera", name, "watched_ms", round(camera["watched_seconds"] * 1000))
        total.add("camera", name, "analysed_frames", camera["analysed_frames"])
        total.add("camera", name, "dropped_frames", camera["dropped_frames"])
        total.add("camera", name, "person_tenths", round(camera["person_seconds"] * 10))
        total.top("camera", name, "people", camera["max_people"])
        total.top("camera", name, "reported_at_ms", at_ms)
    for zone in body["zones"]:
        total.add("zone", zone["zone"], "person_tenths", round(zone["person_seconds"] * 10))
        total.top("zone", zone["zone"], "people", zone["max_people"])


def _queue(total: Recount, body: dict[str, Any], _at_ms: int) -> None:
    for queue in body["queues"]:
        zone = queue["zone"]
        total.add("zone", zone, "queue_reports", 1)
        total.add("zone", zone, "queue_length_milli", round(queue["mean_length"] * 1000))
        total.add("zone", zone, "queue_served", queue["served"])
        total.add("zone", zone, "queue_abandoned", queue["abandoned"])
        total.top("zone", zone, "queue_length", queue["max_length"])
        for place, waited in enumerate(queue["waits"]):
            total.add("zone", zone, "queue_waits", waited, place)


def _tile(total: Recount, body: dict[str, Any], at_ms: int) -> None:
    own = body["length_seconds"]
    for length in {own} | {length for length in (3600, 86_400) if length >= own}:
        start = at_ms if length == own else at_ms // (length * 1000) * length * 1000
        key = (body["space"], body["layer"], length, start, body["camera"], body["tx"], body["ty"])
        for cell, value in zip(body["cells"], body["values"], strict=True):
            total.cells[key][cell] += value
