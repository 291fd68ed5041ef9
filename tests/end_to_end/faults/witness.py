"""A box's own account of what it made, kept outside the exchange: written by its visions, read by the oracle.

    {"run", "boot", "made"}               these things exist now: kind, number, monotonic ms
    {"run", "named", "lost", "fixes", "waits"}
                                          a transaction made items of these names, or declared them before there was an
                                          item; what it knew of UTC; which names it gave to what must wait
    {"run", "undone"}                     that transaction was rolled back
    {"run", "returned", "visits"}         these things are in the exchange for certain; how far open visits had come

The exchange is watched through triggers of the writer's own connection, which is how SQLite itself tells what a
transaction does, so that no part of the exchange needs to be known here but its tables. A line is written before the
transaction's COMMIT. One that was killed before it could commit is known by its names, which no exchange gave.
"""

import fcntl
import json
import os
import sqlite3
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from edge.exchange.batch import Batch
from tests.end_to_end.faults.items import Made, parts_in, parts_of_cells

__all__ = ["Account", "Name", "Naming", "Numbers", "Witness"]

Name = tuple[str, int]
"""Epoch and seq."""

_FIXES = "(SELECT json_group_object(boot, offset_ms) FROM boot WHERE offset_ms IS NOT NULL)"
_TRIGGERS = (
    f"AFTER INSERT ON item BEGIN SELECT witness_named(new.epoch, new.seq, new.body, {_FIXES}); END",
    "AFTER DELETE ON item BEGIN SELECT witness_left(old.epoch, old.seq); END",
    "AFTER DELETE ON part BEGIN SELECT witness_gone(old.epoch, old.seq, old.body); END",
    "AFTER DELETE ON tile_part BEGIN SELECT witness_gone_cells(old.epoch, old.seq, old.tx, old.cells); END",
    "AFTER UPDATE OF seq ON part BEGIN SELECT witness_waits(new.epoch, new.seq, new.body); END",
    "AFTER UPDATE OF seq ON tile_part BEGIN SELECT witness_waits_cells(new.epoch, new.seq, new.tx, new.cells); END",
    "AFTER INSERT ON checkpoint BEGIN SELECT witness_waits_visit(new.epoch, new.seq, new.body); END",
)


class Numbers:
    """Numbers for what a box makes: of each kind from 1 on, no two alike, whoever of its visions takes them."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def take(self, kinds: Iterable[str]) -> list[Made]:
        """One number for each of these kinds."""
        with self._path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            counts: Counter[str] = Counter(json.loads(self._path.read_text()) if self._path.exists() else {})
            made = [(kind, self._next(counts, kind)) for kind in kinds]
            fresh = self._path.with_suffix(".new")  # whoever is killed here leaves the old file or the new one
            fresh.write_text(json.dumps(counts))
            fresh.rename(self._path)
        return made

    def _next(self, counts: Counter[str], kind: str) -> int:
        counts[kind] += 1
        return counts[kind]


@dataclass(slots=True)
class _Transaction:
    """What has been done since BEGIN."""

    named: list[tuple[str, int, str, tuple[Made, ...]]] = field(default_factory=list)
    lost: list[tuple[str, int, str, tuple[Made, ...]]] = field(default_factory=list)
    left: set[Name] = field(default_factory=set)
    gone: dict[Name, tuple[Made, ...]] = field(default_factory=dict)
    waits: list[tuple[str, int, tuple[Made, ...]]] = field(default_factory=list)
    forgone: Counter[str] = field(default_factory=Counter)
    fixes: str = "{}"


class Witness:
    """Writes the account of one run; each line is with the system before the next step is taken."""

    def __init__(self, path: Path, *, run: str, boot: str) -> None:
        self._path, self._run, self._boot = path, run, boot
        self._now = _Transaction()
        self._has_told = False
        self._let_go: dict[str, deque[Made]] = {}

    def __enter__(self) -> Self:
        self._file = os.open(self._path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._file)

    def watch(self, connection: sqlite3.Connection) -> None:
        """See what this connection does from now on."""
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.create_function("witness_named", 4, self._named)
        connection.create_function("witness_left", 2, lambda epoch, seq: self._now.left.add((epoch, seq)))
        connection.create_function("witness_gone", 3, self._gone)
        connection.create_function("witness_gone_cells", 4, self._gone_cells)
        connection.create_function("witness_waits", 3, self._waits)
        connection.create_function("witness_waits_cells", 4, self._waits_cells)
        connection.create_function("witness_waits_visit", 3, self._waits_visit)
        for number, trigger in enumerate(_TRIGGERS):
            connection.execute(f"CREATE TEMP TRIGGER witness_{number} {trigger}")
        connection.set_trace_callback(self._trace)

    def made(self, made: Mapping[Made, float]) -> None:
        """These things exist now, at these monotonic seconds."""
        self._note(boot=self._boot, made=[(*one, round(at * 1000)) for one, at in made.items()])

    def returned(self, batch: Batch) -> None:
        """This batch has been committed."""
        visits = [visit for checkpointed in batch.checkpoints for visit in checkpointed.visits.values()]
        open_visits = [(_visit_in(visit)[1], visit["frames"]) for visit in visits]
        self._note(returned=[*_made_in(batch), *(("visit", number) for number, _ in open_visits)], visits=open_visits)

    def let_go(self, batch: Batch) -> None:
        """This batch found no room and will be declared, by how many of each type were in it."""
        for kind, number in _made_in(batch):
            self._let_go.setdefault(kind, deque()).append((kind, number))

    def declared(self, epoch: str, lost: Sequence[tuple[int, str]]) -> None:
        """The transaction under way declared these seqs: of what waited under them, or of what never had a name."""
        for seq, kind in lost:
            parts: tuple[Made, ...] = ()
            if (epoch, seq) in self._now.left:
                continue
            if (epoch, seq) in self._now.gone:
                parts = self._now.gone[epoch, seq]
            elif self._now.forgone[kind] < len(let_go := self._let_go.get(kind, deque())):
                parts = (let_go[self._now.forgone[kind]],)
                self._now.forgone[kind] += 1
            self._now.lost.append((epoch, seq, kind, parts))

    def _named(self, epoch: str, seq: int, body: str, fixes: str) -> None:
        item = json.loads(body)
        self._now.named.append((epoch, seq, item["type"], parts_in(item)))
        self._now.fixes = fixes

    def _gone(self, epoch: str | None, seq: int | None, body: str) -> None:
        if epoch is not None and seq is not None:
            self._now.gone[epoch, seq] = parts_in(json.loads(body))

    def _gone_cells(self, epoch: str | None, seq: int | None, tile: int, cells: str) -> None:
        if epoch is not None and seq is not None:
            self._now.gone[epoch, seq] = _parts_of_increment(tile, cells)

    def _waits(self, epoch: str, seq: int, body: str) -> None:
        self._now.waits.append((epoch, seq, parts_in(json.loads(body))))

    def _waits_cells(self, epoch: str, seq: int, tile: int, cells: str) -> None:
        self._now.waits.append((epoch, seq, _parts_of_increment(tile, cells)))

    def _waits_visit(self, epoch: str, seq: int, body: str) -> None:
        self._now.waits.append((epoch, seq, (_visit_in(json.loads(body)),)))

    def _trace(self, statement: str) -> None:
        if statement.startswith("BEGIN"):
            for kind, count in self._now.forgone.items():
                for _ in range(count):
                    self._let_go[kind].popleft()
            self._now, self._has_told = _Transaction(), False
        elif statement.startswith("COMMIT") and (self._now.named or self._now.lost or self._now.waits):
            self._note(
                named=self._now.named,
                lost=self._now.lost,
                fixes=json.loads(self._now.fixes),
                waits=self._now.waits,
            )
            self._has_told = True
        elif statement.startswith("ROLLBACK"):
            self._now.forgone.clear()
            if self._has_told:
                self._note(undone=True)

    def _note(self, **what: object) -> None:
        line = json.dumps({"run": self._run, **what}) + "\n"
        os.write(self._file, line.encode())


@dataclass(frozen=True, slots=True, kw_only=True)
class Naming:
    """Of what a run made an item under a name, or, if it was `lost`, what it declared before there was an item.

    fixes: which boots' UTC was known then. order: later ones of a run have higher ones.
    """

    run: str
    order: int
    type: str
    parts: tuple[Made, ...]
    fixes: Mapping[str, int]
    lost: bool = False


@dataclass(slots=True, kw_only=True)
class Account:
    """What a box says that it made, what each name was given to, and what was in the exchange for certain.

    made: the boot and monotonic ms of each. namings: in the order in which they were given; a name has more than one if
    more than one exchange had something wait under it. waits: the names under which things waited to become items.
    visits: by number, how far an open one had come for certain.
    """

    made: dict[Made, tuple[str, int]] = field(default_factory=dict)
    namings: dict[Name, list[Naming]] = field(default_factory=dict)
    waits: dict[Made, set[Name]] = field(default_factory=dict)
    returned: set[Made] = field(default_factory=set)
    visits: dict[int, int] = field(default_factory=dict)
    _order: int = 0

    @classmethod
    def read(cls, path: Path) -> Self:
        """The account as far as it is written; the last line may be half a line."""
        told = cls()
        undoable: dict[str, list[Name]] = {}
        for line in path.read_text().splitlines(keepends=True):
            if line.endswith("\n"):
                told._take(json.loads(line), undoable)
        return told

    def _take(self, said: dict[str, Any], undoable: dict[str, list[Name]]) -> None:
        run = said["run"]
        if "made" in said:
            self.made.update({(kind, number): (said["boot"], at_ms) for kind, number, at_ms in said["made"]})
        if "named" in said:
            given = [(one, False) for one in said["named"]] + [(one, True) for one in said["lost"]]
            undoable[run] = [(epoch, seq) for (epoch, seq, *_), _ in given]
            for (epoch, seq, kind, parts), lost in given:
                things = tuple((of, n) for of, n in parts)
                naming = Naming(run=run, order=self._order, type=kind, parts=things, fixes=said["fixes"], lost=lost)
                self._order += 1
                self.namings.setdefault((epoch, seq), []).append(naming)
            for epoch, seq, parts in said["waits"]:
                for of, n in parts:
                    self.waits.setdefault((of, n), set()).add((epoch, seq))
        if "undone" in said:
            for name in undoable.pop(run, []):
                self._undo(run, name)
        if "returned" in said:
            self.returned |= {(kind, number) for kind, number in said["returned"]}
            self.visits.update(dict(said["visits"]))

    def _undo(self, run: str, name: Name) -> None:
        """Other exchanges may have used the name meanwhile, and this run before."""
        namings = self.namings[name]
        last = max(index for index, naming in enumerate(namings) if naming.run == run)
        del namings[last]
        if not namings:
            del self.namings[name]


def _made_in(batch: Batch) -> list[Made]:
    drafts = [part for one in batch.drafts for part in parts_in(one.body)]
    return drafts + [part for tile in batch.tiles for part in parts_of_cells(tile.tx, tile.cells)]


def _parts_of_increment(tile: int, cells: str) -> tuple[Made, ...]:
    return parts_of_cells(tile, [cell for cell, _ in json.loads(cells)])


def _visit_in(visit: Mapping[str, Any]) -> Made:
    (mark,) = visit["crossings"]
    return parts_in({"type": "visit", "lines": [{"line": mark}]})[0]
