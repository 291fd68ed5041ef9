"""Days of the made-up shop as the items a box would send, without pictures: what a cloud is tested on.

Knows shop life and the contract. The items are what a box that errs never would say, in the mode `statistics`; they
come in the order of their seqs, each with what should be summed of them in a `DayTruth`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from random import Random

import numpy as np
import numpy.typing as npt

from edge.synthetic.life import UNHURRIED, arriving, visitors
from edge.synthetic.plan import DOOR, QUEUE, ZONES, Zone
from edge.synthetic.truth import Stay, stay_of
from protocol.configuration import Camera, Coordinates, Layout, Line, LineKind, Scene, Space, ZoneKind, config_hash
from protocol.configuration import Zone as WireZone
from protocol.envelope import MAX_ITEMS, Clock, ClockSource, Header, compose
from protocol.events import (
    Began,
    Configuration,
    Crossing,
    Ended,
    Item,
    Occupancy,
    Queue,
    Visit,
)
from protocol.histograms import DURATION_BOUNDS_SECONDS, bin_of
from protocol.json_text import MAX_MESSAGE_BYTES
from protocol.modes import DEFAULT_K, DISCLOSURE, Mode
from protocol.wire import Epoch

__all__ = ["LAYOUT", "RUSH_HOURS", "Day", "DayTruth", "ShopDays", "envelopes"]

Floats = npt.NDArray[np.float64]

RUSH_HOURS = {9: 0.5, 10: 0.7, 11: 1.0, 12: 1.9, 13: 1.4, 14: 0.8, 15: 0.8, 16: 1.1, 17: 1.9, 18: 1.6, 19: 0.7}
"""How busy each hour of opening is, beside a mean hour; the last who come go when they are done."""

_SCENE, _CAMERA, _SPACE = "shop", "overview", "ground-50cm"
_FRAMES_PER_SECOND = 10
_MINUTE = 60.0
_MINUTES = 1440
_DAY = _MINUTES * _MINUTE
_TIME_STEP = DISCLOSURE[Mode.STATISTICS].time_step_seconds
_FULLY_WATCHED = {
    "watched_seconds": _MINUTE,
    "analysed_frames": int(_MINUTE) * _FRAMES_PER_SECOND,
    "dropped_frames": 0,
}
_NO_WAITS = [0] * (len(DURATION_BOUNDS_SECONDS) + 1)

_Told = tuple[float, type[Item], dict[str, object]]
"""When something is told, in seconds of the day, and the item that it becomes."""


def _layout() -> Layout:
    return Layout(
        mode=Mode.STATISTICS,
        k=DEFAULT_K,
        scenes=(Scene(scene=_SCENE, counting=True),),
        cameras=(Camera(camera=_CAMERA, scene=_SCENE, space=_SPACE),),
        spaces=(Space(space=_SPACE, coordinates=Coordinates.FLOOR, floor="ground", cell=0.5),),
        lines=(
            Line(
                line=DOOR.id,
                scene=_SCENE,
                camera=_CAMERA,
                kind=LineKind.ENTRANCE,
                coordinates=Coordinates.FLOOR,
                a=DOOR.a,
                b=DOOR.b,
            ),
        ),
        zones=tuple(_wire_zone(zone) for zone in ZONES),
    )


def _wire_zone(zone: Zone) -> WireZone:
    return WireZone(
        zone=zone.id,
        scene=_SCENE,
        camera=_CAMERA,
        kind=ZoneKind.QUEUE if zone is QUEUE else ZoneKind.AREA,
        coordinates=Coordinates.FLOOR,
        polygon=zone.area.polygon,
    )


LAYOUT = _layout()
"""What the items' numbers refer to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DayTruth:
    """What a day's items add up to. Hours are of the shop's own time; waits are of all who stood in the line."""

    visits: int
    visits_by_hour: tuple[int, ...]
    walked_in: int
    walked_out: int
    dwell_seconds: float
    zone_seconds: dict[str, float]
    served: int
    abandoned: int
    waits: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """One day's items, and their truth."""

    items: tuple[Item, ...]
    truth: DayTruth


class ShopDays:
    """A shop's days one after another, as one box tells of them: each day follows on the seqs of the one before."""

    def __init__(
        self, *, seed: int, venue: str = "corner-shop", visitors_a_day: float = 600.0, timezone: tzinfo = UTC
    ) -> None:
        self._random = Random(f"{seed} days")
        self._venue = venue
        self._visitors_a_day = visitors_a_day
        self._timezone = timezone
        self._config = config_hash(LAYOUT)
        self._seq = 0

    def day(self, on: date) -> Day:
        """A day of 24 hours from midnight of the shop's own time on."""
        midnight = datetime.combine(on, time(), self._timezone).astimezone(UTC)
        stays = [stay_of(person) for person in visitors(self._random, list(self._arrivals()), UNHURRIED)]
        stays.sort(key=lambda stay: stay.entered_at)
        told = [*self._visits(stays, midnight), *self._minutes(stays, midnight)]
        if self._seq == 0:
            told.append((-1.0, Configuration, {"layout": LAYOUT, "at": midnight}))
        told.sort(key=lambda each: each[0])
        return Day(items=tuple(self._item(kind, fields) for _, kind, fields in told), truth=_truth(stays))

    def _arrivals(self) -> Iterator[float]:
        per_minute = self._visitors_a_day / len(RUSH_HOURS) / 60
        busiest = max(RUSH_HOURS.values())
        mean = sum(RUSH_HOURS.values()) / len(RUSH_HOURS)
        for moment in arriving(self._random, per_minute=per_minute * busiest / mean, until=_DAY):
            if self._random.random() * busiest < RUSH_HOURS.get(int(moment // 3600), 0.0):
                yield moment

    def _visits(self, stays: Sequence[Stay], midnight: datetime) -> Iterator[_Told]:
        for stay in stays:
            began = stay.entered_at // _TIME_STEP * _TIME_STEP
            zones = stay.zone_seconds().items()
            inward = sum(passing.inward for passing in stay.passings)
            fields = {
                "at": midnight + timedelta(seconds=began),
                "scene": _SCENE,
                "dwell_seconds": round(stay.dwell_seconds, 1),
                "began": Began.ENTERED,
                "ended": Ended.LEFT,
                "zones": [{"zone": zone, "seconds": round(spent, 1)} for zone, spent in zones],
                "lines": [{"line": DOOR.id, "in": inward, "out": len(stay.passings) - inward}],
                "frames_seen": int(stay.dwell_seconds * _FRAMES_PER_SECOND),
                "mean_confidence": 1.0,
            }
            yield stay.left_at, Visit, fields

    def _minutes(self, stays: Sequence[Stay], midnight: datetime) -> Iterator[_Told]:
        """What is told at the end of each minute, empty or not."""
        people = _Presence([(stay.entered_at, stay.left_at) for stay in stays])
        zones = {
            zone.id: _Presence([(one.start, one.end) for stay in stays for one in stay.zones if one.zone == zone.id])
            for zone in ZONES
        }
        passings = [passing for stay in stays for passing in stay.passings]
        inward = _per_minute([passing.at for passing in passings if passing.inward])
        outward = _per_minute([passing.at for passing in passings if not passing.inward])
        queues = _queues(stays)
        inside = 0
        for minute in range(_MINUTES):
            common = {"at": midnight + timedelta(minutes=minute), "scene": _SCENE}
            ends = (minute + 1) * _MINUTE
            inside += int(inward[minute]) - int(outward[minute])
            watched = {
                "cameras": [{"camera": _CAMERA, **_FULLY_WATCHED, **people.minute(minute)}],
                "zones": [{"zone": zone, **there.minute(minute)} for zone, there in zones.items()],
            }
            yield ends, Occupancy, {**common, **watched, "inside": inside}
            yield ends, Queue, {**common, "queues": (queues[minute],)}
            if inward[minute] or outward[minute]:
                line = {"line": DOOR.id, "in": int(inward[minute]), "out": int(outward[minute])}
                yield ends, Crossing, {**common, "lines": [line]}

    def _item(self, kind: type[Item], fields: dict[str, object]) -> Item:
        self._seq += 1
        return kind.model_validate({"seq": self._seq, "venue": self._venue, "config": self._config, **fields})


def envelopes(items: Sequence[Item], *, box: str, epoch: Epoch, most: int = MAX_ITEMS) -> Iterator[bytes]:
    """The items as payloads, each with as many as may travel together."""
    header = Header(box=box, epoch=epoch, head=epoch, clock=Clock(source=ClockSource.NTP))
    room = MAX_MESSAGE_BYTES - len(compose(header, ()))
    waiting: list[str] = []
    taken = 0
    for text in (item.to_json() for item in items):
        size = len(text.encode()) + 1
        if waiting and (taken + size > room or len(waiting) == most):
            yield compose(header, waiting)
            waiting, taken = [], 0
        waiting.append(text)
        taken += size
    if waiting:
        yield compose(header, waiting)


class _Presence:
    """How long, and how many at most, some are somewhere in each minute of the day."""

    def __init__(self, spans: Sequence[tuple[float, float]]) -> None:
        starts, ends = np.asarray(spans, np.float64).reshape(-1, 2).T
        borders = np.arange(_MINUTES + 1)[:, None] * _MINUTE
        # Seconds spent until each border; what two borders differ by was spent between them.
        until = (borders.clip(starts, ends) - starts).sum(axis=1)
        self.seconds: list[float] = np.diff(until).round(1).tolist()
        self.most: list[int] = _most_at_once(starts, ends).tolist()

    def minute(self, number: int) -> dict[str, float]:
        """As the items tell it."""
        return {"person_seconds": self.seconds[number], "max_people": self.most[number]}


def _most_at_once(starts: Floats, ends: Floats) -> npt.NDArray[np.int64]:
    """The largest number of spans that overlap at one moment of each minute of the day."""
    moments = np.concatenate([starts, ends])
    order = np.argsort(moments, kind="stable")
    moments = moments[order]
    there = np.cumsum(np.repeat([1, -1], [starts.size, ends.size])[order])
    at_borders = np.searchsorted(moments, np.arange(_MINUTES) * _MINUTE, side="right")
    most = np.concatenate([[0], there])[at_borders]
    today = moments < _DAY
    np.maximum.at(most, (moments[today] // _MINUTE).astype(np.int64), there[today])
    return np.asarray(most, np.int64)


def _per_minute(moments: Sequence[float]) -> npt.NDArray[np.int64]:
    """How many of these moments lie in each minute of the day."""
    minutes = (np.asarray(moments, np.float64) // _MINUTE).astype(np.int64)
    return np.bincount(minutes, minlength=_MINUTES)[:_MINUTES]


def _queues(stays: Sequence[Stay]) -> list[dict[str, object]]:
    """The line at the till in each minute; a wait counts in the minute in which it ends."""
    waits = [stay.queue for stay in stays if stay.queue is not None]
    ends = [wait.joined_at + wait.wait_seconds for wait in waits]
    line = _Presence([(wait.joined_at, end) for wait, end in zip(waits, ends, strict=True)])
    served = _per_minute([end for wait, end in zip(waits, ends, strict=True) if wait.served_at is not None])
    abandoned = _per_minute([end for wait, end in zip(waits, ends, strict=True) if wait.served_at is None])
    histograms: dict[int, list[int]] = {}
    for wait, end in zip(waits, ends, strict=True):
        counts = histograms.setdefault(int(end // _MINUTE), [0] * (len(DURATION_BOUNDS_SECONDS) + 1))
        counts[bin_of(wait.wait_seconds)] += 1
    return [
        {
            "zone": QUEUE.id,
            "mean_length": round(line.seconds[minute] / _MINUTE, 3),
            "max_length": line.most[minute],
            "waits": histograms.get(minute, _NO_WAITS),
            "served": int(served[minute]),
            "abandoned": int(abandoned[minute]),
        }
        for minute in range(_MINUTES)
    ]


def _truth(stays: Sequence[Stay]) -> DayTruth:
    by_hour = np.bincount([int(stay.entered_at // 3600) for stay in stays], minlength=24)
    passings = [passing.inward for stay in stays for passing in stay.passings]
    zone_seconds = dict.fromkeys((zone.id for zone in ZONES), 0.0)
    for stay in stays:
        for zone, spent in stay.zone_seconds().items():
            zone_seconds[zone] += spent
    waits = [stay.queue for stay in stays if stay.queue is not None]
    return DayTruth(
        visits=len(stays),
        visits_by_hour=tuple(by_hour.tolist()),
        walked_in=sum(passings),
        walked_out=len(passings) - sum(passings),
        dwell_seconds=sum(stay.dwell_seconds for stay in stays),
        zone_seconds=zone_seconds,
        served=sum(wait.served_at is not None for wait in waits),
        abandoned=sum(wait.served_at is None for wait in waits),
        waits=tuple(wait.wait_seconds for wait in waits),
    )
