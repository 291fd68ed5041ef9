"""Keys: how one is made, kept, and compared.

Only hashes of device keys are stored; the admin key lies in a file that its owner alone may read, or in the settings.
Knows nothing of HTTP.
"""

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from pydantic import SecretStr

from cloud.errors import SettingsError
from cloud.settings import Settings

__all__ = ["AdminKey", "admin_key", "box_of_key", "key_matches", "new_device_key", "sha256_of"]

SECRET_BYTES = 32
KEY_FILE = "admin.key"


class AdminKey:
    """The key that guards every write, and the file in which it lies, where it was made here."""

    def __init__(self, secret: SecretStr, *, path: Path | None = None, is_new: bool = False) -> None:
        self.secret = secret
        self.path = path
        self.is_new = is_new

    def matches(self, presented: str) -> bool:
        """Whether this is the key, in a time that does not tell how much of it is right."""
        return key_matches(presented, sha256_of(self.secret.get_secret_value()))


def admin_key(settings: Settings) -> AdminKey:
    """The admin key of the settings, else of the data folder, where the first start makes it."""
    if settings.admin_key is not None:
        return AdminKey(settings.admin_key)
    path = settings.data_dir.expanduser().resolve() / KEY_FILE
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
        is_new = _make_key_file(path)
        secret = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: the admin key cannot be read or made: {error}") from error
    if len(secret) < SECRET_BYTES:
        raise SettingsError(f"{path}: this is no admin key; remove the file, and the next start makes one")
    return AdminKey(SecretStr(secret), path=path, is_new=is_new)


def _make_key_file(path: Path) -> bool:
    """Write a new key where there is none; true when it was made. Two that start at once agree on one key."""
    if path.exists():
        return False
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(secrets.token_urlsafe(SECRET_BYTES) + "\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)
    except FileExistsError:
        return False
    finally:
        draft.unlink()
    return True


def new_device_key(box: str) -> str:
    """A key for one box; it names the box, and is shown once."""
    return f"{box}.{secrets.token_urlsafe(SECRET_BYTES)}"


def box_of_key(presented: str) -> str:
    """Which box a device key claims to be for."""
    return presented.partition(".")[0]


def sha256_of(key: str) -> str:
    """What is stored of a key. It is random and long, so it needs no salt and no slow hash."""
    return hashlib.sha256(key.encode()).hexdigest()


def key_matches(presented: str, expected_sha256: str) -> bool:
    """Whether a key has this hash, compared in constant time."""
    return hmac.compare_digest(sha256_of(presented), expected_sha256)
