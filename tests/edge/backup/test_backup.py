"""A box in one file: what is kept comes back, and nobody else may read it."""

import os
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from edge.backup.exchange import copy_exchange, put_exchange_back
from edge.errors import ExchangeError
from edge.exchange.batch import Batch
from edge.exchange.lock import take_lock
from edge.exchange.outbox import Outbox
from edge.exchange.schema import FILE_NAME
from tests.support.exchange import ORIGIN, Exchange, filled, opened, visit

FOOTFALL = Path(sys.executable).with_name("footfall")
SECRET = "hunter2"


@dataclass
class Keeper:
    """Somebody at a box's shell."""

    folder: Path
    exchange: Exchange

    @property
    def config(self) -> Path:
        return self.folder / "edge.toml"

    @property
    def file(self) -> Path:
        return self.folder / "box.tar.gz"

    def types(self, command: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [FOOTFALL, "edge", command, self.file, "--config", self.config, *words],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture
def keeper(tmp_path: Path) -> Keeper:
    """A box with a hundred visits waiting and a password in its configuration."""
    exchange = Exchange(folder=tmp_path / "exchange")
    with opened(exchange) as writer:
        filled(writer, exchange, 100)
    keeper = Keeper(tmp_path, exchange)
    keeper.config.write_text(
        f'[box]\nid = "box-1"\nvenue = "shop"\n[exchange]\nfolder = "{exchange.folder}"\n'
        f'[[camera]]\nid = "door"\nurl = "rtsp://viewer:{SECRET}@192.168.20.11/camera"\n'
    )
    keeper.config.chmod(0o640)
    return keeper


def lose(keeper: Keeper) -> None:
    keeper.config.unlink()
    for path in keeper.exchange.folder.iterdir():
        path.unlink()


def test_a_box_comes_back_from_one_file_that_only_its_owner_may_read(keeper: Keeper) -> None:
    configuration, bodies = keeper.config.read_bytes(), keeper.exchange.bodies()
    kept = keeper.types("backup")
    assert (kept.returncode, kept.stdout) == (0, f"{keeper.file} holds {keeper.config} and an exchange of 101 items.\n")
    assert keeper.file.stat().st_mode & 0o777 == 0o600
    lose(keeper)
    restored = keeper.types("restore")
    assert restored.returncode == 0, restored.stderr
    assert restored.stdout == f"{keeper.config} and an exchange of 101 items are as they were in {keeper.file}.\n"
    assert keeper.config.read_bytes() == configuration
    assert keeper.config.stat().st_mode & 0o777 == 0o640
    assert keeper.exchange.bodies() == bodies
    assert SECRET not in kept.stdout + kept.stderr + restored.stdout + restored.stderr
    assert sorted(path.name for path in keeper.folder.iterdir()) == ["box.tar.gz", "edge.toml", "exchange"]


def test_the_copy_is_of_one_moment_while_vision_writes(keeper: Keeper, tmp_path: Path) -> None:
    copies = [tmp_path / f"copy-{number}" for number in range(5)]
    done = threading.Event()

    def copy() -> None:
        for path in copies:
            path.mkdir()
            copy_exchange(keeper.exchange.folder, path / FILE_NAME)
        done.set()

    with opened(keeper.exchange) as writer:
        thread = threading.Thread(target=copy)
        thread.start()
        while not done.is_set() and thread.is_alive():
            writer.commit(Batch(origin=ORIGIN, drafts=[visit(at=keeper.exchange.now)] * 10))
        thread.join()
    assert done.is_set()
    for path in copies:
        made = Exchange(folder=path)
        ((next_seq,),) = made.rows(
            "SELECT next_seq FROM epoch WHERE epoch = (SELECT value FROM meta WHERE key = 'head')"
        )
        ((last,),) = made.rows(
            "SELECT coalesce(max(seq), 0) FROM item WHERE epoch = (SELECT value FROM meta WHERE key = 'head')"
        )
        assert next_seq == int(str(last)) + 1
        assert int(str(last)) % 10 == 0


def test_a_restored_exchange_begins_an_epoch_and_uplink_may_look_on(keeper: Keeper, tmp_path: Path) -> None:
    exchange = keeper.exchange
    copy_exchange(exchange.folder, tmp_path / FILE_NAME)
    before = exchange.bodies()
    with opened(exchange) as writer:
        filled(writer, exchange, 50)
    with exchange.outbox() as outbox:
        head = outbox.head()
        assert outbox.standing().waiting == 152
        assert put_exchange_back(tmp_path / FILE_NAME, exchange.folder, replace=True) == 101
        assert outbox.standing().waiting == 101
        assert outbox.head() not in {head, f"{1:016x}"}
    assert exchange.bodies() == before
    assert exchange.rows("PRAGMA journal_mode") == [("wal",)]
    with opened(exchange) as writer:
        filled(writer, exchange, 1)
    with closing(Outbox(exchange.folder, boot=exchange.boot)) as outbox:
        assert outbox.standing().waiting == 103


def damage(keeper: Keeper) -> None:
    """Spoil the exchange within the file, and pack it again."""
    folder = keeper.folder / "unpacked"
    with tarfile.open(keeper.file) as packed:
        packed.extractall(folder, filter="data")
    content = bytearray((folder / FILE_NAME).read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    (folder / FILE_NAME).write_bytes(content)
    with tarfile.open(keeper.file, "w:gz") as packed:
        for name in ("edge.toml", FILE_NAME):
            packed.add(folder / name, arcname=name)


def pack(keeper: Keeper, config: bytes, exchange: bytes = b"") -> None:
    """Make a file of that content."""
    folder = keeper.folder / "packed"
    folder.mkdir()
    (folder / "edge.toml").write_bytes(config)
    (folder / FILE_NAME).write_bytes(exchange)
    with tarfile.open(keeper.file, "w:gz") as packed:
        for name in ("edge.toml", FILE_NAME):
            packed.add(folder / name, arcname=name)


@pytest.mark.parametrize(
    ("spoil", "words", "said"),
    [
        pytest.param(lambda _: None, (), "edge.toml is there already; --replace", id="a configuration is there"),
        pytest.param(
            lambda k: k.config.unlink(), (), "it holds items; --replace throws them away", id="items are there"
        ),
        pytest.param(damage, ("--replace",), "damaged", id="the exchange in it is damaged"),
        pytest.param(
            lambda k: k.file.write_bytes(k.file.read_bytes()[:-50]), ("--replace",), "or it is damaged", id="cut short"
        ),
        pytest.param(lambda k: k.file.write_text("shopping"), ("--replace",), "no back-up of a box", id="another file"),
        pytest.param(lambda k: pack(k, b"[box"), ("--replace",), "box.tar.gz: edge.toml: not TOML", id="no settings"),
        pytest.param(
            lambda k: pack(k, k.config.read_bytes(), b"shopping list" * 99),
            ("--replace",),
            "box.tar.gz: exchange",
            id="no exchange",
        ),
        pytest.param(lambda k: k.file.unlink(), ("--replace",), "No such file or directory", id="no file"),
    ],
)
def test_what_cannot_be_restored_changes_nothing(
    keeper: Keeper, spoil: Callable[[Keeper], object], words: tuple[str, ...], said: str
) -> None:
    assert keeper.types("backup").returncode == 0
    spoil(keeper)
    before = (keeper.exchange.bodies(), keeper.exchange.rows("SELECT * FROM epoch"), keeper.config.exists())
    ended = keeper.types("restore", *words)
    assert ended.returncode in {1, 2}
    assert (said in ended.stderr, "Traceback" in ended.stderr) == (True, False), ended.stderr
    assert (".footfall-" in ended.stderr, len(ended.stderr.splitlines())) == (False, 1), ended.stderr
    assert (keeper.exchange.bodies(), keeper.exchange.rows("SELECT * FROM epoch"), keeper.config.exists()) == before


def test_a_configuration_that_is_a_link_stays_one(keeper: Keeper) -> None:
    kept = keeper.folder / "kept" / "shop.toml"
    kept.parent.mkdir()
    keeper.config.rename(kept)
    keeper.config.symlink_to(kept)
    before = kept.read_bytes()
    assert keeper.types("backup").returncode == 0
    kept.write_text("changed")
    assert keeper.types("restore", "--replace").returncode == 0
    assert keeper.config.is_symlink()
    assert kept.read_bytes() == before


def test_nothing_is_put_back_under_a_vision_that_runs(keeper: Keeper, tmp_path: Path) -> None:
    copy_exchange(keeper.exchange.folder, tmp_path / FILE_NAME)
    with opened(keeper.exchange), pytest.raises(ExchangeError, match="another vision process already writes it"):
        put_exchange_back(tmp_path / FILE_NAME, keeper.exchange.folder, replace=True)
    os.close(take_lock(keeper.exchange.folder))


def test_a_box_that_never_ran_has_no_exchange_to_keep(tmp_path: Path) -> None:
    with pytest.raises(ExchangeError, match="there is none yet; vision makes it when it first runs"):
        copy_exchange(tmp_path, tmp_path / "copy")
    assert list(tmp_path.iterdir()) == []
