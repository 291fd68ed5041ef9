"""What the counts of each line hang on, as one hash, so that a certificate ends when any of it changes.

It is of the line, of the cameras of its scene and of the network that finds people, but of no address and no password.
"""

import hashlib
from collections.abc import Mapping, Sequence

from pydantic.main import IncEx

from edge.settings import CameraSettings, DetectorSettings
from protocol.json_text import canonical_json
from protocol.status import ModelStatus
from protocol.wire import ConfigHash, JsonObject

__all__ = ["setups_of"]

_OF_THE_DETECTOR = {"confidence", "low_light"}
_OF_A_CAMERA: Mapping[str, IncEx | bool] = {
    "id": True,
    "tracker": True,
    "rate": True,
    "rotation": True,
    "image_size": True,
    "gap_seconds": True,
    "motion_threshold": True,
    "masks": True,
    "doorways": True,
    "calibration": {"floor", "image_points", "floor_points", "lens"},
}


def setups_of(
    cameras: Sequence[CameraSettings], *, detector: DetectorSettings, models: Sequence[ModelStatus]
) -> dict[str, ConfigHash]:
    """The setup of each line by its id; `models` are those that the detector's settings came to."""
    # A model by its content, not by its name; one without content is known by its name alone.
    finding: JsonObject = {
        "models": [model.digest or model.name for model in models],
        **detector.model_dump(mode="json", include=_OF_THE_DETECTOR),
    }
    return {
        line.id: _hash(
            {
                "detector": finding,
                "line": line.model_dump(mode="json"),
                "camera": camera.id,
                "cameras": [
                    other.model_dump(mode="json", include=_OF_A_CAMERA)
                    for other in cameras
                    if other.scene_id == camera.scene_id
                ],
            }
        )
        for camera in cameras
        for line in camera.lines
    }


def _hash(value: JsonObject) -> ConfigHash:
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:32]
