"""Vision's side of the exchange: the only appender.

Opening takes an exclusive lock and starts a new epoch, and the early one beside it. Each commit is one durable
transaction of everything that belongs together: a minute's reports, its tile increments and the checkpoints; or a
closing visit and the end of its checkpoint. What can be placed in UTC is numbered in that same transaction, and what
must wait is named.

Theory of operation when room runs out: settled items go first (by age always, then by need), equal ones merge, the
least valuable are dropped and declared. When the disk itself is full, the ballast file beside the exchange is given
up, so that there is room to write the declaration; from then on, until the ballast can be laid again, the exchange
lives within the room that it has: pages freed by shedding, and a log that is begun anew instead of growing.
"""

import json
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from edge.anonymity import Draft, Origin
from edge.clock import Fix, to_utc
from edge.errors import ExchangeBusy, ExchangeFull
from edge.exchange import again, boots, certificates, placing, room, shedding
from edge.exchange.ballast import Ballast
from edge.exchange.batch import Batch, Checkpointed, LeftBehind
from edge.exchange.lock import take_lock
from edge.exchange.note import Note
from edge.exchange.numbering import Name, declare, declare_names, take_seqs
from edge.exchange.schema import FILE_NAME, get_meta, reading, set_meta, writing
from protocol.envelope import GapReason
from protocol.modes import Mode
from protocol.wire import early_epoch

__all__ = ["Budget", "ThisBoot", "Writer"]

_SPARE_BYTES = 256 * 2**10
"""On a full disk shedding goes on until so much of the file itself is free."""

_MEANWHILE = "until then it makes do with the room that it has, and declares what it drops"

_NOTED = "noted"
"""The key under which is kept which note was last declared."""

_INSIDE = "inside:"
"""Before a scene's name: the key under which is kept how many are inside."""

_SHED_TO = 0.9
"""Shedding goes on until this share of the budget is in use, so that it does not run at every commit."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ThisBoot:
    """The boot the writer runs in, and what `edge.clock.hardware_offset_ms` says in it."""

    boot: str
    hardware_offset_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How much room the exchange may take, and how long settled items are kept."""

    room_bytes: int = 2 * 2**30
    keep_settled_seconds: float = 7 * 86_400.0


class Writer:
    """Appends to the exchange in `folder`; a context manager that holds the lock."""

    def __init__(
        self,
        folder: Path,
        *,
        this_boot: ThisBoot,
        epoch: str,
        monotonic: Callable[[], float],
        budget: Budget | None = None,
    ) -> None:
        self.epoch = epoch
        self._folder = folder
        self._this_boot = this_boot
        self._monotonic = monotonic
        self._budget = budget or Budget()
        self._ballast = Ballast(folder)
        self._note = Note(folder)
        self._is_short = False

    def __enter__(self) -> Self:
        self._lock = take_lock(self._folder)
        try:
            self._connection = room.opened(self._folder / FILE_NAME, self._ballast)
            self._retrying(self._begin_epoch)
            self._note.clear()
            self._note.lay()
            self._ballast.lay()
        except BaseException:  # the lock must not outlive a failed opening
            os.close(self._lock)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()
        os.close(self._lock)

    def left_over(self) -> list[LeftBehind]:
        """Checkpoints of a run that did not end. They go when their scene is checkpointed."""
        with reading(self._connection) as connection:
            rows = connection.execute("SELECT boot, venue, config, mode, body FROM checkpoint ORDER BY id").fetchall()
        return [
            LeftBehind(boot=boot, origin=Origin(venue=venue, config=config, mode=Mode(mode)), visit=json.loads(body))
            for boot, venue, config, mode, body in rows
        ]

    def inside(self) -> dict[str, int]:
        """How many people were inside each scene, by the last checkpoint of any run."""
        with reading(self._connection) as connection:
            rows = connection.execute("SELECT key, value FROM meta WHERE key GLOB ?", (f"{_INSIDE}*",)).fetchall()
        return {key.removeprefix(_INSIDE): int(value) for key, value in rows}

    def certificates(self) -> list[str]:
        """The newest certificate of each line, by the lines' names; see `edge.exchange.certificates`."""
        with reading(self._connection) as connection:
            return certificates.kept(connection)

    def commit(self, batch: Batch) -> None:
        """Store a batch durably; raises ExchangeFull when there is no room even after shedding, else ExchangeBusy."""
        self._retrying(lambda: self._store(batch))
        # The batch is stored, and must not be stored again; the next one makes room.
        with suppress(ExchangeFull, ExchangeBusy):
            self.tend()

    def note_lost(self, lost: Mapping[str, int]) -> bool:
        """Keep counts of what could not be stored, for the next run to declare; whether it could."""
        return self._note.add(lost)

    def offer_fix(self, fix: Fix) -> bool:
        """Take a better fix of this boot's UTC; says whether it was taken."""
        with writing(self._connection) as connection:
            return boots.offer(connection, boot=self._this_boot.boot, fix=fix)

    def fix(self) -> Fix | None:
        """What is known of this boot's UTC, by whoever learnt it."""
        with reading(self._connection) as connection:
            return boots.current_fix(connection, self._this_boot.boot)

    def close_buckets(self) -> None:
        """Number everything that can be placed, buckets still open included: the end of a replay."""
        with writing(self._connection) as connection:
            while placing.place_parts(connection, self.epoch):
                continue
            placing.place_tiles(connection, self.epoch, now=None)

    def tend(self) -> None:
        """Keep within the byte budget, and let go of what has been settled long enough."""
        with writing(self._connection) as connection:
            age_ms = boots.age_ms(connection, boot=self._this_boot.boot, now_ms=self._now_ms())
            old_ms = age_ms - round(self._budget.keep_settled_seconds * 1000)
            shedding.purge_settled(connection, settled_before_ms=old_ms)
        if room.used_bytes(self._connection) > self._budget.room_bytes:
            while room.used_bytes(self._connection) > self._budget.room_bytes * _SHED_TO and self._shed():
                continue
        self._note.lay()
        if self._ballast.lay():
            self._note_shortage(is_short=False, reason=f"exchange {self._folder}: there is room on the disk again")
            room.keep_size(self._connection, fixed=False)
        elif self._is_short:
            self._keep_spare()

    def _shed(self) -> int:
        try:
            with writing(self._connection) as connection:
                return (
                    shedding.purge_settled(connection, settled_before_ms=None)
                    or shedding.merge_equal(connection, self.epoch)
                    or again.go_on(connection)
                    or shedding.drop_oldest(connection)
                )
        except ExchangeFull:
            with writing(self._connection) as connection:
                return shedding.drop_stretch(connection)

    def _retrying(self, act: Callable[[], None]) -> None:
        """Act; when the disk is full, make room and act once more, and again with more room while that can be had."""
        if not self._is_short and self._ballast.is_missed:  # uplink gave it up: nothing may grow from now on
            reason = f"exchange {self._folder / FILE_NAME}: no room on the disk; free some space"
            self._note_shortage(is_short=True, reason=f"{reason}; {_MEANWHILE}")
            room.keep_size(self._connection, fixed=True)
        try:
            act()
        except ExchangeFull as full:
            self._note_shortage(is_short=not self._ballast.is_affordable, reason=f"{full}; {_MEANWHILE}")
            self._make_room()
            self._act_with_more_room(act)

    def _act_with_more_room(self, act: Callable[[], None]) -> None:
        """A batch that was long in coming, as what waited while another held the exchange, is larger than most."""
        wanted_bytes = _SPARE_BYTES
        while True:
            try:
                return act()
            except ExchangeFull:
                wanted_bytes *= 2
                if not self._is_short or not self._keep_spare(wanted_bytes):
                    raise

    def _note_shortage(self, *, is_short: bool, reason: str) -> None:
        """Tell when it begins and when it ends."""
        if is_short is not self._is_short:
            self._is_short = is_short
            _log.log(logging.ERROR if is_short else logging.INFO, reason, extra={"action": "exchange"})

    def _make_room(self) -> None:
        """Turn the ballast into room of the exchange's own, shed what that does not serve, and let nothing grow."""
        if not self._is_short:
            self._ballast.give_up()
        elif not room.spend(self._connection, self._ballast):
            self._shed()
        room.restart_log(self._connection)
        if self._is_short:
            self._keep_spare()
            room.restart_log(self._connection)
        room.keep_size(self._connection, fixed=self._is_short)

    def _keep_spare(self, wanted_bytes: int = _SPARE_BYTES) -> bool:
        """Shed until the next batch finds free pages, and so does the declaration of what must go for it.

        Says whether anything went.
        """
        has_shed = False
        while room.free_bytes(self._connection) < wanted_bytes and self._shed():
            has_shed = True
            room.restart_log(self._connection)
        return has_shed

    def _begin_epoch(self) -> None:
        boot = self._this_boot
        with writing(self._connection) as connection:
            boots.register(
                connection,
                boot=boot.boot,
                hardware_offset_ms=boot.hardware_offset_ms,
                now_ms=self._now_ms(),
            )
            connection.executemany(
                "INSERT INTO epoch (epoch, ordinal, boot) SELECT ?, coalesce(max(ordinal), 0) + 1, ? FROM epoch",
                [(self.epoch, boot.boot), (early_epoch(self.epoch), boot.boot)],
            )
            set_meta(connection, "head", self.epoch)
            connection.execute("DELETE FROM live")
            if get_meta(connection, "made") is None:
                set_meta(connection, "made", str(round(time.time())))
            noted = self._note.read()
            if noted is not None and noted.name != get_meta(connection, _NOTED):
                self._declare_lost(noted.lost)
                set_meta(connection, _NOTED, noted.name)

    def _store(self, batch: Batch) -> None:
        now_ms = self._now_ms()
        boot = batch.boot or self._this_boot.boot
        origin = (batch.origin.venue, batch.origin.config, str(batch.origin.mode))
        with writing(self._connection) as connection:
            boots.touch(connection, boot=self._this_boot.boot, now_ms=now_ms)
            connection.executemany(
                "INSERT INTO part (boot, mono_ms, venue, config, mode, body, epoch, seq)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (boot, _ms(draft.at), *origin, json.dumps(draft.body), *self._name_of_ended(batch, draft))
                    for draft in batch.drafts
                ],
            )
            connection.executemany(
                "INSERT INTO tile_part (boot, mono_ms, venue, config, mode, space, camera, layer, tx, ty, cells)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (boot, _ms(tile.at), *origin, tile.space, tile.camera, str(tile.layer), tile.tx, tile.ty,
                     json.dumps(sorted(tile.cells.items())))
                    for tile in batch.tiles
                ],
            )  # fmt: skip
            for checkpointed in batch.checkpoints:
                self._checkpoint(connection, checkpointed, boot=boot, origin=batch.origin)
            connection.executemany(
                "INSERT INTO live VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
                " boot = excluded.boot, mono_ms = excluded.mono_ms, body = excluded.body",
                [(subject, boot, now_ms, json.dumps(body)) for subject, body in batch.live.items()],
            )
            if batch.boot is None:
                connection.executemany(
                    "INSERT INTO part (boot, mono_ms, venue, config, mode, body) VALUES (?, ?, ?, ?, ?, ?)",
                    [(boot, now_ms, *origin, body) for body in certificates.take_in(connection)],
                )
            self._declare_lost(batch.lost)
            more_follow = placing.place_parts(connection, self.epoch)
            fix = boots.current_fix(connection, self._this_boot.boot)
            if fix is not None and not more_follow:
                placing.place_tiles(connection, self.epoch, now=to_utc(now_ms + fix.offset_ms))
            placing.name_what_waits(connection, self.epoch)

    def _name_of_ended(self, batch: Batch, draft: Draft) -> Name | tuple[None, None]:
        """The name that an open visit was given, now that this is its end; its checkpoint goes."""
        row = self._connection.execute(
            "DELETE FROM checkpoint WHERE scene = ? AND number = ? AND (epoch = ?) = ? RETURNING epoch, seq",
            (draft.body.get("scene"), draft.ends, early_epoch(self.epoch), batch.boot is None),
        ).fetchone()
        return (None, None) if row is None else (str(row[0]), int(row[1]))

    def _checkpoint(
        self, connection: sqlite3.Connection, checkpointed: Checkpointed, *, boot: str, origin: Origin
    ) -> None:
        """Replace what was kept of a scene's open visits; one that is gone without an end became part of another."""
        scene, early = checkpointed.scene, early_epoch(self.epoch)
        if checkpointed.inside is not None:
            set_meta(connection, _INSIDE + scene, str(checkpointed.inside))
        before = connection.execute(
            "DELETE FROM checkpoint WHERE scene = ? RETURNING number, epoch, seq", (scene,)
        ).fetchall()
        names = {number: (epoch, seq) for number, epoch, seq in before if epoch == early}
        fresh = [number for number in checkpointed.visits if number not in names]
        first = take_seqs(connection, early, len(fresh)) if fresh else 0
        names |= {number: (early, first + index) for index, number in enumerate(fresh)}
        connection.executemany(
            "INSERT INTO checkpoint (boot, scene, venue, config, mode, body, number, epoch, seq)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (boot, scene, origin.venue, origin.config, str(origin.mode), json.dumps(visit), number, *names[number])
                for number, visit in checkpointed.visits.items()
            ],
        )
        kept = {names[number] for number in checkpointed.visits}
        gone = [(epoch, seq) for _, epoch, seq in before if epoch is not None and (epoch, seq) not in kept]
        declare_names(connection, ((*name, "visit", None) for name in gone), GapReason.MERGED)

    def _declare_lost(self, lost: Mapping[str, int]) -> None:
        for kind, count in lost.items():
            first = take_seqs(self._connection, self.epoch, count)
            rows = [(first + index, kind, None) for index in range(count)]
            declare(self._connection, self.epoch, reason=GapReason.DROPPED, lost=rows)

    def _now_ms(self) -> int:
        return _ms(self._monotonic())


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
