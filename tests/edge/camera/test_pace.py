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


def test_real_time_waits_for_each_frames_distance_from_the_first() -> None:
    wall = Wall()
    pace = RealTime(clock=wall.read, sleep=wall.sleep)
    for at in (50.0, 50.1, 50.4):
        pace.keep(at)
    assert wall.slept == [0.1, 0.3]


def test_a_late_frame_is_handed_on_at_once_and_the_next_are_on_time() -> None:
    wall = Wall()
    pace = RealTime(clock=wall.read, sleep=wall.sleep)
    pace.keep(0.0)
    wall.now += 0.25
    pace.keep(0.1)
    pace.keep(0.3)
    assert wall.slept == [0.05]


def test_as_fast_as_possible_holds_nothing_back() -> None:
    pace = AsFastAsPossible()
    for at in (0.0, 1e9):
        pace.keep(at)
