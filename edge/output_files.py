"""Files that a command writes: never over what it reads, and whole or not at all.

A file is written beside its place under the name with `.part`, and moved there at the end. What is no file, such as a
pipe or /dev/null, is written directly.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import combinations
from pathlib import Path
from typing import TextIO

from edge.errors import ConfigurationError, EdgeError

__all__ = ["refuse_clashes", "written"]


def refuse_clashes(*, inputs: Mapping[str, Path], outputs: Mapping[str, Path]) -> None:
    """Raise ConfigurationError where an output would be written over an input or another output.

    Paths stand under the names that whoever gave them knows.
    """
    touched: dict[str, tuple[Path, ...]] = {name: (path,) for name, path in inputs.items()}
    touched |= {name: (path, _part_of(path)) for name, path in outputs.items() if not _is_written_directly(path)}
    for (one, paths), (other, others) in combinations(touched.items(), 2):
        shared = next((path for path in others for known in paths if _same(known, path)), None)
        if other in outputs and shared is not None:
            raise ConfigurationError(f"{one} and {other}: both use {shared}; give each output a file of its own")


@contextmanager
def written(path: Path | None) -> Iterator[TextIO]:
    """The text file at `path`, which stands there once the block has ended well; None takes all and keeps nothing.

    Raises EdgeError when it cannot be written.
    """
    if path is None or _is_written_directly(path):
        with _opened(Path(os.devnull) if path is None else path, told=path) as file:
            yield file
        return
    part = _part_of(path)
    file = _opened(part, told=path)
    try:
        with file:
            yield file
        part.replace(path.resolve())
    finally:
        part.unlink(missing_ok=True)


def _opened(path: Path, *, told: Path | None) -> TextIO:
    try:
        return path.open("w", encoding="utf-8", newline="\n")
    except OSError as error:
        raise EdgeError(f"{told}: {error.strerror}; give a file that can be written") from error


def _is_written_directly(path: Path) -> bool:
    return path.exists() and not path.is_file()


def _part_of(path: Path) -> Path:
    """Beside the file itself, also where `path` is a link to it."""
    target = path.resolve()
    return target.with_name(f"{target.name}.part")


def _same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve() or (one.exists() and other.exists() and one.samefile(other))
