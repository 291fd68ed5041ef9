"""Which databases of one lineage are one, each restored from the one before, and which go on beside each other.

An identity tells the lineage and when it was given, and nothing of the identity before it. So a database is taken to
have ended, and to be the one that was restored as another, where its last archive is older than that other is.
"""

from collections.abc import Mapping

from cloud.store.identity import lineage_of

__all__ = ["heirs", "named"]

NAME_LENGTH = 16
"""The random part of a ULID, which ends with the lineage."""


def heirs(stores: Mapping[str, str]) -> Mapping[str, str]:
    """By the identity of each database that archives are of, the last of those that follow it: itself where none does.

    `stores` are those identities by archive. The first that began since a database's last archive follows it. One began
    when it was made, or with its first archive where it was made under a clock that ran ahead.
    """
    first: dict[str, str] = {}
    last: dict[str, str] = {}
    for archive, store in sorted(stores.items()):
        first.setdefault(store, archive)
        last[store] = archive
    found: dict[str, str] = {}
    for store in sorted(last, reverse=True):
        younger = (other for other in sorted(found) if lineage_of(other) == lineage_of(store))
        follower = next((other for other in younger if last[store] < min(other, first[other])), None)
        found[store] = found[follower] if follower else store
    return found


def named(last: Mapping[str, str]) -> Mapping[str, str]:
    """What to call each with its heirs: by the lineage, or by something longer where others are of that too."""
    ends = set(last.values())
    lineages = [lineage_of(end) for end in ends]
    names = {end: lineage_of(end) if lineages.count(lineage_of(end)) == 1 else end[-NAME_LENGTH:] for end in ends}
    return {store: names[end] for store, end in last.items()}
