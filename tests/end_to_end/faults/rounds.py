"""A round: a world, faults drawn from a seed, all of it mended, and the oracle asked."""

import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Self

from cloud.store.engine import open_engine, reading
from tests.end_to_end.faults.box import Box
from tests.end_to_end.faults.faults import KINDS, Fault, draw
from tests.end_to_end.faults.oracle import Claim, Finding, Holding, judge
from tests.end_to_end.faults.world import World

__all__ = ["Round", "play"]

LOOK_SECONDS = 0.05
MOST_TOLD = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What was done, and what came of it."""

    database: str
    seed: int
    faults: Sequence[Fault]
    findings: Mapping[str, Finding]
    ended_by_themselves: Counter[str]
    took_seconds: float

    @property
    def finding(self) -> Finding:
        """That of all boxes together."""
        return sum(self.findings.values(), start=Finding())

    @property
    def kinds(self) -> Counter[str]:
        """How many faults of each kind."""
        return Counter(fault.kind for fault in self.faults)

    def __str__(self) -> str:
        found = self.finding
        kinds = ", ".join(f"{count} × {kind}" for kind, count in sorted(self.kinds.items()))
        ended = ", ".join(f"{name} {count} times" for name, count in sorted(self.ended_by_themselves.items()))
        lines = [
            f"{self.database}, seed {self.seed}: {len(self.faults)} faults in {self.took_seconds:.0f} s ({kinds})",
            f"  ended by themselves: {ended or 'none'}",
            *(f"  {box}: {one.items} items: {one.summary}" for box, one in self.findings.items()),
        ]
        if found.wrong:
            lines += [*map(str, self.faults), *found.wrong[:MOST_TOLD], f"… {len(found.wrong)} findings in all"]
        return "\n".join(lines)


def play(*, database: str, seed: int, count: int) -> Round:
    """Hurt a new world, mend it, and judge."""
    faults, began = draw(Random(seed), count), time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="footfall-faults-") as folder,
        World(Path(folder), database=database) as world,
    ):
        try:
            _hurt(world, faults)
            world.mend()
            world.settle()
        except Exception as error:  # whatever it was, only the seed and the table let it be repeated
            table = "\n".join(map(str, faults))
            error.add_note(f"in the round {database}, seed {seed}, {count} faults:\n{table}")
            raise
        findings, ended = _judged(world), world.ended_by_themselves
    took = time.monotonic() - began
    return Round(
        database=database, seed=seed, faults=faults, findings=findings, ended_by_themselves=ended, took_seconds=took
    )


def _hurt(world: World, faults: Sequence[Fault]) -> None:
    """Begin one fault after another, and end each in its time; the same fault again ends the earlier one first."""
    with _UnderWay(world) as under_way:
        for fault in faults:
            under_way.wait(fault.after)
            if KINDS[fault.kind].calm:
                under_way.end_all()
                world.until_flowing()
            under_way.begin(fault)


class _UnderWay:
    """The faults that have begun and not ended."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._acts: dict[tuple[str, str], tuple[float, AbstractContextManager[None]]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end_all()

    def begin(self, fault: Fault) -> None:
        self._end((fault.kind, fault.victim))
        act = KINDS[fault.kind].act(self._world, fault)
        act.__enter__()
        self._acts[fault.kind, fault.victim] = (time.monotonic() + fault.lasts, act)

    def wait(self, seconds: float) -> None:
        """Let time pass, and with it what ends."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for key in [key for key, (ends, _) in self._acts.items() if time.monotonic() >= ends]:
                self._end(key)
            self._world.look_after()
            time.sleep(LOOK_SECONDS)

    def end_all(self) -> None:
        for key in list(self._acts):
            self._end(key)

    def _end(self, key: tuple[str, str]) -> None:
        if key in self._acts:
            self._acts.pop(key)[1].__exit__(None, None, None)


def _judged(world: World) -> dict[str, Finding]:
    engine = open_engine(world.database.url)
    try:
        with reading(engine) as connection:
            return {box.id: judge(_claim_of(box), Holding.read(connection, box.id)) for box in world.boxes.values()}
    finally:
        engine.dispose()


def _claim_of(box: Box) -> Claim:
    """What a box of the world says of itself."""
    return Claim(
        box=box.id,
        issued=box.issued,
        account=box.account,
        lost_with_disk=frozenset(box.lost_with_disk),
        threw_away=box.threw_away,
    )
