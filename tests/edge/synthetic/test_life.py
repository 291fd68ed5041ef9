import itertools
from random import Random

import numpy as np
import pytest

from edge.synthetic.life import BRISK, UNHURRIED, Crowd, Habits, Person, arriving, visitors
from edge.synthetic.plan import BLOCKS, DOORWAY_X, QUEUE_X
from edge.synthetic.truth import in_line, stay_of


def people(*, seed: int = 1, habits: Habits = BRISK, per_minute: float = 12.0, minutes: float = 30) -> list[Person]:
    arrivals = list(arriving(Random(seed), per_minute=per_minute, until=minutes * 60))
    return sorted(visitors(Random(seed), arrivals, habits), key=lambda person: person.id)


def test_the_same_seed_gives_the_same_walks() -> None:
    one, other = people(), people()
    assert len(one) == len(other) > 300
    assert all((a.times == b.times).all() and (a.places == b.places).all() for a, b in zip(one, other, strict=True))


def test_people_arrive_at_the_rate_that_is_asked() -> None:
    assert len(list(arriving(Random(1), per_minute=10, until=6000))) == pytest.approx(1000, abs=100)
    assert list(arriving(Random(1), per_minute=0, until=6000)) == []


def test_nobody_walks_through_anything() -> None:
    for person in people():
        moments = np.arange(person.times[0], person.times[-1], 0.1)
        x, y = (np.interp(moments, person.times, person.places[:, axis]) for axis in (0, 1))
        for block in BLOCKS:
            ground = block.ground
            inside = (x > ground.left) & (x < ground.right) & (y > ground.bottom) & (y < ground.top)
            assert not inside.any(), f"person {person.id} walks through {block}"
        at_the_wall = np.abs(y) < 0.1
        assert ((x[at_the_wall] > DOORWAY_X[0]) & (x[at_the_wall] < DOORWAY_X[1])).all()


@pytest.mark.parametrize("habits", [BRISK, UNHURRIED], ids=["brisk", "unhurried"])
def test_nobody_runs_and_time_goes_on(habits: Habits) -> None:
    for person in people(habits=habits):
        seconds = np.diff(person.times)
        metres = np.hypot(*np.diff(person.places, axis=0).T)
        assert (seconds > 0).all()
        assert (metres / seconds).max() < 1.5


def test_the_line_at_the_till_is_first_come_first_served_one_at_a_time_and_a_step_apart() -> None:
    shoppers = people(per_minute=20)
    stays = [stay_of(person) for person in shoppers]
    served = sorted(
        (stay.queue.served_at, stay.queue.left_at, stay.queue.joined_at)
        for stay in stays
        if stay.queue is not None and stay.queue.served_at is not None
    )
    assert len(served) > 50
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(served))
    assert max(in_line(stays, moment) for moment in np.arange(0, 1800, 5.0)) >= 4
    gave_up = [stay.queue for stay in stays if stay.queue is not None and stay.queue.served_at is None]
    assert gave_up
    assert all(wait.wait_seconds >= BRISK.patience_seconds[0] for wait in gave_up)
    for moment in np.arange(0, 1800, 5.0):
        standing = sorted(
            posture.place[1]
            for person in shoppers
            if person.queue is not None
            and person.queue.joined_at <= moment < person.queue.left_at
            and not (posture := person.posture(moment)).walking
            and posture.place[0] == QUEUE_X
        )
        assert all(after - before > 0.7 for before, after in itertools.pairwise(standing))


def test_some_come_in_pairs_and_some_meet() -> None:
    shoppers = people()
    together = [
        b
        for a, b in itertools.pairwise(shoppers)
        if len(a.times) == len(b.times) and np.hypot(*(a.places - b.places).T).max() < 0.5
    ]
    assert len(together) > 10


def test_a_crowd_holds_whoever_is_there() -> None:
    everybody = people(minutes=10)
    crowd = Crowd(visitors(Random(1), arriving(Random(1), per_minute=12.0, until=600)))
    for moment in np.arange(0, 900, 7.0):
        there = [person.id for person in everybody if person.times[0] <= moment <= person.times[-1]]
        assert [person.id for person in crowd.at(moment)] == there
    assert crowd.at(5000.0) == []
