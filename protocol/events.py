"""The items a box sends, one small model each; the first line of each says when it happens.

`(box, epoch, seq)` names an item for ever. `at` is UTC, already rounded to what the venue's mode allows; an item of
a boot that never learnt UTC carries `earliest` and `latest` instead and counts in no bucket.
"""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from protocol.configuration import Layout
from protocol.histograms import DurationHistogram, ScoreHistogram
from protocol.wire import (
    ConfigHash,
    Count,
    Digest,
    Fraction,
    Schema,
    Seconds,
    Seq,
    Slug,
    UtcTime,
    WireEnum,
    WireMessage,
    WireModel,
    known,
)

__all__ = [
    "ITEM_SCHEMA",
    "Attention",
    "Began",
    "CameraCertificate",
    "CameraHealth",
    "CameraState",
    "CameraWatch",
    "CheckMethod",
    "Checked",
    "Configuration",
    "Crossing",
    "Demographics",
    "Ended",
    "Flow",
    "HealthReason",
    "Item",
    "LineCount",
    "NamedSeconds",
    "Occupancy",
    "Queue",
    "Staff",
    "Visit",
    "ZoneWatch",
]

ITEM_SCHEMA = 1


class Item(WireMessage):
    """What every item carries."""

    seq: Seq
    type: Slug
    schema_version: Annotated[Schema, Field(alias="schema")] = ITEM_SCHEMA
    venue: Slug
    config: ConfigHash
    at: UtcTime | None = None
    earliest: UtcTime | None = None
    latest: UtcTime | None = None

    @model_validator(mode="after")
    def _placed_in_time(self) -> Self:
        if (self.at is None) == (self.earliest is None) or (self.earliest is None) != (self.latest is None):
            raise ValueError("either `at`, or both `earliest` and `latest`")
        return self


class Began(WireEnum):
    """How a visit began."""

    ENTERED = "entered"
    APPEARED = "appeared"
    RESUMED = "resumed"
    CONTINUED = "continued"
    UNKNOWN = "unknown"


class Ended(WireEnum):
    """How a visit ended."""

    LEFT = "left"
    LOST = "lost"
    INTERRUPTED = "interrupted"
    SPLIT = "split"
    UNKNOWN = "unknown"


class Engagement(WireEnum):
    """What a visitor mostly did."""

    ENGAGED = "engaged"
    BROWSING = "browsing"
    WAITING = "waiting"
    PASSING = "passing"
    UNKNOWN = "unknown"


class CameraState(WireEnum):
    """Whether a camera can be relied on."""

    STARTING = "starting"
    ONLINE = "online"
    DEGRADED = "degraded"
    OFFLINE = "offline"
    UNKNOWN = "unknown"


class HealthReason(WireEnum):
    """Why a camera is in its state."""

    NONE = "none"
    UNREACHABLE = "unreachable"
    NOT_FOUND = "not-found"
    WRONG_PASSWORD = "wrong-password"  # noqa: S105  a reason, not a secret
    REFUSED = "refused"
    GARBAGE = "garbage"
    STALLED = "stalled"
    ENDED = "ended"
    UNSUPPORTED = "unsupported"
    RESOLUTION_CHANGED = "resolution-changed"
    OVERLOADED = "overloaded"
    TOO_DARK = "too-dark"
    COVERED = "covered"
    BLURRED = "blurred"
    MOVED = "moved"
    STATIC_OBJECT = "static-object"
    UNKNOWN = "unknown"


class NamedSeconds(WireModel):
    """Seconds spent in a zone."""

    zone: Slug
    seconds: Seconds


class LineCount(WireModel):
    """Crossings of one line."""

    line: Slug
    inward: Annotated[Count, Field(alias="in")] = 0
    outward: Annotated[Count, Field(alias="out")] = 0


class CameraWatch(WireModel):
    """What one camera really watched in a minute."""

    camera: Slug
    watched_seconds: Seconds
    analysed_frames: Count
    dropped_frames: Count
    person_seconds: Seconds
    max_people: Count


class ZoneWatch(WireModel):
    """What one zone held in a minute."""

    zone: Slug
    person_seconds: Seconds
    max_people: Count


class Configuration(Item):
    """When the configuration changes: sent before the first item made under it, with its own hash as `config`."""

    type: Literal["configuration"] = "configuration"
    layout: Layout


class Visit(Item):
    """When one person's stay in a scene ends; `at` is when it began."""

    type: Literal["visit"] = "visit"
    scene: Slug
    dwell_seconds: Seconds
    began: Annotated[Began, AfterValidator(known)]
    ended: Annotated[Ended, AfterValidator(known)]
    zones: Annotated[tuple[NamedSeconds, ...], Field(max_length=256)] = ()
    lines: Annotated[tuple[LineCount, ...], Field(max_length=256)] = ()
    frames_seen: Count
    mean_confidence: Fraction
    engagement_score: Annotated[int, Field(strict=True, ge=0, le=100)] | None = None
    engagement: Annotated[Engagement, AfterValidator(known)] | None = None


class Crossing(Item):
    """Each minute in which a line of the scene was crossed: sums, no person."""

    type: Literal["crossing"] = "crossing"
    scene: Slug
    lines: Annotated[tuple[LineCount, ...], Field(min_length=1, max_length=256)]


class Occupancy(Item):
    """Each minute, empty or not: what the scene's cameras watched, and who was there.

    `inside` is in − out of the entrance lines since the scene was last known empty, `drift` what the reset took away.
    """

    type: Literal["occupancy"] = "occupancy"
    scene: Slug
    length_seconds: Annotated[int, Field(strict=True, ge=1, le=3600)] = 60
    cameras: Annotated[tuple[CameraWatch, ...], Field(min_length=1, max_length=256)]
    zones: Annotated[tuple[ZoneWatch, ...], Field(max_length=256)] = ()
    inside: Annotated[int, Field(strict=True, ge=-100_000, le=100_000)] | None = None
    drift: Annotated[int, Field(strict=True, ge=-100_000, le=100_000)] | None = None


class QueueReport(WireModel):
    """One queue in one minute."""

    zone: Slug
    mean_length: Annotated[float, Field(strict=True, ge=0, le=100_000, allow_inf_nan=False)]
    max_length: Count
    waits: DurationHistogram
    served: Count
    abandoned: Count


class Queue(Item):
    """Each minute: length, waits of those who left, served and abandoned, per queue zone."""

    type: Literal["queue"] = "queue"
    scene: Slug
    queues: Annotated[tuple[QueueReport, ...], Field(min_length=1, max_length=64)]


class FlowPath(WireModel):
    """People who went through up to three zones in this order."""

    zones: Annotated[tuple[Slug, ...], Field(min_length=2, max_length=3)]
    count: Annotated[Count, Field(ge=3)]


class Flow(Item):
    """When a bucket closes: ways between zones, only those that at least k visits took."""

    type: Literal["flow"] = "flow"
    scene: Slug
    length_seconds: Annotated[int, Field(strict=True, ge=60, le=86_400)]
    paths: Annotated[tuple[FlowPath, ...], Field(min_length=1, max_length=1024)]
    undisclosed: Count = 0


class BehaviourCount(WireModel):
    """Visits of one behaviour."""

    engagement: Annotated[Engagement, AfterValidator(known)]
    count: Count


class ZoneAttention(WireModel):
    """Engagement in one zone, over at least k visits."""

    zone: Slug
    visits: Annotated[Count, Field(ge=3)]
    scores: ScoreHistogram
    behaviours: Annotated[tuple[BehaviourCount, ...], Field(max_length=8)] = ()


class Attention(Item):
    """When a bucket closes: engagement and behaviour per zone, only over at least k visits."""

    type: Literal["attention"] = "attention"
    scene: Slug
    length_seconds: Annotated[int, Field(strict=True, ge=60, le=86_400)]
    zones: Annotated[tuple[ZoneAttention, ...], Field(min_length=1, max_length=256)]
    undisclosed: Count = 0


class AgeBracket(WireEnum):
    """A coarse age; never finer."""

    CHILD = "0-15"
    YOUNG = "16-29"
    MIDDLE = "30-49"
    OLDER = "50-64"
    SENIOR = "65+"
    UNDETERMINED = "undetermined"
    UNKNOWN = "unknown"


class Gender(WireEnum):
    """As a classifier guesses from a face, not as a person is."""

    FEMALE = "female"
    MALE = "male"
    UNDETERMINED = "undetermined"
    UNKNOWN = "unknown"


class DemographicGroup(WireModel):
    """At least k visits of one group in one zone."""

    zone: Slug
    age: Annotated[AgeBracket, AfterValidator(known)]
    gender: Annotated[Gender, AfterValidator(known)]
    count: Annotated[Count, Field(ge=3)]


class Demographics(Item):
    """When an hour closes: group counts per zone, only of at least k visits."""

    type: Literal["demographics"] = "demographics"
    scene: Slug
    length_seconds: Annotated[int, Field(strict=True, ge=3600, le=86_400)]
    groups: Annotated[tuple[DemographicGroup, ...], Field(min_length=1, max_length=1024)]
    undisclosed: Count = 0


class Staff(Item):
    """When a bucket closes: the staff's crossings per line; staff send no visits."""

    type: Literal["staff"] = "staff"
    scene: Slug
    length_seconds: Annotated[int, Field(strict=True, ge=60, le=86_400)]
    lines: Annotated[tuple[LineCount, ...], Field(min_length=1, max_length=256)]


class CameraHealth(Item):
    """When a camera's state changes."""

    type: Literal["camera-health"] = "camera-health"
    scene: Slug
    camera: Slug
    state: Annotated[CameraState, AfterValidator(known)]
    reason: Annotated[HealthReason, AfterValidator(known)]


class CheckMethod(WireEnum):
    """How the box's crossings were put beside a person's: each by its moment, at the door or on film, or summed.

    Of two sums nobody knows which crossings they have in common, so `totals` takes as many as there can be.
    """

    MOMENTS = "moments"
    FILM = "film"
    TOTALS = "totals"
    UNKNOWN = "unknown"


class Checked(WireModel):
    """One direction: what the box counted, what a person counted by hand, and how many of both are the same."""

    counted: Count
    by_hand: Count
    matched: Count

    @model_validator(mode="after")
    def _matched_in_both(self) -> Self:
        if self.matched > min(self.counted, self.by_hand):
            raise ValueError("`matched` at most `counted`, and at most `by_hand`")
        return self


class CameraCertificate(Item):
    """When a box takes in how its crossings of one line compare with a person's, in one direction or both.

    It holds as long as the layout gives the line the same `setup`.
    """

    type: Literal["camera-certificate"] = "camera-certificate"
    scene: Slug
    camera: Slug
    line: Slug
    setup: ConfigHash
    model: Slug
    model_digest: Digest | None = None
    method: Annotated[CheckMethod, AfterValidator(known)]
    length_seconds: Annotated[int, Field(strict=True, ge=1, le=86_400)]
    inward: Annotated[Checked | None, Field(alias="in")] = None
    outward: Annotated[Checked | None, Field(alias="out")] = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.inward is None and self.outward is None:
            raise ValueError("`in` or `out`, or both")
        return self
