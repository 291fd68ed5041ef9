"""Which archives of a database go: those of full ones older than the newest that are kept, and what nobody completed.

Only full archives count as kept that were read through and are sound, and so is all that builds upon them, so that the
last good one stays whatever happens to those after it.
"""

import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache, partial
from itertools import islice

from ulid import ULID

from cloud.backup.archive import MANIFEST, Catalogue, Manifest
from cloud.backup.target import Target
from cloud.backup.verification import verify

__all__ = ["remove", "superfluous"]

COMPLETED_WITHIN = timedelta(days=2)
"""What has no manifest after so long will never have one."""
FOLLOWED_AFTER = timedelta(days=14)
"""Longer than a database that goes on, beside what was restored from it, stays without a back-up."""
_LOG = logging.getLogger(__name__)


def superfluous(target: Target, catalogue: Catalogue, *, database: str, keep: int, now: datetime) -> Sequence[str]:
    """Archives of a database to let go, the newest first, so that none outlives what it builds upon.

    Where some are too many, those that would be kept are read through before.
    """
    of_database = [catalogue.archives[one] for one, name in catalogue.databases.items() if name == database]
    may_go_on = _lately_followed(of_database, now)
    is_sound = cache(partial(_is_sound, target, catalogue))
    old = {
        one.id
        for store, line in _lines(of_database).items()
        if store not in may_go_on
        for one in _too_old(line, keep, is_sound)
        if one.store == store
    }
    return sorted([*old, *_abandoned(catalogue, now, besides=old)], reverse=True)


def remove(target: Target, catalogue: Catalogue, archives: Sequence[str]) -> None:
    """Let archives go, each by its manifest first."""
    for archive in archives:
        paths = sorted(path for path in catalogue.sizes if path.startswith(f"{archive}/"))
        target.remove(sorted(paths, key=lambda path: not path.endswith(f"/{MANIFEST}")))


def _lines(archives: Sequence[Manifest]) -> Mapping[str, Sequence[Manifest]]:
    """By each identity among archives by age: its own, and those of identities that began after its last.

    What goes on beside it, as a trial that was restored from it does, counts for nothing of it as kept.
    """
    first = {manifest.store: manifest.id for manifest in reversed(archives)}
    last = {manifest.store: manifest.id for manifest in archives}
    return {
        store: [one for one in archives if one.store == store or first[one.store] > ended]
        for store, ended in last.items()
    }


def _too_old(
    archives: Sequence[Manifest], keep: int, is_sound: Callable[[tuple[str, ...]], bool]
) -> Iterator[Manifest]:
    chains = _chains(archives)
    if len(chains) <= keep:
        return
    good = (full for full, chain in chains.items() if is_sound(chain))
    oldest_kept = next(islice(good, keep - 1, None), "")
    for manifest in archives:
        if manifest.full < oldest_kept:
            yield manifest


def _lately_followed(archives: Sequence[Manifest], now: datetime) -> Collection[str]:
    """Identities, of archives by age, whose last was followed by another's so lately that they may yet go on."""
    former = [manifest for manifest in archives if manifest.store != archives[-1].store]
    return {manifest.store for manifest in former if now - manifest.made_at < FOLLOWED_AFTER}


def _chains(archives: Sequence[Manifest]) -> Mapping[str, tuple[str, ...]]:
    """Each full archive that is there, the newest first, and after it those that build upon it."""
    full = sorted((manifest.id for manifest in archives if not manifest.base), reverse=True)
    return {base: tuple(sorted(manifest.id for manifest in archives if manifest.full == base)) for base in full}


def _is_sound(target: Target, catalogue: Catalogue, chain: tuple[str, ...]) -> bool:
    """Whether a full archive can be restored with all that builds upon it: each is read for this."""
    damaged = next((verified for verified in verify(target, catalogue, chain) if verified.troubles), None)
    if damaged is None:
        return True
    full = chain[0]
    which = "" if damaged.archive == full else f"{damaged.archive}, which builds upon it: "
    _LOG.warning(
        "Back-up %s does not count as kept: %s%s", full, which, damaged.troubles[0],
        extra={"action": "backup", "archive": damaged.archive},
    )  # fmt: skip
    return False


def _abandoned(catalogue: Catalogue, now: datetime, *, besides: Collection[str]) -> Iterator[str]:
    """What was never completed, or lost its manifest, and holds no part of an archive that stays, `besides` going."""
    staying = [manifest for archive, manifest in catalogue.archives.items() if archive not in besides]
    needed = {part.path.partition("/")[0] for manifest in staying for part in manifest.parts}
    for archive in catalogue.incomplete:
        if archive not in needed and ULID.from_str(archive).datetime < now - COMPLETED_WITHIN:
            yield archive
