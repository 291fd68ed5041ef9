"""Against a real broker: let in, refused, not there; and a running uplink is not disturbed."""

import ssl
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cloud.devices.authority import open_authority
from edge.check.broker import check_broker
from edge.check.findings import Verdict
from edge.enrolment.identity import Enrolment, make_request, write_enrolment
from edge.settings import Settings
from edge.uplink.link import Address, MqttLink, Post, clock_hint
from tests.support.mosquitto import Mosquitto
from tests.support.ports import free_port

SECRET = "hunter2"


def settings(**broker: object) -> Settings:
    table = {
        "box": {"id": "box-1", "venue": "shop"},
        "broker": broker,
        "camera": [{"id": "floor", "synthetic": {}}],
    }
    return Settings.model_validate(table)


@pytest.fixture
def passwords(tmp_path: Path) -> Path:
    """A broker's file that knows box-1."""
    tmp_path.chmod(0o755)
    path = tmp_path / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", path, "box-1", SECRET], check=True)
    return path


def test_a_broker_that_lets_the_box_in_is_well(mosquitto: Mosquitto) -> None:
    found = check_broker(settings(host=mosquitto.host, port=mosquitto.port))
    assert found.verdict is Verdict.OK
    assert found.said == f"127.0.0.1:{mosquitto.port} lets this box in without a login, without TLS"


@pytest.mark.needs_mosquitto
def test_a_wrong_password_is_told_and_never_repeated(passwords: Path) -> None:
    with Mosquitto(settings={"password_file": str(passwords), "allow_anonymous": "false"}) as broker:
        right = check_broker(settings(port=broker.port, username="box-1", password=SECRET))
        wrong = check_broker(settings(port=broker.port, username="box-1", password=f"{SECRET}-wrong"))
    assert (right.verdict, right.said.partition(" ")[2]) == (Verdict.OK, "lets this box in as box-1, without TLS")
    assert wrong.verdict is Verdict.FAIL
    assert "Not authorized" in wrong.said
    assert SECRET not in str(wrong)


def test_no_broker_is_told() -> None:
    found = check_broker(settings(port=free_port()))
    assert found.verdict is Verdict.FAIL
    assert "Connection refused" in found.said


def test_a_ca_file_that_is_none_is_told(tmp_path: Path) -> None:
    ca_file = tmp_path / "ca.pem"
    ca_file.write_text("no certificate")
    found = check_broker(settings(port=free_port(), ca_file=str(ca_file)))
    assert found.verdict is Verdict.FAIL
    assert str(ca_file) in found.said


def test_a_running_uplink_keeps_its_connection_and_nothing_is_published(mosquitto: Mosquitto) -> None:
    address = Address(host=mosquitto.host, port=mosquitto.port, client_id="box-1")
    uplink = MqttLink(address, subscribe="#", will=Post(topic="footfall/will", payload=b"gone"))
    try:
        assert check_broker(settings(host=mosquitto.host, port=mosquitto.port)).verdict is Verdict.OK
        assert uplink.receive(0.5) is None, "neither a will nor a word of the check"
        assert uplink.publish(Post(topic="footfall/still-here", payload=b"yes"))
        arrived = uplink.receive(5.0)
        assert arrived is not None
        assert arrived.topic == "footfall/still-here"
    finally:
        uplink.close()


def test_an_enrolment_without_its_authority_is_a_finding_and_no_traceback(tmp_path: Path) -> None:
    authority = open_authority(tmp_path / "cloud", now=datetime.now(UTC))
    request = make_request()
    issued = authority.sign_request(request.pem, name="box-1", now=datetime.now(UTC), days=1)
    told = {"cloud": "https://cloud.example", "box": "box-1", "venue": "shop", "host": "127.0.0.1", "port": 9}
    enrolment = Enrolment.model_validate({**told, "key": SECRET})
    folder = tmp_path / "enrolment"
    write_enrolment(folder, enrolment, key_pem=request.key_pem, certificate=issued.pem, authority=authority.pem)
    (folder / "authority.pem").unlink()
    table = {"box": {"id": "box-1", "venue": "shop"}, "camera": [{"id": "floor", "synthetic": {}}]}
    found = check_broker(Settings.model_validate({**table, "enrolment": {"folder": str(folder)}}))
    assert found.verdict is Verdict.FAIL
    assert f"{folder}/authority.pem cannot be used" in found.said
    assert "enrol the box anew" in found.said


def test_a_certificate_that_begins_in_the_future_is_a_matter_of_the_clock() -> None:
    error = ssl.SSLCertVerificationError()
    error.verify_code = 9
    assert "is this box's clock right?" in clock_hint(error)
    assert clock_hint(OSError("else")) == ""
