"""The `footfall` command within this process: what it prints and how it ends, without the second a new process takes.

For what a command says and does. That a command starts, ends and minds signals and terminals as a process of its own is
shown by tests that start one.
"""

import io
import os
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from subprocess import CompletedProcess
from unittest.mock import patch

from footfall import main

__all__ = ["typed"]


def typed(*words: str, environment: Mapping[str, str], said: str = "") -> CompletedProcess[str]:
    """What becomes of `footfall` with these words, in this environment alone, with `said` on its standard input."""
    out, errors = io.StringIO(), io.StringIO()
    surroundings = patch.dict(os.environ, environment, clear=True), patch.object(sys, "stdin", io.StringIO(said))
    with surroundings[0], surroundings[1], redirect_stdout(out), redirect_stderr(errors):
        try:
            code: int | str | None = main(words)
        except SystemExit as ended:  # how argparse ends a wrong use
            code = ended.code
    return CompletedProcess(words, int(code or 0), out.getvalue(), errors.getvalue())
