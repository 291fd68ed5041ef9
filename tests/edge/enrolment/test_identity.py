"""The files by which a box is known, and what the configuration makes of them."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from cloud.devices.authority import Authority, open_authority
from edge.check.enrolment import check_enrolment
from edge.check.findings import Verdict
from edge.enrolment.identity import (
    Enrolment,
    broker_of,
    make_request,
    read_certificate,
    read_enrolment,
    write_enrolment,
)
from edge.enrolment.renewal import is_due
from edge.errors import ConfigurationError
from edge.settings import Settings

NOW = datetime.now(UTC)
SECRET = "box-1.a-device-key"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return open_authority(tmp_path / "cloud", now=NOW)


def enrol(folder: Path, authority: Authority, *, box: str = "box-1", name: str = "box-1", days: int = 365) -> None:
    """Lay the files down, with a certificate in this name that is good for so long."""
    request = make_request()
    issued = authority.sign_request(request.pem, name=name, now=NOW, days=days)
    told = {"cloud": "https://cloud.example", "box": box, "venue": "shop", "host": "mqtt.example", "port": 8884}
    enrolment = Enrolment.model_validate({**told, "key": SECRET})
    write_enrolment(folder, enrolment, key_pem=request.key_pem, certificate=issued.pem, authority=authority.pem)


def settings(folder: Path, *, venue: str = "shop", **broker: object) -> Settings:
    table = {
        "box": {"id": "box-1", "venue": venue},
        "broker": broker,
        "enrolment": {"folder": str(folder)},
        "camera": [{"id": "floor", "synthetic": {}}],
    }
    return Settings.model_validate(table)


def said(found: Settings, *, now: datetime = NOW) -> tuple[Verdict, str, str]:
    (one,) = check_enrolment(found, now=now)
    return one.verdict, one.said, one.advice


def test_an_enrolled_box_finds_its_broker_without_a_word_in_the_configuration(
    tmp_path: Path, authority: Authority
) -> None:
    folder = tmp_path / "enrolment"
    enrol(folder, authority)
    broker = broker_of(settings(folder))
    assert (broker.host, broker.port) == ("mqtt.example", 8884)
    assert (broker.ca_file, broker.key_file) == (folder / "authority.pem", folder / "box.pem")
    assert broker.certificate_file == broker.key_file


def test_a_broker_that_the_configuration_names_comes_first_and_the_check_says_so(
    tmp_path: Path, authority: Authority
) -> None:
    enrol(tmp_path / "enrolment", authority)
    named = settings(tmp_path / "enrolment", host="10.0.0.1")
    assert broker_of(named).host == "10.0.0.1"
    verdict, text, advice = said(named)
    assert (verdict, "names another way in" in text, "remove host" in advice) == (Verdict.WARN, True, True)


def test_a_box_that_never_enrolled_has_nothing_said_of_it(tmp_path: Path) -> None:
    bare = settings(tmp_path / "nothing")
    assert (broker_of(bare).host, list(check_enrolment(bare, now=NOW))) == ("127.0.0.1", [])


def test_the_files_are_their_owners_alone_and_no_draft_stays(tmp_path: Path, authority: Authority) -> None:
    enrol(tmp_path / "enrolment", authority)
    enrol(tmp_path / "enrolment", authority)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "enrolment").iterdir()}
    assert modes == dict.fromkeys(("authority.pem", "box.pem", "enrolment.json"), 0o600)
    assert (tmp_path / "enrolment").stat().st_mode & 0o077 == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, which alone can give files away")
def test_what_root_writes_belongs_to_whom_the_folder_belongs_to(tmp_path: Path, authority: Authority) -> None:
    folder = tmp_path / "enrolment"
    folder.mkdir(mode=0o700)
    os.chown(folder, 4711, 4712)
    enrol(folder, authority)
    assert {(path.stat().st_uid, path.stat().st_gid) for path in folder.iterdir()} == {(4711, 4712)}


def test_a_box_that_is_enrolled_as_another_is_told_so(tmp_path: Path, authority: Authority) -> None:
    enrol(tmp_path / "enrolment", authority, box="box-2", name="box-2")
    with pytest.raises(ConfigurationError, match=r"box\.id: found box-1; this box is enrolled as box-2"):
        broker_of(settings(tmp_path / "enrolment"))


@pytest.mark.parametrize(
    ("name", "days", "later", "venue", "verdict", "text"),
    [
        pytest.param("box-1", 365, 0, "shop", "ok", "good until", id="well"),
        pytest.param("box-1", 365, 250, "shop", "warn", "was not renewed yet", id="overdue"),
        pytest.param("box-1", 365, 366, "shop", "fail", "ended on", id="ended"),
        pytest.param("box-2", 365, 0, "shop", "fail", "is for box-2, not for box-1", id="another's"),
        pytest.param("box-1", 365, 0, "station", "warn", "the configuration in station", id="elsewhere"),
    ],
)
def test_the_check_says_what_is_wrong_with_the_certificate(
    tmp_path: Path, authority: Authority, name: str, days: int, later: int, venue: str, verdict: str, text: str
) -> None:
    enrol(tmp_path / "enrolment", authority, name=name, days=days)
    found = said(settings(tmp_path / "enrolment", venue=venue), now=NOW + timedelta(days=later))
    assert found[0] == verdict
    assert text in found[1]


def test_a_key_that_others_may_read_is_a_warning_with_what_to_do(tmp_path: Path, authority: Authority) -> None:
    enrol(tmp_path / "enrolment", authority)
    (tmp_path / "enrolment" / "box.pem").chmod(0o644)
    verdict, text, advice = said(settings(tmp_path / "enrolment"))
    assert (verdict, "others than their owner" in text, "chmod 600" in advice) == (Verdict.WARN, True, True)


def test_a_missing_or_spoilt_file_is_told(tmp_path: Path, authority: Authority) -> None:
    folder = tmp_path / "enrolment"
    enrol(folder, authority)
    (folder / "box.pem").write_text("spoilt")
    assert "this is no certificate; enrol the box anew" in said(settings(folder))[1]
    (folder / "box.pem").unlink()
    assert said(settings(folder))[1] == f"{folder}/box.pem: it is missing; enrol the box anew"
    (folder / "enrolment.json").write_text("{}")
    with pytest.raises(ConfigurationError, match="this is no enrolment"):
        read_enrolment(folder)


def test_no_text_of_an_enrolment_shows_its_secrets(tmp_path: Path, authority: Authority) -> None:
    enrol(tmp_path / "enrolment", authority)
    found = read_enrolment(tmp_path / "enrolment")
    assert found is not None
    assert found.key == SecretStr(SECRET)
    assert SECRET not in f"{found!r} {found} {found.model_dump()}"
    assert "PRIVATE" not in repr(make_request())


def test_a_certificate_is_due_when_a_third_of_its_time_is_left(tmp_path: Path, authority: Authority) -> None:
    enrol(tmp_path / "enrolment", authority, days=90)
    certificate = read_certificate(tmp_path / "enrolment")
    assert [is_due(certificate, now=NOW + timedelta(days=day)) for day in (0, 59, 61)] == [False, False, True]
