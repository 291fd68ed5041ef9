"""A file system of a few MiB, to be really full."""

import os
import subprocess
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

__all__ = ["SmallDisk"]


class SmallDisk:
    """A tmpfs of `size_bytes`, mounted at `folder`. Skips the test where this user may not mount one."""

    def __init__(self, folder: Path, *, size_bytes: int) -> None:
        self.folder = folder
        self._size_bytes = size_bytes

    def __enter__(self) -> Self:
        if os.geteuid() != 0:
            pytest.skip("needs root, to mount a small file system")
        self.folder.mkdir(parents=True, exist_ok=True)
        mount = ["mount", "-t", "tmpfs", "-o", f"size={self._size_bytes}", "tmpfs", str(self.folder)]
        mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
        if mounted.returncode:
            pytest.skip(f"may not mount a small file system here: {mounted.stderr.strip()}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        subprocess.run(["umount", "--lazy", self.folder], check=True)

    @property
    def free_bytes(self) -> int:
        """What is left to take."""
        disk = os.statvfs(self.folder)
        return disk.f_bavail * disk.f_frsize

    def brim(self, *, leave_bytes: int = 0) -> None:
        """Let somebody else's file take what room there is."""
        with self._filler.open("ab") as taken:
            while (free := self.free_bytes) > leave_bytes:
                with suppress(OSError):  # some of it was taken between looking and taking: look again
                    os.posix_fallocate(taken.fileno(), self._filler.stat().st_size, free - leave_bytes)

    def relieve(self) -> None:
        """Remove somebody else's file."""
        self._filler.unlink()

    @property
    def _filler(self) -> Path:
        return self.folder / "somebody-elses"
