import time
from datetime import UTC, datetime, timedelta

import pytest

from edge import clock
from edge.clock import Fix, Trust, better, cloud_fix, system_fix, to_utc
from protocol.envelope import ClockSource


def ntp(offset_ms: int) -> Fix:
    return Fix(offset_ms=offset_ms, source=ClockSource.NTP, uncertainty_ms=100)


def hardware(offset_ms: int) -> Fix:
    return Fix(offset_ms=offset_ms, source=ClockSource.HARDWARE, uncertainty_ms=None)


def cloud(offset_ms: int, uncertainty_ms: int) -> Fix:
    return Fix(offset_ms=offset_ms, source=ClockSource.CLOUD, uncertainty_ms=uncertainty_ms)


@pytest.mark.parametrize(
    ("known", "offered", "is_better"),
    [
        pytest.param(None, cloud(0, 9_000), True, id="anything beats nothing"),
        pytest.param(cloud(0, 1), ntp(5), True, id="ntp beats the cloud, however sure"),
        pytest.param(ntp(0), cloud(10**9, 1), False, id="the cloud never beats ntp"),
        pytest.param(ntp(0), ntp(50), False, id="ntp that only steers changes nothing"),
        pytest.param(ntp(0), ntp(51), True, id="ntp that steps replaces"),
        pytest.param(hardware(0), ntp(5), True, id="ntp beats a clock that is trusted without it"),
        pytest.param(ntp(0), hardware(10**9), False, id="which never beats ntp"),
        pytest.param(cloud(0, 1), hardware(5), True, id="but the cloud"),
        pytest.param(hardware(0), cloud(10**9, 1), False, id="which never beats it"),
        pytest.param(hardware(0), hardware(50), False, id="a trusted clock that drifts a little"),
        pytest.param(hardware(0), hardware(51), True, id="a trusted clock that was set"),
        pytest.param(cloud(0, 500), cloud(100, 400), True, id="a surer answer of the cloud"),
        pytest.param(cloud(0, 400), cloud(100, 500), False, id="a vaguer answer that agrees"),
        pytest.param(cloud(0, 400), cloud(901, 500), True, id="a vaguer answer that contradicts"),
        pytest.param(cloud(0, 400), cloud(900, 500), False, id="a vaguer answer at the edge of agreeing"),
    ],
)
def test_which_fix_is_better(known: Fix | None, offered: Fix, is_better: bool) -> None:
    assert better(known, offered) is is_better


def test_a_fix_of_the_cloud_holds_the_truth_within_its_uncertainty() -> None:
    start = datetime(2026, 3, 1, tzinfo=UTC)
    for said_after in (0.0, 0.7, 2.0):
        fix = cloud_fix(asked=10.0, answered=12.0, cloud_at=start + timedelta(seconds=10 + said_after))
        assert abs(fix.offset_ms - start.timestamp() * 1000) <= (fix.uncertainty_ms or 0) == 1000


def test_an_instant_answer_is_not_called_certain() -> None:
    assert cloud_fix(asked=1.0, answered=1.0, cloud_at=datetime(2026, 3, 1, tzinfo=UTC)).uncertainty_ms == 1


def test_the_system_clock_counts_when_it_is_to_be_trusted() -> None:
    fix = system_fix(Trust.ALWAYS)
    assert fix is not None
    assert abs(to_utc(round(clock.monotonic() * 1000) + fix.offset_ms).timestamp() - time.time()) < 1


@pytest.mark.parametrize(
    ("disciplined", "source", "uncertainty_ms"), [(True, ClockSource.NTP, 100), (False, ClockSource.HARDWARE, None)]
)
def test_a_clock_that_is_trusted_without_ntp_is_not_called_ntp(
    monkeypatch: pytest.MonkeyPatch, disciplined: bool, source: ClockSource, uncertainty_ms: int | None
) -> None:
    monkeypatch.setattr(clock, "disciplined", lambda: disciplined)
    fix = system_fix(Trust.ALWAYS)
    assert fix is not None
    assert (fix.source, fix.uncertainty_ms) == (source, uncertainty_ms)


def test_ntp_is_believed_only_when_the_kernel_is_disciplined(monkeypatch: pytest.MonkeyPatch) -> None:
    for disciplined in (True, False):
        monkeypatch.setattr(clock, "disciplined", lambda answer=disciplined: answer)
        assert (system_fix(Trust.NTP) is not None) is disciplined


def test_a_clock_that_lost_its_battery_is_never_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 40.0)
    assert system_fix(Trust.ALWAYS) is None


def test_monotonic_time_is_that_of_the_boot() -> None:
    assert clock.monotonic() == pytest.approx(time.clock_gettime(time.CLOCK_BOOTTIME), abs=1)
    assert clock.boot_id() == clock.boot_id()
    assert len(clock.boot_id()) == 36


@pytest.mark.parametrize("utc_ms", [1_772_366_400_000, 1_772_366_400_001, 1_772_366_400_999])
def test_milliseconds_become_utc_exactly(utc_ms: int) -> None:
    assert round(to_utc(utc_ms).timestamp() * 1000) == utc_ms
    assert to_utc(utc_ms).microsecond == utc_ms % 1000 * 1000
