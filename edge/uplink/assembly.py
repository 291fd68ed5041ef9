"""Where uplink's parts are built from the settings and put together. Imports nothing that could open a camera."""

import secrets
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from edge import clock
from edge.enrolment.identity import broker_of
from edge.enrolment.renewal import keep_renewed
from edge.exchange.outbox import Outbox
from edge.metrics.server import serving
from edge.metrics.uplink import uplink_registry
from edge.notify import Notifier
from edge.settings import BrokerSettings, Settings
from edge.side import Side
from edge.uplink.bulletin import Identity
from edge.uplink.link import Address
from edge.uplink.service import Uplink, UplinkSettings

__all__ = ["address_of", "drain", "run_uplink"]

_LOOK_SECONDS = 0.2


def run_uplink(settings: Settings, stop: threading.Event, *, environment: Mapping[str, str]) -> None:
    """Deliver, until stopped."""
    settings.exchange.folder.mkdir(parents=True, exist_ok=True)
    broker = broker_of(settings)
    identity = Identity(
        box=settings.box.id,
        venue=settings.box.venue,
        version=version("footfall"),
        mode=settings.box.mode,
        session=secrets.token_hex(8),
    )
    boot, room_bytes = clock.boot_id(), settings.exchange.room_mb * 2**20
    uplink = Uplink(
        UplinkSettings(
            folder=settings.exchange.folder,
            address=address_of(broker, client_id=settings.box.id),
            identity=identity,
            boot=boot,
            trust=settings.clock.trust,
            room_bytes=room_bytes,
        ),
        monotonic=clock.monotonic,
        notifier=Notifier(environment, monotonic=clock.monotonic),
    )
    registry = uplink_registry(
        uplink.tally, folder=settings.exchange.folder, boot=boot, room_bytes=room_bytes, monotonic=clock.monotonic
    )
    with (
        serving(registry, host=settings.metrics.host, port=settings.metrics.uplink_port),
        _renewing(settings.enrolment.folder, stop) if broker is not settings.broker else nullcontext(),
    ):
        uplink.run(stop)


@contextmanager
def _renewing(folder: Path, stop: threading.Event) -> Iterator[None]:
    """Keep the certificate of an enrolled box good meanwhile."""
    renewal = Side(lambda: keep_renewed(folder, stop, now=lambda: datetime.now(UTC)), stop)
    renewal.start()
    try:
        yield
    finally:
        stop.set()
        renewal.finish()


def drain(settings: Settings, stop: threading.Event, *, limit_seconds: float) -> None:
    """Wait until the cloud has acknowledged all that waits, for so long at most, or until stopped."""
    deadline = clock.monotonic() + limit_seconds
    with closing(Outbox(settings.exchange.folder, boot=clock.boot_id())) as outbox:
        while outbox.standing().waiting and clock.monotonic() < deadline:
            if stop.wait(_LOOK_SECONDS):
                return


def address_of(broker: BrokerSettings, *, client_id: str) -> Address:
    """Where this broker is, and how this client gets in."""
    return Address(
        host=broker.host,
        port=broker.port,
        client_id=client_id,
        version=broker.mqtt_version,
        username=broker.username,
        password=None if broker.password is None else broker.password.get_secret_value(),
        ca_file=broker.ca_file,
        certificate_file=broker.certificate_file,
        key_file=broker.key_file,
    )
