"""A network in whole numbers (INT8), accepted only where it finds the people that the original finds.

Only convolutions are turned, for their numbers say what a picture shows; what reads positions and confidences out of
them stays as it was. So do the first convolutions, those of a channel each (depthwise), and the last of all: with them
in whole numbers, yolox-nano loses its people. Numbers are symmetric around zero, which is all
that TensorRT takes; ranges are averaged over pictures, lest one glare make all steps coarse.
"""

import logging
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from edge.camera.frames import Frame
from edge.detector.onnx import OnnxDetector
from edge.detector.recipe import Recipe
from edge.errors import ModelError
from edge.models.agreement import Agreement, agreement
from edge.models.pictures import Pictures
from edge.models.store import Resolved

if TYPE_CHECKING:
    import onnx

__all__ = ["EXTRA_NEEDED", "Quantised", "quantise"]

EXTRA_NEEDED = "this needs the extra `export`: pip install 'footfall[export]', on a desk rather than on a box"

_CALIBRATING, _JUDGING = 64, 200
"""The most pictures that ranges are taken from, and that the result is judged by."""
_LEAST_OPSET, _OPSET = 13, 17
"""Per-channel scales came with the first; what is older is brought to the second."""
_STEM = 6
_TIMED = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantised:
    """How far both networks agree, and the processor time, of all cores, that a picture takes either here."""

    agreement: Agreement
    original_ms: float
    quantised_ms: float


def quantise(source: Resolved, target: Path, pictures: Pictures) -> Quantised:
    """Write `source` in whole numbers to `target`, and say what it is worth. Raises ModelError."""
    try:
        import onnx
        from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    except ImportError as error:
        raise ModelError(f"{error}; {EXTRA_NEEDED}") from error
    original = OnnxDetector(Recipe(path=source.path, description=source.description))

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # untyped
        """Hands the earlier pictures over as the network takes them."""

        def __init__(self) -> None:
            self._frames = pictures.earlier(_CALIBRATING)

        def get_next(self) -> Mapping[str, object] | None:
            frame = next(self._frames, None)
            return None if frame is None else original.input_of(frame)

    logging.disable(logging.WARNING)  # it advises steps that nobody can take here
    try:
        network = _modern(onnx.load(source.path))
        quantize_static(
            network,
            target,
            Reader(),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv"],
            nodes_to_exclude=_kept(network),
            per_channel=True,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
            extra_options={"ActivationSymmetric": True, "WeightSymmetric": True, "CalibMovingAverage": True},
        )
    except Exception as error:  # whatever a network has that the quantiser does not know
        raise ModelError(f"{source.path}: cannot be turned into whole numbers: {error}") from error
    finally:
        logging.disable(logging.NOTSET)
    other = OnnxDetector(Recipe(path=target, description=source.description))
    sample = next(pictures.last(1))
    return Quantised(
        agreement=agreement(original, other, pictures.last(_JUDGING)),
        original_ms=_milliseconds(original, sample),
        quantised_ms=_milliseconds(other, sample),
    )


def _modern(network: "onnx.ModelProto") -> "onnx.ModelProto":
    """The same network in words that know per-channel scales, each operator with a name."""
    from onnx import version_converter

    opset = next((each.version for each in network.opset_import if each.domain in {"", "ai.onnx"}), _OPSET)
    if opset < _LEAST_OPSET:
        network = version_converter.convert_version(network, _OPSET)
    for index, node in enumerate(network.graph.node):
        node.name = node.name or f"{node.op_type}_{index}"
    return network


def _kept(network: "onnx.ModelProto") -> list[str]:
    """The convolutions that stay as they are."""
    nodes = network.graph.node
    convolutions = [node for node in nodes if node.op_type == "Conv"]
    users = defaultdict(list)
    for node in nodes:
        for name in node.input:
            users[name].append(node)

    def is_last(node: "onnx.NodeProto") -> bool:
        names, seen = list(node.output), set(node.output)
        while names:
            for user in users[names.pop()]:
                if user.op_type == "Conv":
                    return False
                fresh = set(user.output) - seen
                names += fresh
                seen |= fresh
        return True

    if not convolutions:
        raise ModelError("it has no convolutions")
    return [
        node.name
        for node in convolutions
        if node in convolutions[:_STEM]
        or any(each.name == "group" and each.i > 1 for each in node.attribute)
        or is_last(node)
    ]


def _milliseconds(detector: OnnxDetector, frame: Frame) -> float:
    return 1000 * median(_seconds(detector, frame) for _ in range(_TIMED))


def _seconds(detector: OnnxDetector, frame: Frame) -> float:
    began = time.process_time()
    detector.detect(frame)
    return time.process_time() - began
