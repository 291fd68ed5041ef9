"""Three workers on a shared subscription beside one alone: the same traffic leaves the same rows, sums and tiles.

All are real processes on one broker. The boxes send as boxes do, again and again until both clouds have acknowledged
everything: what the broker gave to a worker that has died is lost until that worker comes back.
"""

import queue
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from paho.mqtt.enums import CallbackAPIVersion
from pydantic import JsonValue
from sqlalchemy import Engine

from cloud.store.engine import open_engine, reading
from cloud.store.identity import read_identity
from cloud.store.schema import migrate
from cloud.store.tables import CameraState, DeadLetter, Event, GapRecord, Held, Receipt, Rollup, RollupPeak, Tile
from cloud.upkeep.jobs import JobName, last_runs
from protocol.acks import Ack
from tests.support.envelopes import enrol, envelope, gap, rows_of, topic
from tests.support.mosquitto import Mosquitto
from tests.support.processes import Command, footfall, until
from tests.support.traffic import EPOCHS, Traffic, traffic

pytestmark = [pytest.mark.acceptance, pytest.mark.needs_mosquitto, pytest.mark.timeout(240)]

ALONE = "worker-alone"
TOGETHER = ("worker-1", "worker-2", "worker-3")
SILENCE_SECONDS = 0.5
BEYOND_ALL_ITEMS = 20
"""Where gaps begin: of a gap and an item that want the same seq the first to come wins, and the clouds might differ."""
COMPARED = (Event, Held, DeadLetter, Receipt, Rollup, RollupPeak, Tile, CameraState)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A payload, and the seqs that it settles."""

    box: str
    epoch: str
    payload: bytes
    seqs: frozenset[int]


class Boxes:
    """The boxes' side of MQTT: they send, and hear what each cloud says is settled."""

    def __init__(self, broker: Mosquitto) -> None:
        self._acks: queue.SimpleQueue[Ack] = queue.SimpleQueue()
        self._newest: dict[tuple[str, str, str | None], Ack] = {}
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="boxes")
        self._client.on_message = lambda _c, _u, message: self._acks.put(Ack.read(bytes(message.payload)))
        self._client.connect(broker.host, broker.port)
        subscribed = threading.Event()
        self._client.on_subscribe = lambda *_: subscribed.set()
        self._client.subscribe("footfall/v1/+/+/down/ack", qos=1)
        self._client.loop_start()
        assert subscribed.wait(10)

    def settle(self, messages: Sequence[Message], *, stores: Sequence[str]) -> None:
        """Send until each store has settled everything; what it has not is sent again after a silence."""
        waiting = list(messages)
        for _ in range(100):
            for message in waiting:
                self._client.publish(topic(box=message.box), message.payload, qos=1)
            while waiting and self._hear():
                waiting = [one for one in waiting if not all(self._has_settled(store, one) for store in stores)]
            if not waiting:
                return
        raise AssertionError(f"{len(waiting)} of {len(messages)} messages were never settled")

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _hear(self) -> bool:
        """Take the next ack; false when there is silence."""
        try:
            ack = self._acks.get(timeout=SILENCE_SECONDS)
        except queue.Empty:
            return False
        known = self._newest.setdefault((ack.store, ack.box, ack.epoch), ack)
        if known.position < ack.position:
            self._newest[ack.store, ack.box, ack.epoch] = ack
        return True

    def _has_settled(self, store: str, message: Message) -> bool:
        ack = self._newest.get((store, message.box, message.epoch))
        if ack is None:
            return False
        through = ack.through or 0
        return all(seq <= through or any(one.first <= seq <= one.last for one in ack.received) for seq in message.seqs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clouds:
    """The databases of one worker alone and of three together, and what sends to both."""

    broker: Mosquitto
    boxes: Boxes
    alone: Engine
    together: Engine
    workers: dict[str, Command]

    def start(self, **programs: list[str | Path]) -> None:
        """Start all workers, some by another program than usual, and wait until traffic may come."""
        for name, worker in self.workers.items():
            worker.start(programs.get(name.replace("-", "_")))
        for name in self.workers:
            self.wait_for_subscription(name)
        for engine in (self.alone, self.together):  # the day's upkeep changes tiles, in either at another moment
            until(lambda engine=engine: _upkeep_is_done(engine), seconds=60, what="the day's upkeep")  # type: ignore[misc]

    def wait_for_subscription(self, name: str, times: int = 1) -> None:
        worker = self.workers[name]
        subscribed = f"Sending SUBACK to {name}"
        until(lambda: self.broker.log.count(subscribed) >= times, seconds=60, what=f"{name}, which said: {worker.log}")

    def send_traffic(self) -> None:
        """Whatever a network may do to some boxes' envelopes, until both clouds have settled it."""
        numbers = count(1)
        stores = [_store_of(self.alone), _store_of(self.together)]

        @settings(
            max_examples=8,
            deadline=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        )
        @given(drawn=st.lists(traffic(), min_size=3, max_size=3))
        def send(drawn: list[Traffic]) -> None:
            messages: list[Message] = []
            for one in drawn:
                box = f"box-{next(numbers)}"
                enrol(self.alone, box=box)
                enrol(self.together, box=box)
                messages += messages_of(one, box)
            self.boxes.settle(messages, stores=stores)

        send()

    def stop(self) -> None:
        """End all workers politely: each finishes the batch in its hands."""
        for worker in self.workers.values():
            assert worker.stop(30) == 0, worker.log


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.needs_postgres)])
def clouds(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Clouds]:
    urls = {"alone": f"sqlite:///{tmp_path / 'alone.sqlite'}", "together": f"sqlite:///{tmp_path / 'together.sqlite'}"}
    if request.param == "postgresql":
        urls["together"] = request.getfixturevalue("postgres_database")
    with ExitStack() as stack:
        broker = stack.enter_context(Mosquitto(settings={"log_type": "all"}))
        boxes = Boxes(broker)
        stack.callback(boxes.close)
        engines = {name: open_engine(url) for name, url in urls.items()}
        for engine in engines.values():
            stack.callback(engine.dispose)
            migrate(engine)
        workers = {ALONE: _worker(ALONE, tmp_path, broker, urls["alone"], {})}
        for name in TOGETHER:
            shared = {"FOOTFALL_CLOUD_BROKER__SHARED_GROUP": "ingest-of-three-workers"}
            workers[name] = _worker(name, tmp_path, broker, urls["together"], shared)
        for worker in workers.values():
            stack.callback(worker.kill)
        yield Clouds(broker=broker, boxes=boxes, workers=workers, **engines)


def test_three_workers_leave_what_one_leaves(clouds: Clouds) -> None:
    clouds.start()
    clouds.send_traffic()
    clouds.stop()
    for name in clouds.workers:
        assert f"Sending PUBLISH to {name}" in clouds.broker.log
    check_same(clouds)


def test_so_they_do_when_one_is_killed_between_its_commit_and_its_acks(clouds: Clouds) -> None:
    clouds.start(worker_2=[sys.executable, "-m", "tests.support.dying_ingest", "3"])
    victim = clouds.workers["worker-2"]
    clouds.send_traffic()
    assert victim.exit_code == -signal.SIGKILL, victim.log
    before = len(clouds.broker.log)
    victim.start()
    clouds.wait_for_subscription("worker-2", times=2)

    def took_what_was_kept() -> bool:
        log = clouds.broker.log[before:]
        return 0 < log.count("Sending PUBLISH to worker-2") == log.count("Received PUBACK from worker-2")

    until(took_what_was_kept, seconds=60, what=f"what was kept for the victim, which said: {victim.log}")
    clouds.stop()
    check_same(clouds)


def check_same(clouds: Clouds) -> None:
    """Both databases hold the same, but for when it came."""
    for model in COMPARED:
        alone, together = (
            [{name: value for name, value in row.items() if name != "received_ms"} for row in rows]
            for rows in (rows_of(clouds.alone, model, box=None), rows_of(clouds.together, model, box=None))
        )
        assert together == alone, model.__name__
        assert alone, model.__name__
    assert _gaps(clouds.together) == _gaps(clouds.alone)
    assert _gaps(clouds.alone)


def messages_of(drawn: Traffic, box: str) -> Iterator[Message]:
    """A box's envelopes in the order in which it sends them."""
    for epoch, seqs, gaps in (sent for batch in drawn.batches for sent in batch):
        lost = [range(_number(one["from_seq"]), _number(one["to_seq"]) + 1) for one in gaps]
        moved = [gap(one[0] + BEYOND_ALL_ITEMS, one[-1] + BEYOND_ALL_ITEMS, epoch=epoch) for one in lost]
        payload = envelope([drawn.items[epoch, seq] for seq in seqs], box=box, epoch=epoch, head=EPOCHS[1], gaps=moved)
        settled = frozenset({*seqs, *(seq + BEYOND_ALL_ITEMS for one in lost for seq in one)})
        yield Message(box=box, epoch=epoch, payload=payload, seqs=settled)


def _number(value: JsonValue) -> int:
    assert isinstance(value, int)
    return value


def _gaps(engine: Engine) -> list[tuple[str, str, int]]:
    """Every seq that a gap covers; into which rows, depends on the order of those that overlap."""
    rows = rows_of(engine, GapRecord, box=None)
    return sorted(
        (row["box"], row["epoch"], seq) for row in rows for seq in range(row["first_seq"], row["last_seq"] + 1)
    )


def _store_of(engine: Engine) -> str:
    with reading(engine) as connection:
        return read_identity(connection)


def _upkeep_is_done(engine: Engine) -> bool:
    runs = last_runs(engine)
    return all(job in runs and runs[job].succeeded_ms for job in JobName)


def _worker(name: str, folder: Path, broker: Mosquitto, url: str, environment: dict[str, str]) -> Command:
    settings = {
        "FOOTFALL_CLOUD_DATA_DIR": str(folder / name),
        "FOOTFALL_CLOUD_DATABASE__URL": url,
        "FOOTFALL_CLOUD_BROKER__HOST": broker.host,
        "FOOTFALL_CLOUD_BROKER__PORT": str(broker.port),
        "FOOTFALL_CLOUD_BROKER__CLIENT_ID": name,
    }
    log = folder / f"{name}.log"
    return Command(footfall("cloud", "ingest"), log=log, environment={**settings, **environment})
