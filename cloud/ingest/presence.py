"""What a box says of itself: births, deaths, and who is there right now. The last word counts, nothing is summed.

Knows the status and live messages and where they are kept; nothing of items.
"""

from sqlalchemy import Connection, select

from cloud.ingest.boxes import LockedBox
from cloud.ingest.intake import StatusDelivery
from cloud.store.moments import to_ms
from cloud.store.tables import Live as LiveRow
from cloud.store.upsert import replace, table_of
from protocol.status import BoxState, Live

__all__ = ["keep_live", "note_status"]

_LIVE = table_of(LiveRow)


def note_status(box: LockedBox, delivery: StatusDelivery, *, now_ms: int) -> None:
    """Follow a birth; follow a death unless it is that of an earlier session, which the broker told late."""
    status = delivery.status
    if status.state is BoxState.OFFLINE and box.session not in {None, status.session}:
        return
    box.state = str(status.state)
    if status.state is BoxState.ONLINE:
        box.session = status.session
        box.status = status.to_json()
    if not delivery.retained:
        box.saw(now_ms)


def keep_live(connection: Connection, box: LockedBox, live: Live, *, now_ms: int) -> None:
    """Keep a live message of the venue in which the box is enrolled, unless a newer one is there."""
    enrolled = any(
        one.venue == live.venue and one.from_ms <= now_ms and (one.until_ms is None or now_ms < one.until_ms)
        for one in box.enrolments
    )
    at_ms = to_ms(live.at)
    newest = connection.execute(select(_LIVE.c.at_ms).where(_LIVE.c.box == box.box)).scalar_one_or_none()
    if not enrolled or (newest is not None and newest > at_ms):
        return
    row = {"box": box.box, "venue": live.venue, "at_ms": at_ms, "body": live.to_json()}
    replace(connection, LiveRow, [row])
