"""What is old leaves, and no figure changes."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import JsonValue
from sqlalchemy import Engine, RowMapping

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
from cloud.store.upsert import insert_rows, replace
from cloud.upkeep import retention
from cloud.upkeep.retention import forget_raw_rows, months_before
from tests.support.alerts import raise_alert
from tests.support.envelopes import (
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
SUMS = (Rollup, RollupPeak, Tile, Receipt, GapRecord, Layout, Certificate, Held)


def send(engine: Engine, *items: JsonObject, at: datetime, **fields: object) -> None:
    """A box's envelope, taken in at a moment."""
    Committer(engine, lambda: at).commit(deliver(envelope(items, **fields)))  # type: ignore[arg-type]


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
    gone = sum(forget_raw_rows(engine, now=NOW, months=13))
    assert seqs(engine) == [11, 12]
    assert [row["seq"] for row in rows_of(engine, DeadLetter)] == [13]
    assert gone == 7
    assert sums(engine) == before


def test_what_comes_again_after_its_row_has_gone_does_not_count_again(engine: Engine) -> None:
    old_and_young(engine)
    before = sums(engine)
    list(forget_raw_rows(engine, now=NOW, months=13))
    send(engine, visit(2, at=OLD), tile(4, at=OLD), visit(10, at=None), at=NOW)
    assert seqs(engine) == [11, 12]
    assert sums(engine) == before


def lost(engine: Engine) -> list[Counter[str]]:
    return [Counter(lost_by_type(row["lost_by_type"])) for row in rows_of(engine, GapRecord)]


def test_what_came_and_aged_out_is_not_lost_by_a_gap_that_comes_later(engine: Engine) -> None:
    enrol(engine)
    send(engine, visit(1, at=OLD), visit(2, at=OLD), at=NOW)
    list(forget_raw_rows(engine, now=NOW, months=13))
    assert rows_of(engine, Event) == []
    send(engine, gaps=[gap(1, 4, lost_by_type=[{"type": "visit", "count": 4}])], at=NOW)
    assert lost(engine) == [Counter(visit=2)]


def test_what_aged_out_is_known_by_type(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three of each type were dropped beyond what came, and the gap begins within a block."""
    monkeypatch.setattr(gaps, "SEQS_A_BLOCK", 8)
    enrol(engine)
    items = [visit(seq, at=OLD) if seq % 3 else tile(seq, at=OLD) for seq in range(1, 31)]
    send(engine, *items, visit(31, at=NOW), at=NOW)
    assert sum(forget_raw_rows(engine, now=NOW, months=13)) == 30
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
    list(forget_raw_rows(engine, now=NOW, months=13))
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
    list(forget_raw_rows(engine, now=NOW, months=13))
    assert rows_of(engine, DeadLetter) == []
    (box,) = rows_of(engine, Box)
    assert box["dead_letters"] == 3


def test_a_venue_has_its_own_months(engine: Engine) -> None:
    old_and_young(engine)
    set_months(engine, 14)
    assert sum(forget_raw_rows(engine, now=NOW, months=13)) == 1
    set_months(engine, 1)
    list(forget_raw_rows(engine, now=NOW, months=1200))
    assert seqs(engine) == []
    assert len(rows_of(engine, DeadLetter)) == 1


def test_where_the_clock_has_leapt_ahead_nothing_leaves(engine: Engine) -> None:
    old_and_young(engine)
    send(engine, visit(21, at=NOW), at=NOW)
    before = [rows_of(engine, model) for model in (Event, DeadLetter)]
    leapt = NOW + timedelta(days=3650)
    with pytest.raises(Conflict, match=r"clock, 2036-11-17T12:00:00\S*, .* of 2026-11-20T12:00:00.*--clock-is-right"):
        list(forget_raw_rows(engine, now=leapt, months=13))
    assert [rows_of(engine, model) for model in (Event, DeadLetter)] == before
    assert sum(forget_raw_rows(engine, now=leapt, months=13, clock_is_right=True)) == 11
    assert sum(forget_raw_rows(engine, now=leapt, months=13)) == 0


def test_a_venue_that_keeps_its_events_for_longer_is_no_leap(engine: Engine) -> None:
    old_and_young(engine)
    set_months(engine, 24)
    assert sum(forget_raw_rows(engine, now=NOW + timedelta(days=60), months=13)) == 2
    assert seqs(engine) == [1, 2, 3, 4, 6, 10, 11, 12]


def test_a_place_where_nothing_comes_any_more_is_emptied_day_by_day(engine: Engine) -> None:
    enrol(engine)
    send(engine, *(visit(seq, at=YOUNG + timedelta(days=seq)) for seq in range(1, 4)), at=NOW)
    days = [NOW + timedelta(days=number) for number in range(0, 21, 2)]
    gone = [sum(forget_raw_rows(engine, now=day, months=13)) for day in days]
    assert (sum(gone), gone[-1]) == (3, 0)


def test_old_rows_leave_in_many_short_transactions(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    enrol(engine)
    send(engine, *(visit(seq, at=OLD) for seq in range(1, 26)), at=OLD)
    monkeypatch.setattr(retention, "ROWS_AT_ONCE", 10)
    assert list(forget_raw_rows(engine, now=NOW, months=13)) == [10, 10, 5]
    assert seqs(engine) == []


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
    list(forget_raw_rows(engine, now=NOW, months=13))
    assert {row["id"] for row in rows_of(engine, WebhookDelivery, box=None)} == {"waiting", "young"}


def test_the_audit_log_forgets_too(engine: Engine) -> None:
    line = {"who": "owner", "what": "user add", "subject": "ada", "venue": None, "address": "", "outcome": "done"}
    rows = [{**line, "id": name, "at_ms": to_ms(at)} for name, at in (("old", OLD), ("young", YOUNG))]
    with writing(engine) as connection:
        insert_rows(connection, AuditEntry, rows)
    assert sum(forget_raw_rows(engine, now=NOW, months=13)) == 1
    assert [row["id"] for row in rows_of(engine, AuditEntry, box=None)] == ["young"]


def set_months(engine: Engine, months: int) -> None:
    (venue,) = rows_of(engine, Venue, box=None)
    assert venue["venue"] == VENUE
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
