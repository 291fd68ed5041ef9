"""The jobs, when each is due, and how its last run ended."""

import dataclasses
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import Engine, select

from cloud.errors import CloudError, PartlyDone
from cloud.store.engine import reading, writing
from cloud.store.moments import to_ms
from cloud.store.tables import JobRun
from cloud.store.upsert import replace, table_of
from cloud.upkeep.compaction import add_up_fine_tiles
from cloud.upkeep.long_sums import add_up_days
from cloud.upkeep.retention import forget_raw_rows
from cloud.upkeep.vacuum import give_room_back

__all__ = ["Job", "JobName", "LastRun", "is_due", "jobs_of", "last_runs", "run_job"]

RETRY_MS = 3_600_000
"""A run that failed or was broken off is tried again after this time."""
_RUN = table_of(JobRun)
_LOG = logging.getLogger(__name__)


class JobName(StrEnum):
    """In the order in which they are done: what goes leaves room to be given back."""

    SUMS = "sums"
    RETENTION = "retention"
    COMPACTION = "compaction"
    VACUUM = "vacuum"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """`steps` does the work of a moment, a short transaction a step, and tells how much each step took away."""

    name: JobName
    unit: str
    steps: Callable[[Engine, datetime], Iterator[int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class LastRun:
    """When a job was last begun and last succeeded, how much it took away, and what went wrong, if anything did.

    One that did all but something that it had to leave out has succeeded and says what.
    """

    started_ms: int
    succeeded_ms: int | None
    gone: int
    trouble: str


def jobs_of(*, retention_months: int, clock_is_right: bool = False) -> tuple[Job, ...]:
    """Every job, in order; `clock_is_right` is somebody's word for it, so that retention need not doubt it."""
    return (
        Job(name=JobName.SUMS, unit="days to add up", steps=lambda engine, now: add_up_days(engine, now=now)),
        Job(
            name=JobName.RETENTION,
            unit="raw rows",
            steps=lambda engine, now: forget_raw_rows(
                engine,
                now=now,
                months=retention_months,
                last_ms=_last_success_ms(engine, JobName.RETENTION),
                clock_is_right=clock_is_right,
            ),
        ),
        Job(name=JobName.COMPACTION, unit="fine tiles", steps=lambda engine, now: add_up_fine_tiles(engine, now=now)),
        Job(name=JobName.VACUUM, unit="pages", steps=lambda engine, _now: give_room_back(engine)),
    )


def is_due(last: LastRun | None, *, now: datetime, hour: int) -> bool:
    """Whether a job has not succeeded since the newest `hour` o'clock UTC, and was not tried within the hour.

    What was done in the future was done under a clock since corrected, and counts as never.
    """
    if last is None:
        return True
    now_ms = to_ms(now)
    newest = now.replace(hour=hour, minute=0, second=0, microsecond=0)
    if newest > now:
        newest -= timedelta(days=1)
    is_done = to_ms(newest) <= (last.succeeded_ms or 0) <= now_ms
    return not is_done and not now_ms - RETRY_MS < last.started_ms <= now_ms


def last_runs(engine: Engine) -> Mapping[str, LastRun]:
    """The last run of each job that ever ran, by its name."""
    with reading(engine) as connection:
        rows = connection.execute(select(_RUN)).mappings().all()
    return {
        row["job"]: LastRun(**{name: row[name] for name in ("started_ms", "succeeded_ms", "gone", "trouble")})
        for row in rows
    }


def _last_success_ms(engine: Engine, name: JobName) -> int | None:
    last = last_runs(engine).get(name)
    return last.succeeded_ms if last else None


def run_job(engine: Engine, job: Job, *, now: datetime, may_go_on: Callable[[], bool] = lambda: True) -> int:
    """Do a job, write down how it went, and tell how much went; raises what it failed of. It may be broken off."""
    before = last_runs(engine).get(job.name)
    run = LastRun(
        started_ms=to_ms(now), succeeded_ms=before.succeeded_ms if before else None, gone=0, trouble="broken off"
    )
    _note(engine, job, run)
    gone, trouble = 0, ""
    try:
        for some in job.steps(engine, now):
            gone += some
            if not may_go_on():
                _note(engine, job, dataclasses.replace(run, gone=gone))
                return gone
    except PartlyDone as error:
        trouble = str(error)
        _LOG.error("Upkeep, %s: %s", job.name, trouble, extra={"action": "upkeep", "job": job.name})
    except CloudError as error:
        _note(engine, job, dataclasses.replace(run, gone=gone, trouble=str(error)))
        raise
    _note(engine, job, dataclasses.replace(run, succeeded_ms=to_ms(now), gone=gone, trouble=trouble))
    _LOG.info("Upkeep, %s: %d %s", job.name, gone, job.unit, extra={"action": "upkeep", "job": job.name, "gone": gone})
    return gone


def _note(engine: Engine, job: Job, run: LastRun) -> None:
    with writing(engine) as connection:
        replace(connection, JobRun, [{"job": str(job.name), **dataclasses.asdict(run)}])
