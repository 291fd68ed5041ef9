"""Is anything lost, is anything twice? What a box says that it made, beside what the cloud holds of it.

Each name that the box's exchange gave must stand at the cloud once: as an item whose content is the function of what
it was made of, or in a gap. Where two exchanges made different items of one name, either may stand there, whole. Each
thing that was in the exchange must be in exactly one item there, and once in that; if it is in none, a gap must have
declared the last name that it had as lost, or it went with a disk that was thrown away.
Gaps must declare as lost, of each type, as many items as are really absent, no more and no fewer. Sums and tiles must
be those of a slow recount. Whatever else the cloud holds was invented.

An item may come although its box has declared it, since the box cannot know what of that came before; the cloud then
takes it off the declaration, so that nothing need be allowed for here. Nor for two exchanges that give the same thing
two names: of each name that was declared, the item is absent.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any, Self

from sqlalchemy import Connection, text

from tests.end_to_end.faults.items import Made, expected_body, frames_of, parts_in
from tests.end_to_end.faults.witness import Account, Name, Naming
from tests.support.product import VENUE
from tests.support.recount import Key, Recount, recount, stored_sums

__all__ = ["Claim", "Finding", "Holding", "judge"]

_MERGED = "merged"
"""The reason of a gap that lost nothing."""
_QUARTER_SECONDS = 900


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What a box says: how far each epoch came, what its visions made, and what went with a disk.

    threw_away: whether any disk went.
    """

    box: str
    issued: dict[str, int]
    account: Account
    lost_with_disk: frozenset[Name] = frozenset()
    threw_away: bool = False

    @cached_property
    def namings(self) -> dict[Name, list[Naming]]:
        """Names and what they were given to, as far as an exchange kept to them."""
        told = self.account.namings.items()
        return {name: namings for name, namings in told if name[1] <= self.issued.get(name[0], 0)}

    @cached_property
    def chains(self) -> dict[Made, dict[str, list[Name]]]:
        """The names of items that each thing went into, one after the other, by the run that made those."""
        chains: dict[Made, dict[str, list[Name]]] = {}
        for name, naming in self._in_order:
            for part in dict.fromkeys(naming.parts):
                chains.setdefault(part, {}).setdefault(naming.run, []).append(name)
        return chains

    @cached_property
    def _in_order(self) -> list[tuple[Name, Naming]]:
        """Namings in the order in which their runs gave them."""
        pairs = [(name, naming) for name, namings in self.namings.items() for naming in namings]
        return sorted(pairs, key=lambda pair: pair[1].order)

    def is_superseded(self, name: Name) -> bool:
        """Whether whoever gave this name gave all that had it another later: it was merged."""
        given = [(naming.run, part) for naming in self.namings[name] for part in naming.parts]
        return bool(given) and all(self.chains[part][run][-1] != name for run, part in given)


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """What the cloud has of a box: items that count, names that wait, declared gaps, dead letters, and its sums."""

    events: dict[Name, dict[str, Any]]
    held: dict[Name, dict[str, Any]]
    gaps: dict[Name, str]
    lost_by_type: Counter[str]
    dead: int
    sums: Recount

    @classmethod
    def read(cls, connection: Connection, box: str) -> Self:
        """All of it, as the database says."""
        of_box = {"box": box}
        events = connection.execute(text("SELECT epoch, seq, body FROM event WHERE box = :box"), of_box).all()
        held = connection.execute(text("SELECT epoch, seq, body FROM held WHERE box = :box"), of_box).all()
        dead = connection.execute(text("SELECT count(*) FROM dead_letter WHERE box = :box"), of_box).scalar_one()
        gaps = connection.execute(
            text("SELECT epoch, first_seq, last_seq, reason, lost_by_type FROM gap WHERE box = :box"), of_box
        ).all()
        lost: Counter[str] = Counter()
        for *_, reason, counts in gaps:
            if reason != _MERGED:
                lost.update({one["type"]: one["count"] for one in json.loads(counts)})
        return cls(
            events={(epoch, seq): json.loads(body) for epoch, seq, body in events},
            held={(epoch, seq): json.loads(body) for epoch, seq, body in held},
            gaps={(e, seq): why for e, first, last, why, _ in gaps for seq in range(first, last + 1)},
            lost_by_type=lost,
            dead=dead,
            sums=stored_sums(connection, box=box),
        )


@dataclass(slots=True, kw_only=True)
class Finding:
    """What came out; `wrong` says in words what must not be.

    items to gone_with_a_disk count things that were made: merged are those that arrived in a sum made for want of room.
    undeclared and overdeclared count items that are absent unsaid, and said to be absent though they are not.
    """

    items: int = 0
    lost: int = 0
    doubled: int = 0
    declared: int = 0
    merged: int = 0
    gone_with_a_disk: int = 0
    undeclared: int = 0
    overdeclared: int = 0
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
    """Compare what was made with what is held."""
    finding = Finding()
    finding.wrong += _misplaced(claim, holding)
    finding.wrong += _misworded(claim, holding)
    finding.wrong += _miscounted(holding)
    _account(claim, holding, finding)
    _declarations(claim, holding, finding)
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
    if holding.dead:
        yield f"{claim.box}: {holding.dead} dead letters"


def _misworded(claim: Claim, holding: Holding) -> Iterator[str]:
    """Items that are not what was made under their name."""
    for name, body in holding.events.items():
        candidates = [naming for naming in claim.namings.get(name, ()) if not naming.lost]
        if not candidates:
            yield f"{claim.box} {name}: an item of which nobody knows"
            continue
        expected = [_expected(claim, name, naming, body) for naming in candidates]
        if body not in expected:
            yield f"{claim.box} {name}: is {json.dumps(body)} and should be {json.dumps(expected[-1])}"
        if body.get("ended") == "interrupted":
            yield from _forgotten(claim, name, body)


def _expected(claim: Claim, name: Name, naming: Naming, body: dict[str, Any]) -> dict[str, Any]:
    # Where a thing lies in UTC was decided when it was made an item by this run, also if it was merged since.
    at_ms: dict[Made, int | None] = {}
    for part in naming.parts:
        boot, mono_ms = claim.account.made[part]
        firsts = claim.namings[claim.chains[part][naming.run][0]]
        first = next(one for one in firsts if one.run == naming.run)
        at_ms[part] = None if (offset := first.fixes.get(boot)) is None else mono_ms + offset
    expected = expected_body(naming.parts, scene=claim.box, at_ms=at_ms, is_like=body)
    return {**expected, "seq": name[1], "venue": VENUE}


def _forgotten(claim: Claim, name: Name, body: dict[str, Any]) -> Iterator[str]:
    """A visit that ends before what was kept of it for certain; after a disk was thrown away it may."""
    (part,) = parts_in(body)
    kept, frames = claim.account.visits.get(part[1], 0), body["frames_seen"]
    if (frames < kept and not claim.threw_away) or frames > frames_of(part[1], scene=claim.box):
        yield f"{claim.box} {name}: was interrupted after {frames} frames, of which {kept} had been kept"


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
    """Count where each thing that was in the exchange ended."""
    there: dict[Made, list[Name]] = {}
    for name, body in (*holding.events.items(), *holding.held.items()):
        for part in parts_in(body):
            there.setdefault(part, []).append(name)
    for made in sorted(claim.account.returned | claim.chains.keys() | there.keys()):
        finding.items += 1
        chains = claim.chains.get(made, {})
        lasts = [names[-1] for names in chains.values()]
        places = there.get(made, [])
        if len(places) > 1:
            finding.doubled += 1
            finding.wrong.append(f"{claim.box} {made}: counts as {places}")
        elif places:
            finding.merged += bool(chains) and all(names[0] != places[0] for names in chains.values())
        elif any(holding.gaps.get(name, _MERGED) != _MERGED for name in lasts):
            finding.declared += 1
        elif claim.lost_with_disk.intersection(lasts) or claim.lost_with_disk & claim.account.waits.get(made, set()):
            finding.gone_with_a_disk += 1
        else:
            finding.lost += 1
            said = {name: holding.gaps.get(name) for name in lasts}
            waited = sorted(claim.account.waits.get(made, ()))
            finding.wrong.append(
                f"{claim.box} {made}: lost; waited as {waited}, was {list(chains.values())}, and {said}"
            )


def _declarations(claim: Claim, holding: Holding, finding: Finding) -> None:
    """Compare what gaps say is lost with the names in them that are really absent, type by type."""
    absent: Counter[str] = Counter()
    for name, reason in holding.gaps.items():
        if reason != _MERGED and name in claim.namings and not claim.is_superseded(name):
            absent[claim.namings[name][0].type] += 1
    for kind in sorted(absent.keys() | holding.lost_by_type.keys()):
        declared = holding.lost_by_type[kind]
        if declared != absent[kind]:
            finding.wrong.append(f"{claim.box}: {declared} {kind} declared as lost, and {absent[kind]} are absent")
            finding.undeclared += max(0, absent[kind] - declared)
            finding.overdeclared += max(0, declared - absent[kind])
