"""What a process tells systemd, read off the socket that systemd would listen at."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.notify import Notifier
from tests.support.ports import free_port

FOOTFALL = Path(sys.executable).with_name("footfall")


class Systemd:
    """The listening side: a datagram a word."""

    def __init__(self, address: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address)
        self._socket.settimeout(30)

    def heard(self) -> str:
        return self._socket.recv(100).decode()

    def silent(self) -> bool:
        self._socket.setblocking(False)
        try:
            self._socket.recv(100)
        except BlockingIOError:
            return True
        return False

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Systemd]:
    running = Systemd(str(tmp_path / "notify"))
    yield running
    running.close()


def notifier(address: str | Path, *, now: list[float], watchdog_usec: str = "8000000") -> Notifier:
    return Notifier({"NOTIFY_SOCKET": str(address), "WATCHDOG_USEC": watchdog_usec}, monotonic=lambda: now[0])


def test_it_says_that_it_is_ready_and_four_times_a_watchdog_that_it_lives(systemd: Systemd, tmp_path: Path) -> None:
    now = [100.0]
    speaker = notifier(tmp_path / "notify", now=now)
    speaker.ready()
    for now[0] in (100.0, 101.9, 102.0, 103.9, 104.0):
        speaker.alive()
    assert [systemd.heard() for _ in range(4)] == ["READY=1", *["WATCHDOG=1"] * 3]
    assert systemd.silent()


def test_without_a_watchdog_it_only_says_that_it_is_ready(systemd: Systemd, tmp_path: Path) -> None:
    speaker = notifier(tmp_path / "notify", now=[1.0], watchdog_usec="0")
    speaker.ready()
    speaker.alive()
    assert systemd.heard() == "READY=1"
    assert systemd.silent()


def test_an_abstract_address_is_reached() -> None:
    name = f"footfall-notify-{os.getpid()}"
    listener = Systemd(f"\0{name}")
    try:
        notifier(f"@{name}", now=[1.0]).ready()
        assert listener.heard() == "READY=1"
    finally:
        listener.close()


def test_outside_systemd_and_while_it_restarts_nothing_fails(tmp_path: Path) -> None:
    Notifier({}, monotonic=lambda: 1.0).ready()
    notifier(tmp_path / "absent", now=[1.0]).ready()


@pytest.mark.parametrize("word", ["vision", "uplink"])
def test_the_processes_of_a_box_say_that_they_are_ready_and_go_on_living(
    word: str, systemd: Systemd, tmp_path: Path
) -> None:
    config = tmp_path / "edge.toml"
    config.write_text(
        f'[box]\nid = "box-1"\nvenue = "shop"\n[exchange]\nfolder = "{tmp_path / "exchange"}"\n'
        f"[broker]\nport = {free_port()}\n"
        '[[camera]]\nid = "floor"\nimage_size = [320, 240]\nsynthetic = {}\n'
    )
    told = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "400000"}
    process = subprocess.Popen(
        [FOOTFALL, "edge", word, "--config", config], env={**os.environ, **told}, stderr=subprocess.DEVNULL
    )
    try:
        assert [systemd.heard() for _ in range(4)] == ["READY=1", *["WATCHDOG=1"] * 3]
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
