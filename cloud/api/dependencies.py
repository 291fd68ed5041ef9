"""What routes ask for, as annotated aliases: sessions, keys, the moment, venues and periods.

Everything comes from the application that was put together; nothing here is global.
"""

import inspect
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import wraps
from typing import Annotated, ParamSpec, TypeVar, cast

from fastapi import Depends, Path, Query, Request
from fastapi.security import HTTPBearer
from pydantic import StringConstraints
from sqlalchemy import Engine
from sqlmodel import Session

from cloud.access.callers import Caller
from cloud.api.problems import Unauthorised
from cloud.api.surroundings import Devices, Surroundings
from cloud.api.trail import Trail
from cloud.devices.authority import Authority
from cloud.ingest.commit import Committer
from cloud.periods import Period, read_period
from cloud.store.engine import MOST_CONNECTIONS, reading, writing_later
from cloud.store.moments import to_ms
from cloud.store.tables import Box, Venue
from cloud.venues import find_venue, zone_of
from protocol.wire import Slug

__all__ = [
    "After",
    "Around",
    "AuthorityInUse",
    "BoxId",
    "CallerInUse",
    "CallerOrStranger",
    "CameraId",
    "CommitterInUse",
    "DeviceBox",
    "Devices",
    "DevicesInUse",
    "EngineInUse",
    "EnrolmentCodeId",
    "FloorId",
    "FromText",
    "IsTold",
    "Limit",
    "Now",
    "NowMs",
    "Payload",
    "PeriodOfVenue",
    "ReadSession",
    "ToText",
    "TrailInUse",
    "UlidText",
    "VenueId",
    "VenueRow",
    "WriteSession",
    "committing",
]

_Asked = ParamSpec("_Asked")
_Answer = TypeVar("_Answer")

READERS = MOST_CONNECTIONS // 2
"""Requests that read at once; the others wait for their turn, and hold no thread meanwhile."""


def _surroundings(request: Request) -> Surroundings:
    found: Surroundings = request.app.state.surroundings
    return found


Around = Annotated[Surroundings, Depends(_surroundings)]


def _engine(around: Around) -> Engine:
    return around.engine


def _committer(around: Around) -> Committer:
    return around.committer


def _devices(around: Around) -> Devices:
    return around.devices


def _authority(around: Around) -> Authority:
    return around.devices.open_authority()


def _now(around: Around) -> datetime:
    return around.clock()


def _now_ms(around: Around) -> int:
    return to_ms(around.clock())


def _is_told(around: Around) -> bool:
    return around.is_told


def _caller_or_stranger(request: Request) -> Caller | None:
    found: Caller | None = request.state.caller
    return found


def _caller(request: Request) -> Caller:
    found = _caller_or_stranger(request)
    if found is None:
        raise Unauthorised
    return found


def _trail(request: Request) -> Trail:
    found: Trail = request.state.trail
    return found


def _read_session(around: Around) -> Iterator[Session]:
    with reading(around.engine) as connection, Session(connection) as session:
        yield session


def _write_session(around: Around) -> Iterator[Session]:
    with writing_later(around.engine) as session:
        yield session


EngineInUse = Annotated[Engine, Depends(_engine)]
CommitterInUse = Annotated[Committer, Depends(_committer)]
DevicesInUse = Annotated[Devices, Depends(_devices)]
AuthorityInUse = Annotated[Authority, Depends(_authority)]
Now = Annotated[datetime, Depends(_now)]
NowMs = Annotated[int, Depends(_now_ms)]
CallerOrStranger = Annotated[Caller | None, Depends(_caller_or_stranger)]
CallerInUse = Annotated[Caller, Depends(_caller)]
TrailInUse = Annotated[Trail, Depends(_trail)]
IsTold = Annotated[bool, Depends(_is_told)]
# Function scope: the transaction ends before the answer goes out, so that nothing is answered that is not committed.
# Between dependencies, endpoint and answer a request has no thread, and those who have them all may wait for what it
# holds. So readers leave connections to others, and writers hold nothing but in the endpoint (`committing`).
ReadSession = Annotated[Session, Depends(_read_session, scope="function", max_concurrency=READERS)]
WriteSession = Annotated[Session, Depends(_write_session, scope="function")]


def committing(endpoint: Callable[_Asked, _Answer]) -> Callable[_Asked, _Answer]:
    """The endpoint, which commits what it wrote before it gives its thread back."""
    parameters = inspect.signature(endpoint).parameters
    written = [name for name, parameter in parameters.items() if parameter.annotation == WriteSession]
    if not written:
        return endpoint

    @wraps(endpoint)
    def whole(*arguments: _Asked.args, **options: _Asked.kwargs) -> _Answer:
        answer = endpoint(*arguments, **options)
        for name in written:
            cast("Session", options[name]).commit()
        return answer

    return whole


_device_scheme = HTTPBearer(auto_error=False, scheme_name="device key", description="A box's own key.")
_code_scheme = HTTPBearer(auto_error=False, scheme_name="enrolment code", description="A code that was made for a box.")


def _device_box(request: Request, _shown: Annotated[object, Depends(_device_scheme)]) -> Box:
    found: Box = request.state.box
    return found


def _enrolment_code(request: Request, _shown: Annotated[object, Depends(_code_scheme)]) -> str:
    found: str = request.state.code
    return found


# The guard has looked at them already; the schemes are for the description.
DeviceBox = Annotated[Box, Depends(_device_box)]
EnrolmentCodeId = Annotated[str, Depends(_enrolment_code)]

UlidText = Annotated[str, StringConstraints(pattern=r"^[0-9A-HJKMNP-TV-Z]{26}$")]
VenueId = Annotated[Slug, Path(description="id of the venue", examples=["corner-shop"])]
BoxId = Annotated[Slug, Path(description="id of the box", examples=["box-1"])]
CameraId = Annotated[Slug, Path(description="id of the camera", examples=["door"])]
FloorId = Annotated[Slug, Path(description="id of the floor", examples=["ground"])]
After = Annotated[Slug | None, Query(description="only what comes after this id")]
Limit = Annotated[int, Query(ge=1, le=500, description="at most so many")]

_WHEN = "a moment with its zone (`2026-03-29T10:00:00Z`) or a day of the venue (`2026-03-29`)"
FromText = Annotated[
    str | None, Query(alias="from", max_length=40, description=f"{_WHEN}; default: the start of the venue's today")
]
ToText = Annotated[
    str | None, Query(alias="to", max_length=40, description=f"{_WHEN}, the day included; default: the end of today")
]


def _venue_row(session: ReadSession, venue: VenueId) -> Venue:
    return find_venue(session, venue=venue)


VenueRow = Annotated[Venue, Depends(_venue_row)]


def _period(row: VenueRow, now_ms: NowMs, start: FromText = None, end: ToText = None) -> Period:
    return read_period(start, end, zone=zone_of(row), now_ms=now_ms)


PeriodOfVenue = Annotated[Period, Depends(_period)]


async def _payload(request: Request) -> bytes:
    return await request.body()


Payload = Annotated[bytes, Depends(_payload)]
