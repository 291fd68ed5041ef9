"""Is anything lost, is anything twice? What a box says that it appended, beside what the cloud holds of it.

Each name that the box's exchange gave must stand at the cloud once: as an item whose content is the function of what
it was made of, or in a gap. Each thing appended must be in exactly one item there; if it is in none, a gap must have
declared the last name that it had as lost, or that name went with a disk that was thrown away. Sums and tiles must be
those of a slow recount. Whatever else the cloud holds was invented.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

from sqlalchemy import Connection, text

from tests.end_to_end.faults.items import Made, expected_body
from tests.end_to_end.faults.witness import Account, Name
from tests.support.exchange import CONFIG
from tests.support.product import VENUE
from tests.support.recount import Key, Recount, recount, stored_sums

__all__ = ["Claim", "Finding", "Holding", "judge"]

_MERGED = "merged"
"""The reason of a gap that lost nothing."""
_QUARTER_SECONDS = 900


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a box says: how far each epoch came, what its visions appended, and which names went with a disk."""

    box: str
    issued: dict[str, int]
    account: Account
    lost_with_disk: frozenset[Name] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """What the cloud has of a box: items that count, names that wait, declared gaps, and its sums."""

    events: dict[Name, dict[str, Any]]
    held: frozenset[Name]
    gaps: dict[Name, str]
    lost_by_type: Counter[str]
    sums: Recount

    @classmethod
    def read(cls, connection: Connection, box: str) -> Self:
        """All of it, as the database says."""
        of_box = {"box": box}
        events = connection.execute(text("SELECT epoch, seq, body FROM event WHERE box = :box"), of_box).all()
        held = connection.execute(text("SELECT epoch, seq FROM held WHERE box = :box"), of_box).all()
        gaps = connection.execute(
            text("SELECT epoch, first_seq, last_seq, reason, lost_by_type FROM gap WHERE box = :box"), of_box
        ).all()
        lost: Counter[str] = Counter()
        for *_, reason, counts in gaps:
            if reason != _MERGED:
                lost.update({one["type"]: one["count"] for one in json.loads(counts)})
        return cls(
            events={(epoch, seq): json.loads(body) for epoch, seq, body in events},
            held=frozenset((epoch, seq) for epoch, seq in held),
            gaps={(e, seq): why for e, first, last, why, _ in gaps for seq in range(first, last + 1)},
            lost_by_type=lost,
            sums=stored_sums(connection, box=box),
        )


@dataclass(slots=True, kw_only=True)
class Finding:
    """What came out; `wrong` says in words what must not be, `lost` and `doubled` count the appended items among it."""

    items: int = 0
    lost: int = 0
    doubled: int = 0
    declared: int = 0
    overdeclared: int = 0
    merged: int = 0
    gone_with_a_disk: int = 0
    wrong: list[str] = field(default_factory=list)

    @property
    def summary(self) -> str:
        """The counts in words."""
        counts = [one.name for one in fields(self) if one.name not in {"items", "wrong"}]
        return ", ".join(f"{getattr(self, name)} {name.replace('_', ' ')}" for name in counts)

    def __add__(self, other: Self) -> Self:
        sums = {one.name: getattr(self, one.name) + getattr(other, one.name) for one in fields(self)}
        return type(self)(**sums)


def judge(claim: Claim, holding: Holding) -> Finding:
    """Compare what was appended with what is held."""
    finding = Finding()
    finding.wrong += _misplaced(claim, holding)
    finding.wrong += _misworded(claim, holding)
    finding.wrong += _miscounted(holding)
    _account(claim, holding, finding)
    return finding


def _misplaced(claim: Claim, holding: Holding) -> Iterator[str]:
    """Names that stand nowhere, twice, or that nobody gave."""
    places = Counter([*holding.events, *holding.held, *holding.gaps])
    issued = {(epoch, seq) for epoch, last in claim.issued.items() for seq in range(1, last + 1)}
    for name in sorted(issued - places.keys() - claim.lost_with_disk):
        yield f"{claim.box} {name}: neither at the cloud nor declared"
    for name in sorted(name for name, count in places.items() if count > 1):
        yield f"{claim.box} {name}: stands at the cloud in {places[name]} places"
    for name in sorted(places.keys() - issued):
        yield f"{claim.box} {name}: at the cloud, though no exchange gave this name"


def _misworded(claim: Claim, holding: Holding) -> Iterator[str]:
    """Items that are not what was appended under their name."""
    told = claim.account
    for name, body in holding.events.items():
        if name not in told.names:
            yield f"{claim.box} {name}: an item of which nobody knows"
            continue
        expected = expected_body(told.names[name], scene=claim.box, base_ms=told.base_ms)
        expected |= {"seq": name[1], "venue": VENUE, "config": CONFIG}
        if expected != body:
            yield f"{claim.box} {name}: is {json.dumps(body)} and should be {json.dumps(expected)}"


def _miscounted(holding: Holding) -> Iterator[str]:
    """Sums, peaks and cells that are not those of the items that count."""
    expected, stored = recount(holding.events.values()), holding.sums
    cells = _in_quarters(expected.cells), _in_quarters(stored.cells)
    for ours, theirs in ((expected.sums, stored.sums), (expected.peaks, stored.peaks), cells):
        for key in ours.keys() | theirs.keys():
            if ours.get(key) != theirs.get(key):
                yield f"{key}: is {theirs.get(key)} and should be {ours.get(key)}"


def _in_quarters(cells: Mapping[Key, Counter[int]]) -> dict[Key, Counter[int]]:
    """Tiles, those of less than a quarter of an hour added up, as the cloud's upkeep may have done or not."""
    folded: dict[Key, Counter[int]] = {}
    for (space, layer, length, start_ms, *place), counts in cells.items():
        assert isinstance(length, int)
        assert isinstance(start_ms, int)
        is_fine = length < _QUARTER_SECONDS
        when = (_QUARTER_SECONDS, start_ms - start_ms % (_QUARTER_SECONDS * 1000)) if is_fine else (length, start_ms)
        folded.setdefault((space, layer, *when, *place), Counter()).update(counts)
    return folded


def _account(claim: Claim, holding: Holding, finding: Finding) -> None:
    """Count where each thing that was appended ended."""
    names = _names_of_parts(claim)
    for epoch, returned in claim.account.returned.items():
        for serial in range(1, returned + 1):
            names.setdefault((epoch, serial), [])
    lost_names: set[Name] = set()
    for made, given in names.items():
        finding.items += 1
        there = [name for name in given if name in holding.events or name in holding.held]
        if len(there) > 1:
            finding.doubled += 1
            finding.wrong.append(f"{claim.box} {made}: counts as {there}")
        elif there:
            finding.merged += there != given[:1]
        elif given and holding.gaps.get(given[-1], _MERGED) != _MERGED:
            finding.declared += 1
            lost_names.add(given[-1])
        elif claim.lost_with_disk.intersection(given):
            finding.gone_with_a_disk += 1
        else:
            finding.lost += 1
            finding.wrong.append(f"{claim.box} {made}: lost; was {given}, and {[holding.gaps.get(n) for n in given]}")
    finding.overdeclared += sum(holding.lost_by_type.values()) - len(lost_names)


def _names_of_parts(claim: Claim) -> dict[Made, list[Name]]:
    """The names that each thing appended was given, in that order, as far as the exchange kept to them."""
    names: dict[Made, list[Name]] = {}
    for name, parts in claim.account.names.items():
        if name[1] <= claim.issued.get(name[0], 0):
            for part in parts:
                names.setdefault(part, []).append(name)
    return names
