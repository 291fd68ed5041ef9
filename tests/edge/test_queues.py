from collections.abc import Iterable

import numpy as np
import pytest

from edge.detector.detections import Detections
from edge.queues import QueueTally, QueueWatch
from edge.scene import Scene
from edge.settings import CameraSettings
from edge.synthetic.film import Film
from edge.synthetic.lens import lens_of
from edge.synthetic.life import seeded_visitors
from edge.synthetic.plan import QUEUE, ZONES
from edge.synthetic.sight import IN_SIGHT
from protocol.histograms import bin_of, percentile

LINE, TILL, AWAY = "line", "till", "away"
Place = tuple[int, float, float, str]
"""A person is somewhere from one moment on up to another."""


def watched(*places: Place, until: float = 90.0, rate: float = 5.0, has_till: bool = True) -> QueueTally:
    queue = QueueWatch("queue", has_till=has_till)
    for frame in range(round(until * rate)):
        at = frame / rate
        there = sorted((person, where) for person, start, end, where in places if start <= at < end)
        ids = np.array([person for person, _ in there], np.int64)
        in_line, at_till = (np.array([spot == where for _, spot in there], np.bool_) for where in (LINE, TILL))
        queue.update(ids, in_line, at_till, at, passed_ms=round(1000 / rate) if frame else 0)
    return queue.minute()


def waits(tally: QueueTally) -> dict[int, int]:
    return {number: count for number, count in enumerate(tally.waits) if count}


def in_bins(*seconds: float) -> dict[int, int]:
    return {bin_of(one): seconds.count(one) for one in seconds}


def test_who_waits_and_is_served_has_waited_from_joining_to_leaving_the_line() -> None:
    tally = watched((1, 0, 5, AWAY), (1, 5, 42, LINE), (1, 42, 60, TILL), (1, 60, 70, AWAY))
    assert (tally.served, tally.abandoned, waits(tally)) == (1, 0, in_bins(37))
    assert tally.person_ms == pytest.approx(37_000, abs=300)
    assert tally.max_length == 1


def test_who_leaves_without_being_served_has_given_up() -> None:
    tally = watched((1, 5, 42, LINE), (1, 42, 60, AWAY))
    assert (tally.served, tally.abandoned, waits(tally)) == (0, 1, in_bins(37))


def test_who_walks_through_has_not_waited() -> None:
    tally = watched((1, 0, 5, AWAY), (1, 5, 9, LINE), (1, 9, 30, AWAY))
    assert (tally.served, tally.abandoned, waits(tally)) == (0, 0, {})


def test_who_comes_past_an_empty_line_is_served_after_no_wait() -> None:
    tally = watched((1, 0, 5, AWAY), (1, 5, 30, TILL), (1, 30, 40, AWAY))
    assert (tally.served, tally.abandoned, waits(tally)) == (1, 0, in_bins(0))


def test_who_walks_past_the_till_is_not_served() -> None:
    assert watched((1, 0, 5, AWAY), (1, 5, 7, TILL), (1, 7, 30, AWAY)).served == 0


def test_a_step_out_of_the_line_is_no_end_of_the_wait() -> None:
    tally = watched((1, 0, 20, LINE), (1, 20, 24, AWAY), (1, 24, 50, LINE), (1, 50, 60, TILL))
    assert (tally.served, tally.abandoned, waits(tally)) == (1, 0, in_bins(50))


def test_who_is_hidden_in_the_line_still_waits_and_may_come_out_of_it_under_another_number() -> None:
    tally = watched((1, 0, 30, LINE), (2, 33, 50, LINE), (2, 50, 60, TILL))
    assert (tally.served, tally.abandoned, waits(tally)) == (1, 0, in_bins(50))
    assert tally.max_length == 1
    assert tally.person_ms == pytest.approx(50_000, abs=300)


def test_who_joins_the_line_takes_nobodys_wait() -> None:
    tally = watched((1, 0, 30, LINE), (2, 20, 33, AWAY), (2, 33, 50, LINE), (2, 50, 60, TILL))
    assert (tally.served, waits(tally)) == (1, in_bins(17))


def test_who_is_lost_at_the_till_is_not_served_twice() -> None:
    assert watched((1, 0, 20, LINE), (1, 20, 40, TILL), (2, 42, 60, TILL)).served == 1


def test_who_walks_off_in_sight_leaves_nothing_to_who_comes_next_to_the_till() -> None:
    tally = watched((1, 0, 20, LINE), (1, 20, 40, TILL), (1, 40, 60, AWAY), (2, 42, 60, TILL))
    assert (tally.served, waits(tally)) == (2, in_bins(20, 0))


def test_who_steps_back_from_the_till_waits_no_more() -> None:
    tally = watched((1, 0, 20, LINE), (1, 20, 40, TILL), (1, 40, 50, LINE), (1, 50, 60, AWAY))
    assert (tally.served, tally.abandoned, waits(tally)) == (1, 0, in_bins(20))


def test_without_a_till_whoever_stood_in_line_was_served() -> None:
    tally = watched((1, 0, 20, LINE), (1, 20, 30, AWAY), (2, 0, 3, LINE), (2, 3, 30, AWAY), has_till=False)
    assert (tally.served, tally.abandoned, waits(tally)) == (1, 0, in_bins(20))


def test_nobody_says_what_became_of_who_left_before_an_outage() -> None:
    queue = QueueWatch("queue", has_till=True)
    one, yes, no = np.array([1]), np.array([True]), np.array([False])
    for at in range(30):
        queue.update(one, yes, no, float(at), passed_ms=1000)
    queue.update(one, no, no, 30.0, passed_ms=1000)
    queue.update(np.empty(0, np.int64), np.empty(0, np.bool_), np.empty(0, np.bool_), 600.0, passed_ms=0)
    tally = queue.minute()
    assert (tally.served, tally.abandoned, tally.person_ms) == (0, 0, 30_000)


@pytest.mark.parametrize(("elder", "younger"), [(LINE, LINE), (LINE, AWAY), (AWAY, LINE), (TILL, LINE)])
def test_two_who_turn_out_to_be_one_wait_once(elder: str, younger: str) -> None:
    """Both stood in line; then they are seen here and there until they are known to be one, who is served."""
    queue = QueueWatch("queue", has_till=True)
    for at in range(100):
        where = {1: LINE, 2: LINE} if at < 30 else {1: elder, 2: younger} if at < 33 else {1: TILL if at < 60 else AWAY}
        if at == 33:
            queue.merge(1, 2)
        in_line, at_till = (np.array([spot == here for here in where.values()], np.bool_) for spot in (LINE, TILL))
        queue.update(np.array(list(where), np.int64), in_line, at_till, float(at), passed_ms=1000)
        assert at < 33 or queue.length == 0
    tally = queue.minute()
    assert (tally.served, tally.abandoned) == (1, 0)


def test_whose_number_was_anothers_leaves_no_wait_to_who_comes_next() -> None:
    queue = QueueWatch("queue", has_till=True)
    for at in range(30):
        people = [1, 2] if at < 10 else [1, 3] if at >= 20 else [1]
        if at == 10:
            queue.merge(1, 2)
        everybody = np.ones(len(people), np.bool_)
        queue.update(np.array(people, np.int64), everybody, ~everybody, float(at), passed_ms=1000)
        assert queue.length == len(people)
    for at in range(30, 40):
        queue.update(np.array([1, 3]), np.array([True, False]), np.array([False, at > 30]), float(at), passed_ms=1000)
    assert waits(queue.minute()) == in_bins(10)


def test_each_minute_has_its_own_sums_and_goes_on_from_the_length_before() -> None:
    queue = QueueWatch("queue", has_till=True)
    two, yes, no = np.array([1, 2]), np.array([True, True]), np.array([False, False])
    queue.update(two, yes, no, 0.0, passed_ms=0)
    queue.update(two, yes, no, 1.0, passed_ms=1000)
    assert (queue.minute().person_ms, queue.length) == (2000, 2)
    assert (queue.minute().person_ms, queue.minute().max_length) == (0, 2)


SLOW = pytest.mark.acceptance


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=SLOW), pytest.param(3, marks=SLOW)])
def test_a_busy_till_is_told_within_a_tenth(seed: int) -> None:
    """Ten minutes with about thirty-five at the till, as a perfect detector sees them."""
    seconds = 600.0
    tally = _till(seed, seconds)
    true = [person.queue for person in seeded_visitors(seed, per_minute=12, until=seconds)]
    ended = [wait for wait in true if wait is not None and wait.joined_at + wait.wait_seconds < seconds]
    served = sum(wait.served_at is not None for wait in ended)
    spent = sum(
        min(seconds, wait.joined_at + wait.wait_seconds) - min(seconds, wait.joined_at)
        for wait in true
        if wait is not None
    )
    assert served >= 30
    assert tally.served == pytest.approx(served, rel=0.1)
    assert tally.abandoned == pytest.approx(len(ended) - served, rel=0.1, abs=1)
    assert tally.person_ms / 1000 == pytest.approx(spent, rel=0.1)
    for share in (0.5, 0.9):
        true_wait = percentile(_histogram(wait.wait_seconds for wait in ended), share)
        assert percentile(tally.waits, share) == pytest.approx(true_wait, rel=0.1, abs=1.5)


def _histogram(seconds: Iterable[float]) -> list[int]:
    counts = [0] * 24
    for one in seconds:
        counts[bin_of(one)] += 1
    return counts


def _till(seed: int, seconds: float) -> QueueTally:
    lens = lens_of("till", (640, 480))
    image_points, floor_points = lens.calibration()
    polygons = {zone.id: zone.area.polygon for zone in ZONES}
    camera = CameraSettings.model_validate(
        {
            "id": "till",
            "image_size": [640, 480],
            "synthetic": {},
            "calibration": {"floor": "ground", "image_points": image_points, "floor_points": floor_points},
            "zone": [
                {"id": QUEUE.id, "kind": "queue", "polygon": polygons[QUEUE.id], "served_in": "till"},
                {"id": "till", "polygon": polygons["till"]},
            ],
        }
    )
    scene = Scene([camera], box="box-1", image_sizes={"till": (640, 480)})
    for frame in Film(seed=seed, lens=lens, seconds=seconds, people_per_minute=12, rate=5).truth().frames:
        seen = frame.visible >= IN_SIGHT
        boxes = Detections(boxes=frame.boxes[seen], confidence=np.full(int(seen.sum()), 0.9, np.float32))
        scene.observe(boxes, at=frame.at, image_size=(640, 480))
    (minute,) = scene.minutes(began=0.0, ended=seconds)
    (tally,) = minute.queues
    return tally
