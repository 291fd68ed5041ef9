"""What the settings say about places, in the protocol's words: the layout that items are made under."""

from collections.abc import Mapping, Sequence

from edge.floor import space_slug
from edge.settings import BoxSettings, CameraSettings, LineSettings, Settings, ZoneSettings
from edge.view import floor_of
from protocol.configuration import Camera, Coordinates, Layout, Line, Scene, Space, Zone
from protocol.wire import MAX_ITEM_BYTES, ConfigHash

__all__ = ["layout_of", "oversized"]

_MOST = 256
"""Lines, and zones, of one box."""
_LARGEST_PICTURE = (16_384, 16_384)
_ANY_SETUP = "0" * 32
_ITEM_HEADER_BYTES = 512
"""More than what stands beside a layout in its item."""


def layout_of(
    box: BoxSettings,
    cameras: Sequence[CameraSettings],
    sizes: Mapping[str, tuple[int, int]],
    *,
    setups: Mapping[str, ConfigHash],
) -> Layout:
    """What the settings say about places; `sizes` are the reference sizes of the cameras seen so far.

    `setups` are those of the lines, by `edge.setup`.
    """
    spaces = [_space(camera, sizes, box=box.id) for camera in cameras]
    return Layout(
        mode=box.mode,
        k=box.k,
        scenes=tuple(
            Scene(scene=scene, counting=counting)
            for scene, counting in {camera.scene_id: camera.counting for camera in cameras}.items()
        ),
        cameras=tuple(
            Camera(camera=camera.id, scene=camera.scene_id, space=space.space)
            for camera, space in zip(cameras, spaces, strict=True)
        ),
        spaces=tuple({space.space: space for space in spaces}.values()),
        lines=tuple(_line(line, camera, setups.get(line.id)) for camera in cameras for line in camera.lines),
        zones=tuple(_zone(zone, camera) for camera in cameras for zone in camera.zones),
    )


def oversized(settings: Settings) -> list[str]:
    """Why these settings cannot be said in one message, as sentences; none where they can."""
    counts = {
        "zones": sum(len(camera.zones) for camera in settings.cameras),
        "lines": sum(len(camera.lines) for camera in settings.cameras),
    }
    many = [f"found {count} {what}; allowed are {_MOST} on one box" for what, count in counts.items() if count > _MOST]
    if many:
        return many
    sizes = {camera.id: _LARGEST_PICTURE for camera in settings.cameras}
    setups = {line.id: _ANY_SETUP for camera in settings.cameras for line in camera.lines}
    size = len(layout_of(settings.box, settings.cameras, sizes, setups=setups).to_json()) + _ITEM_HEADER_BYTES
    if size > MAX_ITEM_BYTES:
        found = f"found cameras, zones and lines that take {size} bytes as one message"
        return [f"{found}; allowed are {MAX_ITEM_BYTES}: draw with fewer points, or share the cameras among two boxes"]
    return []


def _line(line: LineSettings, camera: CameraSettings, setup: ConfigHash | None) -> Line:
    return Line(
        line=line.id,
        scene=camera.scene_id,
        camera=camera.id,
        kind=line.kind,
        coordinates=_coordinates(camera),
        a=line.a,
        b=line.b,
        setup=setup,
    )


def _zone(zone: ZoneSettings, camera: CameraSettings) -> Zone:
    return Zone(
        zone=zone.id,
        scene=camera.scene_id,
        camera=camera.id,
        kind=zone.kind,
        coordinates=_coordinates(camera),
        polygon=zone.polygon,
    )


def _space(camera: CameraSettings, sizes: Mapping[str, tuple[int, int]], *, box: str) -> Space:
    size = camera.image_size or sizes.get(camera.id)
    if size is None:
        unsized = space_slug(f"{box}--{camera.id}-unsized")
        return Space(space=unsized, coordinates=Coordinates.IMAGE, cell=camera.cell_px)
    floor = floor_of(camera, size, box=box)
    if camera.calibration is not None:
        return Space(
            space=floor.space_id, coordinates=Coordinates.FLOOR, floor=camera.calibration.floor, cell=floor.cell
        )
    return Space(space=floor.space_id, coordinates=Coordinates.IMAGE, cell=floor.cell, width=size[0], height=size[1])


def _coordinates(camera: CameraSettings) -> Coordinates:
    return Coordinates.IMAGE if camera.calibration is None else Coordinates.FLOOR
