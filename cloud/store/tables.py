"""The tables, as SQLModel classes: the schema's one description, from which migrations are checked.

Times are UTC whole milliseconds since 1970 in BIGINT columns (`…_ms`), so that SQLite and PostgreSQL agree to the bit.
Everything the boxes sent is kept as the JSON text that came; roll-ups and tiles are sums of it and can be recounted.
The ingest path writes these through SQLAlchemy Core, never as objects.
"""

from sqlalchemy import BigInteger, Column, Index, LargeBinary, Text, text
from sqlmodel import Field, SQLModel

__all__ = [
    "Alert",
    "ApiKey",
    "AuditEntry",
    "Box",
    "Camera",
    "CameraState",
    "Certificate",
    "DeadLetter",
    "DeviceCertificate",
    "Enrolment",
    "EnrolmentCode",
    "EpochRecord",
    "Event",
    "FloorPlan",
    "Forgotten",
    "GapRecord",
    "Held",
    "JobRun",
    "Layout",
    "LayoutChange",
    "Lease",
    "Live",
    "OneTimeLink",
    "Receipt",
    "Rollup",
    "RollupDue",
    "RollupLong",
    "RollupLongPeak",
    "RollupPeak",
    "StoreIdentity",
    "Tile",
    "User",
    "UserSession",
    "Venue",
    "WebhookDelivery",
]


def _big(*, key: bool = False, nullable: bool = False) -> Column[int]:
    return Column(BigInteger, primary_key=key, nullable=nullable, autoincrement=False)


class StoreIdentity(SQLModel, table=True):
    """Which database this is: one row, whose ULID changes at every restore."""

    __tablename__ = "store"
    id: int = Field(default=1, primary_key=True)
    store: str
    created_ms: int = Field(sa_column=_big())


class Venue(SQLModel, table=True):
    """A place of business. Archived venues keep their data and leave the lists."""

    __tablename__ = "venue"
    venue: str = Field(primary_key=True)
    name: str
    timezone: str
    kind: str
    city: str = ""
    country: str = ""
    latitude: float | None = None
    longitude: float | None = None
    h3_cell: str | None = Field(default=None, index=True)
    area_m2: float | None = None
    capacity: int | None = None
    opening_hours: str = Field(default="{}", sa_column=Column(Text, nullable=False))
    retention_months: int | None = None
    created_ms: int = Field(sa_column=_big())
    archived_ms: int | None = Field(default=None, sa_column=_big(nullable=True))


class FloorPlan(SQLModel, table=True):
    """An image of a floor and how it lies in metres: the pixel of the origin, and metres a pixel."""

    __tablename__ = "floor_plan"
    venue: str = Field(primary_key=True, foreign_key="venue.venue")
    floor: str = Field(primary_key=True)
    name: str
    media_type: str
    width_px: int
    height_px: int
    metres_per_pixel: float
    origin_x_px: float
    origin_y_px: float
    sha256: str
    image: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    updated_ms: int = Field(sa_column=_big())


class Box(SQLModel, table=True):
    """A box: its last birth certificate as it came, the acks it was given, and the hash of its device key.

    `state` and `session` follow births and deaths. `position` counts acks; it is read and raised under the row's lock.
    `venue` is the present enrolment. `revoked_ms` is since when it is shut out, until it is enrolled anew.
    `dead_letters` counts all that could not be taken, also after the letters themselves have aged out.
    """

    __tablename__ = "box"
    box: str = Field(primary_key=True)
    venue: str | None = Field(default=None, foreign_key="venue.venue", index=True)
    key_sha256: str | None = None
    position: int = Field(default=0, sa_column=_big())
    head: str | None = None
    state: str = "unknown"
    session: str | None = None
    status: str = Field(default="{}", sa_column=Column(Text, nullable=False))
    first_seen_ms: int | None = Field(default=None, sa_column=_big(nullable=True))
    last_seen_ms: int | None = Field(default=None, sa_column=_big(nullable=True))
    revoked_ms: int | None = Field(default=None, sa_column=_big(nullable=True))
    dead_letters: int = Field(default=0, sa_column=Column(BigInteger, nullable=False, server_default=text("0")))


class DeviceCertificate(SQLModel, table=True):
    """A client's certificate that the cloud's authority signed: for a box or a worker (`holder`), in its name."""

    __tablename__ = "device_certificate"
    serial: str = Field(primary_key=True)
    holder: str
    name: str = Field(index=True)
    issued_ms: int = Field(sa_column=_big())
    expires_ms: int = Field(sa_column=_big())
    revoked_ms: int | None = Field(default=None, sa_column=_big(nullable=True))


class EnrolmentCode(SQLModel, table=True):
    """A code by which a box may enrol, until it is used; `attempts` is how many wrong secrets it still bears."""

    __tablename__ = "enrolment_code"
    id: str = Field(primary_key=True)
    box: str = Field(foreign_key="box.box", index=True)
    secret_sha256: str
    expires_ms: int = Field(sa_column=_big())
    attempts: int


class Enrolment(SQLModel, table=True):
    """Which venue a box belonged to, from when (0 for ever) until when (null for still)."""

    __tablename__ = "enrolment"
    box: str = Field(primary_key=True, foreign_key="box.box")
    from_ms: int = Field(sa_column=_big(key=True))
    until_ms: int | None = Field(default=None, sa_column=_big(nullable=True))
    venue: str = Field(foreign_key="venue.venue")


class EpochRecord(SQLModel, table=True):
    """An epoch of a box as head: when it last sent as such, and when another took over; in the box's time where told.

    `doubted` where the one that took over seems to be the older: then this one may come back once. `cloned` is set
    when a superseded head sends again otherwise; from then its items are held until a person decides.
    """

    __tablename__ = "epoch"
    box: str = Field(primary_key=True)
    epoch: str = Field(primary_key=True)
    last_ms: int = Field(sa_column=_big())
    superseded_ms: int | None = Field(default=None, sa_column=_big(nullable=True))
    doubted: bool = False
    cloned: bool = False


class Receipt(SQLModel, table=True):
    """Settled seqs of one epoch as disjoint, never adjacent ranges: the whole of deduplication, for ever."""

    __tablename__ = "receipt"
    box: str = Field(primary_key=True)
    epoch: str = Field(primary_key=True)
    first_seq: int = Field(sa_column=_big(key=True))
    last_seq: int = Field(sa_column=_big())


class Event(SQLModel, table=True):
    """An item as it came. `at_ms` is null for one that could not be placed in time."""

    __tablename__ = "event"
    __table_args__ = (Index("event_by_venue", "venue", "type", "at_ms"), Index("event_by_time", "at_ms"))
    box: str = Field(primary_key=True)
    epoch: str = Field(primary_key=True)
    seq: int = Field(sa_column=_big(key=True))
    type: str
    venue: str
    scene: str | None = None
    config: str
    at_ms: int | None = Field(default=None, sa_column=_big(nullable=True))
    received_ms: int = Field(sa_column=_big())
    body: str = Field(sa_column=Column(Text, nullable=False))


class Forgotten(SQLModel, table=True):
    """How many items of a type came under a block of seqs and have aged out since; `first_seq` names the block.

    A gap that reaches over them has not lost them.
    """

    __tablename__ = "forgotten"
    __table_args__ = {"sqlite_with_rowid": False}
    box: str = Field(primary_key=True)
    epoch: str = Field(primary_key=True)
    first_seq: int = Field(sa_column=_big(key=True))
    type: str = Field(primary_key=True)
    value: int = Field(sa_column=_big())


class Held(SQLModel, table=True):
    """An acknowledged item that may not count yet, and why.

    reason: unknown-type, newer-schema, future, not-enrolled or clone. Exempt from retention.
    """

    __tablename__ = "held"
    __table_args__ = (Index("held_by_reason", "reason", "due_ms"),)
    box: str = Field(primary_key=True)
    epoch: str = Field(primary_key=True)
    seq: int = Field(sa_column=_big(key=True))
    type: str
    venue: str
    reason: str
    due_ms: int | None = Field(default=None, sa_column=_big(nullable=True))
    received_ms: int = Field(sa_column=_big())
    body: str = Field(sa_column=Column(Text, nullable=False))


class DeadLetter(SQLModel, table=True):
    """What could not be taken: an item that breaks its model (with its seq), or a payload that could not be read."""

    __tablename__ = "dead_letter"
    __table_args__ = (Index("dead_letter_by_box", "box", "received_ms"),)
    id: str = Field(primary_key=True)
    box: str
    epoch: str | None = None
    seq: int | None = Field(default=None, sa_column=_big(nullable=True))
    sha256: str
    reason: str
    received_ms: int = Field(sa_column=_big())
    body: str = Field(sa_column=Column(Text, nullable=False))


class GapRecord(SQLModel, table=True):
    """The part of a declared gap that no receipt covered."""

    __tablename__ = "gap"
    box: str = Field(primary_key=True)
    epoch: str = Field(primary_key=True)
    first_seq: int = Field(sa_column=_big(key=True))
    last_seq: int = Field(sa_column=_big())
    reason: str
    start_ms: int | None = Field(default=None, sa_column=_big(nullable=True))
    end_ms: int | None = Field(default=None, sa_column=_big(nullable=True))
    lost_by_type: str = Field(default="[]", sa_column=Column(Text, nullable=False))
    received_ms: int = Field(sa_column=_big())


class Layout(SQLModel, table=True):
    """A configuration by its hash, as the box sent it in a venue: two venues keep their own copy of the same one.

    The greatest `at_ms` of a box is its newest; `epoch` and `seq` name the item that last said so.
    """

    __tablename__ = "layout"
    box: str = Field(primary_key=True)
    venue: str = Field(primary_key=True, index=True)
    config: str = Field(primary_key=True)
    at_ms: int | None = Field(default=None, sa_column=_big(nullable=True))
    epoch: str
    seq: int = Field(sa_column=_big())
    received_ms: int = Field(sa_column=_big())
    body: str = Field(sa_column=Column(Text, nullable=False))


class LayoutChange(SQLModel, table=True):
    """From `at_ms` on a box saw by the layout `config`, in a venue; named by the `configuration` item that said so."""

    __tablename__ = "layout_change"
    box: str = Field(primary_key=True)
    epoch: str = Field(primary_key=True)
    seq: int = Field(sa_column=_big(key=True))
    venue: str
    config: str
    at_ms: int = Field(sa_column=_big())
    received_ms: int = Field(sa_column=_big())


class Camera(SQLModel, table=True):
    """A camera as the newest layout of its box describes it."""

    __tablename__ = "camera"
    box: str = Field(primary_key=True)
    camera: str = Field(primary_key=True)
    venue: str = Field(index=True)
    scene: str
    space: str
    state: str = "unknown"
    reason: str = "none"
    state_since_ms: int | None = Field(default=None, sa_column=_big(nullable=True))
    last_report_ms: int | None = Field(default=None, sa_column=_big(nullable=True))


class CameraState(SQLModel, table=True):
    """A change of a camera's health, from `camera-health` items; `at_ms` is when, or the latest it can have been."""

    __tablename__ = "camera_state"
    __table_args__ = (Index("camera_state_by_camera", "box", "camera", "at_ms"),)
    box: str = Field(primary_key=True)
    epoch: str = Field(primary_key=True)
    seq: int = Field(sa_column=_big(key=True))
    venue: str
    camera: str
    at_ms: int = Field(sa_column=_big())
    received_ms: int = Field(sa_column=_big())
    state: str
    reason: str


class Certificate(SQLModel, table=True):
    """How a line's counts compare with a person's, from a `camera-certificate` item; null for a direction not checked.

    It is of the line while the layout in force gives it the same `setup`. `latest_ms` is `at_ms`, or where that is null
    the latest it can have been.
    """

    __tablename__ = "certificate"
    box: str = Field(primary_key=True)
    epoch: str = Field(primary_key=True)
    seq: int = Field(sa_column=_big(key=True))
    venue: str = Field(index=True)
    camera: str
    line: str
    setup: str
    model: str
    model_digest: str | None = None
    method: str
    length_seconds: int
    at_ms: int | None = Field(default=None, sa_column=_big(nullable=True))
    latest_ms: int = Field(sa_column=_big())
    received_ms: int = Field(sa_column=_big())
    in_counted: int | None = None
    in_by_hand: int | None = None
    in_matched: int | None = None
    out_counted: int | None = None
    out_by_hand: int | None = None
    out_matched: int | None = None


class Live(SQLModel, table=True):
    """The newest `live` message of a box."""

    __tablename__ = "live"
    box: str = Field(primary_key=True)
    venue: str = Field(index=True)
    at_ms: int = Field(sa_column=_big())
    body: str = Field(sa_column=Column(Text, nullable=False))


class Rollup(SQLModel, table=True):
    """A sum over one 15-minute UTC bucket.

    scope is scene, camera, zone or line and `subject` its id, unique within a box; `metric` names what is summed,
    `bin` is the histogram bin or the direction (0 where there is none). Rows of one box change under that box's lock.
    """

    __tablename__ = "rollup"
    __table_args__ = {"sqlite_with_rowid": False}
    venue: str = Field(primary_key=True)
    metric: str = Field(primary_key=True)
    scope: str = Field(primary_key=True)
    bucket_ms: int = Field(sa_column=_big(key=True))
    box: str = Field(primary_key=True)
    subject: str = Field(primary_key=True)
    bin: int = Field(primary_key=True)
    value: int = Field(sa_column=_big())


class RollupPeak(SQLModel, table=True):
    """The greatest value seen in one 15-minute UTC bucket."""

    __tablename__ = "rollup_peak"
    __table_args__ = {"sqlite_with_rowid": False}
    venue: str = Field(primary_key=True)
    metric: str = Field(primary_key=True)
    scope: str = Field(primary_key=True)
    bucket_ms: int = Field(sa_column=_big(key=True))
    box: str = Field(primary_key=True)
    subject: str = Field(primary_key=True)
    value: int = Field(sa_column=_big())


class RollupLong(SQLModel, table=True):
    """A sum over an hour (3600) or a day (86400) in UTC, of the same rows of `rollup`, once the upkeep has made it.

    It holds for as long as no RollupDue names the box's day; where one does, it is of an earlier moment.
    """

    __tablename__ = "rollup_long"
    __table_args__ = {"sqlite_with_rowid": False}
    venue: str = Field(primary_key=True)
    metric: str = Field(primary_key=True)
    scope: str = Field(primary_key=True)
    length_seconds: int = Field(primary_key=True)
    start_ms: int = Field(sa_column=_big(key=True))
    box: str = Field(primary_key=True)
    subject: str = Field(primary_key=True)
    bin: int = Field(primary_key=True)
    value: int = Field(sa_column=_big())


class RollupLongPeak(SQLModel, table=True):
    """The greatest value seen in an hour or a day in UTC, of the same rows of `rollup_peak`; it holds as RollupLong."""

    __tablename__ = "rollup_long_peak"
    __table_args__ = {"sqlite_with_rowid": False}
    venue: str = Field(primary_key=True)
    metric: str = Field(primary_key=True)
    scope: str = Field(primary_key=True)
    length_seconds: int = Field(primary_key=True)
    start_ms: int = Field(sa_column=_big(key=True))
    box: str = Field(primary_key=True)
    subject: str = Field(primary_key=True)
    value: int = Field(sa_column=_big())


class RollupDue(SQLModel, table=True):
    """A day in UTC of which a box's roll-ups have changed since they were added up to hours and days.

    It comes in the transaction that changes them and goes in the one that adds them up, each under the box's lock.
    """

    __tablename__ = "rollup_due"
    __table_args__ = {"sqlite_with_rowid": False}
    venue: str = Field(primary_key=True)
    day_ms: int = Field(sa_column=_big(key=True))
    box: str = Field(primary_key=True)


class Tile(SQLModel, table=True):
    """The sum of all tiles with one key, as zlib-compressed little-endian int32 of the dense cells.

    Kept at the bucket's own length, and added up into hour (3600) and day (86400) tiles in the same transaction.
    """

    __tablename__ = "tile"
    venue: str = Field(primary_key=True)
    space: str = Field(primary_key=True)
    layer: str = Field(primary_key=True)
    length_seconds: int = Field(primary_key=True)
    start_ms: int = Field(sa_column=_big(key=True))
    box: str = Field(primary_key=True)
    camera: str = Field(primary_key=True)
    tx: int = Field(primary_key=True)
    ty: int = Field(primary_key=True)
    cells: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class Alert(SQLModel, table=True):
    """A rule's condition that held somewhere. `subject` is a box's id, or empty where the whole venue is meant.

    `last_seen_ms` is when the condition last held. `resolved_ms` is when it was done with, by a person (`resolved_by`)
    or by itself. `ended_ms` is when the condition had gone: until then no further alert of this kind is raised.
    """

    __tablename__ = "alert"
    __table_args__ = (
        Index(
            "alert_not_ended",
            "rule",
            "venue",
            "subject",
            unique=True,
            sqlite_where=text("ended_ms IS NULL"),
            postgresql_where=text("ended_ms IS NULL"),
        ),
        Index("alert_by_venue", "venue", "raised_ms"),
    )
    id: str = Field(primary_key=True)
    rule: str
    venue: str
    subject: str
    raised_ms: int = Field(sa_column=_big())
    last_seen_ms: int = Field(sa_column=_big())
    value: int | None = None
    threshold: int
    acknowledged_ms: int | None = Field(default=None, sa_column=_big(nullable=True))
    acknowledged_by: str | None = None
    resolved_ms: int | None = Field(default=None, sa_column=_big(nullable=True))
    resolved_by: str | None = None
    ended_ms: int | None = Field(default=None, sa_column=_big(nullable=True))


class WebhookDelivery(SQLModel, table=True):
    """A message to the webhook, written with the change that it tells of; it waits until sent or given up."""

    __tablename__ = "webhook_delivery"
    __table_args__ = (
        Index("webhook_delivery_by_alert", "alert"),
        Index(
            "webhook_delivery_waiting",
            "due_ms",
            sqlite_where=text("delivered_ms IS NULL AND given_up_ms IS NULL"),
            postgresql_where=text("delivered_ms IS NULL AND given_up_ms IS NULL"),
        ),
    )
    id: str = Field(primary_key=True)
    alert: str = Field(foreign_key="alert.id")
    type: str
    body: str = Field(sa_column=Column(Text, nullable=False))
    created_ms: int = Field(sa_column=_big())
    due_ms: int = Field(sa_column=_big())
    attempts: int = 0
    trouble: str | None = None
    delivered_ms: int | None = Field(default=None, sa_column=_big(nullable=True))
    given_up_ms: int | None = Field(default=None, sa_column=_big(nullable=True))


class Lease(SQLModel, table=True):
    """Which process does a task that only one may do, and until when; `since_ms` is when it was last taken up anew."""

    __tablename__ = "lease"
    task: str = Field(primary_key=True)
    holder: str
    since_ms: int = Field(sa_column=_big())
    until_ms: int = Field(sa_column=_big())


class JobRun(SQLModel, table=True):
    """The last run of a job: how much it took away, and what went wrong, empty where nothing did."""

    __tablename__ = "job"
    job: str = Field(primary_key=True)
    started_ms: int = Field(sa_column=_big())
    succeeded_ms: int | None = Field(default=None, sa_column=_big(nullable=True))
    gone: int = Field(sa_column=_big())
    trouble: str = Field(sa_column=Column(Text, nullable=False))


class User(SQLModel, table=True):
    """A person. `venues` is JSON, null for all; `password_hash` is null until the person has chosen a password."""

    __tablename__ = "user_account"
    user: str = Field(primary_key=True)
    role: str
    venues: str | None = Field(default=None, sa_column=Column(Text, nullable=True))
    password_hash: str | None = None
    created_ms: int = Field(sa_column=_big())
    signed_in_ms: int | None = Field(default=None, sa_column=_big(nullable=True))


class UserSession(SQLModel, table=True):
    """A browser in which somebody has signed in: only the hash of its token is kept. `seen_ms` lags a minute."""

    __tablename__ = "user_session"
    token_sha256: str = Field(primary_key=True)
    user: str = Field(foreign_key="user_account.user", index=True)
    address: str
    browser: str
    created_ms: int = Field(sa_column=_big())
    seen_ms: int = Field(sa_column=_big())


class ApiKey(SQLModel, table=True):
    """A program's key, by its public id; only the hash is kept. `venues` and `networks` are JSON, null for all.

    `user` answers for it, who made it by a session or by another key; null where the machine's owner made it.
    """

    __tablename__ = "api_key"
    id: str = Field(primary_key=True)
    name: str
    key_sha256: str
    role: str
    venues: str | None = Field(default=None, sa_column=Column(Text, nullable=True))
    networks: str | None = Field(default=None, sa_column=Column(Text, nullable=True))
    created_ms: int = Field(sa_column=_big())
    created_by: str
    user: str | None = Field(default=None, foreign_key="user_account.user", index=True)
    expires_ms: int | None = Field(default=None, sa_column=_big(nullable=True))
    used_ms: int | None = Field(default=None, sa_column=_big(nullable=True))


class OneTimeLink(SQLModel, table=True):
    """A link that lets its holder choose a password: for a user, or, where `user` is null, as the first admin."""

    __tablename__ = "one_time_link"
    token_sha256: str = Field(primary_key=True)
    user: str | None = Field(default=None, foreign_key="user_account.user", index=True)
    expires_ms: int = Field(sa_column=_big())


class AuditEntry(SQLModel, table=True):
    """What somebody did or tried. Rows are only added, until retention takes the oldest."""

    __tablename__ = "audit"
    __table_args__ = (Index("audit_by_time", "at_ms"),)
    id: str = Field(primary_key=True)
    at_ms: int = Field(sa_column=_big())
    who: str
    what: str
    subject: str
    venue: str | None = None
    address: str
    outcome: str
