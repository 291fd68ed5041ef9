"""Sends what waits for the webhook, for as long as it takes.

A delivery is a row from before its first attempt until after its last, so it outlives any process. One that was sent,
but could not be noted as sent, goes again under the same id: at least once, and a receiver can tell.
"""

import logging
import random
from collections.abc import Callable
from datetime import datetime

from sqlalchemy import Engine
from sqlmodel import Session, col, select

from cloud.alerts.webhook import Receiver, WebhookFailed, WebhookMessage
from cloud.store.engine import reading, writing
from cloud.store.moments import to_ms
from cloud.store.tables import WebhookDelivery

__all__ = ["GIVE_UP_MS", "deliver_due"]

FIRST_PAUSE_MS, LONGEST_PAUSE_MS = 5_000, 3_600_000
GIVE_UP_MS = 3 * 86_400_000
"""What could not be delivered within three days tells nobody anything any more."""
AT_ONCE = 20

_LOG = logging.getLogger(__name__)


def deliver_due(
    engine: Engine, receiver: Receiver, *, clock: Callable[[], datetime], may_go_on: Callable[[], bool]
) -> int:
    """Send what is due, oldest first, a bounded number of messages; how many were taken.

    `may_go_on` is asked before each. After a failure the rest waits for the next round, as it goes to the same place.
    """
    taken = 0
    for delivery in _due(engine, now_ms=to_ms(clock())):
        if not may_go_on():
            break
        trouble = _send(receiver, delivery, now=clock())
        _note(engine, delivery.id, trouble=trouble, now_ms=to_ms(clock()))
        if trouble is not None:
            break
        taken += 1
    return taken


def _due(engine: Engine, *, now_ms: int) -> list[WebhookDelivery]:
    query = (
        select(WebhookDelivery)
        .where(
            col(WebhookDelivery.delivered_ms).is_(None),
            col(WebhookDelivery.given_up_ms).is_(None),
            col(WebhookDelivery.due_ms) <= now_ms,
        )
        .order_by(col(WebhookDelivery.due_ms), col(WebhookDelivery.id))
        .limit(AT_ONCE)
    )
    with reading(engine) as connection, Session(connection, expire_on_commit=False) as session:
        rows = list(session.exec(query))
        session.expunge_all()
    return rows


def _send(receiver: Receiver, delivery: WebhookDelivery, *, now: datetime) -> str | None:
    """Why it was not taken; None when it was."""
    try:
        receiver.send(WebhookMessage(id=delivery.id, body=delivery.body.encode(), at=now))
    except WebhookFailed as failure:
        _LOG.warning(
            "The webhook did not take %s of alert %s: %s", delivery.type, delivery.alert, failure,
            extra={"action": "webhook", "delivery": delivery.id},
        )  # fmt: skip
        return str(failure)
    return None


def _note(engine: Engine, delivery: str, *, trouble: str | None, now_ms: int) -> None:
    with writing(engine) as connection, Session(connection) as session:
        row = session.get_one(WebhookDelivery, delivery, with_for_update=True)
        row.attempts += 1
        row.trouble = trouble
        if trouble is None:
            row.delivered_ms = now_ms
        elif now_ms - row.created_ms >= GIVE_UP_MS:
            row.given_up_ms = now_ms
        else:
            row.due_ms = now_ms + _pause_ms(row.attempts)
        session.add(row)
        session.flush()


def _pause_ms(attempts: int) -> int:
    """Full jitter, so that many clouds do not knock at a receiver together when it is back."""
    return random.randint(0, min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** min(attempts, 20)))
