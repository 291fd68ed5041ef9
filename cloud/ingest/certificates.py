"""A certificate of a line, as a row."""

from cloud.ingest.judgement import Counted
from cloud.store.upsert import Row
from protocol.events import CameraCertificate, Checked

__all__ = ["certificate_row"]


def certificate_row(item: CameraCertificate, counted: Counted, *, box: str, epoch: str, received_ms: int) -> Row:
    """The row that keeps it."""
    return {
        "box": box,
        "epoch": epoch,
        "seq": item.seq,
        "venue": item.venue,
        "camera": item.camera,
        "line": item.line,
        "setup": item.setup,
        "model": item.model,
        "model_digest": item.model_digest,
        "method": str(item.method),
        "length_seconds": item.length_seconds,
        "at_ms": counted.at_ms,
        "latest_ms": counted.latest_ms,
        "received_ms": received_ms,
        **_columns("in", item.inward),
        **_columns("out", item.outward),
    }


def _columns(direction: str, checked: Checked | None) -> Row:
    return {
        f"{direction}_{name}": None if checked is None else getattr(checked, name)
        for name in ("counted", "by_hand", "matched")
    }
