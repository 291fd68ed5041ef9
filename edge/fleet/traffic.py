"""What the cameras of a made-up shop would tell, as drafts, minute by minute of a day that begins anew when it is over.

A few days are made and shared: box after box, camera after camera takes the next one, so that a thousand cameras cost
no more to make up than a handful. Ids get the camera's number, so that no two of a box are equal.
"""

from bisect import bisect_right
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta

from pydantic import JsonValue

from edge.anonymity import Draft, Origin, draft
from edge.synthetic.days import ShopDays
from edge.synthetic.layout import LAYOUT
from protocol.catalogue import ITEM_TYPES
from protocol.configuration import Layout, config_hash
from protocol.events import Configuration, Item
from protocol.wire import JsonObject

__all__ = ["MINUTES_A_DAY", "SOME_DAY", "ShopTraffic"]

MINUTES_A_DAY = 1440
SOME_DAY = date(2026, 3, 2)
_MIDNIGHT = datetime.combine(SOME_DAY, time(), UTC)
_IDS = frozenset({"scene", "camera", "line", "zone", "space"})
_NAMES = frozenset({"seq", "type", "schema", "venue", "config", "at", "earliest", "latest"})


class ShopTraffic:
    """The traffic of boxes with so many cameras each, made up of `days` different days, which takes a second a day."""

    def __init__(self, *, cameras: int, seed: int = 0, days: int = 4) -> None:
        self.layout = _layout(cameras)
        self._cameras = range(1, cameras + 1)
        seeds = range(seed * days, (seed + 1) * days)
        self._days = tuple(ShopDays(seed=one, venue="shop").day(SOME_DAY) for one in seeds)

    def origin(self, *, venue: str) -> Origin:
        """Where and under what a box's items are made."""
        return Origin(venue=venue, config=config_hash(self.layout), mode=self.layout.mode)

    def beginning(self, *, at: float) -> Draft:
        """What a box says before all else."""
        return draft(Configuration, at=at, layout=self.layout)

    def minute(self, box: int, minute: int, *, now: float) -> Iterator[Draft]:
        """All that a box tells at the end of a minute of the day, at `now` (monotonic seconds); what is older is so."""
        ends = _MIDNIGHT + timedelta(minutes=minute % MINUTES_A_DAY + 1)
        for camera in self._cameras:
            day = self._days[(box * len(self._cameras) + camera) % len(self._days)]
            first, end = (bisect_right(day.told_at, moment) for moment in (ends - timedelta(minutes=1), ends))
            for item in day.items[first:end]:
                yield _draft(item, camera, now - _age_seconds(item, ends))


def _layout(cameras: int) -> Layout:
    """What a box was set to see: the shop of each camera."""
    told = LAYOUT.to_object()
    parts: dict[str, list[JsonValue]] = {}
    for camera in range(1, cameras + 1):
        for name, value in _numbered(told, camera).items():
            if isinstance(value, list):
                parts.setdefault(name, []).extend(value)
    return Layout.read({**told, **parts})


def _age_seconds(item: Item, told_at: datetime) -> float:
    return (told_at - item.at).total_seconds() if item.at is not None else 0.0


def _draft(item: Item, camera: int, at: float) -> Draft:
    fields = {name: value for name, value in item.to_object().items() if name not in _NAMES}
    return draft(ITEM_TYPES[item.type], at=at, **_numbered(fields, camera))


def _numbered(data: JsonObject, camera: int) -> JsonObject:
    """The same with the camera's number behind each id, however deep."""
    return {name: _number(name, value, camera) for name, value in data.items()}


def _number(name: str, value: JsonValue, camera: int) -> JsonValue:
    match value:
        case dict():
            return _numbered(value, camera)
        case list():
            return [_number("", one, camera) for one in value]
        case str() if name in _IDS:
            return f"{value}-{camera}"
    return value
