"""Uplink's side of the exchange: what waits is claimed, and settled by what the cloud acknowledges.

Nothing here deletes an item. A claim is a promise to have sent it; one that is not acknowledged lapses, after a time
that grows with each attempt, and at once with every new connection. Acknowledgements that are older than what is
known, or that speak of seqs never sent, change nothing.

Delivering is what lets a full disk have room again, so uplink goes on there: it begins the log anew instead of letting
it grow, else gives up the ballast in favour of the exchange; the writer lays it again.
"""

import json
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import wraps
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from edge.clock import Fix, to_utc
from edge.errors import ExchangeFull
from edge.exchange import again, boots, certificates, room, settled
from edge.exchange.ballast import Ballast
from edge.exchange.numbering import declare, declare_spans, read_spans
from edge.exchange.schema import FILE_NAME, State, get_meta, reading, set_meta, writing
from edge.exchange.settling import settle_epoch
from protocol.acks import Ack, SeqRange
from protocol.envelope import Gap, GapReason, Seen, TypeCount
from protocol.wire import early_epoch

__all__ = ["Claimed", "LiveRow", "Outbox", "Standing", "Verdict"]

_P = ParamSpec("_P")
_T = TypeVar("_T")

_LAPSE_CAP_MS = 600_000
_LIVE_SHARE = 4
"""One part in four of each claim goes to the newest items, so that a long backlog does not starve the present."""

_MOST_CONFIGURATIONS = 16
_MOST_RANGES = 32
"""Higher ranges are said once lower ones have joined; an envelope's header stays small."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """An item to send: its name, its kind, its JSON, how often it has been claimed, and what it is the sum of."""

    epoch: str
    seq: int
    type: str
    body: str
    attempts: int
    instead_of: tuple[Gap, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveRow:
    """What vision last said of a subject ("vision" or "camera/…" or "scene/…"), and how many seconds ago."""

    subject: str
    age_seconds: float
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How much waits: items, and the moment of the oldest in ms of UTC where known."""

    waiting: int
    oldest_at_ms: int | None


class Verdict(StrEnum):
    """What became of an acknowledgement."""

    TAKEN = "taken"
    NEW_STORE = "new-store"
    OLD_STORE = "old-store"
    OLD_POSITION = "old-position"
    UNKNOWN_EPOCH = "unknown-epoch"
    BEYOND_SENT = "beyond-sent"


def _finding_room(act: Callable[Concatenate["Outbox", _P], _T]) -> Callable[Concatenate["Outbox", _P], _T]:
    """Do this again on a full disk, as often as there is a way to find room."""

    @wraps(act)
    def done(outbox: "Outbox", /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        for find in outbox.ways_to_room():
            try:
                return act(outbox, *args, **kwargs)
            except ExchangeFull:
                if not find():
                    raise
        return act(outbox, *args, **kwargs)

    return done


class Outbox:
    """Claims and settles items of the exchange in `folder`; close it when done."""

    def __init__(self, folder: Path, *, boot: str) -> None:
        self._path = folder / FILE_NAME
        self._ballast = Ballast(folder)
        self._is_fixed = False
        self._connection = room.opened(self._path, self._ballast)
        self._boot = boot

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def ways_to_room(self) -> tuple[Callable[[], bool], ...]:
        """What may help on a full disk, the cheapest first; each says whether it is worth trying again then."""
        self._keep_size()
        return (
            lambda: room.restart_log(self._connection) or self._spend_ballast(),
            self._spend_ballast,
        )

    def head(self) -> str | None:
        """The writer's present epoch; None before vision has ever run."""
        with reading(self._connection) as connection:
            return get_meta(connection, "head")

    def seen(self, epoch: str | None = None) -> Seen:
        """The last acknowledgement taken, and what is settled of an epoch."""
        with reading(self._connection) as connection:
            ranges = [] if epoch is None else settled.of_epoch(connection, epoch, limit=_MOST_RANGES)
            return Seen(
                store=get_meta(connection, "store"),
                position=int(self._position()),
                settled=tuple(SeqRange(first=first, last=last) for first, last in ranges) or None,
            )

    def settled_epochs(self) -> list[str]:
        """Epochs of which something is settled and still held, the newest first."""
        with reading(self._connection) as connection:
            return settled.epochs(connection)

    def fix(self) -> Fix | None:
        """What is known of this boot's UTC."""
        with reading(self._connection) as connection:
            return boots.current_fix(connection, self._boot)

    @_finding_room
    def offer_fix(self, fix: Fix) -> bool:
        """Take a better fix of this boot's UTC; says whether it was taken."""
        with writing(self._connection) as connection:
            return boots.offer(connection, boot=self._boot, fix=fix)

    @_finding_room
    def release_claims(self) -> None:
        """Let every claim lapse: a new connection knows nothing of what the old one sent.

        How often an item left over earlier connections says nothing of this one, so its back-off begins anew.
        """
        with writing(self._connection) as connection:
            connection.execute(
                "UPDATE item SET state = ?, attempts = 1 WHERE state = ?", (State.WAITING, State.CLAIMED)
            )

    @_finding_room
    def claim(self, *, now_ms: int, window: int, lapse_ms: int) -> list[Claimed]:
        """Claim as many items as the window of unacknowledged ones has room for, the oldest and some of the newest.

        After a new store a step is taken first towards all that is held waiting again.
        """
        self._go_on()
        with writing(self._connection) as connection:
            connection.execute(
                "UPDATE item SET state = ? WHERE state = ? AND retry_ms <= ?", (State.WAITING, State.CLAIMED, now_ms)
            )
            claimed = connection.execute("SELECT count(*) FROM item WHERE state = ?", (State.CLAIMED,)).fetchone()[0]
            room = window - int(claimed)
            if room <= 0:
                return []
            rows = _waiting(connection, room)
            for row in rows:
                connection.execute(
                    "UPDATE item SET state = ?, attempts = attempts + 1,"
                    " retry_ms = ? + min(?, ? << min(attempts, 10)) WHERE id = ?",
                    (State.CLAIMED, now_ms, _LAPSE_CAP_MS, lapse_ms, row[0]),
                )
                sent = [(row[2], row[1]), *((span.last, epoch) for epoch, span in read_spans(row[6]))]
                connection.executemany("UPDATE epoch SET sent_seq = max(sent_seq, ?) WHERE epoch = ?", sent)
        return [_claimed(*row[1:]) for row in rows]

    @_finding_room
    def unclaim(self, epoch: str, seqs: Sequence[int]) -> None:
        """Give back claims whose message never left."""
        with writing(self._connection) as connection:
            connection.executemany(
                "UPDATE item SET state = ? WHERE epoch = ? AND seq = ? AND state = ?",
                [(State.WAITING, epoch, seq, State.CLAIMED) for seq in seqs],
            )

    @_finding_room
    def gaps(self) -> list[Gap]:
        """Declared gaps that no answer has settled, oldest epoch first; they count as sent from now on."""
        with writing(self._connection) as connection:
            rows = connection.execute(
                "SELECT gap.epoch, from_seq, to_seq, reason, start_ms, end_ms, lost FROM gap"
                " JOIN epoch ON epoch.epoch = gap.epoch WHERE settled = 0 ORDER BY ordinal, from_seq"
            ).fetchall()
            connection.executemany(
                "UPDATE gap SET sent = 1 WHERE epoch = ? AND from_seq = ? AND to_seq = ? AND reason = ? AND sent = 0",
                [row[:4] for row in rows],
            )
            connection.executemany(
                "UPDATE epoch SET sent_seq = max(sent_seq, ?) WHERE epoch = ?", [(row[2], row[0]) for row in rows]
            )
        return [_gap(*row) for row in rows]

    @_finding_room
    def settle(self, ack: Ack, *, now_ms: int) -> Verdict:
        """Take an acknowledgement, if it may be taken; one that may not changes nothing."""
        with writing(self._connection) as connection:
            verdict = self._judge(connection, ack)
            if verdict is Verdict.NEW_STORE:
                again.begin(connection, age_ms=self._age_ms(connection, now_ms))
            if verdict in {Verdict.TAKEN, Verdict.NEW_STORE}:
                set_meta(connection, "store", ack.store)
                set_meta(connection, "position", str(ack.position))
                if ack.epoch is not None:
                    settle_epoch(connection, ack, age_ms=self._age_ms(connection, now_ms))
                    settled.note(connection, ack)
        return verdict

    @_finding_room
    def quarantine(self, epoch: str, seq: int, *, now_ms: int) -> None:
        """Set aside an item that the cloud cannot even read, and declare its seq."""
        with writing(self._connection) as connection:
            row = connection.execute(
                "SELECT type, at_ms, instead_of FROM item WHERE epoch = ? AND seq = ? AND state <= ?",
                (epoch, seq, State.CLAIMED),
            ).fetchone()
            if row is None:
                return
            kind, at_ms, instead_of = row
            # What it stood for is declared by itself from now on, and not remembered with it.
            connection.execute(
                "UPDATE item SET state = ?, settled_ms = ?, instead_of = NULL WHERE epoch = ? AND seq = ?",
                (State.QUARANTINED, self._age_ms(connection, now_ms), epoch, seq),
            )
            declare(connection, epoch, reason=GapReason.QUARANTINED, lost=[(seq, kind, at_ms)])
            declare_spans(connection, read_spans(instead_of), GapReason.MERGED)

    @_finding_room
    def set_aside(self, gap: Gap) -> None:
        """Declare a gap no more that the cloud cannot even read, until it has a new store."""
        with writing(self._connection) as connection:
            connection.execute(
                "UPDATE gap SET settled = 1 WHERE epoch = ? AND from_seq = ? AND to_seq = ? AND reason = ?",
                (gap.epoch, gap.from_seq, gap.to_seq, str(gap.reason)),
            )

    def standing(self) -> Standing:
        """How much waits for the cloud."""
        with reading(self._connection) as connection:
            # One query a state, so that each reads its own small index and never all that is kept.
            found = [
                connection.execute("SELECT count(*), min(id) FROM item WHERE state = ?", (state,)).fetchone()
                for state in (State.WAITING, State.CLAIMED)
            ]
            first = min((identity for _, identity in found if identity is not None), default=None)
            oldest = connection.execute("SELECT at_ms FROM item WHERE id = ?", (first,)).fetchone()
            waiting = sum(count for count, _ in found) + again.left(connection)
        return Standing(waiting=waiting, oldest_at_ms=None if oldest is None else oldest[0])

    def live(self, *, now_ms: int) -> list[LiveRow]:
        """What vision last said of itself in this boot."""
        with reading(self._connection) as connection:
            rows = connection.execute(
                "SELECT subject, mono_ms, body FROM live WHERE boot = ? ORDER BY subject", (self._boot,)
            ).fetchall()
        return [LiveRow(subject=row[0], age_seconds=max(0, now_ms - row[1]) / 1000, body=row[2]) for row in rows]

    def certificates(self) -> list[str]:
        """The newest certificate of each line, by the lines' names; see `edge.exchange.certificates`."""
        with reading(self._connection) as connection:
            return certificates.kept(connection)

    def used_bytes(self) -> int:
        """Bytes that the exchange takes: pages in use, and the log beside the file."""
        log = self._path.with_name(f"{self._path.name}-wal")
        with reading(self._connection) as connection:
            return room.used_bytes(connection) + (log.stat().st_size if log.exists() else 0)

    def remembered(self, key: str) -> str | None:
        """What uplink noted under this key."""
        with reading(self._connection) as connection:
            return get_meta(connection, f"uplink.{key}")

    @_finding_room
    def remember(self, key: str, value: str) -> None:
        """Note something across restarts."""
        with writing(self._connection) as connection:
            set_meta(connection, f"uplink.{key}", value)

    @_finding_room
    def receive(self, *, kind: str, name: str, body: str) -> None:
        """Lay a verified message of the cloud, or a certificate, where vision will find it."""
        with writing(self._connection) as connection:
            connection.execute(
                "INSERT INTO inbox (kind, name, body) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET"
                " body = excluded.body, taken = 0 WHERE body <> excluded.body",
                (kind, name, body),
            )

    def _spend_ballast(self) -> bool:
        is_spent = room.spend(self._connection, self._ballast)
        self._keep_size()
        return is_spent

    def _keep_size(self) -> None:
        """While there is neither room nor ballast, let nothing into the log that the file could not take."""
        is_missed = self._ballast.is_missed
        if is_missed or self._is_fixed:
            with reading(self._connection) as connection:
                room.keep_size(connection, fixed=is_missed)
        self._is_fixed = is_missed

    def _go_on(self) -> None:
        with reading(self._connection) as connection:
            is_under_way = again.is_under_way(connection)
        if is_under_way:
            with writing(self._connection) as connection:
                again.go_on(connection)

    def _position(self) -> int:
        return int(get_meta(self._connection, "position") or 0)

    def _age_ms(self, connection: sqlite3.Connection, now_ms: int) -> int:
        return max(boots.age_ms(connection, boot=self._boot, now_ms=now_ms), again.stamp_ms(connection))

    def _judge(self, connection: sqlite3.Connection, ack: Ack) -> Verdict:
        known = get_meta(connection, "store")
        if known is not None and ack.store < known:
            return Verdict.OLD_STORE
        renewed = known is not None and ack.store > known
        if not renewed and ack.position <= self._position():
            return Verdict.OLD_POSITION
        if ack.epoch is not None:
            row = connection.execute("SELECT sent_seq FROM epoch WHERE epoch = ?", (ack.epoch,)).fetchone()
            if row is None:
                return Verdict.UNKNOWN_EPOCH
            furthest = max([ack.through or 0, *(span.last for span in ack.received), *ack.rejected])
            head = get_meta(connection, "head") or ""
            if ack.epoch in {head, early_epoch(head)} and furthest > row[0]:
                return Verdict.BEYOND_SENT
        return Verdict.NEW_STORE if renewed else Verdict.TAKEN


def _waiting(connection: sqlite3.Connection, room: int) -> list[tuple[int, str, int, str, str, int, str | None]]:
    """Up to `room` waiting rows: mostly the oldest, the rest of the newest, each once, oldest first.

    A configuration that waits goes with the first item made under it.
    """
    columns = "SELECT id, epoch, seq, type, body, attempts, instead_of FROM item WHERE state = ?"
    newest = connection.execute(f"{columns} ORDER BY id DESC LIMIT ?", (State.WAITING, room // _LIVE_SHARE)).fetchall()
    oldest = connection.execute(f"{columns} ORDER BY id LIMIT ?", (State.WAITING, room - len(newest))).fetchall()
    configurations = connection.execute(
        f"{columns} AND type = 'configuration' ORDER BY id DESC LIMIT ?",
        (State.WAITING, min(room, _MOST_CONFIGURATIONS)),
    ).fetchall()
    rows = {row[0]: row for row in (*configurations, *oldest, *newest)}
    kept = list(rows)[:room]
    return [rows[identity] for identity in sorted(kept)]


def _claimed(epoch: str, seq: int, kind: str, body: str, attempts: int, instead_of: str | None) -> Claimed:
    # What has no counts was a sum itself, of which a copy of the disk has the parts alone.
    merged = tuple(
        _gap(
            of, span.first, span.last, GapReason.MERGED, span.start_ms, span.end_ms, json.dumps(span.counts),
            into=seq if span.counts else None,
        )
        for of, span in read_spans(instead_of)
    )  # fmt: skip
    return Claimed(epoch=epoch, seq=seq, type=kind, body=body, attempts=attempts + 1, instead_of=merged)


def _gap(
    epoch: str,
    from_seq: int,
    to_seq: int,
    reason: str,
    start_ms: int | None,
    end_ms: int | None,
    lost: str,
    into: int | None = None,
) -> Gap:
    return Gap(
        epoch=epoch,
        from_seq=from_seq,
        to_seq=to_seq,
        reason=GapReason(reason),
        start=None if start_ms is None else to_utc(start_ms),
        end=None if end_ms is None else to_utc(end_ms),
        lost_by_type=tuple(TypeCount(type=kind, count=count) for kind, count in json.loads(lost).items()),
        into=into,
    )
