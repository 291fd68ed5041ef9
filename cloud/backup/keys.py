"""The secrets beside the database: the admin key and whatever else lies in the data folder, as one tar.

Nothing encrypts them, so they are kept only where somebody asks for it. Files that are there are never replaced.
"""

import io
import tarfile
from pathlib import Path

from cloud.errors import BackupError

__all__ = ["pack_keys", "unpack_keys"]

_DATABASE = "footfall.sqlite"


def pack_keys(data_dir: Path) -> bytes:
    """All files of the data folder but the database and its log."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for path in sorted(data_dir.rglob("*")):
            name = path.relative_to(data_dir)
            if path.is_file() and not path.is_symlink() and not str(name).startswith(_DATABASE):
                archive.add(path, arcname=str(name))
    return packed.getvalue()


def unpack_keys(packed: bytes, data_dir: Path) -> list[Path]:
    """Lay the files into the data folder as they were, but for those that are there already; the ones laid."""
    try:
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            new = [one for one in archive.getmembers() if one.isfile() and not (data_dir / one.name).exists()]
            archive.extractall(data_dir, members=new, filter="data")
    except (OSError, tarfile.TarError) as error:
        raise BackupError(f"The keys cannot be laid into {data_dir}: {error}") from error
    return [data_dir / one.name for one in new]
