"""What one camera's frames mean: who is there, where, in which zones, across which lines, and for how long.

One frame goes through a line a stage: detections → tracks → people → places → seconds → zones, lines, visits, cells.
Everything is keyed by person ids that exist only here; what comes out, as `Minute`s and closed `Visit`s, has none.
Time is that of the frames. Knows nothing of the wire, of files or of any clock.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge.detector.detections import Detections
from edge.floor import Calibration, Floor, Lens
from edge.heatmap import HeatMap, Presence, TileIncrement
from edge.lines import Crossing, Line, LineWatch
from edge.motion_tracker import MotionTracker
from edge.queues import QueueTally, QueueWatch
from edge.settings import CameraSettings, LineSettings
from edge.stitching import People, Stitcher, StitchingSettings
from edge.tracker import LibraryTracker, Tracker, TrackerSettings
from edge.visits import Checkpoint, Visit, VisitBook, VisitSettings
from edge.zones import Zone, ZoneWatch
from protocol.configuration import LineKind, ZoneKind

__all__ = ["LineTally", "Minute", "Scene", "ZoneTally", "floor_of", "line_of", "tracker_of"]

_ZONE_MARGIN_M = 0.3
_ZONE_MARGIN_PX = 8.0
_WATCHED_GAP_MS = 2_000
"""Two frames farther apart than this leave the time between them unwatched."""
_PEOPLE_GONE_SECONDS = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneTally:
    """One zone in one minute."""

    zone: str
    person_ms: int
    max_people: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LineTally:
    """One line's crossings in one minute."""

    line: str
    inward: int
    outward: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Minute:
    """What a scene saw since the minute before; `at` is the middle of it, monotonic seconds.

    The middle stays within its minute of UTC also when what is known of UTC moves a little; the beginning would not.
    `inside` is entries minus exits over the entrance lines, None where there are none; `drift` what a reset took away.
    """

    scene: str
    camera: str
    space: str
    at: float
    watched_ms: int
    analysed_frames: int
    dropped_frames: int
    person_ms: int
    max_people: int
    zones: tuple[ZoneTally, ...]
    lines: tuple[LineTally, ...]
    queues: tuple[QueueTally, ...]
    tiles: tuple[TileIncrement, ...]
    inside: int | None
    drift: int | None


class Scene:
    """One camera's scene. `image_size` is the reference that all of its shapes are in."""

    def __init__(self, camera: CameraSettings, *, box: str, image_size: tuple[int, int], resumable: int = 0) -> None:
        self.id = camera.scene_id
        self.camera = camera.id
        self.image_size = image_size
        self.floor = floor_of(camera, image_size, box=box)
        self._tracker = tracker_of(camera)
        self._stitcher = Stitcher(
            image_size,
            StitchingSettings(gap_seconds=camera.gap_seconds),
            floor=self.floor,
            doorways=_doorways(camera),
        )
        margin = _ZONE_MARGIN_M if self.floor.calibrated else _ZONE_MARGIN_PX
        self._zones = ZoneWatch([Zone(id=zone.id, polygon=zone.polygon) for zone in camera.zones], margin=margin)
        self._queues = _queues(camera)
        self._lines = LineWatch([line_of(line) for line in camera.lines], y_up=self.floor.calibrated)
        self._entrances = frozenset(line.id for line in camera.lines if line.kind is LineKind.ENTRANCE)
        self._visits = VisitBook(
            VisitSettings(
                scene=self.id,
                zones=tuple(zone.id for zone in camera.zones),
                entrances=self._entrances,
                end_seconds=camera.gap_seconds,
                resumable=resumable,
            )
        )
        self._presence = Presence()
        self._heat = HeatMap(self.floor.cell)
        self._inside = _Inside(empty_seconds=camera.empty_seconds)
        self._tally = _Tally(zones=len(camera.zones))
        self._gap_seconds = camera.gap_seconds
        self._last_ms: int | None = None
        self._people_at = (float("-inf"), 0)
        self.zone_people: tuple[int, ...] = (0,) * len(camera.zones)
        self.crossed: tuple[Crossing, ...] = ()
        """Crossings of which the newest call left no doubt."""

    def observe(
        self, detections: Detections, *, at: float, image_size: tuple[int, int]
    ) -> tuple[People, tuple[Visit, ...]]:
        """Take one frame's detections; the people in it, and the visits that ended."""
        watched_ms = self._watch(at)
        tracks = self._tracker.update(self._in_reference(detections, image_size), at)
        people = self._stitcher.update(tracks)
        places = self.floor.place(self.floor.feet(people.boxes))
        on_floor = np.isfinite(places).all(axis=1)
        milliseconds = np.where(on_floor, self._presence.update(people.ids, people.since, at), 0)
        zones = self._zones.update(people.ids, places, at)
        for line, till, queue in self._queues:
            at_till = np.zeros(len(people), np.bool_) if till is None else zones.inside[:, till]
            queue.update(people.ids, zones.inside[:, line], at_till, at, passed_ms=watched_ms)
        bodies = self.floor.bodies(people.boxes)
        first_places = self.floor.place(self.floor.feet(people.first_boxes))
        self._lines.meet(people.ids, first_places, bodies, at)
        crossings = self._lines.update(people.ids, places, bodies, at)
        self._cross(crossings, at, busy=bool(len(people)) or not watched_ms)
        in_zones = zones.inside.astype(np.int64) * milliseconds[:, None]
        turnover = self._visits.update(people, in_zones, crossings)
        self._heat.add(places, milliseconds)
        # Who comes back after the end of a visit enters where they are now; who was first seen on no floor does too.
        is_new = (at - people.since <= self._gap_seconds) & np.isfinite(first_places).all(axis=1)
        self._heat.enter(np.where(is_new[:, None], first_places, places)[turnover.begun])
        self._tally.watched_ms += watched_ms
        self._tally.add(len(people), milliseconds, in_zones, zones.occupancy)
        self._people_at = (at, len(people))
        self.zone_people = tuple(zones.occupancy.tolist())
        return people, turnover.closed

    def idle(self, at: float) -> tuple[Visit, ...]:
        """Let time pass without a frame: visits of people unseen for too long end."""
        nobody = People.none(at)
        crossings = self._lines.update(nobody.ids, np.empty((0, 2)), np.empty(0), at)
        self._cross(crossings, at, busy=True)
        return self._visits.update(nobody, np.empty((0, len(self._zones.zones)), np.int64), crossings).closed

    def minute(self, *, began: float, ended: float, dropped_frames: int) -> Minute:
        """What was seen since the last call."""
        tally, self._tally = self._tally, _Tally(zones=len(self._zones.zones))
        inside, drift = self._inside.report() if self._entrances else (None, None)
        return Minute(
            scene=self.id,
            camera=self.camera,
            space=self.floor.space_id,
            at=(began + ended) / 2,
            watched_ms=tally.watched_ms,
            analysed_frames=tally.frames,
            dropped_frames=dropped_frames,
            person_ms=tally.person_ms,
            max_people=tally.max_people,
            zones=tuple(
                ZoneTally(zone=zone.id, person_ms=int(tally.zone_ms[index]), max_people=int(tally.zone_max[index]))
                for index, zone in enumerate(self._zones.zones)
            ),
            lines=tuple(
                LineTally(line=line, inward=counts["in"], outward=counts["out"])
                for line, counts in sorted(tally.crossings.items())
            ),
            queues=tuple(queue.minute() for _, _, queue in self._queues),
            tiles=self._heat.take(),
            inside=inside,
            drift=drift,
        )

    def people_at(self, now: float) -> int:
        """People in view; nobody once the last frame is too old to say."""
        at, count = self._people_at
        return count if now - at <= _PEOPLE_GONE_SECONDS else 0

    @property
    def inside(self) -> int | None:
        """Entries minus exits since the scene was last known empty; None without entrance lines."""
        return self._inside.count if self._entrances else None

    def checkpoints(self) -> tuple[Checkpoint, ...]:
        """The visits still open."""
        return self._visits.checkpoints()

    def finish(self) -> tuple[Visit, ...]:
        """Close every visit because the watching ends."""
        crossings = self._lines.finish()
        self._cross(crossings, self._people_at[0], busy=True)
        return self._visits.finish(crossings)

    def _cross(self, crossings: tuple[Crossing, ...], at: float, *, busy: bool) -> None:
        self.crossed = crossings
        for crossing in crossings:
            self._tally.crossings[crossing.line][crossing.direction] += 1
        at_entrances = [crossing for crossing in crossings if crossing.line in self._entrances]
        self._inside.add(at_entrances, at, busy=busy)

    def _watch(self, at: float) -> int:
        """Milliseconds since the last frame, if they were watched, else none."""
        now_ms = round(at * 1000)
        passed_ms = 0 if self._last_ms is None else now_ms - self._last_ms
        self._last_ms = now_ms
        return passed_ms if 0 < passed_ms <= _WATCHED_GAP_MS else 0

    def _in_reference(self, detections: Detections, image_size: tuple[int, int]) -> Detections:
        """Boxes in reference pixels, whatever size the camera sends now."""
        if image_size == self.image_size:
            return detections
        across, down = self.image_size[0] / image_size[0], self.image_size[1] / image_size[1]
        scale = np.array([across, down, across, down], np.float32)
        return Detections(boxes=detections.boxes * scale, confidence=detections.confidence)


class _Tally:
    """Sums of the minute that is running."""

    def __init__(self, *, zones: int) -> None:
        self.watched_ms = self.frames = self.person_ms = self.max_people = 0
        self.zone_ms = np.zeros(zones, np.int64)
        self.zone_max = np.zeros(zones, np.int64)
        self.crossings: defaultdict[str, Counter[str]] = defaultdict(Counter)

    def add(
        self,
        people: int,
        milliseconds: npt.NDArray[np.int64],
        in_zones: npt.NDArray[np.int64],
        occupancy: npt.NDArray[np.int64],
    ) -> None:
        self.frames += 1
        self.person_ms += int(milliseconds.sum())
        self.max_people = max(self.max_people, people)
        self.zone_ms += in_zones.sum(axis=0)
        self.zone_max = np.maximum(self.zone_max, occupancy)


class _Inside:
    """In − out since the scene was last known empty: watched without a break, nobody seen, no entrance crossed."""

    def __init__(self, *, empty_seconds: float) -> None:
        self.count = 0
        self._drift: int | None = None
        self._empty_seconds = empty_seconds
        self._busy_at: float | None = None

    def add(self, crossings: Sequence[Crossing], at: float, *, busy: bool) -> None:
        """`busy` when somebody was there, or nobody can say."""
        self.count += sum(1 if crossing.direction == "in" else -1 for crossing in crossings)
        if busy or crossings or self._busy_at is None:
            self._busy_at = at
        elif self.count and at - self._busy_at >= self._empty_seconds:
            self._drift = (self._drift or 0) + self.count
            self.count = 0

    def report(self) -> tuple[int, int | None]:
        drift, self._drift = self._drift, None
        return self.count, drift


def floor_of(camera: CameraSettings, image_size: tuple[int, int], *, box: str) -> Floor:
    """The floor a camera's settings describe; raises ConfigurationError naming the camera when its points are bad."""
    settings = camera.calibration
    if settings is None:
        return Floor.uncalibrated(image_size, box=box, camera=camera.id, cell_px=camera.cell_px)
    lens = settings.lens
    calibration = Calibration(
        image_points=settings.image_points,
        floor_points=settings.floor_points,
        lens=None if lens is None else Lens(model=lens.model, focal_px=lens.focal_px, k1=lens.k1, k2=lens.k2),
    )
    return Floor.from_points(
        calibration, camera=camera.id, floor=settings.floor, image_size=image_size, cell_m=settings.cell_m
    )


def tracker_of(camera: CameraSettings) -> Tracker:
    """The tracker a camera's settings name."""
    if camera.tracker == "motion":
        return MotionTracker()
    return LibraryTracker(TrackerSettings(algorithm=camera.tracker))


def _queues(camera: CameraSettings) -> list[tuple[int, int | None, QueueWatch]]:
    """Each line of people: its zone's column, that of the zone in which they are served, and who follows them."""
    columns = {zone.id: column for column, zone in enumerate(camera.zones)}
    return [
        (
            columns[zone.id],
            None if zone.served_in is None else columns[zone.served_in],
            QueueWatch(zone.id, has_till=zone.served_in is not None),
        )
        for zone in camera.zones
        if zone.kind is ZoneKind.QUEUE
    ]


def _doorways(camera: CameraSettings) -> list[Line]:
    """Where people come and go: at entrances, and where the settings say so."""
    entrances = [line_of(line) for line in camera.lines if line.kind is LineKind.ENTRANCE]
    named = [Line(id=f"doorway-{number}", a=one.a, b=one.b) for number, one in enumerate(camera.doorways, start=1)]
    return [*entrances, *named]


def line_of(line: LineSettings) -> Line:
    """A line as its settings draw it."""
    return Line(id=line.id, a=line.a, b=line.b, band=line.band)
