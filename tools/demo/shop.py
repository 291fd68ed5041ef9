"""The made-up shop of the demo: its cameras, and the truth about it: who came into sight, and who crossed its door.

The cameras inside look at one floor, so they are one scene, in which somebody counts once; the door's counts crossings.

Knows nothing of pictures or of what was counted. Times are seconds of the film.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from edge.stitching import StitchingSettings
from edge.synthetic.lens import lens_of
from edge.synthetic.life import Crowd, seeded_visitors
from edge.synthetic.plan import DOOR, QUEUE, TILL, ZONES, Line, ViewName, Zone
from edge.synthetic.sight import IN_SIGHT, Sightings, seen_at
from edge.synthetic.truth import Passing, stay_of
from tools.demo.screen import Figures

__all__ = ["CAMERAS", "RATE", "SCENE", "SIZE", "Shop", "ShopCamera", "configuration"]

SIZE = (640, 480)
RATE = 10.0
PEOPLE_PER_MINUTE = 3.0
_LINE = f'kind = "queue"\nserved_in = "{TILL.id}"\n'
GAP_SECONDS = 5.0
"""A visit is over when its person was out of sight so long."""
TOLD_SECONDS = StitchingSettings(gap_seconds=GAP_SECONDS).longest_absence
"""A box tells of it when nobody who came meanwhile can be that person any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShopCamera:
    """A camera of the shop, and what is drawn in its picture; `counting` where visits are counted."""

    view: ViewName
    counting: bool = True
    doorways: tuple[Line, ...] = ()
    lines: tuple[Line, ...] = ()
    zones: tuple[Zone, ...] = ()


CAMERAS = (
    ShopCamera(
        view="overview",
        doorways=(DOOR,),
        zones=tuple(zone for zone in ZONES if zone not in {QUEUE, TILL}),
    ),
    ShopCamera(view="till", zones=(QUEUE, TILL)),
    ShopCamera(view="door", counting=False, lines=(DOOR,)),
)
SCENE = CAMERAS[0].view
"""What the scene of the cameras that count is called: after the first of them."""


def configuration(*, seed: int, seconds: float) -> str:
    """What a box is told of these cameras, all of them calibrated."""
    return "\n".join(_camera(camera, seed=seed, seconds=seconds) for camera in CAMERAS)


class Shop:
    """Follows the film, whose length is `seconds`, as its moments pass."""

    def __init__(self, *, seed: int, seconds: float) -> None:
        self._crowd = Crowd(seeded_visitors(seed, per_minute=PEOPLE_PER_MINUTE, until=seconds))
        self._lenses = [lens_of(camera.view, SIZE) for camera in CAMERAS if camera.counting]
        self._sightings = Sightings(gap_seconds=GAP_SECONDS)
        self._passings: dict[int, tuple[Passing, ...]] = {}
        self._in_view = 0
        self._seen = 0
        self._frame = 0

    def figures(self, now: float, *, crossings_until: float) -> Figures:
        """What ought to be counted by `now`, which never goes back; of crossings those until another moment."""
        while self._frame / RATE <= now:
            self._follow(self._frame / RATE)
            self._frame += 1
        passings = [one for passed in self._passings.values() for one in passed if one.at < crossings_until]
        inward = sum(one.inward for one in passings)
        return Figures(
            in_view=self._in_view,
            mean_in_view=self._seen / max(self._frame, 1),
            visits=sum(visit.last_seen + TOLD_SECONDS < now for visit in self._sightings.visits),
            walked_in=inward,
            walked_out=len(passings) - inward,
        )

    def _follow(self, moment: float) -> None:
        there = self._crowd.at(moment)
        seen = [one for lens in self._lenses for one in seen_at(moment, there, lens)]
        self._sightings.add(moment, seen)
        self._in_view = len({one.person for one in seen if one.visible >= IN_SIGHT})
        self._seen += self._in_view
        for person in there:
            if person.id not in self._passings:
                self._passings[person.id] = stay_of(person).passings


def _camera(camera: ShopCamera, *, seed: int, seconds: float) -> str:
    image_points, floor_points = lens_of(camera.view, SIZE).calibration()
    doorways = "".join(f"\n[[camera.doorway]]\na = {list(one.a)}\nb = {list(one.b)}\n" for one in camera.doorways)
    lines = "".join(
        f'\n[[camera.line]]\nid = "{line.id}"\na = {list(line.a)}\nb = {list(line.b)}\n' for line in camera.lines
    )
    zones = "".join(
        f'\n[[camera.zone]]\nid = "{zone.id}"\npolygon = {_toml(zone.area.polygon)}\n{_LINE if zone is QUEUE else ""}'
        for zone in camera.zones
    )
    return f"""[[camera]]
id = "{camera.view}"
counting = {str(camera.counting).lower()}
rate = {RATE}
image_size = {list(SIZE)}

[camera.synthetic]
seed = {seed}
view = "{camera.view}"
people_per_minute = {PEOPLE_PER_MINUTE}
seconds = {seconds}

[camera.calibration]
floor = "ground"
image_points = {_toml(image_points)}
floor_points = {_toml(floor_points)}
{doorways}{lines}{zones}"""


def _toml(points: Iterable[tuple[float, float]]) -> str:
    return str([list(point) for point in points])
