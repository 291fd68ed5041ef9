"""Vision and uplink as two users of one group, who open, write and read one exchange in turn."""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.exchange import Exchange

__all__ = ["Users", "share"]

BECOME = """
import os, sys
from pathlib import Path
user, group, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
os.umask(0o007)
from edge.exchange.outbox import Outbox
from edge.exchange.batch import Batch
from tests.support.exchange import NTP, ORIGIN, Exchange, acked, visit
os.setgroups([group])
os.setgid(user)
os.setuid(user)
exchange = Exchange(folder=folder)
"""
VISION = (
    BECOME
    + """
with exchange.writer(epoch=sys.argv[4]) as writer:
    writer.offer_fix(NTP)
    writer.commit(Batch(origin=ORIGIN, drafts=[visit() for _ in range(5)]))
    print("wrote", flush=True)
    sys.stdin.readline()
    writer.commit(Batch(origin=ORIGIN, drafts=[visit() for _ in range(5)]))
"""
)
UPLINK = (
    BECOME
    + """
with exchange.outbox() as outbox:
    claimed = outbox.claim(now_ms=0, window=100, lapse_ms=1000)
    for position, item in enumerate(claimed, 100 * int(sys.argv[4])):
        outbox.settle(acked(position, epoch=item.epoch, through=item.seq), now_ms=0)
    print(len(claimed), flush=True)
    sys.stdin.readline()
"""
)


def started(script: str, *arguments: object) -> "subprocess.Popen[str]":
    command: Sequence[str] = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def ended(process: "subprocess.Popen[str]") -> str:
    said, _ = process.communicate("\n", timeout=30)
    assert process.returncode == 0
    return said.strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Users:
    """Who runs vision and uplink, and the group of both, by number."""

    vision: int
    uplink: int
    group: int


def share(folder: Path, users: Users, *, vision_first: bool) -> None:
    """Both work in the folder, now the one and now the other first; every file must end up the group's."""
    vision, uplink, group = users.vision, users.uplink, users.group
    if not vision_first:
        assert ended(started(UPLINK, uplink, group, folder, 1)) == "0"
    for run in (1, 2):
        writing = started(VISION, vision, group, folder, f"{run:016x}")
        assert writing.stdout is not None
        assert writing.stdout.readline() == "wrote\n"
        reading = started(UPLINK, uplink, group, folder, run)  # both have it open now
        assert reading.stdout is not None
        assert int(reading.stdout.readline()) == 5 * (1 if run == 1 else 2)
        ended(writing) if run == 1 else ended(reading)  # one is last to leave, then the other
        ended(reading) if run == 1 else ended(writing)
    modes = {path.name: (path.stat().st_mode & 0o777, path.stat().st_gid) for path in folder.iterdir()}
    assert modes.keys() >= {"exchange.sqlite", "exchange.lock", "exchange.ballast"}
    assert set(modes.values()) == {(0o660, group)}
    assert Exchange(folder=folder).rows("SELECT count(*), sum(state = 2) FROM item") == [(20, 15)]
