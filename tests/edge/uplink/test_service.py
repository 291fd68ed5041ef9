"""Uplink against a real broker, with a cloud at its other side that does as the protocol says."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from edge import clock
from edge.clock import Fix, Trust
from edge.exchange.batch import Batch
from edge.exchange.outbox import Outbox
from edge.exchange.writer import ThisBoot, Writer
from edge.uplink.bulletin import Identity
from edge.uplink.link import Address, Link, MqttLink, Post
from edge.uplink.service import Uplink, UplinkSettings
from protocol import topics
from protocol.envelope import ClockSource
from protocol.modes import Mode
from protocol.status import LiveScene
from protocol.topics import Leaf, Topic
from protocol.wire import JsonObject
from tests.support.exchange import ORIGIN, configuration, visit
from tests.support.ideal_cloud import IdealCloud
from tests.support.mosquitto import Mosquitto

EPOCH = "e" * 16
CAMERA: JsonObject = {"camera": "door-cam", "scene": "floor", "state": "online", "reason": "none"}
PRESENT: dict[str, JsonObject] = {
    "vision": {"config": ORIGIN.config, "models": []},
    "scene/floor": LiveScene(scene="floor", people=4).to_object(),
}


def until(condition: Callable[[], object], *, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


class Cloud:
    """An ideal cloud behind a broker; `heard` is all that came, by topic."""

    def __init__(self, broker: Mosquitto) -> None:
        self.ideal = IdealCloud()
        self.heard: list[tuple[str, JsonObject, bool, float]] = []
        self.silent = False
        self._broker = broker
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="cloud", clean_session=True)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = lambda client, *_: client.subscribe(topics.ALL_UP, qos=1)
        self._client.on_message = self._take

    def __enter__(self) -> Self:
        self._client.connect(self._broker.host, self._broker.port)
        self._client.loop_start()
        until(self._client.is_connected)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def has(self, count: int) -> bool:
        """Whether so many items have come."""
        return len(self.ideal.items) >= count

    def said(self, leaf: Leaf, *, venue: str = "corner-shop") -> list[JsonObject]:
        topic = str(Topic(venue=venue, box="box-1", leaf=leaf))
        return [said for at, said, _, _ in self.heard if at == topic]

    def _take(self, _: mqtt.Client, __: object, message: mqtt.MQTTMessage) -> None:
        topic = topics.parse(message.topic)
        assert topic is not None
        said = json.loads(message.payload) if message.payload else {}
        self.heard.append((message.topic, said, message.retain, time.monotonic()))
        if topic.leaf in {Leaf.EVENTS, Leaf.TILES} and not self.silent:
            answer = Topic(venue=topic.venue, box=topic.box, leaf=Leaf.ACK)
            self._client.publish(str(answer), self.ideal.take(bytes(message.payload)), qos=1)


def settings_of(
    folder: Path, broker: Mosquitto, *, venue: str = "corner-shop", mode: Mode = Mode.STATISTICS, trust: Trust
) -> UplinkSettings:
    return UplinkSettings(
        folder=folder,
        address=Address(host=broker.host, port=broker.port, client_id="box-1"),
        identity=Identity(box="box-1", venue=venue, version="0.1.0", mode=mode, session="0" * 16),
        boot=clock.boot_id(),
        trust=trust,
        room_bytes=2**30,
    )


@contextmanager
def running(settings: UplinkSettings, *, connect: Callable[[Address, str, Post], Link] | None = None) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=Uplink(settings, monotonic=clock.monotonic, connect=connect).run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(timeout=30)
        assert not thread.is_alive()


@contextmanager
def seeing(folder: Path, *, knows_utc: bool = True, epoch: str = EPOCH) -> Iterator[Writer]:
    boot = ThisBoot(boot=clock.boot_id(), hardware_offset_ms=None)
    with Writer(folder, this_boot=boot, epoch=epoch, monotonic=clock.monotonic) as writer:
        if knows_utc:
            offset = round((time.time() - clock.monotonic()) * 1000)
            writer.offer_fix(Fix(offset_ms=offset, source=ClockSource.NTP, uncertainty_ms=10))
        writer.commit(Batch(origin=ORIGIN, drafts=[configuration(at=clock.monotonic())]))
        yield writer


def see(writer: Writer, count: int) -> None:
    for start in range(0, count, 500):
        frames = range(start, min(count, start + 500))
        drafts = [visit(at=clock.monotonic(), frames=number) for number in frames]
        writer.commit(Batch(origin=ORIGIN, drafts=drafts, live=PRESENT))


@pytest.fixture
def cloud(mosquitto: Mosquitto) -> Iterator[Cloud]:
    with Cloud(mosquitto) as cloud:
        yield cloud


def test_everything_is_delivered_over_a_broker_that_dies_and_comes_back(
    tmp_path: Path, mosquitto: Mosquitto, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What the broker takes before the cloud is back is lost there, and is sent again once its claim has lapsed.
    monkeypatch.setattr("edge.uplink.delivery._LAPSE_MINIMUM_SECONDS", 1.0)
    with seeing(tmp_path) as writer, running(settings_of(tmp_path, mosquitto, trust=Trust.NTP)):
        see(writer, 3000)
        until(lambda: cloud.ideal.items)
        for _ in range(2):
            mosquitto.kill()
            see(writer, 500)
            mosquitto.start()
            until(cloud._client.is_connected)
        see(writer, 500)
        until(lambda: len(cloud.ideal.items) == 4501)
        until(lambda: cloud.said(Leaf.STATUS)[-1]["state"] == "online")
    assert cloud.ideal.settled(EPOCH) == set(range(1, 4502))
    until(lambda: cloud.said(Leaf.STATUS)[-1]["state"] == "offline")


def test_the_tally_follows_connections_and_envelopes(tmp_path: Path, mosquitto: Mosquitto, cloud: Cloud) -> None:
    uplink = Uplink(settings_of(tmp_path, mosquitto, trust=Trust.NTP), monotonic=clock.monotonic)
    tally, stop = uplink.tally, threading.Event()
    thread = threading.Thread(target=uplink.run, args=(stop,))
    with seeing(tmp_path) as writer:
        assert (tally.connected, tally.connections, tally.sent) == (False, 0, 0)
        thread.start()
        see(writer, 5)
        until(lambda: tally.acknowledged > 0 and len(cloud.ideal.items) == 6)
        assert (tally.connected, tally.connections, tally.refused) == (True, 1, 0)
        assert tally.sent >= tally.acknowledged
        mosquitto.kill()
        until(lambda: not tally.connected)
        mosquitto.start()
        until(lambda: tally.connected)
        assert tally.connections == 2
        stop.set()
        thread.join(30)
        assert not tally.connected


def test_a_restored_cloud_is_filled_again(tmp_path: Path, mosquitto: Mosquitto, cloud: Cloud) -> None:
    with seeing(tmp_path) as writer, running(settings_of(tmp_path, mosquitto, trust=Trust.NTP)):
        see(writer, 200)
        until(lambda: len(cloud.ideal.items) == 201)
        cloud.ideal.restore(({}, {}))
        see(writer, 1)  # the first answer from the new store tells the box
        until(lambda: len(cloud.ideal.items) == 202)


def test_utc_is_learnt_from_the_cloud_when_the_clock_is_not_to_be_trusted(
    tmp_path: Path, mosquitto: Mosquitto, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "disciplined", lambda: False)
    with seeing(tmp_path, knows_utc=False) as writer, running(settings_of(tmp_path, mosquitto, trust=Trust.NTP)):
        see(writer, 5)
        until(lambda: writer.fix() is not None)
        fix = writer.fix()
        assert fix is not None
        assert fix.source is ClockSource.CLOUD
        assert abs(clock.monotonic() * 1000 + fix.offset_ms - time.time() * 1000) <= (fix.uncertainty_ms or 0) + 50
        see(writer, 5)
        until(lambda: len(cloud.ideal.items) == 11)
        assert cloud.ideal.headers[0]["clock"] == {"source": "none"}
        assert isinstance(cloud.ideal.headers[-1]["clock"], dict)
        assert cloud.ideal.headers[-1]["clock"]["source"] == "cloud"


def test_a_birth_is_retained_and_a_polite_end_says_so(tmp_path: Path, mosquitto: Mosquitto) -> None:
    with seeing(tmp_path) as writer:
        see(writer, 1)
        with running(settings_of(tmp_path, mosquitto, trust=Trust.NTP)), Cloud(mosquitto) as first:
            until(lambda: first.said(Leaf.STATUS))
            (born, *_) = first.said(Leaf.STATUS)
            assert (born["state"], born["vision"], born["head"]) == ("online", "alive", EPOCH)
            assert (born["mode"], born["version"], born["config"]) == ("statistics", "0.1.0", ORIGIN.config)
        with Cloud(mosquitto) as later:
            until(lambda: later.said(Leaf.STATUS))
            (topic, died, retained, _), *_ = later.heard
            assert (died["state"], died["session"], retained) == ("offline", born["session"], True)
            assert topic == "footfall/v1/corner-shop/box-1/up/status"


UPLINK = """
import sys, threading
from pathlib import Path
from edge import clock
from edge.clock import Trust
from edge.uplink.bulletin import Identity
from edge.uplink.link import Address
from edge.uplink.service import Uplink, UplinkSettings
from protocol.modes import Mode
Uplink(UplinkSettings(
    folder=Path(sys.argv[1]), address=Address(host="127.0.0.1", port=int(sys.argv[2]), client_id="box-1"),
    identity=Identity(box="box-1", venue="corner-shop", version="0.1.0", mode=Mode.LIVE, session="0" * 16),
    boot=clock.boot_id(), trust=Trust.NTP, room_bytes=2**30,
), monotonic=clock.monotonic).run(threading.Event())
"""


def test_the_broker_tells_of_a_sudden_death_with_the_session_of_the_birth(
    tmp_path: Path, mosquitto: Mosquitto, cloud: Cloud
) -> None:
    with seeing(tmp_path):
        process = subprocess.Popen([sys.executable, "-c", UPLINK, tmp_path, str(mosquitto.port)])
        try:
            until(lambda: cloud.said(Leaf.STATUS))
        finally:
            process.kill()
            process.wait()
        until(lambda: cloud.said(Leaf.STATUS)[-1]["state"] == "offline")
    born, *_, died = cloud.said(Leaf.STATUS)
    assert (born["state"], died["session"]) == ("online", born["session"])


def test_uplink_killed_in_the_middle_loses_nothing(tmp_path: Path, mosquitto: Mosquitto, cloud: Cloud) -> None:
    with seeing(tmp_path) as writer:
        for _ in range(3):
            see(writer, 2500)
            process = subprocess.Popen([sys.executable, "-c", UPLINK, tmp_path, str(mosquitto.port)])
            wanted = len(cloud.ideal.items) + 1
            until(partial(cloud.has, wanted))
            process.kill()
            process.wait()
        with running(settings_of(tmp_path, mosquitto, trust=Trust.NTP)):
            until(lambda: len(cloud.ideal.items) == 7501)


class Recorded:
    """A real link that notes what is published over it."""

    def __init__(self, link: Link, posts: list[Post]) -> None:
        self._link = link
        self._posts = posts
        self.receive = link.receive
        self.close = link.close

    def publish(self, post: Post) -> bool:
        self._posts.append(post)
        return self._link.publish(post)


@pytest.mark.parametrize(
    ("mode", "least", "most"), [(Mode.LIVE, 2, 4), (Mode.STATISTICS, 1, 1)], ids=["live", "statistics"]
)
def test_live_comes_as_often_as_the_mode_allows_also_over_a_lost_connection(
    tmp_path: Path, mosquitto: Mosquitto, mode: Mode, least: int, most: int
) -> None:
    posts: list[Post] = []

    def connect(address: Address, subscribe: str, will: Post) -> Link:
        return Recorded(MqttLink(address, subscribe=subscribe, will=will), posts)

    def said(leaf: Leaf) -> list[Post]:
        return [post for post in posts if post.topic.endswith(leaf)]

    with (
        seeing(tmp_path) as writer,
        running(settings_of(tmp_path, mosquitto, mode=mode, trust=Trust.NTP), connect=connect),
    ):
        see(writer, 1)
        until(lambda: said(Leaf.LIVE))
        began, births = time.monotonic(), len(said(Leaf.STATUS))
        mosquitto.restart()
        until(lambda: len(said(Leaf.STATUS)) > births and time.monotonic() - began > 2.5)
        seconds = time.monotonic() - began
        assert least <= len(said(Leaf.LIVE)) <= most + (seconds - 2.5 if mode is Mode.LIVE else 0)
    first = said(Leaf.LIVE)[0]
    assert json.loads(first.payload)["scenes"] == [{"scene": "floor", "people": 4, "zones": []}]
    assert (first.qos, first.retain) == (0, True)


def test_status_is_said_when_something_changes_and_not_for_a_frame_rate(
    tmp_path: Path, mosquitto: Mosquitto, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.uplink.service._STATUS_CHECK_SECONDS", 0.05)
    with seeing(tmp_path) as writer, running(settings_of(tmp_path, mosquitto, trust=Trust.NTP)):
        writer.commit(Batch(origin=ORIGIN, live={**PRESENT, "camera/door-cam": CAMERA}))
        until(lambda: cloud.said(Leaf.STATUS) and cloud.said(Leaf.STATUS)[-1]["cameras"])
        before, began, rate = len(cloud.said(Leaf.STATUS)), time.monotonic(), 0.0
        while time.monotonic() - began < 1.5:
            rate += 0.1
            writer.commit(Batch(origin=ORIGIN, live={"camera/door-cam": {**CAMERA, "frames_per_second": rate}}))
            time.sleep(0.1)
        assert len(cloud.said(Leaf.STATUS)) == before
        writer.commit(Batch(origin=ORIGIN, live={"camera/door-cam": {**CAMERA, "state": "offline"}}))
        until(lambda: cloud.said(Leaf.STATUS)[-1]["cameras"] == [{**CAMERA, "state": "offline"}])


def test_a_move_clears_what_is_retained_under_the_old_venues(tmp_path: Path, mosquitto: Mosquitto) -> None:
    with seeing(tmp_path) as writer:
        see(writer, 1)
        with Cloud(mosquitto) as cloud:
            cloud.silent = True  # so the box never learns that the broker took anything
            for venue in ("corner-shop", "station"):
                with running(settings_of(tmp_path, mosquitto, venue=venue, trust=Trust.NTP)):
                    until(partial(cloud.said, Leaf.LIVE, venue=venue))
            cloud.silent = False
            with running(settings_of(tmp_path, mosquitto, venue="airport", trust=Trust.NTP)):
                until(lambda: cloud.said(Leaf.LIVE, venue="airport"))
                until(lambda: len(cloud.ideal.items) == 2)
        with Cloud(mosquitto) as later:
            until(lambda: later.said(Leaf.STATUS, venue="airport") and later.said(Leaf.LIVE, venue="airport"))
            assert {topic.split("/")[2] for topic, *_ in later.heard} == {"airport"}
    with closing(Outbox(tmp_path, boot="boot")) as outbox:
        assert outbox.remembered("venues") == "airport", "what is cleared need not be cleared again"


def test_a_box_with_nobody_to_talk_to_waits_and_stops_when_told(tmp_path: Path) -> None:
    broker = Mosquitto()
    with seeing(tmp_path) as writer, running(settings_of(tmp_path, broker, trust=Trust.NTP)):
        see(writer, 3)
        with broker, Cloud(broker) as cloud:
            until(lambda: len(cloud.ideal.items) == 4)
