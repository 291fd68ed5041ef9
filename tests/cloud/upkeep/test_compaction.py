"""Fine tiles are added up, and no heat map changes."""

from datetime import timedelta
from random import Random

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import Engine, update
from sqlmodel import Session

from cloud.heatmaps import read_heat
from cloud.ingest.commit import Committer
from cloud.ingest.tiles import PlacedTile, merge_tiles
from cloud.periods import Period
from cloud.store import tables
from cloud.store.engine import reading, writing
from cloud.store.metrics import BUCKET_MS, bucket_of
from cloud.store.moments import to_ms
from cloud.store.upsert import table_of
from cloud.upkeep import JobName, compaction, jobs_of, last_runs, run_job
from cloud.upkeep.compaction import add_up_fine_tiles
from protocol.tiles import Layer, Tile
from tests.support.envelopes import BOX, NOW, VENUE, deliver, enrol, envelope, rows_of, tile

AGO = timedelta(days=3)
FIRST_MS = bucket_of(to_ms(NOW - AGO))


def put(engine: Engine, minute: int, *, box: str = BOX, length_seconds: int = 60, **fields: int | str) -> None:
    """One tile, so many minutes after the first bucket began."""
    raw = {**tile(1), "length_seconds": length_seconds, **fields}
    placed = PlacedTile(box=box, at_ms=FIRST_MS + minute * 60_000, tile=Tile.read(raw))
    with writing(engine) as connection:
        merge_tiles(connection, [placed])


def lengths(engine: Engine) -> dict[int, int]:
    """How many tiles there are of each length."""
    found = [row["length_seconds"] for row in rows_of(engine, tables.Tile, box=None)]
    return {length: found.count(length) for length in sorted(set(found))}


def heat(engine: Engine, layer: Layer, start_ms: int, end_ms: int) -> dict[tuple[int, int], NDArray[np.int64]]:
    """A heat map's cells by tile."""
    period = Period(start_ms=start_ms, end_ms=end_ms)
    with reading(engine) as connection, Session(connection) as session:
        return dict(read_heat(session, venue=VENUE, space="ground-1", layer=layer, period=period).tiles)


@pytest.mark.parametrize("layer", [Layer.PRESENCE, Layer.FLOW])
def test_any_period_has_the_heat_it_had(engine: Engine, layer: Layer) -> None:
    enrol(engine)
    enrol(engine, box="box-2")
    random = Random(5)
    for _ in range(120):
        box, length = random.choice([BOX, "box-2"]), random.choice([60, 60, 300, 900, 3600])
        put(engine, random.randrange(200), box=box, length_seconds=length, layer=str(layer), tx=random.randrange(2))
    edges = range(FIRST_MS - BUCKET_MS, FIRST_MS + 15 * BUCKET_MS, BUCKET_MS)
    periods = [tuple(sorted(random.sample(edges, 2))) for _ in range(40)]
    before = [heat(engine, layer, *period) for period in periods]
    assert lengths(engine)[60] > 30
    assert sum(add_up_fine_tiles(engine, now=NOW)) > 60
    assert not {60, 300} & set(lengths(engine))
    for period, found in zip(periods, before, strict=True):
        after = heat(engine, layer, *period)
        assert after.keys() == found.keys()
        assert all(np.array_equal(after[place], cells) for place, cells in found.items())
    assert any(found for found in before)


def test_what_comes_later_is_added_up_the_next_time(engine: Engine) -> None:
    enrol(engine)
    put(engine, 0)
    put(engine, 1)
    assert sum(add_up_fine_tiles(engine, now=NOW)) == 2
    put(engine, 14)
    before = heat(engine, Layer.PRESENCE, FIRST_MS, FIRST_MS + BUCKET_MS)
    assert sum(add_up_fine_tiles(engine, now=NOW)) == 1
    assert sum(add_up_fine_tiles(engine, now=NOW)) == 0
    after = heat(engine, Layer.PRESENCE, FIRST_MS, FIRST_MS + BUCKET_MS)
    assert np.array_equal(after[0, 0], before[0, 0])
    assert after[0, 0].sum() == 30
    assert lengths(engine) == {900: 1, 3600: 1, 86_400: 1}


def test_what_is_younger_than_two_days_stays(engine: Engine) -> None:
    enrol(engine)
    young = round(timedelta(days=1) / timedelta(minutes=1))
    for minute in (0, 1, young, young + 1):
        put(engine, minute)
    assert sum(add_up_fine_tiles(engine, now=NOW)) == 2
    assert lengths(engine)[60] == 2


def test_many_tiles_go_in_many_short_transactions(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    enrol(engine)
    for minute in range(25):
        put(engine, minute)
    monkeypatch.setattr(compaction, "TILES_AT_ONCE", 10)
    before = heat(engine, Layer.PRESENCE, FIRST_MS, FIRST_MS + 2 * BUCKET_MS)
    assert list(add_up_fine_tiles(engine, now=NOW)) == [10, 10, 5]
    after = heat(engine, Layer.PRESENCE, FIRST_MS, FIRST_MS + 2 * BUCKET_MS)
    assert np.array_equal(after[0, 0], before[0, 0])


def test_tiles_that_boxes_sent_are_those_that_are_added_up(engine: Engine) -> None:
    enrol(engine)
    at = NOW - AGO
    items = [tile(seq, at=at + timedelta(minutes=seq), length_seconds=60) for seq in range(1, 11)]
    Committer(engine, lambda: NOW).commit(deliver(envelope(items)))
    assert sum(add_up_fine_tiles(engine, now=NOW)) == 10
    assert lengths(engine) == {900: 1, 3600: 1, 86_400: 1}


@pytest.mark.parametrize("length_seconds", [60, 900])
def test_a_damaged_tile_is_left_out_and_told(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, length_seconds: int
) -> None:
    """Be it a short one, or the sum that it belongs to."""
    monkeypatch.setattr(compaction, "TILES_AT_ONCE", 4)
    enrol(engine)
    for minute in (0, 20, 21, 22, 23, 24, 25):
        put(engine, minute)
    put(engine, 0, length_seconds=900)
    spoil(engine, length_seconds)
    (compacting,) = (job for job in jobs_of(retention_months=13) if job.name is JobName.COMPACTION)
    assert run_job(engine, compacting, now=NOW) == 6
    assert lengths(engine)[60] == 1
    found = last_runs(engine)["compaction"]
    assert (found.gone, found.succeeded_ms) == (6, to_ms(NOW))
    key = f"length_seconds {length_seconds}, start_ms {FIRST_MS}, box {BOX}"
    assert found.trouble.startswith("1 heat-map tiles could not be added up, such as venue ")
    assert key in found.trouble
    assert key in caplog.text


def spoil(engine: Engine, length_seconds: int) -> None:
    """Damage the first tile of a length."""
    table = table_of(tables.Tile)
    first = (table.c.length_seconds == length_seconds) & (table.c.start_ms == FIRST_MS)
    with writing(engine) as connection:
        assert connection.execute(update(table).where(first).values(cells=b"broken")).rowcount == 1
