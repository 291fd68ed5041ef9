"""What opens a network: its file, what is known of it, and who is to run it. Knows nothing of ONNX Runtime."""

from dataclasses import dataclass, field
from pathlib import Path

from edge.detector.description import Description
from edge.detector.providers import AUTO

__all__ = ["Recipe"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """All that opens a network.

    confidence: of the weakest detection, low because the tracker uses weak boxes. threads: 0 leaves it to the runtime.
    low_light: whether the contrast of dark pictures is evened out.
    """

    path: Path
    description: Description = field(default_factory=Description)
    confidence: float = 0.1
    providers: tuple[str, ...] = AUTO
    openvino_device: str = "CPU"
    threads: int = 0
    low_light: bool = True
