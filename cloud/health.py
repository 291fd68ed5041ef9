"""How the cloud itself does."""

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from sqlalchemy import Engine, func, select

from cloud.devices.following import last_asked
from cloud.store.engine import reading
from cloud.store.identity import read_identity
from cloud.store.moments import from_ms
from cloud.store.schema import check_schema
from cloud.store.tables import Box
from cloud.store.upsert import table_of
from protocol.wire import format_utc

__all__ = ["CloudHealth", "program_version", "read_health"]

_BOXES = table_of(Box)


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudHealth:
    """The database answers and has this program's schema; what came last."""

    status: str
    version: str
    store: str
    boxes: int
    last_received: str | None
    last_received_age_seconds: float | None
    broker_asked: str | None
    broker_asked_age_seconds: float | None


def read_health(engine: Engine, *, now_ms: int) -> CloudHealth:
    """The health of the cloud; raises StoreError when the database cannot be used."""
    check_schema(engine)
    with reading(engine) as connection:
        store = read_identity(connection)
        boxes, last_ms = connection.execute(select(func.count(), func.max(_BOXES.c.last_seen_ms))).one()
        asked_ms = last_asked(connection)
    return CloudHealth(
        status="ok",
        version=program_version(),
        store=store,
        boxes=boxes,
        last_received=None if last_ms is None else format_utc(from_ms(last_ms)),
        last_received_age_seconds=None if last_ms is None else max(0, now_ms - last_ms) / 1000,
        broker_asked=None if asked_ms is None else format_utc(from_ms(asked_ms)),
        broker_asked_age_seconds=None if asked_ms is None else max(0, now_ms - asked_ms) / 1000,
    )


def program_version() -> str:
    """The installed version of Footfall."""
    try:
        return version("footfall")
    except PackageNotFoundError:
        return "0+unknown"
