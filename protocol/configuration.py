"""What a box was set to do when it made an item: places and shapes, never addresses or secrets.

A configuration is named by the hash of its content, and travels as an item before the first one made under it.
"""

import hashlib
from typing import Annotated

from pydantic import AfterValidator, Field, StrictBool

from protocol.json_text import canonical_json
from protocol.modes import MIN_K, ModeField
from protocol.wire import ConfigHash, Slug, WireEnum, WireModel, known

__all__ = [
    "Camera",
    "Coordinates",
    "Layout",
    "Line",
    "LineKind",
    "Scene",
    "Space",
    "Zone",
    "ZoneKind",
    "config_hash",
]

Coordinate = Annotated[float, Field(strict=True, ge=-100_000, le=100_000, allow_inf_nan=False)]
Point = tuple[Coordinate, Coordinate]
Pixels = Annotated[int, Field(strict=True, ge=1, le=32_768)]


class Coordinates(WireEnum):
    """What a shape's numbers are: metres on the floor plan, or reference pixels of the camera's image."""

    FLOOR = "floor"
    IMAGE = "image"
    UNKNOWN = "unknown"


class LineKind(WireEnum):
    """What a line is for; the entrance lines make a venue's visitors."""

    ENTRANCE = "entrance"
    INTERIOR = "interior"
    UNKNOWN = "unknown"


class ZoneKind(WireEnum):
    """What a zone is for."""

    AREA = "area"
    QUEUE = "queue"
    UNKNOWN = "unknown"


CoordinatesField = Annotated[Coordinates, AfterValidator(known)]


class Space(WireModel):
    """A grid that tiles lie on; cells are metres on a floor, else reference pixels."""

    space: Slug
    coordinates: CoordinatesField
    floor: Slug | None = None
    cell: Annotated[float, Field(strict=True, ge=0.25, le=1000, allow_inf_nan=False)]
    width: Pixels | None = None
    height: Pixels | None = None


class Camera(WireModel):
    """A camera and the space its tiles lie in."""

    camera: Slug
    scene: Slug
    space: Slug


class Scene(WireModel):
    """Cameras that count one person once; `counting` scenes make the venue's visits."""

    scene: Slug
    counting: StrictBool


class Line(WireModel):
    """A line people cross; `in` is from the right of a→b to its left, as seen in the coordinates' own frame.

    `setup` changes with whatever the line's counts hang on: the line itself, its scene's cameras, the model.
    """

    line: Slug
    scene: Slug
    camera: Slug
    kind: Annotated[LineKind, AfterValidator(known)]
    coordinates: CoordinatesField
    a: Point
    b: Point
    setup: ConfigHash | None = None


class Zone(WireModel):
    """An area of a scene."""

    zone: Slug
    scene: Slug
    camera: Slug
    kind: Annotated[ZoneKind, AfterValidator(known)]
    coordinates: CoordinatesField
    polygon: Annotated[tuple[Point, ...], Field(min_length=3, max_length=64)]


class Layout(WireModel):
    """Everything an item's numbers refer to."""

    mode: ModeField
    k: Annotated[int, Field(strict=True, ge=MIN_K, le=1000)]
    scenes: Annotated[tuple[Scene, ...], Field(max_length=256)]
    cameras: Annotated[tuple[Camera, ...], Field(max_length=256)]
    spaces: Annotated[tuple[Space, ...], Field(max_length=256)]
    lines: Annotated[tuple[Line, ...], Field(max_length=256)] = ()
    zones: Annotated[tuple[Zone, ...], Field(max_length=256)] = ()


def config_hash(layout: Layout) -> ConfigHash:
    """The first 128 bits of SHA-256 over the canonical JSON of a layout."""
    return hashlib.sha256(canonical_json(layout.to_object()).encode()).hexdigest()[:32]
