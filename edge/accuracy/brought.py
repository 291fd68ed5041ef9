"""The certificates of a film, brought to a box: they are kept where they are of lines as they are here."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from edge.accuracy.certificate import Certificate
from edge.errors import ConfigurationError, EdgeError
from edge.settings import CameraSettings, Settings

__all__ = ["brought", "lines_of", "no_line"]


def brought(path: Path, settings: Settings, *, setups: Mapping[str, str]) -> list[Certificate]:
    """Those in a file, which are of lines of this box with these setups; raises EdgeError with all that is wrong."""
    certificates = _read(path)
    mistakes = [f"{path}: {mistake}" for one in certificates for mistake in _unlike(one, settings, setups)]
    if mistakes:
        raise EdgeError("\n".join(mistakes))
    return certificates


def lines_of(settings: Settings) -> dict[str, CameraSettings]:
    """The camera of each line."""
    return {line.id: camera for camera in settings.cameras for line in camera.lines}


def no_line(line: str, known: Iterable[str]) -> str:
    """What is wrong where a line is named that is not among the known."""
    return f"there is no line {line!r}; there are {', '.join(known) or 'none: draw one first'}"


def _read(path: Path) -> list[Certificate]:
    try:
        items = json.loads(path.read_text())["certificates"]
        certificates = [Certificate.read(item) for item in items]
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}; needed is a file that this user may read") from error
    except (ValueError, TypeError, KeyError, ConfigurationError):
        raise ConfigurationError(f"{path}: allowed is what `footfall edge replay --certificate` wrote") from None
    if not certificates:
        raise ConfigurationError(
            f"{path}: found no certificate; needed is one at least, as `footfall edge replay --certificate` writes it"
        )
    return certificates


def _unlike(one: Certificate, settings: Settings, setups: Mapping[str, str]) -> Iterator[str]:
    """Why a film's certificate is not of a line as it is here, and what would be."""
    lines = lines_of(settings)
    if one.line not in lines:
        yield no_line(one.line, lines)
        return
    camera = lines[one.line]
    together = [other.id for other in settings.cameras if other.scene_id == camera.scene_id]
    if len(together) > 1:
        yield (
            f"line {one.line} is watched by {' and '.join(together)} together, which the film of one camera cannot"
            f" certify; count on the spot: footfall edge certify {one.line}"
        )
        return
    right = "replay the film with --camera and --model as they are here"
    if one.camera != camera.id:
        yield f"line {one.line}: found camera {one.camera}; here it is one of camera {camera.id}: {right}"
    if one.scene != camera.scene_id:
        yield f"line {one.line}: found scene {one.scene}; here it is in scene {camera.scene_id}: {right}"
    if one.setup != setups[one.line]:
        yield f"line {one.line} was checked with another line, camera or detector than this box has: {right}"
