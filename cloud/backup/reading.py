"""Reads a part and believes nothing: it is what the manifest says of it, or BackupError names it."""

import hashlib

from cloud.backup.archive import Part
from cloud.backup.rows import decompressed
from cloud.backup.target import Target
from cloud.errors import BackupError

__all__ = ["read_part"]


def read_part(target: Target, part: Part) -> bytes:
    """The text of a part; raises BackupError where it is missing or damaged."""
    data = target.read(part.path)
    try:
        text = decompressed(data)
    except ValueError as error:
        raise BackupError(f"Back-up target {target.url}: {part.path} is damaged: {error}") from error
    if hashlib.sha256(text).hexdigest() != part.sha256:
        raise BackupError(f"Back-up target {target.url}: {part.path} is damaged: its content is not what was written")
    return text
