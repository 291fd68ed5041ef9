"""A stand-in for vision that makes things until it is killed: `… CLOCK EXCHANGE ACCOUNT SCENE VENUE ROOM_BYTES`.

Only the cameras are missing: it ends what the last run left open, hands batches to the product's journal, a few a
second, so that a kill falls into a commit, adds to tiles whose bucket stays open, and keeps checkpoints of visits until
they end. Whatever it makes, and what each was named, goes to its witness. With the word `finish` after the others it
makes nothing: it ends what was left open, closes all buckets, and ends.
"""

import secrets
import sqlite3
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from random import Random

from pydantic import TypeAdapter

from edge import clock
from edge.anonymity import Draft, Origin
from edge.clock import Trust, system_fix
from edge.exchange import numbering, room
from edge.exchange.ballast import Ballast
from edge.exchange.batch import Batch, Checkpointed, TilePart
from edge.exchange.numbering import Lost
from edge.exchange.writer import Budget, ThisBoot, Writer
from edge.journal import Journal
from edge.left_over import LeftOver, closed
from edge.visits import Checkpoint
from protocol.envelope import GapReason
from protocol.modes import Mode
from tests.end_to_end.faults.items import (
    CONFIG,
    MINUTELY,
    Made,
    checkpoint_of,
    config_of,
    ended,
    frames_of,
    make,
)
from tests.end_to_end.faults.programs import turn_clock
from tests.end_to_end.faults.witness import Numbers, Witness

__all__ = ["main"]

FINISH = "finish"
THINGS_A_SECOND, LARGEST_BATCH = 40, 40
SHARES = (4, 4, 1, 5)
"""Of crossings, reports, queues and tile increments."""
LONGEST_PAUSE_SECONDS = 0.2
OLDEST_SECONDS = 75.0
"""How long ago a report may say that it was made: some buckets are over by then, and others stay open for a minute."""
MOST_OPEN_VISITS = 8
WAITING_BATCHES = 40
"""Few, so that a disk that stays full for some seconds makes the journal let go."""
_CHECKPOINT = TypeAdapter(Checkpoint)


def main(arguments: Sequence[str]) -> None:
    """Make things until killed."""
    clock_file, folder, account, scene, venue, room_bytes, *finish = arguments
    turn_clock(Path(clock_file), of_box=True)
    boot, run = ThisBoot(boot=clock.boot_id(), hardware_offset_ms=None), secrets.token_hex(8)
    budget = Budget(room_bytes=int(room_bytes))
    with ExitStack() as stack:
        witness = stack.enter_context(Witness(Path(account), run=run, boot=boot.boot))
        _watch_declarations(witness)
        _watch_connections(witness)
        writer = stack.enter_context(_Writer(witness, Path(folder), this_boot=boot, epoch=run, budget=budget))
        left_over = [
            LeftOver(boot=left.boot, origin=left.origin, checkpoint=_CHECKPOINT.validate_python(left.visit))
            for left in writer.left_over()
        ]
        with _Journal(witness, writer) as journal:
            for batch in closed(left_over):
                journal.put(batch)
            if not finish:
                shop = _Shop(witness, Numbers(Path(account).with_suffix(".numbers")), scene=scene, venue=venue)
                for batch in shop.batches():
                    journal.put(batch)
        writer.close_buckets()


class _Writer(Writer):
    """The product's writer, which tells what is in the exchange for certain."""

    def __init__(self, witness: Witness, folder: Path, *, this_boot: ThisBoot, epoch: str, budget: Budget) -> None:
        super().__init__(folder, this_boot=this_boot, epoch=epoch, monotonic=clock.monotonic, budget=budget)
        self._witness = witness

    def commit(self, batch: Batch) -> None:
        super().commit(batch)
        self._witness.returned(batch)


class _Journal(Journal):
    """The product's journal, watched for what it lets go."""

    def __init__(self, witness: Witness, writer: Writer) -> None:
        super().__init__(writer, system_fix=lambda: system_fix(Trust.ALWAYS), waiting_batches=WAITING_BATCHES)
        self._witness = witness

    def _note_lost(self, batch: Batch) -> None:
        super()._note_lost(batch)
        self._witness.let_go(batch)


class _Shop:
    """What happens in front of the cameras that are missing."""

    def __init__(self, witness: Witness, numbers: Numbers, *, scene: str, venue: str) -> None:
        self._witness, self._numbers, self._scene, self._venue = witness, numbers, scene, venue
        self._random = Random()
        self._open: dict[int, tuple[float, int]] = {}

    def batches(self) -> Iterator[Batch]:
        """One after the other, as time passes."""
        yield from self._layouts()
        before = clock.monotonic()
        while True:
            now = clock.monotonic()
            yield self._moment(now, since_seconds=now - before)
            before = now
            time.sleep(self._random.uniform(0, LONGEST_PAUSE_SECONDS))

    def _layouts(self) -> Iterator[Batch]:
        """This run's own, and, of the first run, that under which everything is made."""
        ((_, number),) = self._numbers.take(["configuration"])
        for one in (0, number) if number == 1 else (number,):
            origin = Origin(venue=self._venue, config=config_of(one), mode=Mode.LIVE)
            yield self._batch({("configuration", one): clock.monotonic()}, origin=origin)

    def _moment(self, now: float, *, since_seconds: float) -> Batch:
        random = self._random
        count = min(LARGEST_BATCH, 1 + round(since_seconds * THINGS_A_SECOND))
        kinds = random.choices(MINUTELY, SHARES, k=count)
        made = {one: now - random.uniform(0, OLDEST_SECONDS) for one in self._numbers.take(kinds)}
        is_busy = random.random() < 0.5
        return self._batch(made, visits=self._visits(now) if is_busy else None)

    def _visits(self, now: float) -> tuple[list[Draft], Checkpointed]:
        """Everybody is seen once more; who has been seen often enough leaves, and others come."""
        if len(self._open) < MOST_OPEN_VISITS:
            ((_, number),) = self._numbers.take(["visit"])
            self._witness.made({("visit", number): now})
            self._open[number] = (now, 0)
        stays = {number: (began, frames + 1) for number, (began, frames) in self._open.items()}
        seen = {
            number: checkpoint_of(number, scene=self._scene, first_seen=began, frames=frames)
            for number, (began, frames) in stays.items()
        }
        over = {number for number, stay in seen.items() if stay.frames >= frames_of(number, scene=self._scene)}
        self._open = {number: stay for number, stay in stays.items() if number not in over}
        kept = {number: asdict(stay) for number, stay in seen.items() if number not in over}
        return [ended(seen[number]) for number in sorted(over)], Checkpointed(scene=self._scene, visits=kept)

    def _batch(
        self,
        made: dict[Made, float],
        *,
        origin: Origin | None = None,
        visits: tuple[list[Draft], Checkpointed] | None = None,
    ) -> Batch:
        self._witness.made(made)
        things = [make(one, scene=self._scene, at=at) for one, at in made.items()]
        over, checkpointed = visits or ([], None)
        return Batch(
            origin=origin or Origin(venue=self._venue, config=CONFIG, mode=Mode.LIVE),
            drafts=[*(thing for thing in things if isinstance(thing, Draft)), *over],
            tiles=[thing for thing in things if isinstance(thing, TilePart)],
            checkpoints=[] if checkpointed is None else [checkpointed],
        )


def _watch_connections(witness: Witness) -> None:
    """Have the witness see what the writer's connection does from its first transaction on."""
    real = room.opened

    def opened(path: Path, ballast: Ballast) -> sqlite3.Connection:
        connection = real(path, ballast)
        witness.watch(connection)
        return connection

    vars(room)["opened"] = opened


def _watch_declarations(witness: Witness) -> None:
    """Have the witness hear of each seq that is declared dropped, whichever part of the exchange declares it."""
    real = numbering.declare

    def declare(connection: sqlite3.Connection, epoch: str, *, reason: GapReason, lost: Iterable[Lost]) -> None:
        rows = list(lost)
        real(connection, epoch, reason=reason, lost=rows)
        if reason is GapReason.DROPPED:
            witness.declared(epoch, [(seq, kind) for seq, kind, _ in rows])

    for name, module in list(sys.modules.items()):
        if name.startswith("edge.") and vars(module).get("declare") is real:
            vars(module)["declare"] = declare


if __name__ == "__main__":
    main(sys.argv[1:])
