"""Heat-map tiles: sparse integers on a grid, which add exactly.

A space is a floor (with its calibration revision and cell size) or a camera's image; spaces never mix.
Origin is the plan's, x to the right, y up, in metres; for an image space x right, y down, in reference pixels.
Tile (tx, ty) covers cells [tx·32, tx·32+32) × [ty·32, ty·32+32); cell index = row·32 + column within the tile.
"""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from protocol.events import Item
from protocol.wire import Slug, WireEnum, known

__all__ = ["CELLS_PER_TILE", "DIRECTIONS", "MAX_CELLS_PER_ITEM", "TILE_SIDE", "Layer", "LayerField", "Tile"]

TILE_SIDE = 32
CELLS_PER_TILE = TILE_SIDE * TILE_SIDE
DIRECTIONS = 8
MAX_CELLS_PER_ITEM = 2048

TileIndex = Annotated[int, Field(strict=True, ge=-(2**20), le=2**20)]
CellIndex = Annotated[int, Field(strict=True, ge=0, lt=CELLS_PER_TILE * DIRECTIONS)]
CellValue = Annotated[int, Field(strict=True, ge=1, le=2**31 - 1)]


class Layer(WireEnum):
    """What a tile counts."""

    PRESENCE = "presence"
    ENTRIES = "entries"
    FLOW = "flow"
    UNKNOWN = "unknown"


LayerField = Annotated[Layer, AfterValidator(known)]


class Tile(Item):
    """When a bucket closes: what happened in 32×32 cells of one space, seen by one camera.

    `at` is the bucket's start. presence counts tenths of a person-second, entries count people, flow counts
    moves; a flow cell's index is cell·8 + direction, direction 0 along +x and on by 45° towards +y.
    Cells ascend; absent cells are zero.
    """

    type: Literal["tile"] = "tile"
    space: Slug
    camera: Slug
    layer: LayerField
    tx: TileIndex
    ty: TileIndex
    length_seconds: Annotated[int, Field(strict=True, ge=1, le=86_400)]
    cells: Annotated[tuple[CellIndex, ...], Field(min_length=1, max_length=MAX_CELLS_PER_ITEM)]
    values: Annotated[tuple[CellValue, ...], Field(min_length=1, max_length=MAX_CELLS_PER_ITEM)]

    @model_validator(mode="after")
    def _cells_and_values_match(self) -> Self:
        if len(self.cells) != len(self.values):
            raise ValueError(f"as many values as cells; found {len(self.values)} values for {len(self.cells)} cells")
        if any(b <= a for a, b in zip(self.cells, self.cells[1:], strict=False)):
            raise ValueError("cells in ascending order, each once")
        if self.layer in {Layer.PRESENCE, Layer.ENTRIES} and self.cells[-1] >= CELLS_PER_TILE:
            raise ValueError(f"cell indices below {CELLS_PER_TILE} in layer {self.layer}")
        return self
