"""What a box says of itself: its birth certificate, its death, and who is there right now."""

from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from protocol.envelope import Clock
from protocol.events import CameraState, HealthReason
from protocol.modes import ModeField
from protocol.wire import (
    ConfigHash,
    Count,
    Digest,
    Epoch,
    Fraction,
    Seconds,
    Slug,
    UtcTime,
    Version,
    WireEnum,
    WireMessage,
    WireModel,
    known,
)

__all__ = ["BoxState", "CameraStatus", "Live", "LiveScene", "LiveZone", "Status", "VisionState"]


class BoxState(WireEnum):
    """Whether the box is connected; the broker says `offline` for it by its Will."""

    ONLINE = "online"
    OFFLINE = "offline"
    UNKNOWN = "unknown"


class VisionState(WireEnum):
    """Whether the process that sees is alive, by the age of its rows in the exchange."""

    ALIVE = "alive"
    DEAD = "dead"
    UNKNOWN = "unknown"


class CameraStatus(WireModel):
    """One camera now."""

    camera: Slug
    scene: Slug
    state: Annotated[CameraState, AfterValidator(known)]
    reason: Annotated[HealthReason, AfterValidator(known)]
    frames_per_second: Annotated[float, Field(strict=True, ge=0, le=1000, allow_inf_nan=False)] | None = None


class ModelStatus(WireModel):
    """A model in use; `provider` is what runs it now."""

    name: Slug
    digest: Digest | None = None
    provider: Slug | None = None


class ExchangeStatus(WireModel):
    """How much waits for the cloud."""

    waiting: Count
    oldest_seconds: Seconds | None = None
    used: Fraction


class Status(WireMessage):
    """When a box connects, changes or dies; retained. `session` pairs a death with its birth."""

    box: Slug
    venue: Slug
    session: Epoch
    state: Annotated[BoxState, AfterValidator(known)]
    at: UtcTime | None = None
    mode: ModeField | None = None
    version: Version | None = None
    python: Version | None = None
    protocol: Annotated[int, Field(strict=True, ge=1, le=1)] = 1
    head: Epoch | None = None
    config: ConfigHash | None = None
    clock: Clock | None = None
    vision: Annotated[VisionState, AfterValidator(known)] | None = None
    exchange: ExchangeStatus | None = None
    cameras: Annotated[tuple[CameraStatus, ...], Field(max_length=256)] = ()
    models: Annotated[tuple[ModelStatus, ...], Field(max_length=16)] = ()

    @model_validator(mode="after")
    def _shows_its_mode(self) -> Self:
        if self.state is BoxState.ONLINE and self.mode is None:
            raise ValueError("`mode`, which every status of a box that is online shows")
        return self


class LiveZone(WireModel):
    """People in a zone now."""

    zone: Slug
    people: Count


class LiveScene(WireModel):
    """People in view of a scene now, and in − out of its entrances."""

    scene: Slug
    people: Count
    inside: Annotated[int, Field(strict=True, ge=-100_000, le=100_000)] | None = None
    zones: Annotated[tuple[LiveZone, ...], Field(max_length=256)] = ()


class Live(WireMessage):
    """At most every 30 seconds, each second in live mode: occupancy per scene and zone; retained, may be lost."""

    box: Slug
    venue: Slug
    at: UtcTime
    mode: ModeField
    scenes: Annotated[tuple[LiveScene, ...], Field(max_length=256)]
