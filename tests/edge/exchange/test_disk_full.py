"""A disk that is really full: a small file system of its own, filled to the brim."""

import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from edge.errors import ExchangeFull
from edge.exchange import room
from edge.exchange.ballast import BALLAST_BYTES, Ballast
from edge.exchange.batch import Batch
from edge.journal import Journal
from tests.support.exchange import NTP, ORIGIN, Exchange, acked, configuration, filled, opened, report, tile_part, visit
from tests.support.small_disk import SmallDisk


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """A file system of 32 MiB."""
    with SmallDisk(tmp_path / "disk", size_bytes=32 * 2**20) as mounted:
        yield mounted


Name = tuple[object, object]


def everything(exchange: Exchange) -> tuple[set[Name], set[Name], Counter[str]]:
    """Names held, names declared, and what was lost by type; together they are all that was issued."""
    named = "SELECT epoch, seq FROM item UNION SELECT epoch, seq FROM part UNION SELECT epoch, seq FROM tile_part"
    held: set[Name] = {(epoch, seq) for epoch, seq in exchange.rows(named)}
    declared: set[Name] = set()
    lost: Counter[str] = Counter()
    for epoch, first, last, reason, counts in exchange.gaps():
        declared |= {(epoch, seq) for seq in range(first, last + 1)}
        lost += counts if reason == "dropped" else Counter()
    declared |= {(epoch, seq) for epoch, first, last, _ in exchange.merged() for seq in range(first, last + 1)}
    issued = exchange.rows("SELECT epoch, next_seq - 1 FROM epoch")
    assert not held & declared
    assert held | declared == {(epoch, seq) for epoch, last in issued for seq in range(1, int(str(last)) + 1)}
    return held, declared, lost


def minute(number: int) -> Batch:
    at = number * 60.0
    cells = dict.fromkeys(range(200), 1000)
    drafts = [visit(at=at, frames=number), visit(at=at, frames=number), report(at=at)]
    return Batch(origin=ORIGIN, drafts=drafts, tiles=[tile_part(cells, at=at)])


def dropped(exchange: Exchange) -> bool:
    return any(reason == "dropped" for *_, reason, _ in exchange.gaps())


def test_a_full_disk_costs_the_ballast_first_and_then_what_is_worth_least(disk: SmallDisk) -> None:
    exchange = Exchange(folder=disk.folder / "exchange")
    with opened(exchange) as writer:
        ballast = exchange.folder / "exchange.ballast"
        assert ballast.stat().st_blocks * 512 >= BALLAST_BYTES
        writer.commit(Batch(origin=ORIGIN, drafts=[configuration()]))
        for number in range(100):
            exchange.now = number * 60.0
            writer.commit(minute(number))
        disk.brim()
        number = 100
        while number < 20_000 and not dropped(exchange):
            exchange.now = number * 60.0
            writer.commit(Batch(origin=ORIGIN, drafts=[*minute(number).drafts] * 40, tiles=minute(number).tiles))
            number += 1
        assert dropped(exchange), "the disk never became full"
        assert not ballast.exists()
        _, declared, _ = everything(exchange)
        kept = {kind: [int(str(body["seq"])) for body in exchange.bodies(kind)] for kind in ("occupancy", "visit")}
        assert kept["visit"]
        assert not kept["occupancy"] or min(kept["visit"]) < min(kept["occupancy"]), "visits go last"
        for extra in range(200):
            disk.brim()
            writer.commit(minute(number + extra))
        held, declared, lost = everything(exchange)
    assert held
    assert declared
    assert lost["configuration"] == 0
    assert exchange.bodies("configuration")
    assert exchange.bodies("visit")[-1]["frames_seen"] == number + 199


def test_nothing_stored_is_lost_when_not_a_byte_is_left_and_all_goes_on_when_there_is_room(disk: SmallDisk) -> None:
    exchange = Exchange(folder=disk.folder / "exchange")
    with opened(exchange) as writer:
        filled(writer, exchange, 200)
        before = exchange.bodies()
        (exchange.folder / "exchange.ballast").unlink()
        disk.brim()
        with pytest.raises(ExchangeFull, match=f"{exchange.folder}/exchange.sqlite: no room on the disk"):
            writer.commit(Batch(origin=ORIGIN, drafts=[visit() for _ in range(10_000)]))
        assert exchange.bodies() == before
        disk.relieve()
        writer.commit(Batch(origin=ORIGIN, drafts=[visit(frames=4711)]))
        assert exchange.bodies()[:-1] == before
        assert exchange.bodies()[-1]["frames_seen"] == 4711
        assert exchange.gaps() == []
        assert (exchange.folder / "exchange.ballast").exists()


def test_a_full_disk_is_told_once_and_so_is_its_end(disk: SmallDisk, caplog: pytest.LogCaptureFixture) -> None:
    exchange = Exchange(folder=disk.folder / "exchange")
    with caplog.at_level(logging.INFO), opened(exchange) as writer:
        for _ in range(30):
            disk.brim()
            writer.commit(Batch(origin=ORIGIN, drafts=[visit() for _ in range(500)]))
        disk.relieve()
        for _ in range(3):
            writer.commit(Batch(origin=ORIGIN, drafts=[visit()]))
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 2
    assert told[0].startswith(f"exchange {exchange.folder}/exchange.sqlite: no room on the disk")
    assert "free some space" in told[0]
    assert told[1] == f"exchange {exchange.folder}: there is room on the disk again"


def test_settled_items_go_before_any_that_wait(disk: SmallDisk) -> None:
    exchange = Exchange(folder=disk.folder / "exchange")
    with opened(exchange) as writer, exchange.outbox() as outbox:
        filled(writer, exchange, 3000)
        outbox.claim(now_ms=0, window=2000, lapse_ms=1000)
        outbox.settle(acked(1, through=1400), now_ms=0)
        disk.brim()
        settled = "SELECT count(*) FROM item WHERE state >= 2 AND type <> 'configuration'"
        for number in range(300):
            writer.commit(Batch(origin=ORIGIN, drafts=[visit(frames=number) for _ in range(200)]))
            disk.brim()
            if exchange.gaps():
                break
            if exchange.rows("SELECT 1 FROM history"):
                assert set(range(1401, 3002)) <= set(exchange.states())
        assert exchange.rows("SELECT 1 FROM history"), "nothing settled had to go"
        assert exchange.gaps(), "nothing had to be dropped"
        assert exchange.rows(settled) == [(0,)]


@pytest.mark.parametrize("leave_bytes", [0, 300_000], ids=["every byte", "almost every byte"])
def test_it_lives_on_within_what_it_has_while_others_take(disk: SmallDisk, leave_bytes: int) -> None:
    exchange, random = Exchange(folder=disk.folder / "exchange"), Random(3)
    with opened(exchange) as writer, exchange.outbox() as outbox:
        writer.commit(Batch(origin=ORIGIN, drafts=[configuration()]))
        stored = failed = 0
        for number in range(400):
            disk.brim(leave_bytes=leave_bytes)
            exchange.now = number * 60.0
            drafts = [visit(at=exchange.now, frames=number) for _ in range(random.randrange(200))]
            try:
                writer.commit(Batch(origin=ORIGIN, drafts=[*drafts, report(at=exchange.now)]))
                stored += len(drafts)
            except ExchangeFull:
                failed += 1
            if number % 50 == 49:
                outbox.claim(now_ms=number, window=100, lapse_ms=10)
        _, _, lost = everything(exchange)
        pages = writer._connection.execute("PRAGMA page_count").fetchone()
        assert writer._connection.execute("PRAGMA max_page_count").fetchone() == pages, "the file may not grow"
        disk.relieve()
        writer.commit(Batch(origin=ORIGIN))
        assert writer._connection.execute("PRAGMA max_page_count").fetchone() > pages
        assert (exchange.folder / "exchange.ballast").exists()
    assert failed == 0
    assert lost["visit"] > 0
    assert lost["visit"] + len(exchange.bodies("visit")) == stored


def test_a_file_that_may_not_grow_takes_all_that_comes_however_scattered_what_must_go_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Ballast, "is_affordable", False)
    exchange = Exchange(folder=tmp_path)
    with opened(exchange) as writer:
        writer.commit(Batch(origin=ORIGIN, drafts=[configuration()]))
        for number in range(150):
            exchange.now = number * 900.0
            pairs = [(visit(at=exchange.now + index), report(at=exchange.now + index)) for index in range(100)]
            drafts = [draft for pair in pairs for draft in pair]
            writer.commit(Batch(origin=replace(ORIGIN, config=f"{number:032x}"), drafts=drafts))
        room.keep_size(writer._connection, fixed=True)
        for number in range(200):
            drafts = [visit(at=exchange.now, frames=number) for _ in range(100)]
            writer.commit(Batch(origin=ORIGIN, drafts=drafts))
        _, _, lost = everything(exchange)
    assert lost["visit"] + len(exchange.bodies("visit")) == 150 * 100 + 200 * 100
    assert exchange.bodies("visit")[-1]["frames_seen"] == 199


def test_an_exchange_opens_on_a_full_disk(disk: SmallDisk) -> None:
    exchange = Exchange(folder=disk.folder / "exchange")
    with opened(exchange) as writer:
        filled(writer, exchange, 100)
    disk.brim()
    with exchange.writer() as writer:
        writer.commit(Batch(origin=ORIGIN, drafts=[visit(frames=4711)]))
        assert exchange.bodies("visit")[-1]["frames_seen"] == 4711
        assert len(exchange.bodies("visit")) == 101


def test_a_batch_larger_than_what_is_kept_free_is_taken_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ballast, "is_affordable", False)
    exchange = Exchange(folder=tmp_path)
    with opened(exchange) as writer:
        filled(writer, exchange, 8_000)
        room.keep_size(writer._connection, fixed=True)
        writer.commit(Batch(origin=ORIGIN, drafts=[visit(frames=number) for number in range(1_500)]))
        held, _, lost = everything(exchange)
        assert len(held) + lost.total() == 1 + 8_000 + 1_500
    assert exchange.bodies("visit")[-1]["frames_seen"] == 1_499


def test_the_last_room_is_not_taken_for_ballast(disk: SmallDisk) -> None:
    disk.brim(leave_bytes=BALLAST_BYTES + 2**20)
    exchange = Exchange(folder=disk.folder / "exchange")
    with opened(exchange):
        assert not (exchange.folder / "exchange.ballast").exists()


def test_what_could_not_even_be_declared_on_the_last_byte_is_declared_by_the_next_run(
    disk: SmallDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    exchange = Exchange(folder=disk.folder / "exchange")
    with opened(exchange) as writer:
        writer.commit(Batch(origin=ORIGIN, drafts=[configuration()]))
        (exchange.folder / "exchange.ballast").unlink()
        disk.brim()
        with Journal(writer, system_fix=lambda: NTP) as journal:
            for _ in range(4):
                journal.put(Batch(origin=ORIGIN, drafts=[visit() for _ in range(10_000)]))
            monkeypatch.setattr(writer, "_store", _no_room)
    disk.relieve()
    with opened(exchange):
        kept = len(exchange.bodies("visit"))
        assert kept + sum(lost["visit"] for *_, lost in exchange.gaps()) == 40_000
        assert exchange.gaps()


def _no_room(_: Batch) -> None:
    raise ExchangeFull


def test_the_journal_goes_on_over_a_full_disk_and_declares_what_it_let_go(
    disk: SmallDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.journal._RETRY_SECONDS", 0.01)
    exchange = Exchange(folder=disk.folder / "exchange")
    with opened(exchange) as writer:
        (exchange.folder / "exchange.ballast").unlink()
        disk.brim()
        with Journal(writer, system_fix=lambda: NTP, waiting_batches=20) as journal:
            put = 0
            while not journal._lost and put < 3000:
                disk.brim()
                journal.put(Batch(origin=ORIGIN, drafts=[visit(frames=put) for _ in range(500)]))
                put += 1
            assert journal._lost, "the disk never became full"
            disk.relieve()
        _, _, lost = everything(exchange)
        assert lost["visit"] > 0
        assert lost["visit"] + len(exchange.bodies("visit")) == 500 * put
