from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from edge.clock import Fix
from edge.exchange.batch import Batch
from edge.exchange.outbox import Outbox
from edge.exchange.writer import Writer
from edge.uplink import bulletin
from edge.uplink.bulletin import Identity
from protocol.envelope import ClockSource
from protocol.events import CameraState, HealthReason
from protocol.modes import Mode
from protocol.status import BoxState, CameraStatus, LiveScene, VisionState
from protocol.wire import JsonObject, format_utc
from tests.support.exchange import CONFIG, NTP, ORIGIN, Exchange, filled, opened

IDENTITY = Identity(box="box-1", venue="corner-shop", version="0.1.0", mode=Mode.STATISTICS, session="5" * 16)
CAMERA = CameraStatus(
    camera="door-cam",
    scene="floor",
    state=CameraState.ONLINE,
    reason=HealthReason.NONE,
    frames_per_second=9.8,
)
PRESENT: dict[str, JsonObject] = {
    "vision": {"config": CONFIG, "models": [{"name": "yolox-nano", "digest": "a" * 64}]},
    "camera/door-cam": CAMERA.to_object(),
    "scene/floor": LiveScene(scene="floor", people=4, inside=9).to_object(),
}


@pytest.fixture
def exchange(tmp_path: Path) -> Exchange:
    return Exchange(folder=tmp_path)


@pytest.fixture
def ends(exchange: Exchange) -> Iterator[tuple[Writer, Outbox]]:
    with opened(exchange) as writer, exchange.outbox() as outbox:
        yield writer, outbox


def test_a_birth_says_what_the_box_is_and_how_it_is(exchange: Exchange, ends: tuple[Writer, Outbox]) -> None:
    writer, outbox = ends
    filled(writer, exchange, 3)
    writer.commit(Batch(origin=ORIGIN, live=PRESENT))
    said = bulletin.status(IDENTITY, outbox, now_ms=110_000, used=0.25)
    assert (said.box, said.venue, said.session, said.version) == ("box-1", "corner-shop", "5" * 16, "0.1.0")
    assert (said.state, said.mode, said.vision) == (BoxState.ONLINE, Mode.STATISTICS, VisionState.ALIVE)
    assert (said.head, said.config) == (f"{1:016x}", CONFIG)
    assert said.cameras == (CAMERA,)
    assert [model.name for model in said.models] == ["yolox-nano"]
    assert said.exchange is not None
    assert (said.exchange.waiting, said.exchange.oldest_seconds, said.exchange.used) == (4, 10.0, 0.25)
    assert said.clock is not None
    assert (said.clock.source, said.clock.uncertainty_seconds) == ("ntp", 0.01)
    assert said.at is not None
    assert format_utc(said.at) == "2026-03-01T12:01:50Z"


@pytest.mark.parametrize(
    ("now_ms", "state"), [(130_000, VisionState.ALIVE), (130_001, VisionState.DEAD)], ids=["just fresh", "stale"]
)
def test_vision_is_dead_when_what_it_said_is_stale(
    ends: tuple[Writer, Outbox], now_ms: int, state: VisionState
) -> None:
    writer, outbox = ends
    writer.commit(Batch(origin=ORIGIN, live=PRESENT))
    assert bulletin.status(IDENTITY, outbox, now_ms=now_ms, used=0.0).vision is state
    assert (bulletin.live(IDENTITY, outbox, now_ms=now_ms) is None) is (state is VisionState.DEAD)


def test_vision_of_an_earlier_boot_is_dead(exchange: Exchange) -> None:
    with opened(exchange) as writer:
        writer.commit(Batch(origin=ORIGIN, live=PRESENT))
    exchange.boot = "boot-2"
    with exchange.outbox() as outbox:
        said = bulletin.status(IDENTITY, outbox, now_ms=100_000, used=0.0)
    assert (said.vision, said.cameras) == (VisionState.DEAD, ())


def test_a_clock_of_unknown_uncertainty_says_its_source_alone(exchange: Exchange) -> None:
    with exchange.writer() as writer, exchange.outbox() as outbox:
        writer.offer_fix(Fix(offset_ms=NTP.offset_ms, source=ClockSource.HARDWARE, uncertainty_ms=None))
        said = bulletin.status(IDENTITY, outbox, now_ms=100_000, used=0.0)
    assert said.clock is not None
    assert said.clock.to_object() == {"source": "hardware"}
    assert said.at is not None


def test_a_box_without_utc_says_so(tmp_path: Path) -> None:
    exchange = Exchange(folder=tmp_path)
    with exchange.writer() as writer, exchange.outbox() as outbox:
        writer.commit(Batch(origin=ORIGIN, live=PRESENT))
        said = bulletin.status(IDENTITY, outbox, now_ms=100_000, used=0.0)
        assert said.clock is not None
        assert (said.at, said.clock.source) == (None, "none")
        assert bulletin.live(IDENTITY, outbox, now_ms=100_000) is None


@pytest.mark.parametrize(
    ("mode", "expected"),
    [(Mode.STATISTICS, "2026-03-01T12:01:40Z"), (Mode.LIVE, "2026-03-01T12:01:47Z")],
    ids=["statistics, to ten seconds", "live, to a second"],
)
def test_live_is_rounded_like_everything_else(ends: tuple[Writer, Outbox], mode: Mode, expected: str) -> None:
    writer, outbox = ends
    writer.commit(Batch(origin=ORIGIN, live=PRESENT))
    said = bulletin.live(replace(IDENTITY, mode=mode), outbox, now_ms=107_890)
    assert said is not None
    assert format_utc(said.at) == expected
    assert [(scene.scene, scene.people, scene.inside) for scene in said.scenes] == [("floor", 4, 9)]
    assert NTP.offset_ms % 1000 == 0


def test_a_death_tells_no_more_than_that() -> None:
    assert bulletin.death(IDENTITY).to_object().keys() == {
        "box", "venue", "session", "state", "mode", "protocol", "cameras", "models"
    }  # fmt: skip
    assert bulletin.death(IDENTITY).state is BoxState.OFFLINE
