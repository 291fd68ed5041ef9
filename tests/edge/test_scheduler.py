import logging

import pytest

from edge.camera.latest import Counters
from edge.camera.sampling import Sampler
from edge.scheduler import Scheduler


class Box:
    """A machine that analyses so many frames a second, and its cameras, whose samplers the scheduler sets."""

    def __init__(self, *rates: float, carries: float) -> None:
        self.samplers = {f"camera-{number}": Sampler(rate=rate) for number, rate in enumerate(rates)}
        self.scheduler = Scheduler(self.samplers)
        self.carries = carries
        self.now = 1000.0
        self._handed = dict.fromkeys(self.samplers, 0.0)
        self._dropped = dict.fromkeys(self.samplers, 0.0)

    @property
    def rates(self) -> list[float]:
        return [sampler.rate or 0.0 for sampler in self.samplers.values()]

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds * 4)):
            asked = sum(self.rates)
            lost = max(0.0, 1 - self.carries / asked)
            for name, sampler in self.samplers.items():
                self._handed[name] += (sampler.rate or 0.0) / 4
                self._dropped[name] += (sampler.rate or 0.0) / 4 * lost
            self.now += 0.25
            self.scheduler.update(self.now, {name: self._counted(name) for name in self.samplers})

    def _counted(self, name: str) -> Counters:
        handed = round(self._handed[name])
        return Counters(received=2 * handed, skipped=handed, dropped=round(self._dropped[name]))


def test_a_box_that_keeps_up_leaves_all_rates_alone() -> None:
    box = Box(10, 5, carries=20)
    box.run(60)
    assert box.rates == [10, 5]
    assert not box.scheduler.is_overloaded


def test_overload_lowers_all_rates_alike_to_what_the_box_carries(caplog: pytest.LogCaptureFixture) -> None:
    box = Box(10, 10, 5, carries=15)
    box.run(60)
    assert sum(box.rates) == pytest.approx(15, rel=0.08)
    assert box.rates[0] == box.rates[1] == pytest.approx(2 * box.rates[2])
    assert box.scheduler.share == pytest.approx(0.6, rel=0.08)
    (said,) = caplog.records
    assert "60 % of the frames" in said.getMessage()


def test_rates_rise_again_when_the_load_is_gone(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    box = Box(10, 10, carries=10)
    box.run(30)
    box.carries = 50
    box.run(90)
    assert box.rates == [10, 10]
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


def test_no_rate_sinks_below_what_people_can_be_followed_at_and_then_the_box_is_overloaded() -> None:
    box = Box(10, 2, carries=1)
    box.run(60)
    assert box.rates == [2, 2]
    assert box.scheduler.is_overloaded
    box.carries = 50
    box.run(120)
    assert box.rates == [10, 2]
    assert not box.scheduler.is_overloaded


def test_where_nothing_is_sampled_nothing_can_be_lowered() -> None:
    scheduler = Scheduler({})
    for second in range(20):
        scheduler.update(second, {"still": Counters(received=second, dropped=second)})
    assert (scheduler.is_overloaded, scheduler.share) == (False, 1.0)
