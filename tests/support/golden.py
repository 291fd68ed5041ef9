"""The protocol's golden files, and the model that reads each."""

import json
from pathlib import Path

from protocol.catalogue import ITEM_TYPES
from protocol.documents import MESSAGES
from protocol.json_text import JsonObject
from protocol.wire import WireModel

__all__ = ["GOLDEN", "model_of", "names_in", "read_golden"]

GOLDEN = Path(__file__).resolve().parent.parent / "protocol" / "golden"


def read_golden(name: str, folder: str = "") -> JsonObject:
    """The JSON object of a golden file."""
    data: JsonObject = json.loads((GOLDEN / folder / f"{name}.json").read_text())
    return data


def names_in(folder: str = "", prefix: str = "") -> list[str]:
    """The names of a folder's golden files."""
    return sorted(path.stem for path in (GOLDEN / folder).glob(f"{prefix}*.json"))


def model_of(name: str, data: JsonObject) -> type[WireModel] | None:
    """The model of a golden file: by its type for an item of a type we know, else by the first word of its name."""
    if name.startswith("item-"):
        return ITEM_TYPES.get(str(data["type"]))
    found = MESSAGES.get(name.split("-", 1)[0])
    return found if found is None or issubclass(found, WireModel) else None
