"""The client against real servers: plain and TLS, kind and unkind."""

import base64
import ipaddress
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cloud.alerts import webhook
from cloud.alerts.webhook import Webhook, WebhookFailed, WebhookMessage, signature
from tests.support.ports import free_port
from tests.support.webhook_receiver import KEY, WebhookReceiver

MESSAGE = WebhookMessage(
    id="01KAGAGGM0FX3N5V2C8R6T9W4Y", body=b'{"type":"alert.raised"}', at=datetime(2026, 11, 20, 12, tzinfo=UTC)
)
PUBLIC = "93.184.215.14"
Names = Callable[..., None]
ROOT = Path(__file__).parents[3]


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    with WebhookReceiver() as receiver:
        yield receiver


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    """Lets names lead to addresses, as a name server of other people would."""
    real = socket.getaddrinfo

    def lead(**addresses: list[str]) -> None:
        table = {name.replace("_", "."): found for name, found in addresses.items()}

        def getaddrinfo(host: str, port: int, *rest: int, **named: int) -> list[object]:
            found = [entry for address in table.get(host, [host]) for entry in real(address, port, *rest, **named)]
            return list(found)

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)

    return lead


def test_the_signature_is_that_of_the_specification() -> None:
    """The example that the libraries of Standard Webhooks are tested with."""
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    made = signature(key, id="msg_p5jXN8AQM9LWM0D4loKWxJek", timestamp=1614265330, body=b'{"test": 2432232314}')
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_message_arrives_signed_and_whole(receiver: WebhookReceiver) -> None:
    Webhook(url=receiver.url, key=KEY, allow_private=True).send(MESSAGE)
    (request,) = receiver.received
    assert request.path == "/hook?token=hunter2"
    assert request.body == MESSAGE.body
    assert request.is_signed
    assert request.headers["webhook-id"] == MESSAGE.id
    assert request.headers["webhook-timestamp"] == str(int(MESSAGE.at.timestamp()))
    assert request.headers["content-type"] == "application/json"
    assert request.headers["host"] == f"127.0.0.1:{receiver.port}"


@pytest.mark.parametrize(
    ("status", "says"),
    [
        pytest.param(500, "it answered 500", id="a failure"),
        pytest.param(404, "it answered 404", id="nothing there"),
        pytest.param(302, "it answered 302, and redirects are not followed", id="a redirect"),
        pytest.param(307, "it answered 307, and redirects are not followed", id="a redirect that keeps the method"),
    ],
)
def test_only_a_success_counts_as_taken(receiver: WebhookReceiver, status: int, says: str) -> None:
    receiver.behaviour.status = status
    with pytest.raises(WebhookFailed) as caught:
        Webhook(url=receiver.url, key=KEY, allow_private=True).send(MESSAGE)
    assert str(caught.value) == says
    assert len(receiver.received) == 1


def test_a_server_that_never_answers_costs_a_bounded_time(
    receiver: WebhookReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook, "TIMEOUT_SECONDS", 0.3)
    receiver.behaviour.silent = True
    began = time.monotonic()
    with pytest.raises(WebhookFailed):
        Webhook(url=receiver.url, key=KEY, allow_private=True).send(MESSAGE)
    assert time.monotonic() - began < 5


def test_a_name_server_that_never_answers_costs_a_bounded_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "TIMEOUT_SECONDS", 0.3)
    answered = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answered.wait(20) and [])
    began = time.monotonic()
    with pytest.raises(WebhookFailed, match=r"did not answer within 0\.3 seconds"):
        Webhook(url="https://hook.example/", key=KEY).send(MESSAGE)
    assert time.monotonic() - began < 5
    answered.set()


HANGING = """
import socket, time
from datetime import UTC, datetime
from cloud.alerts import webhook
webhook.TIMEOUT_SECONDS = 0.3
socket.getaddrinfo = lambda *_, **__: time.sleep(600)
try:
    message = webhook.WebhookMessage(id="1", body=b"{}", at=datetime.now(UTC))
    webhook.Webhook(url="https://hook.example/", key=b"key").send(message)
except webhook.WebhookFailed as failure:
    print(failure)
"""


def test_a_name_server_that_never_answers_does_not_hold_up_the_end_of_the_process() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", HANGING], capture_output=True, text=True, check=True, timeout=60, cwd=ROOT
    )
    assert (ended.stdout, ended.stderr) == ("it did not answer within 0.3 seconds\n", "")


def test_a_server_that_is_not_there_is_said_without_its_address() -> None:
    with pytest.raises(WebhookFailed) as caught:
        Webhook(url=f"http://127.0.0.1:{free_port()}/secret", key=KEY, allow_private=True).send(MESSAGE)
    assert str(caught.value) == "it cannot be reached: Connection refused"


def test_a_name_that_does_not_exist_is_said_without_it() -> None:
    with pytest.raises(WebhookFailed) as caught:
        Webhook(url="http://nowhere.invalid/secret", key=KEY).send(MESSAGE)
    assert str(caught.value) == "its name cannot be resolved"


INWARD = [
    "127.0.0.1", "127.8.9.10", "0.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
    "224.0.0.1", "255.255.255.255", "198.18.0.1", "::1", "::", "fe80::1", "fc00::1", "fd12::1", "ff02::1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::a00:1", "2002:7f00:1::1",
    "2001:0:7f00:1::1", "2001:db8::1", "fec0::1", "::127.0.0.1", "::ffff:0:127.0.0.1", "5f00::1", "192.88.99.1",
    "4000::1", "2002:c058:6301::1",
]  # fmt: skip


@pytest.mark.parametrize("address", INWARD)
def test_no_name_leads_inwards(names: Names, receiver: WebhookReceiver, address: str) -> None:
    names(hook_example=[address])
    with pytest.raises(WebhookFailed) as caught:
        Webhook(url=f"http://hook.example:{receiver.port}/", key=KEY).send(MESSAGE)
    assert str(caught.value) == "its name leads to an address that is not public"
    assert receiver.received == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "2130706433", "0x7f.1", "127.1"])
def test_no_spelling_leads_inwards(receiver: WebhookReceiver, host: str) -> None:
    with pytest.raises(WebhookFailed, match="not public"):
        Webhook(url=f"http://{host}:{receiver.port}/", key=KEY).send(MESSAGE)
    assert receiver.received == []


def test_one_inward_address_among_public_ones_is_enough_to_refuse(names: Names) -> None:
    names(hook_example=[PUBLIC, "10.0.0.1"])
    with pytest.raises(WebhookFailed, match="not public"):
        Webhook(url="http://hook.example/", key=KEY).send(MESSAGE)


@pytest.mark.parametrize("address", [PUBLIC, "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "8.8.8.8"])
def test_public_addresses_are_allowed(address: str) -> None:
    assert webhook._is_public(ipaddress.ip_address(address))


def test_a_name_is_resolved_once_and_the_connection_goes_there(
    names: Names, receiver: WebhookReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    names(hook_example=["127.0.0.1"])
    asked: list[str] = []
    leading = socket.getaddrinfo

    def noted(host: str, port: int, *rest: int, **named: int) -> object:
        asked.append(host)
        return leading(host, port, *rest, **named)

    monkeypatch.setattr(socket, "getaddrinfo", noted)
    Webhook(url=f"http://hook.example:{receiver.port}/", key=KEY, allow_private=True).send(MESSAGE)
    assert [host for host in asked if host == "hook.example"] == ["hook.example"]
    assert receiver.received[0].headers["host"] == f"hook.example:{receiver.port}"


def test_proxies_of_the_environment_are_not_asked(receiver: WebhookReceiver, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    Webhook(url=receiver.url, key=KEY, allow_private=True).send(MESSAGE)
    assert len(receiver.received) == 1


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for hook.example with its key, in one file, that vouches for itself."""
    folder = tmp_path_factory.mktemp("tls")
    key, path = folder / "key.pem", folder / "certificate.pem"
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-keyout", key, "-out", path, "-days", "2", "-subj", "/CN=hook.example",
            "-addext", "subjectAltName=DNS:hook.example",
        ],
        check=True,
        capture_output=True,
    )  # fmt: skip
    path.write_text(path.read_text() + key.read_text())
    return path


@pytest.fixture
def secure_receiver(certificate: Path) -> Iterator[WebhookReceiver]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with WebhookReceiver(tls=context) as receiver:
        yield receiver


def test_over_tls_the_certificate_is_checked_against_the_name(
    names: Names, secure_receiver: WebhookReceiver, certificate: Path
) -> None:
    names(hook_example=["127.0.0.1"], other_example=["127.0.0.1"])

    def send(host: str, ca_file: Path | None) -> None:
        url = f"https://{host}:{secure_receiver.port}/"
        Webhook(url=url, key=KEY, allow_private=True, ca_file=ca_file).send(MESSAGE)

    send("hook.example", certificate)
    assert len(secure_receiver.received) == 1
    for host, ca_file in (("other.example", certificate), ("hook.example", None)):
        with pytest.raises(WebhookFailed, match="its certificate is not trusted, or not for its name"):
            send(host, ca_file)
    assert len(secure_receiver.received) == 1


def test_a_webhook_shows_neither_address_nor_key() -> None:
    shown = repr(Webhook(url="https://hook.example/hunter2", key=b"hunter2"))
    assert "hunter2" not in shown
