"""The cloud's own certificate authority: one key, and what is signed with it.

Knows keys, certificates and lists of revoked ones as X.509 has them; nothing of the database, of boxes or of brokers.
Keys are P-256, which the smallest box signs with in a millisecond.
"""

import ipaddress
import os
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cloud.devices.journal import Journal
from cloud.errors import Invalid, SettingsError
from protocol.enrolment import fingerprint

__all__ = [
    "FILE",
    "SERVICE_DAYS",
    "Authority",
    "Issued",
    "RevokedSerial",
    "make_key",
    "open_authority",
    "write_secret",
]

NAME = "Footfall authority"
FILE = Path("authority") / "authority.pem"
AUTHORITY_DAYS = 20 * 365
SERVICE_DAYS = 5 * 365
"""Of the broker's and the workers' certificates: their keys lie as safe as the authority's own."""
LIST_DAYS = 30
"""A broker that was not told for so long lets nobody in any more: better closed than open to what was revoked."""
SKEW = timedelta(hours=1)
"""By how much the clock of whoever reads a certificate may be behind."""
_PEM = serialization.Encoding.PEM


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A certificate that was signed: its serial in hexadecimal, and itself as PEM."""

    serial: str
    expires: datetime
    pem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokedSerial:
    """A certificate that is void, and since when."""

    serial: str
    since: datetime


class Authority:
    """Signs; whoever has its certificate can check that it did. `journal` is for what it signed for clients."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate, journal: Journal) -> None:
        self.journal = journal
        self._key = key
        self._certificate = certificate
        self._last_list: tuple[tuple[Sequence[RevokedSerial], datetime], str] | None = None

    @property
    def pem(self) -> str:
        """Its own certificate."""
        return self._certificate.public_bytes(_PEM).decode()

    @property
    def fingerprint(self) -> str:
        """What an enrolment code says of it."""
        return fingerprint(self._certificate.public_bytes(serialization.Encoding.DER))

    @property
    def expires(self) -> datetime:
        """Until when anything that it signs is believed."""
        return self._certificate.not_valid_after_utc

    def has_signed(self, certificate: x509.Certificate) -> bool:
        """Whether this authority stands behind a certificate."""
        try:
            certificate.verify_directly_issued_by(self._certificate)
        except (ValueError, TypeError, InvalidSignature):
            return False
        return True

    def sign_request(self, request_pem: str, *, name: str, now: datetime, days: int) -> Issued:
        """A client's certificate in this name for the key of a request, whose own wishes do not matter; or Invalid."""
        return self._sign(_key_of(request_pem), name, now, days, [ExtendedKeyUsageOID.CLIENT_AUTH], ())

    def sign_client(self, key: ec.EllipticCurvePrivateKey, *, name: str, now: datetime, days: int) -> Issued:
        """A client's certificate for a key that was made here."""
        return self._sign(key.public_key(), name, now, days, [ExtendedKeyUsageOID.CLIENT_AUTH], ())

    def sign_server(self, key: ec.EllipticCurvePrivateKey, *, names: Sequence[str], now: datetime, days: int) -> Issued:
        """A server's certificate for all the names and addresses by which clients reach it; the first is its own."""
        alternatives = [_alternative(name) for name in names]
        return self._sign(key.public_key(), names[0], now, days, [ExtendedKeyUsageOID.SERVER_AUTH], alternatives)

    def list_revoked(self, revoked: Iterable[RevokedSerial], *, at: datetime) -> str:
        """The signed list of what is void, as PEM. Of two lists, readers believe the one with the later second.

        The last one is kept, since the broker's follower asks every few seconds and seldom is anything new.
        """
        wanted = (tuple(revoked), at)
        last = self._last_list
        if last is None or last[0] != wanted:
            last = self._last_list = (wanted, self._sign_list(*wanted))
        return last[1]

    def _sign_list(self, revoked: Sequence[RevokedSerial], at: datetime) -> str:
        # All at once: `add_revoked_certificate` copies those before, which took minutes for a hundred thousand.
        builder = x509.CertificateRevocationListBuilder(revoked_certificates=[_entry(one) for one in revoked])
        builder = builder.issuer_name(self._certificate.subject)
        builder = builder.last_update(at).next_update(at + timedelta(days=LIST_DAYS))
        return builder.sign(self._key, hashes.SHA256()).public_bytes(_PEM).decode()

    def empty_list(self, now: datetime) -> str:
        """A list without an entry for a broker that has none yet; any other is newer."""
        return self.list_revoked((), at=now - timedelta(days=7))

    def _sign(
        self,
        key: ec.EllipticCurvePublicKey,
        name: str,
        now: datetime,
        days: int,
        usage: Sequence[x509.ObjectIdentifier],
        alternatives: Sequence[x509.GeneralName],
    ) -> Issued:
        expires = min(now + timedelta(days=days), self.expires).astimezone(UTC).replace(microsecond=0)
        builder = _describe(name, issuer=self._certificate.subject, key=key, since=now - SKEW, until=expires)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage(usage), critical=False)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = builder.add_extension(issuer, critical=False)
        if alternatives:
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        signed = builder.sign(self._key, hashes.SHA256())
        return Issued(serial=f"{signed.serial_number:040x}", expires=expires, pem=signed.public_bytes(_PEM).decode())


def open_authority(data_dir: Path, *, now: datetime) -> Authority:
    """The authority of this data folder, made at the first need; raises SettingsError where that fails."""
    path = data_dir.expanduser().resolve() / FILE
    try:
        if not path.exists():
            _make_folder(path.parent)
            write_secret(path, _make(now), replace=False)
        return _read(path.read_bytes(), Journal(path.parent))
    except OSError as error:
        raise SettingsError(f"{path}: the authority cannot be read or made: {error.strerror}") from error
    except (ValueError, TypeError) as error:
        raise SettingsError(f"{path}: this is no authority of Footfall's; restore the file from a back-up") from error


def _make_folder(folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
    folder.mkdir(exist_ok=True, mode=0o700)
    if os.geteuid() == 0:
        owner = folder.parent.stat()
        os.chown(folder, owner.st_uid, owner.st_gid)


def make_key() -> tuple[ec.EllipticCurvePrivateKey, str]:
    """A new private key, and the same as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    return key, _key_pem(key)


def write_secret(path: Path, text: str, *, replace: bool = True) -> None:
    """Write a file that its owner alone may read, at once and whole; without `replace`, one that is there stays."""
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            _give_to_owner_of(path.parent, file.fileno())
            file.flush()
            os.fsync(file.fileno())
        if replace:
            draft.replace(path)
        else:
            _link(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def _give_to_owner_of(folder: Path, descriptor: int) -> None:
    """What root writes belongs to whom the folder belongs to, whose program is to read it."""
    if os.geteuid() == 0:
        owner = folder.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


def _link(draft: Path, path: Path) -> None:
    """Two that start at once agree on what the first of them wrote."""
    try:
        os.link(draft, path)
    except FileExistsError:
        return


def _make(now: datetime) -> str:
    key, key_pem = make_key()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{NAME} {secrets.token_hex(4)}")])
    until = now + timedelta(days=AUTHORITY_DAYS)
    builder = _describe(name, issuer=name, key=key.public_key(), since=now - SKEW, until=until)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_SIGNS_ONLY, critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    return key_pem + builder.sign(key, hashes.SHA256()).public_bytes(_PEM).decode()


_SIGNS_ONLY = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


def _read(pem: bytes, journal: Journal) -> Authority:
    key = serialization.load_pem_private_key(pem, password=None)
    certificate = x509.load_pem_x509_certificate(pem)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise ValueError("key and certificate do not belong together")
    return Authority(key, certificate, journal)


def _describe(
    name: str | x509.Name, *, issuer: x509.Name, key: ec.EllipticCurvePublicKey, since: datetime, until: datetime
) -> x509.CertificateBuilder:
    subject = name if isinstance(name, x509.Name) else x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
    return builder.serial_number(x509.random_serial_number()).not_valid_before(since).not_valid_after(until)


def _entry(revoked: RevokedSerial) -> x509.RevokedCertificate:
    builder = x509.RevokedCertificateBuilder().serial_number(int(revoked.serial, 16))
    return builder.revocation_date(revoked.since).build()


def _key_of(request_pem: str) -> ec.EllipticCurvePublicKey:
    wish = "a certificate request (PKCS #10, PEM) for a P-256 key, signed with that key"
    try:
        request = x509.load_pem_x509_csr(request_pem.encode())
        key = request.public_key()
        is_signed = request.is_signature_valid
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise Invalid(f"request: {wish}") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1) or not is_signed:
        raise Invalid(f"request: {wish}")
    return key


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(_PEM, form, serialization.NoEncryption()).decode()
