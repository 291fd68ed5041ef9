"""Whether the broker is there and lets this box in. Nothing is published."""

from ipaddress import ip_address

from edge.check.findings import Finding, fail, ok, warn
from edge.check.handshake import shake_hands
from edge.enrolment.identity import broker_of
from edge.errors import ConfigurationError
from edge.settings import BrokerSettings, Settings
from edge.uplink.assembly import address_of
from edge.uplink.link import Address, LinkLost, MqttLink
from protocol import topics

__all__ = ["check_broker"]


def check_broker(settings: Settings) -> Finding:
    """The broker answers, accepts the login, and lets the box listen for its acks."""
    try:
        broker = broker_of(settings)
    except ConfigurationError as error:
        return warn("broker", f"it was not looked at: {error}", "run this check as root, or mend what it says")
    box = settings.box
    # Under the box's own id the broker would throw a running uplink out.
    address = address_of(broker, client_id=f"{box.id}-check")
    if broker.certificate_file is not None:
        return _check_certificate(address)
    try:
        MqttLink(address, subscribe=topics.subscription(venue=box.venue, box=box.id), will=None).close()
    except LinkLost as lost:
        return fail("broker", str(lost), "check [broker] in the configuration, the network, and the broker's own log")
    who = "without a login" if broker.username is None else f"as {broker.username}"
    said = f"{address} lets this box in {who}, {'with' if broker.ca_file else 'without'} TLS"
    if broker.ca_file is None and not _is_local(broker):
        advice = "set broker.ca_file, which switches TLS on: what a box sends is anonymous, its password is not"
        return warn("broker", said, advice)
    return ok("broker", said)


def _check_certificate(address: Address) -> Finding:
    """Only as far as the certificates: a broker that knows clients by them would throw a running uplink out."""
    advice = "check name, port and this box's clock; the broker's log says why it refuses; edge enrol begins anew"
    try:
        shake_hands(address)
    except LinkLost as lost:
        return fail("broker", str(lost), advice)
    return ok("broker", f"{address} and this box accept each other's certificate")


def _is_local(broker: BrokerSettings) -> bool:
    try:
        return ip_address(broker.host).is_loopback
    except ValueError:
        return broker.host == "localhost"
