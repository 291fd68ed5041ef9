"""Where vision's parts are built from the settings and put together. Nothing else opens anything."""

import json
import logging
import math
import re
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from edge import clock
from edge.backoff import Backoff
from edge.camera.file import FileSource
from edge.camera.frames import FrameSource
from edge.camera.latest import Cameras, Feed
from edge.camera.pace import RealTime
from edge.camera.pictures import Witness, unwitnessed
from edge.camera.rtsp import RtspSource
from edge.camera.sampling import Sampler
from edge.camera.synthetic import SyntheticSource
from edge.camera.usb import UsbSource
from edge.detector.detections import Detector
from edge.detector.idling import Idling
from edge.detector.motion import MotionDetector
from edge.detector.providers import EngineState, Unbuilt
from edge.errors import ExchangeBusy, ExchangeFull
from edge.exchange.writer import Budget, ThisBoot, Writer
from edge.fixtures import Fixtures, PeopleOnly
from edge.journal import Journal
from edge.left_over import LastRun, LeftOver, closed, resumable
from edge.metrics.server import serving
from edge.metrics.vision import VisionMetrics
from edge.models.manifest import load_manifest
from edge.models.store import ModelStore, default_folder, sha256_of
from edge.notify import Notifier
from edge.scheduler import Scheduler
from edge.settings import CameraSettings, DetectorSettings, Settings
from edge.setup import setups_of
from edge.synthetic.film import Film
from edge.synthetic.lens import lens_of
from edge.vision import Vision, watch
from edge.visits import Checkpoint
from protocol.status import ModelStatus

if TYPE_CHECKING:
    from edge.detector.serving import Serving

__all__ = ["MOTION", "Eyes", "eyes", "run_vision", "source_of"]

MOTION = "motion"

_log = logging.getLogger(__name__)
_CHECKPOINT = TypeAdapter(Checkpoint)


@dataclass(frozen=True, slots=True, kw_only=True)
class Eyes:
    """A detector, and what is to be said of it now."""

    detector: Detector
    model: str
    digest: str | None = None
    serving: "Serving | None" = None

    @property
    def provider(self) -> str:
        """Who runs the model, in the words of the settings."""
        return self.serving.provider if self.serving else "cpu"

    @property
    def engine(self) -> EngineState:
        """How the model stands with the engine that its provider builds of it."""
        return self.serving.state if self.serving else EngineState.NONE

    def models(self) -> tuple[ModelStatus, ...]:
        """The model as the box's status has it."""
        return (ModelStatus(name=self.model, digest=self.digest, provider=self.provider),)

    def close(self) -> None:
        """Give up what is not finished."""
        if self.serving:
            self.serving.close()

    def watching(
        self,
        cameras: Sequence[CameraSettings],
        *,
        fixtures: Mapping[str, Fixtures] | None = None,
        idled: Callable[[str], None] = lambda _camera: None,
    ) -> Detector:
        """The detector as these cameras need it: without things, and idle where nobody is.

        One that lives on motion never idles. `fixtures` learn each camera's things, which keep no detector awake.
        """
        people = PeopleOnly(self.detector, fixtures or {camera.id: Fixtures() for camera in cameras})
        if self.model == MOTION:
            return people
        return Idling(people, {camera.id: camera.motion_threshold for camera in cameras}, idled=idled)


def eyes(settings: DetectorSettings, *, environment: Mapping[str, str], unbuilt: Unbuilt = Unbuilt.WAIT) -> Eyes:
    """The detector the settings name; raises ModelError.

    `unbuilt`: what must not change midway waits for its engine.
    """
    if settings.model == MOTION:
        return Eyes(detector=MotionDetector(), model=MOTION)
    # Here, so that cameras can be tried where ONNX Runtime is broken.
    from edge.detector.engines import default_folder as default_engines
    from edge.detector.recipe import Recipe
    from edge.detector.serving import serve

    folder = settings.models_folder or default_folder(environment)
    path, description = ModelStore(folder=folder, manifest=load_manifest(settings.manifest)).resolve(settings.model)
    digest = sha256_of(path)
    recipe = Recipe(
        path=path,
        description=description,
        confidence=settings.confidence,
        providers=settings.providers,
        openvino_device=settings.openvino_device,
        threads=settings.threads,
        low_light=settings.low_light,
    )
    engines = settings.engines_folder or default_engines(environment)
    serving = serve(recipe, digest=digest, engines=engines, unbuilt=unbuilt)
    return Eyes(detector=serving, model=_slug(path.stem), digest=digest, serving=serving)


def run_vision(settings: Settings, stop: threading.Event, *, environment: dict[str, str]) -> None:
    """See, until stopped or until every source was a film and is over: then nothing waits for its bucket any more."""
    metrics = VisionMetrics()
    seen_with = eyes(settings.detector, environment=environment, unbuilt=Unbuilt.IN_BACKGROUND)
    seen_with = replace(seen_with, detector=metrics.timed(seen_with.detector))
    metrics.watch_model(provider=lambda: seen_with.provider, engine=lambda: seen_with.engine)
    with ExitStack() as stack:
        stack.callback(seen_with.close)
        writer = stack.enter_context(_writer(settings))
        left_over = [
            LeftOver(boot=left.boot, origin=left.origin, checkpoint=_CHECKPOINT.validate_python(left.visit))
            for left in writer.left_over()
        ]
        _say_what_no_longer_holds(writer, settings, seen_with.models())
        fixtures = {camera.id: Fixtures() for camera in settings.cameras}
        with Journal(writer, system_fix=lambda: clock.system_fix(settings.clock.trust)) as journal:
            for batch in closed(left_over):
                journal.put(batch)
            vision = Vision(
                settings,
                detector=seen_with.watching(settings.cameras, fixtures=fixtures, idled=metrics.idled),
                models=seen_with.models,
                put=journal.put,
                fix=lambda: journal.fix,
                things=lambda camera: fixtures[camera].count,
                last_run=LastRun(
                    resumable=resumable(left_over, boot=clock.boot_id(), now=clock.monotonic()),
                    inside=writer.inside(),
                ),
            )
            ended = _watched(vision, settings, stop, metrics=metrics, environment=environment)
        if ended:
            with suppress(ExchangeFull, ExchangeBusy):  # what has no room now is placed by the next run
                writer.close_buckets()


def _say_what_no_longer_holds(writer: Writer, settings: Settings, models: Sequence[ModelStatus]) -> None:
    """Warn of each certificate whose line, cameras or model are not those that were checked."""
    setups = setups_of(settings.cameras, detector=settings.detector, models=models)
    for certificate in (json.loads(body)["item"] for body in writer.certificates()):
        line = certificate["line"]
        if setups.get(line) != certificate["setup"]:
            advice = f"check it again: footfall edge certify {line}" if line in setups else "it is not here any more"
            _log.warning(
                "The certificate of line %s does not hold: the line, its cameras or the model have changed since; %s",
                line, advice, extra={"action": "certificate", "line": line},
            )  # fmt: skip


def _watched(
    vision: Vision, settings: Settings, stop: threading.Event, *, metrics: VisionMetrics, environment: dict[str, str]
) -> bool:
    """Show vision what the cameras see, until stopped or until each was a film and is over; whether they are."""
    notifier = Notifier(environment, monotonic=clock.monotonic)
    samplers = {camera.id: Sampler(rate=camera.rate) for camera in settings.cameras}
    feeds = [_feed(camera, samplers[camera.id]) for camera in settings.cameras]
    scheduler = Scheduler(samplers)
    with Cameras(feeds, clock=clock.monotonic) as cameras:
        metrics.watch_cameras(cameras, rates=lambda: vision.rates, share=lambda: scheduler.share)
        with serving(metrics.registry, host=settings.metrics.host, port=settings.metrics.port):
            notifier.ready()
            return watch(
                vision,
                cameras,
                scheduler=scheduler,
                monotonic=clock.monotonic,
                stop=stop,
                alive=notifier.alive,
                analysed=metrics.analysed,
            )


def _writer(settings: Settings) -> Writer:
    this_boot = ThisBoot(boot=clock.boot_id(), hardware_offset_ms=clock.hardware_offset_ms())
    budget = Budget(
        room_bytes=settings.exchange.room_mb * 2**20, keep_settled_seconds=settings.exchange.keep_days * 86_400
    )
    return Writer(
        settings.exchange.folder,
        this_boot=this_boot,
        epoch=secrets.token_hex(8),
        monotonic=clock.monotonic,
        budget=budget,
    )


def _feed(camera: CameraSettings, sampler: Sampler) -> Feed:
    backoff = Backoff(random=Random(), cap_seconds=camera.reconnect_cap_seconds)
    return Feed(camera=camera.id, source=source_of(camera, sampler), backoff=backoff)


def source_of(camera: CameraSettings, sampler: Sampler | None = None, *, witness: Witness = unwitnessed) -> FrameSource:
    """Where the pictures of this camera come from: those that are due; `witness` is told of all that is decoded."""
    sampler = sampler or Sampler(rate=camera.rate)
    address = camera.address
    if address is not None:
        return RtspSource(
            camera=camera.id,
            url=address,
            clock=clock.monotonic,
            sampler=sampler,
            rotation=camera.rotation,
            open_seconds=camera.open_seconds,
            read_seconds=camera.read_seconds,
            witness=witness,
        )
    if camera.device is not None:
        return UsbSource(
            camera=camera.id,
            device=camera.device,
            clock=clock.monotonic,
            sampler=sampler,
            rotation=camera.rotation,
            size=_unturned(camera),
            rate=math.ceil(camera.rate),
            witness=witness,
        )
    pace = RealTime(clock=clock.monotonic, sleep=time.sleep)
    if camera.synthetic is not None:
        return SyntheticSource(
            camera=camera.id,
            film=Film(
                seed=camera.synthetic.seed,
                lens=lens_of(camera.synthetic.view, camera.image_size or (640, 480)),
                rate=camera.rate,
                seconds=camera.synthetic.seconds,
                people_per_minute=camera.synthetic.people_per_minute,
            ),
            pace=pace,
            sampler=sampler,
            start_at=clock.monotonic(),
        )
    return FileSource(
        camera=camera.id,
        path=camera.file or Path(),
        pace=pace,
        sampler=sampler,
        start_at=clock.monotonic(),
        rotation=camera.rotation,
        loop=camera.loop,
        witness=witness,
    )


def _unturned(camera: CameraSettings) -> tuple[int, int] | None:
    """The size of a camera's pictures before they are turned upright."""
    size = camera.image_size
    return size if size is None or camera.rotation in {0, 180} else (size[1], size[0])


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9-]+", "-", name.lower())[:63] or "model"
