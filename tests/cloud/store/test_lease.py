import threading

import pytest
from sqlalchemy import Engine

from cloud.store.engine import writing
from cloud.store.lease import LEASE_MS, hold_lease, leave_lease

START = 1_800_000_000_000


def hold(engine: Engine, holder: str, now_ms: int) -> int | None:
    with writing(engine) as connection:
        return hold_lease(connection, task="alerts", holder=holder, now_ms=now_ms)


def test_a_task_has_one_holder_until_the_lease_lapses(engine: Engine) -> None:
    assert hold(engine, "first", START) == START
    assert hold(engine, "second", START + LEASE_MS - 1) is None
    assert hold(engine, "first", START + LEASE_MS - 1) == START
    assert hold(engine, "second", START + LEASE_MS) is None
    assert hold(engine, "second", START + 2 * LEASE_MS) == START


def test_after_a_break_the_task_begins_anew(engine: Engine) -> None:
    hold(engine, "first", START)
    late = START + 2 * LEASE_MS + 1
    assert hold(engine, "first", late) == late


@pytest.mark.parametrize("holder", ["first", "second"])
def test_a_lease_from_a_clock_that_ran_ahead_has_lapsed(engine: Engine, holder: str) -> None:
    hold(engine, "first", START + 365 * 86_400_000)
    assert hold(engine, holder, START) == START
    assert hold(engine, "third", START) is None


def test_a_lease_of_a_machine_whose_clock_differs_a_little_is_kept(engine: Engine) -> None:
    hold(engine, "first", START + LEASE_MS - 1)
    assert hold(engine, "second", START) is None


def test_whoever_leaves_lets_others_in_at_once(engine: Engine) -> None:
    hold(engine, "first", START)
    with writing(engine) as connection:
        leave_lease(connection, task="alerts", holder="second", now_ms=START + 5)
    assert hold(engine, "second", START + 10) is None
    with writing(engine) as connection:
        leave_lease(connection, task="alerts", holder="first", now_ms=START + 10)
    assert hold(engine, "second", START + 10) == START


def test_tasks_do_not_disturb_each_other(engine: Engine) -> None:
    hold(engine, "first", START)
    with writing(engine) as connection:
        assert hold_lease(connection, task="other", holder="second", now_ms=START) == START


@pytest.mark.parametrize("is_there", [False, True], ids=["a lease that nobody took", "a lease that lapsed"])
def test_of_many_that_ask_at_once_one_gets_it(engine: Engine, is_there: bool) -> None:
    if is_there:
        hold(engine, "gone", START - 10 * LEASE_MS)
    start, held = threading.Barrier(8), []

    def ask(name: str) -> None:
        start.wait()
        if hold(engine, name, START) is not None:
            held.append(name)

    threads = [threading.Thread(target=ask, args=(f"worker-{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(held) == 1
