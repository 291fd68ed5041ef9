"""One connection to the broker, as uplink needs it: publish, and wait for what arrives.

A link lives as long as its connection; the next one is a new client, so that nothing paho kept in memory for the old
one is sent behind uplink's back. A publish that paho did not take returns False and counts as not sent.
"""

import queue
import ssl
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge.errors import EdgeError
from protocol.wire import MAX_MESSAGE_BYTES

__all__ = ["Address", "Link", "LinkLost", "Message", "MqttLink", "Post", "clock_hint"]

_KEEPALIVE_SECONDS = 30
_CONNECT_SECONDS = 20.0
_INFLIGHT = 200
_UNSUPPORTED_VERSION = 132
_REFUSED = (
    "; before it answered, so it may refuse this box's certificate, as one that was revoked or whose time is over:"
    " `footfall edge check` says more"
)
"""In TLS 1.3 the refusal comes after the handshake, and paho calls it an unspecified error."""
_NOT_YET_VALID = 9
"""X509_V_ERR_CERT_NOT_YET_VALID"""


class LinkLost(EdgeError):
    """The connection to the broker ended or never came about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """Something to publish. `expiry_seconds` is mirrored to MQTT 5 for what may be lost."""

    topic: str
    payload: bytes
    qos: int = 1
    retain: bool = False
    expiry_seconds: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """Something that arrived."""

    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where the broker is, and how to get in. `version` "auto" tries MQTT 5 first."""

    host: str
    port: int
    client_id: str
    version: Literal["auto", "5", "3.1.1"] = "auto"
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def clock_hint(error: Exception) -> str:
    """What to look at where a certificate is said to begin in the future."""
    if isinstance(error, ssl.SSLCertVerificationError) and error.verify_code == _NOT_YET_VALID:
        return "; is this box's clock right? `timedatectl` shows it"
    return ""


class Link(Protocol):
    """An open connection."""

    def publish(self, post: Post) -> bool:
        """Hand a message to the connection; False when it was not taken."""
        ...

    def receive(self, timeout: float) -> Message | None:
        """The next message within `timeout` seconds; raises LinkLost when the connection has ended."""
        ...

    def close(self) -> None:
        """Say good-bye."""
        ...


class MqttLink:
    """A link over paho: MQTT 5, or 3.1.1 where the broker knows no better."""

    def __init__(self, address: Address, *, subscribe: str, will: Post | None) -> None:
        """Connect and subscribe; the broker publishes `will` should the link break. Raises LinkLost with its reason."""
        self._address = address
        oldest = address.version == "3.1.1"
        try:
            version = MQTTProtocolVersion.MQTTv311 if oldest else MQTTProtocolVersion.MQTTv5
            self._client = self._connected(version, subscribe, will)
        except _VersionRefused:
            if address.version != "auto":
                raise
            self._client = self._connected(MQTTProtocolVersion.MQTTv311, subscribe, will)

    def publish(self, post: Post) -> bool:
        """Hand a message to paho; False when paho did not take it."""
        if len(post.payload) > MAX_MESSAGE_BYTES:
            return False
        properties = self._properties(post.expiry_seconds)
        sent = self._client.publish(post.topic, post.payload, qos=post.qos, retain=post.retain, properties=properties)
        return sent.rc is MQTTErrorCode.MQTT_ERR_SUCCESS

    def receive(self, timeout: float) -> Message | None:
        """The next message within `timeout` seconds; raises LinkLost when the connection has ended."""
        try:
            arrived = self._arrived.get(timeout=timeout)
        except queue.Empty:
            return None
        if isinstance(arrived, LinkLost):
            raise arrived
        return arrived

    def close(self) -> None:
        """Disconnect and end the network thread."""
        self._client.disconnect()
        self._client.loop_stop()

    def _connected(self, version: MQTTProtocolVersion, subscribe: str, will: Post | None) -> mqtt.Client:
        # A queue of its own, so that the end of a refused attempt is not taken for the end of the next.
        arrived: queue.SimpleQueue[Message | LinkLost] = queue.SimpleQueue()
        self._arrived = arrived
        client = self._client_for(version)
        if will is not None:
            client.will_set(will.topic, will.payload, qos=will.qos, retain=will.retain)
        opened: queue.SimpleQueue[LinkLost | None] = queue.SimpleQueue()
        is_welcome = threading.Event()

        def on_connect(
            _: mqtt.Client, __: object, ___: mqtt.ConnectFlags, reason: ReasonCode, ____: Properties | None
        ) -> None:
            if reason.is_failure:
                kind = _VersionRefused if reason.value == _UNSUPPORTED_VERSION else LinkLost
                opened.put(kind(f"broker {self._address} refused the connection: {reason}"))
            else:
                is_welcome.set()
                client.subscribe(subscribe, qos=1)

        def on_subscribe(
            _: mqtt.Client, __: object, ___: int, reasons: list[ReasonCode], ____: Properties | None
        ) -> None:
            failed = [reason for reason in reasons if reason.is_failure]
            opened.put(LinkLost(f"broker {self._address} refused {subscribe}: {failed[0]}") if failed else None)

        def on_disconnect(
            _: mqtt.Client, __: object, ___: mqtt.DisconnectFlags, reason: ReasonCode, ____: Properties | None
        ) -> None:
            hint = "" if is_welcome.is_set() or self._address.certificate_file is None else _REFUSED
            lost = LinkLost(f"connection to broker {self._address} ended: {reason}{hint}")
            opened.put(lost)
            arrived.put(lost)

        client.on_connect, client.on_subscribe, client.on_disconnect = on_connect, on_subscribe, on_disconnect
        client.on_message = lambda _, __, message: arrived.put(
            Message(topic=message.topic, payload=bytes(message.payload))
        )
        try:
            client.connect(self._address.host, self._address.port, keepalive=_KEEPALIVE_SECONDS)
            client.loop_start()
            problem = opened.get(timeout=_CONNECT_SECONDS)
        except (OSError, ValueError) as error:
            msg = f"broker {self._address} is not reachable: {error}{clock_hint(error)}"
            raise LinkLost(msg) from error
        except queue.Empty as error:
            problem = LinkLost(f"broker {self._address} did not answer within {_CONNECT_SECONDS:.0f} s")
            problem.__cause__ = error
        if problem is not None:
            client.disconnect()
            client.loop_stop()
            raise problem
        return client

    def _client_for(self, version: MQTTProtocolVersion) -> mqtt.Client:
        address = self._address
        modern = version is MQTTProtocolVersion.MQTTv5
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=address.client_id,
            clean_session=None if modern else True,
            protocol=version,
            reconnect_on_failure=False,
        )
        client.max_inflight_messages_set(_INFLIGHT)
        if address.username is not None:
            client.username_pw_set(address.username, address.password)
        if address.ca_file is not None:
            files = (address.ca_file, address.certificate_file, address.key_file)
            ca_file, certificate_file, key_file = (None if file is None else str(file) for file in files)
            try:
                client.tls_set(ca_file, certificate_file, key_file, tls_version=ssl.PROTOCOL_TLS_CLIENT)
            except (OSError, ValueError) as error:
                named = ", ".join(file for file in (ca_file, certificate_file, key_file) if file)
                raise LinkLost(f"broker {address}: a TLS file cannot be used, one of {named}: {error}") from error
        return client

    def _properties(self, expiry_seconds: int | None) -> Properties | None:
        if self._client.protocol != MQTTProtocolVersion.MQTTv5:
            return None
        properties = Properties(PacketTypes.PUBLISH)
        properties.PayloadFormatIndicator = 1
        properties.ContentType = "application/json"
        properties.UserProperty = [("schema", "1")]
        if expiry_seconds is not None:
            properties.MessageExpiryInterval = expiry_seconds
        return properties


class _VersionRefused(LinkLost):
    """The broker does not speak this version of MQTT."""
