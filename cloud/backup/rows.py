"""Rows as text that either database can read, in pieces that stay the same while their rows do.

A row is a JSON array in the order of the table's columns, a line each; bytes are `{"base64": …}`. A piece ends after a
row whose own checksum says so, not after so many rows: what is inserted, changed or deleted somewhere moves the ends
beside it and no others, so that all other pieces of a table are found again, bit by bit, in an earlier archive.
"""

import base64
import gzip
import hashlib
import json
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

__all__ = ["Piece", "compressed", "decompressed", "pieces", "rows_of"]

ROWS_A_PIECE = 2048
"""On average: so many rows are kept again where one has changed, and so many go into one file."""
MOST_BYTES = 4 * 2**20
"""A piece ends once it is so long, and so it is what a back-up holds in memory."""
MOST_TEXT_BYTES = 64 * 2**20
"""What a part may hold at most when it is read: a piece ends with a row, and the longest is a floor plan of 16 MiB."""
_GZIP = zlib.MAX_WBITS | 16
_Row = list[object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Some rows in a table's order, as lines."""

    text: bytes
    rows: int

    @property
    def sha256(self) -> str:
        """What names its content."""
        return hashlib.sha256(self.text).hexdigest()


def pieces(rows: Iterable[Sequence[object]]) -> Iterator[Piece]:
    """The rows in pieces, in their order."""
    lines: list[bytes] = []
    size = 0
    for row in rows:
        line = _ENCODER.encode(list(row)).encode("ascii") + b"\n"
        lines.append(line)
        size += len(line)
        if size >= MOST_BYTES or zlib.crc32(line) % ROWS_A_PIECE == 0:
            yield Piece(text=b"".join(lines), rows=len(lines))
            lines, size = [], 0
    if lines:
        yield Piece(text=b"".join(lines), rows=len(lines))


def rows_of(text: bytes) -> list[_Row]:
    """The rows of a piece."""
    return [json.loads(line, object_hook=_bytes_of) for line in text.splitlines()]


def compressed(text: bytes) -> bytes:
    """As gzip, the same for the same text."""
    return gzip.compress(text, compresslevel=6, mtime=0)


def decompressed(data: bytes) -> bytes:
    """The text again; raises ValueError where the data are not what `compressed` gave."""
    reader = zlib.decompressobj(wbits=_GZIP)
    try:
        text = reader.decompress(data, MOST_TEXT_BYTES + 1)
    except zlib.error:
        raise ValueError("it is not what was compressed") from None
    if len(text) > MOST_TEXT_BYTES:
        raise ValueError(f"it holds more than {MOST_TEXT_BYTES} bytes")
    if not reader.eof or reader.unused_data:
        raise ValueError("it is cut short, or something was put behind it")
    return text


def _object_of(value: object) -> dict[str, str]:
    if not isinstance(value, bytes):
        raise TypeError(f"a column holds {type(value).__name__}, which JSON cannot say")
    return {"base64": base64.b64encode(value).decode("ascii")}


def _bytes_of(found: dict[str, str]) -> bytes:
    return base64.b64decode(found["base64"])


_ENCODER = json.JSONEncoder(separators=(",", ":"), default=_object_of, allow_nan=False)
