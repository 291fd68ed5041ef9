"""An exchange to try things on: a box with a clock that the test turns, and what its scenes might say."""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from edge.anonymity import Draft, Origin, draft
from edge.clock import Fix
from edge.exchange.batch import Batch, TilePart
from edge.exchange.numbering import read_spans
from edge.exchange.outbox import Outbox
from edge.exchange.schema import FILE_NAME
from edge.exchange.writer import Budget, ThisBoot, Writer
from protocol.acks import Ack, SeqRange
from protocol.configuration import Coordinates, Layout, Space, config_hash
from protocol.envelope import ClockSource
from protocol.events import CameraWatch, Configuration, Crossing, LineCount, Occupancy, Visit, ZoneWatch
from protocol.modes import Mode
from protocol.tiles import Layer
from protocol.wire import JsonObject

__all__ = [
    "CONFIG",
    "LAYOUT",
    "NOON",
    "NTP",
    "ORIGIN",
    "STORES",
    "Exchange",
    "acked",
    "configuration",
    "crossing",
    "filled",
    "opened",
    "report",
    "tile_part",
    "visit",
]

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
NTP = Fix(offset_ms=round(NOON.timestamp() * 1000), source=ClockSource.NTP, uncertainty_ms=10)
"""Monotonic time 0 is noon."""

LAYOUT = Layout(
    mode=Mode.STATISTICS,
    k=5,
    scenes=(),
    cameras=(),
    spaces=(Space(space="ground-1", coordinates=Coordinates.FLOOR, floor="ground", cell=0.5),),
)
CONFIG = config_hash(LAYOUT)
ORIGIN = Origin(venue="corner-shop", config=CONFIG, mode=Mode.STATISTICS)
STORES = tuple(f"01J{number:023d}" for number in range(10))
"""ULIDs of stores, each newer than the one before."""


@dataclass(kw_only=True)
class Exchange:
    """An exchange's folder, and the clock of the box that it is in."""

    folder: Path
    now: float = 100.0
    boot: str = "boot-1"
    opened: int = 0
    budget: Budget = field(default_factory=Budget)

    def writer(self, *, hardware_offset_ms: int | None = None, epoch: str | None = None) -> Writer:
        """A writer in an epoch of its own: the first, the second and so on."""
        self.opened += 1
        return Writer(
            self.folder,
            this_boot=ThisBoot(boot=self.boot, hardware_offset_ms=hardware_offset_ms),
            epoch=epoch or f"{self.opened:016x}",
            monotonic=lambda: self.now,
            budget=self.budget,
        )

    def outbox(self) -> "closing[Outbox]":
        return closing(Outbox(self.folder, boot=self.boot))

    def rows(self, query: str, *values: object) -> list[tuple[object, ...]]:
        """What a query of the file says now."""
        with closing(sqlite3.connect(self.folder / FILE_NAME)) as connection:
            return connection.execute(query, values).fetchall()

    def bodies(self, kind: str | None = None) -> list[JsonObject]:
        """The items held, in order."""
        held = self.rows("SELECT body FROM item WHERE ?1 IS NULL OR type = ?1 ORDER BY id", kind)
        return [json.loads(str(body)) for (body,) in held]

    def states(self, epoch: str | None = None) -> dict[int, int]:
        """Seq → state, of one epoch or the first."""
        rows = self.rows("SELECT seq, state FROM item WHERE epoch = ? ORDER BY seq", epoch or f"{1:016x}")
        return {int(str(seq)): int(str(state)) for seq, state in rows}

    def gaps(self) -> list[tuple[str, int, int, str, Counter[str]]]:
        """(epoch, first, last, reason, lost by type) of every gap that is declared by itself."""
        return list(self._gaps())

    def merged(self) -> list[tuple[str, int, int, Counter[str]]]:
        """(epoch, first, last, types) of all that sums are declared with to be made of."""
        stored = self.rows("SELECT instead_of FROM item WHERE instead_of IS NOT NULL ORDER BY id")
        spans = (named for (text,) in stored for named in read_spans(str(text)))
        return [(epoch, span.first, span.last, span.counts) for epoch, span in spans]

    def forgotten(self) -> list[tuple[str, int, int]]:
        """(epoch, first, last) of what is remembered as gone."""
        rows = self.rows("SELECT epoch, from_seq, to_seq FROM history ORDER BY epoch, from_seq")
        return [(str(epoch), int(str(first)), int(str(last))) for epoch, first, last in rows]

    def _gaps(self) -> Iterator[tuple[str, int, int, str, Counter[str]]]:
        for epoch, first, last, reason, lost in self.rows(
            "SELECT epoch, from_seq, to_seq, reason, lost FROM gap ORDER BY epoch, from_seq"
        ):
            yield str(epoch), int(str(first)), int(str(last)), str(reason), Counter(json.loads(str(lost)))


def configuration(*, at: float = 0.0) -> Draft:
    return draft(Configuration, at=at, layout=LAYOUT)


def visit(*, at: float = 0.0, scene: str = "floor", dwell_seconds: float = 42.5, frames: int = 400) -> Draft:
    return draft(
        Visit,
        at=at,
        scene=scene,
        dwell_seconds=dwell_seconds,
        began="entered",
        ended="left",
        frames_seen=frames,
        mean_confidence=0.71,
    )


def report(
    *,
    at: float = 0.0,
    camera: str = "door-cam",
    person_seconds: float = 61.4,
    max_people: int = 3,
    inside: int | None = None,
    drift: int | None = None,
) -> Draft:
    watch = CameraWatch(
        camera=camera,
        watched_seconds=59.8,
        analysed_frames=500,
        dropped_frames=3,
        person_seconds=person_seconds,
        max_people=max_people,
    )
    zone = ZoneWatch(zone="shelf", person_seconds=person_seconds / 2, max_people=max_people)
    return draft(Occupancy, at=at, scene="floor", cameras=[watch], zones=[zone], inside=inside, drift=drift)


def crossing(*, at: float = 0.0, inward: int = 2, outward: int = 1) -> Draft:
    return draft(Crossing, at=at, scene="floor", lines=[LineCount(line="door", inward=inward, outward=outward)])


def tile_part(
    cells: dict[int, int], *, at: float = 0.0, layer: Layer = Layer.PRESENCE, camera: str = "door-cam"
) -> TilePart:
    return TilePart(at=at, space="ground-1", camera=camera, layer=layer, tx=0, ty=0, cells=cells)


def acked(
    position: int,
    *,
    epoch: str | None = f"{1:016x}",
    through: int | None = 0,
    received: Sequence[tuple[int, int]] = (),
    rejected: Sequence[int] = (),
    refused: str | None = None,
    store: str = STORES[1],
    at: datetime = NOON,
) -> Ack:
    """An answer of the cloud; with `refused` it speaks of no epoch."""
    return Ack(
        box="box-1",
        store=store,
        position=position,
        at=at,
        epoch=None if refused else epoch,
        through=None if refused else through,
        received=tuple(SeqRange(first=first, last=last) for first, last in received),
        rejected=tuple(rejected),
        refused=refused,
    )


@contextmanager
def opened(exchange: Exchange) -> Iterator[Writer]:
    """A writer that knows UTC."""
    with exchange.writer() as writer:
        writer.offer_fix(NTP)
        yield writer


def filled(writer: Writer, exchange: Exchange, count: int, *, batch: int = 100) -> None:
    """Append a configuration and `count` visits."""
    writer.commit(Batch(origin=ORIGIN, drafts=[configuration(at=exchange.now)]))
    for start in range(0, count, batch):
        drafts = [visit(at=exchange.now, frames=number) for number in range(start, min(count, start + batch))]
        writer.commit(Batch(origin=ORIGIN, drafts=drafts))
