import itertools
from random import Random

import pytest

from edge.camera.presentation import MINIMUM_STEP_SECONDS, PresentationClock

BOX_START = 5000.0
INTERVAL = 0.1


def shown(clock: PresentationClock, times: list[tuple[float | None, float]]) -> list[float]:
    return [clock.at(time, arrived=arrived) for time, arrived in times]


def intervals(moments: list[float]) -> list[float]:
    return [after - before for before, after in itertools.pairwise(moments)]


def test_the_first_frame_is_shown_when_it_arrives() -> None:
    assert PresentationClock().at(77.0, arrived=BOX_START) == BOX_START


def test_jitter_of_arrivals_does_not_move_the_moments() -> None:
    random = Random(1)
    times = [(i * INTERVAL, BOX_START + i * INTERVAL + random.expovariate(20)) for i in range(3000)]
    moments = shown(PresentationClock(), [(time, arrived) for time, arrived in times])
    assert intervals(moments) == pytest.approx([INTERVAL] * 2999, abs=0.0051)
    assert sum(abs(step - INTERVAL) > 0.001 for step in intervals(moments[300:])) < 27
    assert all(abs(at - (BOX_START + i * INTERVAL)) < 0.03 for i, at in enumerate(moments) if i >= 600)


def test_irregular_intervals_of_the_camera_are_kept() -> None:
    steps = [0.04, 0.2, 0.04, 1.5, 0.066, 0.1]
    times = [sum(steps[:i]) for i in range(len(steps) + 1)]
    moments = shown(PresentationClock(), [(time, BOX_START + time) for time in times])
    assert intervals(moments) == pytest.approx(steps)


def test_a_pause_of_the_network_keeps_the_real_moments() -> None:
    """Three seconds arrive late and at once, as TCP delivers after a hiccup: they were filmed evenly."""
    times = [i * INTERVAL for i in range(100)]
    arrivals = [BOX_START + (8.0 if 5.0 <= time < 8.0 else time) for time in times]
    moments = shown(PresentationClock(), list(zip(times, arrivals, strict=True)))
    assert intervals(moments) == pytest.approx([INTERVAL] * 99, abs=0.0051)


@pytest.mark.parametrize("jump", [-3600.0, -0.5, 3600.0, 2.0], ids=["far back", "a little back", "far on", "on"])
def test_a_jump_of_the_streams_times_anchors_anew(jump: float) -> None:
    times = [(i * INTERVAL + (jump if i >= 50 else 0.0), BOX_START + i * INTERVAL) for i in range(100)]
    moments = shown(PresentationClock(), [(time, arrived) for time, arrived in times])
    assert intervals(moments) == pytest.approx([INTERVAL] * 99, abs=0.0051)


def test_a_stream_whose_times_stood_still_is_anchored_anew() -> None:
    """The camera paused its own clock for 20 s: frames are not shown 20 s late for ever."""
    times = [(i * INTERVAL, BOX_START + i * INTERVAL + (20.0 if i >= 50 else 0.0)) for i in range(200)]
    moments = shown(PresentationClock(), [(time, arrived) for time, arrived in times])
    assert moments[-1] == pytest.approx(times[-1][1], abs=0.01)


def test_missing_times_fall_back_on_arrival() -> None:
    moments = shown(PresentationClock(), [(None, BOX_START), (None, BOX_START + 0.13), (9.0, BOX_START + 0.2)])
    assert moments == [BOX_START, BOX_START + 0.13, BOX_START + 0.2]


@pytest.mark.parametrize("drift", [200e-6, -200e-6], ids=["camera slow", "camera fast"])
def test_a_drifting_camera_clock_is_followed(drift: float) -> None:
    """Two hours at 200 ppm would be 1.4 s."""
    times = [(i * INTERVAL, BOX_START + i * INTERVAL * (1 + drift)) for i in range(72_000)]
    moments = shown(PresentationClock(), [(time, arrived) for time, arrived in times])
    errors = [abs(at - arrived) for at, (_, arrived) in zip(moments, times, strict=True)]
    assert max(errors) < 0.01


def test_a_burst_at_the_start_is_forgotten() -> None:
    """The first half second arrives at once: the frames after it must not stay in the future."""
    times = [(i * INTERVAL, BOX_START + max(0.5, i * INTERVAL)) for i in range(400)]
    clock = PresentationClock()
    moments = shown(clock, [(time, arrived) for time, arrived in times])
    assert intervals(moments) == pytest.approx([INTERVAL] * 399, abs=0.0051)
    assert moments[-1] - times[-1][1] < 0.05


def test_a_new_connection_goes_on_from_its_arrival() -> None:
    clock = PresentationClock()
    before = shown(clock, [(100.0, BOX_START), (100.1, BOX_START + 0.1)])
    clock.restart()
    after = shown(clock, [(0.0, BOX_START + 30), (0.1, BOX_START + 30.1)])
    assert after == pytest.approx([BOX_START + 30, BOX_START + 30.1])
    assert after[0] > before[-1]


def test_moments_always_grow_whatever_comes() -> None:
    random = Random(7)
    clock = PresentationClock()
    arrived = BOX_START
    moments = []
    for _ in range(5000):
        arrived += random.choice([0.0, 0.04, 0.1, 3.0])
        time = random.choice([None, random.uniform(-1e5, 1e5), arrived - BOX_START, arrived])
        moments.append(clock.at(time, arrived=arrived))
    assert min(intervals(moments)) >= MINIMUM_STEP_SECONDS * 0.999
