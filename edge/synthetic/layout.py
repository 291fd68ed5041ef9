"""The made-up shop as a box tells of it when one camera sees all of its floor: scene, camera, space, door and zones.

Knows the plan and the contract. Refuses to know people.
"""

from edge.synthetic.plan import DOOR, QUEUE, ZONES, Zone
from protocol.configuration import Camera, Coordinates, Layout, Line, LineKind, Scene, Space, ZoneKind
from protocol.configuration import Zone as WireZone
from protocol.modes import DEFAULT_K, Mode

__all__ = ["CAMERA", "CELL_M", "LAYOUT", "SCENE", "SPACE"]

SCENE, CAMERA, SPACE = "shop", "overview", "ground-50cm"
CELL_M = 0.5


def _layout() -> Layout:
    return Layout(
        mode=Mode.STATISTICS,
        k=DEFAULT_K,
        scenes=(Scene(scene=SCENE, counting=True),),
        cameras=(Camera(camera=CAMERA, scene=SCENE, space=SPACE),),
        spaces=(Space(space=SPACE, coordinates=Coordinates.FLOOR, floor="ground", cell=CELL_M),),
        lines=(
            Line(
                line=DOOR.id,
                scene=SCENE,
                camera=CAMERA,
                kind=LineKind.ENTRANCE,
                coordinates=Coordinates.FLOOR,
                a=DOOR.a,
                b=DOOR.b,
            ),
        ),
        zones=tuple(_wire_zone(zone) for zone in ZONES),
    )


def _wire_zone(zone: Zone) -> WireZone:
    return WireZone(
        zone=zone.id,
        scene=SCENE,
        camera=CAMERA,
        kind=ZoneKind.QUEUE if zone is QUEUE else ZoneKind.AREA,
        coordinates=Coordinates.FLOOR,
        polygon=zone.area.polygon,
    )


LAYOUT = _layout()
"""What the items' numbers refer to."""
