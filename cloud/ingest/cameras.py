"""Which cameras a box has and how they fare, as configurations, health changes and minute reports tell it.

The newest configuration decides which cameras there are; the newest health change decides a camera's state. Both
are looked up in what is stored, so that the order in which items arrive changes nothing. A health change without a
place in time is placed at the latest that it can have been.
"""

from dataclasses import dataclass, field

from sqlalchemy import Connection, delete, desc, func, select, update

from cloud.ingest.judgement import Counted
from cloud.store.body import body_of
from cloud.store.metrics import Peak, Scope
from cloud.store.tables import Camera, CameraState, Layout, LayoutChange, RollupPeak
from cloud.store.upsert import Row, insert_rows, replace, table_of
from protocol.envelope import ReadItem
from protocol.events import CameraHealth, Configuration, Occupancy

__all__ = ["CameraNews", "keep_cameras"]

_CAMERA, _STATE, _LAYOUT, _PEAK = table_of(Camera), table_of(CameraState), table_of(Layout), table_of(RollupPeak)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Configured:
    box: str
    epoch: str
    at_ms: int | None
    received_ms: int
    item: Configuration
    body: str


@dataclass(kw_only=True, slots=True)
class CameraNews:
    """What the items of one transaction say about cameras."""

    configured: list[_Configured] = field(default_factory=list)
    states: list[Row] = field(default_factory=list)
    reported: dict[tuple[str, str], int] = field(default_factory=dict)

    def note(self, *, box: str, epoch: str, read: ReadItem, counted: Counted, received_ms: int) -> None:
        """Take from an item what it says about cameras."""
        item, at_ms = counted.item, counted.at_ms
        match item:
            case Configuration():
                body = body_of(read.raw.get("layout"))
                self.configured.append(
                    _Configured(box=box, epoch=epoch, at_ms=at_ms, received_ms=received_ms, item=item, body=body)
                )
            case CameraHealth():
                self.states.append(_state_row(box, epoch, item, counted.latest_ms, received_ms))
            case Occupancy() if at_ms is not None:
                for camera in item.cameras:
                    key = (box, camera.camera)
                    self.reported[key] = max(at_ms, self.reported.get(key, at_ms))


def keep_cameras(connection: Connection, news: CameraNews, *, now_ms: int) -> None:
    """Write what is new about cameras; after the roll-ups, whose peaks know the last reports."""
    insert_rows(connection, CameraState, sorted(news.states, key=lambda row: (str(row["box"]), str(row["camera"]))))
    stale = {(str(row["box"]), str(row["camera"])) for row in news.states}
    for configured in news.configured:
        if _is_newest(connection, configured):
            stale |= _set_cameras(connection, configured)
        _keep_layout(connection, configured, now_ms)
        _keep_change(connection, configured)
    for box, camera in sorted(stale):
        _refresh_state(connection, box, camera)
    for (box, camera), at_ms in sorted(news.reported.items()):
        connection.execute(
            update(_CAMERA)
            .where(_CAMERA.c.box == box, _CAMERA.c.camera == camera)
            .where(func.coalesce(_CAMERA.c.last_report_ms, 0) < at_ms)
            .values(last_report_ms=at_ms)
        )


def _state_row(box: str, epoch: str, item: CameraHealth, at_ms: int, received_ms: int) -> Row:
    return {
        "box": box,
        "epoch": epoch,
        "seq": item.seq,
        "venue": item.venue,
        "camera": item.camera,
        "at_ms": at_ms,
        "received_ms": received_ms,
        "state": str(item.state),
        "reason": str(item.reason),
    }


def _is_newest(connection: Connection, configured: _Configured) -> bool:
    """Newer by time, then by seq within an epoch; of equal times in two epochs, the one that came last."""
    query = select(_LAYOUT.c.at_ms, _LAYOUT.c.epoch, _LAYOUT.c.seq).where(_LAYOUT.c.box == configured.box)
    at_ms = configured.at_ms or 0
    for row in connection.execute(query):
        other_ms = row.at_ms or 0
        if other_ms > at_ms:
            return False
        if other_ms == at_ms and row.epoch == configured.epoch and row.seq > configured.item.seq:
            return False
    return True


def _keep_layout(connection: Connection, configured: _Configured, now_ms: int) -> None:
    """Store the layout, or, when it was there before, the last time that it was said."""
    item = configured.item
    same = (_LAYOUT.c.box == configured.box) & (_LAYOUT.c.venue == item.venue) & (_LAYOUT.c.config == item.config)
    found = connection.execute(select(_LAYOUT.c.at_ms).where(same)).one_or_none()
    if found is not None and (found.at_ms or 0) > (configured.at_ms or 0):
        return
    row = {
        "box": configured.box,
        "config": item.config,
        "venue": item.venue,
        "at_ms": configured.at_ms,
        "epoch": configured.epoch,
        "seq": item.seq,
        "received_ms": now_ms,
        "body": configured.body,
    }
    replace(connection, Layout, [row])


def _keep_change(connection: Connection, configured: _Configured) -> None:
    """Note from when on the layout was in force, where that is known."""
    if configured.at_ms is None:
        return
    item = configured.item
    row = {
        "box": configured.box,
        "epoch": configured.epoch,
        "seq": item.seq,
        "venue": item.venue,
        "config": item.config,
        "at_ms": configured.at_ms,
        "received_ms": configured.received_ms,
    }
    insert_rows(connection, LayoutChange, [row])


def _set_cameras(connection: Connection, configured: _Configured) -> set[tuple[str, str]]:
    """Make the box's cameras those of the layout; the ones that are new here."""
    box, venue, layout = configured.box, configured.item.venue, configured.item.layout
    before = set(connection.execute(select(_CAMERA.c.camera).where(_CAMERA.c.box == box)).scalars())
    cameras = {camera.camera: camera for camera in layout.cameras}
    rows = [
        {"box": box, "camera": name, "venue": venue, "scene": camera.scene, "space": camera.space}
        for name, camera in sorted(cameras.items())
    ]
    named = {row["camera"] for row in rows}
    connection.execute(delete(_CAMERA).where(_CAMERA.c.box == box, _CAMERA.c.camera.in_(before - named)))
    new = [{**row, "state": "unknown", "reason": "none"} for row in rows if row["camera"] not in before]
    insert_rows(connection, Camera, new)
    for row in rows:
        place = {"venue": venue, "scene": row["scene"], "space": row["space"]}
        matches = (_CAMERA.c.box == box) & (_CAMERA.c.camera == row["camera"])
        connection.execute(update(_CAMERA).where(matches).values(place))
    for row in new:
        _find_last_report(connection, venue, box, row["camera"])
    return {(box, row["camera"]) for row in new}


def _find_last_report(connection: Connection, venue: str, box: str, camera: str) -> None:
    newest = select(func.max(_PEAK.c.value)).where(
        _PEAK.c.venue == venue,
        _PEAK.c.metric == Peak.REPORTED_AT_MS,
        _PEAK.c.scope == Scope.CAMERA,
        _PEAK.c.box == box,
        _PEAK.c.subject == camera,
    )
    matches = (_CAMERA.c.box == box) & (_CAMERA.c.camera == camera)
    connection.execute(update(_CAMERA).where(matches).values(last_report_ms=newest.scalar_subquery()))


def _refresh_state(connection: Connection, box: str, camera: str) -> None:
    """Give a camera the state of its newest health change; of equal times, that which came last."""
    query = (
        select(_STATE.c.state, _STATE.c.reason, _STATE.c.at_ms)
        .where(_STATE.c.box == box, _STATE.c.camera == camera)
        .order_by(desc(_STATE.c.at_ms), desc(_STATE.c.received_ms), desc(_STATE.c.seq))
        .limit(1)
    )
    newest = connection.execute(query).one_or_none()
    if newest is not None:
        matches = (_CAMERA.c.box == box) & (_CAMERA.c.camera == camera)
        values = {"state": newest.state, "reason": newest.reason, "state_since_ms": newest.at_ms}
        connection.execute(update(_CAMERA).where(matches).values(values))
