"""PyTorch weights into ONNX, by the program of those who trained them.

That program is under AGPL-3.0, as its weights are, and loads torch: it is called, never imported, and serves on a desk,
not on a box. What it makes is opened once before it is installed.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from edge.detector.onnx import OnnxDetector
from edge.detector.recipe import Recipe
from edge.errors import ModelError
from edge.models.manifest import Entry
from edge.models.quantising import EXTRA_NEEDED
from edge.models.store import ModelStore

__all__ = ["export_weights"]

_PROGRAM = Path(sys.executable).with_name("yolo")
_OPTIONS = ("format=onnx", "opset=17", "simplify=False", "dynamic=False")


def export_weights(store: ModelStore, entry: Entry) -> Path:
    """Install the ONNX file of an entry's weights. Raises ModelError."""
    if entry.exporter is None:
        raise ModelError(f"{entry.name} is not exported by this command: {store.how_to_export(entry)}")
    weights = store.weights(entry)
    if not _PROGRAM.is_file():
        raise ModelError(f"{entry.exporter} is not installed; {EXTRA_NEEDED}")
    with tempfile.TemporaryDirectory(prefix=".export-", dir=store.folder) as folder:
        made = _exported(Path(shutil.copy(weights, folder)), entry)
        OnnxDetector(Recipe(path=made, description=entry.description))
        return store.adopt(made, name=entry.name, origin=entry, how={"how": f"exported by {entry.exporter}"})


def _exported(weights: Path, entry: Entry) -> Path:
    size = entry.description.input
    sides = [f"imgsz={size.height},{size.width}"] if size and size.height and size.width else []
    # It otherwise installs packages by itself, tells its maker about each run, and leaves settings in the user's home.
    quiet = {"YOLO_AUTOINSTALL": "false", "YOLO_OFFLINE": "true", "YOLO_CONFIG_DIR": str(weights.parent)}
    ended = subprocess.run(  # noqa: S603  the program that stands beside our own
        [_PROGRAM, "export", f"model={weights}", *_OPTIONS, *sides],
        env={**os.environ, **quiet}, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    made = weights.with_suffix(".onnx")
    if ended.returncode or not made.is_file():
        said = (ended.stderr.strip() or ended.stdout.strip() or "it said nothing").splitlines()[-1]
        raise ModelError(f"{entry.name}: {entry.exporter} could not export it: {said}")
    return made
