"""Where uplink's parts are built from the settings and put together. Imports nothing that could open a camera."""

import secrets
import threading
from contextlib import closing
from importlib.metadata import version

from edge import clock
from edge.exchange.outbox import Outbox
from edge.settings import BrokerSettings, Settings
from edge.uplink.bulletin import Identity
from edge.uplink.link import Address
from edge.uplink.service import Uplink, UplinkSettings

__all__ = ["drain", "run_uplink"]

_LOOK_SECONDS = 0.2


def run_uplink(settings: Settings, stop: threading.Event) -> None:
    """Deliver, until stopped."""
    settings.exchange.folder.mkdir(parents=True, exist_ok=True)
    identity = Identity(
        box=settings.box.id,
        venue=settings.box.venue,
        version=version("footfall"),
        mode=settings.box.mode,
        session=secrets.token_hex(8),
    )
    uplink = Uplink(
        UplinkSettings(
            folder=settings.exchange.folder,
            address=_address(settings.broker, client_id=settings.box.id),
            identity=identity,
            boot=clock.boot_id(),
            trust=settings.clock.trust,
            room_bytes=settings.exchange.room_mb * 2**20,
        ),
        monotonic=clock.monotonic,
    )
    uplink.run(stop)


def drain(settings: Settings, stop: threading.Event, *, limit_seconds: float) -> None:
    """Wait until the cloud has acknowledged all that waits, for so long at most, or until stopped."""
    deadline = clock.monotonic() + limit_seconds
    with closing(Outbox(settings.exchange.folder, boot=clock.boot_id())) as outbox:
        while outbox.standing().waiting and clock.monotonic() < deadline:
            if stop.wait(_LOOK_SECONDS):
                return


def _address(broker: BrokerSettings, *, client_id: str) -> Address:
    return Address(
        host=broker.host,
        port=broker.port,
        client_id=client_id,
        username=broker.username,
        password=None if broker.password is None else broker.password.get_secret_value(),
        ca_file=broker.ca_file,
        certificate_file=broker.certificate_file,
        key_file=broker.key_file,
    )
