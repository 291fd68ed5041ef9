"""The audit log: who did or tried what, when, from where, and how it ended. Rows are only ever added."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from pydantic import Field
from sqlmodel import Session, col, select
from ulid import ULID

from cloud.store.moments import from_ms
from cloud.store.tables import AuditEntry
from protocol.wire import format_utc

__all__ = ["AuditFigures", "Outcome", "list_audit", "record"]

MOST_CHARACTERS = 200


class Outcome(StrEnum):
    """How it ended."""

    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFigures:
    """A line of the log."""

    id: str
    at: str
    who: Annotated[str, Field(description="`user NAME`, `key ID`, `owner` (the admin key, the command line), `nobody`")]
    what: Annotated[str, Field(description="method and path, or the command")]
    subject: str
    venue: str | None
    address: str
    outcome: Outcome


def record(
    session: Session,
    *,
    who: str,
    what: str,
    subject: str,
    venue: str | None,
    address: str,
    outcome: Outcome,
    now_ms: int,
) -> None:
    """Add a line."""
    session.add(
        AuditEntry(
            id=str(ULID.from_datetime(from_ms(now_ms))),
            at_ms=now_ms,
            who=_clean(who),
            what=_clean(what),
            subject=_clean(subject),
            venue=None if venue is None else _clean(venue),
            address=_clean(address),
            outcome=outcome,
        )
    )
    session.flush()


def list_audit(
    session: Session, *, who: str | None, venue: str | None, before: str | None, limit: int
) -> list[AuditFigures]:
    """Lines, the newest first: of everybody or one, of all venues or one, behind one of them."""
    query = select(AuditEntry).order_by(col(AuditEntry.id).desc()).limit(limit)
    if who is not None:
        query = query.where(col(AuditEntry.who) == who)
    if venue is not None:
        query = query.where(col(AuditEntry.venue) == venue)
    if before is not None:
        query = query.where(col(AuditEntry.id) < before)
    return [
        AuditFigures(
            id=row.id,
            at=format_utc(from_ms(row.at_ms)),
            who=row.who,
            what=row.what,
            subject=row.subject,
            venue=row.venue,
            address=row.address,
            outcome=Outcome(row.outcome),
        )
        for row in session.exec(query)
    ]


def _clean(text: str) -> str:
    """What strangers may have typed, fit for a line: short and printable."""
    return "".join(character if character.isprintable() else "�" for character in text[:MOST_CHARACTERS])
