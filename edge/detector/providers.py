"""Who may run a network: ONNX Runtime's execution providers, best first, and what each is told.

Knows names, options and words. Refuses to know sessions, and where engines come from (`engines.py`).
"""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path

from edge.errors import ModelError

__all__ = [
    "AUTO",
    "BUILDERS",
    "OPENVINO_DEVICES",
    "PREFERENCE",
    "EngineState",
    "Provider",
    "Unbuilt",
    "builders_among",
    "choose_providers",
    "short_name",
    "title_of",
    "with_options",
]

AUTO = ("auto",)
PREFERENCE = {
    "tensorrt": "TensorrtExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "cpu": "CPUExecutionProvider",
}
_WORDS = {"tensorrt": "TensorRT", "cuda": "CUDA", "openvino": "OpenVINO", "cpu": "CPU"}
BUILDERS = ("tensorrt", "openvino")
"""Those that first make an engine of a network, for one device, which takes from seconds to half an hour."""


class Unbuilt(StrEnum):
    """What to do where an engine is wanted and there is none yet."""

    IN_BACKGROUND = "in-background"
    WAIT = "wait"
    LEAVE = "leave"


class EngineState(StrEnum):
    """How a network stands with its engine; `none` where none is wanted."""

    NONE = "none"
    MISSING = "missing"
    BUILDING = "building"
    SERVING = "serving"
    FAILED = "failed"


OPENVINO_DEVICES = ("CPU", "GPU", "NPU")

Provider = tuple[str, dict[str, str]]
"""ONNX Runtime's name, and its options."""


def choose_providers(wanted: Sequence[str], available: Sequence[str]) -> list[str]:
    """The providers to use, best first, CPU always last; `auto` takes what there is, by ONNX Runtime's names."""
    here = [name for name, long in PREFERENCE.items() if long in available]
    if tuple(wanted) == AUTO:
        return here
    missing = [name for name in wanted if name not in here]
    if missing:
        raise ModelError(f"execution provider {missing[0]!r} is not available; here there are: auto, {', '.join(here)}")
    return list(dict.fromkeys((*wanted, "cpu")))


def builders_among(names: Sequence[str]) -> list[str]:
    """Those of these providers that need an engine."""
    return [name for name in names if name in BUILDERS]


def short_name(long: str) -> str:
    """How the settings call a provider, of ONNX Runtime's name."""
    return long.removesuffix("ExecutionProvider").lower()


def title_of(name: str) -> str:
    """A provider's name as people write it."""
    return _WORDS.get(name, name)


def with_options(
    names: Sequence[str], *, engine: Path | None, is_int8: bool = False, openvino_device: str = "CPU", threads: int = 0
) -> list[Provider]:
    """These providers as a session takes them; those that need an engine are left out where it has no folder."""
    options = {"cuda": _CUDA, "cpu": {}}
    if engine is not None:
        options |= {
            "tensorrt": _tensorrt(engine, is_int8=is_int8),
            "openvino": _openvino(engine, device=openvino_device, threads=threads),
        }
    return [(PREFERENCE[name], options[name]) for name in names if name in options]


_CUDA = {"arena_extend_strategy": "kSameAsRequested"}
"""The arena otherwise doubles whenever it grows, and on a Jetson it takes from the memory of all."""


def _tensorrt(engine: Path, *, is_int8: bool) -> dict[str, str]:
    return {
        "trt_fp16_enable": "1",
        "trt_int8_enable": "1" if is_int8 else "0",
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": str(engine),
        "trt_timing_cache_enable": "1",
        # Beside the engines, for it tells of the device and speeds up the next build whatever the network.
        "trt_timing_cache_path": str(engine.parent),
    }


def _openvino(engine: Path, *, device: str, threads: int) -> dict[str, str]:
    options = {"device_type": device, "cache_dir": str(engine)}
    return options | {"num_of_threads": str(threads)} if threads and device == "CPU" else options
