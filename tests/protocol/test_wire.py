from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue, ValidationError

from protocol.envelope import Clock, ClockSource
from protocol.events import Crossing, Flow, FlowPath, LineCount, Visit
from protocol.json_text import JsonObject
from protocol.wire import MAX_ITEM_BYTES, format_utc
from tests.support.golden import read_golden

VISIT = read_golden("item-visit")

# The field, and a value that is refused on writing and on reading alike.
NEVER: dict[str, tuple[str, JsonValue]] = {
    "true for a count": ("frames_seen", True),
    "false for seconds": ("dwell_seconds", False),
    "a numeric string for a count": ("frames_seen", "5"),
    "a numeric string for a fraction": ("mean_confidence", "0.5"),
    "a fraction for a count": ("frames_seen", 5.5),
    "a whole float for a count": ("frames_seen", 5.0),
    "a count beyond 31 bits": ("frames_seen", 2**31),
    "a huge int for a float": ("dwell_seconds", 10**400),
    "a huge int for a count": ("frames_seen", 10**400),
    "NaN": ("mean_confidence", float("nan")),
    "infinity": ("dwell_seconds", float("inf")),
    "a negative count": ("frames_seen", -1),
    "a fraction above one": ("mean_confidence", 1.01),
    "a number for a slug": ("scene", 7),
    "capitals in a slug": ("scene", "Ground"),
    "a newline after a slug": ("scene", "ground\n"),
    "an empty slug": ("scene", ""),
    "a slug of 64": ("scene", "a" * 64),
    "seconds since 1970": ("at", 1_773_483_000),
    "seconds since 1970 as text": ("at", "1773483000"),
    "a moment without zone": ("at", "2026-03-14T10:02:10"),
    "a day": ("at", "2026-03-14"),
    "1970": ("at", "1970-01-01T00:00:00Z"),
    "the year one, east of Greenwich": ("at", "0001-01-01T00:00:00+05:00"),
    "the year 9999, west of Greenwich": ("at", "9999-12-31T23:59:59-05:00"),
    "null where something is needed": ("scene", None),
    "a list for an enum": ("began", ["entered"]),
    "an object for a list": ("zones", {"checkout": 3}),
    "a text for a list": ("zones", "checkout"),
    "257 zones": ("zones", [{"zone": f"zone-{index}", "seconds": 1.0} for index in range(257)]),
}


@pytest.mark.parametrize(("field", "value"), NEVER.values(), ids=NEVER.keys())
def test_neither_written_nor_read(field: str, value: JsonValue) -> None:
    data: JsonObject = {**VISIT, field: value}
    with pytest.raises(ValidationError, match=field):
        Visit.model_validate(data)
    with pytest.raises(ValidationError, match=field):
        Visit.read(data)


LATER: dict[str, JsonObject] = {
    "an unknown field": {"height_cm": 180},
    "an unknown field within": {"zones": [{"zone": "a", "seconds": 1.0, "turns": 3}]},
    "an unknown enum value": {"ended": "teleported"},
    "UNKNOWN itself": {"ended": "unknown"},
}


@pytest.mark.parametrize("change", LATER.values(), ids=LATER.keys())
def test_read_but_never_written(change: JsonObject) -> None:
    data = {**VISIT, **change}
    assert Visit.read(data).seq == VISIT["seq"]
    with pytest.raises(ValidationError):
        Visit.model_validate(data)


def test_an_int_where_a_float_stands_is_written_as_a_float() -> None:
    clock = Clock(source=ClockSource.NTP, uncertainty_seconds=2)
    assert clock.to_json() == '{"source":"ntp","uncertainty_seconds":2.0}'


def test_reading_goes_by_the_names_on_the_wire_and_writing_by_either() -> None:
    assert LineCount.model_validate({"line": "door", "in": 3}) == LineCount(line="door", inward=3)
    read = LineCount.read({"line": "door", "in": 3, "inward": 9})
    assert read.inward == 3
    assert read.to_object() == {"line": "door", "in": 3, "out": 0, "inward": 9}
    assert LineCount.read({"line": "door", "inward": 9}).inward == 0


def test_what_is_read_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Visit.read(VISIT).seq = 9


def test_an_item_too_large_to_send_is_not_written() -> None:
    names = [f"{'x' * 59}-{index:03}" for index in range(300)]
    paths = [FlowPath(zones=(names[index], names[-index - 1]), count=3) for index in range(300)]
    frame = {name: VISIT[name] for name in ("seq", "venue", "config", "at", "scene")}
    fitting = Flow.model_validate({**frame, "length_seconds": 900, "paths": paths})
    assert len(fitting.to_json()) <= MAX_ITEM_BYTES
    with pytest.raises(ValidationError, match="at most 61440 bytes"):
        Flow.model_validate({**frame, "length_seconds": 900, "paths": paths * 2})


@given(
    moment=st.datetimes(
        min_value=datetime(2000, 1, 2),  # noqa: DTZ001  hypothesis wants it naive
        max_value=datetime(2199, 12, 30),  # noqa: DTZ001  as above
        timezones=st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes))),
    )
)
def test_a_moment_crosses_the_wire_to_the_millisecond(moment: datetime) -> None:
    written = Visit.model_validate({**VISIT, "at": moment})
    assert written.at is not None
    assert timedelta(0) <= moment - written.at < timedelta(milliseconds=1)
    read = Visit.read(written.to_json())
    assert read.at == written.at
    assert read.to_object()["at"] == format_utc(written.at)


def test_milliseconds_only_where_there_are_any() -> None:
    assert format_utc(datetime(2026, 3, 14, 12, tzinfo=UTC)) == "2026-03-14T12:00:00Z"
    assert format_utc(datetime(2026, 3, 14, 12, 0, 0, 250_000, tzinfo=UTC)) == "2026-03-14T12:00:00.250Z"
    kathmandu = timezone(timedelta(hours=5, minutes=45))
    assert format_utc(datetime(2026, 3, 14, 12, tzinfo=kathmandu)) == "2026-03-14T06:15:00Z"


@pytest.mark.parametrize("change", [{"earliest": "2026-03-14T09:00:00Z"}, {"at": None}], ids=["both", "neither"])
def test_an_item_is_placed_in_time_one_way(change: JsonObject) -> None:
    with pytest.raises(ValidationError, match="either `at`"):
        Crossing.read({**read_golden("item-crossing"), **change})
