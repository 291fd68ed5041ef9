import logging
from datetime import UTC, datetime

import numpy as np
import pytest
from pydantic import JsonValue
from sqlalchemy import Engine

from cloud.errors import Invalid
from cloud.ingest.tiles import PlacedTile, decode_cells, encode_cells, merge_tiles
from cloud.store import tables
from cloud.store.engine import writing
from cloud.store.moments import to_ms
from cloud.store.upsert import table_of
from protocol.tiles import Tile
from tests.support.envelopes import BOX, JsonObject, rows_of, tile

AT = datetime(2026, 11, 20, 23, 45, tzinfo=UTC)


def placed(**fields: JsonValue) -> PlacedTile:
    raw: JsonObject = tile(1, at=AT)
    raw.update(fields)
    return PlacedTile(box=BOX, at_ms=to_ms(AT), tile=Tile.read(raw))


def merge(engine: Engine, *tiles: PlacedTile) -> None:
    with writing(engine) as connection:
        merge_tiles(connection, tiles)


@pytest.mark.parametrize(
    ("length_seconds", "levels"),
    [
        pytest.param(60, [60, 3600, 86_400], id="a minute"),
        pytest.param(900, [900, 3600, 86_400], id="a quarter of an hour"),
        pytest.param(3600, [3600, 86_400], id="an hour stands once"),
        pytest.param(86_400, [86_400], id="a day stands once"),
    ],
)
def test_levels(engine: Engine, length_seconds: int, levels: list[int]) -> None:
    merge(engine, placed(length_seconds=length_seconds))
    rows = rows_of(engine, tables.Tile)
    assert sorted(row["length_seconds"] for row in rows) == levels
    assert all(decode_cells(row["cells"]).sum() == 10 for row in rows)


def test_hours_and_days_begin_in_utc(engine: Engine) -> None:
    merge(engine, placed())
    starts = {row["length_seconds"]: row["start_ms"] for row in rows_of(engine, tables.Tile)}
    midnight = datetime(2026, 11, 20, tzinfo=UTC)
    assert starts == {900: to_ms(AT), 3600: to_ms(AT.replace(minute=0)), 86_400: to_ms(midnight)}


def test_increments_of_one_and_of_several_transactions_add_up(engine: Engine) -> None:
    merge(engine, placed(cells=[1, 2], values=[3, 4]), placed(cells=[2, 3], values=[10, 20]))
    merge(engine, placed(cells=[3], values=[5]))
    (day,) = [row for row in rows_of(engine, tables.Tile) if row["length_seconds"] == 86_400]
    cells = decode_cells(day["cells"])
    assert {int(place): int(cells[place]) for place in np.flatnonzero(cells)} == {1: 3, 2: 14, 3: 25}


def test_flow_has_eight_values_a_cell(engine: Engine) -> None:
    merge(engine, placed(layer="flow", cells=[8191], values=[2]))
    cells = decode_cells(rows_of(engine, tables.Tile)[0]["cells"])
    assert (cells.shape, cells[8191]) == ((8192,), 2)


def test_a_cell_that_would_overflow_is_refused_whole(engine: Engine) -> None:
    merge(engine, placed(cells=[0], values=[2**31 - 1]))
    before = rows_of(engine, tables.Tile)
    with pytest.raises(Invalid, match="space ground-1"):
        merge(engine, placed(cells=[0], values=[1]))
    assert rows_of(engine, tables.Tile) == before


@pytest.mark.parametrize(
    "blob",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\0", id="no such thing"),
        pytest.param(encode_cells(np.ones(1024, dtype=np.int64))[:-3], id="cut short"),
        pytest.param(encode_cells(np.ones(8192, dtype=np.int64)), id="that of another layer"),
    ],
)
def test_a_damaged_tile_begins_anew_and_is_told_while_all_others_count(
    engine: Engine, blob: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    merge(engine, placed())
    with writing(engine) as connection:
        table = table_of(tables.Tile)
        connection.execute(table.update().where(table.c.length_seconds == 86_400).values(cells=blob))
    merge(engine, placed(), placed(tx=1))
    sums = {
        (row["length_seconds"], row["tx"]): decode_cells(row["cells"]).sum() for row in rows_of(engine, tables.Tile)
    }
    assert sums == {(900, 0): 20, (3600, 0): 20, (86_400, 0): 10, (900, 1): 10, (3600, 1): 10, (86_400, 1): 10}
    (told,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert f"length_seconds 86400, start_ms {to_ms(AT.replace(hour=0, minute=0))}, box {BOX}" in told.getMessage()
    assert "; it begins anew with what came" in told.getMessage()


def test_more_tiles_than_one_query_takes(engine: Engine) -> None:
    many = [placed(tx=tx) for tx in range(250)]
    merge(engine, *many)
    merge(engine, *many)
    rows = rows_of(engine, tables.Tile)
    assert len(rows) == 750
    assert {int(decode_cells(row["cells"]).sum()) for row in rows} == {20}


def test_cells_survive_storing() -> None:
    cells = np.arange(1024, dtype=np.int64)
    assert (decode_cells(encode_cells(cells)) == cells).all()
