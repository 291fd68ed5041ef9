"""Real processes on one exchange: killed while they write, and running as two users."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest

from tests.support.exchange import Exchange

APPEND = """
import itertools, sys
from pathlib import Path
from edge.exchange.writer import Batch, Checkpointed
from tests.support.exchange import NTP, ORIGIN, Exchange, report, tile_part, visit
exchange = Exchange(folder=Path(sys.argv[1]))
with exchange.writer(epoch=sys.argv[2]) as writer:
    writer.offer_fix(NTP)
    for number in itertools.count(1):
        drafts = [visit(frames=number) for _ in range(1 + number % 7)] + [report(max_people=number)]
        kept = [Checkpointed(scene="floor", visits=[{"n": number}])]
        writer.commit(Batch(origin=ORIGIN, drafts=drafts, tiles=[tile_part({1: number})], checkpoints=kept))
        print(number, flush=True)
"""


def test_a_writer_killed_at_any_moment_leaves_whole_commits_and_all_that_it_confirmed(tmp_path: Path) -> None:
    exchange, random = Exchange(folder=tmp_path), Random(7)
    for run in range(1, 9):
        epoch = f"{run:016x}"
        process = subprocess.Popen([sys.executable, "-c", APPEND, tmp_path, epoch], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        with process.stdout as said:
            confirmed = int(said.readline())  # it writes by now
            time.sleep(random.uniform(0, 0.08))
            process.kill()
            process.wait()
            confirmed = max([confirmed, *(int(line) for line in said if line.endswith("\n"))])
        check(exchange, epoch=epoch, confirmed=confirmed)
    assert exchange.rows("PRAGMA integrity_check") == [("ok",)]


def check(exchange: Exchange, *, epoch: str, confirmed: int) -> None:
    items = [
        (str(kind), int(str(number)))
        for kind, number in exchange.rows(
            "SELECT type, coalesce(json_extract(body, '$.frames_seen'), json_extract(body, '$.cameras[0].max_people'))"
            " FROM item WHERE epoch = ? ORDER BY seq",
            epoch,
        )
    ]
    committed = max(number for _, number in items)
    assert confirmed <= committed <= confirmed + 1
    expected = [
        (kind, number) for number in range(1, committed + 1) for kind in ["visit"] * (1 + number % 7) + ["occupancy"]
    ]
    assert items == expected, "each commit is there wholly, in order, once"
    seqs = exchange.rows("SELECT min(seq), max(seq), count(*) FROM item WHERE epoch = ?", epoch)
    assert seqs == [(1, len(items), len(items))]
    assert exchange.rows("SELECT next_seq FROM epoch WHERE epoch = ?", epoch) == [(len(items) + 1,)]
    assert exchange.rows("SELECT json_extract(body, '$.n') FROM checkpoint") == [(committed,)]
    tiles = exchange.rows("SELECT cells FROM tile_part ORDER BY id DESC LIMIT 1")
    assert tiles == [(f"[[1, {committed}]]",)]


BECOME = """
import os, sys
from pathlib import Path
user, folder = int(sys.argv[1]), Path(sys.argv[2])
os.umask(0o007)
from edge.exchange.outbox import Outbox
from edge.exchange.writer import Batch
from tests.support.exchange import NTP, ORIGIN, Exchange, acked, visit
os.setgroups([64001])
os.setgid(user)
os.setuid(user)
exchange = Exchange(folder=folder)
"""
VISION = (
    BECOME
    + """
with exchange.writer(epoch=sys.argv[3]) as writer:
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
    for position, item in enumerate(claimed, 100 * int(sys.argv[3])):
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


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become two other users")
@pytest.mark.parametrize("order", ["vision opens first", "uplink opens first"])
def test_two_users_of_one_group_share_the_file_and_neither_locks_the_other_out(order: str) -> None:
    vision, uplink = 64101, 64102
    with tempfile.TemporaryDirectory(prefix="footfall-users-") as top:
        Path(top).chmod(0o755)
        folder = Path(top) / "exchange"
        folder.mkdir()
        os.chown(folder, 0, 64001)
        folder.chmod(0o2770)
        if order == "uplink opens first":
            assert ended(started(UPLINK, uplink, folder, 1)) == "0"
        for run in (1, 2):
            writing = started(VISION, vision, folder, f"{run:016x}")
            assert writing.stdout is not None
            assert writing.stdout.readline() == "wrote\n"
            reading = started(UPLINK, uplink, folder, run)  # both have it open now
            assert reading.stdout is not None
            assert int(reading.stdout.readline()) == 5 * (1 if run == 1 else 2)
            ended(writing) if run == 1 else ended(reading)  # one is last to leave, then the other
            ended(reading) if run == 1 else ended(writing)
        modes = {path.name: (path.stat().st_mode & 0o777, path.stat().st_gid) for path in folder.iterdir()}
        assert modes.keys() >= {"exchange.sqlite", "exchange.lock", "exchange.ballast"}
        assert set(modes.values()) == {(0o660, 64001)}
        assert Exchange(folder=folder).rows("SELECT count(*), sum(state = 2) FROM item") == [(20, 15)]
