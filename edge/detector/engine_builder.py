"""The process that builds an engine: opens the network once with its engine's folder, and ends.

`python -m edge.detector.engine_builder JOB FOLDER`, for `engines.py` alone. What is wrong is the last line it says.
"""

import os
import sys
from contextlib import suppress
from pathlib import Path

from pydantic import TypeAdapter

from edge.detector.onnx import OnnxDetector
from edge.detector.recipe import Recipe
from edge.errors import ModelError

__all__ = ["main"]

_NICER = 10
_FIRST_TO_GO = "800"
"""Of 1000: when memory runs out, the kernel takes this process before vision."""


def main(arguments: list[str]) -> str | None:
    """Build; what is wrong, or None when the engine is whole."""
    job, folder = arguments
    os.nice(_NICER)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_FIRST_TO_GO)
    recipe = TypeAdapter(Recipe).validate_json(job)
    try:
        OnnxDetector(recipe, engine=Path(folder))
    except ModelError as error:
        return " ".join(str(error).split())
    return None


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
