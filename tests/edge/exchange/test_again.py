"""A cloud with a new store: all that is held waits again, step by step, while vision and uplink go on."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest

from edge.exchange import again, shedding
from edge.exchange.batch import Batch
from edge.exchange.outbox import Outbox, Verdict
from edge.exchange.schema import FILE_NAME, State, writing
from edge.exchange.writer import Budget, Writer
from tests.support.exchange import ORIGIN, STORES, Exchange, acked, configuration, opened, visit
from tests.support.small_disk import SmallDisk

EPOCH = f"{1:016x}"


@pytest.fixture
def writer(exchange: Exchange) -> Iterator[Writer]:
    with opened(exchange) as writer:
        yield writer


@pytest.fixture
def outbox(exchange: Exchange) -> Iterator[Outbox]:
    with exchange.outbox() as outbox:
        yield outbox


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(again, "STEP_ROWS", 100)


def fill_settled(writer: Writer, exchange: Exchange, count: int) -> None:
    """Hold a configuration and visits, `count` together, all settled at one moment by the first store."""
    writer.commit(Batch(origin=ORIGIN, drafts=[configuration(), *(visit(frames=number) for number in range(99))]))
    with closing(sqlite3.connect(exchange.folder / FILE_NAME, isolation_level=None)) as connection:
        held = 100
        while held < count:
            more = min(held, 2_000, count - held)
            connection.execute(
                "INSERT INTO item (epoch, seq, type, venue, config, mode, at_ms, body)"
                " SELECT epoch, seq + ?, 'visit', venue, config, mode, at_ms, body FROM item WHERE seq <= ?",
                (held, more),
            )
            held += more
        for first in range(0, count, 2_000):
            connection.execute(
                "UPDATE item SET state = 2, settled_ms = 1000, attempts = 1 WHERE seq > ? AND seq <= ?",
                (first, first + 2_000),
            )
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        connection.execute("UPDATE epoch SET next_seq = ?1 + 1, sent_seq = ?1, through = ?1", (count,))
        connection.execute("INSERT INTO meta VALUES ('store', ?), ('position', '5')", (STORES[1],))


def claim(outbox: Outbox, *, window: int = 50) -> list[int]:
    return [item.seq for item in outbox.claim(now_ms=0, window=window, lapse_ms=1_000_000)]


def finish(outbox: Outbox) -> None:
    """Take all steps that are left."""
    for _ in range(1000):
        if not again.is_under_way(outbox._connection):
            return
        claim(outbox, window=0)
    pytest.fail("it never ends")


def in_state(exchange: Exchange, *states: State) -> set[int]:
    return {seq for seq, state in exchange.states().items() if state in states}


def renew(outbox: Outbox, *, through: int = 0, store: str = STORES[2]) -> None:
    assert outbox.settle(acked(1, store=store, through=through), now_ms=0) is Verdict.NEW_STORE


def test_no_transaction_touches_more_than_a_step_and_vision_writes_between_them(
    exchange: Exchange, writer: Writer, outbox: Outbox
) -> None:
    fill_settled(writer, exchange, 5_000)
    touched = [outbox._connection.total_changes]

    def note(statement: str) -> None:
        if statement.startswith("BEGIN"):
            assert not writer._connection.in_transaction
        if statement == "COMMIT":
            touched.append(outbox._connection.total_changes)

    outbox._connection.set_trace_callback(note)
    renew(outbox)
    steps = 0
    while again.is_under_way(outbox._connection):
        claim(outbox)
        writer._connection.execute("PRAGMA busy_timeout = 0")  # it finds the lock free, or fails
        writer.commit(Batch(origin=ORIGIN, drafts=[visit()]))
        steps += 1
    outbox._connection.set_trace_callback(None)
    assert max(after - before for before, after in pairwise(touched)) <= again.STEP_ROWS + 10
    assert steps >= 5
    assert in_state(exchange, State.WAITING, State.CLAIMED) == set(range(1, 5_001 + steps))


def test_the_log_stays_small_however_much_is_held(exchange: Exchange, writer: Writer, outbox: Outbox) -> None:
    fill_settled(writer, exchange, 30_000)
    log = exchange.folder / f"{FILE_NAME}-wal"
    held = (exchange.folder / FILE_NAME).stat().st_size
    renew(outbox)
    largest = log.stat().st_size
    while again.is_under_way(outbox._connection):
        claim(outbox)
        largest = max(largest, log.stat().st_size)
    assert len(in_state(exchange, State.WAITING, State.CLAIMED)) == 30_000
    assert held > 12 * 2**20
    assert largest < 6 * 2**20


def test_a_disk_with_less_room_than_is_held_is_room_enough(tmp_path: Path) -> None:
    with SmallDisk(tmp_path / "disk", size_bytes=36 * 2**20) as disk:
        exchange = Exchange(folder=disk.folder / "exchange", budget=Budget(room_bytes=20 * 2**20))
        with opened(exchange) as writer, exchange.outbox() as outbox:
            fill_settled(writer, exchange, 25_000)
            disk.brim(leave_bytes=6 * 2**20)
            renew(outbox)
            finish(outbox)
            writer.commit(Batch(origin=ORIGIN, drafts=[visit()]))
        assert len(in_state(exchange, State.WAITING)) == 25_001


@pytest.mark.usefixtures("small_steps")
def test_a_crash_in_the_middle_forgets_nothing_and_settles_nothing(exchange: Exchange, writer: Writer) -> None:
    fill_settled(writer, exchange, 1_000)
    with exchange.outbox() as outbox:
        renew(outbox)
        for _ in range(3):
            claim(outbox)
    with exchange.outbox() as outbox:
        assert 0 < len(in_state(exchange, State.SETTLED)) < 1_000
        assert outbox.standing().waiting == 1_000
        finish(outbox)
        assert outbox.standing().waiting == 1_000
    assert in_state(exchange, State.WAITING, State.CLAIMED) == set(range(1, 1_001))


@pytest.mark.usefixtures("small_steps")
def test_what_the_new_store_settles_meanwhile_stays_settled(exchange: Exchange, writer: Writer, outbox: Outbox) -> None:
    fill_settled(writer, exchange, 1_000)
    renew(outbox)
    sent = claim(outbox)
    assert 1 in sent
    outbox.settle(acked(2, store=STORES[2], through=max(sent), rejected=[max(sent)]), now_ms=0)
    outbox.settle(acked(3, store=STORES[2], through=500, received=[(700, 710)]), now_ms=0)
    finish(outbox)
    assert in_state(exchange, State.WAITING, State.CLAIMED) == set(range(501, 1_001))
    outbox.settle(acked(4, store=STORES[2], through=1_000), now_ms=0)
    assert outbox.standing().waiting == 0
    assert claim(outbox) == []


@pytest.mark.usefixtures("small_steps")
def test_what_was_settled_at_the_very_moment_of_the_renewal_is_told_apart(
    exchange: Exchange, writer: Writer, outbox: Outbox
) -> None:
    fill_settled(writer, exchange, 100)
    renew(outbox)
    finish(outbox)
    for number, store in enumerate(STORES[2:6], start=2):
        claim(outbox)
        outbox.settle(acked(2, store=store, through=60), now_ms=0)
        assert in_state(exchange, State.WAITING, State.CLAIMED) == set(range(61, 101))
        renew(outbox, store=STORES[number + 1])
        finish(outbox)
        assert in_state(exchange, State.WAITING, State.CLAIMED) == set(range(1, 101))


@pytest.mark.usefixtures("small_steps")
def test_another_new_store_in_the_middle_begins_anew(exchange: Exchange, writer: Writer, outbox: Outbox) -> None:
    fill_settled(writer, exchange, 1_000)
    renew(outbox, through=400)
    for _ in range(2):
        claim(outbox, window=0)
    renew(outbox, store=STORES[3])
    finish(outbox)
    assert in_state(exchange, State.WAITING, State.CLAIMED) == set(range(1, 1_001))


@pytest.mark.usefixtures("small_steps")
def test_what_a_new_store_may_lack_is_not_purged(exchange: Exchange, writer: Writer, outbox: Outbox) -> None:
    fill_settled(writer, exchange, 1_000)
    renew(outbox, through=300)
    with writing(writer._connection) as connection:
        assert shedding.purge_settled(connection, settled_before_ms=None) == 0
    finish(outbox)
    with writing(writer._connection) as connection:
        while shedding.purge_settled(connection, settled_before_ms=None):
            continue
    assert set(exchange.states()) == {1, *range(301, 1_001)}
    assert outbox.gaps() == []


@pytest.mark.usefixtures("small_steps")
def test_vision_takes_the_steps_itself_when_it_needs_room(exchange: Exchange, writer: Writer, outbox: Outbox) -> None:
    fill_settled(writer, exchange, 1_000)
    renew(outbox)
    while writer._shed():
        continue
    assert set(exchange.states()) == {1}
    ((epoch, first, last, reason, lost),) = exchange.gaps()
    assert (epoch, first, last, reason, lost["visit"]) == (EPOCH, 2, 1_000, "dropped", 999)


@pytest.mark.usefixtures("small_steps")
def test_without_room_for_a_step_what_the_new_store_may_lack_is_declared_expired(
    exchange: Exchange, writer: Writer, outbox: Outbox
) -> None:
    fill_settled(writer, exchange, 1_000)
    renew(outbox, through=200)
    with writing(writer._connection) as connection:
        assert shedding.drop_stretch(connection) > 0
        while shedding.drop_stretch(connection):
            continue
    assert set(exchange.states()) == {1}
    ((_, first, last, reason, _),) = exchange.gaps()
    assert (first, last, reason) == (2, 1_000, "expired")


def test_an_answer_settles_so_many_that_wait_at_most_and_the_next_ones_the_rest(
    exchange: Exchange, writer: Writer, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.exchange.settling._MOST_WAITING", 30)
    for _ in range(10):
        writer.commit(Batch(origin=ORIGIN, drafts=[visit() for _ in range(10)]))
    claim(outbox, window=100)
    outbox.release_claims()
    for position, settled in ((1, 30), (2, 60), (3, 90), (4, 100), (5, 100)):
        outbox.settle(acked(position, through=100), now_ms=0)
        assert in_state(exchange, State.SETTLED) == set(range(1, settled + 1))
        assert exchange.rows("SELECT through FROM epoch WHERE epoch = ?", EPOCH) == [(settled,)]
