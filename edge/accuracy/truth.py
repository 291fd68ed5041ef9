"""The truth about a film, as somebody wrote it down who watched it, or as a labelling tool did.

    visit,3.2,41          somebody was in view from second 3.2 to second 41 of the film
    visit,0:05,1:12.5     the same in minutes:seconds, as players show them
    crossing,12.4,entrance,in

in a file that ends in .csv, with empty lines and lines that begin with # where they help; or boxes frame by frame in
the format of MOTChallenge, in a file that ends in .txt. Every mistake is told with its line, up to a number of them.
"""

import csv
import difflib
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from edge.accuracy.account import Account, Film, Passage, Stay, Truth
from edge.accuracy.labels import Label, Labels
from edge.camera.file import Footage
from edge.errors import ConfigurationError
from edge.settings import CameraSettings

__all__ = ["read_truth"]

_TOLD = 20
_END_SECONDS = 1.0
"""Whoever watches a film to its end may write down a moment a little behind it."""
_MOMENT = re.compile(r"(?:(?:(\d{1,4}):)?([0-5]?\d):(?=[0-5]?\d(?:\.|$)))?(\d{1,9}(?:\.\d*)?)")
_VISIT, _CROSSING = "visit,FIRST,LAST as in visit,3.2,41", "crossing,MOMENT,LINE,in or crossing,MOMENT,LINE,out"
_BOX = "frame,id,left,top,width,height and up to four more numbers, as in 1,9,312,98.5,19,47,1,1,1"
_PEDESTRIAN = 1
_WITH_CLASS = 9
_SHOWN = 60
"""So much of what was found is told."""

_Entry = TypeVar("_Entry")


class _Mistake(ValueError):
    """What was found in a line, and what is allowed."""


def read_truth(path: Path, *, camera: CameraSettings, footage: Footage) -> Truth:
    """The truth in a file, for a film of this camera; raises ConfigurationError with its mistakes."""
    readers = {".csv": _written, ".txt": _labelled}
    if path.suffix.lower() not in readers:
        raise ConfigurationError(
            f"{path}: found a name that ends in {path.suffix or 'nothing'}; allowed is .csv for visits and crossings "
            "written by hand, and .txt for boxes in the format of MOTChallenge"
        )
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}; needed is a file that this user may read") from error
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path}: not a text in UTF-8; save it as plain text with commas") from None
    return readers[path.suffix.lower()](path, text, camera, footage)


@dataclass(frozen=True, slots=True)
class _Written:
    """A truth that was written in seconds of the film."""

    written: Account

    def account(self, film: Film) -> Account:  # noqa: ARG002  the same for any film
        """See `Truth`."""
        return self.written

    @property
    def tells_crossings(self) -> bool:
        """See `Truth`."""
        return self.written.passages is not None


def _written(path: Path, text: str, camera: CameraSettings, footage: Footage) -> Truth:
    lines = [line.id for line in camera.lines]

    def read(_: int, fields: list[str]) -> Stay | Passage:
        match fields[0].lower():
            case "visit":
                return _stay(fields, footage.seconds)
            case "crossing":
                return _passage(fields, footage.seconds, lines)
            case other:
                raise _Mistake(f"found {other[:_SHOWN]!r}; allowed is {_VISIT}, and {_CROSSING}")

    entries = _read(path, text, read)
    if not entries:
        raise ConfigurationError(f"{path}: found no visit and no crossing; needed are lines as {_VISIT}")
    stays = tuple(entry for entry in entries if isinstance(entry, Stay))
    passages = tuple(entry for entry in entries if isinstance(entry, Passage))
    # Who wrote down crossings only watched a door, and says nothing of visits; and the other way round.
    return _Written(Account(stays=stays or None, passages=passages or None))


def _read(path: Path, text: str, read: Callable[[int, list[str]], _Entry | None]) -> list[_Entry]:
    """What each row says; raises ConfigurationError with the mistakes of all rows."""
    entries: list[_Entry] = []
    mistakes: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        try:
            fields = _fields(line)
            entry = read(number, fields) if fields else None
        except _Mistake as mistake:
            mistakes.append(f"{path}, line {number}: {mistake}")
        else:
            entries += [] if entry is None else [entry]
    if mistakes:
        more = [f"{path}: and {len(mistakes) - _TOLD} more mistakes"] if len(mistakes) > _TOLD else []
        raise ConfigurationError("\n".join([*mistakes[:_TOLD], *more]))
    return entries


def _fields(line: str) -> list[str]:
    """A line's fields, none where it is empty or a remark; a spreadsheet pads its rows with empty fields."""
    if line.lstrip().startswith("#"):
        return []
    try:
        # Each line by itself, or a quote that is left open would swallow those behind it.
        fields = [field.strip() for row in csv.reader([line], skipinitialspace=True, strict=True) for field in row]
    except csv.Error as error:
        allowed = f'fields of up to {csv.field_size_limit():,} characters, with " at both ends or at none'
        raise _Mistake(
            f"found {line[:_SHOWN]!r}, of which no row can be read ({error}); allowed are {allowed}"
        ) from None
    while fields and not fields[-1]:
        fields.pop()
    return [] if fields and fields[0].startswith("#") else fields


def _stay(fields: Sequence[str], film_seconds: float | None) -> Stay:
    if len(fields) != 3:
        raise _Mistake(f"found {len(fields)} fields; allowed is {_VISIT}")
    first, last = (_moment(field, film_seconds) for field in fields[1:])
    if last <= first:
        raise _Mistake(f"found a visit from {fields[1]} to {fields[2]}; allowed is one that ends after it began")
    return Stay(first=first, last=last)


def _passage(fields: Sequence[str], film_seconds: float | None, lines: Sequence[str]) -> Passage:
    if len(fields) != 4:
        raise _Mistake(f"found {len(fields)} fields; allowed is {_CROSSING}")
    _, moment, line, direction = fields
    if line not in lines:
        known = f"a line of the camera: {', '.join(lines)}" if lines else "none: the camera has no lines; give --camera"
        close = difflib.get_close_matches(line, lines, n=1)
        raise _Mistake(
            f"found line {line[:_SHOWN]!r}; allowed is {known}{f'; did you mean {close[0]}?' if close else ''}"
        )
    match direction.lower():
        case "in" | "out" as way:
            return Passage(at=_moment(moment, film_seconds), line=line, direction=way)
        case _:
            raise _Mistake(f"found {direction[:_SHOWN]!r}; allowed is in or out")


def _moment(text: str, film_seconds: float | None) -> float:
    found = _MOMENT.fullmatch(text)
    if not found:
        raise _Mistake(
            f"found {text[:_SHOWN]!r}; allowed is a moment in seconds or minutes:seconds, as in 83.5 or 1:23.5"
        )
    hours, minutes, seconds = found.groups(default="0")
    moment = 3600 * int(hours) + 60 * int(minutes) + float(seconds)
    if film_seconds is not None and moment > film_seconds + _END_SECONDS:
        raise _Mistake(f"found {text[:_SHOWN]}; the film ends after {film_seconds:.1f} s")
    return moment


def _labelled(path: Path, text: str, camera: CameraSettings, footage: Footage) -> Truth:
    seen: set[tuple[int, int]] = set()

    def read(number: int, fields: list[str]) -> Label | None:
        label = _label(fields, number, footage.frames)
        if label is not None and (label.frame, label.person) in seen:
            raise _Mistake(f"found person {label.person} in frame {label.frame} again; allowed is once a frame")
        if label is not None:
            seen.add((label.frame, label.person))
        return label

    labels = _read(path, text, read)
    if not labels:
        raise ConfigurationError(f"{path}: found no label of a person; needed are lines as {_BOX}")
    return Labels(path=path, camera=camera, labels=tuple(labels))


def _label(fields: Sequence[str], number: int, frames: int | None) -> Label | None:
    """A row's label; None where the row itself says that it is of nobody who counts."""
    try:
        numbers = [float(field) for field in fields]
    except ValueError:
        numbers = []
    if not 6 <= len(numbers) <= 10 or not all(map(math.isfinite, numbers)):
        raise _Mistake(f"found {','.join(fields)[:_SHOWN]!r}; allowed is {_BOX}")
    frame, person, left, top, width, height, *more = numbers
    if frame < 1 or frame % 1 or person % 1:
        raise _Mistake(f"found frame {fields[0]} and id {fields[1]}; allowed are whole numbers, frames from 1")
    if frames is not None and frame > frames:
        raise _Mistake(f"found frame {fields[0]}; the film has {frames}")
    if width <= 0 or height <= 0:
        raise _Mistake(f"found a box of {fields[4]} × {fields[5]}; allowed are a width and a height above 0")
    # MOTChallenge marks what is not to be counted by 0 after the box, and who is no pedestrian by a class after that.
    if more[:1] == [0] or (len(numbers) == _WITH_CLASS and more[1] not in (_PEDESTRIAN, -1)):
        return None
    return Label(line=number, frame=int(frame), person=int(person), box=(left, top, left + width, top + height))
