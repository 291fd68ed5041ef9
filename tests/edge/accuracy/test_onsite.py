"""The follower beside a real exchange, written as vision writes it, and the keys beside a real pipe."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edge.accuracy.onsite import Hand, LineFollower, is_running
from edge.errors import EdgeError
from edge.exchange.batch import Batch
from edge.exchange.outbox import Outbox
from edge.exchange.writer import Writer
from edge.lines import Direction
from edge.passages import LineSeen, Passages
from protocol.events import CameraState, HealthReason
from protocol.status import CameraStatus, ModelStatus
from protocol.wire import JsonObject
from tests.support.exchange import ORIGIN, Exchange, opened


@dataclass
class Site:
    """A box whose vision says what the test lets it see."""

    exchange: Exchange
    writer: Writer
    outbox: Outbox
    passages: Passages = field(default_factory=Passages)
    setup: str = "c" * 32
    state: CameraState = CameraState.ONLINE
    reason: HealthReason = HealthReason.NONE
    others: dict[str, CameraStatus] = field(default_factory=dict)

    @property
    def follower(self) -> LineFollower:
        return LineFollower(self.outbox, "entrance", monotonic=lambda: self.exchange.now)

    def cross(self, at: float, direction: Direction = "in") -> None:
        self.passages.add(direction, at)

    def say(self, seconds: float = 5.0) -> None:
        """Time passes, and vision says what it sees."""
        self.exchange.now += seconds
        line = LineSeen(
            line="entrance", camera="door", scene="hall", setup=self.setup,
            passages=self.passages.shown(self.exchange.now),
        )  # fmt: skip
        camera = CameraStatus(camera="door", scene="hall", state=self.state, reason=self.reason)
        model = ModelStatus(name="yolox-nano", digest="a" * 64)
        live: dict[str, JsonObject] = {
            "vision": {"models": [model.to_object()]},
            "camera/door": camera.to_object(),
            "line/entrance": line.to_object(),
            **{f"camera/{name}": status.to_object() for name, status in self.others.items()},
        }
        self.writer.commit(Batch(origin=ORIGIN, live=live))


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    exchange = Exchange(folder=tmp_path)
    with opened(exchange) as writer, exchange.outbox() as outbox:
        yield Site(exchange=exchange, writer=writer, outbox=outbox)


def test_it_waits_for_a_line_that_is_watched(site: Site) -> None:
    follower = site.follower
    assert not follower.is_watched()
    assert "vision does not run" in follower.why_not()
    site.state = CameraState.DEGRADED
    site.say()
    assert not follower.is_watched()
    assert follower.why_not() == "camera door is degraded: none"
    site.state = CameraState.ONLINE
    site.say()
    assert follower.is_watched()
    assert follower.model == ModelStatus(name="yolox-nano", digest="a" * 64)


def test_it_counts_from_the_beginning_to_the_end_and_each_crossing_once(site: Site) -> None:
    site.cross(101.0)
    site.say()
    follower = site.follower
    assert follower.is_watched()
    began = follower.begin()
    for at, direction in ((106.0, "in"), (107.0, "out"), (107.0, "out")):
        site.cross(at, direction)  # type: ignore[arg-type]
        site.say(2.0)
        follower.follow()
    ended = site.exchange.now
    site.cross(ended - 0.5)
    site.cross(ended + 0.5)
    counted = follower.counted(began, ended, sleep=lambda _: site.say(1.0))
    assert [(one.at, one.direction) for one in counted] == [
        (106.0, "in"), (107.0, "out"), (107.0, "out"), (ended - 0.5, "in"),
    ]  # fmt: skip


def test_a_long_check_keeps_what_vision_no_longer_shows(site: Site) -> None:
    site.say()
    follower = site.follower
    assert follower.is_watched()
    began = follower.begin()
    for _ in range(40):
        site.cross(site.exchange.now)
        site.say(5.0)
        follower.follow()
    assert len(site.passages.shown(site.exchange.now)) < 15
    assert len(follower.counted(began, site.exchange.now, sleep=lambda _: site.say(1.0))) == 40


def test_a_vision_that_starts_anew_falls_silent_or_sees_otherwise_ends_the_check(site: Site) -> None:
    site.say()
    follower = site.follower
    assert follower.is_watched()
    follower.begin()
    site.setup = "d" * 32
    site.say()
    with pytest.raises(EdgeError, match="started again"):
        follower.follow()
    follower = site.follower
    assert follower.is_watched()
    follower.begin()
    site.exchange.now += 31
    with pytest.raises(EdgeError, match="nothing for 30 s"):
        follower.follow()
    site.state = CameraState.OFFLINE
    site.say()
    with pytest.raises(EdgeError, match="camera door is offline"):
        follower.follow()


def moved(camera: str, *, scene: str) -> CameraStatus:
    return CameraStatus(camera=camera, scene=scene, state=CameraState.DEGRADED, reason=HealthReason.MOVED)


def test_a_camera_that_was_turned_is_no_place_for_a_check(site: Site) -> None:
    site.state, site.reason = CameraState.DEGRADED, HealthReason.MOVED
    site.say()
    with pytest.raises(EdgeError, match=r"camera door looks elsewhere .* turn it back .* start vision again"):
        site.follower.is_watched()


def test_a_camera_of_the_same_scene_that_was_turned_counts_as_much(site: Site) -> None:
    site.others["yard"] = moved("yard", scene="yard")
    site.say()
    follower = site.follower
    assert follower.is_watched()
    follower.begin()
    site.others["till"] = moved("till", scene="hall")
    site.say()
    with pytest.raises(EdgeError, match="camera till looks elsewhere"):
        follower.follow()
    with pytest.raises(EdgeError, match="camera till looks elsewhere"):
        site.follower.is_watched()


def test_another_run_of_vision_ends_the_check_though_it_sees_the_same(tmp_path: Path) -> None:
    exchange = Exchange(folder=tmp_path)
    with opened(exchange) as writer:
        outbox = Outbox(tmp_path, boot=exchange.boot)
        site = Site(exchange=exchange, writer=writer, outbox=outbox)
        site.say()
        follower = site.follower
        assert follower.is_watched()
        follower.begin()
    with opened(exchange) as writer:
        site.writer = writer
        site.say()
        with pytest.raises(EdgeError, match="started again"):
            follower.follow()
    outbox.close()


def test_vision_runs_while_it_says_something_new(site: Site) -> None:
    def runs(*, say: Callable[[float], None]) -> bool:
        return is_running(site.outbox, monotonic=lambda: site.exchange.now, sleep=say)

    def silence(seconds: float) -> None:
        site.exchange.now += seconds

    assert not runs(say=site.say)
    site.say()
    assert runs(say=site.say)
    began = site.exchange.now
    assert not runs(say=silence)
    assert 30 <= site.exchange.now - began <= 31
    assert not runs(say=site.say)


def test_a_run_that_begins_meanwhile_is_running(tmp_path: Path) -> None:
    exchange = Exchange(folder=tmp_path)
    with exchange.outbox() as outbox, ExitStack() as stack:
        with opened(exchange) as writer:
            Site(exchange=exchange, writer=writer, outbox=outbox).say()

        def begin(_: float) -> None:
            stack.enter_context(opened(exchange))

        assert is_running(outbox, monotonic=lambda: exchange.now, sleep=begin)


def test_of_a_run_that_is_over_no_word_counts(tmp_path: Path) -> None:
    exchange = Exchange(folder=tmp_path)
    with exchange.outbox() as outbox:
        with opened(exchange) as writer:
            site = Site(exchange=exchange, writer=writer, outbox=outbox)
            site.say()
        follower = LineFollower(outbox, "entrance", monotonic=lambda: exchange.now, ended=outbox.head())
        assert not follower.is_watched()
        assert "vision does not run" in follower.why_not()
        with opened(exchange) as writer:
            site.writer = writer
            assert not follower.is_watched()
            site.say()
            assert follower.is_watched()
            follower.begin()
            site.say()
            follower.follow()


def test_keys_are_crossings_and_the_last_can_be_taken_back() -> None:
    reading, writing = os.pipe()
    moments = iter([1.0, 2.0, 3.0, 4.0])
    hand = Hand(descriptor=reading, monotonic=lambda: next(moments), line="entrance")
    os.write(writing, b"iO\nxoui")
    for _ in range(7):
        assert not hand.listen(keys=True)
    assert hand.said == "in 2, out 1"
    assert [(one.at, one.direction) for one in hand.passages] == [(1.0, "in"), (2.0, "out"), (4.0, "in")]
    os.write(writing, b"q")
    assert hand.listen(keys=True)
    os.close(writing)
    assert hand.listen(keys=True)
    assert hand.is_closed
    os.close(reading)


def test_without_keys_a_line_is_the_end() -> None:
    reading, writing = os.pipe()
    hand = Hand(descriptor=reading, monotonic=lambda: 0.0, line="entrance")
    os.write(writing, b"i\n")
    assert [hand.listen(keys=False), hand.listen(keys=False)] == [False, True]
    assert hand.passages == []
    os.close(writing)
    os.close(reading)
