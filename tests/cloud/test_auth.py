import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cloud.auth import admin_key, box_of_key, key_matches, new_device_key, sha256_of
from cloud.errors import SettingsError
from cloud.settings import Settings


def _settings(folder: Path, **fields: object) -> Settings:
    return Settings.model_validate({"data_dir": folder, **fields})


def test_the_first_start_makes_a_key_that_only_its_owner_reads(tmp_path: Path) -> None:
    first = admin_key(_settings(tmp_path / "data"))
    assert first.is_new
    assert first.path == tmp_path / "data" / "admin.key"
    assert stat.S_IMODE(first.path.stat().st_mode) == 0o600
    assert [path.name for path in first.path.parent.iterdir()] == ["admin.key"]
    second = admin_key(_settings(tmp_path / "data"))
    assert not second.is_new
    assert second.matches(first.secret.get_secret_value())
    assert len(first.secret.get_secret_value()) >= 43


def test_two_that_start_at_once_agree_on_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(lambda _: admin_key(_settings(tmp_path)).secret.get_secret_value(), range(32)))
    assert set(keys) == {(tmp_path / "admin.key").read_text().strip()}


def test_a_key_from_the_settings_leaves_no_file(tmp_path: Path) -> None:
    key = admin_key(_settings(tmp_path, admin_key="k" * 24))
    assert (key.path, key.matches("k" * 24), key.matches("k" * 23)) == (None, True, False)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_holds_no_key_is_named(tmp_path: Path) -> None:
    (tmp_path / "admin.key").write_text("\n")
    with pytest.raises(SettingsError, match=r"admin\.key: this is no admin key"):
        admin_key(_settings(tmp_path))
    (tmp_path / "admin.key").write_bytes(b"\xff\xfe" * 40)
    with pytest.raises(SettingsError, match=r"admin\.key: the admin key cannot be read"):
        admin_key(_settings(tmp_path))


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match=r"admin\.key: the admin key cannot be read or made"):
        admin_key(_settings(tmp_path / "file"))


def test_a_device_key_names_its_box_and_is_never_the_same() -> None:
    keys = {new_device_key("box-1") for _ in range(100)}
    assert len(keys) == 100
    assert {box_of_key(key) for key in keys} == {"box-1"}
    one = keys.pop()
    assert key_matches(one, sha256_of(one))
    assert not any(key_matches(other, sha256_of(one)) for other in keys)
