"""Days of the made-up shop as the items a box would send, without pictures: what a cloud is tested on.

Knows shop life and the contract. The items are what a box that errs never would say, in the mode `statistics`; they
come in the order of their seqs, each with what should be summed of them in a `DayTruth`.
"""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from random import Random

import numpy as np

from edge.heatmap import HeatMap, to_tenths
from edge.synthetic.layout import CAMERA, CELL_M, LAYOUT, SCENE, SPACE
from edge.synthetic.life import UNHURRIED, Habits, Person, arriving, visitors
from edge.synthetic.minutes import MINUTE, Presence, per_minute
from edge.synthetic.plan import DOOR, QUEUE, ZONES
from edge.synthetic.truth import Stay, stay_of, steps_of
from protocol.configuration import config_hash
from protocol.envelope import MAX_ITEMS, Clock, ClockSource, Header, compose
from protocol.events import (
    Began,
    CameraHealth,
    CameraState,
    Configuration,
    Crossing,
    Ended,
    HealthReason,
    Item,
    Occupancy,
    Queue,
    Visit,
)
from protocol.histograms import DURATION_BOUNDS_SECONDS, bin_of
from protocol.json_text import MAX_MESSAGE_BYTES
from protocol.modes import DISCLOSURE
from protocol.tiles import Layer, Tile
from protocol.wire import Epoch

__all__ = ["RUSH_HOURS", "Day", "DayTruth", "ShopDays", "envelopes"]

RUSH_HOURS = {9: 0.5, 10: 0.7, 11: 1.0, 12: 1.9, 13: 1.4, 14: 0.8, 15: 0.8, 16: 1.1, 17: 1.9, 18: 1.6, 19: 0.7}
"""How busy each hour of opening is, beside a mean hour; the last who come go when they are done."""

_FRAMES_PER_SECOND = 10
_TIME_STEP = DISCLOSURE[LAYOUT.mode].time_step_seconds
_BUCKET = DISCLOSURE[LAYOUT.mode].bucket_seconds
_FULLY_WATCHED = {
    "watched_seconds": MINUTE,
    "analysed_frames": int(MINUTE) * _FRAMES_PER_SECOND,
    "dropped_frames": 0,
}
_NO_WAITS = [0] * (len(DURATION_BOUNDS_SECONDS) + 1)

_Told = tuple[float, type[Item], dict[str, object]]
"""When something is told, in seconds of the day, and the item that it becomes."""


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
    """One day's items in the order in which they are told, when each is told, and the truth of the whole day."""

    items: tuple[Item, ...]
    told_at: tuple[datetime, ...]
    truth: DayTruth

    def until(self, moment: datetime) -> tuple[Item, ...]:
        """What was told by then."""
        return self.items[: bisect_right(self.told_at, moment)]


class ShopDays:
    """A shop's days one after another, as one box tells of them: each day follows on the seqs of the one before.

    The box is on in these `hours` of the clock, before whose end the last visitors must have gone.
    """

    def __init__(
        self,
        *,
        seed: int,
        venue: str = "corner-shop",
        visitors_a_day: float = 600.0,
        timezone: tzinfo = UTC,
        habits: Habits = UNHURRIED,
        hours: range = range(24),
    ) -> None:
        self._random = Random(f"{seed} days")
        self._venue = venue
        self._visitors_a_day = visitors_a_day
        self._timezone = timezone
        self._habits = habits
        self._hours = hours
        self._config = config_hash(LAYOUT)
        self._seq = 0

    def day(self, on: date) -> Day:
        """A day of the shop's own time, from midnight to midnight: 23 or 25 hours where clocks change."""
        local = _LocalDay(on, self._timezone)
        people = list(visitors(self._random, list(self._arrivals(local)), self._habits))
        stays = [stay_of(person) for person in people]
        told = [*self._visits(stays, local), *self._minutes(stays, local), *self._tiles(people, stays, local)]
        if self._seq == 0:
            told = [*self._beginning(local), *told]
        told.sort(key=lambda each: each[0])
        return Day(
            items=tuple(self._item(kind, fields) for _, kind, fields in told),
            told_at=tuple(local.at(moment) for moment, _, _ in told),
            truth=_truth(stays, local),
        )

    def _arrivals(self, local: "_LocalDay") -> Iterator[float]:
        per_minute = self._visitors_a_day / len(RUSH_HOURS) / 60
        busiest = max(RUSH_HOURS.values())
        mean = sum(RUSH_HOURS.values()) / len(RUSH_HOURS)
        for moment in arriving(self._random, per_minute=per_minute * busiest / mean, until=local.minutes * MINUTE):
            if self._random.random() * busiest < RUSH_HOURS.get(local.hour(moment), 0.0):
                yield moment

    def _minutes_on(self, local: "_LocalDay") -> list[int]:
        return [minute for minute in range(local.minutes) if local.hour(minute * MINUTE) in self._hours]

    def _beginning(self, local: "_LocalDay") -> Iterator[_Told]:
        """What a box says of itself and its camera before anything else."""
        begins = self._minutes_on(local)[0] * MINUTE
        at = {"at": local.at(begins)}
        yield begins, Configuration, {**at, "layout": LAYOUT}
        playing = {"state": CameraState.ONLINE, "reason": HealthReason.NONE}
        yield begins, CameraHealth, {**at, "scene": SCENE, "camera": CAMERA, **playing}

    def _visits(self, stays: Sequence[Stay], local: "_LocalDay") -> Iterator[_Told]:
        for stay in stays:
            began = stay.entered_at // _TIME_STEP * _TIME_STEP
            zones = stay.zone_seconds().items()
            inward = sum(passing.inward for passing in stay.passings)
            fields = {
                "at": local.at(began),
                "scene": SCENE,
                "dwell_seconds": round(stay.dwell_seconds, 1),
                "began": Began.ENTERED,
                "ended": Ended.LEFT,
                "zones": [{"zone": zone, "seconds": round(spent, 1)} for zone, spent in zones],
                "lines": [{"line": DOOR.id, "in": inward, "out": len(stay.passings) - inward}],
                "frames_seen": int(stay.dwell_seconds * _FRAMES_PER_SECOND),
                "mean_confidence": 1.0,
            }
            yield stay.left_at, Visit, fields

    def _minutes(self, stays: Sequence[Stay], local: "_LocalDay") -> Iterator[_Told]:
        """What is told at the end of each minute, empty or not."""
        people = Presence([(stay.entered_at, stay.left_at) for stay in stays], local.minutes)
        zones = {
            zone.id: Presence(
                [(one.start, one.end) for stay in stays for one in stay.zones if one.zone == zone.id], local.minutes
            )
            for zone in ZONES
        }
        passings = [passing for stay in stays for passing in stay.passings]
        inward = per_minute([passing.at for passing in passings if passing.inward], local.minutes)
        outward = per_minute([passing.at for passing in passings if not passing.inward], local.minutes)
        queues = _queues(stays, local.minutes)
        inside = 0
        for minute in self._minutes_on(local):
            common = {"at": local.at(minute * MINUTE), "scene": SCENE}
            ends = (minute + 1) * MINUTE
            inside += inward[minute] - outward[minute]
            watched = {
                "cameras": [{"camera": CAMERA, **_FULLY_WATCHED, **people.minute(minute)}],
                "zones": [{"zone": zone, **there.minute(minute)} for zone, there in zones.items()],
            }
            yield ends, Occupancy, {**common, **watched, "inside": inside}
            yield ends, Queue, {**common, "queues": (queues[minute],)}
            if inward[minute] or outward[minute]:
                line = {"line": DOOR.id, "in": inward[minute], "out": outward[minute]}
                yield ends, Crossing, {**common, "lines": [line]}

    def _tiles(self, people: Sequence[Person], stays: Sequence[Stay], local: "_LocalDay") -> Iterator[_Told]:
        """What is told when each bucket closes: where people were, from second to second."""
        heat: defaultdict[int, HeatMap] = defaultdict(lambda: HeatMap(CELL_M))
        for person, stay in zip(people, stays, strict=True):
            steps = steps_of(person, stay.entered_at, stay.left_at)
            buckets = steps.starts // _BUCKET
            for bucket in np.unique(buckets).tolist():
                heat[bucket].add(steps.places[buckets == bucket], steps.milliseconds[buckets == bucket])
        for bucket, gained in heat.items():
            begins = bucket * _BUCKET
            common = {"at": local.at(begins), "space": SPACE, "camera": CAMERA, "length_seconds": _BUCKET}
            for tile in gained.take():
                tenths = to_tenths(tile.cells)
                numbers = {"tx": tile.tx, "ty": tile.ty, "cells": tuple(tenths), "values": tuple(tenths.values())}
                yield begins + _BUCKET, Tile, {**common, "layer": Layer(tile.layer), **numbers}

    def _item(self, kind: type[Item], fields: dict[str, object]) -> Item:
        self._seq += 1
        return kind.model_validate({"seq": self._seq, "venue": self._venue, "config": self._config, **fields})


class _LocalDay:
    """A day of the shop's own time, from midnight to midnight; moments are seconds since its beginning."""

    def __init__(self, on: date, timezone: tzinfo) -> None:
        self._timezone = timezone
        self._midnight, following = (
            datetime.combine(day, time(), timezone).astimezone(UTC) for day in (on, on + timedelta(days=1))
        )
        self.minutes = (following - self._midnight) // timedelta(minutes=1)

    def at(self, moment: float) -> datetime:
        return self._midnight + timedelta(seconds=moment)

    def hour(self, moment: float) -> int:
        """The hour that the clock shows."""
        return self.at(moment).astimezone(self._timezone).hour


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


def _queues(stays: Sequence[Stay], minutes: int) -> list[dict[str, object]]:
    """The line at the till in each minute; a wait counts in the minute in which it ends."""
    waits = [stay.queue for stay in stays if stay.queue is not None]
    ends = [wait.joined_at + wait.wait_seconds for wait in waits]
    line = Presence([(wait.joined_at, end) for wait, end in zip(waits, ends, strict=True)], minutes)
    served = per_minute([end for wait, end in zip(waits, ends, strict=True) if wait.served_at is not None], minutes)
    abandoned = per_minute([end for wait, end in zip(waits, ends, strict=True) if wait.served_at is None], minutes)
    histograms: dict[int, list[int]] = {}
    for wait, end in zip(waits, ends, strict=True):
        counts = histograms.setdefault(int(end // MINUTE), [0] * (len(DURATION_BOUNDS_SECONDS) + 1))
        counts[bin_of(wait.wait_seconds)] += 1
    return [
        {
            "zone": QUEUE.id,
            "mean_length": round(line.seconds[minute] / MINUTE, 3),
            "max_length": line.most[minute],
            "waits": histograms.get(minute, _NO_WAITS),
            "served": served[minute],
            "abandoned": abandoned[minute],
        }
        for minute in range(minutes)
    ]


def _truth(stays: Sequence[Stay], local: _LocalDay) -> DayTruth:
    by_hour = Counter(local.hour(stay.entered_at) for stay in stays)
    passings = [passing.inward for stay in stays for passing in stay.passings]
    zone_seconds = dict.fromkeys((zone.id for zone in ZONES), 0.0)
    for stay in stays:
        for zone, spent in stay.zone_seconds().items():
            zone_seconds[zone] += spent
    waits = [stay.queue for stay in stays if stay.queue is not None]
    return DayTruth(
        visits=len(stays),
        visits_by_hour=tuple(by_hour[hour] for hour in range(24)),
        walked_in=sum(passings),
        walked_out=len(passings) - sum(passings),
        dwell_seconds=sum(stay.dwell_seconds for stay in stays),
        zone_seconds=zone_seconds,
        served=sum(wait.served_at is not None for wait in waits),
        abandoned=sum(wait.served_at is None for wait in waits),
        waits=tuple(wait.wait_seconds for wait in waits),
    )
