"""A venue's network on this machine: two network namespaces, a cable between them, and hosts that answer.

In `VISION` the box stands. In `VENUE` is all else, on one interface: the camera, a neighbour of it, a name server, and
what stands for the internet. Nothing of it touches this machine's own network.
"""

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from tests.support.processes import until

__all__ = ["BOX", "CAMERA", "HOSTS", "NEIGHBOUR", "VENUE", "VISION", "Network", "within"]

VISION, VENUE = "footfall-vision", "footfall-venue"
LOOPBACK = "127.0.0.1"
BOX, BOX_V6 = "10.77.0.1", "fd77::1"
CAMERA = "10.77.0.2"
NEIGHBOUR, NEIGHBOUR_V6 = "10.77.0.3", "fd77::3"
HOSTS = {
    "the camera": ("tcp", CAMERA, 8000),
    "its neighbour": ("tcp", NEIGHBOUR, 8000),
    "its neighbour by IPv6": ("tcp", NEIGHBOUR_V6, 8000),
    "the internet": ("tcp", "198.51.100.5", 8000),
    "the internet by IPv6": ("tcp", "2001:db8::5", 8000),
    "a name server": ("udp", NEIGHBOUR, 53),
    "a name server on the camera": ("udp", CAMERA, 53),
    "a name server on the box": ("udp", LOOPBACK, 53),
    "the box itself": ("tcp", LOOPBACK, 8000),
}
"""Who answers, and how it is asked."""

ANSWER = """
import socket, sys, threading
def serve(names):
    while True:
        words, asker = names.recvfrom(512)
        names.sendto(words, asker)
for host in sys.argv[1:]:
    names = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    names.bind((host, 53))
    threading.Thread(target=serve, args=(names,), daemon=True).start()
listener = socket.create_server(("::", 8000), family=socket.AF_INET6, dualstack_ipv6=True)
while True:
    listener.accept()[0].close()
"""
ASK = """
import json, socket, sys
outcomes = {}
for name, (kind, host, port) in json.loads(sys.argv[1]).items():
    try:
        if kind == "tcp":
            socket.create_connection((host, port), timeout=5).close()
        else:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
                asking.settimeout(5)
                asking.connect((host, port))
                asking.send(b"?")
                asking.recv(512)
        outcomes[name] = "reached"
    except OSError as error:
        outcomes[name] = type(error).__name__ + ": " + str(error)
print(json.dumps(outcomes))
"""


def within(namespace: str) -> list[str]:
    """What to write before a command, for it to run in this namespace."""
    return ["ip", "netns", "exec", namespace]


class Network:
    """The two namespaces and who answers in them. Needs root."""

    def __init__(self) -> None:
        self._undo = ExitStack()

    def __enter__(self) -> Self:
        with self._undo as undo:  # undone at once if the making fails
            for namespace in (VISION, VENUE):
                _ip("netns", "add", namespace)
                undo.callback(_ip, "netns", "delete", namespace)
            _ip("link", "add", "box", "netns", VISION, "type", "veth", "peer", "name", "venue", "netns", VENUE)
            _connect(VISION, "box", [BOX, BOX_V6])
            _connect(VENUE, "venue", sorted({host for _, host, _ in HOSTS.values()} - {LOOPBACK}))
            _ip("-n", VISION, "route", "add", "default", "via", CAMERA)
            _ip("-n", VISION, "-6", "route", "add", "default", "via", NEIGHBOUR_V6)
            for namespace, name_servers in ((VISION, [LOOPBACK]), (VENUE, [CAMERA, NEIGHBOUR])):
                server = subprocess.Popen([*within(namespace), sys.executable, "-c", ANSWER, *name_servers])
                undo.callback(server.wait)
                undo.callback(server.kill)
            until(lambda: self.reached() == set(HOSTS), seconds=20, what="all hosts to answer")
            self._undo = undo.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._undo.close()

    def reached(self, *, user: int = 0) -> set[str]:
        """Whom this user reaches from vision's side."""
        return {name for name, outcome in self.reach(user=user).items() if outcome == "reached"}

    def reach(self, *, user: int = 0) -> Mapping[str, str]:
        """What becomes of asking each host from vision's side as this user: `reached`, or the error."""
        become = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
        command = [*within(VISION), *become, "/usr/bin/python3", "-c", ASK, json.dumps(HOSTS)]
        asked = subprocess.run(command, capture_output=True, text=True, check=True)
        outcomes: dict[str, str] = json.loads(asked.stdout)
        return outcomes


def _connect(namespace: str, link: str, addresses: Iterable[str]) -> None:
    """Give a link its addresses, without looking for others that have them, which would take a second."""
    for address in addresses:
        size, at_once = ("64", ["nodad"]) if ":" in address else ("24", [])
        _ip("-n", namespace, "address", "add", f"{address}/{size}", "dev", link, *at_once)
    _ip("-n", namespace, "link", "set", link, "up")
    _ip("-n", namespace, "link", "set", "lo", "up")


def _ip(*arguments: str) -> None:
    ended = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, f"ip {' '.join(arguments)}: {ended.stderr}"
