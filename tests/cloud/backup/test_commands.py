"""What an operator types and reads."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from cloud.backup.target import Target
from cloud.backup.turn import alone
from cloud.store.engine import open_engine
from tests.support.command_line import typed
from tests.support.s3_server import S3Server

ULID = r"[0-9A-Z]{26}"


class Operator:
    """Somebody at a shell, with a data folder and a place for back-ups."""

    def __init__(self, folder: Path, **variables: str) -> None:
        outside = {
            name: value for name, value in os.environ.items() if not name.startswith(("FOOTFALL_CLOUD_", "AWS_"))
        }
        self.data = folder / "data"
        self._environment = {**outside, "FOOTFALL_CLOUD_DATA_DIR": str(self.data), **variables}

    def types(self, *words: str) -> str:
        """What a command that must succeed prints."""
        ended = self.run(*words)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return typed("cloud", *words, environment=self._environment)


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    """One who keeps back-ups in a folder."""
    return Operator(tmp_path, FOOTFALL_CLOUD_BACKUP__TARGET=f"file://{tmp_path}/archives")


def test_from_a_first_back_up_to_a_restored_database(operator: Operator, tmp_path: Path) -> None:
    place = re.escape(f"file://{tmp_path}/archives")
    assert re.fullmatch(f"There is no back-up in {place}.\n", operator.types("list"))
    operator.types("migrate")
    assert re.fullmatch(rf"{ULID}  full         1 rows, \d+ bytes; in {place}\n", operator.types("backup"))
    assert re.fullmatch(rf"{ULID}  incremental  1 rows, 0 bytes new; in {place}\n", operator.types("backup"))
    first, second = operator.types("list").splitlines()
    assert re.fullmatch(rf"{ULID}  \d{{4}}-\S+Z  full         1 rows, \d+ bytes", first)
    assert re.fullmatch(rf"{ULID}  \d{{4}}-\S+Z  incremental  1 rows, 0 bytes new", second)
    assert operator.types("verify") == f"{first[:26]}  can be restored\n{second[:26]}  can be restored\n"
    (operator.data / "footfall.sqlite").unlink()
    told = operator.types("restore", first[:26])
    assert told.startswith(f"sqlite:///{operator.data}/footfall.sqlite is as it was at {first.split()[1]}: 1 rows.\n")
    assert "Boxes send again what they still hold." in told
    assert "footfall.sqlite has schema" in operator.types("migrate")


def test_keys_are_kept_and_laid_only_where_asked_for(operator: Operator) -> None:
    operator.types("migrate")
    operator.types("admin-key")
    secret = (operator.data / "admin.key").read_bytes()
    (operator.data / "authority").mkdir()
    (operator.data / "authority" / "authority.pem").write_text("another secret")
    plain = operator.types("backup")[:26]
    (operator.data / "another.sqlite").write_text("of somebody else")
    (operator.data / "archives").mkdir()
    (operator.data / "archives" / "manifest.json").touch()
    assert "with keys" in operator.types("backup", "--full", "--with-keys")
    for path in (operator.data / "admin.key", operator.data / "authority" / "authority.pem"):
        path.unlink()
    (operator.data / "another.sqlite").unlink()
    operator.types("restore")
    assert not (operator.data / "admin.key").exists()
    (operator.data / "authority" / "authority.pem").write_text("a newer secret")
    assert operator.types("restore", "--with-keys").endswith(f"Laid {operator.data}/admin.key\n")
    assert (operator.data / "admin.key").read_bytes() == secret
    assert (operator.data / "admin.key").stat().st_mode & 0o777 == 0o600
    assert (operator.data / "authority" / "authority.pem").read_text() == "a newer secret"
    ended = operator.run("restore", plain, "--with-keys")
    assert (ended.returncode, f"Back-up {plain} has no keys: it was made without --with-keys" in ended.stderr) == (
        1,
        True,
    )


def test_old_back_ups_go(tmp_path: Path) -> None:
    operator = Operator(
        tmp_path,
        FOOTFALL_CLOUD_BACKUP__TARGET=f"file://{tmp_path}/archives",
        FOOTFALL_CLOUD_BACKUP__KEEP="1",
        FOOTFALL_CLOUD_BACKUP__FULL_EVERY_DAYS="0",
    )
    operator.types("migrate")
    first = operator.types("backup")[:26]
    assert operator.types("backup").splitlines()[1:] == [f"{first}  removed"]
    assert [path.name for path in (tmp_path / "archives").iterdir()] != [first]


def test_which_back_ups_belong_together_is_told_where_there_are_those_of_several_databases(
    operator: Operator, tmp_path: Path
) -> None:
    operator.types("migrate")
    first = operator.types("backup")[:26]
    another = Operator(tmp_path / "another", FOOTFALL_CLOUD_BACKUP__TARGET=f"file://{tmp_path}/archives")
    another.types("migrate")
    second = another.types("backup")[:26]
    third = operator.types("backup")[:26]
    listed = dict(line.split("  ", 1) for line in operator.types("list").splitlines())
    assert list(listed) == [first, second, third]
    of_database = [re.sub(".*; of database ", "", described) for described in listed.values()]
    assert [re.fullmatch(r"[0-9A-Z]{10}", one) is None for one in of_database] == [False] * 3
    assert of_database[0] == of_database[2] != of_database[1]
    refused = operator.run("restore", "--replace")
    assert refused.returncode == 1
    assert re.search(
        f"{second} of .* database {of_database[1]}; {third} of .* database {of_database[0]}", refused.stderr
    )
    assert "1 rows" in operator.types("restore", "--replace", third)


def test_a_damaged_back_up_is_told_by_verify_and_refused_by_restore(operator: Operator, tmp_path: Path) -> None:
    operator.types("migrate")
    made = operator.types("backup")[:26]
    next((tmp_path / "archives" / made).glob("store-*")).unlink()
    assert operator.types("list").endswith(f"; {made}/store-000001.jsonl.gz is missing\n")
    for command in ("verify", "restore"):
        ended = operator.run(command)
        assert ended.returncode == 1
        assert f"{made}/store-000001.jsonl.gz: it is missing" in ended.stdout + ended.stderr
    unknown = operator.run("restore", "01KAG")
    assert unknown.stderr.endswith(f"There is no back-up 01KAG in file://{tmp_path}/archives; the newest is {made}\n")


def test_two_back_ups_at_once_into_one_target_are_one(operator: Operator, tmp_path: Path) -> None:
    operator.types("migrate")
    engine = open_engine(f"sqlite:///{operator.data}/footfall.sqlite")
    with alone(engine, Target(f"file://{tmp_path}/archives")):
        ended = operator.run("backup")
        operator.types("backup", "--target", f"file://{tmp_path}/elsewhere")
    assert ended.returncode == 1
    assert f"Another back-up into file://{tmp_path}/archives is being made" in ended.stderr
    assert not (tmp_path / "archives").exists()
    operator.types("backup")
    engine.dispose()


def test_verifying_where_there_is_nothing_is_no_success(operator: Operator, tmp_path: Path) -> None:
    ended = operator.run("verify")
    assert ended.returncode == 1
    assert ended.stderr.endswith(f"There is no back-up in file://{tmp_path}/archives\n")


def test_without_a_target_it_is_said_what_one_is(tmp_path: Path) -> None:
    for words in (
        ["backup"],
        ["list", "--target", "ftp://elsewhere"],
        ["verify", "--target", "s3://me:hunter2@bucket"],
    ):
        ended = Operator(tmp_path).run(*words)
        assert ended.returncode == 2
        assert "file:///FOLDER" in ended.stderr
        assert "s3://BUCKET/PREFIX" in ended.stderr
        assert "hunter2" not in ended.stderr


def test_a_bucket_serves_as_well_as_a_folder(s3_server: S3Server, tmp_path: Path) -> None:
    url = f"{s3_server.url}/commands"
    operator = Operator(tmp_path, FOOTFALL_CLOUD_BACKUP__TARGET=url, **s3_server.environment)
    operator.types("migrate")
    made = operator.types("backup")[:26]
    assert operator.types("verify") == f"{made}  can be restored\n"
    operator.types("restore", made)
    assert s3_server.environment["AWS_SECRET_ACCESS_KEY"] not in operator.types("list")
