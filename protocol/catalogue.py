"""Every type of item by its name on the wire. A new type is one model and one line here."""

from protocol.events import (
    Attention,
    CameraCertificate,
    CameraHealth,
    Configuration,
    Crossing,
    Demographics,
    Flow,
    Item,
    Occupancy,
    Queue,
    Staff,
    Visit,
)
from protocol.tiles import Tile

__all__ = ["ITEM_TYPES"]

ITEM_TYPES: dict[str, type[Item]] = {
    "attention": Attention,
    "camera-certificate": CameraCertificate,
    "camera-health": CameraHealth,
    "configuration": Configuration,
    "crossing": Crossing,
    "demographics": Demographics,
    "flow": Flow,
    "occupancy": Occupancy,
    "queue": Queue,
    "staff": Staff,
    "tile": Tile,
    "visit": Visit,
}
