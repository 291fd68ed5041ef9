"""A real mosquitto as `footfall cloud broker setup` leaves it on Debian: TLS, certificates, the follower's files."""

import os
import pwd
import queue
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion

from cloud.devices.access import BrokerAccess
from cloud.devices.authority import Authority, Issued, RevokedSerial, make_key, open_authority
from cloud.devices.certificates import Revocation
from cloud.devices.commands import write_setup
from cloud.devices.follower import claim, write_access
from cloud.devices.mosquitto import DOOR
from tests.support.debian import mosquitto_program
from tests.support.ports import free_port, is_listening

__all__ = ["CertifiedBroker", "Client", "Credentials"]

USER = "mosquitto"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """A certificate with its key, in one file, and whom its holder trusts."""

    file: Path
    authority: Path
    issued: Issued


@dataclass(kw_only=True, slots=True)
class Access:
    """What the follower has been told."""

    workers: tuple[str, ...] = ()
    blocked: tuple[str, ...] = ()
    revoked: list[tuple[str, str]] = field(default_factory=list)


class CertifiedBroker:
    """A broker on 127.0.0.1 with an authority of its own. As root it runs as Debian's user."""

    def __init__(self, *, workers: tuple[str, ...] = ("cloud.main",)) -> None:
        self.port = free_port()
        self.base = Path(tempfile.mkdtemp(prefix="footfall-broker-"))
        self.folder = self.base / "broker"
        self.pid_file = self.base / "run" / "mosquitto.pid"
        self.authority: Authority = open_authority(self.base / "cloud", now=datetime.now(UTC))
        self.access = Access(workers=workers)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self._lay_down()
            self.start()
        except BaseException:  # whatever went wrong, the folder must not stay behind
            self.kill()
            shutil.rmtree(self.base)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        shutil.rmtree(self.base)

    @property
    def log(self) -> str:
        """All that the broker has said."""
        return (self.base / "log").read_text(errors="replace")

    def start(self) -> None:
        """Start it and wait until it accepts connections."""
        program = mosquitto_program()
        assert program is not None
        with (self.base / "log").open("ab") as log:
            command: list[str | Path] = [program, "-c", self.base / "mosquitto.conf"]
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + 20
        while not (is_listening(self.port) and claim(self.folder / DOOR, "test")):
            assert self._process.poll() is None, self.log
            assert time.monotonic() < deadline, self.log
            time.sleep(0.02)

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=10)
            self._process = None

    def tell(self) -> BrokerAccess:
        """What the cloud says now, for the follower."""
        revoked = self.access.revoked
        now = datetime.now(UTC)
        at = now - timedelta(days=1) + timedelta(seconds=len(revoked))
        serials = [RevokedSerial(serial=serial, since=now) for _, serial in revoked]
        return BrokerAccess(
            revocation_list=self.authority.list_revoked(serials, at=at),
            workers=self.access.workers,
            blocked=self.access.blocked,
            revoked=tuple(Revocation(user=user, serial=serial) for user, serial in revoked),
        )

    def credentials(self, name: str, *, authority: Authority | None = None, ended: bool = False) -> Credentials:
        """A client's certificate in this name; of another authority, or one whose time is over, where asked for."""
        now = datetime.now(UTC) - timedelta(days=2 if ended else 0)
        key, key_pem = make_key()
        issued = (authority or self.authority).sign_client(key, name=name, now=now, days=1)
        path = self.base / f"{issued.serial}.pem"
        path.write_text(key_pem + issued.pem)
        return Credentials(file=path, authority=self.folder / "authority.pem", issued=issued)

    def _lay_down(self) -> None:
        self.base.chmod(0o755)
        for folder in (self.folder, self.pid_file.parent):
            folder.mkdir()
            if os.geteuid() == 0:
                owner = pwd.getpwnam(USER)
                os.chown(folder, owner.pw_uid, owner.pw_gid)
        write_setup(self.folder, self.authority, names=["127.0.0.1"], port=self.port, now=datetime.now(UTC))
        write_access(self.folder, self.tell())
        lines = ["log_dest stderr", "log_type all", f"pid_file {self.pid_file}", "persistence true"]
        lines += [f"persistence_location {self.pid_file.parent}/", f"include_dir {self.base / 'conf.d'}"]
        if os.geteuid() != 0:
            lines.append(f"user {pwd.getpwuid(os.geteuid()).pw_name}")
        (self.base / "conf.d").mkdir()
        (self.base / "conf.d" / "footfall.conf").symlink_to(self.folder / "footfall.conf")
        (self.base / "mosquitto.conf").write_text("\n".join(lines) + "\n")


class Client:
    """A client that hides nothing of what the broker answers. `arrived` holds (topic, payload)."""

    def __init__(
        self,
        broker: CertifiedBroker,
        credentials: Credentials | None,
        *,
        client_id: str = "any",
        version: MQTTProtocolVersion = MQTTProtocolVersion.MQTTv5,
        keeps_session: bool = False,
        will: str | None = None,
    ) -> None:
        self.arrived: queue.SimpleQueue[tuple[str, bytes]] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._ended: queue.SimpleQueue[str] = queue.SimpleQueue()
        is_new = version is MQTTProtocolVersion.MQTTv5
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            protocol=version,
            clean_session=None if is_new else not keeps_session,
            reconnect_on_failure=False,
        )
        context = ssl.create_default_context(cafile=broker.folder / "authority.pem")
        if credentials is not None:
            context.load_cert_chain(credentials.file)
        self._client.tls_set_context(context)
        if will is not None:
            self._client.will_set(will, b"will", qos=1, retain=True)
        self._client.on_connect = lambda *given: self._answers.put(str(given[3]))
        self._client.on_publish = lambda *given: self._answers.put(str(given[3]))
        self._client.on_subscribe = lambda *given: self._answers.put(str(given[3][0]))
        self._client.on_disconnect = lambda *given: self._ended.put(str(given[3]))
        self._client.on_message = lambda _c, _u, message: self.arrived.put((message.topic, bytes(message.payload)))
        self._broker, self._is_clean = broker, not keeps_session

    def __enter__(self) -> Self:
        answer = self.connect()
        assert answer == "Success", answer
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def connect(self) -> str:
        """Connect; the broker's answer, `lost` where it closes without one, or what TLS says."""
        try:
            self._client.connect("127.0.0.1", self._broker.port, keepalive=30)
        except ssl.SSLError as error:
            return str(error.reason)
        self._client.loop_start()
        deadline = time.monotonic() + 20
        while self._answers.empty() and self._ended.empty() and time.monotonic() < deadline:
            time.sleep(0.01)
        return "lost" if self._answers.empty() else self._answers.get()

    def send(self, topic: str, payload: bytes) -> None:
        """Publish with QoS 1, and wait for no answer."""
        self._client.publish(topic, payload, qos=1)

    def publish(self, topic: str, payload: bytes = b"x", *, retain: bool = False) -> str:
        """Publish with QoS 1; the broker's answer, which in MQTT 3.1.1 is always a success."""
        sent = self._client.publish(topic, payload, qos=1, retain=retain)
        assert sent.rc is MQTTErrorCode.MQTT_ERR_SUCCESS
        return self._answers.get(timeout=20)

    def subscribe(self, pattern: str) -> str:
        """Subscribe; the broker's answer."""
        self._client.subscribe(pattern, qos=1)
        return self._answers.get(timeout=20)

    def take(self, seconds: float = 20.0) -> tuple[str, bytes]:
        """The next message; raises queue.Empty where none comes."""
        return self.arrived.get(timeout=seconds)

    def take_until(self, topic: str) -> list[str]:
        """The topics of all that arrives up to a message that must arrive."""
        found = []
        while (got := self.take()[0]) != topic:
            found.append(got)
        return found

    def cut(self) -> None:
        """Break the connection without a farewell."""
        found = self._client.socket()
        assert isinstance(found, socket.socket)
        found.shutdown(socket.SHUT_RDWR)
        self._ended.get(timeout=20)
        self._client.loop_stop()

    def wait_for_end(self, seconds: float) -> str:
        """Wait until the broker ends the connection."""
        return self._ended.get(timeout=seconds)
