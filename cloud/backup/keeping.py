"""Which archives go: those of full ones older than the newest that are kept, and what was never completed.

Only full archives that are whole count as kept, so the last good one stays whatever happens to those after it.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from ulid import ULID

from cloud.backup.archive import MANIFEST, Catalogue
from cloud.backup.target import Target

__all__ = ["remove", "superfluous"]

COMPLETED_WITHIN = timedelta(days=2)
"""What has no manifest after so long will never have one."""


def superfluous(catalogue: Catalogue, *, keep: int, now: datetime) -> Sequence[str]:
    """Archives to let go, the newest first, so that none outlives what it builds upon."""
    return sorted([*_too_old(catalogue, keep), *_abandoned(catalogue, now)], reverse=True)


def remove(target: Target, catalogue: Catalogue, archives: Sequence[str]) -> None:
    """Let archives go, each by its manifest first."""
    for archive in archives:
        paths = sorted(path for path in catalogue.sizes if path.startswith(f"{archive}/"))
        target.remove(sorted(paths, key=lambda path: not path.endswith(f"/{MANIFEST}")))


def _too_old(catalogue: Catalogue, keep: int) -> Iterator[str]:
    good = [
        manifest.id for manifest in catalogue.archives.values() if not manifest.base and catalogue.is_whole(manifest)
    ]
    if len(good) <= keep:
        return
    oldest_kept = sorted(good)[-keep]
    for manifest in catalogue.archives.values():
        if manifest.full < oldest_kept:
            yield manifest.id


def _abandoned(catalogue: Catalogue, now: datetime) -> Iterator[str]:
    for archive in catalogue.incomplete:
        if ULID.from_str(archive).datetime < now - COMPLETED_WITHIN:
            yield archive
