from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.clock import Fix
from edge.exchange.batch import Batch
from edge.heatmap import to_tenths
from protocol.envelope import ClockSource
from protocol.modes import Mode
from protocol.tiles import Layer
from protocol.wire import early_epoch, format_utc
from tests.support.exchange import NOON, NTP, ORIGIN, Exchange, configuration, crossing, report, tile_part, visit

EPOCH = f"{1:016x}"
EARLY = early_epoch(EPOCH)


def fix_at(moment: datetime) -> Fix:
    """A boot that began at this moment."""
    return Fix(offset_ms=round(moment.timestamp() * 1000), source=ClockSource.NTP, uncertainty_ms=10)


def test_nothing_is_an_item_before_utc_is_known_and_all_of_it_in_order_then(exchange: Exchange) -> None:
    with exchange.writer() as writer:
        writer.commit(Batch(origin=ORIGIN, drafts=[configuration(at=1.0)]))
        writer.commit(Batch(origin=ORIGIN, drafts=[visit(at=2.0), report(at=3.0)], tiles=[tile_part({5: 700}, at=3.0)]))
        assert exchange.bodies() == []
        writer.offer_fix(NTP)
        writer.commit(Batch(origin=ORIGIN, drafts=[visit(at=90.0)]))
        assert [(body["seq"], body["type"], body["at"]) for body in exchange.bodies()] == [
            (1, "configuration", "2026-03-01T12:00:00Z"),
            (3, "visit", "2026-03-01T12:00:00Z"),
            (2, "occupancy", "2026-03-01T12:00:00Z"),
            (1, "visit", "2026-03-01T12:01:30Z"),
        ]
        exchange.now = 900.0
        writer.commit(Batch(origin=ORIGIN))
        assert exchange.rows("SELECT epoch, seq, type FROM item ORDER BY id") == [
            (EARLY, 1, "configuration"),
            (EARLY, 3, "visit"),
            (EARLY, 2, "occupancy"),
            (EPOCH, 1, "visit"),
            (EARLY, 4, "tile"),
        ]


@pytest.mark.parametrize(
    ("mode", "ats", "expected"),
    [
        pytest.param(
            Mode.STATISTICS,
            [0.0, 899.9, 900.0],
            {"12:00": 200, "12:15": 100},
            id="statistics, quarter hours, half open",
        ),
        pytest.param(
            Mode.LIVE, [0.0, 59.999, 60.0, 125.0], {"12:00": 200, "12:01": 100, "12:02": 100}, id="live, minutes"
        ),
    ],
)
def test_buckets_are_aligned_to_utc(exchange: Exchange, mode: Mode, ats: list[float], expected: dict[str, int]) -> None:
    with exchange.writer() as writer:
        writer.offer_fix(NTP)
        tiles = [tile_part({1: 10_000}, at=at) for at in ats]
        writer.commit(Batch(origin=replace(ORIGIN, mode=mode), tiles=tiles))
        writer.close_buckets()
    found = {str(body["at"])[11:16]: body for body in exchange.bodies("tile")}
    assert {at: body["values"] for at, body in found.items()} == {at: [value] for at, value in expected.items()}
    length = 900 if mode is Mode.STATISTICS else 60
    assert {body["length_seconds"] for body in found.values()} == {length}


def test_a_boot_that_began_at_an_odd_moment_has_even_buckets(exchange: Exchange) -> None:
    with exchange.writer() as writer:
        writer.offer_fix(fix_at(NOON + timedelta(minutes=7, seconds=13, milliseconds=250)))
        writer.commit(Batch(origin=ORIGIN, tiles=[tile_part({1: 1000}, at=at) for at in (0.0, 466.7, 466.8)]))
        writer.close_buckets()
    assert [(body["at"], body["values"]) for body in exchange.bodies("tile")] == [
        ("2026-03-01T12:00:00Z", [20]),
        ("2026-03-01T12:15:00Z", [10]),
    ]


def test_a_bucket_closes_only_when_it_is_over(exchange: Exchange) -> None:
    with exchange.writer() as writer:
        writer.offer_fix(NTP)
        for now, closed in ((100.0, 0), (899.9, 0), (900.0, 1)):
            exchange.now = now
            writer.commit(Batch(origin=ORIGIN, tiles=[tile_part({1: 1000}, at=min(now, 50.0))] if now < 900 else []))
            assert len(exchange.bodies("tile")) == closed
    assert exchange.bodies("tile")[0]["values"] == [20]
    assert exchange.gaps() == [(EARLY, 2, 2, "merged", Counter(tile=1))]


def test_increments_of_two_runs_in_a_bucket_are_two_tiles_which_the_cloud_adds(exchange: Exchange) -> None:
    with exchange.writer() as writer:
        writer.offer_fix(NTP)
        writer.commit(Batch(origin=ORIGIN, tiles=[tile_part({1: 440, 2: 100}, at=10.0)]))
    with exchange.writer() as writer:
        writer.commit(Batch(origin=ORIGIN, tiles=[tile_part({1: 60, 7: 30}, at=70.0)]))
        exchange.now = 1000.0
        writer.commit(Batch(origin=ORIGIN))
    assert [(body["cells"], body["values"]) for body in exchange.bodies("tile")] == [([1, 2], [4, 1]), ([1], [1])]
    assert exchange.rows("SELECT epoch, seq FROM item WHERE type = 'tile'") == [
        (EARLY, 1),
        (early_epoch(f"{2:016x}"), 1),
    ]


def test_what_differs_in_anything_is_not_added_up(exchange: Exchange) -> None:
    moved = replace(ORIGIN, venue="other-shop")
    with exchange.writer() as writer:
        writer.offer_fix(NTP)
        writer.commit(Batch(origin=ORIGIN, tiles=[tile_part({1: 1000}), tile_part({1: 2000}, camera="yard-cam")]))
        writer.commit(Batch(origin=moved, tiles=[tile_part({1: 3000}), tile_part({1: 4}, layer=Layer.ENTRIES)]))
        writer.close_buckets()
    found = {(body["venue"], body["camera"], body["layer"]): body["values"] for body in exchange.bodies("tile")}
    assert found == {
        ("corner-shop", "door-cam", "presence"): [10],
        ("corner-shop", "yard-cam", "presence"): [20],
        ("other-shop", "door-cam", "presence"): [30],
        ("other-shop", "door-cam", "entries"): [4],
    }


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.integers(0, 1023), st.integers(1, 60_000), min_size=1))
def test_tenths_sum_to_the_rounded_whole(milliseconds: dict[int, int]) -> None:
    tenths = to_tenths(milliseconds)
    assert sum(tenths.values()) == (sum(milliseconds.values()) + 50) // 100
    assert all(abs(tenths.get(cell, 0) * 100 - value) < 100 for cell, value in milliseconds.items())


def test_a_tile_of_more_cells_than_an_item_may_hold_is_split(exchange: Exchange) -> None:
    cells = {cell: cell + 1 for cell in range(3000)}
    with exchange.writer() as writer:
        writer.offer_fix(NTP)
        writer.commit(Batch(origin=ORIGIN, tiles=[tile_part(cells, layer=Layer.FLOW)]))
        writer.close_buckets()
    bodies = exchange.bodies("tile")
    assert [len(body["cells"]) for body in bodies if isinstance(body["cells"], list)] == [2048, 952]
    values = [value for body in bodies if isinstance(body["values"], list) for value in body["values"]]
    assert values == list(cells.values())


def test_more_parts_than_fit_a_transaction_are_placed_one_after_another(exchange: Exchange) -> None:
    with exchange.writer() as writer:
        drafts = [visit(at=number, frames=number) for number in range(2500)]
        writer.commit(Batch(origin=ORIGIN, drafts=[configuration(), *drafts]))
        later = replace(ORIGIN, config="f" * 32)
        writer.commit(Batch(origin=later, drafts=[crossing()], tiles=[tile_part({1: 1000})]))
        writer.offer_fix(NTP)
        exchange.now = 1000.0
        writer.commit(Batch(origin=later))
        assert len(exchange.bodies()) == 2000
        assert exchange.bodies("tile") == []  # not before what was made before it
        writer.commit(Batch(origin=later))
    bodies = exchange.bodies()
    assert [body["frames_seen"] for body in bodies if body["type"] == "visit"] == list(range(2500))
    assert [body["type"] for body in bodies[-2:]] == ["crossing", "tile"]


def test_a_left_over_visit_waits_for_the_configuration_that_it_is_closed_under(exchange: Exchange) -> None:
    with exchange.writer() as writer:
        writer.offer_fix(NTP)
        writer.commit(Batch(origin=ORIGIN, drafts=[configuration()]))
    exchange.boot, exchange.now = "boot-2", 5.0
    with exchange.writer() as writer:
        now = replace(ORIGIN, config="e" * 32)
        writer.commit(Batch(origin=now, drafts=[configuration(at=5.0)]))
        writer.commit(Batch(origin=now, drafts=[visit(at=60.0)], boot="boot-1"))
        assert len(exchange.bodies()) == 1
        writer.offer_fix(fix_at(NOON + timedelta(hours=1)))
        writer.commit(Batch(origin=now))
    assert [(body["type"], body["at"]) for body in exchange.bodies()[1:]] == [
        ("configuration", "2026-03-01T13:00:00Z"),
        ("visit", "2026-03-01T12:01:00Z"),
    ]


YEAR_1970 = 0
BOUNDS = ("2026-03-01T12:05:00Z", "2026-03-01T13:00:00Z")


@pytest.mark.parametrize(
    ("hardware", "claimed", "next_claimed", "expected"),
    [
        pytest.param(
            True, NOON + timedelta(minutes=20), NOON + timedelta(minutes=60), "2026-03-01T12:21:40Z",
            id="hardware clock that ran through",
        ),
        pytest.param(False, NOON + timedelta(minutes=20), NOON + timedelta(minutes=60), BOUNDS, id="no hardware clock"),
        pytest.param(
            True, NOON + timedelta(minutes=20), NOON + timedelta(minutes=55), BOUNDS,
            id="hardware clock that was wrong at the next boot",
        ),
        pytest.param(
            True, datetime(1970, 1, 1, tzinfo=UTC), NOON + timedelta(minutes=60), BOUNDS,
            id="hardware clock that lost its battery and was set in between",
        ),
        pytest.param(
            True, NOON + timedelta(days=9), NOON + timedelta(minutes=60), BOUNDS, id="claims to be after the next boot"
        ),
        pytest.param(
            True, NOON - timedelta(days=9), NOON + timedelta(minutes=60), BOUNDS, id="claims to be before the last boot"
        ),
    ],
)  # fmt: skip
def test_a_boot_that_never_learnt_utc(
    exchange: Exchange, hardware: bool, claimed: datetime, next_claimed: datetime, expected: str | tuple[str, str]
) -> None:
    """The boot before it began at noon and was last heard of at 12:05; the one after it began at 13:00."""
    exchange.now = 300.0
    with exchange.writer() as writer:
        writer.offer_fix(NTP)
        writer.commit(Batch(origin=ORIGIN, drafts=[configuration()]))
    exchange.boot, exchange.now = "boot-2", 100.0
    with exchange.writer(hardware_offset_ms=_ms(claimed) if hardware else None) as writer:
        writer.commit(Batch(origin=ORIGIN, drafts=[visit(at=100.0)], tiles=[tile_part({1: 1000}, at=100.0)]))
    exchange.boot, exchange.now = "boot-3", 5.0
    with exchange.writer(hardware_offset_ms=_ms(next_claimed) if hardware else None) as writer:
        writer.commit(Batch(origin=ORIGIN))
        assert len(exchange.bodies()) == 1
        writer.offer_fix(fix_at(NOON + timedelta(hours=1)))
        writer.commit(Batch(origin=ORIGIN))
    _, seen, tile = exchange.bodies()
    if isinstance(expected, str):
        assert seen["at"] == expected
        assert tile["at"] == "2026-03-01T12:15:00Z"
    else:
        assert (seen["earliest"], seen["latest"]) == (tile["earliest"], tile["latest"]) == expected
        assert "at" not in seen


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def test_a_first_boot_without_utc_has_an_open_beginning(exchange: Exchange) -> None:
    with exchange.writer() as writer:
        writer.commit(Batch(origin=ORIGIN, drafts=[visit()]))
    exchange.boot = "boot-2"
    with exchange.writer() as writer:
        writer.offer_fix(fix_at(NOON))
        writer.commit(Batch(origin=ORIGIN))
    (body,) = exchange.bodies()
    assert (body["earliest"], body["latest"]) == ("2020-01-01T00:00:00Z", format_utc(NOON))


def test_a_fix_is_taken_only_for_a_boot_that_is_known(exchange: Exchange) -> None:
    with exchange.writer():
        exchange.boot = "boot-2"
        with exchange.outbox() as outbox:
            assert outbox.offer_fix(NTP) is False
            assert outbox.fix() is None


def test_vision_and_uplink_share_what_is_known_of_utc(exchange: Exchange) -> None:
    with exchange.writer() as writer, exchange.outbox() as outbox:
        vague = replace(NTP, source=ClockSource.CLOUD, uncertainty_ms=4000)
        assert outbox.offer_fix(vague)
        assert writer.fix() == vague
        assert writer.offer_fix(NTP)
        assert outbox.fix() == NTP
        assert not outbox.offer_fix(vague)
