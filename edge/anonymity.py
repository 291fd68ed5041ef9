"""The only door out of the box: what was observed becomes drafts of protocol items, or is refused.

A `Draft` is an item that lacks only its name (epoch, seq), its venue and its place in UTC. It is made by building the
strict protocol model, so nothing that the protocol does not name can be in one. `seal` gives it the rest, rounding
its moment to what the venue's mode allows. Knows nothing of SQLite or MQTT.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import JsonValue

from protocol.catalogue import ITEM_TYPES
from protocol.events import Item
from protocol.modes import DISCLOSURE, Mode
from protocol.wire import JsonObject

__all__ = ["Draft", "Moment", "Origin", "draft", "seal"]

_MINUTE_SECONDS = 60
_PER_MINUTE = frozenset({"crossing", "occupancy", "queue"})
_NOT_IN_A_DRAFT = {"seq", "venue", "config", "at", "earliest", "latest"}
_SOME_TIME = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """An anonymous item before it has a name; `at` is monotonic seconds of this boot.

    `ends` is the number of the open visit of its scene that it is the end of: the exchange may have named it already.
    """

    type: str
    at: float
    body: JsonObject
    ends: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where and under what an item was made: venue, configuration hash and mode."""

    venue: str
    config: str
    mode: Mode


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A place in UTC: `at`, or somewhere from `earliest` to `latest`."""

    at: datetime | None = None
    earliest: datetime | None = None
    latest: datetime | None = None


def draft(item_type: type[Item], *, at: float, **fields: object) -> Draft:
    """Build a draft through the strict model; raises pydantic.ValidationError for anything the wire does not name."""
    model = item_type.model_validate({"seq": 1, "venue": "-", "config": "0" * 32, "at": _SOME_TIME, **fields})
    body = model.model_dump(mode="json", exclude_none=True, exclude=_NOT_IN_A_DRAFT)
    return Draft(type=str(body["type"]), at=at, body=body)


def seal(body: Mapping[str, JsonValue], *, seq: int, origin: Origin, moment: Moment) -> Item:
    """The finished item, its moment rounded down to what the mode allows."""
    model = ITEM_TYPES[str(body["type"])]
    step = _MINUTE_SECONDS if body["type"] in _PER_MINUTE else DISCLOSURE[origin.mode].time_step_seconds
    times = {
        name: _floor(value, step)
        for name, value in (("at", moment.at), ("earliest", moment.earliest), ("latest", moment.latest))
        if value is not None
    }
    return model.model_validate({**body, "seq": seq, "venue": origin.venue, "config": origin.config, **times})


def _floor(moment: datetime, step_seconds: int) -> datetime:
    seconds = int(moment.timestamp()) // step_seconds * step_seconds
    return datetime.fromtimestamp(seconds, UTC)
