"""The secrets beside the database, as one tar: the admin key, and the authority's folder.

Nothing encrypts them, so they are kept only where somebody asks for it. Files that are there are never replaced.
"""

import io
import tarfile
from pathlib import Path

from cloud.auth import KEY_FILE
from cloud.devices import authority
from cloud.errors import BackupError

__all__ = ["pack_keys", "unpack_keys"]

_KEPT = (KEY_FILE, authority.FILE.parts[0])


def pack_keys(data_dir: Path) -> bytes:
    """Those files of the data folder that are keys, and none beside them."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for path in sorted(path for kept in _KEPT for path in (data_dir / kept, *(data_dir / kept).rglob("*"))):
            if path.is_file() and not path.is_symlink():
                archive.add(path, arcname=str(path.relative_to(data_dir)))
    return packed.getvalue()


def unpack_keys(packed: bytes, data_dir: Path) -> list[Path]:
    """Lay the files into the data folder as they were, but for those that are there already; the ones laid."""
    try:
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            new = [one for one in archive.getmembers() if _is_kept(one) and not (data_dir / one.name).exists()]
            archive.extractall(data_dir, members=new, filter="data")
    except (OSError, tarfile.TarError) as error:
        raise BackupError(f"The keys cannot be laid into {data_dir}: {error}") from error
    return [data_dir / one.name for one in new]


def _is_kept(member: tarfile.TarInfo) -> bool:
    return member.isfile() and member.name.partition("/")[0] in _KEPT
