"""`footfall cloud jobs`: how the upkeep went last, and some of it now."""

import argparse

from cloud.command_line import Commands, Leaf
from cloud.database import find_database
from cloud.errors import SettingsError
from cloud.settings import Settings
from cloud.store.moments import from_ms, utc_now
from cloud.upkeep.jobs import Job, JobName, LastRun, jobs_of, last_runs, run_job
from protocol.wire import format_utc

__all__ = ["add_upkeep_commands"]


def add_upkeep_commands(commands: "Commands[argparse.ArgumentParser]", *, leaf: Leaf) -> None:
    """Add `jobs`."""
    jobs = leaf(commands, "jobs", _jobs, "tell how the upkeep of the database went last, or do some of it now")
    jobs.add_argument("job", nargs="*", metavar="JOB", help=f"what to do now: {', '.join(JobName)}")
    jobs.add_argument(
        "--clock-is-right", action="store_true", help="let retention delete what is old where it doubts the clock"
    )


def _jobs(settings: Settings, arguments: argparse.Namespace) -> int:
    unknown = [name for name in arguments.job if name not in set(JobName)]
    if unknown:
        raise SettingsError(f"jobs: there is no {unknown[0]}; there are {', '.join(JobName)}")
    engine = find_database(settings)
    months = settings.upkeep.retention_months
    for job in jobs_of(retention_months=months, clock_is_right=arguments.clock_is_right):
        if job.name in arguments.job:
            gone = run_job(engine, job, now=utc_now())
            print(f"{job.name:<12}{gone} {job.unit} went")
        elif not arguments.job:
            print(f"{job.name:<12}{_told(job, last_runs(engine).get(job.name))}")
    return 0


def _told(job: Job, last: LastRun | None) -> str:
    if last is None:
        return "not yet done"
    went = f"{last.gone} {job.unit} went"
    if last.trouble:
        return f"begun {format_utc(from_ms(last.started_ms))}, {went}, then: {last.trouble}"
    return f"done {format_utc(from_ms(last.started_ms))}, {went}"
