"""Whether anything that can be published breaks what reads it: hostile messages to the cloud, hostile answers to a box.

Nine in ten are envelopes, statuses and live messages, bent as JSON or as bytes, some on odd topics; they go through the
ingest into SQLite, twenty in a transaction. The tenth are acknowledgements of a box's envelopes, bent likewise, that
its uplink takes. `broken` counts what must not happen: an exception, a message the database cannot store, no answer
where one is due, a seq that is kept twice or not at all. Each should be read within milliseconds.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

from cloud.store.engine import open_engine
from cloud.store.schema import migrate
from tests.support.hostile_trial import attack_box, attack_cloud

__all__ = ["main"]

INPUTS = 200_000
SHARE_OF_BOX = 10


def main() -> None:
    """Try so many inputs, and end with one line of figures."""
    inputs = int(sys.argv[1]) if sys.argv[1:] else INPUTS
    seed = int(sys.argv[2]) if sys.argv[2:] else time.time_ns()
    print(f"seed {seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="footfall-benchmark-") as folder:
        engine = open_engine(f"sqlite:///{folder}/footfall.sqlite")
        migrate(engine)
        box = attack_box(Path(folder), seed=seed, inputs=inputs // SHARE_OF_BOX)
        cloud = attack_cloud(engine, seed=seed, inputs=inputs - box.inputs)
        engine.dispose()
    for said in (cloud.broken + box.broken)[:20]:
        print(said[:2_000])
    figures = {
        "inputs": cloud.inputs + box.inputs,
        "broken": len(cloud.broken) + len(box.broken),
        "cloud": {"messages": cloud.inputs, "slowest_ms": round(cloud.slowest_ms, 1), **cloud.kinds, **cloud.items},
        "box": {"answers": box.inputs, "slowest_ms": round(box.slowest_ms, 1)},
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
