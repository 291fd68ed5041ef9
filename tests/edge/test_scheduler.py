import logging
from itertools import pairwise
from random import Random

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


@pytest.mark.parametrize(("carries", "said"), [(15.0, 1), (17.0, 0)], ids=["a little too little", "just enough"])
def test_a_steady_shortage_is_said_once_however_the_load_wavers(carries: float, said: int) -> None:
    box, random, overloaded = Box(*[10] * 8, carries=carries), Random(0), [False]
    for _ in range(720):
        box.carries = carries + random.gauss(0, 1)
        box.run(5)
        overloaded.append(box.scheduler.is_overloaded)
    assert sum(before != now for before, now in pairwise(overloaded)) == said
    box.carries = 30
    box.run(90)
    assert not box.scheduler.is_overloaded


def test_an_overload_is_said_within_half_a_minute_and_taken_back_after_a_good_minute() -> None:
    box = Box(10, 2, carries=1)
    box.run(10)
    assert not box.scheduler.is_overloaded
    box.run(20)
    assert box.scheduler.is_overloaded
    box.carries = 50
    box.run(50)
    assert box.scheduler.is_overloaded
    box.run(15)
    assert not box.scheduler.is_overloaded


def test_what_a_box_carries_is_tried_seldom_once_it_is_known_and_lowered_at_once() -> None:
    box, shares = Box(*[10] * 8, carries=46), list[float]()
    box.run(300)
    for _ in range(120):
        box.run(5)
        shares.append(box.scheduler.share)
    assert sum(now > before for before, now in pairwise(shares)) <= 12
    assert min(shares) > 0.56
    box.carries = 30
    box.run(5.25)
    assert sum(box.rates) == pytest.approx(30, rel=0.1)


def test_where_nothing_is_sampled_nothing_can_be_lowered() -> None:
    scheduler = Scheduler({})
    for second in range(20):
        scheduler.update(second, {"still": Counters(received=second, dropped=second)})
    assert (scheduler.is_overloaded, scheduler.share) == (False, 1.0)
