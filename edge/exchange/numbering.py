"""Giving items their names: seqs from the epoch's counter row, in the appending transaction."""

import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Self

from pydantic import JsonValue

from edge.anonymity import Moment, Origin, seal
from protocol.envelope import GapReason

__all__ = [
    "Lost",
    "Name",
    "NamedSpan",
    "Span",
    "Unnumbered",
    "append",
    "declare",
    "declare_names",
    "declare_spans",
    "named_spans",
    "read_spans",
    "spans",
    "take_seqs",
]

Lost = tuple[int, str, int | None]
"""A seq that will not come: its number, its type, and its UTC in ms where it had one."""

Name = tuple[str, int]
"""What an item is called for ever: its epoch and its seq."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unnumbered:
    """An item complete but for its seq.

    `name` is one that it was given early; `instead_of` are those that it is the sum of, which go with it for ever, so
    that the cloud never has the one without knowing that the others will not come.
    """

    body: Mapping[str, JsonValue]
    origin: Origin
    moment: Moment
    name: Name | None = None
    instead_of: "Sequence[NamedSpan]" = ()


@dataclass(slots=True, kw_only=True)
class Span:
    """Consecutive seqs: from when to when, and how many of each type."""

    first: int
    last: int
    start_ms: int | None
    end_ms: int | None
    counts: Counter[str]

    @classmethod
    def of(cls, first: int, last: int, start_ms: int | None, end_ms: int | None, counts: str) -> Self:
        """From its columns."""
        return cls(first=first, last=last, start_ms=start_ms, end_ms=end_ms, counts=Counter(json.loads(counts)))

    def columns(self) -> tuple[int, int, int | None, int | None, str]:
        """As it is stored."""
        return self.first, self.last, self.start_ms, self.end_ms, json.dumps(self.counts, sort_keys=True)

    def borders_on(self, other: Self) -> bool:
        """Whether one begins where the other ends."""
        return other.last + 1 == self.first or self.last + 1 == other.first

    def touches(self, other: Self) -> bool:
        """Whether they share a seq, or one begins where the other ends."""
        return other.first <= self.last + 1 and self.first <= other.last + 1

    def take(self, other: Self) -> None:
        """Grow by a neighbour."""
        self.first, self.last = min(self.first, other.first), max(self.last, other.last)
        self.start_ms = min((ms for ms in (self.start_ms, other.start_ms) if ms is not None), default=None)
        self.end_ms = max((ms for ms in (self.end_ms, other.end_ms) if ms is not None), default=None)
        self.counts.update(other.counts)


NamedSpan = tuple[str, Span]
"""Consecutive seqs of an epoch."""


def named_spans(lost: Iterable[tuple[str, int, str, int | None]]) -> list[NamedSpan]:
    """Join what is consecutive of names of any epochs: (epoch, seq, type, UTC in ms)."""
    return [(epoch, span) for epoch, rows in _by_epoch(lost).items() for span in spans(rows)]


def _by_epoch(lost: Iterable[tuple[str, int, str, int | None]]) -> dict[str, list[Lost]]:
    found: dict[str, list[Lost]] = defaultdict(list)
    for epoch, seq, kind, at_ms in lost:
        found[epoch].append((seq, kind, at_ms))
    return found


def read_spans(stored: str | None) -> list[NamedSpan]:
    """What an item is the sum of, from its column."""
    return [(epoch, Span.of(*columns)) for epoch, *columns in json.loads(stored or "[]")]


def spans(lost: Iterable[Lost]) -> list[Span]:
    """Join what is consecutive."""
    found: list[Span] = []
    for seq, kind, at_ms in sorted(lost, key=lambda one: one[0]):
        span = Span(first=seq, last=seq, start_ms=at_ms, end_ms=at_ms, counts=Counter([kind]))
        if found and found[-1].borders_on(span):
            found[-1].take(span)
        else:
            found.append(span)
    return found


def take_seqs(connection: sqlite3.Connection, epoch: str, count: int) -> int:
    """Reserve `count` seqs; the first of them."""
    row = connection.execute(
        "UPDATE epoch SET next_seq = next_seq + ? WHERE epoch = ? RETURNING next_seq", (count, epoch)
    ).fetchone()
    return int(row[0]) - count


def append(connection: sqlite3.Connection, epoch: str, items: Sequence[Unnumbered]) -> None:
    """Store items in order, and number those that have no name yet."""
    nameless = sum(item.name is None for item in items)
    seqs = count(take_seqs(connection, epoch, nameless)) if nameless else count()
    connection.executemany(
        "INSERT INTO item (epoch, seq, type, venue, config, mode, at_ms, body, instead_of)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (_row(*(item.name or (epoch, next(seqs))), item) for item in items),
    )


def declare(
    connection: sqlite3.Connection,
    epoch: str,
    *,
    reason: GapReason,
    lost: Iterable[Lost],
) -> None:
    """Declare seqs as never coming; consecutive ones become one gap, also with those declared but never sent.

    What merged beside what was dropped is declared with it, or shedding for weeks would leave gaps without end: the
    range then covers more seqs than were lost, and the counts by type say how many were.
    """
    for span in spans(lost):
        _lay_gap(connection, epoch, reason, span)


def declare_names(
    connection: sqlite3.Connection, lost: Iterable[tuple[str, int, str, int | None]], reason: GapReason
) -> None:
    """Declare names of any epochs as never coming: (epoch, seq, type, UTC in ms)."""
    for epoch, rows in _by_epoch(lost).items():
        declare(connection, epoch, reason=reason, lost=rows)


def declare_spans(connection: sqlite3.Connection, lost: Iterable[NamedSpan], reason: GapReason) -> None:
    """Declare spans as never coming."""
    for epoch, span in lost:
        _lay_gap(connection, epoch, reason, span)


def _lay_gap(connection: sqlite3.Connection, epoch: str, reason: GapReason, span: Span) -> None:
    for *columns, other_reason in connection.execute(
        "SELECT from_seq, to_seq, start_ms, end_ms, lost, reason FROM gap WHERE epoch = ?1 AND sent = 0"
        " AND (reason = ?2 OR (reason IN ('dropped', 'merged') AND ?2 IN ('dropped', 'merged')))"
        " AND from_seq IN ((SELECT max(from_seq) FROM gap WHERE epoch = ?1 AND from_seq < ?3), ?4)",
        (epoch, str(reason), span.first, span.last + 1),
    ).fetchall():
        other = Span.of(*columns)
        if not span.borders_on(other):
            continue
        if other_reason != reason:
            (span if reason is GapReason.MERGED else other).counts.clear()
            reason = GapReason.DROPPED
        span.take(other)
        connection.execute(
            "DELETE FROM gap WHERE epoch = ? AND from_seq = ? AND to_seq = ? AND reason = ?",
            (epoch, *columns[:2], other_reason),
        )
    connection.execute(
        "INSERT INTO gap (epoch, reason, from_seq, to_seq, start_ms, end_ms, lost) VALUES (?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT DO NOTHING",
        (epoch, str(reason), *span.columns()),
    )


def _row(epoch: str, seq: int, item: Unnumbered) -> tuple[str, int, str, str, str, str, int | None, str, str | None]:
    sealed = seal(item.body, seq=seq, origin=item.origin, moment=item.moment)
    at_ms = None if sealed.at is None else round(sealed.at.timestamp() * 1000)
    origin = item.origin
    of = json.dumps([(other, *span.columns()) for other, span in item.instead_of]) if item.instead_of else None
    return (epoch, seq, sealed.type, origin.venue, origin.config, str(origin.mode), at_ms, sealed.to_json(), of)
