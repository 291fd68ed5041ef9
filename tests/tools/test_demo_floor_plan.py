"""The demo's floor plan lies where the shop does."""

import io

from PIL import Image

from edge.synthetic.plan import BLOCKS
from tools.demo.floor_plan import shop_plan


def test_every_block_stands_on_the_plan_where_it_stands_in_the_shop() -> None:
    plan = shop_plan()
    image = Image.open(io.BytesIO(plan.picture))
    metres, left, top = (float(plan.scale[key]) for key in ("metres_per_pixel", "origin_x_px", "origin_y_px"))

    def colour(x: float, y: float) -> object:
        return image.getpixel((round(left + x / metres), round(top - y / metres)))

    for block in BLOCKS:
        ground = block.ground
        x, y = max(ground.left, -1.0) + 0.05, (ground.bottom + ground.top) / 2
        assert colour(x, y) != (255, 255, 255), block
    assert colour(1.7, -0.1) == (255, 255, 255), "the door is open"
