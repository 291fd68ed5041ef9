"""Whatever the network does to envelopes, the tables end as if each item had come once."""

import json
import struct
import zlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import timedelta
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, RowMapping

from cloud.ingest.commit import Committer
from cloud.store.tables import (
    Box,
    Camera,
    CameraState,
    DeadLetter,
    Event,
    GapRecord,
    Held,
    Layout,
    LayoutChange,
    Receipt,
    Rollup,
    RollupPeak,
    Tile,
)
from tests.support.envelopes import (
    NOW,
    JsonObject,
    camera_health,
    configuration,
    deliver,
    enrol,
    envelope,
    occupancy,
    rows_of,
)
from tests.support.recount import recount
from tests.support.traffic import EPOCHS, Sent, Traffic, traffic

_BOX_NUMBERS = count(1)


@pytest.mark.parametrize("overlapping", [False, True], ids=["gaps apart from items", "gaps over items"])
@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(drawn=traffic())
def test_any_delivery_ends_as_if_each_item_had_come_once(engine: Engine, drawn: Traffic, *, overlapping: bool) -> None:
    box = f"box-{next(_BOX_NUMBERS)}"
    enrol(engine, box=box)
    committer = Committer(engine, lambda: NOW)
    through: dict[str, int] = defaultdict(int)

    def send(batch: Sequence[Sent]) -> None:
        payloads = [
            envelope([drawn.items[epoch, seq] for seq in seqs], box=box, epoch=epoch, head=EPOCHS[1], gaps=_moved(gaps))
            for epoch, seqs, gaps in batch
        ]
        for answer in committer.commit(deliver(*payloads, box=box)):
            assert answer.ack.refused is None
            assert (answer.ack.through or 0) >= through[answer.ack.epoch or ""]
            through[answer.ack.epoch or ""] = answer.ack.through or 0

    def _moved(gaps: list[JsonObject]) -> list[JsonObject]:
        shift = 0 if overlapping else 20
        return [{**one, "from_seq": one["from_seq"] + shift, "to_seq": one["to_seq"] + shift} for one in gaps]  # type: ignore[operator]

    for batch in drawn.batches:
        send(batch)
    _check_every_seq_once(engine, box, drawn, dict(through), overlapping=overlapping)
    _check_sums(engine, box)
    models = (Event, Held, DeadLetter, GapRecord, Receipt, Rollup, RollupPeak, Tile, CameraState, Layout, LayoutChange)
    before = [rows_of(engine, model, box=box) for model in models]
    for batch in reversed(drawn.batches):
        send(batch)
    assert [rows_of(engine, model, box=box) for model in models] == before


def _check_every_seq_once(
    engine: Engine, box: str, drawn: Traffic, through: dict[str, int], *, overlapping: bool
) -> None:
    events, held, dead = (rows_of(engine, model, box=box) for model in (Event, Held, DeadLetter))
    for row in [*events, *held, *dead]:
        assert json.loads(row["body"]) == drawn.items[row["epoch"], row["seq"]]
    settled = Counter((row["epoch"], row["seq"]) for row in [*events, *held, *dead])
    for row in rows_of(engine, GapRecord, box=box):
        settled.update((row["epoch"], seq) for seq in range(row["first_seq"], row["last_seq"] + 1))
    receipts = Counter(
        (row["epoch"], seq)
        for row in rows_of(engine, Receipt, box=box)
        for seq in range(row["first_seq"], row["last_seq"] + 1)
    )
    assert settled == receipts
    assert set(receipts.values()) <= {1}
    assert drawn.items.keys() <= receipts.keys()
    if not overlapping:
        assert len(events) + len(held) + len(dead) == len(drawn.items)
    for epoch, answered in through.items():
        assert answered == next(number for number in count() if (epoch, number + 1) not in receipts)


def _check_sums(engine: Engine, box: str) -> None:
    wanted = recount(json.loads(row["body"]) for row in rows_of(engine, Event, box=box))
    assert {_key(row): row["value"] for row in rows_of(engine, Rollup, box=box)} == wanted.sums
    assert {_key(row): row["value"] for row in rows_of(engine, RollupPeak, box=box)} == wanted.peaks
    assert {_tile_key(row): _tile_cells(row) for row in rows_of(engine, Tile, box=box)} == wanted.cells


def _key(row: RowMapping) -> tuple[object, ...]:
    parts = (row["metric"], row["scope"], row["subject"], row["bucket_ms"])
    return (*parts, row["bin"]) if "bin" in row else parts


def _tile_key(row: RowMapping) -> tuple[object, ...]:
    return tuple(row[name] for name in ("space", "layer", "length_seconds", "start_ms", "camera", "tx", "ty"))


def _tile_cells(row: RowMapping) -> dict[int, int]:
    raw = zlib.decompress(row["cells"])
    assert len(raw) == 4 * 1024 * (8 if row["layer"] == "flow" else 1)
    return {cell: value for cell, (value,) in enumerate(struct.iter_unpack("<i", raw)) if value}


@settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(range(6)))
def test_cameras_do_not_depend_on_the_order_of_arrival(engine: Engine, order: list[int]) -> None:
    box = f"camera-box-{next(_BOX_NUMBERS)}"
    enrol(engine, box=box)
    hours = [NOW - timedelta(hours=back) for back in range(10)]
    sent = [
        configuration(1, at=hours[9], config="1" * 32, cameras=["cam-1", "cam-2"]),
        camera_health(2, at=hours[8], camera="cam-1", state="online"),
        camera_health(3, at=hours[7], camera="cam-1", state="offline"),
        configuration(4, at=hours[6], config="2" * 32, cameras=["cam-1", "cam-3"]),
        occupancy(5, at=hours[5]),
        camera_health(6, at=hours[4], camera="cam-3", state="degraded"),
    ]
    committer = Committer(engine, lambda: NOW)
    for place in order:
        committer.commit(deliver(envelope([sent[place]], box=box), box=box))
    cameras = {row["camera"]: row for row in rows_of(engine, Camera, box=box)}
    assert {name: row["state"] for name, row in cameras.items()} == {"cam-1": "offline", "cam-3": "degraded"}
    assert cameras["cam-1"]["last_report_ms"] == round(hours[5].timestamp() * 1000)
    assert {row["config"][0] for row in rows_of(engine, Layout, box=box)} == {"1", "2"}
    assert rows_of(engine, Box, box=box)[0]["position"] == 6
