"""The detector a box runs: one network under ONNX Runtime.

Knows how a frame passes through: into the tensor, through the network, out as people. Refuses to know
where the file came from or under which licence: see `edge/models`. A file that can't serve is refused
when it is opened, with its name, never while frames flow.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

from edge.camera.frames import Frame
from edge.detector.decoders import Candidates, suppress
from edge.detector.description import USUAL_INPUT, Description, InputFormat, Layout
from edge.detector.detections import Detections
from edge.detector.layouts import Output, decoder_for, recognise
from edge.detector.letterbox import Letterbox, Placement
from edge.detector.providers import AUTO, choose_providers, short_name, with_options
from edge.detector.recipe import Recipe
from edge.detector.session import Network, open_network
from edge.errors import ModelError

__all__ = ["OnnxDetector", "is_quantised"]

COCO_IDS = 91
"""Classes of a network that speaks COCO's own ids, where a person is 1 and 0 is nothing."""

RFDETR_OUTPUTS = {"dets", "labels"}
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)


class OnnxDetector:
    """Finds people with one network.

    `description` is complete: what was said about the network, and what was recognised where nothing was.
    `provider` is who really runs it, in the words of the settings.
    """

    def __init__(self, recipe: Recipe, *, engine: Path | None = None) -> None:
        """`engine` is the folder in which TensorRT or OpenVINO find, or leave, what they make of the network.

        Without it they are passed over, and with it they must serve. Raises ModelError.
        """
        try:
            self._network = _opened(recipe, engine)
            self._serve(recipe, self._network)
        except ModelError as error:
            raise ModelError(f"{recipe.path}: {error}") from error
        self.provider = short_name(self._network.providers[0])

    def detect(self, frame: Frame) -> Detections:
        """The people in this frame."""
        placement = self._letterbox.fill(frame.image)
        found = self._decoder.decode(self._network.run(self._letterbox.tensor))
        return self._people(found, placement)

    def input_of(self, frame: Frame) -> dict[str, npt.NDArray[np.float32]]:
        """What the network is fed with for this frame, by the name of its input."""
        self._letterbox.fill(frame.image)
        return {self._network.input_name: self._letterbox.tensor.copy()}

    def _serve(self, recipe: Recipe, network: Network) -> None:
        known = recipe.description
        width, height, outputs = network.width, network.height, network.outputs
        layout = known.layout or recognise(outputs, width=width, height=height)
        person_class = known.person_class if known.person_class is not None else _usual_person_class(layout, outputs)
        said = known.input or _usual_input(layout, outputs)
        input_format = said.model_copy(update={"width": width, "height": height})
        self.description = Description(layout=layout, person_class=person_class, input=input_format, iou=known.iou)
        self._decoder = decoder_for(
            layout, outputs, width=width, height=height, person_class=person_class, confidence=recipe.confidence
        )
        self._letterbox = Letterbox(width=width, height=height, input_format=input_format, low_light=recipe.low_light)

    def _people(self, found: Candidates, placement: Placement) -> Detections:
        boxes, confidence = found.boxes, found.confidence
        if self._decoder.overlapping and len(boxes) > 1:
            kept = suppress(boxes, confidence, self.description.iou)
            boxes, confidence = boxes[kept], confidence[kept]
        boxes = placement.to_frame(boxes)
        np.clip(boxes[:, 0::2], 0, placement.frame_width, out=boxes[:, 0::2])
        np.clip(boxes[:, 1::2], 0, placement.frame_height, out=boxes[:, 1::2])
        visible = (boxes[:, 2] - boxes[:, 0] >= 1) & (boxes[:, 3] - boxes[:, 1] >= 1)
        return Detections(boxes=boxes[visible], confidence=confidence[visible])


def _opened(recipe: Recipe, engine: Path | None) -> Network:
    providers = with_options(
        choose_providers(recipe.providers, onnxruntime.get_available_providers()),
        engine=engine,
        is_int8=engine is not None and is_quantised(recipe.path),
        openvino_device=recipe.openvino_device,
        threads=recipe.threads,
    )
    return open_network(
        recipe.path,
        known=recipe.description.input,
        providers=providers,
        threads=recipe.threads,
        strict=engine is not None or recipe.providers != AUTO,
    )


def is_quantised(path: Path) -> bool:
    """Whether a network was made for whole numbers: its file then names the operators that turn to and from them."""
    try:
        return b"QuantizeLinear" in path.read_bytes()
    except OSError as error:
        raise ModelError("there is no such file") from error


def _usual_person_class(layout: Layout, outputs: Sequence[Output]) -> int:
    speaks_coco_ids = layout is Layout.DETR_PAIR and any(output.shape[-1] == COCO_IDS for output in outputs)
    return 1 if speaks_coco_ids else 0


def _usual_input(layout: Layout, outputs: Sequence[Output]) -> InputFormat:
    """RF-DETR, told by its output names, is the one that wants ImageNet's mean and deviation taken out."""
    usual = USUAL_INPUT[layout]
    if layout is Layout.DETR_PAIR and {output.name for output in outputs} >= RFDETR_OUTPUTS:
        return usual.model_copy(update={"mean": IMAGENET_MEAN, "deviation": IMAGENET_DEVIATION})
    return usual
