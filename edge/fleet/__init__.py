"""Many made-up boxes on one machine, to see what a broker and a cloud can carry before there are real ones.

Each box is real but for its vision: a writer, an exchange and an uplink with a connection of its own. What its cameras
would see are days of the made-up shop. Read `traffic` for what is told, `simulation` for the boxes, `registration` for
how a cloud comes to know them.
"""

from edge.fleet.simulation import Fleet, FleetSettings, Standing
from edge.fleet.traffic import ShopTraffic

__all__ = ["Fleet", "FleetSettings", "ShopTraffic", "Standing"]
