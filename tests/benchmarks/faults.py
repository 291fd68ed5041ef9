"""Whether anything is lost or counted twice, whatever is done to boxes, broker and cloud.

Two boxes, mosquitto and a cloud run as real processes, on SQLite and on PostgreSQL, and have a thousand faults, a
hundred in each world, by fixed seeds: each is killed, also between a commit and its ack; the broker restarts, with its
store and without; connections are cut, left half-open, slow, repeated and reordered; clocks jump by an hour and by a
day; disks fill up; old disks and back-ups come back, and a box is cloned. When all is mended, each item that was ever
appended must be at the cloud once, with its content, and sums and tiles must be those of a slow recount.

Declared are items that the box with little room said it had to drop, or that a cloud which was restored could no longer
get. Gone with a disk are those that nobody had seen when an exchange was thrown away for an older copy.
"""

import json
from collections import Counter

from tests.end_to_end.faults.oracle import Finding
from tests.end_to_end.faults.rounds import play

__all__ = ["main"]

ROUNDS = tuple((database, seed) for seed in range(1, 6) for database in ("sqlite", "postgresql"))
FAULTS_A_ROUND = 100


def main() -> int:
    """Play all rounds, and end with one line of figures; 1 if anything was wrong."""
    kinds: Counter[str] = Counter()
    total = Finding()
    for database, seed in ROUNDS:
        played = play(database=database, seed=seed, count=FAULTS_A_ROUND)
        print(played, flush=True)
        kinds += played.kinds
        total += played.finding
    figures = {
        "faults": sum(kinds.values()),
        "lost": total.lost,
        "doubled": total.doubled,
        "declared": total.declared,
        "undeclared": total.undeclared,
        "overdeclared": total.overdeclared,
        "merged": total.merged,
        "items": total.items,
        "gone_with_a_disk": total.gone_with_a_disk,
        "other_findings": len(total.wrong) - total.lost - total.doubled,
        "injected": dict(sorted(kinds.items())),
    }
    print(json.dumps(figures))
    return 1 if total.wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
