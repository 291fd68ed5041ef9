"""The whole pipeline on a video file, as fast as the machine allows: the same bytes for the same input.

No decision hangs on the wall clock or on load. Frames come in lock-step, monotonic time is the video's own, UTC is a
chosen start, and the epoch comes from the seed. The exchange is a real one, in a folder that goes away.
"""

import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from random import Random
from typing import TextIO

from edge import reports
from edge.accuracy.account import Account, Film, Passage, Stay
from edge.accuracy.reading import Accuracy
from edge.anonymity import Origin
from edge.camera.file import FileSource, Footage, footage_of
from edge.camera.masks import IgnoreMasks
from edge.camera.pace import AsFastAsPossible
from edge.camera.sampling import Sampler
from edge.camera.trouble import SourceTrouble
from edge.clock import Fix
from edge.detector.detections import Detector
from edge.errors import SourceError
from edge.exchange.batch import Batch
from edge.exchange.schema import FILE_NAME, connect
from edge.exchange.writer import ThisBoot, Writer
from edge.layout import layout_of
from edge.output_files import written
from edge.scene import Scene
from edge.settings import BoxSettings, CameraSettings, DetectorSettings
from edge.setup import setups_of
from edge.stitching import People
from edge.vision import minute_end
from edge.visits import Visit
from protocol.configuration import config_hash
from protocol.envelope import ClockSource
from protocol.status import ModelStatus
from protocol.wire import ConfigHash, JsonObject, format_utc

__all__ = ["Outputs", "Replay", "Result", "footage", "replay"]

_BOOT = "replay"


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What is replayed, and as what; `models` are those that `detector` came to."""

    video: Path
    camera: CameraSettings
    box: BoxSettings
    seed: int
    start: datetime
    detector: DetectorSettings = field(default_factory=DetectorSettings)
    models: tuple[ModelStatus, ...] = ()

    @property
    def setups(self) -> dict[str, ConfigHash]:
        """The setup of each line."""
        return setups_of([self.camera], detector=self.detector, models=self.models)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs:
    """Where results are written once the film has ended; None writes none."""

    tracks: Path | None = None
    events: Path | None = None
    summary: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a replay found; cpu_ms_per_frame is per analysed frame, everything included."""

    frames: int
    analysed: int
    seconds: float
    cpu_ms_per_frame: float
    visits: int
    film: Film
    account: Account
    accuracy: Accuracy | None = None

    def to_json(self) -> str:
        """One line."""
        return json.dumps(
            {
                "frames": self.frames,
                "analysed": self.analysed,
                "seconds": round(self.seconds, 3),
                "cpu_ms_per_frame": round(self.cpu_ms_per_frame, 2),
                "visits": self.visits,
                **_accuracy(self),
            }
        )


def footage(video: Path) -> Footage:
    """What a file says of itself. Raises SourceError."""
    with _told_of(video):
        return footage_of(video)


def replay(
    plan: Replay,
    detector: Detector,
    outputs: Outputs,
    *,
    progress: Callable[[int], None],
    judge: Callable[[Result], Accuracy] | None = None,
) -> Result:
    """Run a video through the pipeline; `progress` is told the index of each analysed frame.

    `judge` says of the result how accurate it is, before any output stands there. Raises EdgeError before the first
    frame when an output cannot be written.
    """
    with ExitStack() as stack:
        tracks, events, summary = (
            stack.enter_context(written(path)) for path in (outputs.tracks, outputs.events, outputs.summary)
        )
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="footfall-replay-")))
        recorder = _Recorder(plan, folder)
        with recorder.writer, _told_of(plan.video):
            started = time.process_time()
            recorder.play(detector, tracks, progress)
            spent = time.process_time() - started
            recorder.writer.close_buckets()
        result = Result(
            frames=recorder.frames,
            analysed=recorder.analysed,
            seconds=recorder.seconds,
            cpu_ms_per_frame=1000 * spent / max(1, recorder.analysed),
            visits=len(recorder.visits),
            film=Film(moments=recorder.moments, image_size=recorder.image_size),
            account=recorder.account(),
        )
        if judge is not None:
            result = replace(result, accuracy=judge(result))
        _write_events(folder, events)
        summary.write(json.dumps(_summary(plan, recorder.visits, result), indent=2) + "\n")
    return result


class _Recorder:
    """Plays the film into a scene, and the scene into an exchange."""

    def __init__(self, plan: Replay, folder: Path) -> None:
        self._plan = plan
        self._now = 0.0
        self.writer = Writer(
            folder,
            this_boot=ThisBoot(boot=_BOOT, hardware_offset_ms=None),
            epoch=f"{Random(plan.seed).getrandbits(64):016x}",
            monotonic=lambda: self._now,
        )
        self.frames = self.analysed = 0
        self.visits: list[Visit] = []
        self.moments: list[float] = []
        self.image_size = (0, 0)
        self._passages: list[Passage] = []

    @property
    def seconds(self) -> float:
        """How much of the film has been played."""
        return self._now

    def account(self) -> Account:
        """What was counted."""
        stays = sorted((visit.first_seen, visit.last_seen) for visit in self.visits)
        return Account(
            stays=tuple(Stay(first=first, last=last) for first, last in stays), passages=tuple(self._passages)
        )

    def play(self, detector: Detector, tracks: TextIO, progress: Callable[[int], None]) -> None:
        """Everything from the first frame to the last minute."""
        plan = self._plan
        offset_ms = round(plan.start.timestamp() * 1000)
        self.writer.offer_fix(Fix(offset_ms=offset_ms, source=ClockSource.NTP, uncertainty_ms=0))
        sampler = _Noting(self.moments, rate=plan.camera.rate)
        source = FileSource(
            camera=plan.camera.id,
            path=plan.video,
            pace=AsFastAsPossible(),
            sampler=sampler,
            rotation=plan.camera.rotation,
        )
        scene: Scene | None = None
        minute, ends = 0.0, minute_end(0.0, offset_ms=offset_ms)
        for frame in source.frames():
            size = (frame.image.shape[1], frame.image.shape[0])
            if scene is None:
                self.image_size = size
                scene, masks, origin = self._begin(size)
            while frame.at >= ends:
                self._close_minute(scene, origin, minute, ends)
                minute, ends = ends, minute_end(ends, offset_ms=offset_ms)
            self._now = frame.at
            found = detector.detect(replace(frame, image=masks.apply(frame.image)))
            people, closed = scene.observe(found, at=frame.at, image_size=size)
            _write_tracks(tracks, frame.index + 1, people)
            self._keep(origin, closed)
            self._note(scene)
            self.frames, self.analysed = frame.index + 1, self.analysed + 1
            progress(frame.index)
        if scene is not None:
            self._keep(origin, scene.finish())
            self._note(scene)
            self._close_minute(scene, origin, minute, self._now)
        self.frames = max(self.frames, footage_of(plan.video).frames or 0)

    def _begin(self, size: tuple[int, int]) -> tuple[Scene, IgnoreMasks, Origin]:
        plan = self._plan
        reference = plan.camera.image_size or size
        layout = layout_of(plan.box, [plan.camera], {plan.camera.id: reference}, setups=plan.setups)
        origin = Origin(venue=plan.box.venue, config=config_hash(layout), mode=plan.box.mode)
        self.writer.commit(Batch(origin=origin, drafts=[reports.configuration(layout, at=0.0)]))
        masks = IgnoreMasks(plan.camera.masks, reference_size=reference)
        return Scene([plan.camera], box=plan.box.id, image_sizes={plan.camera.id: reference}), masks, origin

    def _keep(self, origin: Origin, closed: Sequence[Visit]) -> None:
        if closed:
            self.visits.extend(closed)
            self.writer.commit(Batch(origin=origin, drafts=[reports.visit(visit) for visit in closed]))

    def _note(self, scene: Scene) -> None:
        self._passages.extend(
            Passage(at=crossing.at, line=crossing.line, direction=crossing.direction) for crossing in scene.crossed
        )

    def _close_minute(self, scene: Scene, origin: Origin, began: float, ended: float) -> None:
        minutes = scene.minutes(began=began, ended=ended)
        self._now = max(self._now, began)
        self.writer.commit(Batch(origin=origin, drafts=reports.minutely(minutes), tiles=reports.tiles(minutes[0])))


class _Noting(Sampler):
    """Notes when each frame is shown, the ones that are skipped too."""

    def __init__(self, moments: list[float], *, rate: float | None) -> None:
        super().__init__(rate=rate)
        self._moments = moments

    def due(self, at: float) -> bool:
        self._moments.append(at)
        return super().due(at)


@contextmanager
def _told_of(video: Path) -> Iterator[None]:
    """Say what is wrong with a file as of a file: there is no camera to be named or cabled."""
    try:
        yield
    except SourceTrouble as trouble:
        raise SourceError(f"{video}: {trouble.detail}; {trouble.advice}") from None


def _write_tracks(file: TextIO, number: int, people: People) -> None:
    """MOT format: frame, id, left, top, width, height, confidence, -1, -1, -1."""
    for person, (left, top, right, bottom), confidence in zip(
        people.ids.tolist(), people.boxes.tolist(), people.confidence.tolist(), strict=True
    ):
        box = f"{left:.2f},{top:.2f},{right - left:.2f},{bottom - top:.2f}"
        file.write(f"{number},{person},{box},{confidence:.4f},-1,-1,-1\n")


def _write_events(folder: Path, file: TextIO) -> None:
    """Each item with what names it for ever: its epoch and its seq."""
    with closing(connect(folder / FILE_NAME)) as connection:
        rows = connection.execute("SELECT epoch, body FROM item ORDER BY id")
        items = ({"epoch": epoch, **json.loads(body)} for epoch, body in rows)
        file.writelines(json.dumps(item, separators=(",", ":")) + "\n" for item in items)


def _summary(plan: Replay, visits: Sequence[Visit], result: Result) -> JsonObject:
    return {
        "video": plan.video.name,
        "camera": plan.camera.id,
        "start": format_utc(plan.start),
        "frames": result.frames,
        "analysed": result.analysed,
        "seconds": round(result.seconds, 3),
        "visits": [
            {
                "first_seen_seconds": round(visit.first_seen, 3),
                "last_seen_seconds": round(visit.last_seen, 3),
                "dwell_seconds": round(visit.dwell_seconds, 3),
                "began": visit.began,
                "ended": visit.ended,
                "zones": {zone: round(spent / 1000, 1) for zone, spent in visit.zone_milliseconds.items()},
                "lines": {line: dict(counts) for line, counts in visit.crossings.items()},
            }
            for visit in sorted(visits, key=lambda visit: (visit.first_seen, visit.last_seen))
        ],
        **_accuracy(result),
    }


def _accuracy(result: Result) -> JsonObject:
    return {} if result.accuracy is None else {"accuracy": result.accuracy.to_json()}
