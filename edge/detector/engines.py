"""Engines: what TensorRT and OpenVINO make of a network for one device, built once and kept.

ONNX Runtime holds Python's lock while it opens a session, and a session without its engine takes up to half an hour to
open. In a thread that would stop the frame loop; and a build that crashes, or is killed because memory ran out, takes
its process with it. So an engine is built by a process of its own, in a folder that gets its name when it is whole: a
folder of that name is an engine. The name stands for all that it was made of, so whatever changes, another is built.

Knows folders and the process. Refuses to know when an engine is wanted: see `serving.py`.
"""

import hashlib
import json
import logging
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import distributions
from pathlib import Path

import onnxruntime
import platformdirs
from pydantic import TypeAdapter

from edge.detector.onnx import is_quantised
from edge.detector.providers import builders_among, choose_providers
from edge.detector.recipe import Recipe
from edge.errors import ModelError

__all__ = ["Build", "builder_of", "default_folder", "folder_of", "forget", "prune"]

KEPT = 4
"""Engines used last that are kept, for a box that goes to and fro between models."""
_STALE_SECONDS = 86_400.0
_PART = ".part-"
_LOG_FILE = "build.log"
_MOST_SAID = 500

_DEVICE_FILES = ("/proc/driver/nvidia/version", "/proc/device-tree/model", "/etc/nv_tegra_release")
_GPU_FILES = ("/proc/driver/nvidia/gpus", "*/information")
_RUNTIMES = ("onnxruntime", "openvino", "tensorrt")

_log = logging.getLogger(__name__)


def builder_of(recipe: Recipe) -> str | None:
    """The provider, of those wanted and there, that needs an engine; raises ModelError where one isn't there."""
    try:
        chosen = choose_providers(recipe.providers, onnxruntime.get_available_providers())
    except ModelError as error:
        raise ModelError(f"{recipe.path}: {error}") from error
    return next(iter(builders_among(chosen)), None)


def default_folder(environment: Mapping[str, str]) -> Path:
    """FOOTFALL_ENGINES, else a folder of the user's own cache."""
    named = environment.get("FOOTFALL_ENGINES")
    return Path(named) if named else platformdirs.user_cache_path("footfall") / "engines"


def folder_of(recipe: Recipe, *, digest: str, among: Path) -> Path:
    """Where the engine of this network lies once it is built; `digest` is the sha256 of its file."""
    size = recipe.description.input
    made_of = {
        "model": digest,
        "size": [size.width, size.height] if size else None,
        "provider": builder_of(recipe),
        "precision": "int8" if is_quantised(recipe.path) else "fp16",
        "openvino_device": recipe.openvino_device,
        "runtime": [onnxruntime.__version__, *_runtimes()],
        "device": _device(),
    }
    return among / hashlib.sha256(json.dumps(made_of).encode()).hexdigest()[:32]


def forget(engine: Path) -> None:
    """Remove an engine that proved unfit."""
    shutil.rmtree(engine, ignore_errors=True)


def prune(folder: Path, *, newest: Path, now: float) -> None:
    """Note that an engine is in use, and remove those used least recently and what broken builds left behind."""
    with suppress(OSError):  # of another user, who prunes their own
        os.utime(newest, (now, now))
        aged = sorted((path.stat().st_mtime, path) for path in folder.iterdir() if path.is_dir())
        whole = [path for _, path in aged if _PART not in path.name]
        stale = [path for at, path in aged if _PART in path.name and now - at > _STALE_SECONDS]
        for path in (*whole[:-KEPT], *stale):
            _log.info("the engine %s is removed: it was not used for long", path, extra={"action": "prune engines"})
            shutil.rmtree(path, ignore_errors=True)


class Build:
    """An engine in the making, by a process of its own with less claim on the machine than vision has."""

    def __init__(self, recipe: Recipe, engine: Path) -> None:
        """Start; raises ModelError where there is no room for an engine."""
        self._engine = engine
        try:
            engine.parent.mkdir(parents=True, exist_ok=True)
            self._part = Path(tempfile.mkdtemp(prefix=engine.name + _PART, dir=engine.parent))
            self._log = self._part / _LOG_FILE
            job = TypeAdapter(Recipe).dump_json(recipe).decode()
            command = [sys.executable, "-m", "edge.detector.engine_builder", job, str(self._part)]
            with self._log.open("wb") as log:
                self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)  # noqa: S603  ourselves
        except OSError as error:
            raise ModelError(f"no engine can be kept in {engine.parent}: {error.strerror}") from error

    def poll(self) -> bool:
        """Whether the engine is ready; raises ModelError, once, when it never will be."""
        return self._process.poll() is not None and self._ended(self._process.returncode)

    def wait(self) -> None:
        """Until it is ready; raises ModelError when it never will be."""
        try:
            self._ended(self._process.wait())
        finally:
            self.close()

    def close(self) -> None:
        """Give up whatever is not finished."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._part, ignore_errors=True)

    def _ended(self, code: int) -> bool:
        try:
            if code != 0:
                raise ModelError(self._reason(code))
            with suppress(OSError):  # another process was first, with an engine that is as good
                self._part.rename(self._engine)
            prune(self._engine.parent, newest=self._engine, now=time.time())
        finally:
            self.close()
        return True

    def _reason(self, code: int) -> str:
        lines = self._log.read_text(errors="replace").strip().splitlines()
        last = lines[-1][-_MOST_SAID:] if lines else "it said nothing"
        return last if code > 0 else f"it was killed by signal {-code}; its last words: {last}"


def _runtimes() -> list[str]:
    """Packages that have a part in an engine, with their versions."""
    found = ((each.metadata["Name"] or "", each.version) for each in distributions())
    return sorted(f"{name} {version}" for name, version in found if name.startswith(_RUNTIMES))


def _device() -> list[str]:
    """What this machine computes with, and its drivers, as far as the system tells."""
    root, pattern = _GPU_FILES
    files = [*map(Path, _DEVICE_FILES), *sorted(Path(root).glob(pattern))]
    return [platform.machine(), _processor(), *(text for file in files if (text := _text(file)))]


def _processor() -> str:
    lines = _text(Path("/proc/cpuinfo")).splitlines()
    return next((line for line in lines if line.startswith("model name")), "")


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
