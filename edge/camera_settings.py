"""What a configuration says about one camera: where its pictures come from, and the shapes drawn over them.

Lengths on the floor are metres, lengths in the image reference pixels, times seconds. Every check here works on what is
written alone; whether calibration points make a floor is for `edge.floor` to say.
"""

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticCustomError

from edge.address import Address, fill_in, variables_of
from edge.secrets import secret_named
from edge.shapes import crossing_sides, first_outside, has_area
from edge.synthetic.plan import ViewName
from protocol.configuration import LineKind, ZoneKind
from protocol.modes import MIN_CELL_M
from protocol.wire import Slug

__all__ = [
    "SOURCES",
    "WHOLE_SECTION",
    "CalibrationSettings",
    "CameraSettings",
    "DoorwaySettings",
    "LensSettings",
    "LineSettings",
    "Section",
    "SyntheticSettings",
    "ZoneSettings",
    "told",
    "whole_section",
]

WHOLE_SECTION = "whole_section"
"""The type of a mistake between keys of a section, which is of no key alone."""

LEAST_RATE = 2.0
"""Analysed frames a second: with fewer nobody could be followed, nor credited with all their time."""
SOURCES = ("url", "file", "device", "synthetic")
"""The keys of a camera that say where its pictures come from."""


_Enum = TypeVar("_Enum", bound=StrEnum)

Number = Annotated[float, Field(ge=-100_000, le=100_000, allow_inf_nan=False)]
Point = tuple[Number, Number]
Side = Annotated[int, Field(ge=16, le=16_384)]


def told(value: _Enum) -> _Enum:
    """Refuse what an enum of the wire makes of words it does not know."""
    if value == "unknown":
        raise ValueError(" or ".join(member for member in type(value) if member != "unknown"))
    return value


def whole_section(allowed: str) -> PydanticCustomError:
    """A mistake between keys of a section; `allowed` says what is."""
    return PydanticCustomError(WHOLE_SECTION, "{allowed}", {"allowed": allowed})


def _streamed(url: str) -> str:
    """Refuse what is no stream; one with `${NAME}` is judged once it is filled in, by whoever opens the camera."""
    if not variables_of(url):
        fill_in(url, secret_named)
    return url


def _drawn(polygon: tuple[Point, ...]) -> tuple[Point, ...]:
    crossing = crossing_sides(polygon)
    if crossing is not None:
        raise ValueError(f"a polygon whose sides do not cross; sides {crossing[0]} and {crossing[1]} do")
    if not has_area(polygon):
        raise ValueError("a polygon with an area; all its points lie on one line")
    return polygon


Polygon = Annotated[tuple[Point, ...], Field(min_length=3, max_length=64), AfterValidator(_drawn)]


class Section(BaseModel):
    """A table of the configuration."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class LensSettings(Section):
    """How a lens bends: focal length in reference pixels, and two coefficients."""

    model: Literal["radial", "fisheye"] = "radial"
    focal_px: Annotated[float, Field(gt=0, le=100_000)]
    k1: Annotated[float, Field(ge=-10, le=10)]
    k2: Annotated[float, Field(ge=-10, le=10)] = 0.0


class CalibrationSettings(Section):
    """The same four or more points in the picture and on the plan."""

    floor: Slug
    image_points: Annotated[tuple[Point, ...], Field(min_length=4, max_length=64)]
    floor_points: Annotated[tuple[Point, ...], Field(min_length=4, max_length=64)]
    lens: LensSettings | None = None
    cell_m: Annotated[float, Field(ge=MIN_CELL_M, le=10)] = 0.5

    @field_validator("floor_points")
    @classmethod
    def _paired(cls, floor_points: tuple[Point, ...], info: ValidationInfo) -> tuple[Point, ...]:
        image_points = info.data.get("image_points", floor_points)
        if len(image_points) != len(floor_points):
            raise ValueError(f"as many points as in image_points ({len(image_points)}); found {len(floor_points)}")
        return floor_points


class ZoneSettings(Section):
    """An area, in metres on a calibrated camera, else in reference pixels.

    People stand in line in a zone of kind `queue`, and are served in the camera's zone that `served_in` names.
    """

    id: Slug
    kind: Annotated[ZoneKind, AfterValidator(told)] = ZoneKind.AREA
    polygon: Polygon
    served_in: Slug | None = None

    @field_validator("served_in")
    @classmethod
    def _of_a_queue(cls, served_in: str | None, info: ValidationInfo) -> str | None:
        if served_in is not None and info.data.get("kind", ZoneKind.QUEUE) is not ZoneKind.QUEUE:
            raise ValueError('nothing here, or kind = "queue" too: only who stands in line is served')
        return served_in


class _Segment(Section):
    """From a to b."""

    a: Point
    b: Point

    @field_validator("b")
    @classmethod
    def _has_length(cls, b: Point, info: ValidationInfo) -> Point:
        if info.data.get("a") == b:
            raise ValueError("another point than a")
        return b


class DoorwaySettings(_Segment):
    """Where people come and go; left of a→b is inside. Nothing is counted at it."""


class LineSettings(_Segment):
    """A line; crossing from the right of a→b to its left is `in`. `band` is half its thickness."""

    id: Slug
    kind: Annotated[LineKind, AfterValidator(told)] = LineKind.ENTRANCE
    band: Annotated[float, Field(gt=0, le=1000)] | None = None


class SyntheticSettings(Section):
    """A made-up shop floor instead of a camera; cameras with the same seed look at the same people."""

    seed: Annotated[int, Field(ge=0)] = 1
    view: ViewName = "overview"
    people_per_minute: Annotated[float, Field(ge=0, le=600)] = 12.0
    seconds: Annotated[float, Field(gt=0, le=1_000_000)] = 86_400.0


_Shapes = TypeVar(
    "_Shapes",
    tuple[Polygon, ...],
    CalibrationSettings | None,
    tuple[ZoneSettings, ...],
    tuple[LineSettings, ...],
    tuple[DoorwaySettings, ...],
)


def _points_of(
    shapes: tuple[Polygon | ZoneSettings | LineSettings | DoorwaySettings, ...] | CalibrationSettings | None,
) -> Iterator[tuple[str, tuple[Point, ...]]]:
    """Each shape's name for people, and its points."""
    if isinstance(shapes, CalibrationSettings):
        yield "image_points", shapes.image_points
        return
    for number, shape in enumerate(shapes or (), start=1):
        if isinstance(shape, ZoneSettings):
            yield f"zone {shape.id}", shape.polygon
        elif isinstance(shape, LineSettings):
            yield f"line {shape.id}", (shape.a, shape.b)
        elif isinstance(shape, DoorwaySettings):
            yield f"doorway {number}", (shape.a, shape.b)
        else:
            yield f"mask {number}", shape


class CameraSettings(Section):
    """One camera: exactly one of url, file, device or synthetic.

    `url` is as it is written; whoever opens the camera takes its `address`, and nobody else needs the passwords.
    `rate` is analysed frames a second.
    `image_size` is what masks, zones, lines and calibration refer to; where it is
    absent they refer to the first picture. `motion_threshold` is grey levels of 255; 0 never lets the detector idle.
    `empty_seconds` without anybody seen resets a scene's in − out.
    `tracker` is our own, which goes by motion, or one of the `trackers` package.
    """

    id: Slug
    url: Annotated[str, AfterValidator(_streamed)] | None = Field(default=None, repr=False)
    file: Path | None = None
    loop: bool = False
    device: str | None = None
    synthetic: Annotated[SyntheticSettings | None, Field(validate_default=True)] = None
    scene: Slug | None = None
    counting: bool = True
    tracker: Literal["motion", "botsort", "bytetrack"] = "motion"
    rate: Annotated[float, Field(ge=LEAST_RATE, le=60)] = 10.0
    rotation: Literal[0, 90, 180, 270] = 0
    image_size: tuple[Side, Side] | None = None
    cell_px: Annotated[int, Field(ge=8, le=1000)] = 40
    open_seconds: Annotated[float, Field(ge=1, le=120)] = 10.0
    read_seconds: Annotated[float, Field(ge=1, le=120)] = 10.0
    reconnect_cap_seconds: Annotated[float, Field(ge=1, le=600)] = 10.0
    gap_seconds: Annotated[float, Field(ge=1, le=60)] = 5.0
    motion_threshold: Annotated[int, Field(ge=0, le=255)] = 12
    empty_seconds: Annotated[float, Field(ge=60, le=86_400)] = 10_800.0
    masks: Annotated[tuple[Polygon, ...], Field(max_length=64)] = ()
    calibration: CalibrationSettings | None = None
    zones: Annotated[tuple[ZoneSettings, ...], Field(max_length=64, alias="zone")] = ()
    lines: Annotated[tuple[LineSettings, ...], Field(max_length=64, alias="line")] = ()
    doorways: Annotated[tuple[DoorwaySettings, ...], Field(max_length=64, alias="doorway")] = ()

    @property
    def scene_id(self) -> str:
        """The scene this camera makes: its own unless named."""
        return self.scene or self.id

    @property
    def address(self) -> Address | None:
        """The url with the values of its `${NAME}`; raises ValueError, saying what is allowed. None without a url."""
        return None if self.url is None else fill_in(self.url, secret_named)

    @field_validator("synthetic")
    @classmethod
    def _one_source(cls, synthetic: SyntheticSettings | None, info: ValidationInfo) -> SyntheticSettings | None:
        # A source that is itself wrong is missing from `info.data`, and was given all the same.
        given = [name for name in SOURCES[:-1] if info.data.get(name, "wrong") is not None]
        given += [] if synthetic is None else ["synthetic"]
        sourceless = bool((info.context or {}).get("sourceless"))
        if len(given) != 1 and not (sourceless and not given):
            raise whole_section(f"exactly one of {', '.join(SOURCES)}; found {' and '.join(given) or 'none'}")
        return synthetic

    @field_validator("masks", "calibration", "zones", "lines", "doorways")
    @classmethod
    def _fits_picture(cls, shapes: _Shapes, info: ValidationInfo) -> _Shapes:
        size = info.data.get("image_size", "wrong")
        if shapes and size is None:
            key = cls.model_fields[str(info.field_name)].alias or info.field_name
            raise whole_section(f"image_size = [width, height] too, which the points of {key} refer to")
        metric = info.field_name in {"zones", "lines", "doorways"} and info.data.get("calibration", "wrong") is not None
        if isinstance(size, tuple) and not metric:
            for name, points in _points_of(shapes):
                outside = first_outside(points, size)
                if outside is not None:
                    raise ValueError(f"inside the picture of {size[0]} × {size[1]}; {name} has {list(outside)}")
        return shapes

    @field_validator("zones")
    @classmethod
    def _served_somewhere(cls, zones: tuple[ZoneSettings, ...]) -> tuple[ZoneSettings, ...]:
        tills = {zone.id for zone in zones if zone.kind is not ZoneKind.QUEUE}
        lost = [f"{zone.id} = {zone.served_in}" for zone in zones if zone.served_in not in {None, *tills}]
        if lost:
            found = ", ".join(lost)
            raise ValueError(f"served_in = the id of a zone of this camera that is no queue; found for zone {found}")
        return zones
