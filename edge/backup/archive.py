"""The file: a tar of the configuration and the exchange, which only its owner may read, since both may tell secrets."""

import os
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edge.backup.exchange import copy_exchange, put_exchange_back
from edge.configuration import load
from edge.errors import EdgeError
from edge.exchange.schema import FILE_NAME

__all__ = ["back_up", "restore"]

CONFIGURATION = "edge.toml"
_READABLE = 0o640


def back_up(config: Path, archive: Path) -> int:
    """Keep a box in `archive`, whole or not at all; how many items its exchange holds. Raises EdgeError."""
    settings = load(config)
    with _working_beside(archive, told=archive) as folder:
        items = copy_exchange(settings.exchange.folder, folder / FILE_NAME)
        made = folder / "made"
        with os.fdopen(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            with tarfile.open(fileobj=file, mode="w:gz") as packed:
                packed.add(config.resolve(), arcname=CONFIGURATION)
                packed.add(folder / FILE_NAME, arcname=FILE_NAME)
            file.flush()
            os.fsync(file.fileno())
        made.replace(archive)
    return items


def restore(archive: Path, config: Path, *, replace: bool) -> int:
    """Make a box what `archive` holds: exchange and configuration; how many items it holds. Raises EdgeError."""
    if config.exists() and not replace:
        raise EdgeError(f"{config} is there already; --replace puts the back-up's in its place")
    config = config.resolve()  # a link stays one, and what it points to is replaced
    with _working_beside(config, told=archive) as folder:
        entry = _unpack(archive, folder)
        settings = load(folder / CONFIGURATION)
        items = put_exchange_back(folder / FILE_NAME, settings.exchange.folder, replace=replace)
        _own(folder / CONFIGURATION, entry)
        (folder / CONFIGURATION).replace(config)
    return items


@contextmanager
def _working_beside(path: Path, *, told: Path) -> Iterator[Path]:
    """A folder on the same disk that nobody else may look into; what cannot be written leaves as EdgeError.

    Errors name the file `told` instead of the folder, which is gone by the time they are read.
    """
    try:
        with tempfile.TemporaryDirectory(prefix=".footfall-", dir=path.resolve().parent) as name:
            try:
                yield Path(name)
            except EdgeError as error:
                raise type(error)(str(error).replace(f"{name}/", f"{told}: ")) from error
    except OSError as error:
        raise EdgeError(f"{path}: {error.strerror}; give a place that can be written") from error


def _unpack(archive: Path, folder: Path) -> tarfile.TarInfo:
    """Lay the two files into `folder`; the entry of the configuration."""
    try:
        with tarfile.open(archive) as packed:
            entries = [packed.getmember(name) for name in (CONFIGURATION, FILE_NAME)]
            packed.extractall(folder, members=entries, filter="data")
    except KeyError as error:
        raise EdgeError(f"{archive}: this is no back-up of a box: {error.args[0]}") from error
    except (EOFError, zlib.error, tarfile.TarError) as error:
        raise EdgeError(f"{archive}: this is no back-up of a box, or it is damaged") from error
    except OSError as error:
        raise EdgeError(f"{archive}: {error.strerror or error}") from error
    return entries[0]


def _own(path: Path, entry: tarfile.TarInfo) -> None:
    """Let the configuration belong to whom it did, where root restores it and there is such a user and group."""
    path.chmod(entry.mode & _READABLE)
    if os.geteuid() == 0:
        with suppress(LookupError):
            shutil.chown(path, user=entry.uname)
        with suppress(LookupError):
            shutil.chown(path, group=entry.gname)
