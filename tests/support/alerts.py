"""Alerts as the rules would raise them."""

from sqlalchemy import Engine
from sqlmodel import Session

from cloud.alerts.book import apply_steps
from cloud.alerts.rules import Finding, Level, Raise, Rule, Subject
from cloud.store.engine import writing
from cloud.store.moments import to_ms
from tests.support.api import Api
from tests.support.envelopes import NOW, VENUE

__all__ = ["raise_alert"]


def raise_alert(engine: Engine, *, venue: str = VENUE, box: str = "", minutes: int = 0) -> str:
    """The id of a new alert."""
    of = Subject(rule=Rule.BOX_OFFLINE if box else Rule.CAPACITY_EXCEEDED, venue=venue, subject=box)
    finding = Finding(of=of, level=Level.ALARM, value=86, threshold=60)
    now_ms = to_ms(NOW) + 60_000 * minutes
    with writing(engine) as connection, Session(connection) as session:
        apply_steps(session, [Raise(finding=finding)], now_ms=now_ms, is_told=False)
    return str(Api(engine).read("/alerts", limit=1)["alerts"][0]["alert"])
