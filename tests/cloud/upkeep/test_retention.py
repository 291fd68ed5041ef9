"""What is old leaves, and no figure changes."""

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import JsonValue
from sqlalchemy import Engine, RowMapping, update

from cloud.errors import Conflict
from cloud.ingest import gaps
from cloud.ingest.commit import Committer
from cloud.losses import lost_by_type
from cloud.store.engine import writing
from cloud.store.moments import to_ms
from cloud.store.tables import (
    AuditEntry,
    Box,
    Certificate,
    DeadLetter,
    Event,
    GapRecord,
    Held,
    Layout,
    Receipt,
    Rollup,
    RollupPeak,
    Tile,
    Venue,
    WebhookDelivery,
)
from cloud.store.upsert import insert_missing, insert_rows, replace, table_of
from cloud.upkeep import retention
from cloud.upkeep.retention import forget_raw_rows, months_before
from tests.support.alerts import raise_alert
from tests.support.envelopes import (
    BOX,
    NOW,
    VENUE,
    JsonObject,
    certificate,
    configuration,
    deliver,
    enrol,
    envelope,
    gap,
    item,
    occupancy,
    rows_of,
    tile,
    visit,
)

OLD, YOUNG = NOW - timedelta(days=400), NOW - timedelta(days=390)
DAY = timedelta(days=1)
SUMS = (Rollup, RollupPeak, Tile, Receipt, GapRecord, Layout, Certificate, Held)


def send(engine: Engine, *items: JsonObject, at: datetime, box: str = BOX, **fields: object) -> None:
    """A box's envelope, taken in at a moment."""
    Committer(engine, lambda: at).commit(deliver(envelope(items, box=box, **fields), box=box))  # type: ignore[arg-type]


def forget(engine: Engine, *, now: datetime = NOW, months: int = 13) -> list[int]:
    """What goes in each transaction, where the day before went well too."""
    return list(forget_raw_rows(engine, now=now, months=months, last_ms=to_ms(now - DAY)))


def forget_after(engine: Engine, last: datetime | None, *, now: datetime = NOW, clock_is_right: bool = False) -> int:
    """How much goes, where it was last done then, or never."""
    last_ms = None if last is None else to_ms(last)
    return sum(forget_raw_rows(engine, now=now, months=13, last_ms=last_ms, clock_is_right=clock_is_right))


def old_and_young(engine: Engine) -> None:
    """A bit of everything, on one side of thirteen months and on the other."""
    enrol(engine)
    old = [
        configuration(1, at=OLD),
        visit(2, at=OLD),
        occupancy(3, at=OLD),
        tile(4, at=OLD),
        item(5, "telepathy", at=OLD),
    ]
    send(engine, *old, certificate(6, at=OLD), gaps=[gap(8, 9)], at=OLD)
    send(engine, {**visit(7, at=OLD), "dwell_seconds": -1}, at=OLD)
    send(engine, visit(10, at=None), at=OLD)
    send(engine, visit(11, at=YOUNG), tile(12, at=YOUNG), {**visit(13, at=YOUNG), "dwell_seconds": -1}, at=YOUNG)


def sums(engine: Engine) -> list[list[RowMapping]]:
    return [rows_of(engine, model) for model in SUMS]


def seqs(engine: Engine) -> list[int]:
    return [row["seq"] for row in rows_of(engine, Event)]


def test_what_is_older_than_the_months_leaves_and_no_sum_changes(engine: Engine) -> None:
    old_and_young(engine)
    before = sums(engine)
    assert all(before)
    gone = sum(forget(engine))
    assert seqs(engine) == [11, 12]
    assert [row["seq"] for row in rows_of(engine, DeadLetter)] == [13]
    assert gone == 7
    assert sums(engine) == before


def test_what_comes_again_after_its_row_has_gone_does_not_count_again(engine: Engine) -> None:
    old_and_young(engine)
    before = sums(engine)
    forget(engine)
    send(engine, visit(2, at=OLD), tile(4, at=OLD), visit(10, at=None), at=NOW)
    assert seqs(engine) == [11, 12]
    assert sums(engine) == before


def lost(engine: Engine) -> list[Counter[str]]:
    return [Counter(lost_by_type(row["lost_by_type"])) for row in rows_of(engine, GapRecord)]


def test_what_came_and_aged_out_is_not_lost_by_a_gap_that_comes_later(engine: Engine) -> None:
    enrol(engine)
    send(engine, visit(1, at=OLD), visit(2, at=OLD), at=NOW)
    forget(engine)
    assert rows_of(engine, Event) == []
    send(engine, gaps=[gap(1, 4, lost_by_type=[{"type": "visit", "count": 4}])], at=NOW)
    assert lost(engine) == [Counter(visit=2)]


def test_what_aged_out_is_known_by_type(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three of each type were dropped beyond what came, and the gap begins within a block."""
    monkeypatch.setattr(gaps, "SEQS_A_BLOCK", 8)
    enrol(engine)
    items = [visit(seq, at=OLD) if seq % 3 else tile(seq, at=OLD) for seq in range(1, 31)]
    send(engine, *items, visit(31, at=NOW), at=NOW)
    assert sum(forget(engine)) == 30
    came = {"visit": 18 + 1, "tile": 9}
    counts: list[JsonValue] = [{"type": kind, "count": count + 3} for kind, count in came.items()]
    send(engine, gaps=[gap(4, 37, lost_by_type=counts)], at=NOW)
    assert lost(engine) == [Counter(visit=3, tile=3)]


def test_a_gap_that_a_restored_database_is_told_of_knows_each_type(engine: Engine) -> None:
    """From the first seq on, as boxes declare what they no longer hold."""
    enrol(engine)
    kinds = (visit, tile, occupancy)
    for start in range(1, 2049, 64):
        send(engine, *(kinds[seq % 3](seq, at=OLD) for seq in range(start, start + 64)), at=NOW)
    forget(engine)
    counts: list[JsonValue] = [
        {"type": "visit", "count": 700},
        {"type": "tile", "count": 683},
        {"type": "occupancy", "count": 700},
    ]
    send(engine, gaps=[gap(1, 2100, reason="expired", lost_by_type=counts)], at=NOW)
    assert lost(engine) == [Counter(visit=18, occupancy=17)]


def test_the_count_of_dead_letters_outlasts_them(engine: Engine) -> None:
    enrol(engine)
    wrong = {**visit(1, at=OLD), "dwell_seconds": -1}
    send(engine, wrong, {**wrong, "seq": 2}, at=OLD)
    send(engine, wrong, at=OLD)
    Committer(engine, lambda: OLD).commit(deliver(b"[]", b"[]"))
    Committer(engine, lambda: OLD).commit(deliver(b"[]"))
    assert len(rows_of(engine, DeadLetter)) == 3
    forget(engine)
    assert rows_of(engine, DeadLetter) == []
    (box,) = rows_of(engine, Box)
    assert box["dead_letters"] == 3


def test_a_venue_has_its_own_months(engine: Engine) -> None:
    old_and_young(engine)
    set_months(engine, 14)
    assert sum(forget(engine)) == 1
    set_months(engine, 1)
    forget(engine, months=1200)
    assert seqs(engine) == []
    assert len(rows_of(engine, DeadLetter)) == 1


LEAPT = NOW + timedelta(days=3650)


@pytest.mark.parametrize(
    "later",
    [
        pytest.param([], id="nothing came since"),
        pytest.param([LEAPT], id="a box learnt its time from this clock"),
        pytest.param([NOW + timedelta(days=2000)], id="a box had learnt it from an earlier leap"),
    ],
)
@pytest.mark.parametrize("last", [NOW - DAY, None], ids=["done yesterday", "never done"])
def test_where_the_clock_has_leapt_ahead_nothing_leaves(
    engine: Engine, later: list[datetime], last: datetime | None
) -> None:
    enrol(engine)
    days = [NOW - timedelta(days=number) for number in range(0, 400, 10)]
    send(engine, *(visit(seq, at=day) for seq, day in enumerate(days, 1)), at=NOW)
    send(engine, *(visit(seq, at=at) for seq, at in enumerate(later, 101)), {**visit(111), "epoch": 1}, at=LEAPT)
    before = [rows_of(engine, model) for model in (Event, DeadLetter)]
    with pytest.raises(Conflict, match=r"says 2036-11-17T12:00:00.*days after 2026-11-20T12:00:00.*--clock-is-right"):
        forget_after(engine, last, now=LEAPT)
    assert [rows_of(engine, model) for model in (Event, DeadLetter)] == before
    assert forget_after(engine, last, now=LEAPT, clock_is_right=True) >= 40


def test_a_clock_that_was_wrong_from_the_start_lets_no_box_with_a_right_one_lose_its_events(engine: Engine) -> None:
    enrol(engine)
    send(engine, visit(1, at=NOW), at=LEAPT)
    with pytest.raises(Conflict, match="14 days after 2026-11-20T12:00:00"):
        forget(engine, now=LEAPT)


def test_a_cloud_that_was_off_for_a_month_goes_on_once_boxes_have_told_of_it(engine: Engine) -> None:
    old_and_young(engine)
    month_ago = NOW - timedelta(days=30)
    with pytest.raises(Conflict, match="14 days after 2026-10-21T12:00:00"):
        forget_after(engine, month_ago)
    send(engine, *(visit(20 + days, at=NOW - timedelta(days=days)) for days in (5, 17, 29)), at=NOW)
    assert forget_after(engine, month_ago) == 7


def test_a_young_database_that_was_off_for_a_month_has_nothing_to_doubt(engine: Engine) -> None:
    enrol(engine)
    send(engine, visit(1, at=NOW - timedelta(days=60)), at=NOW)
    assert forget_after(engine, NOW - timedelta(days=30)) == 0


def test_a_place_that_was_closed_for_a_month_is_no_leap(engine: Engine) -> None:
    enrol(engine)
    send(engine, visit(1, at=OLD), visit(2, at=NOW - timedelta(days=31)), at=NOW)
    assert forget(engine) == [1]


def test_in_an_old_database_that_was_never_relieved_events_lead_to_now_or_somebody_vouches_for_the_clock(
    engine: Engine,
) -> None:
    enrol(engine)
    days = [*range(0, 110, 10), *range(120, 430, 10)]
    send(engine, *(visit(1 + day, at=NOW - timedelta(days=day)) for day in days), at=NOW)
    with pytest.raises(Conflict, match=r"14 days after 2026-07-23T12:00:00.*--clock-is-right"):
        forget_after(engine, None)
    send(engine, visit(1001, at=NOW - timedelta(days=110)), at=NOW)
    assert forget_after(engine, None) == 3


def test_a_venue_that_keeps_its_events_for_longer_is_no_leap(engine: Engine) -> None:
    old_and_young(engine)
    set_months(engine, 24)
    assert sum(forget(engine, now=NOW + timedelta(days=60))) == 2
    assert seqs(engine) == [1, 2, 3, 4, 6, 10, 11, 12]


def test_a_place_where_nothing_comes_any_more_is_emptied_day_by_day(engine: Engine) -> None:
    enrol(engine)
    send(engine, *(visit(seq, at=YOUNG + timedelta(days=seq)) for seq in range(1, 4)), at=NOW)
    days = [NOW + timedelta(days=number) for number in range(0, 21, 2)]
    gone = [sum(forget(engine, now=day)) for day in days]
    assert (sum(gone), gone[-1]) == (3, 0)


def test_old_rows_leave_in_many_short_transactions(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    enrol(engine)
    send(engine, *(visit(seq, at=OLD) for seq in range(1, 26)), at=OLD)
    monkeypatch.setattr(retention, "ROWS_AT_ONCE", 10)
    assert forget(engine) == [10, 10, 5]
    assert seqs(engine) == []


def gaps_told(engine: Engine) -> list[tuple[str, int]]:
    return [(row["box"], row["first_seq"]) for row in rows_of(engine, GapRecord, box=None)]


def test_gaps_in_which_nothing_was_lost_leave_by_their_venues_months_and_stay_known(engine: Engine) -> None:
    enrol(engine, box="box-1", venue=VENUE)
    enrol(engine, box="box-2", venue="other-shop")
    put_into_venues(engine, {"box-1": VENUE, "box-2": "other-shop", "box-3": None})
    set_months(engine, 14)
    declared = [gap(1, 2, reason="merged"), gap(4, 5), gap(7, 8, reason="merged")]
    for box in ("box-1", "box-2", "box-3"):
        for one, at in zip(declared, (OLD, OLD, YOUNG), strict=True):
            send(engine, gaps=[one], box=box, at=at)
    receipts = rows_of(engine, Receipt, box=None)
    assert forget(engine) == [2]
    left = [("box-1", 1), *((box, seq) for box in ("box-1", "box-2", "box-3") for seq in (4, 7))]
    assert gaps_told(engine) == sorted(left)
    assert forget(engine, now=NOW + timedelta(days=60)) == [4]
    send(engine, visit(1), gaps=declared, at=NOW)
    assert rows_of(engine, Event) == []
    assert gaps_told(engine) == [("box-1", 4), ("box-2", 4), ("box-3", 4)]
    assert rows_of(engine, Receipt, box=None) == receipts


def test_gaps_leave_in_many_short_transactions(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    enrol(engine)
    send(engine, gaps=[gap(seq, seq, reason="merged") for seq in range(1, 50, 2)], at=OLD)
    monkeypatch.setattr(retention, "ROWS_AT_ONCE", 10)
    assert forget(engine) == [10, 10, 5]
    assert gaps_told(engine) == []


def test_messages_of_the_webhook_leave_once_they_are_done_with(engine: Engine) -> None:
    enrol(engine)
    alert = raise_alert(engine)
    plain = {"alert": alert, "type": "alert.raised", "body": "{}", "created_ms": to_ms(OLD), "due_ms": to_ms(OLD)}
    done = {"delivered_ms": to_ms(OLD), "given_up_ms": None}
    rows = [
        {**plain, **done, "id": "delivered"},
        {**plain, "delivered_ms": None, "given_up_ms": to_ms(OLD), "id": "given up"},
        {**plain, "delivered_ms": None, "given_up_ms": None, "id": "waiting"},
        {**plain, **done, "created_ms": to_ms(YOUNG), "id": "young"},
    ]
    with writing(engine) as connection:
        insert_rows(connection, WebhookDelivery, rows)
    forget(engine)
    assert {row["id"] for row in rows_of(engine, WebhookDelivery, box=None)} == {"waiting", "young"}


def test_the_audit_log_forgets_too(engine: Engine) -> None:
    line = {"who": "owner", "what": "user add", "subject": "ada", "venue": None, "address": "", "outcome": "done"}
    rows = [{**line, "id": name, "at_ms": to_ms(at)} for name, at in (("old", OLD), ("young", YOUNG))]
    with writing(engine) as connection:
        insert_rows(connection, AuditEntry, rows)
    assert sum(forget(engine)) == 1
    assert [row["id"] for row in rows_of(engine, AuditEntry, box=None)] == ["young"]


def put_into_venues(engine: Engine, venues: Mapping[str, str | None]) -> None:
    with writing(engine) as connection:
        insert_missing(
            connection, Box, [{"box": box, "position": 0, "state": "unknown", "status": "{}"} for box in venues]
        )
        for box, venue in venues.items():
            connection.execute(update(table_of(Box)).where(table_of(Box).c.box == box).values(venue=venue))


def set_months(engine: Engine, months: int) -> None:
    venue = next(row for row in rows_of(engine, Venue, box=None) if row["venue"] == VENUE)
    with writing(engine) as connection:
        replace(connection, Venue, [{**venue, "retention_months": months}])


@pytest.mark.parametrize(
    ("moment", "months", "found"),
    [
        pytest.param((2026, 11, 20), 13, (2025, 10, 20), id="over a year's end"),
        pytest.param((2026, 3, 31), 1, (2026, 2, 28), id="into a shorter month"),
        pytest.param((2024, 2, 29), 12, (2023, 2, 28), id="from a leap day"),
        pytest.param((2026, 12, 5), 12, (2025, 12, 5), id="December"),
        pytest.param((2026, 1, 5), 1, (2025, 12, 5), id="January"),
    ],
)
def test_months_are_those_of_the_calendar(
    moment: tuple[int, int, int], months: int, found: tuple[int, int, int]
) -> None:
    assert months_before(datetime(*moment, tzinfo=UTC), months) == datetime(*found, tzinfo=UTC)
