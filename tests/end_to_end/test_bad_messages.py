"""Messages that no box of today would send reach a running ingest among thousands of good ones, over a real broker.

What cannot be read is kept as a dead letter and refused by name; what a later version may understand, and what is
from the future, is held; the good ones are stored, acknowledged and counted as if nothing had been.
"""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from edge.exchange.schema import State
from protocol.acks import Ack
from protocol.topics import Leaf, Topic
from protocol.wire import MAX_MESSAGE_BYTES, JsonObject
from tests.support.envelopes import envelope, item, visit
from tests.support.mosquitto import Mosquitto
from tests.support.postgres import PostgresServer
from tests.support.processes import until
from tests.support.product import BOX, VENUE, Box, Camera, Cloud

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.needs_mosquitto,
    pytest.mark.needs_postgres,
    pytest.mark.timeout(300),
]

ITEMS = 3000
TIMES = 3
"""Each bad message comes so often."""
NOW = datetime.now(UTC)
STRANGE_EPOCH = "f" * 16
UNREADABLE = {
    "no JSON": b'{"box": "harbour-box", ',
    "no text": b"\xff\xfe\x00\x01",
    "no object": b"[1, 2, 3]",
    "no items": json.dumps({"box": BOX}).encode(),
    "oversized": envelope([visit(1, note="x" * MAX_MESSAGE_BYTES)], box=BOX),
    "of another box": envelope([visit(1)], box="another-box"),
}
REASONS = {
    "no JSON": "not JSON: ",
    "no text": "not JSON: ",
    "no object": "a JSON object is needed; found list",
    "no items": "`items` must be a list",
    "oversized": f"at most {MAX_MESSAGE_BYTES} are taken",
    "of another box": f"box another-box in the envelope, but {BOX} in the topic",
}
BAD_STATUS = b'{"box": "harbour-box", "state": '


class Sender:
    """An MQTT client that publishes as the box, and hears what the cloud answers it."""

    def __init__(self, broker: Mosquitto) -> None:
        self.acks: list[Ack] = []
        self._broker = broker
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="sender")
        self._client.on_message = lambda _c, _u, message: self.acks.append(Ack.read(bytes(message.payload)))

    def __enter__(self) -> Self:
        subscribed = threading.Event()
        self._client.on_subscribe = lambda *_: subscribed.set()
        self._client.connect(self._broker.host, self._broker.port)
        self._client.loop_start()
        self._client.subscribe(str(Topic(venue=VENUE, box=BOX, leaf=Leaf.ACK)), qos=1)
        assert subscribed.wait(20)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def publish(self, payload: bytes, *, leaf: Leaf = Leaf.EVENTS) -> None:
        """Hand a payload to the broker."""
        self._client.publish(str(Topic(venue=VENUE, box=BOX, leaf=leaf)), payload, qos=1).wait_for_publish(20)


@dataclass(frozen=True, slots=True, kw_only=True)
class Aftermath:
    """Everything has arrived."""

    cloud: Cloud
    box: Box
    acks: list[Ack]
    unreadable: tuple[str, int]
    invalid: tuple[str, int]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def aftermath(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aftermath]:
    folder = tmp_path_factory.mktemp(request.param)
    with ExitStack() as stack:
        broker = stack.enter_context(Mosquitto())
        url = f"sqlite:///{folder / 'footfall.sqlite'}"
        if request.param == "postgresql":
            server = stack.enter_context(PostgresServer())
            url = server.url_of(server.create_database())
        cloud = stack.enter_context(Cloud(folder / "cloud", database_url=url, broker=broker))
        cloud.enrol()
        cameras = [Camera(id="square", url="rtsp://127.0.0.1/camera")]
        box = Box(folder / "box", broker=broker, cameras=cameras, model="motion", mode="live")
        box.fill(ITEMS)
        unreadable, invalid = damage(box)
        sender = stack.enter_context(Sender(broker))
        stack.enter_context(box.uplink)
        for _ in range(TIMES):
            for payload in UNREADABLE.values():
                sender.publish(payload)
            sender.publish(BAD_STATUS, leaf=Leaf.STATUS)
            sender.publish(strange_envelope(box))
        box.drained(90)
        until(lambda: answered(sender.acks) >= refused_by_name(), seconds=60, what="every refusal to be answered")
        until(lambda: ack_of(sender.acks, STRANGE_EPOCH), seconds=60, what="the strange items to be settled")
        yield Aftermath(cloud=cloud, box=box, acks=sender.acks, unreadable=unreadable, invalid=invalid)


def damage(box: Box) -> tuple[tuple[str, int], tuple[str, int]]:
    """Damage two items that wait: one so that an envelope with it cannot be read, one so that it breaks its model."""
    with box.look(writable=True) as exchange:
        epoch, seq = exchange.execute("SELECT epoch, seq FROM item ORDER BY id LIMIT 1 OFFSET 1000").fetchone()
        exchange.execute("UPDATE item SET body = ? WHERE epoch = ? AND seq = ?", (f'{{"seq": {seq}}}', epoch, seq))
        other, body = exchange.execute("SELECT seq, body FROM item WHERE type = 'visit' AND seq > ?", (seq,)).fetchone()
        broken = json.dumps({**json.loads(body), "dwell_seconds": -1})
        exchange.execute("UPDATE item SET body = ? WHERE epoch = ? AND seq = ?", (broken, epoch, other))
    return (epoch, seq), (epoch, other)


def strange_items() -> list[JsonObject]:
    """What a later version, a clock ahead of its time and a defect would send, and at the end a good visit."""
    return [
        item(1, "mood", at=NOW, venue=VENUE, level=3),
        visit(2, at=NOW, venue=VENUE, schema=99),
        visit(3, at=NOW + timedelta(days=1), venue=VENUE),
        visit(4, at=NOW, venue=VENUE, dwell_seconds=-1),
        visit(5, at=NOW, venue=VENUE),
    ]


def strange_envelope(box: Box) -> bytes:
    """The strange items in an epoch before the box's present one."""
    with box.look() as exchange:
        (head,) = exchange.execute("SELECT value FROM meta WHERE key = 'head'").fetchone()
    return envelope(strange_items(), box=BOX, epoch=STRANGE_EPOCH, head=head, sent_at=NOW)


def refused_by_name() -> set[str]:
    """The digests of what cannot be read."""
    return {hashlib.sha256(payload).hexdigest() for payload in UNREADABLE.values()}


def answered(acks: list[Ack]) -> set[str]:
    """The digests that the cloud refused."""
    return {ack.refused for ack in acks if ack.refused is not None}


def ack_of(acks: list[Ack], epoch: str) -> Ack | None:
    """The newest answer about an epoch."""
    return next((ack for ack in reversed(acks) if ack.epoch == epoch), None)


def dead_letters(cloud: Cloud) -> dict[str, str]:
    """Reason of each dead payload by its digest."""
    return dict(cloud.rows("SELECT sha256, reason FROM dead_letter WHERE epoch IS NULL"))


@pytest.mark.parametrize("case", UNREADABLE)
def test_what_cannot_be_read_is_a_dead_letter_once_and_refused_by_name(aftermath: Aftermath, case: str) -> None:
    digest = hashlib.sha256(UNREADABLE[case]).hexdigest()
    assert REASONS[case] in dead_letters(aftermath.cloud)[digest]
    assert digest in answered(aftermath.acks)


def test_a_status_that_cannot_be_read_is_a_dead_letter_that_nobody_waits_for(aftermath: Aftermath) -> None:
    digest = hashlib.sha256(BAD_STATUS).hexdigest()
    assert dead_letters(aftermath.cloud)[digest].startswith("status: not JSON")
    assert digest not in answered(aftermath.acks)


def test_the_api_shows_what_is_held_and_what_is_dead(aftermath: Aftermath) -> None:
    box: dict[str, Any] = aftermath.cloud.get(f"/boxes/{BOX}")
    held = aftermath.cloud.get("/held", box=BOX)
    assert {(group["type"], group["reason"]): group["items"] for group in held} == {
        ("mood", "unknown-type"): 1,
        ("visit", "newer-schema"): 1,
        ("visit", "future"): 1,
    }
    assert box["held"] == {"unknown-type": 1, "newer-schema": 1, "future": 1}
    rejected = len(["in the strange envelope", "in the exchange"])
    unread_in_the_exchange = box["dead_letters"] - len(UNREADABLE) - len([BAD_STATUS]) - rejected
    assert unread_in_the_exchange >= 1
    assert box["state"] == "online"


def test_what_is_held_and_what_breaks_its_model_is_settled(aftermath: Aftermath) -> None:
    ack = ack_of(aftermath.acks, STRANGE_EPOCH)
    assert ack is not None
    assert (ack.through, ack.rejected) == (5, (4,))
    kept = aftermath.cloud.rows("SELECT seq, body FROM held ORDER BY seq")
    assert [json.loads(body) for _, body in kept] == strange_items()[:3]
    dead = aftermath.cloud.rows("SELECT epoch, seq, reason FROM dead_letter WHERE epoch IS NOT NULL")
    assert {(epoch, seq) for epoch, seq, _ in dead} == {(STRANGE_EPOCH, 4), aftermath.invalid}
    assert all(reason.startswith("dwell_seconds: ") for _, _, reason in dead)


def test_every_good_item_of_the_box_is_stored_and_counted(aftermath: Aftermath) -> None:
    cloud, box = aftermath.cloud, aftermath.box
    expected = box.contents() | {(STRANGE_EPOCH, 5): strange_items()[4]}
    del expected[aftermath.unreadable]
    del expected[aftermath.invalid]
    assert len(expected) >= ITEMS - 1
    assert cloud.contents() == expected
    period = {"from": (NOW - timedelta(hours=2)).isoformat(), "to": (NOW + timedelta(days=2)).isoformat()}
    visits = sum(one["type"] == "visit" and one["began"] != "resumed" for one in expected.values())
    assert cloud.get(f"/venues/{VENUE}/summary", **period)["visits"] == visits


def test_an_item_that_cannot_be_read_is_found_set_aside_and_declared(aftermath: Aftermath) -> None:
    epoch, seq = aftermath.unreadable
    with aftermath.box.look() as exchange:
        states = dict(
            exchange.execute(
                "SELECT seq, state FROM item WHERE epoch = ? AND state > ?", (epoch, State.SETTLED)
            ).fetchall()
        )
    assert states == {seq: State.QUARANTINED, aftermath.invalid[1]: State.REJECTED}
    assert f"The cloud cannot read item {epoch}/{seq}" in aftermath.box.uplink.log

    def declared() -> bool:
        told = aftermath.cloud.rows("SELECT epoch, first_seq, last_seq, reason FROM gap WHERE reason <> 'merged'")
        return told == [(epoch, seq, seq, "quarantined")]

    until(declared, seconds=60, what="the gap to be declared")


def test_ingest_and_uplink_never_stopped(aftermath: Aftermath) -> None:
    for process in (aftermath.cloud.ingest, aftermath.cloud.api, aftermath.box.uplink):
        assert process.is_running
        assert "Traceback" not in process.log
