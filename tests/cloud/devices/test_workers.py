"""A worker's certificate is good, known and not void, or there is another."""

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from sqlalchemy import Engine, delete
from sqlmodel import Session

import cloud.devices.workers
from cloud.devices.authority import Authority, open_authority
from cloud.devices.certificates import workers
from cloud.devices.revocation import revoke_worker
from cloud.devices.workers import CertificateReplaced, Worker
from cloud.store.engine import reading, writing
from cloud.store.tables import DeviceCertificate
from cloud.store.upsert import table_of

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return open_authority(tmp_path, now=NOW)


@pytest.fixture
def worker(engine: Engine, authority: Authority, tmp_path: Path) -> Worker:
    return Worker(engine, authority, data_dir=tmp_path, client_id="main", now=lambda: NOW)


def serial(worker: Worker) -> int:
    return x509.load_pem_x509_certificate(worker.files.certificate.read_bytes()).serial_number


def known(engine: Engine) -> tuple[str, ...]:
    with reading(engine) as connection:
        return workers(connection, now=NOW)


def revoke(engine: Engine, authority: Authority) -> None:
    with writing(engine) as connection, Session(connection) as session:
        revoke_worker(session, authority.journal, client_id="main", now=NOW)


def test_one_is_made_at_first_and_kept(engine: Engine, worker: Worker) -> None:
    assert worker.keep()
    first = serial(worker)
    assert not worker.keep()
    assert (serial(worker), known(engine)) == (first, ("cloud.main",))


def test_one_that_was_revoked_makes_way_for_another(engine: Engine, authority: Authority, worker: Worker) -> None:
    worker.keep()
    first = serial(worker)
    revoke(engine, authority)
    assert known(engine) == ()
    assert worker.keep()
    assert serial(worker) != first
    assert known(engine) == ("cloud.main",)


@pytest.mark.parametrize("has_journal", [True, False], ids=["in the journal", "of before there was a journal"])
def test_one_that_a_restored_database_has_forgotten_is_noted_anew(
    engine: Engine, worker: Worker, tmp_path: Path, has_journal: bool
) -> None:
    worker.keep()
    first = serial(worker)
    with writing(engine) as connection:
        connection.execute(delete(table_of(DeviceCertificate)))
    if not has_journal:
        (tmp_path / "authority" / "issued.jsonl").unlink()
    assert known(engine) == ()
    assert not worker.keep()
    assert (serial(worker), known(engine)) == (first, ("cloud.main",))


@pytest.mark.parametrize("spoilt", ["another's", "nonsense", "ending"])
def test_what_is_no_good_certificate_of_this_worker_makes_way(
    engine: Engine, authority: Authority, worker: Worker, tmp_path: Path, spoilt: str
) -> None:
    at = NOW + timedelta(days=4 * 365) if spoilt == "ending" else NOW
    looking = Worker(engine, authority, data_dir=tmp_path, client_id="main", now=lambda: at)
    other = Worker(engine, authority, data_dir=tmp_path, client_id="other", now=lambda: NOW)
    worker.keep()
    other.keep()
    first = serial(worker)
    if spoilt != "ending":
        text = other.files.certificate.read_text() if spoilt == "another's" else "nonsense"
        worker.files.certificate.write_text(text)
    assert looking.keep()
    assert serial(looking) not in {first, serial(other)}


def test_a_worker_that_runs_ends_for_the_sake_of_another_certificate(
    engine: Engine, authority: Authority, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cloud.devices.workers, "LOOK_SECONDS", 0.0)
    worker.keep()
    revoke(engine, authority)
    with pytest.raises(CertificateReplaced, match=r"cloud\.main was revoked"):
        worker.watch(threading.Event())
    assert known(engine) == ("cloud.main",)
