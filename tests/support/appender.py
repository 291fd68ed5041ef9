"""A stand-in for vision that fills an exchange: `python -m tests.support.appender FOLDER ITEMS SEED`.

Appends through the real writer, as fast as it can, items whose content is a function of the seed, then prints how
many and ends. It runs before vision does, in an epoch of its own.
"""

import sys
import time
from pathlib import Path
from random import Random

from edge import clock
from edge.anonymity import Draft, Origin, draft
from edge.clock import Trust
from edge.exchange.batch import Batch, TilePart
from edge.exchange.writer import ThisBoot, Writer
from protocol.events import Crossing, LineCount, NamedSeconds, Occupancy, Visit
from protocol.modes import Mode
from protocol.tiles import Layer

__all__ = ["main"]

BATCH = 500


def main(arguments: list[str]) -> None:
    """Fill the exchange."""
    folder, items, random = Path(arguments[0]), int(arguments[1]), Random(int(arguments[2]))
    boot = ThisBoot(boot=clock.boot_id(), hardware_offset_ms=None)
    origin = Origin(venue=arguments[3], config=f"{random.getrandbits(128):032x}", mode=Mode.LIVE)
    epoch = f"{random.getrandbits(64):016x}"
    with Writer(folder, this_boot=boot, epoch=epoch, monotonic=clock.monotonic) as writer:
        fix = clock.system_fix(Trust.ALWAYS)
        if fix is not None:
            writer.offer_fix(fix)
        now = clock.monotonic()
        for start in range(0, items, BATCH):
            drafts = [_draft(random, now - (items - start) * 0.5) for _ in range(BATCH)]
            writer.commit(Batch(origin=origin, drafts=drafts, tiles=[_tile(random, now - (items - start) * 0.5)]))
    print(f"appended at {time.time():.0f}", flush=True)


def _draft(random: Random, at: float) -> Draft:
    kind = random.randrange(4)
    if kind == 0:
        cameras = [
            {
                "camera": "square",
                "watched_seconds": random.randrange(601) / 10,
                "analysed_frames": random.randrange(600),
                "dropped_frames": random.randrange(9),
                "person_seconds": random.randrange(9000) / 10,
                "max_people": random.randrange(30),
            }
        ]
        return draft(Occupancy, at=at, scene="square", cameras=cameras)
    if kind == 1:
        line = LineCount(line="door", inward=random.randrange(9), outward=random.randrange(9))
        return draft(Crossing, at=at, scene="square", lines=[line])
    return draft(
        Visit,
        at=at,
        scene="square",
        dwell_seconds=random.randrange(20_000) / 10,
        began=random.choice(["entered", "appeared", "resumed"]),
        ended=random.choice(["left", "lost", "interrupted"]),
        zones=[NamedSeconds(zone="shelf", seconds=random.randrange(1000) / 10)],
        frames_seen=random.randrange(10_000),
        mean_confidence=random.randrange(1000) / 1000,
    )


def _tile(random: Random, at: float) -> TilePart:
    cells = {random.randrange(1024): random.randrange(1, 60_000) for _ in range(20)}
    return TilePart(at=at, space="square-480x360-40px", camera="square", layer=Layer.PRESENCE, tx=0, ty=0, cells=cells)


if __name__ == "__main__":
    main(sys.argv[1:])
