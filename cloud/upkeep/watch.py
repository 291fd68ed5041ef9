"""The loop that does what is due, in one process at a time; a job is broken off when it is told to stop."""

import logging
import threading
from collections.abc import Callable, Sequence
from datetime import datetime

from sqlalchemy import Engine

from cloud.errors import CloudError
from cloud.store.lease import Leaseholder
from cloud.upkeep.jobs import Job, is_due, last_runs, run_job

__all__ = ["UpkeepWatch"]

ROUND_SECONDS = 20.0
"""Shorter than a lease, which must not lapse between two rounds."""
TASK = "upkeep"
_LOG = logging.getLogger(__name__)


class UpkeepWatch:
    """Looks after one database, each day from `hour` o'clock UTC on."""

    def __init__(self, engine: Engine, jobs: Sequence[Job], *, clock: Callable[[], datetime], hour: int) -> None:
        self._engine = engine
        self._jobs = jobs
        self._clock = clock
        self._hour = hour
        self._lease = Leaseholder(engine, task=TASK, clock=clock)
        self._stop = threading.Event()

    def run(self, stop: threading.Event) -> None:
        """Work until told to stop, then leave the lease to others."""
        self._stop = stop
        while not stop.is_set():
            try:
                self.work()
            except CloudError as error:
                _LOG.error("%s; upkeep waits", error, extra={"action": "upkeep"})
            stop.wait(ROUND_SECONDS)
        self._lease.leave()

    def work(self) -> None:
        """Do what is due, if it is ours to do."""
        if self._lease.hold() is None:
            return
        for job in self._jobs:
            now = self._clock()
            if self._may_go_on() and is_due(last_runs(self._engine).get(job.name), now=now, hour=self._hour):
                run_job(self._engine, job, now=now, may_go_on=self._may_go_on)

    def _may_go_on(self) -> bool:
        return not self._stop.is_set() and self._lease.hold() is not None
