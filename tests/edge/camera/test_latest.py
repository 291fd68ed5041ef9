import threading
import time
from collections.abc import Callable, Iterator
from random import Random

import numpy as np
import pytest

from edge.address import Address
from edge.camera import (
    AsFastAsPossible,
    Backoff,
    Cameras,
    DropPolicy,
    Feed,
    Frame,
    FrameSource,
    HealthState,
    Note,
    SourceTrouble,
    SyntheticSource,
    Trouble,
)
from edge.synthetic.film import Film
from edge.synthetic.lens import lens_of

PICTURE = np.zeros((24, 32, 3), dtype=np.uint8)
DEADLINE_SECONDS = 10.0


class Scripted:
    """A source that does what each connection's script says: yields frames, then ends or fails."""

    def __init__(self, *scripts: Callable[[], Iterator[Frame]]) -> None:
        self._scripts = list(scripts)
        self.connections = 0

    def frames(self) -> Iterator[Frame]:
        script = self._scripts[min(self.connections, len(self._scripts) - 1)]
        self.connections += 1
        return script()


def frame(index: int, *, camera: str = "door", size: tuple[int, int] = (32, 24)) -> Frame:
    image = np.zeros((size[1], size[0], 3), dtype=np.uint8)
    return Frame(at=100.0 + index / 10, image=image, camera=camera, index=index)


def trouble(reason: Trouble) -> SourceTrouble:
    return SourceTrouble(
        source="door", address=Address(text="rtsp://10.0.0.7/x"), reason=reason, detail="told by the test"
    )


def failing(reason: Trouble, *indexes: int) -> Callable[[], Iterator[Frame]]:
    def script() -> Iterator[Frame]:
        for index in indexes:
            yield frame(index)
        raise trouble(reason)

    return script


def playing(*frames: Frame) -> Callable[[], Iterator[Frame]]:
    return lambda: iter(frames)


def feed(source: FrameSource, *, camera: str = "door", policy: DropPolicy = DropPolicy.LATEST) -> Feed:
    return Feed(camera=camera, source=source, backoff=Backoff(random=Random(1), cap_seconds=0.02), policy=policy)


def cameras(*feeds: Feed) -> Cameras:
    return Cameras(feeds, clock=time.monotonic)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.005)


def test_every_frame_arrives_in_lock_step() -> None:
    film = Film(seed=1, lens=lens_of("overview", (64, 48)), seconds=5)
    source = SyntheticSource(camera="door", film=film, pace=AsFastAsPossible())
    with cameras(feed(source, policy=DropPolicy.EVERY)) as running:
        indexes = []
        while not running.finished:
            indexes += [one.index for one in running.wait(1.0)]
        counters = running.counters("door")
    assert indexes == list(range(50))
    assert (counters.received, counters.dropped, counters.taken) == (50, 0, 50)


def test_a_slow_consumer_gets_the_latest_and_drops_are_counted() -> None:
    all_read = threading.Event()

    def script() -> Iterator[Frame]:
        yield from map(frame, range(20))
        all_read.set()
        raise trouble(Trouble.ENDED)

    with cameras(feed(Scripted(script, hold))) as running:
        assert all_read.wait(DEADLINE_SECONDS)
        latest = list(running.wait(1.0))
        counters = running.counters("door")
    assert [one.index for one in latest] == [19]
    assert (counters.received, counters.dropped, counters.taken) == (20, 19, 1)


def test_a_round_gives_each_camera_its_turn_and_the_newest_when_its_turn_comes() -> None:
    go_on = {name: threading.Event() for name in ("door", "aisle")}

    def show(camera: str) -> Callable[[], Iterator[Frame]]:
        def script() -> Iterator[Frame]:
            yield frame(0, camera=camera)
            go_on[camera].wait(DEADLINE_SECONDS)
            yield frame(1, camera=camera)

        return script

    with cameras(*(feed(Scripted(show(name)), camera=name) for name in go_on)) as running:
        until(lambda: all(running.counters(name).received == 1 for name in go_on))
        round_of_frames = running.wait(1.0)
        first = next(round_of_frames)
        for moves in go_on.values():  # while the first is analysed
            moves.set()
        until(lambda: all(running.counters(name).received == 2 for name in go_on))
        rest = list(round_of_frames)
        again = list(running.wait(1.0))
    assert [(one.camera, one.index) for one in (first, *rest)] == [("door", 0), ("aisle", 1)]
    assert [(one.camera, one.index) for one in again] == [("door", 1)]


def hold() -> Iterator[Frame]:
    """A connection that ends at once, again and again, without a frame."""
    raise trouble(Trouble.UNREACHABLE)


def test_frames_passed_over_by_the_rate_are_not_drops() -> None:
    source = Scripted(playing(frame(0), frame(3), frame(6)))
    with cameras(feed(source, policy=DropPolicy.EVERY)) as running:
        while not running.finished:
            list(running.wait(1.0))
        counters = running.counters("door")
    assert (counters.received, counters.skipped, counters.dropped, counters.taken) == (7, 4, 0, 3)


def test_an_outage_is_told_and_the_camera_comes_back() -> None:
    source = Scripted(failing(Trouble.STALLED, 0, 1), failing(Trouble.UNREACHABLE), playing(frame(2), frame(3)))
    with cameras(feed(source, policy=DropPolicy.EVERY)) as running:
        indexes = []
        while not running.finished:
            indexes += [one.index for one in running.wait(1.0)]
        changes = running.changes()
        assert running.changes() == []
    assert indexes == [0, 1, 2, 3]
    assert [(change.state, change.reason) for change in changes] == [
        (HealthState.ONLINE, Note.PLAYING),
        (HealthState.OFFLINE, Trouble.STALLED),
        (HealthState.OFFLINE, Trouble.UNREACHABLE),
        (HealthState.ONLINE, Note.PLAYING),
        (HealthState.FINISHED, Note.END_OF_VIDEO),
    ]
    assert "told by the test" in changes[1].detail


def test_a_new_size_is_told_once_and_the_camera_stays_online() -> None:
    sizes = [(32, 24), (32, 24), (64, 48), (64, 48)]
    source = Scripted(playing(*(frame(index, size=size) for index, size in enumerate(sizes))))
    with cameras(feed(source, policy=DropPolicy.EVERY)) as running:
        while not running.finished:
            list(running.wait(1.0))
        changes = running.changes()
    resized = [change for change in changes if change.reason is Note.RESOLUTION_CHANGED]
    assert [(change.state, change.at) for change in resized] == [(HealthState.ONLINE, 100.2)]
    assert "64×48" in resized[0].detail


def test_a_dead_camera_leaves_the_others_alone_and_memory_does_not_grow() -> None:
    dead = Scripted(failing(Trouble.UNREACHABLE))
    film = Film(seed=1, lens=lens_of("overview", (64, 48)), seconds=10)
    alive = SyntheticSource(camera="aisle", film=film, pace=AsFastAsPossible())
    feeds = [feed(dead), feed(alive, camera="aisle", policy=DropPolicy.EVERY)]
    with cameras(*feeds) as running:
        taken = 0
        while running.state("aisle") is not HealthState.FINISHED:
            taken += len(list(running.wait(1.0)))
        until(lambda: dead.connections > 50)
        changes = [change for change in running.changes() if change.camera == "door"]
        assert running.state("door") is HealthState.OFFLINE
    assert taken >= 99
    assert len(changes) == 1


def test_wait_gives_nothing_when_the_time_is_over() -> None:
    with cameras(feed(Scripted(failing(Trouble.UNREACHABLE)))) as running:
        began = time.monotonic()
        assert list(running.wait(0.05)) == []
        assert time.monotonic() - began < DEADLINE_SECONDS


@pytest.mark.parametrize("policy", list(DropPolicy), ids=str)
def test_closing_ends_the_threads_and_the_sources(policy: DropPolicy) -> None:
    closed = threading.Event()

    def endless() -> Iterator[Frame]:
        try:
            for index in range(10**9):
                yield frame(index)
        finally:
            closed.set()

    before = threading.active_count()
    with cameras(feed(Scripted(endless), policy=policy)) as running:
        assert list(running.wait(1.0))
    assert closed.is_set()
    assert threading.active_count() == before


def test_a_defect_ends_the_consumer_and_not_silently() -> None:
    def broken() -> Iterator[Frame]:
        yield frame(0)
        raise ZeroDivisionError("a defect of ours")

    with cameras(feed(Scripted(broken))) as running:
        until(lambda: running.counters("door").received == 1)
        with pytest.raises(ZeroDivisionError, match="a defect of ours"):
            list(iter(lambda: list(running.wait(1.0)), None))
