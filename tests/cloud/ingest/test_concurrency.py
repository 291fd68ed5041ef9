"""Several workers on one database: each item counts once, and nobody waits in a circle."""

import random
import threading

from sqlalchemy import Engine

from cloud.ingest.commit import Committer
from cloud.store.tables import Box, Event, Receipt, Rollup, Tile
from tests.support.envelopes import NOW, deliver, enrol, envelope, rows_of, tile, visit

BOXES = ("box-1", "box-2", "box-3")
WORKERS = 4


def test_workers_that_get_the_same_envelopes(engine: Engine) -> None:
    for box in BOXES[:2]:  # the third is unknown to all workers
        enrol(engine, box=box)
    sent = [
        delivery
        for box in BOXES
        for first in range(1, 41, 4)
        for delivery in deliver(
            envelope([visit(first), visit(first + 1), tile(first + 2), visit(first + 3)], box=box), box=box
        )
    ]
    failures: list[BaseException] = []
    positions: list[tuple[str, int]] = []

    def work(seed: int) -> None:
        order = random.Random(seed)
        mine = order.sample(sent, k=len(sent))
        committer = Committer(engine, lambda: NOW)
        try:
            while mine:
                size = order.randint(1, 6)
                batch, mine = mine[:size], mine[size:]
                positions.extend((answer.box, answer.ack.position) for answer in committer.commit(batch))
        except BaseException as error:  # noqa: BLE001  whatever it is, the test's own thread has to see it
            failures.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(WORKERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    for box in BOXES:
        own = sorted(position for name, position in positions if name == box)
        assert own == list(range(1, len(own) + 1))
        assert [row["position"] for row in rows_of(engine, Box, box=box)] == own[-1:]
    for box in BOXES[:2]:
        assert [row["seq"] for row in rows_of(engine, Event, box=box)] == list(range(1, 41))
        assert [(row["first_seq"], row["last_seq"]) for row in rows_of(engine, Receipt, box=box)] == [(1, 40)]
        sums = {row["metric"]: row["value"] for row in rows_of(engine, Rollup, box=box)}
        assert (sums["visits"], sums["dwell_ms"]) == (30, 30 * 42_500)
        assert len(rows_of(engine, Tile, box=box)) == 3
