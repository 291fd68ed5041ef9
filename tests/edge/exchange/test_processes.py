"""Real processes on one exchange: killed while they write, and running as two users."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from random import Random

import pytest

from tests.support.exchange import Exchange
from tests.support.two_users import Users, share

APPEND = """
import itertools, sys
from pathlib import Path
from edge.exchange.batch import Batch, Checkpointed
from tests.support.exchange import NTP, ORIGIN, Exchange, report, tile_part, visit
exchange = Exchange(folder=Path(sys.argv[1]))
with exchange.writer(epoch=sys.argv[2]) as writer:
    writer.offer_fix(NTP)
    for number in itertools.count(1):
        drafts = [visit(frames=number) for _ in range(1 + number % 7)] + [report(max_people=number)]
        kept = [Checkpointed(scene="floor", visits={number: {"n": number}})]
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


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become two other users")
@pytest.mark.parametrize("order", ["vision opens first", "uplink opens first"])
def test_two_users_of_one_group_share_the_file_and_neither_locks_the_other_out(order: str) -> None:
    users = Users(vision=64101, uplink=64102, group=64001)
    with tempfile.TemporaryDirectory(prefix="footfall-users-") as top:
        Path(top).chmod(0o755)
        folder = Path(top) / "exchange"
        folder.mkdir()
        os.chown(folder, 0, users.group)
        folder.chmod(0o2770)
        share(folder, users, vision_first=order == "vision opens first")
