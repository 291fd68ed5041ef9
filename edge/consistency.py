"""What the cameras of one box must agree in, said as sentences about what is allowed.

Takes tables as they were read where it can, so that a mistake in one camera hides none between them.
"""

from collections.abc import Sequence
from typing import TypeGuard

from pydantic import TypeAdapter, ValidationError

from edge.camera_settings import CameraSettings
from protocol.wire import Slug

__all__ = ["twice_named", "unlike_in_scene"]

_SLUG = TypeAdapter[str](Slug)


def twice_named(cameras: object) -> list[str]:
    """What the tables of a box's cameras name more than once, as sentences; what is no id is passed over."""
    tables = _tables(cameras)
    named = {
        "camera": [table.get("id") for table in tables],
        "zone": [zone.get("id") for table in tables for zone in _tables(table.get("zone"))],
        "line": [line.get("id") for table in tables for line in _tables(table.get("line"))],
    }
    return [
        f"every {kind} id once on a box; found more than once: {', '.join(twice)}"
        for kind, ids in named.items()
        if (twice := sorted({name for name in ids if _is_slug(name) and ids.count(name) > 1}))
    ]


def unlike_in_scene(cameras: Sequence[CameraSettings]) -> list[str]:
    """What cameras of one scene do not have in common and should, as sentences."""
    sentences = []
    for name in dict.fromkeys(camera.scene_id for camera in cameras):
        together = {camera.id: camera for camera in cameras if camera.scene_id == name}
        floors = {camera.calibration.floor if camera.calibration else None for camera in together.values()}
        if len(together) > 1 and (len(floors) > 1 or None in floors):
            found = ", ".join(together)
            sentences.append(f"calibrating all cameras of a scene on one floor; those of {name} are not: {found}")
        if len({camera.counting for camera in together.values()}) > 1:
            sentences.append(f"counting alike for all cameras of a scene; those of {name} differ")
    return sentences


def _tables(value: object) -> list[dict[str, object]]:
    return [table for table in value if isinstance(table, dict)] if isinstance(value, list | tuple) else []


def _is_slug(value: object) -> TypeGuard[str]:
    try:
        _SLUG.validate_python(value)
    except ValidationError:
        return False
    return True
