"""What a box says of itself: births, deaths, and who is there right now. The last word counts, nothing is summed.

Knows the status and live messages and where they are kept; nothing of items.
"""

from sqlalchemy import Connection, select

from cloud.ingest.boxes import LockedBox
from cloud.ingest.intake import LiveDelivery, StatusDelivery
from cloud.store.moments import to_ms
from cloud.store.tables import Live as LiveRow
from cloud.store.upsert import replace, table_of
from protocol.status import BoxState

__all__ = ["keep_live", "note_status"]

AHEAD_MS = 5_000
"""By so much a box's clock may be ahead of this machine's and its word be taken as it is."""
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


def keep_live(connection: Connection, box: LockedBox, delivery: LiveDelivery, *, now_ms: int) -> None:
    """Keep a live message of the venue in which the box is enrolled, unless a newer one is there.

    What a box whose clock is ahead says was said when it came, or, where the broker kept it, nobody knows when; and
    what is there from the future, as by a clock since corrected, is not newer than anything.
    """
    live = delivery.live
    enrolled = any(
        one.venue == live.venue and one.from_ms <= now_ms and (one.until_ms is None or now_ms < one.until_ms)
        for one in box.enrolments
    )
    at_ms = to_ms(live.at)
    if at_ms > now_ms + AHEAD_MS:
        if delivery.retained:
            return
        at_ms = now_ms
    newest = connection.execute(select(_LIVE.c.at_ms).where(_LIVE.c.box == box.box)).scalar_one_or_none()
    if not enrolled or (newest is not None and at_ms < newest <= now_ms + AHEAD_MS):
        return
    row = {"box": box.box, "venue": live.venue, "at_ms": at_ms, "body": live.to_json()}
    replace(connection, LiveRow, [row])
