"""A box and a real cloud over real TLS: whom it trusts at first contact, and how it stays known."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine
from sqlmodel import Session

from cloud.boxes import register_box
from cloud.devices.authority import Authority, open_authority
from cloud.devices.codes import make_code
from cloud.devices.revocation import revoke_box
from cloud.store.engine import open_engine, writing
from cloud.store.schema import migrate
from edge.enrolment.cloud import EnrolmentRefused, GivenAtFirst, ask_to_enrol
from edge.enrolment.identity import Enrolment, make_request, read_certificate, write_enrolment
from edge.enrolment.renewal import keep_renewed, renew
from protocol.enrolment import Code
from tests.support.served_cloud import served_cloud

BOX = "box-1"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = open_engine(f"sqlite:///{tmp_path / 'footfall.sqlite'}")
    migrate(made)
    register_box(made, box=BOX, venue=None, now=datetime.now(UTC))
    yield made
    made.dispose()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return open_authority(tmp_path, now=datetime.now(UTC))


def code_for(engine: Engine, authority: Authority) -> Code:
    with writing(engine) as connection, Session(connection) as session:
        now = datetime.now(UTC)
        return Code.parse(make_code(session, box=BOX, authority=authority.fingerprint, now=now).code)


def keep(folder: Path, cloud: str, given: GivenAtFirst, key_pem: str) -> None:
    told = {"cloud": cloud, "box": given.box, "venue": given.venue, "host": given.broker.host}
    enrolment = Enrolment.model_validate({**told, "port": given.broker.port, "key": given.key})
    write_enrolment(folder, enrolment, key_pem=key_pem, certificate=given.certificate, authority=given.authority)


def test_a_cloud_that_the_codes_authority_vouches_for_is_trusted(
    tmp_path: Path, engine: Engine, authority: Authority
) -> None:
    with served_cloud(engine, tmp_path, signed_by=authority) as cloud:
        given = ask_to_enrol(cloud, code=code_for(engine, authority), request=make_request().pem)
    assert (given.box, given.authority) == (BOX, authority.pem)


def test_a_server_that_nobody_vouches_for_does_not_get_the_code(
    tmp_path: Path, engine: Engine, authority: Authority
) -> None:
    """It passes the authority's certificate on, which is no secret, and stands between all the same."""
    stranger = open_authority(tmp_path / "stranger", now=datetime.now(UTC))
    code = code_for(engine, authority)
    with (
        served_cloud(engine, tmp_path, signed_by=stranger) as cloud,
        pytest.raises(EnrolmentRefused, match="certificate verify failed"),
    ):
        ask_to_enrol(cloud, code=code, request=make_request().pem)
    with served_cloud(engine, tmp_path, signed_by=authority) as cloud:
        assert ask_to_enrol(cloud, code=code, request=make_request().pem).box == BOX, "the code was not spent"


def test_a_cloud_with_another_authority_than_the_codes_does_not_get_the_code(
    tmp_path: Path, engine: Engine, authority: Authority
) -> None:
    code = Code.make(authority=open_authority(tmp_path / "other", now=datetime.now(UTC)).fingerprint)
    with (
        served_cloud(engine, tmp_path, signed_by=authority) as cloud,
        pytest.raises(EnrolmentRefused, match="is not the cloud that made this code, or somebody stands between"),
    ):
        ask_to_enrol(cloud, code=code, request=make_request().pem)


def test_a_wrong_code_is_told_with_what_to_do(tmp_path: Path, engine: Engine, authority: Authority) -> None:
    with (
        served_cloud(engine, tmp_path, signed_by=authority) as cloud,
        pytest.raises(EnrolmentRefused, match=r"does not know this code.*enrol-code BOX` makes another"),
    ):
        ask_to_enrol(cloud, code=Code.make(authority=authority.fingerprint), request=make_request().pem)


@pytest.mark.parametrize(
    "cloud", ["http://192.0.2.1", "cloud.example", "ftp://cloud.example", "https://", "https://[::1", "https://a:0", ""]
)
def test_a_code_goes_over_https_alone(cloud: str) -> None:
    with pytest.raises(EnrolmentRefused, match="needed is https://"):
        ask_to_enrol(cloud, code=Code.make(authority="A" * 26), request="")


def much_later(stop: threading.Event) -> Callable[[], datetime]:
    """A clock by which a certificate is due, and at which nobody looks twice."""

    def now() -> datetime:
        stop.set()
        return datetime.now(UTC) + timedelta(days=300)

    return now


def test_a_due_certificate_is_renewed_with_a_new_key_until_the_box_is_revoked(
    tmp_path: Path, engine: Engine, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    folder, request = tmp_path / "enrolment", make_request()
    stop = threading.Event()

    with served_cloud(engine, tmp_path, signed_by=authority) as cloud:
        given = ask_to_enrol(cloud, code=code_for(engine, authority), request=request.pem)
        keep(folder, cloud, given, request.key_pem)
        before = (folder / "box.pem").read_text()
        keep_renewed(folder, stop, now=much_later(stop))
        after = (folder / "box.pem").read_text()
        assert after != before
        assert request.key_pem not in after
        assert read_certificate(folder).box == BOX
        with writing(engine) as connection, Session(connection) as session:
            revoke_box(session, authority.journal, box=BOX, now=datetime.now(UTC))
        with pytest.raises(EnrolmentRefused, match="mistyped or revoked"):
            renew(folder)
        stop.clear()
        keep_renewed(folder, stop, now=much_later(stop))
    assert (folder / "box.pem").read_text() == after, "what fails leaves what is there"
    assert "The certificate was not renewed" in caplog.text
    assert given.key.get_secret_value() not in caplog.text


def test_a_box_that_asks_too_often_is_told_and_keeps_what_it_has(
    tmp_path: Path, engine: Engine, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    folder, request = tmp_path / "enrolment", make_request()
    looks: list[str] = []
    stop = threading.Event()

    with served_cloud(engine, tmp_path, signed_by=authority) as cloud:
        given = ask_to_enrol(cloud, code=code_for(engine, authority), request=request.pem)
        keep(folder, cloud, given, request.key_pem)
        for _ in range(7):
            stop.clear()
            keep_renewed(folder, stop, now=much_later(stop))
            looks.append((folder / "box.pem").read_text())
    assert len(set(looks)) == 5
    assert looks[4:] == looks[4:5] * 3
    said = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    refusal = f"{cloud} refuses: box box-1 was given 6 certificates within a day"
    assert said == [f"The certificate was not renewed: {refusal}"] * 2
