from collections import Counter
from dataclasses import replace

import pytest

from edge.anonymity import Draft, Origin
from edge.exchange import room, shedding
from edge.exchange.batch import Batch, Checkpointed
from edge.exchange.schema import State, writing
from edge.exchange.writer import Budget, Writer
from edge.uplink.delivery import Delivery
from protocol.modes import Mode
from protocol.tiles import Layer
from protocol.wire import JsonObject, early_epoch
from tests.support.exchange import (
    ORIGIN,
    Exchange,
    acked,
    configuration,
    crossing,
    filled,
    opened,
    report,
    tile_part,
    visit,
)
from tests.support.ideal_cloud import IdealCloud

EPOCH = f"{1:016x}"
EARLY = early_epoch(EPOCH)


def shed(writer: Writer, how: str) -> int:
    with writing(writer._connection) as connection:
        if how == "merge":
            return shedding.merge_equal(connection, writer.epoch)
        if how == "purge":
            return shedding.purge_settled(connection, settled_before_ms=None)
        return shedding.drop_oldest(connection)


def rows(body: JsonObject, field: str) -> list[JsonObject]:
    found = body[field]
    assert isinstance(found, list)
    return [row for row in found if isinstance(row, dict)]


def test_what_is_settled_long_enough_goes_and_leaves_its_range_and_counts(exchange: Exchange) -> None:
    exchange.budget = Budget(keep_settled_seconds=1000)
    with opened(exchange) as writer, exchange.outbox() as outbox:
        writer.commit(Batch(origin=ORIGIN, drafts=[configuration(), visit(), report(), visit(), visit(), visit()]))
        outbox.claim(now_ms=0, window=100, lapse_ms=1000)
        outbox.settle(acked(1, through=2, received=[(4, 4)]), now_ms=100_000)
        outbox.settle(acked(2, through=4), now_ms=900_000)
        exchange.now = 1101.0
        writer.commit(Batch(origin=ORIGIN))
        assert sorted(exchange.states()) == [1, 3, 5, 6]
        exchange.now = 1901.0
        writer.commit(Batch(origin=ORIGIN))
        assert sorted(exchange.states()) == [1, 5, 6]
    history = exchange.rows("SELECT epoch, from_seq, to_seq, counts FROM history")
    assert history == [(EPOCH, 2, 4, '{"occupancy": 1, "visit": 2}')]


def test_ageing_goes_on_over_reboots(exchange: Exchange) -> None:
    exchange.budget = Budget(keep_settled_seconds=1000)
    with opened(exchange) as writer, exchange.outbox() as outbox:
        writer.commit(Batch(origin=ORIGIN, drafts=[visit()]))
        outbox.claim(now_ms=0, window=100, lapse_ms=1000)
        outbox.settle(acked(1, through=1), now_ms=100_000)
        exchange.now = 700.0
        writer.commit(Batch(origin=ORIGIN))
    exchange.boot, exchange.now = "boot-2", 399.0
    with exchange.writer() as writer:
        writer.commit(Batch(origin=ORIGIN))
        assert sorted(exchange.states()) == [1]
        exchange.now = 401.0
        writer.commit(Batch(origin=ORIGIN))
        assert sorted(exchange.states()) == []


def test_a_configuration_goes_with_the_last_item_made_under_it(exchange: Exchange) -> None:
    with opened(exchange) as writer, exchange.outbox() as outbox:
        writer.commit(Batch(origin=ORIGIN, drafts=[configuration(), visit(), visit()]))
        outbox.claim(now_ms=0, window=100, lapse_ms=1000)
        outbox.settle(acked(1, through=2), now_ms=0)
        assert [shed(writer, "purge"), shed(writer, "purge")] == [1, 0]
        outbox.settle(acked(2, through=3), now_ms=0)
        assert [shed(writer, "purge"), shed(writer, "purge")] == [1, 1]


@pytest.mark.parametrize("mode", [Mode.STATISTICS, Mode.LIVE])
def test_minute_reports_of_one_bucket_merge_exactly(exchange: Exchange, mode: Mode) -> None:
    origin = replace(ORIGIN, mode=mode)
    step = 60.0 if mode is Mode.STATISTICS else 4.0
    people, inside = [0.1, 0.2, 0.7, 61.3], [None, 5, 2, 3]
    with opened(exchange) as writer:
        for number, seconds in enumerate(people):
            made = report(
                at=number * step, person_seconds=seconds, max_people=number, inside=inside[number], drift=-1 - number
            )
            writer.commit(Batch(origin=origin, drafts=[made]))
        assert shed(writer, "merge") == 3
    (body,) = exchange.bodies()
    (camera,) = rows(body, "cameras")
    (zone,) = rows(body, "zones")
    assert camera == {
        "camera": "door-cam",
        "watched_seconds": 239.2,
        "analysed_frames": 2000,
        "dropped_frames": 12,
        "person_seconds": 62.3,
        "max_people": 3,
    }
    assert (zone["max_people"], body["inside"], body["drift"], body["length_seconds"]) == (3, 5, -10, 240)
    assert (body["at"], body["seq"]) == ("2026-03-01T12:00:00Z", 5)
    assert (exchange.merged(), exchange.gaps()) == ([(EPOCH, 1, 4, Counter(occupancy=4))], [])


def test_crossings_of_one_bucket_merge_exactly(exchange: Exchange) -> None:
    with opened(exchange) as writer:
        writer.commit(Batch(origin=ORIGIN, drafts=[crossing(at=at, inward=3, outward=1) for at in (0.0, 60.0, 899.0)]))
        assert shed(writer, "merge") == 2
    (body,) = exchange.bodies()
    assert body["lines"] == [{"line": "door", "in": 9, "out": 3}]


def test_equal_tiles_merge_exactly(exchange: Exchange) -> None:
    with opened(exchange) as writer:
        for cells in ({1: 1000, 2: 200}, {2: 300, 9: 100}):
            writer.commit(Batch(origin=ORIGIN, tiles=[tile_part(cells)]))
            writer.close_buckets()
        assert shed(writer, "merge") == 1
        assert shed(writer, "merge") == 0
    (body,) = exchange.bodies()
    assert (body["cells"], body["values"], body["seq"]) == ([1, 2, 9], [10, 5, 1], 1)
    assert (exchange.merged(), exchange.gaps()) == ([(EARLY, 1, 2, Counter(tile=2))], [])


OTHER_CONFIG = Origin(venue=ORIGIN.venue, config="f" * 32, mode=ORIGIN.mode)
OTHER_VENUE = Origin(venue="other-shop", config=ORIGIN.config, mode=ORIGIN.mode)


@pytest.mark.parametrize(
    ("first", "second", "origin"),
    [
        pytest.param(visit(), visit(), ORIGIN, id="visits, equal as they may be"),
        pytest.param(configuration(), configuration(), ORIGIN, id="configurations"),
        pytest.param(report(at=899.0), report(at=900.0), ORIGIN, id="reports of two buckets"),
        pytest.param(report(), report(), OTHER_CONFIG, id="reports under two configurations"),
        pytest.param(report(), report(), OTHER_VENUE, id="reports of two venues"),
        pytest.param(report(), report(camera="yard-cam"), ORIGIN, id="reports of two cameras"),
        pytest.param(report(), crossing(), ORIGIN, id="a report and crossings"),
        pytest.param(report(drift=3), report(drift=-3), ORIGIN, id="drifts either way, which count apart"),
    ],
)
def test_what_never_merges(exchange: Exchange, first: Draft, second: Draft, origin: Origin) -> None:
    with opened(exchange) as writer:
        writer.commit(Batch(origin=ORIGIN, drafts=[first]))
        writer.commit(Batch(origin=origin, drafts=[second]))
        assert shed(writer, "merge") == 0
        assert len(exchange.bodies()) == 2


def test_what_was_claimed_once_never_merges(exchange: Exchange) -> None:
    with opened(exchange) as writer, exchange.outbox() as outbox:
        writer.commit(Batch(origin=ORIGIN, drafts=[report(), report()]))
        outbox.claim(now_ms=0, window=100, lapse_ms=1000)
        outbox.release_claims()
        writer.commit(Batch(origin=ORIGIN, drafts=[report()]))
        assert shed(writer, "merge") == 0


def test_what_an_earlier_run_appended_never_merges_as_it_may_have_been_sent_before_this_exchange_was_restored(
    exchange: Exchange,
) -> None:
    with opened(exchange) as writer:
        writer.commit(Batch(origin=ORIGIN, drafts=[report(), report()]))
    with opened(exchange) as writer:
        assert shed(writer, "merge") == 0
        writer.commit(Batch(origin=ORIGIN, drafts=[report(), report(), report()]))
        assert shed(writer, "merge") == 2


def test_sums_that_would_not_fit_into_an_item_stay_apart(exchange: Exchange) -> None:
    with opened(exchange) as writer:
        tile = tile_part(dict.fromkeys(range(3000), 1), layer=Layer.FLOW)
        writer.commit(Batch(origin=ORIGIN, drafts=[report(at=number / 8) for number in range(61)], tiles=[tile]))
        writer.close_buckets()
        assert shed(writer, "merge") == 0
        assert len(exchange.bodies()) == 63


def test_merging_reads_each_stretch_once(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shedding, "_STRETCH", 100)
    with opened(exchange) as writer:
        writer.commit(Batch(origin=ORIGIN, drafts=[report(at=number * 90.0) for number in range(1000)]))
        saved = 0
        for _ in range(100):
            saved += (merged := shed(writer, "merge"))
            if not merged:
                break
        buckets = {str(body["at"])[:15] for body in exchange.bodies()}
        assert len(exchange.bodies()) == 1000 - saved == 100
        assert len(buckets) == 100 or len(exchange.bodies()) == 100
        total = sum(row["person_seconds"] for body in exchange.bodies() for row in rows(body, "cameras"))  # type: ignore[misc]
        assert total == pytest.approx(61.4 * 1000)
        assert sum(last - first + 1 for _, first, last, _ in exchange.merged()) == 1000
        assert exchange.gaps() == []


def test_tiles_go_first_then_reports_then_visits_and_configurations_never(exchange: Exchange) -> None:
    with opened(exchange) as writer:
        drafts = [configuration(), *(made for _ in range(300) for made in (visit(), report(), crossing()))]
        writer.commit(Batch(origin=ORIGIN, drafts=drafts, tiles=[tile_part({1: 1000})]))
        writer.close_buckets()
        left = []
        while shed(writer, "drop"):
            left.append(Counter(str(body["type"]) for body in exchange.bodies()))
    assert left == [
        {"configuration": 1, "visit": 300, "occupancy": 300, "crossing": 300},
        {"configuration": 1, "visit": 300, "occupancy": 50, "crossing": 50},
        {"configuration": 1, "visit": 300},
        {"configuration": 1},
    ]
    # Once all is gone it is one gap: neighbours declared one after another are declared together.
    assert exchange.gaps() == [
        (EPOCH, 2, 901, "dropped", Counter(visit=300, occupancy=300, crossing=300)),
        (EARLY, 1, 1, "dropped", Counter(tile=1)),
    ]


def test_a_gap_that_was_sent_stays_as_it_was_sent(exchange: Exchange) -> None:
    with opened(exchange) as writer, exchange.outbox() as outbox:
        writer.commit(Batch(origin=ORIGIN, drafts=[report(), visit()]))
        shed(writer, "drop")
        outbox.gaps()
        shed(writer, "drop")
    assert [(first, last) for _, first, last, _, _ in exchange.gaps()] == [(1, 1), (2, 2)]


def test_what_merged_beside_what_is_dropped_adds_nothing_to_the_loss(exchange: Exchange) -> None:
    with opened(exchange) as writer:
        writer.commit(Batch(origin=ORIGIN, drafts=[report(), report(), visit()]))
        shed(writer, "merge")
        assert exchange.merged() == [(EPOCH, 1, 2, Counter(occupancy=2))]
        shed(writer, "drop")  # the sum
        assert [(first, last, reason) for _, first, last, reason, _ in exchange.gaps()] == [
            (1, 2, "merged"),
            (4, 4, "dropped"),
        ]
        shed(writer, "drop")  # the visit
    assert exchange.gaps() == [(EPOCH, 1, 4, "dropped", Counter(visit=1, occupancy=1))]


def test_on_a_disk_that_stays_short_each_minute_merges_with_those_before_it(exchange: Exchange) -> None:
    exchange.now = 10.0
    with opened(exchange) as writer:
        writer.commit(Batch(origin=ORIGIN, drafts=[configuration()]))
        for minute in range(60):
            exchange.now = 60.0 * minute + 61
            writer.commit(Batch(origin=ORIGIN, drafts=[crossing(at=60.0 * minute), report(at=60.0 * minute)]))
            shed(writer, "merge")
        assert len(exchange.bodies()) <= 1 + 2 * 5, "a sum of each kind for each quarter of an hour that was touched"


def test_what_takes_the_ids_of_what_was_merged_is_looked_at_too(exchange: Exchange) -> None:
    with opened(exchange) as writer:
        writer.commit(Batch(origin=ORIGIN, drafts=[crossing(at=60.0 * minute) for minute in range(8)]))
        assert shed(writer, "merge") == 7
        writer.commit(Batch(origin=ORIGIN, drafts=[crossing(at=60.0 * minute) for minute in range(8, 15)]))
        assert shed(writer, "merge") == 7
        assert len(exchange.bodies()) == 1


@pytest.mark.parametrize("drafts", [0, 3], ids=["the parts stand right before it", "something stands between"])
def test_a_quarantined_sum_ages_out_like_anything_else(exchange: Exchange, drafts: int) -> None:
    exchange.now, exchange.budget = 4_000.0, Budget(keep_settled_seconds=3_600)
    with opened(exchange) as writer, exchange.outbox() as outbox:
        writer.commit(Batch(origin=ORIGIN, drafts=[crossing(at=60.0 * minute) for minute in range(14)]))
        writer.commit(Batch(origin=ORIGIN, drafts=[visit() for _ in range(drafts)]))
        assert shed(writer, "merge") == 13
        outbox.claim(now_ms=4_000_000, window=100, lapse_ms=30_000)
        outbox.quarantine(EPOCH, 15 + drafts, now_ms=4_001_000)
        gaps = [(gap.from_seq, gap.to_seq, str(gap.reason)) for gap in outbox.gaps()]
        assert gaps == [(1, 14, "merged"), (15 + drafts, 15 + drafts, "quarantined")]
        outbox.settle(acked(1, through=15 + drafts), now_ms=4_002_000)
        for _ in range(3):
            exchange.now += 4_000.0
            writer.commit(Batch(origin=ORIGIN, drafts=[visit(at=exchange.now)]))
    assert exchange.rows("SELECT from_seq, to_seq FROM history") != []


def test_what_is_remembered_already_is_not_remembered_twice(exchange: Exchange) -> None:
    """A box may hold what an earlier version laid down twice; nothing of it may keep vision from running."""
    exchange.now, exchange.budget = 4_000.0, Budget(keep_settled_seconds=3_600)
    with opened(exchange) as writer, exchange.outbox() as outbox:
        filled(writer, exchange, 4)
        sent = outbox.claim(now_ms=4_000_000, window=100, lapse_ms=30_000)
        outbox.settle(acked(1, through=len(sent)), now_ms=4_002_000)
        with writing(writer._connection) as connection:
            connection.execute(
                "INSERT INTO history (epoch, from_seq, to_seq, counts) VALUES (?, 2, 3, '{\"visit\":2}')", (EPOCH,)
            )
        exchange.now += 4_000.0
        writer.commit(Batch(origin=ORIGIN, drafts=[visit(at=exchange.now)]))
    assert exchange.rows("SELECT from_seq, to_seq FROM history") == [(2, len(sent))], "the configuration stays"


def test_what_is_claimed_is_not_dropped(exchange: Exchange) -> None:
    with opened(exchange) as writer, exchange.outbox() as outbox:
        filled(writer, exchange, 3)
        outbox.claim(now_ms=0, window=100, lapse_ms=1000)
        assert shed(writer, "drop") == 0


def test_the_byte_budget_holds_while_ten_times_as_much_is_appended(exchange: Exchange) -> None:
    room_bytes = 2**20
    exchange.budget = Budget(room_bytes=room_bytes)
    with opened(exchange) as writer:
        writer.commit(Batch(origin=ORIGIN, drafts=[configuration()]))
        for minute in range(500):
            at = minute * 60.0
            exchange.now = at + 60
            drafts = [visit(at=at, frames=minute) for _ in range(20)] + [report(at=at), crossing(at=at)]
            cells = {(minute * 7 + cell) % 1024: 1000 for cell in range(200)}
            writer.commit(Batch(origin=ORIGIN, drafts=drafts, tiles=[tile_part(cells, at=at)]))
            assert room.used_bytes(writer._connection) <= room_bytes
        found = exchange.rows("SELECT epoch, next_seq - 1 FROM epoch")
        issued = {str(epoch): int(str(last)) for epoch, last in found}
    assert issued[EPOCH] > 10_000
    held = set(exchange.rows("SELECT epoch, seq FROM item UNION ALL SELECT epoch, seq FROM tile_part"))
    gaps = exchange.gaps()
    declared = [(epoch, seq) for epoch, first, last, _, _ in gaps for seq in range(first, last + 1)]
    assert len(declared) == len(set(declared))
    assert not held & set(declared)
    assert held | set(declared) == {(epoch, seq) for epoch, last in issued.items() for seq in range(1, last + 1)}
    assert all(sum(lost.values()) <= last - first + 1 for _, first, last, _, lost in gaps)
    lost_visits = sum(lost["visit"] for *_, reason, lost in gaps if reason == "dropped")
    kept_visits = len(exchange.bodies("visit"))
    assert lost_visits + kept_visits == 500 * 20
    assert exchange.bodies("configuration")[0]["seq"] == 1
    assert len(gaps) < 100
    assert "dropped" in {reason for *_, reason, _ in gaps}
    assert exchange.rows("SELECT count(*) FROM item WHERE state <> ?", State.WAITING) == [(0,)]


def test_the_budget_is_kept_while_utc_is_unknown(exchange: Exchange) -> None:
    exchange.budget = Budget(room_bytes=2 * 2**20)
    with exchange.writer() as writer:
        writer.commit(Batch(origin=ORIGIN, drafts=[configuration()]))
        for minute in range(0, 6000, 500):
            drafts = [
                draft for at in range(minute, minute + 500) for draft in (report(at=60.0 * at), visit(at=60.0 * at))
            ]
            tiles = [tile_part(dict.fromkeys(range(20), 900), at=60.0 * at) for at in range(minute, minute + 500)]
            writer.commit(Batch(origin=ORIGIN, drafts=drafts, tiles=tiles))
            assert room.used_bytes(writer._connection) <= exchange.budget.room_bytes
    kept = Counter(
        {
            str(kind): int(str(count))
            for kind, count in exchange.rows(
                "SELECT json_extract(body, '$.type'), count(*) FROM part GROUP BY 1"
                " UNION ALL SELECT 'tile', count(*) FROM tile_part"
            )
        }
    )
    lost = sum((counts for *_, counts in exchange.gaps()), start=Counter[str]())
    assert kept + lost == Counter(configuration=1, occupancy=6000, visit=6000, tile=6000)
    assert kept["configuration"] == 1
    assert lost["visit"] < lost["occupancy"] <= lost["tile"]
    assert {reason for _, _, _, reason, _ in exchange.gaps()} == {"dropped"}
    assert sum(last - first + 1 for _, first, last, *_ in exchange.gaps()) == lost.total()
    assert len(exchange.gaps()) < 50


def test_weeks_of_what_was_merged_and_settled_are_a_few_lines(exchange: Exchange) -> None:
    exchange.budget = Budget(keep_settled_seconds=3_600)
    cloud = IdealCloud()
    with opened(exchange) as writer, exchange.outbox() as outbox:
        delivery = Delivery(outbox, box="box-1")
        open_visit = Checkpointed(scene="floor", visits={1: {"n": 1}})
        rows = []
        for minute in range(1_000):
            exchange.now += 60.0
            made = [report(at=exchange.now), visit(at=exchange.now)]
            tiles = [tile_part({cell: 1_000}, at=exchange.now) for cell in (5, 6)]
            writer.commit(Batch(origin=ORIGIN, drafts=made, tiles=tiles, checkpoints=[open_visit]))
            for outgoing in delivery.due(exchange.now):
                delivery.sent(outgoing, exchange.now)
                delivery.acknowledge(cloud.take(outgoing.payload), exchange.now)
            assert outbox.gaps() == [], "what the cloud knows of is said no more, although a visit stays open"
            if minute % 100 == 99:
                rows.append(len(exchange.gaps()) + len(exchange.forgotten()))
    assert max(rows[2:]) <= rows[1] + 2 <= 40
