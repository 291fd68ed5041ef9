"""The process that sees: one loop from frames to anonymous facts.

    frames → detections → scene → visits as they end; minutes, tiles and checkpoints each minute → journal

The loop is single-threaded. Threads exist only at its rims: one per camera before it, the journal behind it.
"""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace

from edge import reports
from edge.anonymity import Origin
from edge.camera.frames import Frame
from edge.camera.health import HealthChange, HealthState
from edge.camera.latest import Cameras
from edge.camera.masks import IgnoreMasks
from edge.clock import Fix
from edge.detector.detections import Detector
from edge.exchange.batch import Batch, Checkpointed
from edge.layout import layout_of
from edge.left_over import LastRun
from edge.minute import Minute
from edge.passages import LineSeen, Passages, subject_of
from edge.scene import Scene
from edge.scheduler import Scheduler
from edge.self_check import SelfCheck
from edge.settings import CameraSettings, Settings
from edge.setup import setups_of
from edge.visits import Visit
from protocol.configuration import Layout, config_hash
from protocol.events import CameraState, HealthReason
from protocol.modes import DISCLOSURE
from protocol.status import CameraStatus, ModelStatus
from protocol.wire import JsonObject

__all__ = ["Vision", "minute_end", "watch"]

_TURN_SECONDS = 0.25
_MINUTE_SECONDS = 60.0
_LIVE_SECONDS = 5.0
_IDLE_AFTER_SECONDS = 2.0

_log = logging.getLogger(__name__)


class Vision:
    """Turns the frames of a box's cameras into batches for the exchange."""

    def __init__(
        self,
        settings: Settings,
        *,
        detector: Detector,
        models: Callable[[], Sequence[ModelStatus]],
        put: Callable[[Batch], None],
        fix: Callable[[], Fix | None],
        things: Callable[[str], int] = lambda _camera: 0,
        last_run: LastRun | None = None,
    ) -> None:
        """`things` says how many of a camera's things are known to look like people; the detector leaves them out."""
        self._settings = settings
        self._cameras = {camera.id: camera for camera in settings.cameras}
        self._detector = detector
        self._models = models
        self._put = put
        self._fix = fix
        self._things = things
        last_run = last_run or LastRun()
        self._resumable, self._inside = dict(last_run.resumable), dict(last_run.inside)
        self._scenes: dict[str, Scene] = {}
        self._masks: dict[str, IgnoreMasks] = {}
        self._reasons: dict[str, HealthReason] = {}
        self._checks = {camera.id: SelfCheck() for camera in settings.cameras}
        self._is_overloaded = False
        self._dropped: dict[str, int] = {}
        self._frames: dict[str, int] = {}
        self._last_frame_at: dict[str, float] = {}
        self._minute: tuple[float, float] | None = None
        self._live_at = float("-inf")
        self._live_every = min(_LIVE_SECONDS, DISCLOSURE[settings.box.mode].live_interval_seconds)
        self._layout: Layout | None = None
        self._layout_said: Layout | None = None
        self._origin: Origin
        self._setups = setups_of(settings.cameras, detector=settings.detector, models=models())
        self._passages = {line: Passages() for line in self._setups}
        self.rates: Mapping[str, float] = {}
        """Frames analysed a second, by camera, as last said; replaced as a whole, so any thread may look."""

    def take(self, frame: Frame) -> None:
        """Analyse one frame."""
        scene = self._scene_for(frame)
        size = (frame.image.shape[1], frame.image.shape[0])
        seen = replace(frame, image=self._masks[frame.camera].apply(frame.image))
        people = self._detector.detect(seen)
        _, closed = scene.observe(
            people, at=frame.at, image_size=size, camera=frame.camera, is_fit=self._finds_itself_fit(frame)
        )
        self._note_crossings(scene)
        self._last_frame_at[frame.camera] = frame.at
        self._frames[frame.camera] = self._frames.get(frame.camera, 0) + 1
        self._say_closed(scene, closed)

    def changed(self, changes: Sequence[HealthChange]) -> None:
        """Note changes of cameras' health."""
        for change in changes:
            self._reasons[change.camera] = reports.health_reason(change)
            self._checks[change.camera].begin_anew()
            draft = reports.health(change, scene=self._cameras[change.camera].scene_id)
            self._put(Batch(origin=self._origin_from(change.at), drafts=[draft]))

    def turn(
        self,
        now: float,
        *,
        dropped: Mapping[str, int],
        states: Mapping[str, HealthState],
        is_overloaded: bool = False,
    ) -> None:
        """Let time pass: end visits of people long gone, close the minute, and say who is there now.

        `dropped` counts each camera's frames dropped since the start. Nobody is counted in what an overloaded box sees.
        """
        self._is_overloaded = is_overloaded
        for scene in self._scenes.values():
            cameras = [self._cameras[name] for name in scene.image_sizes]
            last_at = max(self._last_frame_at.get(camera.id, float("-inf")) for camera in cameras)
            if now - last_at > max(camera.gap_seconds for camera in cameras) + _IDLE_AFTER_SECONDS:
                closed = scene.idle(now)
                self._note_crossings(scene)
                self._say_closed(scene, closed)
        began, ends = self._minute or (now, self._boundary(now))
        self._minute = (began, ends)
        if now >= ends:
            next_end = self._boundary(now)
            # After a standstill the new minute is the present one, and those in between were not watched.
            self._minute = (max(ends, next_end - _MINUTE_SECONDS), next_end)
            self._close_minute(began, ends, dropped)
        if now - self._live_at >= self._live_every:
            origin = self._origin_from(now)
            self._put(Batch(origin=origin, live=self._live(now, states, config=origin.config)))
            self._live_at, self._frames = now, {}

    def stop(self, now: float, *, dropped: Mapping[str, int]) -> None:
        """Write down the minute so far; visits stay open, for the next run to close or resume."""
        began, _ = self._minute or (now, now)
        self._close_minute(began, now, dropped)

    def finish(self) -> None:
        """Close every visit because the films are over, and the watching with them."""
        for scene in self._scenes.values():
            self._say_closed(scene, scene.finish())

    def _finds_itself_fit(self, frame: Frame) -> bool:
        """Whether a camera's pictures are fit to count in; what changes about it is said."""
        check = self._checks[frame.camera]
        if check.look(frame, things=self._things(frame.camera), is_overloaded=self._is_overloaded):
            scene = self._cameras[frame.camera].scene_id
            said = reports.self_check(check.finding, camera=frame.camera, scene=scene, at=frame.at)
            self._put(Batch(origin=self._origin_from(frame.at), drafts=[said]))
        return reports.playing_state(check.finding) is CameraState.ONLINE

    def _scene_for(self, frame: Frame) -> Scene:
        name = self._cameras[frame.camera].scene_id
        if name not in self._scenes:
            cameras = [camera for camera in self._settings.cameras if camera.scene_id == name]
            # Only a camera alone in its scene may leave its size open.
            size = (frame.image.shape[1], frame.image.shape[0])
            sizes = {camera.id: camera.image_size or size for camera in cameras}
            self._layout = None
            self._scenes[name] = Scene(
                cameras,
                box=self._settings.box.id,
                image_sizes=sizes,
                resumable=self._resumable.pop(name, 0),
                inside=self._inside.pop(name, 0),
            )
            for camera in cameras:
                self._masks[camera.id] = IgnoreMasks(camera.masks, reference_size=sizes[camera.id])
        return self._scenes[name]

    def _note_crossings(self, scene: Scene) -> None:
        for crossing in scene.crossed:
            self._passages[crossing.line].add(crossing.direction, crossing.at)

    def _say_closed(self, scene: Scene, closed: Sequence[Visit]) -> None:
        if closed:
            self._put(
                Batch(
                    origin=self._origin_from(closed[0].first_seen),
                    drafts=[reports.visit(visit) for visit in closed],
                    checkpoints=[_checkpointed(scene)],
                )
            )

    def _close_minute(self, began: float, ended: float, dropped: Mapping[str, int]) -> None:
        cameras = self._settings.cameras
        since = {camera.id: dropped.get(camera.id, 0) - self._dropped.get(camera.id, 0) for camera in cameras}
        self._dropped = dict(dropped)
        minutes: list[Minute] = []
        for name in dict.fromkeys(camera.scene_id for camera in cameras):
            if name in self._scenes:
                minutes += self._scenes[name].minutes(began=began, ended=ended, dropped_frames=since)
            else:
                unseen = [camera.id for camera in cameras if camera.scene_id == name]
                minutes += [Minute.unwatched(scene=name, camera=one, at=(began + ended) / 2) for one in unseen]
        self._put(
            Batch(
                origin=self._origin_from(began),
                drafts=reports.minutely(minutes),
                tiles=[tile for minute in minutes for tile in reports.tiles(minute)],
                checkpoints=[_checkpointed(scene) for scene in self._scenes.values()],
            )
        )

    def _boundary(self, now: float) -> float:
        """When the running minute ends: on a whole minute of UTC where that is known."""
        fix = self._fix()
        return minute_end(now, offset_ms=0 if fix is None else fix.offset_ms)

    def _origin_from(self, at: float) -> Origin:
        """What is made from `at` on is made under this; the layout goes first when it is new."""
        if self._layout is None:
            sizes = {name: size for scene in self._scenes.values() for name, size in scene.image_sizes.items()}
            self._layout = layout_of(self._settings.box, self._settings.cameras, sizes, setups=self._setups)
        if self._layout != self._layout_said:
            self._layout_said = self._layout
            box = self._settings.box
            self._origin = Origin(venue=box.venue, config=config_hash(self._layout), mode=box.mode)
            self._put(Batch(origin=self._origin, drafts=[reports.configuration(self._layout, at=at)]))
        return self._origin

    def _live(self, now: float, states: Mapping[str, HealthState], *, config: str) -> dict[str, JsonObject]:
        elapsed = now - self._live_at
        self.rates = {
            camera: round(count / elapsed, 1) if elapsed < 10 * self._live_every else 0.0
            for camera, count in self._frames.items()
        }
        said: dict[str, JsonObject] = {
            "vision": {"config": config, "models": [model.to_object() for model in self._models()]},
        }
        for camera in self._settings.cameras:
            said[f"camera/{camera.id}"] = self._camera_status(camera, states[camera.id]).to_object()
            for line in camera.lines:
                said[subject_of(line.id)] = LineSeen(
                    line=line.id,
                    camera=camera.id,
                    scene=camera.scene_id,
                    setup=self._setups[line.id],
                    passages=self._passages[line.id].shown(now),
                ).to_object()
        for scene in self._scenes.values():
            said[f"scene/{scene.id}"] = reports.live_scene(scene, now)
        return said

    def _camera_status(self, camera: CameraSettings, played: HealthState) -> CameraStatus:
        """A camera's own finding tells of it where it plays."""
        state, reason = reports.camera_state(played), self._reasons.get(camera.id, HealthReason.NONE)
        finding = self._checks[camera.id].finding
        if state is CameraState.ONLINE and finding is not HealthReason.NONE:
            state, reason = reports.playing_state(finding), finding
        return CameraStatus(
            camera=camera.id,
            scene=camera.scene_id,
            state=state,
            reason=reason,
            frames_per_second=self.rates.get(camera.id, 0.0),
        )


def watch(
    vision: Vision,
    cameras: Cameras,
    *,
    monotonic: Callable[[], float],
    stop: threading.Event,
    scheduler: Scheduler | None = None,
    alive: Callable[[], None] = lambda: None,
    analysed: Callable[[str, float], None] = lambda _camera, _delay_seconds: None,
) -> bool:
    """Run until stopped, or until every source has ended; whether they have.

    `alive` is called at each turn. `analysed` hears of each frame: its camera, and the seconds from the moment that it
    shows.
    """
    names = list(cameras.names)
    scheduler = scheduler or Scheduler({})
    while not stop.is_set() and not cameras.finished:
        alive()
        for frame in cameras.wait(_TURN_SECONDS):
            vision.take(frame)
            analysed(frame.camera, monotonic() - frame.at)
        vision.changed(cameras.changes())
        now, counters = monotonic(), {name: cameras.counters(name) for name in names}
        scheduler.update(now, counters)
        vision.turn(
            now,
            dropped={name: count.dropped for name, count in counters.items()},
            states={name: cameras.state(name) for name in names},
            is_overloaded=scheduler.is_overloaded,
        )
    vision.changed(cameras.changes())
    ended = cameras.finished and not stop.is_set()
    if ended:
        vision.finish()
    vision.stop(monotonic(), dropped={name: cameras.counters(name).dropped for name in names})
    return ended


def minute_end(now: float, *, offset_ms: int) -> float:
    """When the minute running at `now` ends, both monotonic seconds; minutes are whole in now + offset_ms."""
    return ((round(now * 1000) + offset_ms) // 60_000 * 60_000 + 60_000 - offset_ms) / 1000


def _checkpointed(scene: Scene) -> Checkpointed:
    visits = {checkpoint.number: asdict(checkpoint) for checkpoint in scene.checkpoints()}
    return Checkpointed(scene=scene.id, visits=visits, inside=scene.inside)
