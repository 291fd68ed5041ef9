"""The ingest's connection to the broker: paho in a thread of its own, with acks that cannot hit a wrong message.

paho acknowledges by message id alone, and the broker reuses ids after a reconnect; so each message carries the number
of its connection, and an ack for another connection is dropped. Knows MQTT, nothing of what messages mean.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Self

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from cloud.errors import SettingsError
from cloud.ingest.inbox import Message
from protocol.topics import ALL_UP

__all__ = ["BrokerAddress", "BrokerConnection", "MqttVersion"]

WINDOW = 1000
"""Messages in flight each way; the broker's own `max_inflight_messages` should be as high."""
MAX_QUEUED_ACKS = 10_000
SESSION_SECONDS = 7 * 86_400
KEEPALIVE_SECONDS = 30
RECONNECT_CAP_SECONDS = 30
_LOG = logging.getLogger(__name__)


class MqttVersion(StrEnum):
    """Which MQTT to speak: 3.1.1 works everywhere, 5 lets the client ask for a wide window."""

    V311 = "3.1.1"
    V5 = "5"


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerAddress:
    """Where the broker is and who we are there; with `ca_file` or `certificate_file` the connection is TLS."""

    host: str
    port: int
    username: str | None = None
    password: str | None = None
    tls: bool = False
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    version: MqttVersion = MqttVersion.V311

    def __str__(self) -> str:
        return f"{'mqtts' if self.tls else 'mqtt'}://{self.host}:{self.port}"


class BrokerConnection:
    """A lasting session under a fixed client id, whose messages wait for `ack`; give it to `with`."""

    def __init__(
        self,
        address: BrokerAddress,
        *,
        client_id: str,
        deliver: Callable[[Message], None],
        shared_group: str | None = None,
    ) -> None:
        self._address = address
        self._topic = f"$share/{shared_group}/{ALL_UP}" if shared_group else ALL_UP
        self._deliver = deliver
        self._lock = threading.Lock()
        self._connection = 0
        self._client = self._make_client(client_id)
        self._thread = threading.Thread(target=self._serve, name="ingest-mqtt", daemon=True)

    def __enter__(self) -> Self:
        self._connect()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._thread.join(timeout=10)

    @property
    def is_running(self) -> bool:
        """Whether the network's thread lives; it reconnects by itself for as long as it does."""
        return self._thread.is_alive()

    @property
    def connection(self) -> int:
        """The number of the present connection."""
        return self._connection

    def ack(self, message: Message) -> bool:
        """Acknowledge a message unless its connection has gone, which means that it comes again."""
        with self._lock:
            if message.connection != self._connection:
                return False
            return self._client.ack(message.mid, message.qos) == MQTTErrorCode.MQTT_ERR_SUCCESS

    def publish(self, topic: str, payload: str) -> bool:
        """Send with QoS 1; false when the message was not even queued, so that the box will ask again."""
        accepted = {MQTTErrorCode.MQTT_ERR_SUCCESS, MQTTErrorCode.MQTT_ERR_NO_CONN}  # the latter is queued by paho
        return self._client.publish(topic, payload, qos=1).rc in accepted

    def _make_client(self, client_id: str) -> mqtt.Client:
        v5 = self._address.version is MqttVersion.V5
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            clean_session=None if v5 else False,
            protocol=MQTTProtocolVersion.MQTTv5 if v5 else MQTTProtocolVersion.MQTTv311,
            manual_ack=True,
        )
        client.max_inflight_messages_set(WINDOW)
        client.max_queued_messages_set(MAX_QUEUED_ACKS)
        client.reconnect_delay_set(min_delay=1, max_delay=RECONNECT_CAP_SECONDS)
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_subscribe = self._on_subscribe
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        self._secure(client)
        return client

    def _secure(self, client: mqtt.Client) -> None:
        address = self._address
        if address.username is not None:
            client.username_pw_set(address.username, address.password)
        if address.tls:
            files = (address.ca_file, address.certificate_file, address.key_file)
            ca_file, certificate_file, key_file = (str(path) if path else None for path in files)
            try:
                client.tls_set(ca_certs=ca_file, certfile=certificate_file, keyfile=key_file)
            except OSError as error:
                raise SettingsError(f"The TLS files for broker {address} cannot be used: {error}") from error

    def _connect(self) -> None:
        address = self._address
        if address.version is MqttVersion.V311:
            self._client.connect_async(address.host, address.port, KEEPALIVE_SECONDS)
            return
        wishes = Properties(PacketTypes.CONNECT)
        wishes.SessionExpiryInterval = SESSION_SECONDS
        wishes.ReceiveMaximum = WINDOW
        self._client.connect_async(address.host, address.port, KEEPALIVE_SECONDS, clean_start=False, properties=wishes)

    def _serve(self) -> None:
        self._client.loop_forever(retry_first_connection=True)

    def _on_connect(
        self, client: mqtt.Client, _: object, _flags: mqtt.ConnectFlags, reason: ReasonCode, _p: Properties | None
    ) -> None:
        if reason.is_failure:
            _LOG.error("Broker %s refuses us: %s", self._address, reason, extra={"action": "connect"})
            return
        with self._lock:
            self._connection += 1
        client.subscribe(self._topic, qos=1)
        _LOG.info("Connected to broker %s", self._address, extra={"action": "connect"})

    def _on_connect_fail(self, _c: mqtt.Client, _: object) -> None:
        _LOG.error("Broker %s cannot be reached; trying again", self._address, extra={"action": "connect"})

    def _on_subscribe(
        self, _c: mqtt.Client, _: object, _mid: int, reasons: list[ReasonCode], _p: Properties | None
    ) -> None:
        if any(reason.is_failure for reason in reasons):
            _LOG.error("Broker %s refuses us %s", self._address, self._topic, extra={"action": "subscribe"})

    def _on_disconnect(
        self, _c: mqtt.Client, _: object, _flags: mqtt.DisconnectFlags, reason: ReasonCode, _p: Properties | None
    ) -> None:
        with self._lock:
            self._connection += 1
        if reason.is_failure:
            _LOG.warning("Lost broker %s: %s", self._address, reason, extra={"action": "disconnect"})

    def _on_message(self, _c: mqtt.Client, _: object, message: mqtt.MQTTMessage) -> None:
        self._deliver(
            Message(
                connection=self._connection,
                mid=message.mid,
                qos=message.qos,
                topic=message.topic,
                payload=bytes(message.payload),
                retained=message.retain,
            )
        )
