import os
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import pytest

from edge.anonymity import Origin
from edge.errors import ExchangeError
from edge.exchange.batch import Batch, Checkpointed, LeftBehind
from edge.exchange.outbox import Outbox
from edge.exchange.schema import FILE_NAME
from edge.exchange.writer import Budget
from protocol.modes import Mode
from protocol.wire import early_epoch
from tests.support.exchange import NTP, ORIGIN, Exchange, acked, configuration, filled, report, tile_part, visit


def test_seqs_start_at_one_and_have_no_holes_in_each_epoch(exchange: Exchange) -> None:
    for _ in range(3):
        with exchange.writer() as writer:
            writer.offer_fix(NTP)
            writer.commit(Batch(origin=ORIGIN, drafts=[configuration(), visit()]))
            writer.commit(Batch(origin=ORIGIN, drafts=[report(), visit(), visit()], tiles=[tile_part({3: 900})]))
            writer.close_buckets()
    held = exchange.rows("SELECT epoch, group_concat(seq) FROM (SELECT * FROM item ORDER BY id) GROUP BY epoch")
    epochs = [f"{number:016x}" for number in (1, 2, 3)]
    expected = {(epoch, "1,2,3,4,5") for epoch in epochs} | {(early_epoch(epoch), "1") for epoch in epochs}
    assert set(held) == expected


def test_a_seq_is_never_used_again_after_its_item_is_deleted(exchange: Exchange) -> None:
    exchange.budget = Budget(keep_settled_seconds=10)
    with exchange.writer() as writer, exchange.outbox() as outbox:
        writer.offer_fix(NTP)
        filled(writer, exchange, 4)
        outbox.claim(now_ms=0, window=100, lapse_ms=1000)
        outbox.settle(acked(1, through=5), now_ms=100_000)
        exchange.now += 60
        writer.commit(Batch(origin=ORIGIN, drafts=[visit(at=exchange.now)]))
        writer.commit(Batch(origin=ORIGIN, drafts=[visit(at=exchange.now)]))
        assert sorted(exchange.states()) == [1, 6, 7]  # the configuration stays, for those under it


def test_the_item_stored_is_the_item_named(exchange: Exchange) -> None:
    with exchange.writer() as writer:
        writer.offer_fix(NTP)
        writer.commit(Batch(origin=ORIGIN, drafts=[visit(at=61.0, frames=9)]))
    (body,) = exchange.bodies()
    assert (body["seq"], body["at"], body["frames_seen"]) == (1, "2026-03-01T12:01:00Z", 9)


def test_a_batch_is_one_transaction(exchange: Exchange) -> None:
    with exchange.writer() as writer:
        writer.offer_fix(NTP)
        checkpoints = [Checkpointed(scene="floor", visits={1: {"n": 1}, 2: {"n": 2}})]
        writer.commit(Batch(origin=ORIGIN, drafts=[configuration()], checkpoints=checkpoints))
        broken = visit()
        broken.body["frames_seen"] = -1
        ended = [Checkpointed(scene="floor", visits={})]
        with pytest.raises(ValueError, match="frames_seen"):
            writer.commit(Batch(origin=ORIGIN, drafts=[visit(), broken], tiles=[tile_part({1: 1})], checkpoints=ended))
        writer.commit(Batch(origin=ORIGIN, drafts=[report()]))
        assert [left.visit["n"] for left in writer.left_over()] == [1, 2]
        writer.close_buckets()
    assert [(body["seq"], body["type"]) for body in exchange.bodies()] == [(1, "configuration"), (2, "occupancy")]


def test_checkpoints_are_left_over_by_a_run_that_did_not_end(exchange: Exchange) -> None:
    moved = Origin(venue="other-shop", config="e" * 32, mode=Mode.LIVE)
    yard = LeftBehind(boot="boot-1", origin=moved, visit={"n": 2})
    with exchange.writer() as writer:
        writer.commit(Batch(origin=ORIGIN, checkpoints=[Checkpointed(scene="floor", visits={1: {"n": 1}})]))
        writer.commit(Batch(origin=moved, checkpoints=[Checkpointed(scene="yard", visits={1: {"n": 2}})]))
        writer.commit(Batch(origin=ORIGIN, checkpoints=[Checkpointed(scene="floor", visits={2: {"n": 3}})]))
    with exchange.writer() as writer:
        assert writer.left_over() == [yard, LeftBehind(boot="boot-1", origin=ORIGIN, visit={"n": 3})]
        writer.commit(Batch(origin=ORIGIN, checkpoints=[Checkpointed(scene="floor", visits={})]))
        assert writer.left_over() == [yard]


def test_how_many_are_inside_outlasts_the_run(exchange: Exchange) -> None:
    with exchange.writer() as writer:
        assert writer.inside() == {}
        both = [Checkpointed(scene="floor", visits={}, inside=4), Checkpointed(scene="yard", visits={})]
        writer.commit(Batch(origin=ORIGIN, checkpoints=both))
        writer.commit(Batch(origin=ORIGIN, checkpoints=[Checkpointed(scene="floor", visits={}, inside=-2)]))
    with exchange.writer() as writer:
        assert writer.inside() == {"floor": -2}


def test_what_an_earlier_run_said_of_the_present_is_forgotten(exchange: Exchange) -> None:
    with exchange.writer() as writer, exchange.outbox() as outbox:
        writer.commit(Batch(origin=ORIGIN, live={"camera/gone": {"n": 1}}))
        exchange.now += 5
        assert [(row.subject, row.age_seconds) for row in outbox.live(now_ms=105_000)] == [("camera/gone", 5.0)]
    with exchange.writer(), exchange.outbox() as outbox:
        assert outbox.live(now_ms=105_000) == []


def test_only_one_writer_at_a_time(exchange: Exchange) -> None:
    with (
        exchange.writer(),
        pytest.raises(ExchangeError, match=f"{exchange.folder}.*another vision process"),
        exchange.writer(),
    ):
        pass
    with exchange.writer() as writer:
        writer.commit(Batch(origin=ORIGIN))


def _not_a_database(folder: Path) -> None:
    (folder / FILE_NAME).write_bytes(b"no database, but long enough to look like one: " * 100)


def _of_a_newer_version(folder: Path) -> None:
    with closing(sqlite3.connect(folder / FILE_NAME)) as connection:
        connection.execute("PRAGMA user_version = 4")


def _of_another_program(folder: Path) -> None:
    with closing(sqlite3.connect(folder / FILE_NAME)) as connection:
        connection.execute("CREATE TABLE bookmarks (url TEXT)")


def _a_folder(folder: Path) -> None:
    (folder / FILE_NAME).mkdir()


def _a_link_to_nowhere(folder: Path) -> None:
    (folder / FILE_NAME).symlink_to(folder / "absent" / "file")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        pytest.param(_not_a_database, "not an exchange file or damaged", id="not a database"),
        pytest.param(_of_a_newer_version, "written by a newer Footfall .format 4, this one knows 3", id="newer format"),
        pytest.param(_of_another_program, "database of another program", id="another program's database"),
        pytest.param(_a_folder, "unable to open|directory", id="a folder in its place"),
        pytest.param(_a_link_to_nowhere, "No such file", id="cannot be made"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(exchange: Exchange, spoil: object, words: str) -> None:
    assert callable(spoil)
    spoil(exchange.folder)
    for opening in (exchange.writer().__enter__, lambda: Outbox(exchange.folder, boot="boot-1")):
        with pytest.raises(ExchangeError, match=words) as raised:
            opening()
        assert str(exchange.folder / FILE_NAME) in str(raised.value)
    with pytest.raises(ExchangeError, match=words), exchange.writer():  # the failed opening kept no lock
        pass


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ExchangeError, match=f"{tmp_path}/file/exchange.*Not a directory"):
        Exchange(folder=tmp_path / "file" / "exchange").writer().__enter__()


_OPEN = """
import os, sys
from pathlib import Path
from edge.anonymity import Origin
from edge.errors import ExchangeError
from tests.support.exchange import Exchange
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
try:
    with Exchange(folder=Path(sys.argv[1])).writer():
        print("opened")
except ExchangeError as error:
    print(error)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become a user who may not write here")
def test_an_unwritable_folder_is_named() -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        said = subprocess.run([sys.executable, "-c", _OPEN, folder], capture_output=True, text=True, check=True).stdout
    assert said.startswith(f"exchange folder {folder}: Permission denied; it must be a folder this user may write to")


def test_commits_are_durable_settings(exchange: Exchange) -> None:
    with exchange.writer() as writer:
        connection = writer._connection
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert exchange.rows("SELECT sql FROM sqlite_schema WHERE sql LIKE '%AUTOINCREMENT%'") == []


def test_two_first_openers_do_not_trip_over_each_other(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from edge.exchange.outbox import Outbox;"
        " Outbox(Path(sys.argv[1]), boot='b').close()"
    )
    openers = [subprocess.Popen([sys.executable, "-c", script, tmp_path]) for _ in range(4)]
    assert [opener.wait(timeout=60) for opener in openers] == [0, 0, 0, 0]
