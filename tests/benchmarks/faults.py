"""Whether anything is lost or counted twice, whatever is done to boxes, broker and cloud.

Two boxes, mosquitto and a cloud run as real processes, on SQLite and on PostgreSQL, and have a thousand faults, a
hundred in each world, by fixed seeds: each is killed, also between a commit and its ack; the broker restarts, with its
store and without; lines are down, cut, half-open, slow, and repeat and reorder either way; clocks jump by an hour and
by a day, and boots learn UTC late or never; disks fill up; exchanges that are epochs old and back-ups come back, the
latter while all else goes on, and boxes are cloned. When all is mended, each thing that was ever in an exchange must
be at the cloud once, with its content, gaps must declare exactly what is absent, and sums and tiles must be those of a
slow recount.

Declared are things that the box with little room said it had to drop, or that a cloud which was restored could no
longer get; merged are those that came in a sum instead. Gone with a disk are those that nobody else had when an
exchange was thrown away.
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
