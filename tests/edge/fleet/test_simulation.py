"""How a fleet stands, without a broker."""

from pathlib import Path

from edge.fleet.simulation import Fleet, FleetSettings
from edge.fleet.traffic import ShopTraffic
from edge.uplink.link import Address
from tests.support.ports import free_port


def test_what_waits_has_waited_since_it_was_told(tmp_path: Path) -> None:
    address = Address(host="127.0.0.1", port=free_port(), client_id="")
    settings = FleetSettings(boxes=2, address=address, traffic=ShopTraffic(cameras=1, days=1))
    with Fleet(settings, tmp_path) as fleet:
        first, second = fleet.standing(), fleet.standing()
    assert (first.connected, first.told, first.waiting) == (0, 2, 2)
    assert 0 < first.oldest_seconds < second.oldest_seconds
