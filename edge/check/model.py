"""The detector's model: whether it can serve, how fast, and under which terms."""

import statistics
import time
from collections.abc import Mapping, Sequence

import numpy as np

from edge.assembly import MOTION, Eyes, eyes
from edge.camera.frames import Frame
from edge.check.findings import Finding, fail, ok, warn
from edge.detector.detections import Detector
from edge.detector.providers import EngineState, Unbuilt, title_of
from edge.errors import ConfigurationError, ModelError
from edge.models.manifest import Entry, load_manifest
from edge.models.store import ModelStore, default_folder, sha256_of
from edge.settings import CameraSettings, DetectorSettings

__all__ = ["check_installed_models", "check_model"]

_PICTURE_SIZE = (640, 480)
_RUNS = 5
_BUSY = 0.8
"""More than this share of the time spent on inference leaves too little for all the rest."""

_PULL = "list them with `footfall models list`, and fetch one with `footfall models pull NAME`: docs/models.md"


def check_model(
    settings: DetectorSettings, cameras: Sequence[CameraSettings], *, environment: Mapping[str, str]
) -> list[Finding]:
    """The model that the configuration names is found, whole and permitted, loads, and is fast enough."""
    if settings.model == MOTION:
        said = "motion finds whatever moves, people or not"
        return [warn("model", said, "for people, set detector.model to a model: docs/models.md")]
    try:
        manifest = load_manifest(settings.manifest)
    except ConfigurationError as error:
        return [fail("model", str(error), "mend detector.manifest: docs/models.md")]
    store = ModelStore(folder=settings.models_folder or default_folder(environment), manifest=manifest)
    try:
        path, _ = store.resolve(settings.model)
        seeing = eyes(settings, environment=environment, unbuilt=Unbuilt.LEAVE)
    except ModelError as error:
        return [fail("model", str(error), _PULL)]
    seconds = _inference_seconds(seeing.detector)
    digest = sha256_of(path)
    speed = f"{seconds * 1000:.0f} ms a picture on {title_of(seeing.provider)}"
    said = f"{path}, sha256 {digest[:12]}…, {_how(seeing)}: {speed}"
    return [_speed(said, seconds, cameras), _licence(store, store.entry_of(settings.model, digest=digest))]


def check_installed_models(*, environment: Mapping[str, str]) -> Finding:
    """Which models are there, where no configuration names one."""
    store = ModelStore(folder=default_folder(environment), manifest=load_manifest())
    there = [
        f"{each.entry.name} ({each.entry.licence.spdx})"
        for each in store.listing()
        if (each.path or each.exported) and each.entry.kind != "built-in"
    ]
    if not there:
        return warn("model", f"none is installed in {store.folder}", "footfall models pull yolox-nano")
    return ok("model", f"{store.folder} has {', '.join(there)}")


def _speed(said: str, seconds: float, cameras: Sequence[CameraSettings]) -> Finding:
    asked = sum(camera.rate for camera in cameras)
    if asked * seconds > _BUSY:
        return warn(
            "model",
            f"{said}; the cameras ask for {asked:g} pictures/s, and this box manages about {_BUSY / seconds:.0f}",
            "lower camera.rate, take a smaller model, or a box with more cores or a GPU",
        )
    return ok("model", f"{said}; the cameras ask for {asked:g} pictures/s")


def _how(seeing: Eyes) -> str:
    """The model's layout, and what is not as it will be."""
    serving = seeing.serving
    layout = f"layout {serving.description.layout}" if serving else "no network"
    if serving and seeing.engine is EngineState.MISSING:
        return f"{layout}, whose engine for {title_of(serving.builder or '')} vision will build while it runs without"
    return layout


def _licence(store: ModelStore, entry: Entry | None) -> Finding:
    if entry is None:
        return warn(
            "licence",
            "the file is none of the models that Footfall knows, so its terms are not known either",
            "ask whoever made the model for its terms, and for those of its weights",
        )
    terms = f"{entry.name} is under {entry.licence.spdx}: {entry.licence.url}"
    if not store.permits(entry.name):
        return fail(
            "licence", f"{terms}; nobody here accepted it", f"footfall models pull {entry.name} --accept-licence"
        )
    return ok("licence", terms + ("; accepted" if entry.licence.needs_consent else ""))


def _inference_seconds(detector: Detector) -> float:
    width, height = _PICTURE_SIZE
    frame = Frame(at=0.0, image=np.full((height, width, 3), 90, np.uint8), camera="check", index=0)
    return statistics.median(_timed(detector, frame) for _ in range(_RUNS))


def _timed(detector: Detector, frame: Frame) -> float:
    began = time.perf_counter()
    detector.detect(frame)
    return time.perf_counter() - began
