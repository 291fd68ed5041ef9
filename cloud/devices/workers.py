"""The certificate by which one of the cloud's own workers comes to the broker, kept in the data folder.

A worker looks at it when it starts and once a minute: one that a restored database has forgotten is noted anew, since
the broker would let its holder hear nothing; one that was revoked makes way for another, with which the program starts
anew.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import NameOID
from sqlalchemy import Engine
from sqlmodel import Session

from cloud.devices.authority import FILE, SERVICE_DAYS, Authority, Issued, make_key, write_secret
from cloud.devices.certificates import Holder, State, note_issued, recall, state_of, worker_name
from cloud.errors import CloudError, StoreError
from cloud.store.engine import writing

__all__ = ["CertificateReplaced", "Worker", "WorkerFiles"]

LEAST_LEFT = timedelta(days=SERVICE_DAYS / 3)
LOOK_SECONDS = 60.0
_LOG = logging.getLogger(__name__)


class CertificateReplaced(CloudError):
    """The worker's certificate was void, and there is another, which takes a new start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerFiles:
    """Whom a worker trusts, and its own certificate and key, which stand in one file."""

    authority: Path
    certificate: Path


class Worker:
    """One worker's certificate, which this keeps good."""

    def __init__(
        self, engine: Engine, authority: Authority, *, data_dir: Path, client_id: str, now: Callable[[], datetime]
    ) -> None:
        trusted = data_dir.expanduser().resolve() / FILE
        self.files = WorkerFiles(authority=trusted, certificate=trusted.with_name(f"worker-{client_id}.pem"))
        self._engine = engine
        self._authority = authority
        self._name = worker_name(client_id)
        self._now = now

    def keep(self) -> bool:
        """See to it that the certificate is good and known; whether that took another one."""
        issued = self._present()
        with writing(self._engine) as connection, Session(connection) as session:
            recall(session, self._authority.journal)
            state = State.VOID if issued is None else state_of(session, serial=issued.serial)
            if issued is not None and state is State.UNKNOWN:
                self._note(session, issued)
                _LOG.warning(
                    "The database did not know the certificate of %s, which is noted anew", self._name,
                    extra={"action": "certificate"},
                )  # fmt: skip
            if state is not State.VOID:
                return False
            key, key_pem = make_key()
            made = self._authority.sign_client(key, name=self._name, now=self._now(), days=SERVICE_DAYS)
            self._note(session, made)
        write_secret(self.files.certificate, key_pem + made.pem)
        return True

    def watch(self, stop: threading.Event) -> None:
        """Look from time to time until stopped; raises CertificateReplaced, since TLS goes on with what it began."""
        while not stop.wait(LOOK_SECONDS):
            try:
                is_replaced = self.keep()
            except StoreError as trouble:
                _LOG.error("%s; looking again in a minute", trouble, extra={"action": "certificate"})
                continue
            if is_replaced:
                raise CertificateReplaced(
                    f"The certificate of {self._name} was revoked or ends soon. There is another now, with which this"
                    " program comes to the broker when it is started again"
                )

    def _note(self, session: Session, issued: Issued) -> None:
        note_issued(
            session, self._authority.journal, holder=Holder.WORKER, name=self._name, issued=issued, now=self._now()
        )

    def _present(self) -> Issued | None:
        """What lies in the file, if it is this worker's and good for long enough."""
        try:
            pem = self.files.certificate.read_bytes()
            certificate = x509.load_pem_x509_certificate(pem)
        except (FileNotFoundError, ValueError):
            return None
        names = [each.value for each in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        is_ours = self._authority.has_signed(certificate) and names == [self._name]
        if not is_ours or certificate.not_valid_after_utc - self._now() < LEAST_LEFT:
            return None
        return Issued(serial=f"{certificate.serial_number:040x}", expires=certificate.not_valid_after_utc, pem="")
