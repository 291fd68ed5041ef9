"""Which archives go, and that none goes that another needs."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, update
from ulid import ULID

from cloud.backup.archive import Manifest, Part, read_catalogue
from cloud.backup.dump import back_up
from cloud.backup.keeping import remove, superfluous
from cloud.backup.restore import restore
from cloud.backup.target import Target
from cloud.backup.verification import verify
from cloud.errors import BackupError
from cloud.store.engine import open_engine, writing
from cloud.store.identity import lineage_of, replace_identity
from cloud.store.schema import migrate
from cloud.store.tables import StoreIdentity
from cloud.store.upsert import table_of
from tests.support.envelopes import NOW, enrol
from tests.support.tables import contents


def kept(engine: Engine, target: Target, *, day: float, every: float = 7) -> Manifest:
    return back_up(engine, target, now=NOW + timedelta(days=day), full_after=timedelta(days=every))


def let_go(target: Target, *, keep: int, now: datetime = NOW, of: Manifest | None = None) -> list[str]:
    """Of the one database that there is, or of that of an archive."""
    catalogue = read_catalogue(target)
    if of is None:
        (of,) = catalogue.newest.values()
    gone = superfluous(target, catalogue, database=catalogue.databases[of.id], keep=keep, now=now)
    remove(target, catalogue, gone)
    return list(gone)


def left(target: Target) -> list[str]:
    return sorted({path.partition("/")[0] for path in target.sizes()})


def test_a_full_archive_is_made_once_the_last_one_is_old_enough(source: Engine, folder: Target) -> None:
    made = [kept(source, folder, day=day) for day in (0, 1, 6.9, 7, 8)]
    first, fourth = made[0].id, made[3].id
    assert [one.base for one in made] == [None, first, first, None, fourth]


def test_a_full_archive_is_made_after_a_restoring(source: Engine, folder: Target) -> None:
    kept(source, folder, day=0)
    with writing(source) as connection:
        replace_identity(connection, after=[], now=NOW)
    assert kept(source, folder, day=1).base is None


def test_a_full_archive_is_made_where_the_last_one_has_lost_a_part(
    source: Engine, folder: Target, tmp_path: Path
) -> None:
    first = kept(source, folder, day=0)
    (tmp_path / "archives" / first.id / "store-000001.jsonl.gz").unlink()
    assert kept(source, folder, day=1).base is None


def test_a_clock_that_goes_back_makes_no_archive_older_than_the_one_before(source: Engine, folder: Target) -> None:
    first, second = kept(source, folder, day=0), kept(source, folder, day=-3)
    assert second.id > first.id
    assert read_catalogue(folder).find(None) == second


def test_the_newest_full_archives_stay_with_what_builds_upon_them(
    source: Engine, fresh: Engine, target: Target
) -> None:
    enrol(source)
    made = [kept(source, target, day=day, every=2) for day in range(6)]
    assert let_go(target, keep=2) == [made[1].id, made[0].id]
    assert left(target) == [one.id for one in made[2:]]
    assert let_go(target, keep=2) == []
    restore(fresh, target, made[3], now=NOW)
    assert contents(fresh) == contents(source)


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Engine]:
    """A database that `serve` made since the disk of the real one died."""
    engine = open_engine(f"sqlite:///{tmp_path / 'empty.sqlite'}")
    migrate(engine)
    yield engine
    engine.dispose()


def test_back_ups_of_an_empty_database_make_none_of_the_real_one_go(
    source: Engine, empty: Engine, folder: Target
) -> None:
    enrol(source)
    real = [kept(source, folder, day=day, every=2) for day in range(3)]
    made = [kept(empty, folder, day=day, every=0) for day in range(3, 9)]
    assert let_go(folder, keep=4, of=made[0]) == [made[1].id, made[0].id]
    assert let_go(folder, keep=1, of=real[0]) == [real[1].id, real[0].id]
    assert left(folder) == [one.id for one in (real[2], *made[2:])]


def test_the_newest_of_several_databases_has_to_be_named(source: Engine, empty: Engine, folder: Target) -> None:
    enrol(source)
    real = [kept(source, folder, day=day) for day in range(2)]
    other = kept(empty, folder, day=2)
    said = f"of 2 databases: .*{real[1].id} of 2026-11-21T12:00:00.*, 4 rows, .*{lineage_of(real[0].store)}; {other.id}"
    with pytest.raises(BackupError, match=said):
        read_catalogue(folder).find(None)
    assert read_catalogue(folder).find(real[1].id) == real[1]


def test_databases_that_take_turns_build_upon_their_own(source: Engine, empty: Engine, folder: Target) -> None:
    made = [kept(engine, folder, day=day) for day in range(3) for engine in (source, empty)]
    assert [one.base for one in made] == [None, None, *[made[0].id, made[1].id] * 2]


@pytest.fixture
def real(source: Engine) -> Engine:
    """A database that got its identity before all that happens here."""
    with writing(source) as connection:
        born = ULID.from_datetime(NOW - timedelta(days=365))
        connection.execute(update(table_of(StoreIdentity)).values(store=str(born)))
    return source


@pytest.fixture
def restored(folder: Target, tmp_path: Path) -> Iterator[Callable[[Manifest, float], Engine]]:
    """Make a new database of an archive, at the time of some day by its machine's clock."""
    with ExitStack() as engines:

        def make(archive: Manifest, day: float) -> Engine:
            engine = open_engine(f"sqlite:///{tmp_path / archive.id}-{day}.sqlite")
            engines.callback(engine.dispose)
            restore(engine, folder, archive, now=NOW + timedelta(days=day))
            return engine

        yield make


Restored = Callable[[Manifest, float], Engine]


def test_a_restored_database_is_the_one_that_was_kept(real: Engine, restored: Restored, folder: Target) -> None:
    enrol(real)
    made = [kept(real, folder, day=0)]
    made.append(kept(restored(made[0], 0.5), folder, day=1))
    made.append(kept(restored(made[1], 1.5), folder, day=2))
    assert {one.base for one in made} == {None}
    assert len({one.store for one in made}) == 3
    assert read_catalogue(folder).find(None) == made[2]
    assert let_go(folder, keep=2, now=NOW + timedelta(days=15)) == [made[0].id]


@pytest.mark.parametrize("day", [-0.01, 5000], ids=["behind", "ahead"])
def test_a_restored_database_is_the_one_that_was_kept_also_where_its_clock_was_wrong(
    real: Engine, restored: Restored, folder: Target, day: float
) -> None:
    made = [kept(real, folder, day=0)]
    made.append(kept(restored(made[0], day), folder, day=1))
    assert read_catalogue(folder).find(None) == made[1]


def test_a_database_and_one_restored_from_it_that_both_go_on_are_two(
    real: Engine, restored: Restored, folder: Target
) -> None:
    of_real = [kept(real, folder, day=0)]
    staging = restored(of_real[0], 0.1)
    of_real.append(kept(real, folder, day=0.5, every=0))
    of_staging = [kept(staging, folder, day=1 + number, every=0) for number in range(3)]
    with pytest.raises(BackupError, match=f"of 2 databases: .*{of_real[1].id} of .*; {of_staging[2].id} of "):
        read_catalogue(folder).find(None)
    later = NOW + timedelta(days=40)
    assert let_go(folder, keep=2, of=of_staging[2], now=later) == [of_staging[0].id]
    assert let_go(folder, keep=1, of=of_real[1], now=later) == [of_real[0].id]
    names = read_catalogue(folder).databases
    assert names == {one.id: one.store[-16:] for one in (of_real[1], *of_staging[1:])}


def test_of_two_that_went_on_a_restored_database_is_the_one_that_ended(
    real: Engine, restored: Restored, folder: Target
) -> None:
    of_real = [kept(real, folder, day=0)]
    staging = restored(of_real[0], 0.1)
    of_real.append(kept(real, folder, day=1))
    of_staging = [kept(staging, folder, day=1.5)]
    of_real.append(kept(restored(of_real[1], 2), folder, day=3))
    of_staging.append(kept(staging, folder, day=3.5))
    names = read_catalogue(folder).databases
    assert [len({names[one.id] for one in row}) for row in (of_real, of_staging, of_real + of_staging)] == [1, 1, 2]


def test_for_two_weeks_a_database_may_yet_go_on_beside_what_was_restored_from_it(
    real: Engine, restored: Restored, folder: Target
) -> None:
    of_real = kept(real, folder, day=0)
    staging = restored(of_real, 0.1)
    of_staging = [kept(staging, folder, day=0.2 + number / 10, every=0) for number in range(3)]
    assert let_go(folder, keep=2, now=NOW + timedelta(days=13.9)) == [of_staging[0].id]
    assert let_go(folder, keep=2, now=NOW + timedelta(days=14.1)) == [of_real.id]


def test_the_last_good_full_archive_stays_whatever_became_of_later_ones(
    source: Engine, folder: Target, tmp_path: Path
) -> None:
    made = [kept(source, folder, day=day, every=0) for day in range(3)]
    for later in made[1:]:
        (tmp_path / "archives" / later.id / "store-000001.jsonl.gz").unlink()
    assert let_go(folder, keep=1) == []
    good = kept(source, folder, day=4, every=0)
    assert let_go(folder, keep=1) == [one.id for one in reversed(made)]
    assert left(folder) == [good.id]


@pytest.fixture
def spoil(tmp_path: Path) -> Callable[[Manifest], None]:
    """Change a part of an archive and leave its size as it was."""

    def change(manifest: Manifest) -> None:
        part = tmp_path / "archives" / manifest.id / "venue-000001.jsonl.gz"
        part.write_bytes(part.read_bytes()[:-4] + bytes(4))

    return change


def test_an_archive_that_is_damaged_unseen_does_not_count_as_kept(
    source: Engine, folder: Target, spoil: Callable[[Manifest], None], caplog: pytest.LogCaptureFixture
) -> None:
    enrol(source)
    made = [kept(source, folder, day=day, every=0) for day in range(3)]
    spoil(made[1])
    spoil(made[2])
    assert let_go(folder, keep=1) == []
    assert f"Back-up {made[2].id} does not count as kept: " in caplog.text
    kept(source, folder, day=4, every=0)
    assert let_go(folder, keep=2) == []
    assert let_go(folder, keep=1) == [one.id for one in reversed(made)]


@pytest.mark.parametrize("damaged", [1, 2], ids=["one between", "the newest"])
def test_a_full_archive_does_not_count_as_kept_where_one_that_builds_upon_it_is_damaged(
    source: Engine, folder: Target, spoil: Callable[[Manifest], None], caplog: pytest.LogCaptureFixture, damaged: int
) -> None:
    old = kept(source, folder, day=0, every=0)
    made = [kept(source, folder, day=1, every=0)]
    for number, box in enumerate(("box-2", "box-3"), 2):
        enrol(source, box=box, venue=f"venue-{number}")
        made.append(kept(source, folder, day=number))
    assert [one.base for one in made] == [None, made[0].id, made[0].id]
    spoil(made[damaged])
    assert let_go(folder, keep=1) == []
    said = f"Back-up {made[0].id} does not count as kept: {made[damaged].id}, which builds upon it: "
    assert said in caplog.text
    last = kept(source, folder, day=20)
    assert last.base is None
    assert let_go(folder, keep=1) == [one.id for one in (*reversed(made), old)]


def test_an_incremental_archive_holds_anew_what_became_damaged(
    source: Engine, fresh: Engine, folder: Target, spoil: Callable[[Manifest], None]
) -> None:
    enrol(source)
    first = kept(source, folder, day=0)
    spoil(first)
    second, third = kept(source, folder, day=1), kept(source, folder, day=2)
    assert (second.base, third.base) == (first.id, first.id)
    assert [part.path for part in second.parts if part.path.startswith(second.id)] == [
        f"{second.id}/venue-000001.jsonl.gz"
    ]
    assert third.own_bytes == 0
    found = verify(folder, read_catalogue(folder), [first.id, second.id, third.id])
    assert [bool(one.troubles) for one in found] == [True, False, False]
    restore(fresh, folder, second, now=NOW)
    assert contents(fresh) == contents(source)


def test_folders_of_others_stay(source: Engine, folder: Target, tmp_path: Path) -> None:
    made = [kept(source, folder, day=day, every=0) for day in range(2)]
    for name in ("zzz", "lost+found"):
        (tmp_path / "archives" / name).mkdir()
    assert let_go(folder, keep=1) == [made[0].id]
    found = sorted(path.name for path in (tmp_path / "archives").iterdir())
    assert found == sorted([made[1].id, "zzz", "lost+found"])


def test_a_newest_archive_that_cannot_be_read_is_not_passed_over(source: Engine, folder: Target) -> None:
    made = [kept(source, folder, day=day) for day in range(3)]
    text = folder.read(f"{made[2].id}/manifest.json")
    folder.write(f"{made[2].id}/manifest.json", text.replace(b"event", b"evens"))
    catalogue = read_catalogue(folder)
    with pytest.raises(BackupError, match=f"{made[2].id}, which is the newest: its manifest is damaged.*{made[1].id}"):
        catalogue.find(None)
    assert catalogue.find(made[1].id) == made[1]
    assert catalogue.next_id(NOW) > made[2].id


def test_what_was_never_completed_goes_after_two_days(source: Engine, folder: Target) -> None:
    made = [kept(source, folder, day=day, every=0) for day in (0, 1)]
    folder.remove([f"{made[0].id}/manifest.json"])
    assert read_catalogue(folder).incomplete == (made[0].id,)
    assert let_go(folder, keep=5, now=NOW + timedelta(days=1.9)) == []
    assert let_go(folder, keep=5, now=NOW + timedelta(days=2.1)) == [made[0].id]
    assert left(folder) == [made[1].id]


@pytest.mark.parametrize("lost", [0, 1], ids=["the full one", "one between"])
def test_what_lost_its_manifest_stays_for_as_long_as_another_names_its_parts(
    source: Engine, fresh: Engine, folder: Target, lost: int
) -> None:
    made = []
    for day, box in enumerate(("box-1", "box-2", "box-2")):
        enrol(source, box=box, venue=f"venue-of-{box}")
        made.append(kept(source, folder, day=day))
    then = contents(source)
    made.append(kept(source, folder, day=7, every=0))
    folder.remove([f"{made[lost].id}/manifest.json"])
    assert let_go(folder, keep=2, now=NOW + timedelta(days=8)) == []
    restore(fresh, folder, made[2], now=NOW)
    assert contents(fresh) == then
    made.append(kept(source, folder, day=14, every=0))
    assert let_go(folder, keep=1, now=NOW + timedelta(days=15)) == [one.id for one in reversed(made[:4])]


def test_a_back_up_whose_parts_another_took_for_abandoned_fails(
    source: Engine, empty: Engine, folder: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other's clock is three days ahead, and it looks just before the manifest is there."""
    write = folder.write

    def interfere(path: str, data: bytes) -> None:
        if path.endswith("manifest.json"):
            monkeypatch.setattr(folder, "write", write)
            other = kept(empty, folder, day=3)
            let_go(folder, keep=2, now=NOW + timedelta(days=3), of=other)
        write(path, data)

    monkeypatch.setattr(folder, "write", interfere)
    with pytest.raises(BackupError, match=r"is void: .*store-000001.jsonl.gz is missing, though it was there just now"):
        kept(source, folder, day=0)
    assert len(read_catalogue(folder).archives) == 1
    assert kept(source, folder, day=0.1).base is None


def test_verifying_reads_all_parts_and_names_those_that_are_wrong(
    source: Engine, folder: Target, tmp_path: Path
) -> None:
    enrol(source)
    made = [kept(source, folder, day=day) for day in range(3)]
    archives = [one.id for one in made]

    def troubles() -> list[tuple[str, ...]]:
        return [one.troubles for one in verify(folder, read_catalogue(folder), archives)]

    assert troubles() == [(), (), ()]
    part = tmp_path / "archives" / made[0].id / "venue-000001.jsonl.gz"
    whole = part.read_bytes()
    part.write_bytes(whole[:-4] + bytes(4))
    assert [len(one) for one in troubles()] == [1, 1, 1]
    assert "venue-000001.jsonl.gz is damaged" in troubles()[2][0]
    part.unlink()
    assert "venue-000001.jsonl.gz: it is missing" in troubles()[1][0]
    part.write_bytes(whole)
    (tmp_path / "archives" / archives[0] / "manifest.json").write_text('{"format": 1, "id"')
    assert troubles()[0][0].startswith("its manifest is damaged: ")
    assert troubles()[1] == (f"its base {archives[0]} is missing or cannot be read",)
    (tmp_path / "archives" / archives[0] / "manifest.json").unlink()
    assert troubles()[0] == ("it was never completed",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"format": 2, "wholly": "different"}', "it was made by a newer Footfall"),
        ("", "its manifest is damaged: "),
        ("[]", "its manifest is damaged: "),
        (
            '{"format": 1, "id": "01KAGAGGM0FX3N5V2C8R6T9W4Y"}',
            "its manifest is damaged: it does not begin with its SHA",
        ),
    ],
)
def test_a_manifest_that_cannot_be_read_spoils_no_other(source: Engine, folder: Target, text: str, said: str) -> None:
    made = kept(source, folder, day=0)
    other = "01KAGAGGM0FX3N5V2C8R6T9W4Y"
    folder.write(f"{other}/manifest.json", text.encode())
    folder.write("somebody/elses-file", b"")
    catalogue = read_catalogue(folder)
    assert list(catalogue.archives) == [made.id]
    assert catalogue.unreadable[other].startswith(said)


@pytest.mark.parametrize("path", ["../../etc/shadow", "/etc/shadow", "01KAGAGGM0FX3N5V2C8R6T9W4Y/../a", "store.gz"])
def test_a_part_lies_in_a_folder_of_the_target_or_is_never_opened(source: Engine, folder: Target, path: str) -> None:
    made = kept(source, folder, day=0)
    outside = made.tables[0].model_copy(
        update={"parts": (Part.model_construct(path=path, rows=1, bytes=1, sha256=""),)}
    )
    folder.write(f"{made.id}/manifest.json", made.model_copy(update={"tables": (outside,)}).to_json())
    said = read_catalogue(folder).unreadable[made.id]
    assert said.startswith("its manifest is damaged: tables.0.parts.0.path: ")
    assert path not in said


def test_a_trial_beside_a_database_lets_none_of_its_archives_go_when_both_were_followed(
    source: Engine, folder: Target, tmp_path: Path
) -> None:
    """A is followed by C, and B, a trial restored from A, ended meanwhile: B's archives count as none of A's."""
    with writing(source) as connection:
        old = str(ULID.from_datetime(NOW - timedelta(days=365)))
        connection.execute(update(table_of(StoreIdentity)).values(store=old))
    of_a = [kept(source, folder, day=day, every=0) for day in (0, 7, 14)]
    with ExitStack() as stack:
        trial, heir = (_opened(stack, tmp_path / f"{name}.sqlite") for name in ("trial", "heir"))
        restore(trial, folder, of_a[-1], now=NOW + timedelta(days=15))
        kept(trial, folder, day=16, every=0)
        of_a.append(kept(source, folder, day=21, every=0))
        for day in (23, 30):
            kept(trial, folder, day=day, every=0)
        restore(heir, folder, of_a[-1], now=NOW + timedelta(days=31))
        of_c = [kept(heir, folder, day=day, every=0) for day in (31, 38)]
        gone = let_go(folder, keep=4, now=NOW + timedelta(days=46), of=of_c[-1])
    assert {one.id for one in of_a[2:]} <= set(left(folder)), "with the heir's they are four"
    assert set(gone) & {one.id for one in of_a} == {one.id for one in of_a[:2]}


def _opened(stack: ExitStack, path: Path) -> Engine:
    engine = open_engine(f"sqlite:///{path}")
    stack.callback(engine.dispose)
    migrate(engine)
    return engine
