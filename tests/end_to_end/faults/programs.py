"""The product's own commands under a clock that the harness turns, and with deaths at moments of its choice.

    python -m tests.end_to_end.faults.programs CLOCK [--die-before-acks N] WORDS…

CLOCK is a file of three numbers: by how many seconds UTC is off, how often the box has been booted, and whether UTC is
known at all; all but the boot are read anew each time that they are asked for. A box that does not know UTC says that
it is long ago. With `--die-before-acks` the ingest kills itself after its N-th commit, before it answers, and
the uplink when the N-th answer has come, before it takes it.
"""

import os
import signal
import sys
import time
from collections.abc import Sequence
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Self

import footfall

__all__ = ["main", "turn_clock"]

_DIE = "--die-before-acks"
_YEAR_SECONDS = 365 * 86_400


def main(arguments: Sequence[str]) -> int:
    """Run a command of the product."""
    clock, *words = arguments
    deaths = 0
    if words[0] == _DIE:
        deaths, words = int(words[1]), words[2:]
    turn_clock(Path(clock), of_box=words[0] == "edge")
    if deaths:
        (_die_before_taking if words[0] == "edge" else _die_before_answering)(deaths)
    return footfall.main(words)


def turn_clock(path: Path, *, of_box: bool) -> None:
    """Let the product's two seams for UTC, and for which boot this is, say what the file says."""
    if of_box:
        from edge import clock

        real_time, real_boot, boot = time.time, clock.boot_id(), _read(path)[1]
        time.time = lambda: _of_box(path, real_time())
        clock.boot_id = lambda: f"{real_boot}-{boot:.0f}"
        return
    from cloud.store import moments

    class Turned(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return super().now(tz) + timedelta(seconds=_read(path)[0])

    vars(moments)["datetime"] = Turned


def _of_box(path: Path, now: float) -> float:
    off_seconds, _, is_known = _read(path)
    return now + off_seconds if is_known else now % _YEAR_SECONDS


def _read(path: Path) -> tuple[float, float, bool]:
    off_seconds, boot, is_known = path.read_text().split()
    return float(off_seconds), float(boot), bool(int(is_known))


def _die_before_answering(deaths: int) -> None:
    from cloud.ingest.commit import Acknowledgement, Committer
    from cloud.ingest.intake import Delivery

    left, real = deaths, Committer.commit

    def commit(self: Committer, deliveries: Sequence[Delivery]) -> tuple[Acknowledgement, ...]:
        nonlocal left
        acknowledgements = real(self, deliveries)
        left -= bool(acknowledgements)
        return acknowledgements if left else _die()

    Committer.commit = commit  # type: ignore[method-assign]


def _die_before_taking(deaths: int) -> None:
    from edge.uplink.delivery import Delivery

    left, real = deaths, Delivery.acknowledge

    def acknowledge(self: Delivery, payload: bytes, now: float) -> None:
        nonlocal left
        left -= 1
        if not left:
            _die()
        real(self, payload, now)

    Delivery.acknowledge = acknowledge  # type: ignore[method-assign]


def _die() -> tuple[()]:
    print("killed before an ack", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
    return ()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
