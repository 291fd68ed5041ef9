"""The files by which a box is known: its key and certificate, whom it trusts, and where broker and cloud are.

Each is written whole, and readable by its owner alone. Key and certificate are one file, so that they always fit;
`enrolment.json` is written last, and without it the others say nothing. Knows no network.
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_serializer

from edge.errors import ConfigurationError
from edge.settings import BrokerSettings, Settings
from protocol.wire import Slug

__all__ = [
    "Certificate",
    "Enrolment",
    "Request",
    "broker_of",
    "is_open_to_others",
    "make_request",
    "read_authority",
    "read_certificate",
    "read_enrolment",
    "staged",
    "write_certificate",
    "write_enrolment",
]

FILE, CERTIFICATE_FILE, AUTHORITY_FILE = "enrolment.json", "box.pem", "authority.pem"
STAGED_FILE = "next.pem"
_ROOM = "\n" * 16_384
"""As much as all files together take: a disk that is full says so before the cloud is asked."""
_NAMED = {"host", "port", "ca_file", "certificate_file", "username"}
"""With any of these, [broker] means a broker of its own."""


class Enrolment(BaseModel):
    """What a box was told when it enrolled; `cloud` is where, `key` its device key."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    cloud: str
    box: Slug
    venue: Slug | None
    host: str
    port: int = Field(ge=1, le=65_535)
    key: SecretStr

    @field_serializer("key", when_used="json")
    def _show(self, key: SecretStr) -> str:
        return key.get_secret_value()


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """For which box a certificate is, and from when until when it is good."""

    box: str
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A new private key, and the request for its certificate; both PEM."""

    key_pem: str
    pem: str

    def __repr__(self) -> str:
        return "Request()"


def make_request() -> Request:
    """Make a P-256 key and a request for it; whose certificate it will be, the cloud decides."""
    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    form = serialization.PrivateFormat.PKCS8
    pem = serialization.Encoding.PEM
    return Request(
        key_pem=key.private_bytes(pem, form, serialization.NoEncryption()).decode(),
        pem=request.public_bytes(pem).decode(),
    )


def write_enrolment(folder: Path, enrolment: Enrolment, *, key_pem: str, certificate: str, authority: str) -> None:
    """Write all files; raises ConfigurationError where the folder cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write(folder / AUTHORITY_FILE, authority)
        _write(folder / CERTIFICATE_FILE, key_pem + certificate)
        _write(folder / FILE, enrolment.model_dump_json(indent=2) + "\n")
    except OSError as error:
        raise _unusable(folder, "written", error) from error


@contextmanager
def staged(folder: Path, key_pem: str) -> Iterator[None]:
    """Prove that the folder can be written, with the key laid down beside what is there, while the cloud is asked.

    A code is good once, and what the box had before is void with it: so nothing that can fail here may come after.
    """
    path = folder / STAGED_FILE
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write(path, key_pem + _ROOM)
    except OSError as error:
        raise _unusable(folder, "written", error) from error
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def write_certificate(folder: Path, *, key_pem: str, certificate: str) -> None:
    """Put the next key and certificate in the place of the present ones."""
    try:
        _write(folder / CERTIFICATE_FILE, key_pem + certificate)
    except OSError as error:
        raise _unusable(folder, "written", error) from error


def read_enrolment(folder: Path) -> Enrolment | None:
    """What the box was told, or None where it was never enrolled; raises ConfigurationError where it cannot be read."""
    try:
        return Enrolment.model_validate_json((folder / FILE).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise _unusable(folder, "read", error) from error
    except ValidationError as error:
        raise ConfigurationError(f"{folder / FILE}: this is no enrolment; enrol the box anew") from error


def read_authority(folder: Path) -> str:
    """Whom this box trusts, as PEM; raises ConfigurationError where it cannot be read."""
    try:
        return (folder / AUTHORITY_FILE).read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{folder / AUTHORITY_FILE}: cannot be read ({error}); enrol the box anew") from error


def read_certificate(folder: Path) -> Certificate:
    """The box's certificate; raises ConfigurationError where there is none."""
    path = folder / CERTIFICATE_FILE
    try:
        found = x509.load_pem_x509_certificate(path.read_bytes())
    except FileNotFoundError as error:
        raise ConfigurationError(f"{path}: it is missing; enrol the box anew") from error
    except OSError as error:
        raise _unusable(folder, "read", error) from error
    except ValueError as error:
        raise ConfigurationError(f"{path}: this is no certificate; enrol the box anew") from error
    names = found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    box = str(names[0].value) if names else ""
    return Certificate(box=box, since=found.not_valid_before_utc, until=found.not_valid_after_utc)


def is_open_to_others(folder: Path) -> bool:
    """Whether anybody but its owner may read one of the files."""
    return any((folder / name).stat().st_mode & 0o077 for name in (FILE, CERTIFICATE_FILE))


def broker_of(settings: Settings) -> BrokerSettings:
    """The broker that the configuration names, else the one that this box was enrolled for."""
    broker, folder = settings.broker, settings.enrolment.folder
    if broker.model_fields_set & _NAMED:
        return broker
    enrolment = read_enrolment(folder)
    if enrolment is None:
        return broker
    if enrolment.box != settings.box.id:
        raise ConfigurationError(
            f"box.id: found {settings.box.id}; this box is enrolled as {enrolment.box} ({folder}): write that, or enrol"
            " it anew"
        )
    told = {
        "host": enrolment.host,
        "port": enrolment.port,
        "ca_file": folder / AUTHORITY_FILE,
        "certificate_file": folder / CERTIFICATE_FILE,
        "key_file": folder / CERTIFICATE_FILE,
    }
    return broker.model_copy(update=told)


def _write(path: Path, text: str) -> None:
    """At once and whole, readable by its owner alone, who is that of the folder where root writes."""
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            if os.geteuid() == 0:
                owner = path.parent.stat()
                os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _unusable(folder: Path, done: str, error: OSError) -> ConfigurationError:
    return ConfigurationError(
        f"enrolment.folder: {folder} cannot be {done} by this user ({error.strerror}); it belongs to uplink's user, and"
        " root may do it too"
    )
