from cloud.access.limits import MovingWindow, Places, Taken

SECOND, MINUTE = 1_000, 60_000
START = 1_000 * MINUTE


def test_so_many_a_minute_and_no_more_wherever_the_minute_begins() -> None:
    window = MovingWindow(3)
    taken = [window.take("ada", now_ms=START + second * SECOND) for second in (0, 30, 50)]
    assert [one.remaining for one in taken] == [2, 1, 0]
    over = window.take("ada", now_ms=START + 59 * SECOND)
    assert (over.is_over, over.remaining, over.reset_seconds, over.limit) == (True, 0, 1, 3)
    assert not window.take("ada", now_ms=START + 60 * SECOND).is_over
    assert window.take("ada", now_ms=START + 89 * SECOND).is_over
    assert not window.take("ada", now_ms=START + 90 * SECOND).is_over


def test_what_is_refused_does_not_count() -> None:
    window = MovingWindow(1)
    for second in range(60):
        assert window.take("ada", now_ms=START + second * SECOND).is_over == (second > 0)
    assert not window.take("ada", now_ms=START + MINUTE).is_over


def test_one_does_not_take_from_another_and_forgiven_is_forgotten() -> None:
    window = MovingWindow(1)
    assert not window.take("ada", now_ms=START).is_over
    assert not window.take(("ada", 2), now_ms=START).is_over
    assert window.take("ada", now_ms=START).is_over
    window.forgive("ada")
    assert not window.take("ada", now_ms=START).is_over


def test_a_clock_that_is_set_back_locks_nobody_out() -> None:
    window = MovingWindow(2)
    for _ in range(3):
        window.take("ada", now_ms=START + 1_000 * MINUTE)
    assert not window.take("ada", now_ms=START).is_over


def test_those_who_were_quiet_for_a_minute_are_forgotten() -> None:
    window = MovingWindow(2)
    for number in range(5_000):
        window.take(number, now_ms=START + number * SECOND)
    assert len(window._taken) < 1_100


def test_places_are_so_many_for_one_and_so_many_for_all() -> None:
    places = Places(of_one=2, of_all=3)
    assert [places.take(name) for name in ("ada", "ada", "ada", "bob", "bob")] == [
        Taken.YOURS, Taken.YOURS, Taken.TOO_MANY_OF_YOURS, Taken.YOURS, Taken.ALL_TAKEN,
    ]  # fmt: skip
    assert places.take("owner", is_limited=False) is Taken.ALL_TAKEN
    places.leave("ada")
    assert places.take("ada") is Taken.YOURS
    for name in ("ada", "ada", "bob"):
        places.leave(name)
    assert not places._taken
