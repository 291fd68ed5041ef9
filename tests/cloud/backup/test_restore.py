"""What was kept comes back: on either database, from either, whatever had happened in between."""

import json
import re
from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta
from itertools import count
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text
from sqlmodel import SQLModel
from ulid import ULID

from cloud.backup import rows
from cloud.backup.archive import MANIFEST, Kind, Manifest, Part, TableParts, read_catalogue
from cloud.backup.dump import LEFT_OUT, back_up, tables_kept
from cloud.backup.restore import MADE_BY_ITSELF, restore
from cloud.backup.rows import compressed, pieces
from cloud.backup.target import Target
from cloud.backup.verification import verify
from cloud.errors import BackupError, StoreError
from cloud.ingest.commit import Committer
from cloud.ingest.release import release_due
from cloud.store.engine import open_engine, reading, writing
from cloud.store.identity import read_identity, replace_identity
from cloud.store.schema import check_schema, has_tables, migrate, tables_of
from cloud.store.tables import Event, Tile, Venue
from cloud.upkeep.compaction import add_up_fine_tiles
from cloud.upkeep.retention import forget_raw_rows
from tests.support.envelopes import NOW, deliver, enrol, envelope, rows_of, tile, visit
from tests.support.small_disk import SmallDisk
from tests.support.tables import Contents, contents, fill_every_table
from tests.support.traffic import EPOCHS, Traffic, traffic

WEEK = timedelta(days=7)


def kept(engine: Engine, target: Target, *, minutes: int = 0) -> Manifest:
    return back_up(engine, target, now=NOW + timedelta(minutes=minutes), full_after=WEEK)


def restored(engine: Engine, target: Target, archive: str | None = None, *, replace: bool = False) -> Contents:
    restore(engine, target, read_catalogue(target).find(archive), now=NOW + timedelta(days=1), replace=replace)
    return contents(engine)


def identity(engine: Engine) -> str:
    with reading(engine) as connection:
        return read_identity(connection)


@pytest.fixture
def short_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many parts of few rows."""
    monkeypatch.setattr(rows, "ROWS_A_PIECE", 3)


def test_every_table_comes_back_in_either_kind_of_database(engine: Engine, fresh: Engine, target: Target) -> None:
    fill_every_table(engine)
    before = contents(engine)
    assert all(len(table) == 3 for table in before.values())
    made = kept(engine, target)
    assert (made.kind, made.rows) == (Kind.FULL, 3 * len(before) + 1)
    assert restored(fresh, target) == before
    check_schema(fresh)


def test_what_is_left_out_of_archives_and_what_counts_as_empty_are_tables_that_there_are() -> None:
    assert {table.name for table in tables_kept()} | LEFT_OUT == set(SQLModel.metadata.tables)
    assert set(SQLModel.metadata.tables) > LEFT_OUT | MADE_BY_ITSELF


def test_a_restored_database_is_another_store_to_which_boxes_send_again(
    source: Engine, fresh: Engine, folder: Target
) -> None:
    kept(source, folder)
    restored(fresh, folder)
    assert identity(fresh) > identity(source)
    once = identity(fresh)
    restored(fresh, folder, replace=True)
    assert identity(fresh) > once


def test_a_store_is_newer_than_that_of_its_back_up_though_the_clock_is_behind(
    source: Engine, fresh: Engine, folder: Target
) -> None:
    with writing(source) as connection:
        ahead = replace_identity(connection, after=[], now=NOW + timedelta(days=3650))
    kept(source, folder)
    restored(fresh, folder)
    assert ahead < identity(fresh) < str(ULID.from_datetime(NOW + timedelta(days=3651)))


@pytest.mark.usefixtures("short_pieces")
def test_an_incremental_archive_holds_what_is_new_and_tells_all(engine: Engine, fresh: Engine, folder: Target) -> None:
    enrol(engine)
    committer = Committer(engine, lambda: NOW)
    for first_seq in range(1, 301, 50):
        committer.commit(deliver(envelope([visit(seq) for seq in range(first_seq, first_seq + 50)])))
    first, before = kept(engine, folder), contents(engine)
    committer.commit(deliver(envelope([visit(seq) for seq in range(301, 311)])))
    second, after = kept(engine, folder, minutes=1), contents(engine)
    third = kept(engine, folder, minutes=2)
    assert (second.kind, second.full, third.full) == (Kind.INCREMENTAL, first.id, first.id)
    assert 0 < second.own_bytes < first.own_bytes / 2
    assert third.own_bytes == 0
    assert restored(fresh, folder) == after
    assert restored(fresh, folder, first.id, replace=True) == before


_NAMES = count(1)


@pytest.mark.usefixtures("short_pieces")
@settings(
    max_examples=5,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(drawn=traffic(), seed=st.integers(0, 2**20))
def test_each_archive_is_the_database_of_its_moment_whatever_came_and_went(
    engine: Engine, fresh: Engine, tmp_path: Path, drawn: Traffic, seed: int
) -> None:
    number, random = next(_NAMES), Random(seed)
    box, target = f"box-{number}", Target(f"file://{tmp_path}/archives-{number}")
    enrol(engine, box=box)
    made: list[tuple[Manifest, Contents]] = []
    for minutes, batch in enumerate(drawn.batches):
        payloads = [
            envelope([drawn.items[epoch, seq] for seq in seqs], box=box, epoch=epoch, head=EPOCHS[1], gaps=gaps)
            for epoch, seqs, gaps in batch
        ]
        Committer(engine, lambda: NOW).commit(deliver(*payloads, box=box))
        if random.random() < 0.3:
            random.choice([release_tomorrow, forget, add_up])(engine)
        if random.random() < 0.7 or not made:
            made.append((kept(engine, target, minutes=minutes), contents(engine)))
    assert [manifest.kind for manifest, _ in made] == [Kind.FULL] + [Kind.INCREMENTAL] * (len(made) - 1)
    for manifest, then in random.sample(made, min(2, len(made))):
        assert restored(fresh, target, manifest.id, replace=True) == then


def release_tomorrow(engine: Engine) -> None:
    release_due(engine, NOW + timedelta(days=2))


def forget(engine: Engine) -> None:
    list(forget_raw_rows(engine, now=NOW + timedelta(days=40), months=1, clock_is_right=True))


def add_up(engine: Engine) -> None:
    list(add_up_fine_tiles(engine, now=NOW + timedelta(days=30)))


def test_released_forgotten_and_added_up_rows_are_in_the_archives_that_they_were_in(
    engine: Engine, fresh: Engine, folder: Target
) -> None:
    enrol(engine)
    late = visit(1, at=NOW + timedelta(days=1))
    Committer(engine, lambda: NOW).commit(deliver(envelope([late, visit(2), tile(3, length_seconds=60)])))
    moments = []
    for minutes, change in enumerate([lambda _: None, release_tomorrow, add_up, forget]):
        change(engine)
        moments.append((kept(engine, folder, minutes=minutes), contents(engine)))
    assert [(len(then["event"]), len(then["held"])) for _, then in moments] == [(2, 1), (3, 0), (3, 0), (0, 0)]
    assert [then["tile"] == moments[0][1]["tile"] for _, then in moments] == [True, True, False, False]
    for manifest, then in moments:
        assert restored(fresh, folder, manifest.id, replace=True) == then


def test_an_archive_of_an_older_schema_is_brought_up_to_this_one(fresh: Engine, folder: Target) -> None:
    """As 0003 was, when a venue had no retention of its own."""
    columns = ("venue", "name", "timezone", "kind", "city", "country", "opening_hours", "created_ms")
    (venue,) = pieces([["corner-shop", "Corner shop", "UTC", "shop", "", "", "{}", 5]])
    (store,) = pieces([[1, "01KAGAGGM0FX3N5V2C8R6T9W4Y", 5]])
    data = [("store", ("id", "store", "created_ms"), store), ("venue", columns, venue)]
    archive = "01KAGAGGM0FX3N5V2C8R6T9W50"
    empty = tables_of("0003") - LEFT_OUT - {name for name, _, _ in data}
    tables = [TableParts(table=name, columns=(), parts=()) for name in sorted(empty)]
    for name, names, piece in data:
        path, packed = f"{archive}/{name}-000001.jsonl.gz", compressed(piece.text)
        folder.write(path, packed)
        part = Part(path=path, rows=1, bytes=len(packed), sha256=piece.sha256)
        tables.append(TableParts(table=name, columns=names, parts=(part,)))
    manifest = Manifest(
        id=archive,
        base=None,
        made_at=NOW,
        schema_revision="0003",
        store="01KAGAGGM0FX3N5V2C8R6T9W4Y",
        tables=tuple(tables),
    )
    folder.write(f"{archive}/{MANIFEST}", manifest.to_json())
    assert [one.troubles for one in verify(folder, read_catalogue(folder), [archive])] == [()]
    restored(fresh, folder)
    check_schema(fresh)
    (found,) = rows_of(fresh, Venue, box=None)
    assert (found["name"], found["created_ms"], found["retention_months"]) == ("Corner shop", 5, None)


def test_an_archive_of_a_newer_schema_is_refused(source: Engine, folder: Target) -> None:
    made = kept(source, folder)
    newer = made.model_copy(update={"schema_revision": "9999"})
    with pytest.raises(BackupError, match=f"Back-up {made.id} has schema 9999, which is newer than this program"):
        restore(source, folder, newer, now=NOW, replace=True)


def test_a_database_that_holds_something_is_refused_unless_it_is_to_be_replaced(
    source: Engine, fresh: Engine, folder: Target
) -> None:
    kept(source, folder)
    migrate(fresh)
    fill_every_table(fresh)
    held = contents(fresh)
    with pytest.raises(BackupError, match="is not empty: --replace throws away what it holds"):
        restored(fresh, folder)
    assert contents(fresh) == held
    assert restored(fresh, folder, replace=True) == contents(source)


def test_a_database_that_was_only_made_is_as_good_as_an_empty_one(
    source: Engine, fresh: Engine, folder: Target
) -> None:
    fill_every_table(source)
    kept(source, folder)
    migrate(fresh)
    assert restored(fresh, folder) == contents(source)


def test_tables_of_another_program_are_left_alone(source: Engine, fresh: Engine, folder: Target) -> None:
    kept(source, folder)
    with writing(fresh) as connection:
        connection.execute(text("CREATE TABLE invoices (number INTEGER)"))
    with pytest.raises(BackupError, match="holds tables of another program: restore into one of its own"):
        restored(fresh, folder, replace=True)


@pytest.mark.parametrize("replace", [False, True])
def test_tables_of_another_program_beside_ours_stay(
    source: Engine, fresh: Engine, folder: Target, *, replace: bool
) -> None:
    kept(source, folder)
    migrate(fresh)
    with writing(fresh) as connection:
        connection.execute(text("CREATE TABLE precious (a INTEGER)"))
        connection.execute(text("INSERT INTO precious VALUES (7)"))
    assert restored(fresh, folder, replace=replace) == contents(source)
    with reading(fresh) as connection:
        assert connection.execute(text("SELECT a FROM precious")).scalars().all() == [7]


def test_a_database_of_a_schema_that_is_not_known_is_left_alone(source: Engine, fresh: Engine, folder: Target) -> None:
    kept(source, folder)
    migrate(fresh)
    with writing(fresh) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(BackupError, match="has schema 9999, which is another program's or a newer Footfall's"):
        restored(fresh, folder, replace=True)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param(lambda tables: tables[1:], "it lacks table ", id="one too few"),
        pytest.param(lambda tables: (*tables, tables[0]), "it has a table .* more than schema", id="one twice"),
        pytest.param(
            lambda tables: (*tables, TableParts(table="invoices", columns=(), parts=())),
            "it has a table invoices more than schema",
            id="one of others",
        ),
    ],
)
def test_an_archive_lists_just_the_tables_of_its_schema(
    source: Engine,
    fresh: Engine,
    folder: Target,
    change: Callable[[tuple[TableParts, ...]], tuple[TableParts, ...]],
    said: str,
) -> None:
    made = kept(source, folder)
    wrong = made.model_copy(update={"tables": change(made.tables)})
    folder.write(f"{made.id}/{MANIFEST}", wrong.to_json())
    ((trouble,),) = (one.troubles for one in verify(folder, read_catalogue(folder), [made.id]))
    assert re.match(said, trouble)
    with pytest.raises(BackupError, match=f"Back-up {made.id}: {said}"):
        restored(fresh, folder)
    assert not has_tables(fresh)


def damaged(data: bytes) -> bytes:
    return compressed(rows.decompressed(data).replace(b"corner", b"corned"))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        pytest.param(lambda path: path.unlink(), "event-000001.jsonl.gz: it is missing", id="a part is missing"),
        pytest.param(
            lambda path: path.write_bytes(path.read_bytes()[:-9]), "event-000001.jsonl.gz is damaged: ", id="cut short"
        ),
        pytest.param(
            lambda path: path.write_bytes(damaged(path.read_bytes())),
            "event-000001.jsonl.gz is damaged: its content is not what was written",
            id="changed",
        ),
    ],
)  # fmt: skip
def test_nothing_is_restored_where_a_part_is_not_as_it_was(
    source: Engine, fresh: Engine, tmp_path: Path, folder: Target, spoil: Callable[[Path], object], said: str
) -> None:
    enrol(source)
    Committer(source, lambda: NOW).commit(deliver(envelope([visit(1)])))
    made = kept(source, folder)
    spoil(tmp_path / "archives" / made.id / "event-000001.jsonl.gz")
    with pytest.raises(BackupError, match=said):
        restored(fresh, folder)
    assert not has_tables(fresh)
    migrate(fresh)
    fill_every_table(fresh)
    before = contents(fresh, with_identity=True)
    with pytest.raises(BackupError, match=said):
        restored(fresh, folder, replace=True)
    assert contents(fresh, with_identity=True) == before


def test_a_row_too_few_is_noticed(source: Engine, fresh: Engine, folder: Target) -> None:
    enrol(source)
    made = kept(source, folder)
    lying = json.loads(made.model_dump_json())
    for table in lying["tables"]:
        for part in table["parts"]:
            part["rows"] += 1
    with pytest.raises(BackupError, match="has 1 rows instead of 2"):
        restore(fresh, folder, Manifest.model_validate(lying), now=NOW)


def test_a_full_disk_leaves_no_half_database(source: Engine, folder: Target, tmp_path: Path) -> None:
    enrol(source)
    noise = Random(3).randbytes(100_000).hex()
    with writing(source) as connection:
        connection.execute(text("UPDATE venue SET opening_hours = :noise"), {"noise": noise * 20})
    kept(source, folder)
    with SmallDisk(tmp_path / "disk", size_bytes=2 * 2**20) as disk, ExitStack() as stack:
        small = open_engine(f"sqlite:///{disk.folder / 'footfall.sqlite'}")
        stack.callback(small.dispose)
        with pytest.raises(StoreError, match="the disk is full"):
            restored(small, folder)
        assert not has_tables(small)


def test_what_others_write_while_an_archive_is_made_is_not_in_it(
    engine: Engine, fresh: Engine, folder: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    enrol(engine)
    committer = Committer(engine, lambda: NOW)
    committer.commit(deliver(envelope([visit(1), tile(2)])))
    before = contents(engine)
    real, seqs = Target.write, count(3)

    def write(self: Target, path: str, data: bytes) -> None:
        seq = next(seqs)
        committer.commit(deliver(envelope([visit(seq)] if seq % 2 else [tile(seq)])))
        real(self, path, data)

    monkeypatch.setattr(Target, "write", write)
    kept(engine, folder)
    assert len(rows_of(engine, Event)) > 8
    assert len(rows_of(engine, Tile)) > 0
    assert restored(fresh, folder) == before
