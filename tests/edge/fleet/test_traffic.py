from collections import Counter

import pytest

from edge.anonymity import Draft
from edge.fleet.traffic import MINUTES_A_DAY, SOME_DAY, ShopTraffic
from edge.synthetic.days import ShopDays
from protocol.configuration import config_hash

NOON = 12 * 60


@pytest.fixture(scope="module")
def traffic() -> ShopTraffic:
    return ShopTraffic(cameras=2, days=2)


def told(traffic: ShopTraffic, box: int, minutes: range, *, now: float = 1e6) -> list[Draft]:
    return [draft for minute in minutes for draft in traffic.minute(box, minute, now=now)]


def test_a_day_tells_all_that_its_shops_tell(traffic: ShopTraffic) -> None:
    drafts = told(traffic, 0, range(MINUTES_A_DAY))
    shops = [ShopDays(seed=seed, venue="shop").day(SOME_DAY).items for seed in (0, 1)]
    expected = Counter(item.type for items in shops for item in items)
    for said_once in ("configuration", "camera-health"):
        del expected[said_once]
    assert Counter(draft.type for draft in drafts) == expected
    assert expected["visit"] > 1000


def test_a_minute_has_a_report_of_each_camera(traffic: ShopTraffic) -> None:
    drafts = told(traffic, 0, range(NOON, NOON + 1))
    scenes = Counter((draft.type, draft.body["scene"]) for draft in drafts if draft.type in {"occupancy", "queue"})
    assert scenes == {(kind, f"shop-{camera}"): 1 for kind in ("occupancy", "queue") for camera in (1, 2)}


def test_ids_are_those_of_the_layout(traffic: ShopTraffic) -> None:
    layout = traffic.layout
    known = {
        "scene": {one.scene for one in layout.scenes},
        "camera": {one.camera for one in layout.cameras},
        "zone": {one.zone for one in layout.zones},
        "line": {one.line for one in layout.lines},
        "space": {one.space for one in layout.spaces},
    }
    assert known["scene"] == {"shop-1", "shop-2"}
    for draft in told(traffic, 0, range(NOON, NOON + 30)):
        for name, value in ids_in(draft.body):
            assert value in known[name]
    assert traffic.origin(venue="here").config == config_hash(layout)


def ids_in(node: object) -> list[tuple[str, str]]:
    if isinstance(node, list):
        return [found for one in node for found in ids_in(one)]
    if not isinstance(node, dict):
        return []
    here = [(name, value) for name, value in node.items() if name in {"scene", "camera", "zone", "line", "space"}]
    return here + [found for value in node.values() for found in ids_in(value)]


def test_what_is_told_is_as_old_as_it_was_when_it_was_told(traffic: ShopTraffic) -> None:
    drafts = told(traffic, 0, range(NOON, NOON + 30), now=5_000.0)
    ages = {kind: [5_000.0 - draft.at for draft in drafts if draft.type == kind] for kind in ("occupancy", "tile")}
    assert set(ages["occupancy"]) == {60.0}
    assert set(ages["tile"]) == {900.0}


def test_boxes_differ_and_the_same_seed_tells_the_same(traffic: ShopTraffic) -> None:
    minutes = range(NOON, NOON + 10)
    assert told(traffic, 0, minutes) == told(ShopTraffic(cameras=2, days=2), 0, minutes)
    assert told(ShopTraffic(cameras=1, days=2), 0, minutes) != told(ShopTraffic(cameras=1, days=2), 1, minutes)
    assert told(traffic, 0, minutes) != told(ShopTraffic(cameras=2, days=2, seed=1), 0, minutes)


def test_after_the_last_minute_the_day_begins_anew(traffic: ShopTraffic) -> None:
    assert told(traffic, 0, range(MINUTES_A_DAY, MINUTES_A_DAY + 5)) == told(traffic, 0, range(5))
