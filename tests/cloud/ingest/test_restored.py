"""A box and a cloud whose database is put back behind its back, with all the real parts of both between them."""

import random
import shutil
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from pydantic import JsonValue
from sqlalchemy import Engine

from cloud.ingest.commit import Acknowledgement, Committer
from cloud.store.engine import open_engine, writing
from cloud.store.tables import Box, Event, GapRecord, StoreIdentity
from cloud.store.upsert import table_of
from edge.exchange.batch import Batch
from edge.exchange.outbox import Outbox
from edge.exchange.writer import Writer
from edge.uplink.delivery import Delivery, Outgoing
from protocol.acks import Ack
from protocol.envelope import read_envelope
from protocol.wire import JsonObject
from tests.support.envelopes import NOW, deliver, enrol, envelope, rows_of, visit
from tests.support.exchange import NOON, ORIGIN, Exchange, configuration, opened
from tests.support.exchange import visit as visit_draft


@dataclass(kw_only=True)
class World:
    """A box whose vision has run more than once, a broker that forgets nothing, and a cloud in one file."""

    folder: Path
    exchange: Exchange
    file: Path
    rest: ExitStack = field(default_factory=ExitStack)
    kept: list[bytes] = field(default_factory=list)
    issued: int = 0

    def open_cloud(self) -> None:
        self.engine = open_engine(f"sqlite:///{self.file}")
        self.committer = Committer(self.engine, self.utc)

    def open_box(self) -> None:
        self.rest.close()
        self.writer: Writer = self.rest.enter_context(opened(self.exchange))
        self.outbox: Outbox = self.rest.enter_context(self.exchange.outbox())
        self.delivery = Delivery(self.outbox, box="box-1")
        self.delivery.connected()
        self.see(0)

    def utc(self) -> datetime:
        return NOON + timedelta(days=1, seconds=self.exchange.now)

    def see(self, visits: int) -> None:
        drafts = [visit_draft(at=float(number % 50), frames=number) for number in range(visits)]
        self.writer.commit(Batch(origin=ORIGIN, drafts=[configuration(), *drafts]))
        self.issued += 1 + visits

    def send(self, *, seconds: float = 61.0) -> list[Outgoing]:
        self.exchange.now += seconds
        due = self.delivery.due(self.exchange.now)
        for outgoing in due:
            self.delivery.sent(outgoing, self.exchange.now)
            self.kept.append(outgoing.payload)
        return due

    def commit(self, payload: bytes) -> tuple[Acknowledgement, ...]:
        return self.committer.commit(deliver(payload))

    def settle(self, due: Sequence[Outgoing]) -> None:
        for outgoing in due:
            for answer in self.commit(outgoing.payload):
                self.delivery.acknowledge(answer.ack.to_json().encode(), self.exchange.now)

    def put_back(self, backup: Path) -> None:
        self.engine.dispose()
        for path in self.file.parent.glob(f"{self.file.name}*"):
            path.unlink()
        shutil.copy(backup, self.file)
        self.open_cloud()

    def back_up(self) -> Path:
        self.engine.dispose()
        backup = self.folder / "backup"
        shutil.copy(self.file, backup)
        self.open_cloud()
        return backup

    def position(self) -> int:
        return int(rows_of(self.engine, Box)[0]["position"])

    def store(self) -> str:
        return str(rows_of(self.engine, StoreIdentity, box=None)[0]["store"])


@pytest.fixture
def world(tmp_path: Path, migrated_file: Path) -> Iterator[World]:
    file = tmp_path / "cloud" / "footfall.sqlite"
    file.parent.mkdir()
    shutil.copy(migrated_file, file)
    world = World(folder=tmp_path, exchange=Exchange(folder=tmp_path / "exchange"), file=file)
    world.open_cloud()
    enrol(world.engine)
    with writing(world.engine) as connection:
        connection.execute(table_of(StoreIdentity).update().values(created_ms=0))
    world.open_box()
    yield world
    world.rest.close()
    world.engine.dispose()


@pytest.mark.parametrize("stale", [0, 1, 3, 100])
@pytest.mark.parametrize("connected", [True, False])
def test_whatever_came_a_second_time_nothing_is_lost(world: World, stale: int, *, connected: bool) -> None:
    world.settle(world.send())
    world.see(700)
    burst = world.send(seconds=1.0)
    backup = world.back_up()
    world.settle(burst)
    world.see(1)
    world.settle(world.send(seconds=1.0))
    assert world.outbox.standing().waiting == 0
    seen, store = world.outbox.seen().position, world.store()
    world.put_back(backup)
    for payload in [*(one.payload for one in burst), *[burst[0].payload] * 20][:stale]:
        world.commit(payload)
    assert (world.position() > seen) is (stale == 100)
    if not connected:
        world.delivery.connected()
    for _ in range(6):
        world.settle(world.send())
    assert world.store() > store
    assert len(rows_of(world.engine, Event)) == world.issued
    assert rows_of(world.engine, GapRecord) == []
    assert world.outbox.standing().waiting == 0


def test_what_a_run_lost_that_is_over_is_found_too(world: World) -> None:
    """The broker brings all of the present run again, and nothing that the back-up lacks of the one before."""
    world.settle(world.send())
    (old,) = world.kept
    backup = world.back_up()
    world.see(5)
    world.settle(world.send())
    world.open_box()
    del world.kept[:]
    world.see(5)
    for _ in range(3):
        world.settle(world.send())
    store, head = world.store(), world.outbox.head()
    world.put_back(backup)
    for payload in [*[old] * 20, *(one for one in world.kept if read_envelope(one).header.epoch == head)]:
        world.commit(payload)
    assert (world.position() > world.outbox.seen().position, world.store()) == (True, store)
    for _ in range(12):
        world.settle(world.send())
    assert world.store() > store
    assert len(rows_of(world.engine, Event)) == world.issued


def test_a_loss_found_soon_after_a_renewal_waits_for_the_next(world: World) -> None:
    world.settle(world.send())
    backup = world.back_up()
    world.see(5)
    world.settle(world.send())
    world.put_back(backup)
    for payload in world.kept[:1] * 20:
        world.commit(payload)
    with writing(world.engine) as connection:
        made_ms = round(world.utc().timestamp() * 1000)
        connection.execute(table_of(StoreIdentity).update().values(created_ms=made_ms))
    store = world.store()
    world.see(3)
    for _ in range(50):
        world.settle(world.send())
    assert (world.store(), world.outbox.standing().waiting) == (store, 4), "it keeps what the cloud may lose"
    for _ in range(30):
        world.settle(world.send())
    assert world.store() > store
    assert world.outbox.standing().waiting == 0
    assert len(rows_of(world.engine, Event)) == world.issued


@pytest.mark.parametrize("seed", range(4))
def test_a_network_that_repeats_loses_and_mixes_raises_no_alarm(world: World, seed: int) -> None:
    order, store = random.Random(seed), world.store()
    answers: list[bytes] = []
    for turn in range(60):
        world.see(order.randint(0, 3))
        world.send(seconds=order.choice([1.0, 31.0, 61.0]))
        if turn % 15 == 14:
            world.open_box()
        for payload in order.choices(world.kept, k=4):
            answers += [answer.ack.to_json().encode() for answer in world.commit(payload)]
        for answer in order.choices(answers, k=3):
            world.delivery.acknowledge(answer, world.exchange.now)
    assert world.outbox.seen().position > 5
    assert world.store() == store


def test_an_old_copy_of_the_exchange_that_is_put_back_raises_no_alarm(world: World) -> None:
    world.see(5)
    world.settle(world.send())
    world.rest.close()
    shutil.copytree(world.exchange.folder, world.folder / "copy")
    world.open_box()
    world.see(5)
    world.settle(world.send())
    world.rest.close()
    shutil.rmtree(world.exchange.folder)
    shutil.copytree(world.folder / "copy", world.exchange.folder)
    store = world.store()
    world.open_box()
    for _ in range(10):
        world.settle(world.send())
    assert world.store() == store


def test_workers_beside_each_other_raise_no_alarm(engine: Engine) -> None:
    enrol(engine)
    with writing(engine) as connection:
        connection.execute(table_of(StoreIdentity).update().values(created_ms=0))
    store = str(rows_of(engine, StoreIdentity, box=None)[0]["store"])
    lock = threading.Lock()
    believes: JsonObject = {"position": 0}
    failures: list[BaseException] = []

    def believe(ack: Ack) -> None:
        position = believes["position"]
        if isinstance(position, int) and ack.position > position:
            ranges: list[JsonValue] = [one.to_object() for one in ack.received]
            if ack.through:
                ranges.insert(0, {"first": 1, "last": ack.through})
            believes.update({"store": ack.store, "position": ack.position, "settled": ranges})

    def work(worker: int) -> None:
        committer = Committer(engine, lambda: NOW)
        try:
            for seq in range(1 + worker, 61, 3):
                with lock:
                    payload = envelope([visit(seq)], seen=dict(believes))
                for answer in committer.commit(deliver(payload)):
                    with lock:
                        believe(answer.ack)
        except BaseException as error:  # noqa: BLE001  whatever it is, the test's own thread has to see it
            failures.append(error)

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert believes["position"] == 60
    assert str(rows_of(engine, StoreIdentity, box=None)[0]["store"]) == store
