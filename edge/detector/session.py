"""An ONNX Runtime session for one network that takes one picture.

Knows session options and what an input must look like. Refuses to know what the outputs mean. The runtime's errors,
whose classes share no base but Exception, are translated here.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import onnxruntime

from edge.detector.description import InputFormat
from edge.detector.layouts import Output
from edge.detector.providers import Provider
from edge.errors import ModelError

__all__ = ["Network", "open_network"]

Floats = npt.NDArray[np.float32]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """An open network: the size of the picture it takes, its outputs as they really came out, who runs it."""

    session: onnxruntime.InferenceSession
    input_name: str
    width: int
    height: int
    outputs: tuple[Output, ...]
    providers: tuple[str, ...]

    def run(self, tensor: Floats) -> list[Floats]:
        """All outputs for one picture, float32 1×3×height×width."""
        return cast("list[Floats]", self.session.run(None, {self.input_name: tensor}))


def open_network(
    path: Path, *, known: InputFormat | None, providers: Sequence[Provider], threads: int, strict: bool
) -> Network:
    """Open a file, run it once on an empty picture, and refuse it where it can't serve.

    `strict`: also where a provider can't; else a warning says so, and the next one serves.
    """
    session = _session(path, providers, threads, strict=strict)
    served = tuple(session.get_providers())
    _check_fallback([name for name, _ in providers], served, strict=strict)
    name, width, height = _input_of(session, known)
    return Network(
        session=session,
        input_name=name,
        width=width,
        height=height,
        outputs=_probe(session, name, width, height),
        providers=served,
    )


def _session(path: Path, providers: Sequence[Provider], threads: int, *, strict: bool) -> onnxruntime.InferenceSession:
    if not path.is_file():
        raise ModelError("there is no such file")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    # Spinning threads wait at full load between frames: a box that analyses 10 fps would show busy cores.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(path, options, providers=list(providers), enable_fallback=int(not strict))
    except Exception as error:  # the runtime's classes share no other base
        size = path.stat().st_size
        reason = f"ONNX Runtime can't read it ({size:,} bytes: damaged, cut short, or not ONNX)"
        raise ModelError(f"{reason}: {_first_line(error)}") from error


def _check_fallback(wanted: Sequence[str], served: Sequence[str], *, strict: bool) -> None:
    """A provider whose libraries fail to load is passed over silently: say it, or refuse what was named."""
    missing = [name for name in wanted if name not in served]
    if not missing:
        return
    text = f"execution provider {', '.join(missing)} is installed but failed to load; {served[0]} would serve"
    if strict:
        raise ModelError(text)
    _log.warning(text, extra={"action": "fall back to a slower provider"})


def _input_of(session: onnxruntime.InferenceSession, known: InputFormat | None) -> tuple[str, int, int]:
    """Name, width and height of the one picture the network takes; a fixed size in the file wins."""
    inputs = session.get_inputs()
    words = ", ".join(f"{each.name} {'×'.join(map(str, each.shape))} {each.type}" for each in inputs)
    if len(inputs) != 1:
        raise ModelError(f"it wants {len(inputs)} inputs ({words}), not one picture; export it without post-processing")
    shape: list[int | str | None] = inputs[0].shape
    if inputs[0].type != "tensor(float)" or len(shape) != 4 or not _fits(shape[0], 1) or not _fits(shape[1], 3):
        raise ModelError(f"its input is {words}, not one float32 picture 1×3×height×width")
    height = shape[2] if isinstance(shape[2], int) else (known.height if known else None)
    width = shape[3] if isinstance(shape[3], int) else (known.width if known else None)
    if width is None or height is None:
        raise ModelError(f"its input {words} leaves the size open: give input.width and input.height in a manifest")
    return inputs[0].name, width, height


def _fits(axis: int | str | None, size: int) -> bool:
    return axis == size or not isinstance(axis, int)


def _probe(session: onnxruntime.InferenceSession, name: str, width: int, height: int) -> tuple[Output, ...]:
    """Real output shapes, also where the file leaves them open; and proof that it runs."""
    try:
        results = session.run(None, {name: np.zeros((1, 3, height, width), np.float32)})
    except Exception as error:  # the runtime's classes share no other base
        raise ModelError(f"it does not run on a {width}×{height} picture: {_first_line(error)}") from error
    names = [output.name for output in session.get_outputs()]
    return tuple(Output(name=each, shape=tuple(np.shape(result))) for each, result in zip(names, results, strict=True))


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
