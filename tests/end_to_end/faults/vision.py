"""A stand-in for vision that appends until it is killed: `… CLOCK EXCHANGE WITNESS SCENE VENUE ROOM_BYTES`.

It appends through the real writer, in small batches, many a second, so that a kill falls into a commit; a batch for
which there is no room is kept and tried again. What it appends, and what each was named, goes to its witness.
"""

import secrets
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from sqlite3 import Connection

from edge import clock
from edge.anonymity import Draft, Origin
from edge.clock import Trust, system_fix
from edge.errors import ExchangeBusy, ExchangeFull
from edge.exchange import placing, shedding
from edge.exchange.batch import Batch, TilePart
from edge.exchange.numbering import Unnumbered, append
from edge.exchange.writer import Budget, ThisBoot, Writer
from protocol.modes import Mode
from tests.end_to_end.faults.items import at_seconds, make, parts_in
from tests.end_to_end.faults.programs import turn_clock
from tests.end_to_end.faults.witness import Witness
from tests.support.exchange import CONFIG

__all__ = ["main"]

LARGEST_BATCH = 12
LONGEST_PAUSE_SECONDS = 0.2
FULL_PAUSE_SECONDS = 0.1

Append = Callable[[Connection, str, Sequence[Unnumbered]], None]


def main(arguments: Sequence[str]) -> None:
    """Append until killed."""
    clock_file, folder, account, scene, venue, room_bytes = arguments
    turn_clock(Path(clock_file), of_box=True)
    boot = ThisBoot(boot=clock.boot_id(), hardware_offset_ms=None)
    origin = Origin(venue=venue, config=CONFIG, mode=Mode.LIVE)
    epoch = secrets.token_hex(8)
    writer = Writer(
        Path(folder),
        this_boot=boot,
        epoch=epoch,
        monotonic=clock.monotonic,
        budget=Budget(room_bytes=int(room_bytes)),
    )
    with writer:
        base, base_ms = _beginning(writer)
        with Witness(Path(account), epoch=epoch, base_ms=base_ms) as witness:
            for numbers in (placing, shedding):
                vars(numbers)["append"] = _witnessed(append, witness)
            _append(writer, witness, origin, scene, base)


def _append(writer: Writer, witness: Witness, origin: Origin, scene: str, base: float) -> None:
    random, serial = Random(writer.epoch), 1
    while True:
        serials = range(serial, serial + random.randint(1, LARGEST_BATCH))
        made = [
            make(writer.epoch, number, scene=scene, at=base - at_seconds(writer.epoch, number)) for number in serials
        ]
        drafts = [one for one in made if isinstance(one, Draft)]
        tiles = [one for one in made if isinstance(one, TilePart)]
        _commit(writer, Batch(origin=origin, drafts=drafts, tiles=tiles))
        witness.returned(serials[-1])
        serial = serials.stop
        time.sleep(random.uniform(0, LONGEST_PAUSE_SECONDS))


def _commit(writer: Writer, batch: Batch) -> None:
    while True:
        try:
            return writer.commit(batch)
        except (ExchangeFull, ExchangeBusy):
            time.sleep(FULL_PAUSE_SECONDS)


def _beginning(writer: Writer) -> tuple[float, int]:
    """Now, monotonic and in UTC as ms, by what this boot's clock first said."""
    fix = writer.fix() or system_fix(Trust.ALWAYS)
    if fix is None:
        raise RuntimeError("this machine's clock is before 2020")
    writer.offer_fix(fix)
    now = clock.monotonic()
    known = writer.fix() or fix
    return now, round(now * 1000) + known.offset_ms


def _witnessed(real: Append, witness: Witness) -> Append:
    def appended(connection: Connection, epoch: str, items: Sequence[Unnumbered]) -> None:
        real(connection, epoch, items)
        if items:
            (after,) = connection.execute("SELECT next_seq FROM epoch WHERE epoch = ?", (epoch,)).fetchone()
            witness.named(after - len(items), [parts_in(epoch, dict(item.body)) for item in items])

    return appended


if __name__ == "__main__":
    main(sys.argv[1:])
