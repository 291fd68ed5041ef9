"""The certificate by which one of the cloud's own workers comes to the broker, kept in the data folder."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from sqlalchemy import Engine
from sqlmodel import Session

from cloud.devices.authority import FILE, SERVICE_DAYS, Authority, make_key, write_secret
from cloud.devices.certificates import Holder, note_issued, worker_name
from cloud.store.engine import writing

__all__ = ["WorkerFiles", "worker_file"]

LEAST_LEFT = timedelta(days=SERVICE_DAYS / 3)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerFiles:
    """Whom a worker trusts, and its own certificate and key, which stand in one file."""

    authority: Path
    certificate: Path


def worker_file(engine: Engine, authority: Authority, *, data_dir: Path, client_id: str, now: datetime) -> WorkerFiles:
    """The files of a worker; its certificate is made where there is none, or not enough of its time is left."""
    trusted = data_dir.expanduser().resolve() / FILE
    path = trusted.with_name(f"worker-{client_id}.pem")
    if not _is_good(path, authority, now=now):
        name = worker_name(client_id)
        key, key_pem = make_key()
        issued = authority.sign_client(key, name=name, now=now, days=SERVICE_DAYS)
        with writing(engine) as connection, Session(connection) as session:
            note_issued(session, holder=Holder.WORKER, name=name, issued=issued, now=now)
        write_secret(path, key_pem + issued.pem)
    return WorkerFiles(authority=trusted, certificate=path)


def _is_good(path: Path, authority: Authority, *, now: datetime) -> bool:
    if not path.exists():
        return False
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
    except ValueError:
        return False
    return authority.has_signed(certificate) and certificate.not_valid_after_utc - now >= LEAST_LEFT
