"""What the exchange knows of the UTC of each boot, and where that places a monotonic moment.

A boot is placed by its own fix. One that never had a fix is placed by the hardware clock only if that ran through: the
box has one, at the start of the next boot that knew it agreed with that boot's true UTC, and what it claimed lies
between the boots around it. Else the moment lies somewhere between the last placed moment before it and
the start of the next boot that knew.
"""

import sqlite3
from dataclasses import dataclass

from edge.anonymity import Moment
from edge.clock import SOONEST_MS, Fix, better, to_utc
from protocol.envelope import ClockSource

__all__ = ["Boot", "age_ms", "current_fix", "load", "offer", "place", "register", "touch"]

_HARDWARE_AGREES_MS = 120_000
"""A hardware clock drifts seconds a week; one that lost its battery is years off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Boot:
    """One boot. hardware_offset_ms is what the hardware clock claimed when the exchange was first opened in it."""

    boot: str
    ordinal: int
    hardware_offset_ms: int | None
    last_ms: int
    fix: Fix | None


def register(connection: sqlite3.Connection, *, boot: str, hardware_offset_ms: int | None, now_ms: int) -> None:
    """Note that this boot uses the exchange."""
    connection.execute(
        "INSERT INTO boot (boot, ordinal, hardware_offset_ms, last_ms)"
        " SELECT ?, coalesce(max(ordinal), 0) + 1, ?, ? FROM boot WHERE true ON CONFLICT (boot) DO NOTHING",
        (boot, hardware_offset_ms, now_ms),
    )


def touch(connection: sqlite3.Connection, *, boot: str, now_ms: int) -> None:
    """Note how far this boot has come."""
    connection.execute("UPDATE boot SET last_ms = max(last_ms, ?) WHERE boot = ?", (now_ms, boot))


def age_ms(connection: sqlite3.Connection, *, boot: str, now_ms: int) -> int:
    """How long the exchange has been in use, over all boots: what ageing is measured by, power cuts left out."""
    row = connection.execute(
        "SELECT coalesce(sum(last_ms), 0) FROM boot WHERE boot <> ?1"
        " AND ordinal < coalesce((SELECT ordinal FROM boot WHERE boot = ?1), ordinal + 1)",
        (boot,),
    ).fetchone()
    return int(row[0]) + now_ms


def offer(connection: sqlite3.Connection, *, boot: str, fix: Fix) -> bool:
    """Take a fix if it is better than the known one; says whether it was taken, as only a known boot's can be."""
    if not better(current_fix(connection, boot), fix):
        return False
    taken = connection.execute(
        "UPDATE boot SET offset_ms = ?, source = ?, uncertainty_ms = ? WHERE boot = ?",
        (fix.offset_ms, str(fix.source), fix.uncertainty_ms, boot),
    )
    return taken.rowcount > 0


def current_fix(connection: sqlite3.Connection, boot: str) -> Fix | None:
    """The fix of one boot."""
    row = connection.execute("SELECT offset_ms, source, uncertainty_ms FROM boot WHERE boot = ?", (boot,)).fetchone()
    return None if row is None else _fix(*row)


def load(connection: sqlite3.Connection) -> dict[str, Boot]:
    """All boots, oldest first."""
    rows = connection.execute(
        "SELECT boot, ordinal, hardware_offset_ms, last_ms, offset_ms, source, uncertainty_ms"
        " FROM boot ORDER BY ordinal"
    )
    return {
        row[0]: Boot(
            boot=row[0],
            ordinal=row[1],
            hardware_offset_ms=row[2],
            last_ms=row[3],
            fix=_fix(*row[4:]),
        )
        for row in rows
    }


def place(boots: dict[str, Boot], boot: str, mono_ms: int) -> Moment | None:
    """Where a moment of a boot lies in UTC; None while that may still become known."""
    this = boots[boot]
    if this.fix is not None:
        return Moment(at=to_utc(mono_ms + this.fix.offset_ms))
    later = [other for other in boots.values() if other.ordinal > this.ordinal and other.fix]
    if not later:
        return None
    following = min(later, key=lambda other: other.ordinal)
    latest = following.fix.offset_ms if following.fix else SOONEST_MS
    earlier = [other for other in boots.values() if other.ordinal < this.ordinal]
    earliest = min(latest, max((b.last_ms + b.fix.offset_ms for b in earlier if b.fix), default=SOONEST_MS))
    if this.hardware_offset_ms is not None and _kept_time(following):
        claimed = mono_ms + this.hardware_offset_ms
        if earliest - _HARDWARE_AGREES_MS <= claimed <= latest + _HARDWARE_AGREES_MS:
            return Moment(at=to_utc(claimed))
    return Moment(earliest=to_utc(earliest), latest=to_utc(latest))


def _kept_time(boot: Boot) -> bool:
    """Whether a boot's hardware clock agreed at its start with the UTC it learnt."""
    claimed_ms, fix = boot.hardware_offset_ms, boot.fix
    return claimed_ms is not None and fix is not None and abs(claimed_ms - fix.offset_ms) <= _HARDWARE_AGREES_MS


def _fix(offset_ms: int | None, source: str | None, uncertainty_ms: int | None) -> Fix | None:
    if offset_ms is None or source is None:
        return None
    return Fix(offset_ms=offset_ms, source=ClockSource(source), uncertainty_ms=uncertainty_ms)
