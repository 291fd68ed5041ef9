import pytest
from pydantic import ValidationError

from protocol.json_text import JsonObject
from protocol.tiles import Tile
from tests.support.golden import read_golden

MISTAKES: dict[str, tuple[JsonObject, str]] = {
    "fewer values than cells": ({"cells": [1, 2], "values": [5]}, "1 values for 2 cells"),
    "cells descend": ({"cells": [2, 1], "values": [5, 5]}, "ascending"),
    "a cell twice": ({"cells": [2, 2], "values": [5, 5]}, "ascending"),
    "a cell beyond the tile": ({"cells": [1024], "values": [5]}, "below 1024 in layer presence"),
    "a direction beyond the tile": ({"layer": "flow", "cells": [8192], "values": [5]}, "cells"),
    "nothing": ({"cells": [], "values": []}, "cells"),
    "a zero": ({"cells": [1], "values": [0]}, "values"),
    "a fraction": ({"cells": [1], "values": [0.5]}, "values"),
    "2049 cells": ({"layer": "flow", "cells": list(range(2049)), "values": [1] * 2049}, "2048"),
    "a bucket of two days": ({"length_seconds": 172_800}, "length_seconds"),
}


@pytest.mark.parametrize(("change", "reason"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_tile_is_sparse_integers_in_order(change: JsonObject, reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        Tile.read({**read_golden("item-tile"), **change})
