"""What a cloud's database has counted, in the form of a recount."""

from sqlalchemy import Engine, text

from cloud.ingest.tiles import decode_cells
from tests.support.recount import Recount

__all__ = ["stored"]


def stored(engine: Engine) -> Recount:
    """Sums, peaks and cells of all boxes together; made for one box."""
    found = Recount()
    with engine.connect() as connection:
        sums = connection.execute(text("SELECT metric, scope, subject, bucket_ms, bin, value FROM rollup")).all()
        peaks = connection.execute(text("SELECT metric, scope, subject, bucket_ms, value FROM rollup_peak")).all()
        tiles = connection.execute(
            text("SELECT space, layer, length_seconds, start_ms, camera, tx, ty, cells FROM tile")
        ).all()
    for *key, value in sums:
        found.sums[tuple(key)] = value
    for *key, value in peaks:
        found.peaks[tuple(key)] = value
    for *key, cells in tiles:
        values = decode_cells(cells).ravel().tolist()
        found.cells[tuple(key)].update({cell: value for cell, value in enumerate(values) if value})
    return found
