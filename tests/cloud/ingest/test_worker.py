"""The worker against a real broker, with its process killed and its database taken away."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from sqlalchemy import Engine, event

from cloud.errors import StoreError
from cloud.ingest.broker import BrokerAddress, MqttVersion
from cloud.ingest.commit import Committer
from cloud.ingest.worker import Ingest
from cloud.store.engine import open_engine
from cloud.store.schema import migrate
from cloud.store.tables import Box, DeadLetter, Event, Receipt
from protocol.acks import Ack
from tests.support.envelopes import BOX, EPOCH, NOW, VENUE, enrol, envelope, rows_of, topic, visit
from tests.support.mosquitto import Mosquitto
from tests.support.ports import free_port
from tests.support.postgres import PostgresServer

KILLED_BETWEEN_COMMIT_AND_ACK = """
import os, signal, sys, threading
from cloud.ingest.broker import BrokerAddress
from cloud.ingest.commit import Committer
from cloud.ingest.worker import Ingest
from cloud.store.engine import open_engine
from cloud.store.moments import utc_now

class Doomed(Committer):
    commits_left = int(sys.argv[3])

    def commit(self, deliveries):
        answers = super().commit(deliveries)
        self.commits_left -= 1
        if not self.commits_left:
            os.kill(os.getpid(), signal.SIGKILL)
        return answers

address = BrokerAddress(host="127.0.0.1", port=int(sys.argv[2]))
Ingest(Doomed(open_engine(sys.argv[1]), utc_now), address).run(threading.Event())
"""


@pytest.fixture
def mosquitto() -> Iterator[Mosquitto]:
    """A broker that tells of every subscription in its log."""
    with Mosquitto(settings={"log_type": "all"}) as broker:
        yield broker


class DeskBox:
    """A box's MQTT side: publishes payloads, collects acks."""

    def __init__(self, broker: Mosquitto, client_id: str = "desk-box") -> None:
        self.acks: queue.SimpleQueue[Ack] = queue.SimpleQueue()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=client_id)
        self._client.max_inflight_messages_set(1000)
        self._client.on_message = lambda _c, _u, message: self.acks.put(Ack.read(bytes(message.payload)))
        self._client.connect(broker.host, broker.port)
        subscribed = threading.Event()
        self._client.on_subscribe = lambda *_: subscribed.set()
        self._client.subscribe(f"footfall/v1/{VENUE}/{BOX}/down/ack", qos=1)
        self._client.loop_start()
        assert subscribed.wait(10)

    def send(self, *payloads: bytes, leaf: str = "events") -> None:
        for sent in [self._client.publish(topic(leaf), payload, qos=1) for payload in payloads]:
            sent.wait_for_publish(10)

    def acknowledged(self, through: int) -> list[Ack]:
        """The acks up to the first that settles everything through a seq."""
        acks: list[Ack] = []
        deadline = time.monotonic() + 20
        while not acks or (acks[-1].through or 0) < through:
            acks.append(self.acks.get(timeout=max(0.01, deadline - time.monotonic())))
        return acks

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def box(mosquitto: Mosquitto) -> Iterator[DeskBox]:
    desk_box = DeskBox(mosquitto)
    yield desk_box
    desk_box.close()


@contextmanager
def running(
    engine: Engine, broker: Mosquitto, *, version: MqttVersion = MqttVersion.V311, shared_group: str | None = None
) -> Iterator[None]:
    """A worker in a thread, subscribed."""
    address = BrokerAddress(host=broker.host, port=broker.port, version=version)
    ingest = Ingest(Committer(engine, lambda: NOW), address, shared_group=shared_group)
    stop = threading.Event()
    thread = threading.Thread(target=ingest.run, args=(stop,))
    before = subscriptions(broker)
    thread.start()
    try:
        wait_until(lambda: subscriptions(broker) > before, "subscribed")
        yield
    finally:
        stop.set()
        thread.join(30)
        assert not thread.is_alive()


def subscriptions(broker: Mosquitto) -> int:
    return broker.log.count("Sending SUBACK to footfall-ingest")


def wait_until(is_so: Callable[[], bool], what: str, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("version", "shared_group"),
    [
        pytest.param(MqttVersion.V311, None, id="MQTT 3.1.1"),
        pytest.param(MqttVersion.V5, None, id="MQTT 5"),
        pytest.param(MqttVersion.V311, "ingest", id="shared subscription"),
    ],
)
def test_what_is_published_is_stored_and_acknowledged(
    engine: Engine, mosquitto: Mosquitto, box: DeskBox, version: MqttVersion, shared_group: str | None
) -> None:
    enrol(engine)
    with running(engine, mosquitto, version=version, shared_group=shared_group):
        box.send(b"garbage", *(envelope([visit(seq)]) for seq in range(1, 41)))
        acks = box.acknowledged(40)
    assert [row["seq"] for row in rows_of(engine, Event)] == list(range(1, 41))
    assert len(rows_of(engine, DeadLetter)) == 1
    positions = [ack.position for ack in acks]
    assert positions == sorted(set(positions))


def test_a_status_reaches_the_box_row(engine: Engine, mosquitto: Mosquitto, box: DeskBox) -> None:
    birth = {"box": BOX, "venue": VENUE, "session": "5" * 16, "state": "online", "mode": "live"}
    with running(engine, mosquitto):
        box.send(json.dumps(birth).encode(), leaf="status")
        wait_until(lambda: [row["state"] for row in rows_of(engine, Box)] == ["online"], "the box is online")


@pytest.mark.parametrize("commits", [1, 2], ids=["at the first commit", "at the second commit"])
def test_killed_between_commit_and_ack(engine: Engine, mosquitto: Mosquitto, box: DeskBox, commits: int) -> None:
    enrol(engine)
    url = engine.url.render_as_string(hide_password=False)
    arguments = [sys.executable, "-c", KILLED_BETWEEN_COMMIT_AND_ACK, url, str(mosquitto.port), str(commits)]
    with subprocess.Popen(arguments, env={**os.environ, "PYTHONPATH": str(Path.cwd())}) as doomed:
        wait_until(lambda: subscriptions(mosquitto) > 0, "subscribed")
        for seq in range(1, commits + 1):
            box.send(envelope([visit(seq)]))
            wait_until(lambda seq=seq: len(rows_of(engine, Event)) == seq, "committed")  # type: ignore[misc]
        assert doomed.wait(20) == -signal.SIGKILL
    answered = [box.acks.get(timeout=20).through for _ in range(commits - 1)]
    assert answered == list(range(1, commits))
    assert box.acks.empty()
    box.send(envelope([visit(commits + 1)]))
    with running(engine, mosquitto):
        box.acknowledged(commits + 1)
    assert [row["seq"] for row in rows_of(engine, Event)] == list(range(1, commits + 2))
    assert [(row["first_seq"], row["last_seq"]) for row in rows_of(engine, Receipt)] == [(1, commits + 1)]


def test_the_broker_goes_and_comes_back(engine: Engine, mosquitto: Mosquitto, box: DeskBox) -> None:
    enrol(engine)
    with running(engine, mosquitto):
        before = subscriptions(mosquitto)
        mosquitto.kill()
        mosquitto.start()
        wait_until(lambda: subscriptions(mosquitto) > before, "subscribed again")
        other = DeskBox(mosquitto, client_id="desk-box-again")
        other.send(envelope([visit(1)]))
        assert other.acknowledged(1)[-1].epoch == EPOCH
        other.close()


def test_a_full_disk_loses_nothing_and_is_told(
    tmp_path: Path, mosquitto: Mosquitto, box: DeskBox, caplog: pytest.LogCaptureFixture
) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'footfall.sqlite'}")
    migrate(engine)
    enrol(engine)
    room = {"pages": 1}  # SQLite takes the file's present size for less than that
    event.listen(engine, "connect", lambda raw, _: raw.execute(f"PRAGMA max_page_count = {room['pages']}"))
    engine.dispose()
    with running(engine, mosquitto):
        box.send(*(envelope([visit(seq, note="x" * 20_000)]) for seq in range(1, 11)))
        wait_until(lambda: "the disk is full" in caplog.text, "the full disk is told")
        assert str(tmp_path / "footfall.sqlite") in caplog.text
        assert box.acks.empty()
        room["pages"] = 1_000_000
        engine.dispose()
        box.acknowledged(10)
    assert [row["seq"] for row in rows_of(engine, Event)] == list(range(1, 11))
    engine.dispose()


def test_a_database_that_goes_away_is_waited_for(
    postgres_server: PostgresServer,
    postgres_database: str,
    mosquitto: Mosquitto,
    box: DeskBox,
    caplog: pytest.LogCaptureFixture,
) -> None:
    engine = open_engine(postgres_database)
    migrate(engine)
    enrol(engine)
    with running(engine, mosquitto):
        box.send(envelope([visit(1)]))
        box.acknowledged(1)
        postgres_server.stop()
        try:
            box.send(envelope([visit(2)]))
            wait_until(lambda: "1 messages wait" in caplog.text, "the failing database is told")
        finally:
            postgres_server.start()
        box.acknowledged(2)
    assert [row["seq"] for row in rows_of(engine, Event)] == [1, 2]
    engine.dispose()


def test_an_unmigrated_database_is_refused_at_the_start(empty_engine: Engine) -> None:
    ingest = Ingest(Committer(empty_engine, lambda: NOW), BrokerAddress(host="127.0.0.1", port=1))
    with pytest.raises(StoreError, match="footfall cloud migrate"):
        ingest.run(threading.Event())


def test_stopping_while_no_broker_answers(engine: Engine) -> None:
    stop = threading.Event()
    ingest = Ingest(Committer(engine, lambda: NOW), BrokerAddress(host="127.0.0.1", port=free_port()))
    thread = threading.Thread(target=ingest.run, args=(stop,))
    thread.start()
    stop.set()
    thread.join(20)
    assert not thread.is_alive()
