"""What the box says of itself: `status`, retained, and `live`, made from what vision last wrote into the exchange."""

import json
import platform
from dataclasses import dataclass
from datetime import datetime

from edge.clock import Fix, to_utc
from edge.exchange.outbox import LiveRow, Outbox
from protocol.envelope import Clock, ClockSource
from protocol.modes import DISCLOSURE, Mode
from protocol.status import BoxState, CameraStatus, ExchangeStatus, Live, LiveScene, ModelStatus, Status, VisionState
from protocol.wire import JsonObject

__all__ = ["Identity", "clock_of", "death", "live", "status"]

_VISION_DEAD_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who this box is, and the random id of its present connection."""

    box: str
    venue: str
    version: str
    mode: Mode
    session: str


def death(identity: Identity) -> Status:
    """The Will: what the broker says when the box goes silent."""
    return Status(
        box=identity.box,
        venue=identity.venue,
        session=identity.session,
        state=BoxState.OFFLINE,
        mode=identity.mode,
    )


def status(identity: Identity, outbox: Outbox, *, now_ms: int, used: float) -> Status:
    """The birth certificate, kept up to date; `used` is the share of the byte budget in use."""
    rows = outbox.live(now_ms=now_ms)
    vision = next((row for row in rows if row.subject == "vision"), None)
    alive = vision is not None and vision.age_seconds <= _VISION_DEAD_SECONDS
    said: JsonObject = json.loads(vision.body) if vision else {}
    fix = outbox.fix()
    at = None if fix is None else to_utc(now_ms + fix.offset_ms)
    standing = outbox.standing()
    return Status(
        box=identity.box,
        venue=identity.venue,
        session=identity.session,
        state=BoxState.ONLINE,
        at=at,
        mode=identity.mode,
        version=identity.version,
        python=platform.python_version(),
        head=outbox.head(),
        config=_text(said.get("config")),
        clock=clock_of(fix),
        vision=VisionState.ALIVE if alive else VisionState.DEAD,
        exchange=ExchangeStatus(
            waiting=standing.waiting, oldest_seconds=_age(standing.oldest_at_ms, at), used=min(1.0, used)
        ),
        cameras=tuple(CameraStatus.model_validate_json(row.body) for row in rows if row.subject.startswith("camera/")),
        models=_models(said),
    )


def live(identity: Identity, outbox: Outbox, *, now_ms: int) -> Live | None:
    """Who is there now; None while UTC is unknown or vision is not alive."""
    rows = outbox.live(now_ms=now_ms)
    fix = outbox.fix()
    fresh = [row for row in rows if row.subject.startswith("scene/") and row.age_seconds <= _VISION_DEAD_SECONDS]
    if fix is None or not fresh:
        return None
    return Live(
        box=identity.box,
        venue=identity.venue,
        at=_rounded_down(now_ms + fix.offset_ms, identity.mode),
        mode=identity.mode,
        scenes=tuple(_scene(row) for row in fresh),
    )


def _rounded_down(utc_ms: int, mode: Mode) -> datetime:
    step_ms = DISCLOSURE[mode].time_step_seconds * 1000
    return to_utc(utc_ms // step_ms * step_ms)


def _scene(row: LiveRow) -> LiveScene:
    return LiveScene.model_validate_json(row.body)


def clock_of(fix: Fix | None) -> Clock:
    """The wire's words for what is known of UTC."""
    if fix is None:
        return Clock(source=ClockSource.NONE)
    uncertainty_ms = fix.uncertainty_ms
    return Clock(source=fix.source, uncertainty_seconds=None if uncertainty_ms is None else uncertainty_ms / 1000)


def _age(oldest_at_ms: int | None, at: datetime | None) -> float | None:
    if oldest_at_ms is None or at is None:
        return None
    return max(0.0, round(at.timestamp() - oldest_at_ms / 1000, 1))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _models(said: JsonObject) -> tuple[ModelStatus, ...]:
    models = said.get("models", [])
    return tuple(ModelStatus.model_validate(model) for model in models) if isinstance(models, list) else ()
