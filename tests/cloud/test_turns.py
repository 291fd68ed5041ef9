import threading

import pytest

from cloud.errors import Busy
from cloud.turns import Turns


def test_who_finds_no_place_is_refused_and_may_come_again() -> None:
    turns = Turns(at_once=2, waiting=0)
    with turns.take("first"), turns.take("second"), pytest.raises(Busy, match="come again"), turns.take("come again"):
        pass
    with turns.take("first"), turns.take("second"):
        pass


def test_who_waits_has_the_next_turn() -> None:
    turns, had = Turns(at_once=1, waiting=1), threading.Event()

    def wait() -> None:
        with turns.take("never"):
            had.set()

    waiting = threading.Thread(target=wait)
    with turns.take("never"):
        waiting.start()
        assert not had.wait(0.1)
    assert had.wait(10)
    waiting.join()


def test_work_that_fails_gives_its_turn_back() -> None:
    turns = Turns(at_once=1, waiting=0)
    for _ in range(2):
        with pytest.raises(ValueError, match="spoilt"), turns.take("never"):
            raise ValueError("spoilt")
