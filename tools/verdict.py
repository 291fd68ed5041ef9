"""Judges runs of the tests by the reports that FOOTFALL_TEST_REPORT asked for, and prints what they add up to.

It refuses a run in which nothing was tested, a proof that did not run wholly, and fewer tests on real assets than are
committed: each of these would otherwise pass for success.
"""

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Run", "complaints", "main", "proofs_at", "summary"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of pytest: how each test ended, and the tests on real assets that were there to choose from."""

    name: str
    outcomes: dict[str, str]
    committed_on_assets: frozenset[str]

    @classmethod
    def read(cls, path: Path) -> "Run":
        """The run that left this report; a run that left none did nothing."""
        if not path.exists():
            return cls(name=path.stem, outcomes={}, committed_on_assets=frozenset())
        report = json.loads(path.read_text())
        committed = frozenset(report["committed_on_assets"])
        return cls(name=path.stem, outcomes=report["outcomes"], committed_on_assets=committed)


def proofs_at(path: Path) -> list[str]:
    """The files of tests at a path: itself, or all below the folder."""
    return sorted(str(file) for file in path.rglob("test_*.py")) if path.is_dir() else [str(path)]


def complaints(runs: Sequence[Run], *, proofs: Sequence[str]) -> list[str]:
    """What stands against these runs, a sentence each; `proofs` are the files whose tests must all have passed."""
    outcomes = {test: outcome for run in runs for test, outcome in run.outcomes.items()}
    said = [f"{run.name}: no test ran" for run in runs if not set(run.outcomes.values()) & {"passed", "failed"}]
    said += [f"failed: {test}" for test, outcome in outcomes.items() if outcome == "failed"]
    said += [sentence for proof in proofs for sentence in _about_proof(outcomes, proof)]
    committed = frozenset[str]().union(*(run.committed_on_assets for run in runs))
    said += [f"on real assets, but not passed: {t}" for t in sorted(committed) if outcomes.get(t) != "passed"]
    return said


def summary(runs: Sequence[Run]) -> str:
    """The line that adds all runs up."""
    count = Counter(outcome for run in runs for outcome in run.outcomes.values())
    return f"{count['passed']} passed, {count['failed']} failed, {count['skipped']} skipped"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what stands against the runs and what they add up to; 1 if anything does."""
    parser = argparse.ArgumentParser(description="Judge runs of the tests by their reports.")
    parser.add_argument("reports", nargs="+", type=Path, help="what FOOTFALL_TEST_REPORT named in each run")
    parser.add_argument(
        "--proof", required=True, type=Path, help="the file or folder of tests that must all have run and passed"
    )
    options = parser.parse_args(arguments)
    runs = [Run.read(path) for path in options.reports]
    proofs = proofs_at(options.proof)
    if not proofs:
        parser.error(f"there is no proof in {options.proof}")
    said = complaints(runs, proofs=proofs)
    for sentence in said:
        print(sentence)
    print(summary(runs))
    return 1 if said else 0


def _about_proof(outcomes: dict[str, str], proof: str) -> list[str]:
    of_proof = {test: outcome for test, outcome in outcomes.items() if test.partition("::")[0] == proof}
    if not set(of_proof.values()) & {"passed", "failed"}:
        return [f"the proof did not run: {proof}"]
    return [f"the proof was {outcome}: {test}" for test, outcome in of_proof.items() if outcome == "skipped"]


if __name__ == "__main__":
    raise SystemExit(main())
