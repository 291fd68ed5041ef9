"""What is old leaves, and no figure changes."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, RowMapping

from cloud.ingest.commit import Committer
from cloud.store.engine import writing
from cloud.store.moments import to_ms
from cloud.store.tables import (
    AuditEntry,
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


def test_a_venue_has_its_own_months(engine: Engine) -> None:
    old_and_young(engine)
    set_months(engine, 14)
    assert sum(forget_raw_rows(engine, now=NOW, months=13)) == 1
    set_months(engine, 1)
    list(forget_raw_rows(engine, now=NOW, months=1200))
    assert seqs(engine) == []
    assert len(rows_of(engine, DeadLetter)) == 1


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
