import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, Self

import pytest

from edge.uplink.link import Address, LinkLost, Message, MqttLink, Post
from tests.support.mosquitto import Mosquitto
from tests.support.ports import free_port

WILL = Post(topic="footfall/v1/shop/box-1/up/status", payload=b"dead", retain=True)
DOWN = "footfall/v1/shop/box-1/down/+"


def address_of(port: int, *, username: str | None = None, password: str | None = None) -> Address:
    return Address(host="127.0.0.1", port=port, client_id="box-1", username=username, password=password)


@contextmanager
def linked(address: Address) -> Iterator[MqttLink]:
    link = MqttLink(address, subscribe=DOWN, will=WILL)
    try:
        yield link
    finally:
        link.close()


def test_what_is_published_arrives_at_who_subscribed(mosquitto: Mosquitto) -> None:
    with linked(address_of(mosquitto.port)) as link:
        assert link.receive(0.0) is None
        assert link.publish(Post(topic="footfall/v1/shop/box-1/down/ack", payload=b"hello"))
        assert link.receive(10.0) == Message(topic="footfall/v1/shop/box-1/down/ack", payload=b"hello")


def test_a_message_over_the_limit_is_not_taken(mosquitto: Mosquitto) -> None:
    with linked(address_of(mosquitto.port)) as link:
        assert not link.publish(Post(topic="footfall/v1/shop/box-1/up/events", payload=b"x" * (64 * 1024 + 1)))


def test_a_broker_that_dies_ends_the_link(mosquitto: Mosquitto) -> None:
    with linked(address_of(mosquitto.port)) as link:
        mosquitto.kill()
        with pytest.raises(LinkLost, match=f"connection to broker 127.0.0.1:{mosquitto.port} ended"):
            link.receive(10.0)
        assert not link.publish(WILL)


def test_nobody_there_is_said_with_the_address() -> None:
    port = free_port()
    with pytest.raises(LinkLost, match=f"broker 127.0.0.1:{port} is not reachable: .*refused"):
        MqttLink(address_of(port), subscribe=DOWN, will=WILL)


def test_a_wrong_password_is_said_clearly(tmp_path: Path) -> None:
    passwords = tmp_path / "passwords"
    passwords.touch(mode=0o600)
    subprocess.run(["mosquitto_passwd", "-b", passwords, "box-1", "right"], check=True, capture_output=True)
    settings: dict[str, str | int] = {"password_file": str(passwords)}
    with _secured(settings) as broker:
        refused = f"broker 127.0.0.1:{broker.port} refused the connection: Not authorized"
        with pytest.raises(LinkLost, match=refused):
            MqttLink(address_of(broker.port, username="box-1", password="wrong"), subscribe=DOWN, will=WILL)
        with linked(address_of(broker.port, username="box-1", password="right")) as link:
            assert link.publish(WILL)


def test_a_password_is_not_shown_where_an_address_is() -> None:
    assert "secret" not in repr(address_of(1883, username="box-1", password="secret"))


@contextmanager
def _secured(settings: dict[str, str | int]) -> Iterator[Mosquitto]:
    broker = Mosquitto(settings=settings)
    configuration = broker._configuration
    broker._configuration = lambda: configuration().replace(  # type: ignore[method-assign]
        "allow_anonymous true", "allow_anonymous false"
    )
    with broker:
        yield broker


@pytest.mark.parametrize("ca_file", ["absent.pem", "there.pem"], ids=["absent", "no certificate"])
def test_a_tls_file_that_cannot_be_used_is_named(tmp_path: Path, ca_file: str) -> None:
    (tmp_path / "there.pem").write_text("no certificate at all")
    address = replace(address_of(1), ca_file=tmp_path / ca_file)
    with pytest.raises(LinkLost, match=f"TLS file cannot be used, one of {tmp_path}/{ca_file}"):
        MqttLink(address, subscribe=DOWN, will=WILL)


class OldBroker:
    """A broker that knows MQTT 3.1.1 only, and no more of it than one client needs."""

    def __init__(self, refusal: bytes) -> None:
        self.versions: list[int] = []
        self._refusal = refusal
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(timeout=10)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as stream:
                self._answer(connection, stream)

    def _answer(self, connection: socket.socket, stream: BinaryIO) -> None:
        while packet := _packet(stream):
            kind, body = packet
            if kind == 1:
                self.versions.append(body[6])
                if body[6] != 4:
                    connection.sendall(self._refusal)
                    return
                connection.sendall(b"\x20\x02\x00\x00")
            elif kind == 8:
                connection.sendall(b"\x90\x03" + body[:2] + b"\x01")
            elif kind == 3:  # whatever is published comes back, QoS 0, on the topic for answers
                length = int.from_bytes(body[:2])
                payload = body[2 + length + 2 :]
                connection.sendall(b"\x40\x02" + body[2 + length : 4 + length])
                topic = b"footfall/v1/shop/box-1/down/ack"
                rest = len(topic).to_bytes(2) + topic + payload
                connection.sendall(b"\x30" + bytes([len(rest)]) + rest)


def _packet(stream: BinaryIO) -> tuple[int, bytes] | None:
    head = stream.read(1)
    if not head:
        return None
    length, shift = 0, 0
    while True:
        (byte,) = stream.read(1)
        length |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return head[0] >> 4, stream.read(length)


@pytest.mark.parametrize(
    "refusal",
    [
        pytest.param(b"\x20\x02\x00\x01", id="answers as 3.1.1 does"),
        pytest.param(b"\x20\x03\x00\x84\x00", id="answers as 5 does"),
    ],
)
def test_a_broker_that_knows_only_3_1_1_is_spoken_to_in_3_1_1(refusal: bytes) -> None:
    with OldBroker(refusal) as broker, linked(address_of(broker.port)) as link:
        assert broker.versions == [5, 4]
        assert link.publish(Post(topic="footfall/v1/shop/box-1/up/events", payload=b"hello", expiry_seconds=60))
        assert link.receive(10.0) == Message(topic="footfall/v1/shop/box-1/down/ack", payload=b"hello")


def test_something_that_is_no_broker_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.uplink.link._CONNECT_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(LinkLost, match=f"broker 127.0.0.1:{port} did not answer within"):
            MqttLink(address_of(port), subscribe=DOWN, will=WILL)
