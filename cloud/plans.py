"""Floor plans: an image is taken for what its bytes are, never for what its name or header says.

The original bytes are kept and given back as they came, once the whole image has been decoded and found sound.
"""

import hashlib
import io
from dataclasses import dataclass
from typing import Annotated

from PIL import Image, UnidentifiedImageError
from pydantic import BaseModel, ConfigDict, Field
from sqlmodel import Session, col, select

from cloud.errors import Invalid, NotFound
from cloud.store.tables import FloorPlan
from cloud.venues import Name, find_venue

__all__ = ["MAX_IMAGE_BYTES", "PlanScale", "find_plan", "list_plans", "put_plan", "read_image", "remove_plan"]

MAX_IMAGE_BYTES = 16 * 1024 * 1024
MAX_SIDE_PX = 16_384
MAX_PIXELS = 50_000_000
MAX_FLOOR_M = 5_000
_TOO_LARGE = f"image: at most {MAX_SIDE_PX} pixels a side and {MAX_PIXELS} in all"
MEDIA_TYPES = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp"}


class PlanScale(BaseModel):
    """How a plan's image lies in metres."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    metres_per_pixel: Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)]
    origin_x_px: Annotated[float, Field(allow_inf_nan=False)]
    origin_y_px: Annotated[float, Field(allow_inf_nan=False)]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanImage:
    """An image that was decoded to its last pixel."""

    media_type: str
    width_px: int
    height_px: int
    content: bytes


def read_image(content: bytes) -> PlanImage:
    """Check an image by its content; raises Invalid saying what is wrong and what is taken."""
    if len(content) > MAX_IMAGE_BYTES:
        raise Invalid(f"image: at most {MAX_IMAGE_BYTES} bytes; found {len(content)}")
    try:
        return _decode(content)
    except UnidentifiedImageError as error:
        raise Invalid("image: a PNG, JPEG or WebP; these bytes are none of them") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise Invalid(_TOO_LARGE) from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise Invalid("image: one that is whole and sound; this one is damaged or cut short") from error


def put_plan(
    session: Session, *, venue: str, floor: str, image: PlanImage, scale: PlanScale, now_ms: int
) -> tuple[FloorPlan, bool]:
    """Keep a floor's plan in place of the one before; and whether there was none."""
    find_venue(session, venue=venue)
    _check_scale(scale, image=image)
    values = {
        **scale.model_dump(),
        "media_type": image.media_type,
        "width_px": image.width_px,
        "height_px": image.height_px,
        "sha256": hashlib.sha256(image.content).hexdigest(),
        "image": image.content,
        "updated_ms": now_ms,
    }
    row = session.get(FloorPlan, (venue, floor))
    is_new = row is None
    if row is None:
        row = FloorPlan.model_validate({"venue": venue, "floor": floor, **values})
    else:
        row.sqlmodel_update(values)
    session.add(row)
    session.flush()
    return row, is_new


def find_plan(session: Session, *, venue: str, floor: str) -> FloorPlan:
    """The plan of a floor; raises NotFound."""
    find_venue(session, venue=venue)
    row = session.get(FloorPlan, (venue, floor))
    if row is None:
        raise NotFound(f"venue {venue} has no plan of floor {floor}")
    return row


def list_plans(session: Session, *, venue: str) -> list[FloorPlan]:
    """All plans of a venue by floor."""
    find_venue(session, venue=venue)
    return list(session.exec(select(FloorPlan).where(col(FloorPlan.venue) == venue).order_by(col(FloorPlan.floor))))


def remove_plan(session: Session, *, venue: str, floor: str) -> None:
    """Forget a floor's plan; raises NotFound."""
    session.delete(find_plan(session, venue=venue, floor=floor))


def _decode(content: bytes) -> PlanImage:
    with Image.open(io.BytesIO(content), formats=list(MEDIA_TYPES)) as image:
        width, height = image.size
        if max(width, height) > MAX_SIDE_PX or width * height > MAX_PIXELS:
            raise Invalid(f"{_TOO_LARGE}; found {width} × {height}")
        if getattr(image, "n_frames", 1) > 1:
            raise Invalid("image: a still picture; this one is animated")
        media_type = MEDIA_TYPES[image.format or ""]
        image.load()
    return PlanImage(media_type=media_type, width_px=width, height_px=height, content=content)


def _check_scale(scale: PlanScale, *, image: PlanImage) -> None:
    longest_m = max(image.width_px, image.height_px) * scale.metres_per_pixel
    if not 0.5 <= longest_m <= MAX_FLOOR_M:
        raise Invalid(
            f"metres_per_pixel: one that makes the floor 0.5 m to {MAX_FLOOR_M} m long; this makes it {longest_m:g} m"
        )
    for name, value, size in (
        ("origin_x_px", scale.origin_x_px, image.width_px),
        ("origin_y_px", scale.origin_y_px, image.height_px),
    ):
        if not -size <= value <= 2 * size:
            raise Invalid(f"{name}: between {-size} and {2 * size}, near the image; found {value:g}")
