from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from cloud.opening import OpeningHours, scheduled_ms_by_bucket
from cloud.periods import Period, day_of
from cloud.store.moments import to_ms

BERLIN = ZoneInfo("Europe/Berlin")
FOREVER = to_ms(datetime(2100, 1, 1, tzinfo=UTC))


def _hours(weekly: dict[str, list[list[str]]] | None = None, closed: list[str] | None = None) -> OpeningHours:
    return OpeningHours.model_validate({"weekly": weekly, "closed_days": closed or []})


def _day(day: str, zone: ZoneInfo = BERLIN) -> Period:
    return day_of(to_ms(datetime.fromisoformat(f"{day}T12:00:00").replace(tzinfo=zone)), zone=zone)


def _seconds(hours: OpeningHours, period: Period, *, until_ms: int = FOREVER, zone: ZoneInfo = BERLIN) -> float:
    return sum(scheduled_ms_by_bucket(hours, period=period, until_ms=until_ms, zone=zone).values()) / 1000


@pytest.mark.parametrize(
    ("weekly", "closed", "day", "hours"),
    [
        pytest.param(None, [], "2026-11-20", 24, id="says nothing: always open"),
        pytest.param(None, [], "2026-03-29", 23, id="always open while clocks go forward"),
        pytest.param(None, [], "2026-10-25", 25, id="always open while clocks go back"),
        pytest.param(None, ["2026-11-20"], "2026-11-20", 0, id="always open but for a closed day"),
        pytest.param({}, [], "2026-11-20", 0, id="no weekday named: closed"),
        pytest.param({"fri": [["09:00", "18:30"]]}, [], "2026-11-20", 9.5, id="an ordinary Friday"),
        pytest.param({"fri": [["09:00", "13:00"], ["14:00", "18:00"]]}, [], "2026-11-20", 8, id="a lunch break"),
        pytest.param({"fri": [["20:00", "02:00"]]}, [], "2026-11-20", 4, id="until after midnight: before"),
        pytest.param({"fri": [["20:00", "02:00"]]}, [], "2026-11-21", 2, id="until after midnight: after"),
        pytest.param({"fri": [["20:00", "02:00"]]}, ["2026-11-21"], "2026-11-21", 2, id="last night is no closed day"),
        pytest.param({"fri": [["00:00", "24:00"]]}, [], "2026-11-20", 24, id="all of Friday"),
        pytest.param({"fri": [["00:00", "00:00"]]}, [], "2026-11-20", 24, id="midnight to midnight"),
        pytest.param(
            {"fri": [["20:00", "04:00"]], "sat": [["02:00", "06:00"]]}, [], "2026-11-21", 6, id="overlaps once"
        ),
        pytest.param({"sun": [["01:00", "04:00"]]}, [], "2026-03-29", 2, id="the hour that is skipped"),
        pytest.param({"sun": [["01:00", "04:00"]]}, [], "2026-10-25", 4, id="the hour that comes twice"),
    ],
)
def test_hours_of_a_day(weekly: dict[str, list[list[str]]] | None, closed: list[str], day: str, hours: float) -> None:
    assert _seconds(_hours(weekly, closed), _day(day)) == hours * 3600


def test_only_the_part_of_a_bucket_that_is_open_is_scheduled() -> None:
    scheduled = scheduled_ms_by_bucket(
        _hours({"fri": [["09:05", "09:20"]]}), period=_day("2026-11-20"), until_ms=FOREVER, zone=BERLIN
    )
    nine = to_ms(datetime(2026, 11, 20, 8, tzinfo=UTC))
    assert scheduled == {nine: 600_000, nine + 900_000: 300_000}


def test_nothing_is_scheduled_in_the_future() -> None:
    period, hours = _day("2026-11-20"), _hours({"fri": [["09:00", "18:00"]]})
    noon = to_ms(datetime(2026, 11, 20, 11, tzinfo=UTC))
    assert _seconds(hours, period, until_ms=noon) == 3 * 3600
    assert _seconds(hours, period, until_ms=period.start_ms - 1) == 0


def test_hours_follow_the_zone() -> None:
    kathmandu = ZoneInfo("Asia/Kathmandu")
    scheduled = scheduled_ms_by_bucket(
        _hours({"fri": [["09:00", "10:00"]]}), period=_day("2026-11-20", kathmandu), until_ms=FOREVER, zone=kathmandu
    )
    assert min(scheduled) == to_ms(datetime(2026, 11, 20, 3, 15, tzinfo=UTC))
    assert sum(scheduled.values()) == 3_600_000


def test_a_week_is_the_sum_of_its_days() -> None:
    hours = _hours({day: [["22:00", "03:30"]] for day in ("mon", "wed", "sat", "sun")}, ["2026-11-18"])
    days = [date(2026, 11, 16) + timedelta(days=number) for number in range(7)]
    whole = Period(start_ms=_day("2026-11-16").start_ms, end_ms=_day("2026-11-22").end_ms)
    assert _seconds(hours, whole) == sum(_seconds(hours, _day(str(day))) for day in days)
