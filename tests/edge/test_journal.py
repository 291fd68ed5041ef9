import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from edge.clock import Fix
from edge.errors import ExchangeBusy, ExchangeError, ExchangeFull
from edge.exchange.batch import Batch
from edge.exchange.schema import FILE_NAME
from edge.exchange.writer import Writer
from edge.journal import Journal
from tests.support.exchange import NTP, ORIGIN, Exchange, configuration, opened, tile_part, visit


class FullFor:
    """Injects a full disk: until `ends` is set nothing can be stored."""

    def __init__(self, writer: Writer) -> None:
        self.ends = threading.Event()
        self.refused = 0
        self._store = writer._store
        writer._store = self  # type: ignore[method-assign]

    def __call__(self, batch: Batch) -> None:
        if not self.ends.is_set():
            self.refused += 1
            raise ExchangeFull("no room")
        self._store(batch)


@pytest.fixture
def exchange(tmp_path: Path) -> Exchange:
    return Exchange(folder=tmp_path)


@pytest.fixture
def writer(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> Iterator[Writer]:
    monkeypatch.setattr("edge.journal._RETRY_SECONDS", 0.001)
    with opened(exchange) as writer:
        yield writer


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_batches_are_committed_in_order_and_all_before_it_closes(exchange: Exchange, writer: Writer) -> None:
    with Journal(writer, system_fix=lambda: None) as journal:
        for number in range(200):
            journal.put(Batch(origin=ORIGIN, drafts=[visit(frames=number)]))
    assert [body["frames_seen"] for body in exchange.bodies()] == list(range(200))


def test_what_does_not_fit_memory_is_let_go_oldest_first_and_declared(exchange: Exchange, writer: Writer) -> None:
    full = FullFor(writer)
    with Journal(writer, system_fix=lambda: None, waiting_batches=10) as journal:
        journal.put(Batch(origin=ORIGIN, drafts=[configuration()]))
        until(lambda: full.refused > 0)
        for number in range(30):
            journal.put(Batch(origin=ORIGIN, drafts=[visit(frames=number)], tiles=[tile_part({1: 1000})]))
        full.ends.set()
    frames = [body["frames_seen"] for body in exchange.bodies("visit")]
    assert frames == list(range(30))[-len(frames) :]
    assert 8 <= len(frames) <= 12
    assert len(exchange.bodies("configuration")) == 1, "a configuration is never let go"
    lost = sum((counts for *_, counts in exchange.gaps()), start=type(exchange.gaps()[0][4])())
    assert lost == {"visit": 30 - len(frames), "tile": 30 - len(frames)}
    seqs = {int(str(body["seq"])) for body in exchange.bodies()}
    declared = {seq for _, first, last, _, _ in exchange.gaps() for seq in range(first, last + 1)}
    assert seqs | declared == set(range(1, len(seqs) + len(declared) + 1))


def test_a_batch_that_is_stored_is_not_stored_again_when_tidying_up_finds_the_disk_full(
    exchange: Exchange, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full() -> None:
        raise ExchangeFull("no room")

    monkeypatch.setattr(writer, "tend", full)
    with Journal(writer, system_fix=lambda: None) as journal:
        journal.put(Batch(origin=ORIGIN, drafts=[visit()]))
    assert len(exchange.bodies()) == 1


def test_a_full_disk_at_the_end_does_not_keep_it_from_ending(
    exchange: Exchange, caplog: pytest.LogCaptureFixture
) -> None:
    with exchange.writer() as writer, Journal(writer, system_fix=lambda: None) as journal:
        FullFor(writer)
        journal.put(Batch(origin=ORIGIN, drafts=[visit(), visit()], tiles=[tile_part({1: 1000})]))
        journal.put(Batch(origin=ORIGIN, drafts=[visit()]))
    assert exchange.bodies() == []
    assert exchange.gaps() == []
    assert "let go and noted, to be declared by the next run: 1 tile, 3 visit" in caplog.text
    for _ in range(2):
        with exchange.writer():
            pass
    assert exchange.gaps() == [(f"{2:016x}", 1, 4, "dropped", {"visit": 3, "tile": 1})]


def test_a_note_that_outlived_its_declaration_is_not_declared_again(exchange: Exchange) -> None:
    with exchange.writer() as writer:
        writer.note_lost({"visit": 2})
        note = exchange.folder / "exchange.lost"
        before = note.read_bytes()
    with exchange.writer():
        note.write_bytes(before)  # as if it had been killed before it could clear it
    with exchange.writer() as another:
        assert exchange.gaps() == [(f"{2:016x}", 1, 2, "dropped", {"visit": 2})]
        assert another.note_lost({"visit": 1})
        assert another.note_lost({"visit": 1, "tile": 3})
    note.with_name("torn").write_bytes(note.read_bytes()[:30])
    with exchange.writer():
        assert [lost for *_, lost in exchange.gaps()] == [{"visit": 2}, {"visit": 2, "tile": 3}]
        note.write_bytes(note.with_name("torn").read_bytes())
    with exchange.writer():
        assert len(exchange.gaps()) == 2


def test_a_lock_that_another_holds_for_long_is_waited_for(
    exchange: Exchange, writer: Writer, caplog: pytest.LogCaptureFixture
) -> None:
    writer._connection.execute("PRAGMA busy_timeout = 1")
    other = sqlite3.connect(exchange.folder / FILE_NAME, isolation_level=None)
    with closing(other), Journal(writer, system_fix=lambda: NTP) as journal:
        other.execute("BEGIN IMMEDIATE")
        for number in range(3):
            journal.put(Batch(origin=ORIGIN, drafts=[visit(frames=number)]))
        until(lambda: "another process has held it" in caplog.text)
        other.execute("ROLLBACK")
    assert [body["frames_seen"] for body in exchange.bodies()] == [0, 1, 2]
    assert exchange.gaps() == []


def test_a_batch_that_is_stored_is_not_stored_again_when_the_lock_is_taken_right_after(
    exchange: Exchange, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy() -> None:
        raise ExchangeBusy

    monkeypatch.setattr(writer, "tend", busy)
    with Journal(writer, system_fix=lambda: None) as journal:
        journal.put(Batch(origin=ORIGIN, drafts=[visit()]))
    assert len(exchange.bodies()) == 1


def test_it_ends_in_time_when_another_holds_the_lock(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[Batch] = []

    def busy(batch: Batch) -> None:
        tried.append(batch)
        raise ExchangeBusy

    monkeypatch.setattr("edge.journal._RETRY_SECONDS", 20.0)
    with exchange.writer() as writer, Journal(writer, system_fix=lambda: None) as journal:
        monkeypatch.setattr(writer, "commit", busy)
        for _ in range(50):
            journal.put(Batch(origin=ORIGIN, drafts=[visit()]))
        until(lambda: bool(tried))
    assert len(tried) <= 3
    with exchange.writer():
        assert exchange.gaps() == [(f"{2:016x}", 1, 50, "dropped", {"visit": 50})]


def test_what_waits_in_memory_when_it_ends_on_a_full_disk_is_declared(
    exchange: Exchange, writer: Writer, caplog: pytest.LogCaptureFixture
) -> None:
    store = writer._store

    def little_room(batch: Batch) -> None:
        if batch.drafts:
            raise ExchangeFull("no room")
        store(batch)

    writer._store = little_room  # type: ignore[method-assign]
    with Journal(writer, system_fix=lambda: None) as journal:
        for _ in range(5):
            journal.put(Batch(origin=ORIGIN, drafts=[visit()], tiles=[tile_part({1: 1000})]))
    assert exchange.gaps() == [(f"{1:016x}", 1, 10, "dropped", {"visit": 5, "tile": 5})]
    assert "let go and declared: 5 tile, 5 visit" in caplog.text


def test_a_defect_ends_the_process_that_feeds_it(exchange: Exchange, writer: Writer) -> None:
    broken = visit()
    broken.body["frames_seen"] = -1
    with Journal(writer, system_fix=lambda: None) as journal:
        journal.put(Batch(origin=ORIGIN, drafts=[broken]))
        until(lambda: journal._defect is not None)
        with pytest.raises(ValueError, match="frames_seen"):
            journal.put(Batch(origin=ORIGIN))
        journal._defect = None


def test_a_defect_is_not_swallowed_by_closing(exchange: Exchange, writer: Writer) -> None:
    broken = visit()
    broken.body["frames_seen"] = -1
    with pytest.raises(ValueError, match="frames_seen"), Journal(writer, system_fix=lambda: None) as journal:
        journal.put(Batch(origin=ORIGIN, drafts=[broken]))


def test_a_damaged_exchange_is_a_defect(exchange: Exchange, writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(_: Batch) -> None:
        raise ExchangeError("damaged")

    monkeypatch.setattr(writer, "commit", damaged)
    with pytest.raises(ExchangeError, match="damaged"), Journal(writer, system_fix=lambda: None) as journal:
        journal.put(Batch(origin=ORIGIN))


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
def test_utc_is_learnt_while_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, busy: bool) -> None:
    monkeypatch.setattr("edge.journal._CLOCK_SECONDS", 0.02)
    exchange = Exchange(folder=tmp_path)
    known: list[Fix] = []
    with exchange.writer() as writer, Journal(writer, system_fix=lambda: known[-1] if known else None) as journal:
        journal.put(Batch(origin=ORIGIN, drafts=[visit()]))
        until(lambda: len(exchange.rows("SELECT 1 FROM part")) == 1)
        assert journal.fix is None
        known.append(NTP)

        def learnt() -> bool:
            if busy:
                journal.put(Batch(origin=ORIGIN, live={"vision": {}}))
            return journal.fix == NTP

        until(learnt)
        journal.put(Batch(origin=ORIGIN))
        until(lambda: len(exchange.bodies()) == 1)


def test_what_uplink_learnt_is_known_here_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.journal._CLOCK_SECONDS", 0.02)
    exchange = Exchange(folder=tmp_path)
    with exchange.writer() as writer, exchange.outbox() as outbox, Journal(writer, system_fix=lambda: None) as journal:
        outbox.offer_fix(replace(NTP, uncertainty_ms=7))
        until(lambda: journal.fix is not None and journal.fix.uncertainty_ms == 7)


def test_a_disk_too_full_to_note_the_time_is_no_defect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exchange = Exchange(folder=tmp_path)

    def full(_: Fix) -> bool:
        raise ExchangeFull("no room")

    with exchange.writer() as writer:
        monkeypatch.setattr(writer, "offer_fix", full)
        with Journal(writer, system_fix=lambda: NTP) as journal:
            journal.put(Batch(origin=ORIGIN, drafts=[visit()]))
    assert exchange.rows("SELECT count(*) FROM part") == [(1,)]
