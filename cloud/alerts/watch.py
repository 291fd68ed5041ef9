"""The loop that watches: facts → rules → book → webhook, every few seconds, in one process at a time.

Every process of the cloud runs it; the one that holds the lease works, the others look whether it is still there. While
the database fails nothing is lost but time.
"""

import logging
import threading
from collections.abc import Callable
from datetime import datetime

from sqlalchemy import Engine
from sqlmodel import Session

from cloud.alerts.book import apply_steps, open_alerts
from cloud.alerts.delivery import deliver_due
from cloud.alerts.facts import read_facts
from cloud.alerts.rules import evaluate, findings_of
from cloud.alerts.webhook import Receiver
from cloud.errors import StoreError
from cloud.store.engine import reading, writing
from cloud.store.lease import Leaseholder
from cloud.store.moments import to_ms

__all__ = ["AlertWatch"]

ROUND_SECONDS = 10.0
TASK = "alerts"
_LOG = logging.getLogger(__name__)


class AlertWatch:
    """Evaluates the rules over one database; `receiver` is None where nobody is to be told."""

    def __init__(
        self, engine: Engine, *, clock: Callable[[], datetime], receiver: Receiver | None, silent_minutes: float
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._receiver = receiver
        self._silent_ms = round(silent_minutes * 60_000)
        self._lease = Leaseholder(engine, task=TASK, clock=clock)
        self._stop = threading.Event()

    def run(self, stop: threading.Event) -> None:
        """Work until told to stop, then leave the lease to others."""
        self._stop = stop
        while not stop.is_set():
            try:
                self.work()
            except StoreError as error:
                _LOG.error("%s; alerts wait", error, extra={"action": "alerts"})
            stop.wait(ROUND_SECONDS)
        self._lease.leave()

    def work(self) -> bool:
        """One round; whether it was ours to do."""
        since_ms = self._lease.hold()
        if since_ms is None:
            return False
        with reading(self._engine) as connection, Session(connection) as session:
            facts = read_facts(session, now_ms=self._now_ms(), watching_since_ms=since_ms)
        now_ms = self._now_ms()
        findings = list(findings_of(facts, now_ms=now_ms, silent_ms=self._silent_ms))
        with writing(self._engine) as connection, Session(connection) as session:
            # Under the lease once more, so that no two processes ever write the same alert.
            if self._lease.hold_within(connection) is None:
                return False
            steps = evaluate(findings, open_alerts(session), now_ms=now_ms)
            apply_steps(session, steps, now_ms=now_ms, is_told=self._receiver is not None)
        if self._receiver is not None:
            deliver_due(self._engine, self._receiver, clock=self._clock, may_go_on=self._may_go_on)
        return True

    def _may_go_on(self) -> bool:
        return not self._stop.is_set() and self._lease.hold() is not None

    def _now_ms(self) -> int:
        return to_ms(self._clock())
