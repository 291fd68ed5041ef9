"""Where uplink's parts are built from the settings and put together. Imports nothing that could open a camera."""

import secrets
import threading
from importlib.metadata import version

from edge import clock
from edge.metrics.server import serving
from edge.metrics.uplink import uplink_registry
from edge.settings import BrokerSettings, Settings
from edge.uplink.bulletin import Identity
from edge.uplink.link import Address
from edge.uplink.service import Uplink, UplinkSettings

__all__ = ["run_uplink"]


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
    boot, room_bytes = clock.boot_id(), settings.exchange.room_mb * 2**20
    uplink = Uplink(
        UplinkSettings(
            folder=settings.exchange.folder,
            address=_address(settings.broker, client_id=settings.box.id),
            identity=identity,
            boot=boot,
            trust=settings.clock.trust,
            room_bytes=room_bytes,
        ),
        monotonic=clock.monotonic,
    )
    registry = uplink_registry(
        uplink.tally, folder=settings.exchange.folder, boot=boot, room_bytes=room_bytes, monotonic=clock.monotonic
    )
    with serving(registry, host=settings.metrics.host, port=settings.metrics.uplink_port):
        uplink.run(stop)


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
