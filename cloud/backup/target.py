"""Where archives lie: a folder, or a bucket of S3 or whatever speaks as it does.

Files are small and written whole: in a folder durably and under another name first, in a bucket by one request. What
goes wrong leaves as BackupError that names the target. Knows nothing of what the files mean.
"""

import errno
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import fsspec
from botocore.exceptions import BotoCoreError

from cloud.errors import BackupError

__all__ = ["Target"]

CONNECT_TIMEOUT_SECONDS = 10
READ_TIMEOUT_SECONDS = 60
_OF_BUCKETS = {
    "use_listings_cache": False,
    "skip_instance_cache": True,
    "config_kwargs": {"connect_timeout": CONNECT_TIMEOUT_SECONDS, "read_timeout": READ_TIMEOUT_SECONDS},
}
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT}


class Target:
    """A folder by `file:///…`, or a bucket by `s3://BUCKET/PREFIX`; paths in it are relative, with slashes."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._is_bucket = url.startswith("s3:")
        self._files, self._root = fsspec.core.url_to_fs(url, **_OF_BUCKETS if self._is_bucket else {})

    def sizes(self) -> Mapping[str, int]:
        """All files, with their bytes."""
        with self._told():
            if not self._is_bucket and Path(self._root).exists():
                next(
                    Path(self._root).iterdir(), None
                )  # the library takes a folder that it may not look into for an empty one
            found = self._files.find(self._root, detail=True)
        return {path.removeprefix(f"{self._root}/"): int(entry["size"]) for path, entry in found.items()}

    def read(self, path: str) -> bytes:
        """A file's bytes."""
        with self._told(path):
            return bytes(self._files.cat_file(f"{self._root}/{path}"))

    def write(self, path: str, data: bytes) -> None:
        """Let a file be there with just these bytes, or not at all."""
        with self._told(path, writing=True):
            if self._is_bucket:
                self._files.pipe_file(f"{self._root}/{path}", data)
            else:
                _write_durably(Path(self._root) / path, data)

    def remove(self, paths: Iterable[str]) -> None:
        """Let files go, in this order, and the folders of theirs that they leave empty."""
        paths = list(paths)
        for path in paths:
            with self._told(path):
                self._files.rm_file(f"{self._root}/{path}")
        if not self._is_bucket:
            for folder in sorted({path.partition("/")[0] for path in paths}):
                with self._told(folder):
                    _remove_if_empty(Path(self._root) / folder)

    @contextmanager
    def _told(self, path: str = "", *, writing: bool = False) -> Iterator[None]:
        """Let what libraries raise leave as BackupError."""
        place = f"{self.url.rstrip('/')}/{path}" if path else self.url
        try:
            yield
        except FileNotFoundError as error:
            what = f"it cannot be written: {_reason(error)}" if writing else "it is missing"
            what = "there is no such bucket" if "specified bucket" in str(error) else what
            raise BackupError(f"Back-up target {place}: {what}") from error
        except PermissionError as error:
            raise BackupError(f"Back-up target {place}: access is refused: {_reason(error)}") from error
        except OSError as error:
            reason = "there is no room left" if error.errno in _NO_ROOM else _reason(error)
            raise BackupError(f"Back-up target {place}: {reason}") from error
        except BotoCoreError as error:
            raise BackupError(f"Back-up target {place}: {error}") from error


def _reason(error: OSError) -> str:
    return error.strerror or str(error)


def _write_durably(path: Path, data: bytes) -> None:
    """Only its owner may read it."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = path.with_name(f"{path.name}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_if_empty(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
