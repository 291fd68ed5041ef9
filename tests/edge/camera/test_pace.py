from edge.camera.pace import AsFastAsPossible, RealTime


class Wall:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def read(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 6))
        self.now += seconds


def test_real_time_waits_for_each_frames_moment() -> None:
    wall = Wall()
    pace = RealTime(clock=wall.read, sleep=wall.sleep)
    for at in (1000.0, 1000.1, 1000.4):
        pace.keep(at)
    assert wall.slept == [0.1, 0.3]


def test_a_late_frame_is_handed_on_at_once_and_the_next_are_on_time() -> None:
    wall = Wall()
    pace = RealTime(clock=wall.read, sleep=wall.sleep)
    wall.now += 0.25
    for at in (1000.0, 1000.1, 1000.3):
        pace.keep(at)
    assert wall.slept == [0.05], "a slow start is made up for, and does not stay as a lag"


def test_a_frame_is_late_when_its_moment_is_half_a_second_gone() -> None:
    wall = Wall()
    pace = RealTime(clock=wall.read, sleep=wall.sleep)
    assert [pace.is_late(at) for at in (999.0, 999.4, 999.6, 1000.0, 1001.0)] == [True, True, False, False, False]


def test_as_fast_as_possible_holds_nothing_back() -> None:
    pace = AsFastAsPossible()
    for at in (0.0, 1e9):
        pace.keep(at)
        assert not pace.is_late(at)
