"""Telling systemd that a process is ready, and that it still turns: sd_notify(3), a datagram a word.

Outside systemd nobody is told, and nothing fails.
"""

import socket
from collections.abc import Callable, Mapping
from contextlib import suppress

__all__ = ["Notifier"]


class Notifier:
    """Speaks to the socket that `environment` names; `monotonic` gives seconds."""

    def __init__(self, environment: Mapping[str, str], *, monotonic: Callable[[], float]) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        # Four words within the time after which systemd takes silence for a standstill.
        self._interval = int(environment.get("WATCHDOG_USEC", "0")) / 4_000_000
        self._monotonic = monotonic
        self._said_at = float("-inf")

    def ready(self) -> None:
        """The process has started, and does its work from now on."""
        self._say(b"READY=1")

    def alive(self) -> None:
        """The loop has turned; call it as often as it does."""
        now = self._monotonic()
        if self._interval and now - self._said_at >= self._interval:
            self._said_at = now
            self._say(b"WATCHDOG=1")

    def _say(self, word: bytes) -> None:
        if not self._address:
            return
        # A leading @ stands for the zero byte of an abstract address.
        address = self._address.replace("@", "\0", 1) if self._address.startswith("@") else self._address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as speaker, suppress(OSError):  # it may be restarting
            speaker.sendto(word, address)
