"""What the frames of one scene mean: who is there, where, in which zones, across which lines, and for how long.

A scene is what one camera sees, or several that look at one floor. One frame goes through a line a stage: detections →
people of its camera → people of the scene → seconds → zones, queues, lines, visits, cells. Everything is keyed by ids
that exist only here; what comes out, as `Minute`s and closed `Visit`s, has none. Time is that of the frames. Knows
nothing of the wire, of files or of any clock.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from edge.detector.detections import Detections
from edge.fusion import Fused, Fusion, FusionSettings
from edge.heatmap import Presence
from edge.lines import Crossing, Line, LineWatch
from edge.minute import LineTally, Minute, ZoneTally
from edge.queues import QueueWatch
from edge.settings import CameraSettings, LineSettings
from edge.stitching import People, StitchingSettings
from edge.view import View
from edge.visits import Checkpoint, Visit, VisitBook, VisitSettings
from edge.walkers import Walkers
from edge.zones import Zone, ZoneWatch
from protocol.configuration import LineKind, ZoneKind

__all__ = ["Scene", "line_of"]

_ZONE_MARGIN_M = 0.3
_ZONE_MARGIN_PX = 8.0
_PEOPLE_GONE_SECONDS = 3.0


class Scene:
    """The cameras of one scene; `image_sizes` are the references that their shapes are in, by camera.

    Several cameras are calibrated on one floor. What an earlier run left: visits still open (`resumable`), and how many
    people were `inside`.
    """

    def __init__(
        self,
        cameras: Sequence[CameraSettings],
        *,
        box: str,
        image_sizes: Mapping[str, tuple[int, int]],
        resumable: int = 0,
        inside: int = 0,
    ) -> None:
        first = cameras[0]
        self.id = first.scene_id
        doorways = _doorways(cameras)
        self._views = {
            camera.id: View(camera, box=box, image_size=image_sizes[camera.id], doorways=doorways) for camera in cameras
        }
        stitching = StitchingSettings(gap_seconds=max(camera.gap_seconds for camera in cameras))
        self._longest_absence = stitching.longest_absence
        fusing = FusionSettings(gap_seconds=stitching.gap_seconds, probation_seconds=stitching.crowded_seconds)
        self._fusion = Fusion(fusing, doorways=doorways) if len(cameras) > 1 else None
        zones = [zone for camera in cameras for zone in camera.zones]
        lines = [line for camera in cameras for line in camera.lines]
        margin = _ZONE_MARGIN_PX if first.calibration is None else _ZONE_MARGIN_M
        self._zones = ZoneWatch([Zone(id=zone.id, polygon=zone.polygon) for zone in zones], margin=margin)
        self._queues = _queues(cameras)
        self._lines = LineWatch([line_of(line) for line in lines], y_up=first.calibration is not None)
        self._entrances = frozenset(line.id for line in lines if line.kind is LineKind.ENTRANCE)
        self._visits = VisitBook(
            VisitSettings(
                scene=self.id,
                zones=tuple(zone.id for zone in zones),
                entrances=self._entrances,
                end_seconds=self._longest_absence,
                resumable=resumable,
            )
        )
        self._presence = Presence()
        self._inside = _Inside(inside, empty_seconds=max(camera.empty_seconds for camera in cameras))
        self._tally = _Tally(zones=len(zones))
        self._now = float("-inf")
        self.crossed: tuple[Crossing, ...] = ()
        """Crossings of which the newest call left no doubt."""
        self.walkers = Walkers.none(float("-inf"))
        """Who was where at the last frame."""
        self.zone_people: dict[str, int] = {zone.id: 0 for zone in zones}
        """How many people were in each zone at the last frame."""

    @property
    def image_sizes(self) -> dict[str, tuple[int, int]]:
        """The reference size of each camera's pictures."""
        return {camera: view.image_size for camera, view in self._views.items()}

    def observe(
        self,
        detections: Detections,
        *,
        at: float,
        image_size: tuple[int, int],
        camera: str | None = None,
        is_fit: bool = True,
    ) -> tuple[People, tuple[Visit, ...]]:
        """Take the detections in one frame of a camera (of the first one): the people in it, and visits that ended.

        Time whose pictures are not fit to count in is not watched.
        """
        view = self._views[camera] if camera is not None else next(iter(self._views.values()))
        people, seen = view.see(detections, at, image_size, is_fit=is_fit)
        # Frames of several cameras may come a little out of order.
        self._now = at = max(at, self._now)
        fused = self._fused(view, people, seen, at)
        there = fused.people
        milliseconds = self._credited(fused)
        self._merge(fused.merged)
        zones = self._zones.update(there.ids, there.places, at)
        for queue in self._queues:
            at_till = np.zeros(len(there), np.bool_) if queue.till is None else zones.inside[:, queue.till]
            passed_ms = view.just_watched_ms if queue.camera == view.camera else 0
            queue.watch.update(there.ids, zones.inside[:, queue.line], at_till, at, passed_ms=passed_ms)
        in_zones = zones.inside.astype(np.int64) * milliseconds[:, None]
        shown = there.rows(fused.in_frame)
        self._lines.meet(shown.ids, shown.first_places, shown.bodies, at)
        crossings = self._lines.update(shown.ids, shown.places, shown.bodies, at, doubted=fused.doubted)
        is_watched = all(each.is_watching(at) for each in self._views.values())
        self._cross(crossings, at, busy=bool(len(there)) or not is_watched)
        turnover = self._visits.update(shown, in_zones[fused.in_frame], crossings)
        view.credit(there.places, milliseconds, people=int(fused.credited.sum()))
        view.heat.enter(self._entry_places(shown)[turnover.begun])
        self._tally.add(in_zones, zones.occupancy)
        self.walkers = there
        self.zone_people = dict(zip(self.zone_people, zones.occupancy.tolist(), strict=True))
        return people, turnover.closed

    def idle(self, at: float) -> tuple[Visit, ...]:
        """Let time pass without a frame: visits of people unseen for too long end."""
        nobody = Walkers.none(at)
        crossings = self._lines.update(nobody.ids, nobody.places, nobody.bodies, at)
        self._cross(crossings, at, busy=True)
        return self._visits.update(nobody, np.empty((0, len(self._zones.zones)), np.int64), crossings).closed

    def minutes(
        self, *, began: float, ended: float, dropped_frames: Mapping[str, int] | None = None
    ) -> tuple[Minute, ...]:
        """What each camera saw since the last call; `dropped_frames` are counts by camera."""
        tally, self._tally = self._tally, _Tally(zones=len(self._zones.zones))
        inside, drift = self._inside.report() if self._entrances else (None, None)
        minutes: list[Minute] = []
        for view in self._views.values():
            is_first = not minutes
            minutes.append(
                Minute(
                    scene=self.id,
                    camera=view.camera,
                    space=view.floor.space_id,
                    at=(began + ended) / 2,
                    watched_ms=view.watched_ms,
                    analysed_frames=view.frames,
                    dropped_frames=(dropped_frames or {}).get(view.camera, 0),
                    person_ms=view.person_ms,
                    max_people=view.max_people,
                    zones=self._zone_tallies(tally) if is_first else (),
                    lines=tally.lines() if is_first else (),
                    queues=tuple(queue.watch.minute() for queue in self._queues) if is_first else (),
                    tiles=view.heat.take(),
                    inside=inside if is_first else None,
                    drift=drift if is_first else None,
                )
            )
            view.clear()
        return tuple(minutes)

    def people_at(self, now: float) -> int:
        """People in view; nobody once the last frame is too old to say."""
        return len(self.walkers) if now - self.walkers.at <= _PEOPLE_GONE_SECONDS else 0

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
        self._cross(crossings, self.walkers.at, busy=True)
        return self._visits.finish(crossings)

    def _merge(self, pairs: Sequence[tuple[int, int]]) -> None:
        """Have everybody know the second of each pair as the first."""
        for elder, younger in pairs:
            self._zones.merge(elder, younger)
            for queue in self._queues:
                queue.watch.merge(elder, younger)
            self._lines.merge(elder, younger)
            self._visits.merge(elder, younger)

    def _cross(self, crossings: tuple[Crossing, ...], at: float, *, busy: bool) -> None:
        self.crossed = crossings
        self._tally.cross(crossings)
        at_entrances = [crossing for crossing in crossings if crossing.line in self._entrances]
        self._inside.add(at_entrances, at, busy=busy)

    def _fused(self, view: View, people: People, seen: Walkers, at: float) -> Fused:
        """The people of the scene; a camera of its own sees them all."""
        if self._fusion is None:
            everybody = np.ones(len(seen), np.bool_)
            return Fused(people=seen, in_frame=everybody, credited=everybody, merged=(), doubted=frozenset())
        return self._fusion.update(view.camera, replace(seen, at=at), view.spreads(people))

    def _credited(self, fused: Fused) -> npt.NDArray[np.int64]:
        """Milliseconds for each of the people: none on no floor, and none that another camera is credited with."""
        there = fused.people
        milliseconds = np.zeros(len(there), np.int64)
        mine = there.rows(fused.credited)
        milliseconds[fused.credited] = self._presence.update(mine.ids, mine.since, there.at)
        return np.where(np.isfinite(there.places).all(axis=1), milliseconds, 0)

    def _entry_places(self, shown: Walkers) -> npt.NDArray[np.float64]:
        """Where people came in.

        Who comes back after the end of a visit enters where they are now; who was first seen on no floor does too.
        """
        is_new = shown.at - shown.since <= self._longest_absence
        is_new &= np.isfinite(shown.first_places).all(axis=1)
        return np.where(is_new[:, None], shown.first_places, shown.places)

    def _zone_tallies(self, tally: "_Tally") -> tuple[ZoneTally, ...]:
        return tuple(
            ZoneTally(zone=zone.id, person_ms=int(tally.zone_ms[index]), max_people=int(tally.zone_max[index]))
            for index, zone in enumerate(self._zones.zones)
        )


class _Tally:
    """Sums of the whole scene in the minute that is running."""

    def __init__(self, *, zones: int) -> None:
        self.zone_ms = np.zeros(zones, np.int64)
        self.zone_max = np.zeros(zones, np.int64)
        self._crossings: defaultdict[str, Counter[str]] = defaultdict(Counter)

    def add(self, in_zones: npt.NDArray[np.int64], occupancy: npt.NDArray[np.int64]) -> None:
        self.zone_ms += in_zones.sum(axis=0)
        self.zone_max = np.maximum(self.zone_max, occupancy)

    def cross(self, crossings: Sequence[Crossing]) -> None:
        for crossing in crossings:
            self._crossings[crossing.line][crossing.direction] += 1

    def lines(self) -> tuple[LineTally, ...]:
        return tuple(
            LineTally(line=line, inward=counts["in"], outward=counts["out"])
            for line, counts in sorted(self._crossings.items())
        )


class _Inside:
    """In − out since the scene was last known empty: each of its cameras watched, nobody seen, no entrance crossed."""

    def __init__(self, count: int, *, empty_seconds: float) -> None:
        self.count = count
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Queue:
    """A line of people: the camera that answers for it, and the columns of its zone and of the till's."""

    camera: str
    line: int
    till: int | None
    watch: QueueWatch


def _queues(cameras: Sequence[CameraSettings]) -> list[_Queue]:
    zones = [(zone, camera.id) for camera in cameras for zone in camera.zones]
    columns = {zone.id: column for column, (zone, _) in enumerate(zones)}
    return [
        _Queue(
            camera=camera,
            line=columns[zone.id],
            till=None if zone.served_in is None else columns[zone.served_in],
            watch=QueueWatch(zone.id, has_till=zone.served_in is not None),
        )
        for zone, camera in zones
        if zone.kind is ZoneKind.QUEUE
    ]


def _doorways(cameras: Sequence[CameraSettings]) -> list[Line]:
    """Where people come and go: at entrances, and where the settings say so."""
    entrances = [line_of(line) for camera in cameras for line in camera.lines if line.kind is LineKind.ENTRANCE]
    drawn = [doorway for camera in cameras for doorway in camera.doorways]
    named = [Line(id=f"doorway-{number}", a=one.a, b=one.b) for number, one in enumerate(drawn, start=1)]
    return [*entrances, *named]


def line_of(line: LineSettings) -> Line:
    """A line as its settings draw it."""
    return Line(id=line.id, a=line.a, b=line.b, band=line.band)
