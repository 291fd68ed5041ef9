"""Folders and buckets, and what is said where they cannot be used."""

from pathlib import Path

import pytest

from cloud.backup.target import Target
from cloud.errors import BackupError
from tests.support.s3_server import S3Server
from tests.support.small_disk import SmallDisk


def test_files_are_written_listed_read_and_removed(target: Target) -> None:
    assert target.sizes() == {}
    target.write("one/a.gz", b"12345")
    target.write("two/b.gz", b"\x00" * 3_000_000)
    target.write("one/a.gz", b"123456")
    assert target.sizes() == {"one/a.gz": 6, "two/b.gz": 3_000_000}
    assert target.read("one/a.gz") == b"123456"
    target.remove(["one/a.gz"])
    assert target.sizes() == {"two/b.gz": 3_000_000}
    with pytest.raises(BackupError, match=r"/one/a\.gz: it is missing"):
        target.read("one/a.gz")


def test_only_the_owner_may_look_into_a_folder(folder: Target, tmp_path: Path) -> None:
    folder.write("one/a.gz", b"")
    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in (tmp_path / "archives").rglob("*")}
    assert modes == {"one": "0o700", "a.gz": "0o600"}
    folder.remove(["one/a.gz"])
    assert list((tmp_path / "archives").iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(
        BackupError, match=r"Back-up target file://.*/file/inner/one/a: .*(Not a directory|File exists)"
    ):
        Target(f"file://{tmp_path}/file/inner").write("one/a", b"")


def test_a_folder_that_cannot_be_made_is_told() -> None:
    with pytest.raises(BackupError, match=r"file:///proc/x/one/a: it cannot be written: No such file or directory"):
        Target("file:///proc/x").write("one/a", b"")


def test_a_folder_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BackupError, match=r"/file: Not a directory"):
        Target(f"file://{tmp_path}/file").sizes()


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    with SmallDisk(tmp_path / "disk", size_bytes=2**20) as disk:
        target = Target(f"file://{disk.folder}/archives")
        with pytest.raises(BackupError, match=r"archives/one/a: there is no room left"):
            target.write("one/a", bytes(2 * 2**20))
        assert "one/a" not in target.sizes()


def test_a_bucket_that_is_not_there_is_told(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(BackupError, match=r"Back-up target s3://elsewhere/x: there is no such bucket"):
        Target("s3://elsewhere/x").sizes()


def test_wrong_credentials_are_told_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    with S3Server() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        server.ask_for_keys()
        for act in (lambda: Target(server.url).sizes(), lambda: Target(server.url).write("one/a", b"")):
            with pytest.raises(BackupError, match=r"footfall.*: access is refused: ") as told:
                act()
            assert "a-secret" not in str(told.value)
        server.stop()
        with pytest.raises(BackupError, match=r"Could not connect to the endpoint URL"):
            Target(server.url).sizes()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(BackupError, match="Unable to locate credentials"):
        Target("s3://elsewhere/x").sizes()
