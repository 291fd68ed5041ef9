from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.periods import LocalPart, Period, Step, local_parts
from cloud.store.metrics import BUCKET_MS
from cloud.store.moments import from_ms, to_ms

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Pacific/Tongatapu", "Australia/Lord_Howe")


def period_of(first: date, last: date, zone: ZoneInfo) -> Period:
    """From the midnight of the first day to that after the last."""
    start, end = (datetime(day.year, day.month, day.day, tzinfo=zone) for day in (first, last + timedelta(days=1)))
    return Period(start_ms=to_ms(start.astimezone(UTC)), end_ms=to_ms(end.astimezone(UTC)))


def label(moment: datetime, step: Step) -> object:
    """What names a part, the slow way: by the calendar."""
    match step:
        case Step.HOUR:
            return moment.replace(minute=0, second=0).isoformat()
        case Step.DAY:
            return moment.date()
        case Step.WEEK:
            return moment.isocalendar()[:2]
        case Step.MONTH:
            return moment.year, moment.month


@given(
    zone=st.sampled_from(ZONES).map(ZoneInfo),
    step=st.sampled_from(Step),
    first=st.integers(1_700_000_000 // 900, 1_800_000_000 // 900),
    length=st.integers(1, 900),
)
def test_each_bucket_lies_in_the_part_that_the_calendar_says(
    zone: ZoneInfo, step: Step, first: int, length: int
) -> None:
    period = Period(start_ms=first * BUCKET_MS, end_ms=(first + length) * BUCKET_MS)
    parts = list(local_parts(period, zone=zone, step=step))
    assert [bucket for part in parts for bucket in part.buckets] == list(period.buckets())
    for part in parts:
        labels = {label(from_ms(bucket).astimezone(zone), step) for bucket in part.buckets}
        assert labels == {label(part.start, step)}
    assert len({label(part.start, step) for part in parts}) == len({part.key for part in parts}) == len(parts)


@pytest.mark.parametrize(
    ("zone", "step", "first", "last", "starts"),
    [
        (
            "Europe/Berlin",
            Step.DAY,
            (2026, 3, 28),
            (2026, 3, 30),
            ["03-28T00:00+01", "03-29T00:00+01", "03-30T00:00+02"],
        ),
        ("Europe/Berlin", Step.WEEK, (2026, 3, 28), (2026, 3, 30), ["03-23T00:00+01", "03-30T00:00+02"]),
        ("Europe/Berlin", Step.MONTH, (2026, 3, 28), (2026, 4, 2), ["03-01T00:00+01", "04-01T00:00+02"]),
        ("Asia/Kathmandu", Step.DAY, (2026, 5, 1), (2026, 5, 2), ["05-01T00:00+05", "05-02T00:00+05"]),
    ],
)
def test_parts_begin_by_the_venues_clock(
    zone: str, step: Step, first: tuple[int, int, int], last: tuple[int, int, int], starts: list[str]
) -> None:
    clock = ZoneInfo(zone)
    parts = list(local_parts(period_of(date(*first), date(*last), clock), zone=clock, step=step))
    assert [f"{part.start:%m-%dT%H:%M%z}"[:-2] for part in parts] == starts


def hours(part: LocalPart) -> float:
    return len(part.buckets) / 4


def test_days_on_which_clocks_change_are_shorter_or_longer() -> None:
    clock = ZoneInfo("Europe/Berlin")
    spring = local_parts(period_of(date(2026, 3, 28), date(2026, 3, 30), clock), zone=clock, step=Step.DAY)
    autumn = local_parts(period_of(date(2026, 10, 24), date(2026, 10, 26), clock), zone=clock, step=Step.DAY)
    assert [hours(part) for part in spring] == [24, 23, 24]
    assert [hours(part) for part in autumn] == [24, 25, 24]
