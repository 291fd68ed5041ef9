"""The rules of a venue: what may be said of one, and how it is kept, changed, archived and found.

Queries take a session and leave the commit to the caller.
"""

import functools
import importlib.resources
import json
import zoneinfo
from collections.abc import Collection
from enum import StrEnum
from typing import Annotated, Self
from zoneinfo import ZoneInfo

import h3
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator
from sqlmodel import Session, col, select

from cloud.errors import Conflict, Invalid, NotFound
from cloud.opening import OpeningHours
from cloud.store.tables import Venue

__all__ = [
    "Description",
    "VenueKind",
    "archive_venue",
    "change_venue",
    "create_venue",
    "describe",
    "find_venue",
    "hours_of",
    "list_venues",
    "restore_venue",
    "zone_of",
]

H3_RESOLUTION = 9


class VenueKind(StrEnum):
    """What a venue is; peers are compared within a kind."""

    AIRPORT = "airport"
    BANK = "bank"
    BAR = "bar"
    CAFE = "cafe"
    CINEMA = "cinema"
    EVENT = "event"
    GALLERY = "gallery"
    GYM = "gym"
    HOSPITAL = "hospital"
    HOTEL = "hotel"
    LIBRARY = "library"
    MALL = "mall"
    MUSEUM = "museum"
    OFFICE = "office"
    OTHER = "other"
    PHARMACY = "pharmacy"
    RESTAURANT = "restaurant"
    SCHOOL = "school"
    SHOP = "shop"
    STATION = "station"
    SUPERMARKET = "supermarket"
    THEATRE = "theatre"


def _known_zone(name: str) -> str:
    if name not in _zones():
        raise ValueError("an IANA time zone such as Europe/Berlin or Asia/Kathmandu")
    return name


def _known_country(code: str) -> str:
    if code not in _countries():
        raise ValueError("an ISO 3166-1 alpha-2 country code in capitals, such as DE or NP")
    return code


Words = Annotated[str, StringConstraints(strip_whitespace=True, max_length=120, pattern=r"^[^\x00-\x1f\x7f]*$")]
Name = Annotated[Words, Field(min_length=1)]
TimeZoneName = Annotated[str, AfterValidator(_known_zone)]
Country = Annotated[str, AfterValidator(_known_country)]


class Description(BaseModel):
    """What a person says of a venue."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={
            "example": {
                "name": "Corner shop",
                "timezone": "Europe/Berlin",
                "kind": "shop",
                "city": "Berlin",
                "country": "DE",
                "latitude": 52.52,
                "longitude": 13.405,
                "area_m2": 140,
                "capacity": 60,
                "opening_hours": {"weekly": {"mon": [["09:00", "18:00"]], "fri": [["09:00", "01:00"]]}},
            }
        },
    )

    name: Name = Field(description="As people call it")
    timezone: TimeZoneName = Field(description="IANA name; may be corrected later, as nothing local is stored")
    kind: VenueKind
    city: Words = ""
    country: Country | None = Field(default=None, description="ISO 3166-1 alpha-2, in capitals")
    latitude: Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False)] | None = None
    longitude: Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False)] | None = None
    area_m2: Annotated[float, Field(gt=0, le=10_000_000, allow_inf_nan=False)] | None = None
    capacity: Annotated[int, Field(gt=0, le=1_000_000)] | None = None
    opening_hours: OpeningHours | None = Field(default=None, description="Left out: open all day, every day")
    retention_months: Annotated[int, Field(ge=1, le=1200)] | None = Field(
        default=None, description="For how long its raw events are kept; left out: as the settings say"
    )

    @model_validator(mode="after")
    def _coordinates_come_together(self) -> Self:
        if (self.latitude is None) != (self.longitude is None):
            raise ValueError("latitude and longitude together, or neither")
        if (self.latitude, self.longitude) == (0, 0):
            raise ValueError("real coordinates; 0, 0 lies in the Gulf of Guinea and stands for none")
        return self


def create_venue(session: Session, *, venue: str, description: Description, now_ms: int) -> Venue:
    """Keep a new venue; raises Conflict when its id is taken."""
    if session.get(Venue, venue) is not None:
        raise Conflict(f"there is a venue {venue} already")
    row = Venue.model_validate({"venue": venue, "created_ms": now_ms, **_columns(description)})
    session.add(row)
    session.flush()
    return row


def change_venue(session: Session, *, venue: str, changes: dict[str, object]) -> Venue:
    """Change what is named and leave the rest; raises Invalid when the whole breaks a rule."""
    row = find_venue(session, venue=venue)
    try:
        description = Description.model_validate(describe(row).model_dump() | changes)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise Invalid(f"{where}: {first['msg']}".removeprefix(": ")) from error
    row.sqlmodel_update(_columns(description))
    session.add(row)
    session.flush()
    return row


def archive_venue(session: Session, *, venue: str, now_ms: int) -> Venue:
    """Take a venue from the lists; its data stays. Doing it twice changes nothing."""
    row = find_venue(session, venue=venue)
    row.archived_ms = row.archived_ms or now_ms
    session.add(row)
    return row


def restore_venue(session: Session, *, venue: str) -> Venue:
    """Bring an archived venue back."""
    row = find_venue(session, venue=venue)
    row.archived_ms = None
    session.add(row)
    return row


def find_venue(session: Session, *, venue: str) -> Venue:
    """The venue; raises NotFound."""
    row = session.get(Venue, venue)
    if row is None:
        raise NotFound(f"there is no venue {venue}")
    return row


def list_venues(
    session: Session, *, granted: Collection[str] | None, archived: bool, after: str | None, limit: int
) -> list[Venue]:
    """Venues in the order of their ids, behind one of them: those in use, or those archived; None grants all."""
    query = select(Venue).where(col(Venue.archived_ms).is_not(None) if archived else col(Venue.archived_ms).is_(None))
    if granted is not None:
        query = query.where(col(Venue.venue).in_(granted))
    if after is not None:
        query = query.where(col(Venue.venue) > after)
    return list(session.exec(query.order_by(col(Venue.venue)).limit(limit)))


def describe(row: Venue) -> Description:
    """What was said of a venue, as it is kept."""
    hours = json.loads(row.opening_hours)
    values = {name: getattr(row, name) for name in Description.model_fields if name not in {"opening_hours", "country"}}
    return Description.model_validate(values | {"country": row.country or None, "opening_hours": hours or None})


def hours_of(row: Venue) -> OpeningHours:
    """When a venue is open."""
    return OpeningHours.model_validate(json.loads(row.opening_hours))


def zone_of(row: Venue) -> ZoneInfo:
    """The clock on a venue's wall."""
    return ZoneInfo(row.timezone)


def _columns(description: Description) -> dict[str, object]:
    hours = description.opening_hours
    located = description.latitude is not None
    cell = h3.latlng_to_cell(description.latitude, description.longitude, H3_RESOLUTION) if located else None
    return {
        **description.model_dump(exclude={"opening_hours", "country", "kind"}),
        "kind": description.kind.value,
        "country": description.country or "",
        "h3_cell": cell,
        "opening_hours": hours.model_dump_json(exclude_none=True) if hours else "{}",
    }


@functools.cache
def _zones() -> frozenset[str]:
    return frozenset(name for name in zoneinfo.available_timezones() if "/" in name or name == "UTC")


@functools.cache
def _countries() -> frozenset[str]:
    table = importlib.resources.files("tzdata") / "zoneinfo" / "iso3166.tab"
    lines = table.read_text(encoding="utf-8").splitlines()
    return frozenset(line.split("\t")[0] for line in lines if line and not line.startswith("#"))
