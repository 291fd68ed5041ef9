"""The product's own commands as real processes: started, watched, killed and started again."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

__all__ = ["Command", "footfall", "until"]

_Found = TypeVar("_Found")

FOOTFALL = Path(sys.executable).with_name("footfall")


class Command:
    """One command that can be started again and again; all that it ever said is in `log`."""

    def __init__(
        self, arguments: Sequence[str | Path], *, log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self._arguments = list(arguments)
        self._log = log
        self._environment = {**os.environ, **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    @property
    def is_running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """How the last start ended."""
        return None if self._process is None else self._process.poll()

    @property
    def log(self) -> str:
        """What it has said, over all its starts."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    @property
    def pid(self) -> int:
        """The number of the process."""
        if self._process is None:
            raise RuntimeError("it was never started")
        return self._process.pid

    @property
    def resident_bytes(self) -> int:
        """Its resident memory."""
        if self._process is None:
            return 0
        pages = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def start(self, arguments: Sequence[str | Path] | None = None) -> None:
        """Start it, unless it runs; `arguments` replace the usual ones for this start."""
        if self.is_running:
            return
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                list(arguments or self._arguments), stdout=log, stderr=log, env=self._environment
            )

    def kill(self) -> None:
        """SIGKILL: no farewell, nothing flushed."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self, seconds: float = 20.0) -> int:
        """SIGTERM, and the exit code."""
        if self._process is None:
            raise RuntimeError("it was never started")
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(timeout=seconds)

    def wait(self, seconds: float) -> int:
        """Wait for its own end; the exit code."""
        if self._process is None:
            raise RuntimeError("it was never started")
        return self._process.wait(timeout=seconds)


def footfall(*words: str | Path) -> list[str | Path]:
    """The product's command with these words."""
    return [FOOTFALL, *words]


def until(found: Callable[[], _Found | None], *, seconds: float, what: str) -> _Found:
    """Ask until there is an answer that is true; fails naming what was waited for."""
    deadline = time.monotonic() + seconds
    while True:
        answer = found()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:.0f} s in vain for {what}; the last answer was {answer!r}")
        time.sleep(0.2)
