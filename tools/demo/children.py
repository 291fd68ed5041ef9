"""Processes that the demo starts, watches and ends; what each says goes to a file, and is shown when it fails."""

import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

__all__ = ["Child", "DemoError", "Stopped", "free_port", "is_listening", "wait_until"]

_LAST_LINES = 8
_PATIENCE_SECONDS = 15.0
_LOOK_SECONDS = 0.1


class DemoError(Exception):
    """The demo cannot go on; its message is for whoever started it."""


class Stopped(Exception):
    """Somebody ended the demo while it was waiting."""


class Child:
    """One process while the context lasts. Ctrl-C does not reach it, so that the demo decides on the order.

    Where util-linux is, it ends even when the demo is killed and can end nothing.
    """

    def __init__(self, name: str, command: Sequence[str | Path], *, log: Path, environment: Mapping[str, str]) -> None:
        self.name = name
        self._command = [*_with_parent(), *command]
        self._log = log
        self._environment = environment
        self._process: subprocess.Popen[bytes]

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                process_group=0,
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def check(self) -> None:
        """Raise DemoError with its last words if it has ended."""
        code = self._process.poll()
        if code is not None:
            said = self._log.read_text(errors="replace").splitlines()[-_LAST_LINES:]
            raise DemoError("\n".join([f"{self.name} ended with code {code}. It said last:", *said]))

    def stop(self) -> None:
        """End it politely, else by force."""
        self._process.terminate()
        try:
            self._process.wait(timeout=_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _with_parent() -> list[str]:
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM"] if setpriv else []


def wait_until(
    ready: Callable[[], bool], *, children: Sequence[Child], stop: threading.Event, seconds: float, what: str
) -> None:
    """Wait until something is ready; raises DemoError when a child ends before, or it takes too long."""
    for _ in range(round(seconds / _LOOK_SECONDS)):
        for child in children:
            child.check()
        if ready():
            return
        if stop.wait(_LOOK_SECONDS):
            raise Stopped
    raise DemoError(f"waited {seconds:.0f} s in vain for {what}")


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def is_listening(port: int) -> bool:
    """Whether something accepts connections on this port of 127.0.0.1."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
