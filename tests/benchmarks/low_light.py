"""What evening out the contrast of dark pictures does for the people that are found in them.

Two films, `pets_s2l1` (real) and `retail_x1` (rendered, of little contrast), with less and less light, and the noise
that comes with it (`tests/support/darkness.py`); yolox_nano. Whether a picture is dark is not asked here: with is with
contrast evened out whatever the light, without is without, so that the rows also show where it is of no use.

- Light is the share of the filmed one; brightest is what a hundredth of the picture exceeds, of 255. Vision evens out
  below 70, and holds a camera below 40 to be too dark to count by.
- Recall is the share of the true people who are found with a confidence of 0.5 or more, at an overlap of one half;
  precision is the share of what is found so that is true; AP is over all confidences from 0.1.
- Gain is how much of recall is won, with its 95 % interval over parts of the film (bootstrap of 20 parts). Where labels
  of `retail_x1` are missing, found people count against precision alike with and without.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from edge.camera.frames import Frame, Image
from edge.detector import low_light
from edge.detector.detections import Detections
from edge.detector.onnx import OnnxDetector
from edge.detector.recipe import Recipe
from tests.support.assets import assets_folder
from tests.support.average_precision import average_precision, frames_of, overlap, truth_of
from tests.support.darkness import darkened

__all__ = ["Hits", "gain", "hits", "main"]

FILMS = {"pets_s2l1": 3, "retail_x1": 6}
"""Of each, every so many frames."""
LIGHTS = (1.0, 0.1, 0.05, 0.03, 0.02, 0.01)
_SURE = 0.5
_PARTS, _DRAWS = 20, 1000

Hits = npt.NDArray[np.int64]
"""A row a frame: true people found, found in all, true in all."""
Truth = Mapping[int, Sequence[Sequence[float]]]


def main() -> None:
    """Print a row a film and light, then one line of JSON."""
    assets = assets_folder()
    low_light.DARK = 255
    detectors = [
        OnnxDetector(Recipe(path=assets / "models/yolox_nano.onnx", threads=1, low_light=lightened))
        for lightened in (False, True)
    ]
    tables: dict[str, dict[str, Mapping[str, float]]] = {}
    for film in FILMS:
        for light in LIGHTS:
            row = measured(assets, film, light, detectors)
            print(film, light, *(f"{key} {value:.3g}" for key, value in row.items()), flush=True)
            tables.setdefault(film, {})[f"light {light:g}"] = row
    print(json.dumps(tables))


def measured(assets: Path, film: str, light: float, detectors: Sequence[OnnxDetector]) -> Mapping[str, float]:
    """What is found in a film with this light, without and with."""
    truth = truth_of(assets / f"videos/{film}.gt.txt")
    frames = dict(frames_of(assets / f"videos/{film}.mp4", every=FILMS[film]))
    pictures = list(frames.values()) if light == 1 else darkened(list(frames.values()), light=light, seed=1)
    shown = dict(zip(frames, pictures, strict=True))
    without, with_it = ({index: _detect(one, image) for index, image in shown.items()} for one in detectors)
    before, after = hits(without, truth), hits(with_it, truth)
    least, most = gain(before, after)
    return {
        "brightest": float(np.mean([_brightest(picture) for picture in pictures])),
        "recall_without": _recall(before),
        "recall_with": _recall(after),
        "gain_least": least,
        "gain_most": most,
        "precision_without": before[:, 0].sum() / max(1, before[:, 1].sum()),
        "precision_with": after[:, 0].sum() / max(1, after[:, 1].sum()),
        "AP_without": average_precision(without, _listed(truth)),
        "AP_with": average_precision(with_it, _listed(truth)),
    }


def hits(found: Mapping[int, Detections], truth: Truth) -> Hits:
    """What was found, frame by frame; a true person is found once."""
    rows = []
    for index, detections in found.items():
        free = list(truth.get(index, []))
        there, sure = len(free), detections.boxes[detections.confidence >= _SURE].tolist()
        for box in sure:
            best = max(free, key=lambda person, box=box: overlap(box, person), default=None)  # type: ignore[misc]
            if best is not None and overlap(box, best) >= 0.5:
                free.remove(best)
        rows.append((there - len(free), len(sure), there))
    return np.array(rows, np.int64).reshape(-1, 3)


def gain(before: Hits, after: Hits) -> tuple[float, float]:
    """The 95 % interval of the recall that is won, parts of the film drawn anew."""
    random = np.random.default_rng(1)
    parts = np.array_split(np.arange(len(before)), _PARTS)
    draws = []
    for _ in range(_DRAWS):
        drawn = np.concatenate([parts[part] for part in random.integers(0, _PARTS, _PARTS)])
        draws.append(_recall(after[drawn]) - _recall(before[drawn]))
    least, most = np.percentile(draws, [2.5, 97.5])
    return float(least), float(most)


def _detect(detector: OnnxDetector, image: Image) -> Detections:
    return detector.detect(Frame(at=0.0, image=image, camera="film", index=0))


def _brightest(picture: Image) -> float:
    return float(np.percentile(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), 99))


def _recall(rows: Hits) -> float:
    return float(rows[:, 0].sum() / max(1, rows[:, 2].sum()))


def _listed(truth: Truth) -> dict[int, list[list[float]]]:
    return {index: [list(box) for box in boxes] for index, boxes in truth.items()}


if __name__ == "__main__":
    main()
