import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from edge.exchange import settled
from edge.exchange.outbox import Outbox, Verdict
from edge.exchange.schema import FILE_NAME
from edge.exchange.writer import Writer
from protocol.acks import Ack
from tests.support.exchange import STORES, Exchange, acked, filled, opened

EPOCH = f"{1:016x}"


@pytest.fixture
def writer(exchange: Exchange) -> Iterator[Writer]:
    with opened(exchange) as writer:
        filled(writer, exchange, 19)
        yield writer


@pytest.fixture
def outbox(exchange: Exchange, writer: Writer) -> Iterator[Outbox]:
    assert writer.epoch == EPOCH
    with exchange.outbox() as outbox:
        outbox.claim(now_ms=0, window=100, lapse_ms=30_000)
        yield outbox


def said(outbox: Outbox, epoch: str = EPOCH) -> list[tuple[int, int]]:
    return [(one.first, one.last) for one in outbox.seen(epoch).settled or ()]


@pytest.mark.parametrize(
    ("acks", "ranges"),
    [
        pytest.param([], [], id="no ack"),
        pytest.param([acked(1)], [], id="an ack of nothing"),
        pytest.param([acked(1, through=7)], [(1, 7)], id="through"),
        pytest.param([acked(1, received=[(3, 4), (9, 9)])], [(3, 4), (9, 9)], id="ranges beyond"),
        pytest.param([acked(1, through=4, received=[(6, 8)], rejected=[3, 9])], [(1, 4), (6, 9)], id="rejected seqs"),
        pytest.param([acked(1, received=[(9, 9)]), acked(2, through=12)], [(1, 12)], id="through passes a range"),
        pytest.param(
            [acked(1, received=[(9, 12)]), acked(2, through=10)], [(1, 12)], id="through reaches into a range"
        ),
        pytest.param([acked(1, through=9), acked(2, through=4)], [(1, 9)], id="a cloud that went back"),
        pytest.param(
            [acked(1, through=2, received=[(5, 9)]), acked(2, through=3)],
            [(1, 3), (5, 9)],
            id="it lost what was beyond",
        ),
        pytest.param(
            [acked(1, through=9, received=[(12, 14)]), acked(1, through=1, received=[(5, 5)], store=STORES[2])],
            [(1, 1), (5, 5)],
            id="a new store",
        ),
        pytest.param([acked(1, received=[(9, 9)]), acked(2, refused="0" * 64)], [(9, 9)], id="a refused payload"),
    ],
)
def test_what_acks_have_settled(outbox: Outbox, acks: list[Ack], ranges: list[tuple[int, int]]) -> None:
    for ack in acks:
        assert outbox.settle(ack, now_ms=0) in {Verdict.TAKEN, Verdict.NEW_STORE}
    assert said(outbox) == ranges


def test_an_ack_that_may_not_be_taken_settles_nothing(outbox: Outbox) -> None:
    outbox.settle(acked(5, through=2, received=[(5, 5)]), now_ms=0)
    for ack in (acked(5, received=[(7, 7)]), acked(6, received=[(30, 31)]), acked(9, through=9, store=STORES[0])):
        outbox.settle(ack, now_ms=0)
    assert said(outbox) == [(1, 2), (5, 5)]


def test_a_new_store_makes_void_what_was_settled_of_other_epochs(exchange: Exchange, outbox: Outbox) -> None:
    outbox.settle(acked(1, through=3, received=[(5, 9)]), now_ms=0)
    outbox.settle(acked(1, refused="0" * 64, store=STORES[2]), now_ms=0)
    assert said(outbox) == []
    outbox.settle(acked(2, through=19, store=STORES[2]), now_ms=0)
    assert said(outbox) == [(1, 19)]
    assert exchange.rows("SELECT key FROM meta WHERE key LIKE 'settled.%'") == []


def test_only_the_lowest_ranges_are_said_and_none_is_forgotten(exchange: Exchange, writer: Writer) -> None:
    filled(writer, exchange, 200)
    with exchange.outbox() as outbox:
        outbox.claim(now_ms=0, window=500, lapse_ms=30_000)
        odd = [(seq, seq) for seq in range(3, 200, 2)]
        outbox.settle(acked(1, received=odd), now_ms=0)
        assert said(outbox) == odd[:32]
        outbox.settle(acked(2, through=150), now_ms=0)
        assert said(outbox) == [(1, 151), *((seq, seq) for seq in range(153, 200, 2))]


@pytest.mark.parametrize("seed", range(5))
def test_whatever_acks_say_ranges_are_the_union(outbox: Outbox, seed: int) -> None:
    order = random.Random(seed)
    union: set[int] = set()
    for position in range(1, 20):
        through = order.randint(0, 5)
        spans = [(first, min(20, first + order.randint(0, 3))) for first in order.sample(range(1, 21), k=3)]
        outbox.settle(acked(position, through=through, received=spans), now_ms=0)
        union |= {*range(1, through + 1), *(seq for first, last in spans for seq in range(first, last + 1))}
        assert {seq for first, last in said(outbox) for seq in range(first, last + 1)} == union


def test_an_old_copy_that_was_put_back_believes_no_more_than_it_holds(exchange: Exchange) -> None:
    with opened(exchange) as writer:
        filled(writer, exchange, 19)
    with opened(exchange), exchange.outbox() as outbox:
        outbox.settle(acked(1, through=400, received=[(500, 501)]), now_ms=0)
        assert said(outbox) == [(1, 20)]


def test_epochs_are_those_of_which_something_settled_is_held(exchange: Exchange) -> None:
    epochs = [f"{number:016x}" for number in (1, 2, 3, 4)]
    for _ in epochs:
        with opened(exchange) as writer:
            filled(writer, exchange, 3)
    with exchange.outbox() as outbox:
        assert outbox.settled_epochs() == []
        outbox.claim(now_ms=0, window=100, lapse_ms=30_000)
        outbox.settle(acked(1, epoch=epochs[0], through=3), now_ms=0)
        outbox.settle(acked(2, epoch=epochs[1], through=3), now_ms=0)
        outbox.settle(acked(3, epoch=epochs[3], received=[(2, 2)]), now_ms=0)
        assert outbox.settled_epochs() == [epochs[3], epochs[1], epochs[0]]
        with closing(sqlite3.connect(exchange.folder / FILE_NAME)) as connection, connection:
            connection.execute("DELETE FROM item WHERE epoch = ?", (epochs[1],))
        assert outbox.settled_epochs() == [epochs[3], epochs[0]]


def test_epochs_are_found_without_reading_what_is_held(exchange: Exchange, outbox: Outbox) -> None:
    assert outbox.settled_epochs() == []
    with closing(sqlite3.connect(exchange.folder / FILE_NAME)) as connection:
        plan = [str(row[3]) for row in connection.execute(f"EXPLAIN QUERY PLAN {settled._EPOCHS}", ("settled.",))]
    reads = [step for step in plan if " item" in step]
    assert reads
    assert all("USING COVERING INDEX" in step for step in reads)
