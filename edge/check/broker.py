"""Whether the broker is there and lets this box in. Nothing is published."""

from ipaddress import ip_address

from edge.check.findings import Finding, fail, ok, warn
from edge.settings import BrokerSettings, Settings
from edge.uplink.assembly import address_of
from edge.uplink.link import LinkLost, MqttLink
from protocol import topics

__all__ = ["check_broker"]


def check_broker(settings: Settings) -> Finding:
    """The broker answers, accepts the login, and lets the box listen for its acks."""
    box, broker = settings.box, settings.broker
    # Under the box's own id the broker would throw a running uplink out.
    address = address_of(broker, client_id=f"{box.id}-check")
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


def _is_local(broker: BrokerSettings) -> bool:
    try:
        return ip_address(broker.host).is_loopback
    except ValueError:
        return broker.host == "localhost"
