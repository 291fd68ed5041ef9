"""What an operator types: whom it lets in, whom it refuses to, and what it says where there is nothing to work on."""

from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from sqlalchemy import Engine
from sqlmodel import Session

from cloud.devices.authority import Authority, make_key, open_authority
from cloud.devices.certificates import Holder, note_issued
from cloud.devices.following import note_asked
from cloud.store.engine import open_engine, reading, writing
from cloud.store.moments import utc_now
from cloud.store.schema import migrate
from cloud.store.tables import Box, DeviceCertificate, Venue
from footfall import main

VENUE = "corner-shop"


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOOTFALL_CLOUD_DATA_DIR", str(tmp_path))


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    made = open_engine(f"sqlite:///{tmp_path / 'footfall.sqlite'}")
    migrate(made)
    with writing(made) as connection, Session(connection) as session:
        session.add(Venue(venue=VENUE, name="Corner shop", timezone="UTC", kind="shop", created_ms=0))
        session.flush()
    return made


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return open_authority(tmp_path, now=utc_now())


def give(engine: Engine, authority: Authority, *, holder: Holder, name: str) -> str:
    """The serial of a certificate that was signed and noted."""
    key, _ = make_key()
    issued = authority.sign_client(key, name=name, now=utc_now(), days=1)
    with writing(engine) as connection, Session(connection) as session:
        note_issued(session, authority.journal, holder=holder, name=name, issued=issued, now=utc_now())
    return issued.serial


def is_void(engine: Engine, serial: str) -> bool:
    with reading(engine) as connection, Session(connection) as session:
        return session.get_one(DeviceCertificate, serial).revoked_ms is not None


@pytest.mark.parametrize("name", ["Box_A", "cloud.footfall-cloud", "box 1", "#", "x" * 64, ""])
@pytest.mark.parametrize("is_there", [False, True], ids=["new", "of an older version"])
def test_a_name_that_no_box_can_have_gets_no_code_and_no_row(
    engine: Engine, capsys: pytest.CaptureFixture[str], name: str, is_there: bool
) -> None:
    if is_there:
        with writing(engine) as connection, Session(connection) as session:
            session.add(Box(box=name))
            session.flush()
    assert main(["cloud", "box", "enrol-code", name, "--venue", VENUE]) == 1
    assert "1 to 63 lower-case letters, digits and hyphens" in capsys.readouterr().err
    with reading(engine) as connection, Session(connection) as session:
        assert (session.get(Box, name) is not None) == is_there


def test_shutting_out_a_box_that_bears_a_workers_name_leaves_the_worker_alone(
    engine: Engine, authority: Authority
) -> None:
    name = "cloud.footfall-cloud"
    worker = give(engine, authority, holder=Holder.WORKER, name=name)
    box = give(engine, authority, holder=Holder.BOX, name=name)
    with writing(engine) as connection, Session(connection) as session:
        session.add(Box(box=name))
        session.flush()
    assert main(["cloud", "box", "revoke", name]) == 0
    assert is_void(engine, box)
    assert not is_void(engine, worker)


def test_a_workers_certificate_can_be_made_void(
    engine: Engine, authority: Authority, capsys: pytest.CaptureFixture[str]
) -> None:
    serial = give(engine, authority, holder=Holder.WORKER, name="cloud.footfall-cloud")
    assert main(["cloud", "worker", "revoke", "footfall-clown"]) == 1
    assert "there are footfall-cloud" in capsys.readouterr().err
    assert main(["cloud", "worker", "revoke", "footfall-cloud"]) == 0
    assert "void now: 1" in capsys.readouterr().out
    assert is_void(engine, serial)


def test_what_a_restored_database_has_forgotten_is_made_void_all_the_same(
    engine: Engine, authority: Authority, tmp_path: Path
) -> None:
    forgotten = give(engine, authority, holder=Holder.BOX, name="box-1")
    (tmp_path / "footfall.sqlite").rename(tmp_path / "lost.sqlite")
    restored = open_engine(f"sqlite:///{tmp_path / 'footfall.sqlite'}")
    migrate(restored)
    with writing(restored) as connection, Session(connection) as session:
        session.add(Box(box="box-1"))
        session.flush()
    assert main(["cloud", "box", "revoke", "box-1"]) == 0
    assert is_void(restored, forgotten)


def test_a_journal_outlives_a_line_that_a_power_cut_spoilt_and_is_its_owners_alone(
    engine: Engine, authority: Authority, tmp_path: Path
) -> None:
    first = give(engine, authority, holder=Holder.BOX, name="box-1")
    path = tmp_path / "authority" / "issued.jsonl"
    with path.open("a") as file:
        file.write('\n{"serial": "12')
    second = give(engine, authority, holder=Holder.BOX, name="box-2")
    assert [entry.serial for entry in authority.journal] == [first, second]
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "words",
    [
        ("box", "enrol-code", "box-1"),
        ("box", "revoke", "box-1"),
        ("worker", "revoke", "footfall-cloud"),
        ("user", "list"),
        ("key", "add", "a-key"),
        ("jobs",),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("is_empty", [False, True], ids=["no file", "empty file"])
def test_a_command_that_needs_a_database_says_so_and_makes_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], is_empty: bool
) -> None:
    if is_empty:
        (tmp_path / "footfall.sqlite").touch()
    before = sorted(tmp_path.iterdir())
    assert main(["cloud", *words]) == 2
    said = capsys.readouterr().err
    assert f"there is no database at sqlite:///{tmp_path}/footfall.sqlite: name the settings" in said
    assert sorted(tmp_path.iterdir()) == before


def test_a_servers_certificate_is_signed_without_a_database(tmp_path: Path) -> None:
    path = tmp_path / "api.pem"
    words = ["--name", "cloud.example", "--name", "localhost", "--out", str(path)]
    assert main(["cloud", "ca", "server-certificate", *words]) == 0
    names = x509.load_pem_x509_certificate(path.read_bytes()).extensions
    alternatives = names.get_extension_for_class(x509.SubjectAlternativeName).value
    assert alternatives.get_values_for_type(x509.DNSName) == ["cloud.example", "localhost"]


@pytest.mark.parametrize("address", ["https://localhost:port", "localhost:8443", "https://", "ftp://cloud.example"])
def test_a_cloud_that_is_no_address_is_a_sentence(
    authority: Authority, tmp_path: Path, capsys: pytest.CaptureFixture[str], address: str
) -> None:
    (tmp_path / "authority.pem").write_text(authority.pem)
    assert main(["cloud", "broker", "follow", "--folder", str(tmp_path), "--cloud", address]) == 2
    assert f"--cloud: found {address}" in capsys.readouterr().err


def test_what_is_printed_beside_a_code_shows_it_in_no_list_of_processes(
    engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["cloud", "box", "enrol-code", "box-1"]) == 1
    assert "--venue VENUE registers one that is new" in capsys.readouterr().err
    assert main(["cloud", "box", "enrol-code", "box-1", "--venue", VENUE]) == 0
    said = capsys.readouterr().out
    assert "edge enrol --cloud https://CLOUD --code-file -\n" in said
    assert len([line for line in said.splitlines() if line.count("-") == 2 and " " not in line.strip()]) == 1


@pytest.mark.parametrize(("seconds", "is_warned"), [(None, True), (61, True), (30, False)])
def test_revoking_warns_where_nobody_tells_the_broker(
    engine: Engine, authority: Authority, capsys: pytest.CaptureFixture[str], seconds: int | None, is_warned: bool
) -> None:
    give(engine, authority, holder=Holder.BOX, name="box-1")
    with writing(engine) as connection, Session(connection) as session:
        session.add(Box(box="box-1"))
        session.flush()
    if seconds is not None:
        note_asked(engine, now=utc_now() - timedelta(seconds=seconds))
    assert main(["cloud", "box", "revoke", "box-1"]) == 0
    assert ("WARNING: no follower has asked" in capsys.readouterr().out) == is_warned
