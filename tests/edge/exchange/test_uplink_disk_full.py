"""Uplink on a disk that is really full: delivering must go on, as it is what lets room come back."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.errors import ExchangeFull
from edge.exchange import room
from edge.exchange.ballast import BALLAST_BYTES
from edge.exchange.batch import Batch
from edge.exchange.outbox import Outbox
from edge.exchange.schema import LOG_BYTES
from edge.exchange.writer import Writer
from edge.uplink.delivery import Delivery
from tests.support.exchange import ORIGIN, Exchange, filled, opened, visit
from tests.support.ideal_cloud import IdealCloud
from tests.support.small_disk import SmallDisk


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """A file system of 32 MiB."""
    with SmallDisk(tmp_path / "disk", size_bytes=32 * 2**20) as mounted:
        yield mounted


@pytest.fixture
def exchange(disk: SmallDisk) -> Exchange:
    return Exchange(folder=disk.folder / "exchange")


def deliver(disk: SmallDisk, exchange: Exchange, outbox: Outbox, cloud: IdealCloud, *, sessions: int) -> None:
    """Deliver over one connection after another, while somebody else takes every byte that comes free."""
    delivery = Delivery(outbox, box="box-1")
    for _ in range(sessions):
        disk.brim()
        delivery.connected()
        for _ in range(3):
            exchange.now += 31
            for outgoing in delivery.due(exchange.now):
                disk.brim()
                delivery.sent(outgoing, exchange.now)
                delivery.acknowledge(cloud.take(outgoing.payload), exchange.now)


def lies(exchange: Exchange) -> bool:
    return (exchange.folder / "exchange.ballast").exists()


def test_all_is_delivered_while_vision_is_stopped(disk: SmallDisk, exchange: Exchange) -> None:
    cloud = IdealCloud()
    with opened(exchange) as writer:
        filled(writer, exchange, 8_000, batch=1000)
    disk.brim()
    with exchange.outbox() as outbox:
        deliver(disk, exchange, outbox, cloud, sessions=8)
        assert outbox.standing().waiting == 0
    assert len(cloud.items) == 8_001
    assert not lies(exchange)


def test_all_is_delivered_while_vision_runs_and_vision_lays_the_ballast_again(
    disk: SmallDisk, exchange: Exchange
) -> None:
    cloud = IdealCloud()
    with opened(exchange) as writer, exchange.outbox() as outbox:
        filled(writer, exchange, 8_000, batch=1000)
        for number in range(10):
            disk.brim()
            writer.commit(Batch(origin=ORIGIN, drafts=[visit(frames=number) for _ in range(50)]))
            deliver(disk, exchange, outbox, cloud, sessions=1)
        assert len(cloud.items) + len(cloud.gaps) == 8_501
        assert not lies(exchange)
        disk.relieve()
        writer.commit(Batch(origin=ORIGIN))
        assert lies(exchange)


def test_vision_lets_nothing_grow_once_uplink_has_given_up_the_ballast(disk: SmallDisk, exchange: Exchange) -> None:
    cloud = IdealCloud()
    with opened(exchange) as writer, exchange.outbox() as outbox:
        filled(writer, exchange, 8_000, batch=1000)
        disk.brim()
        while lies(exchange):
            deliver(disk, exchange, outbox, cloud, sessions=1)
        for number in range(30):
            writer.commit(Batch(origin=ORIGIN, drafts=[visit(frames=number) for _ in range(400)]))
            deliver(disk, exchange, outbox, cloud, sessions=1)
            assert room.restart_log(writer._connection), "the log holds what the file cannot take"
        assert outbox.standing().waiting == 0
    assert len(cloud.items) + len(cloud.gaps) == 8_001 + 30 * 400


def test_vision_still_declares_what_it_must_drop_once_uplink_has_given_up_the_ballast(
    disk: SmallDisk, exchange: Exchange
) -> None:
    with opened(exchange) as writer, exchange.outbox() as outbox:
        filled(writer, exchange, 4_000, batch=1000)
        disk.brim()
        while lies(exchange):
            exchange.now += 1
            outbox.claim(now_ms=round(exchange.now * 1000), window=2000, lapse_ms=0)
        put = 4_000
        while not exchange.gaps():
            disk.brim()
            writer.commit(Batch(origin=ORIGIN, drafts=[visit() for _ in range(100)]))
            put += 100
        for _ in range(20):
            disk.brim()
            writer.commit(Batch(origin=ORIGIN, drafts=[visit() for _ in range(100)]))
            put += 100
    assert len(exchange.bodies("visit")) + sum(lost["visit"] for *_, lost in exchange.gaps()) == put


def test_a_log_that_can_be_begun_anew_spares_the_ballast(disk: SmallDisk, exchange: Exchange) -> None:
    with opened(exchange) as writer, exchange.outbox() as outbox:
        filled(writer, exchange, 2_000, batch=1000)
        room.restart_log(writer._connection)
        disk.brim()
        for now in range(30):
            assert outbox.claim(now_ms=now, window=100, lapse_ms=0)
        assert lies(exchange)


def test_without_room_and_without_ballast_it_says_so_and_goes_on_when_there_is_some(
    disk: SmallDisk, exchange: Exchange
) -> None:
    with opened(exchange) as writer:
        filled(writer, exchange, 500)
    (exchange.folder / "exchange.ballast").unlink()
    disk.brim()
    with pytest.raises(ExchangeFull, match="no room on the disk"):
        exchange.outbox()
    disk.relieve()
    with exchange.outbox() as outbox:
        assert len(outbox.claim(now_ms=0, window=100, lapse_ms=0)) == 100


def test_the_log_is_cut_back_once_nobody_holds_it_up(tmp_path: Path) -> None:
    exchange = Exchange(folder=tmp_path)
    with opened(exchange) as writer, exchange.outbox() as reader:
        reader._connection.execute("BEGIN")
        reader._connection.execute("SELECT count(*) FROM item").fetchone()
        filled(writer, exchange, 8_000, batch=1000)
        assert _log_bytes(exchange) > LOG_BYTES + 2**20
        reader._connection.execute("ROLLBACK")
        _commit_some(writer)
        assert _log_bytes(exchange) <= LOG_BYTES == BALLAST_BYTES // 2


def _commit_some(writer: Writer) -> None:
    for _ in range(3):
        writer.commit(Batch(origin=ORIGIN, drafts=[visit()]))


def _log_bytes(exchange: Exchange) -> int:
    return (exchange.folder / "exchange.sqlite-wal").stat().st_size
