"""What the database needs once a day: sums and fine tiles are added up, old raw rows leave, room is given back.

Each job works in many short transactions, so that what the boxes send never waits for long, and changes no total. One
process of all does them, by lease. Read `jobs` for what there is and when it is due, then `long_sums`, `retention`,
`compaction` and `vacuum`, then `watch` for the loop.
"""

from cloud.upkeep.jobs import Job, JobName, LastRun, jobs_of, last_runs, run_job
from cloud.upkeep.watch import UpkeepWatch

__all__ = ["Job", "JobName", "LastRun", "UpkeepWatch", "jobs_of", "last_runs", "run_job"]
