"""The book of alerts: rows that rules raise, keep and end, and that people acknowledge and resolve.

Whatever a webhook is to be told is written in the same transaction as the change itself, so that neither can be lost
without the other. Functions take a session and leave the commit to the caller.
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Annotated

from pydantic import Field
from sqlmodel import Session, col, select
from ulid import ULID

from cloud.alerts.rules import End, Finding, Keep, OpenAlert, Raise, Rule, Step, Subject
from cloud.errors import Conflict, NotFound
from cloud.store.moments import from_ms
from cloud.store.tables import Alert, WebhookDelivery
from protocol.wire import format_utc

__all__ = [
    "AlertFigures",
    "AlertState",
    "acknowledge_alert",
    "alert_figures",
    "apply_steps",
    "list_alerts",
    "open_alerts",
    "resolve_alert",
]


class AlertState(StrEnum):
    """How far people have got with an alert."""

    ACTIVE = "active"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class Telling(StrEnum):
    """What a webhook is told of."""

    RAISED = "alert.raised"
    ACKNOWLEDGED = "alert.acknowledged"
    RESOLVED = "alert.resolved"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertFigures:
    """An alert as people see it."""

    alert: str
    rule: Rule
    venue: str
    box: Annotated[str | None, Field(description="null where the whole venue is meant")]
    state: AlertState
    says: Annotated[str, Field(description="what is the matter, in a sentence")]
    value: Annotated[int | None, Field(description="people in the venue, or seconds since the box was last heard")]
    threshold: Annotated[int, Field(description="the venue's capacity, or the seconds of silence that are borne")]
    raised: str
    last_seen: Annotated[str, Field(description="when the condition last held")]
    acknowledged: str | None
    acknowledged_by: str | None
    resolved: str | None
    resolved_by: Annotated[str | None, Field(description="null where it resolved by itself")]


def open_alerts(session: Session) -> list[OpenAlert]:
    """The alerts that have not ended, under lock."""
    query = select(Alert).where(col(Alert.ended_ms).is_(None)).order_by(col(Alert.id)).with_for_update()
    return [
        OpenAlert(
            id=row.id,
            of=Subject(rule=Rule(row.rule), venue=row.venue, subject=row.subject),
            last_seen_ms=row.last_seen_ms,
        )
        for row in session.exec(query)
    ]


def apply_steps(session: Session, steps: Sequence[Step], *, now_ms: int, is_told: bool) -> None:
    """Do what the rules say; `is_told` writes down what a webhook is to hear of it."""
    for step in steps:
        match step:
            case Raise(finding=finding):
                row = _new(finding, now_ms=now_ms)
                session.add(row)
                session.flush()
                _tell(session, row, Telling.RAISED, now_ms=now_ms, is_told=is_told)
            case Keep(alert=alert, finding=finding):
                row = _find(session, alert)
                row.last_seen_ms, row.value, row.threshold = now_ms, finding.value, finding.threshold
                session.add(row)
            case End(alert=alert):
                row = _find(session, alert)
                row.ended_ms = now_ms
                if row.resolved_ms is None:
                    row.resolved_ms = now_ms
                    _tell(session, row, Telling.RESOLVED, now_ms=now_ms, is_told=is_told)
                session.add(row)
    session.flush()


def acknowledge_alert(session: Session, *, alert: str, by: str, now_ms: int, is_told: bool) -> AlertFigures:
    """Somebody looks after it. Who did so first stays; raises Conflict when it is resolved."""
    row = _find(session, alert)
    if row.resolved_ms is not None:
        raise Conflict(f"alert {alert} is resolved already")
    if row.acknowledged_ms is None:
        row.acknowledged_ms, row.acknowledged_by = now_ms, by
        session.add(row)
        _tell(session, row, Telling.ACKNOWLEDGED, now_ms=now_ms, is_told=is_told)
    return alert_figures(row)


def resolve_alert(session: Session, *, alert: str, by: str, now_ms: int, is_told: bool) -> AlertFigures:
    """Somebody is done with it. It is not raised again before its condition has gone; a second time changes nothing."""
    row = _find(session, alert)
    if row.resolved_ms is None:
        row.resolved_ms, row.resolved_by = now_ms, by
        session.add(row)
        _tell(session, row, Telling.RESOLVED, now_ms=now_ms, is_told=is_told)
    return alert_figures(row)


def list_alerts(
    session: Session,
    *,
    granted: Collection[str] | None,
    venue: str | None,
    state: AlertState | None,
    before: str | None,
    limit: int,
) -> list[AlertFigures]:
    """Alerts, the newest first: of the venues granted (None: all) or of one, in any state or in one, behind one."""
    query = select(Alert).order_by(col(Alert.id).desc()).limit(limit)
    if granted is not None:
        query = query.where(col(Alert.venue).in_(granted))
    if venue is not None:
        query = query.where(col(Alert.venue) == venue)
    if before is not None:
        query = query.where(col(Alert.id) < before)
    if state is not None:
        is_resolved, is_acknowledged = col(Alert.resolved_ms).is_not(None), col(Alert.acknowledged_ms).is_not(None)
        query = query.where(
            {
                AlertState.RESOLVED: is_resolved,
                AlertState.ACKNOWLEDGED: ~is_resolved & is_acknowledged,
                AlertState.ACTIVE: ~is_resolved & ~is_acknowledged,
            }[state]
        )
    return [alert_figures(row) for row in session.exec(query)]


def alert_figures(row: Alert) -> AlertFigures:
    """An alert as people see it."""
    return AlertFigures(
        alert=row.id,
        rule=Rule(row.rule),
        venue=row.venue,
        box=row.subject or None,
        state=_state(row),
        says=_sentence(row),
        value=row.value,
        threshold=row.threshold,
        raised=format_utc(from_ms(row.raised_ms)),
        last_seen=format_utc(from_ms(row.last_seen_ms)),
        acknowledged=_moment(row.acknowledged_ms),
        acknowledged_by=row.acknowledged_by,
        resolved=_moment(row.resolved_ms),
        resolved_by=row.resolved_by,
    )


def _new(finding: Finding, *, now_ms: int) -> Alert:
    return Alert(
        id=str(ULID.from_datetime(from_ms(now_ms))),
        rule=str(finding.of.rule),
        venue=finding.of.venue,
        subject=finding.of.subject,
        raised_ms=now_ms,
        last_seen_ms=now_ms,
        value=finding.value,
        threshold=finding.threshold,
    )


def _find(session: Session, alert: str) -> Alert:
    row = session.get(Alert, alert, with_for_update=True)
    if row is None:
        raise NotFound(f"there is no alert {alert}")
    return row


def _tell(session: Session, row: Alert, what: Telling, *, now_ms: int, is_told: bool) -> None:
    if not is_told:
        return
    body = {"type": str(what), "timestamp": format_utc(from_ms(now_ms)), "data": asdict(alert_figures(row))}
    session.add(
        WebhookDelivery(
            id=str(ULID.from_datetime(from_ms(now_ms))),
            alert=row.id,
            type=str(what),
            body=json.dumps(body, separators=(",", ":")),
            created_ms=now_ms,
            due_ms=now_ms,
        )
    )


def _state(row: Alert) -> AlertState:
    if row.resolved_ms is not None:
        return AlertState.RESOLVED
    return AlertState.ACTIVE if row.acknowledged_ms is None else AlertState.ACKNOWLEDGED


def _sentence(row: Alert) -> str:
    if Rule(row.rule) is Rule.CAPACITY_EXCEEDED:
        return f"{row.value} people are in {row.venue}, where {row.threshold} may be"
    minutes = (row.value or 0) // 60
    return (
        f"Box {row.subject} in {row.venue} has not been heard for {minutes} {'minute' if minutes == 1 else 'minutes'}"
    )


def _moment(moment_ms: int | None) -> str | None:
    return None if moment_ms is None else format_utc(from_ms(moment_ms))
