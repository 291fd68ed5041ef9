from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import JsonValue
from sqlalchemy import Engine, RowMapping
from ulid import ULID

from cloud.ingest.commit import Acknowledgement, Committer
from cloud.ingest.intake import Refused
from cloud.ingest.tiles import decode_cells
from cloud.store.engine import reading, writing
from cloud.store.identity import lineage_of, read_identity
from cloud.store.moments import to_ms
from cloud.store.tables import (
    Box,
    DeadLetter,
    EpochRecord,
    Event,
    GapRecord,
    Held,
    Receipt,
    Rollup,
    StoreIdentity,
    Tile,
)
from cloud.store.upsert import table_of
from protocol.wire import MAX_MESSAGE_BYTES
from tests.support.envelopes import (
    BOX,
    EPOCH,
    NOW,
    JsonObject,
    crossing,
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

OTHER_EPOCH, THIRD_EPOCH = "b" * 16, "d" * 16


@pytest.fixture
def committer(engine: Engine) -> Committer:
    enrol(engine)
    made = NOW - timedelta(days=1)
    with writing(engine) as connection:
        identity = {"store": str(ULID.from_datetime(made)), "created_ms": to_ms(made)}
        connection.execute(table_of(StoreIdentity).update().values(identity))
    return Committer(engine, lambda: NOW)


def commit(committer: Committer, *payloads: bytes) -> tuple[Acknowledgement, ...]:
    return committer.commit(deliver(*payloads))


def believing(store: str, position: int, *settled: tuple[int, int]) -> JsonObject:
    """What a box says that it has seen, and holds for settled."""
    ranges: list[JsonValue] = [{"first": first, "last": last} for first, last in settled]
    return {"store": store, "position": position, "settled": ranges}


def seqs(rows: Sequence[RowMapping]) -> list[int]:
    return [row["seq"] for row in rows]


def test_an_envelope_is_stored_counted_and_acknowledged(engine: Engine, committer: Committer) -> None:
    (answer,) = commit(committer, envelope([visit(1), visit(2), crossing(3), tile(5)]))
    assert (answer.venue, answer.box) == ("corner-shop", BOX)
    assert (answer.ack.epoch, answer.ack.through, answer.ack.position) == (EPOCH, 3, 1)
    assert [(one.first, one.last) for one in answer.ack.received] == [(5, 5)]
    assert answer.ack.at == NOW
    assert seqs(rows_of(engine, Event)) == [1, 2, 3, 5]
    sums = {(row["metric"], row["subject"], row["bin"]): row["value"] for row in rows_of(engine, Rollup)}
    assert sums["visits", "floor", 0] == 2
    assert sums["dwell_ms", "floor", 0] == 85_000
    assert sums["crossings", "door", 0] == 2
    assert {row["length_seconds"] for row in rows_of(engine, Tile)} == {900, 3600, 86_400}
    with reading(engine) as connection:
        assert answer.ack.store == read_identity(connection)


def test_a_duplicate_is_acknowledged_and_changes_nothing_else(engine: Engine, committer: Committer) -> None:
    payload = envelope([visit(1), occupancy(2), tile(3), item(4, "novelty")], gaps=[gap(6, 9)])
    commit(committer, payload)
    models = (Event, Rollup, Tile, Receipt, GapRecord, Held)
    before = [rows_of(engine, model) for model in models]
    (answer,) = commit(committer, payload, payload)
    assert (answer.ack.through, answer.ack.position) == (4, 2)
    assert [rows_of(engine, model) for model in models] == before


def test_a_box_that_nobody_knows_is_made_and_its_items_wait(engine: Engine) -> None:
    (answer,) = Committer(engine, lambda: NOW).commit(deliver(envelope([visit(1)], box="stranger"), box="stranger"))
    assert answer.ack.through == 1
    assert [row["reason"] for row in rows_of(engine, Held, box="stranger")] == ["not-enrolled"]
    assert rows_of(engine, Box, box="stranger")[0]["venue"] is None
    assert rows_of(engine, Rollup, box="stranger") == []


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        pytest.param(visit(1, at=NOW + timedelta(minutes=6)), "future", id="an item from the future"),
        pytest.param({**visit(1), "venue": "elsewhere"}, "not-enrolled", id="a venue that the box never was in"),
        pytest.param(item(1, "novelty", anything=[1]), "unknown-type", id="a type of a later version"),
        pytest.param({**visit(1), "schema": 2}, "newer-schema", id="a schema of a later version"),
        pytest.param(tile(1, layer="warmth"), "newer-schema", id="a tile layer of a later version"),
    ],
)
def test_items_that_wait(engine: Engine, committer: Committer, sent: JsonObject, reason: str) -> None:
    (answer,) = commit(committer, envelope([sent]))
    assert answer.ack.through == 1
    assert [row["reason"] for row in rows_of(engine, Held)] == [reason]
    assert rows_of(engine, Event) == []
    assert rows_of(engine, Rollup) == []


def test_a_clock_slightly_ahead_is_no_future(engine: Engine, committer: Committer) -> None:
    commit(committer, envelope([visit(1, at=NOW + timedelta(minutes=5))]))
    assert seqs(rows_of(engine, Event)) == [1]


def test_an_item_without_a_place_in_time_is_stored_and_counts_nowhere(engine: Engine, committer: Committer) -> None:
    commit(committer, envelope([visit(1, at=None), tile(2, at=None), occupancy(3, at=None)]))
    assert [(row["seq"], row["at_ms"]) for row in rows_of(engine, Event)] == [(1, None), (2, None), (3, None)]
    assert rows_of(engine, Rollup) == rows_of(engine, Tile) == []


def test_a_broken_item_is_buried_and_the_rest_counts(engine: Engine, committer: Committer) -> None:
    payload = envelope([visit(1), visit(2, dwell_seconds=-1), visit(3)])
    (answer,) = commit(committer, payload)
    assert (answer.ack.through, answer.ack.rejected) == (3, (2,))
    (dead,) = rows_of(engine, DeadLetter)
    assert (dead["seq"], "dwell_seconds" in dead["reason"]) == (2, True)
    (again,) = commit(committer, payload)
    assert again.ack.rejected == (2,)
    assert len(rows_of(engine, DeadLetter)) == 1


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        pytest.param(b"\xff\x00garbage", "not JSON", id="not JSON"),
        pytest.param(b"[]", "JSON object", id="no object"),
        pytest.param(envelope([visit(1), visit(1)]), "twice", id="a seq twice"),
        pytest.param(envelope([], box="someone-else"), "box someone-else", id="another box's envelope"),
        pytest.param(envelope([visit(1, note="a\0b")]), "", id="text that PostgreSQL cannot keep"),
        pytest.param(envelope([visit(1, note="a\ud800b")]), "", id="text that is no Unicode"),
        pytest.param(b" " * (MAX_MESSAGE_BYTES + 1), "bytes", id="too large"),
        pytest.param(envelope([], seen={"position": 2**40 + 1}), "seen.position", id="more acks than there ever were"),
    ],
)
def test_a_payload_that_cannot_be_read(engine: Engine, committer: Committer, payload: bytes, said: str) -> None:
    (delivery,) = deliver(payload)
    assert isinstance(delivery, Refused)
    (answer,) = committer.commit((delivery,))
    assert (answer.ack.refused, answer.ack.epoch) == (delivery.sha256, None)
    committer.commit((delivery,))
    (dead,) = rows_of(engine, DeadLetter)
    assert said in dead["reason"]
    assert rows_of(engine, Receipt) == []


def test_a_payload_that_cannot_be_stored_is_refused_alone(engine: Engine, committer: Committer) -> None:
    good = envelope([visit(1), tile(2, cells=[0], values=[2**31 - 1])])
    bad = envelope([visit(3), tile(4, cells=[0], values=[1])])
    answers = commit(committer, good, bad, envelope([visit(5)]))
    assert [answer.ack.through for answer in answers if answer.ack.epoch] == [2, 2]
    assert [answer.ack.refused is not None for answer in answers] == [False, True, False]
    assert seqs(rows_of(engine, Event)) == [1, 2, 5]
    assert "heat-map cell" in str(rows_of(engine, DeadLetter)[0]["reason"])


def test_a_box_that_cannot_be_answered_keeps_no_other_waiting(
    engine: Engine, committer: Committer, caplog: pytest.LogCaptureFixture
) -> None:
    enrol(engine, box="box-2")
    with writing(engine) as connection:
        connection.execute(table_of(Box).update().where(table_of(Box).c.box == BOX).values(position=2**40))
    good = deliver(envelope([visit(1)], box="box-2"), box="box-2")
    answers = committer.commit((*deliver(envelope([visit(1)])), *good))
    assert [(answer.box, answer.ack.through) for answer in answers] == [("box-2", 1)]
    assert "box-1 could not even be refused" in caplog.text


@pytest.mark.parametrize(
    ("before", "gaps", "kept"),
    [
        pytest.param([1, 2], [gap(3, 5)], [(3, 5)], id="a gap after what came"),
        pytest.param([1, 4], [gap(1, 6)], [(2, 3), (5, 6)], id="a gap leaves out what came"),
        pytest.param([1], [gap(2, 4), gap(3, 7)], [(2, 4), (5, 7)], id="overlapping gaps count once"),
        pytest.param([1], [gap(2, 4), gap(2, 4)], [(2, 4)], id="a gap declared twice"),
    ],
)
def test_gaps(
    engine: Engine, committer: Committer, before: list[int], gaps: list[JsonObject], kept: list[tuple[int, int]]
) -> None:
    commit(committer, envelope([visit(seq) for seq in before]))
    for declared in gaps:
        commit(committer, envelope(gaps=[declared]))
    assert [(row["first_seq"], row["last_seq"]) for row in rows_of(engine, GapRecord)] == kept


def test_an_item_that_comes_after_its_gap_no_longer_counts(engine: Engine, committer: Committer) -> None:
    (answer,) = commit(committer, envelope(gaps=[gap(1, 3)]), envelope([visit(2), visit(4)]))
    assert answer.ack.through == 4
    assert seqs(rows_of(engine, Event)) == [4]


def test_a_gap_of_another_epoch_is_acknowledged_for_that_epoch(committer: Committer) -> None:
    answers = commit(committer, envelope([visit(1)], gaps=[gap(1, 9, epoch=OTHER_EPOCH, reason="expired")]))
    assert {answer.ack.epoch: answer.ack.through for answer in answers} == {EPOCH: 1, OTHER_EPOCH: 9}
    assert sorted(answer.ack.position for answer in answers) == [1, 2]


def test_what_a_gap_lost_stands_once_and_without_what_came(engine: Engine, committer: Committer) -> None:
    lost: list[JsonValue] = [{"type": "visit", "count": 5}, {"type": "tile", "count": 1}]
    commit(committer, envelope([visit(3), tile(4)]), envelope(gaps=[gap(1, 6, lost_by_type=lost)]))
    assert [row["lost_by_type"] for row in rows_of(engine, GapRecord)] == ['[{"type":"visit","count":4}]', "[]"]


def test_a_gap_that_reaches_over_one_declared_before_counts_only_what_is_new(
    engine: Engine, committer: Committer
) -> None:
    for last in (4, 6):
        lost: list[JsonValue] = [{"type": "visit", "count": last}]
        commit(committer, envelope(gaps=[gap(1, last, reason="expired", lost_by_type=lost)]))
    assert [row["lost_by_type"] for row in rows_of(engine, GapRecord)] == [
        '[{"type":"visit","count":4}]',
        '[{"type":"visit","count":2}]',
    ]


def test_many_rejected_items_take_several_acks(committer: Committer) -> None:
    broken = [item(seq, "visit") for seq in range(1, 502)]
    answers = commit(committer, envelope(broken[:300]), envelope(broken[300:]))
    assert [len(answer.ack.rejected) for answer in answers] == [200, 200, 101]
    assert [answer.ack.position for answer in answers] == [1, 2, 3]


def test_an_ack_stays_under_the_size_of_a_message(committer: Committer) -> None:
    far = 9_000_000
    for start in range(0, 1200, 200):
        (answer,) = commit(committer, envelope(gaps=[gap(far + 2 * n, far + 2 * n) for n in range(start, start + 200)]))
    assert len(answer.ack.received) == 1000
    assert len(answer.ack.to_json().encode()) < MAX_MESSAGE_BYTES


class TestClone:
    """A head that returns after another took over."""

    def test_a_restart_is_no_clone(self, engine: Engine, committer: Committer) -> None:
        commit(committer, envelope([visit(1)], sent_at=NOW - timedelta(minutes=9)))
        commit(committer, envelope([visit(1)], epoch=OTHER_EPOCH, sent_at=NOW - timedelta(minutes=8)))
        commit(committer, envelope([visit(2)], epoch=EPOCH, head=OTHER_EPOCH, sent_at=NOW))
        assert not any(row["cloned"] for row in rows_of(engine, EpochRecord))
        assert len(rows_of(engine, Event)) == 3

    @pytest.mark.parametrize(
        ("sent_after_minutes", "seq", "is_clone"),
        [
            pytest.param(5, 2, True, id="sent later, with new items"),
            pytest.param(5, 1, False, id="sent later, with nothing new"),
            pytest.param(-5, 2, False, id="sent before, and late on its way"),
            pytest.param(None, 2, False, id="sent by a box without a clock"),
        ],
    )
    def test_a_returning_head(
        self, engine: Engine, committer: Committer, sent_after_minutes: int | None, seq: int, *, is_clone: bool
    ) -> None:
        commit(committer, envelope([visit(1)], sent_at=NOW - timedelta(minutes=9)))
        commit(committer, envelope([visit(1)], epoch=OTHER_EPOCH, sent_at=NOW))
        sent_at = None if sent_after_minutes is None else NOW + timedelta(minutes=sent_after_minutes)
        (answer,) = commit(committer, envelope([visit(seq)], sent_at=sent_at))
        assert answer.ack.through == seq
        flags = {row["epoch"]: row["cloned"] for row in rows_of(engine, EpochRecord)}
        assert flags == {EPOCH: is_clone, OTHER_EPOCH: False}
        assert [row["reason"] for row in rows_of(engine, Held)] == ["clone"] * is_clone
        assert rows_of(engine, Box)[0]["head"] == OTHER_EPOCH

    def test_the_writer_comes_back_from_a_head_first_seen_late(self, engine: Engine, committer: Committer) -> None:
        commit(committer, envelope([visit(1)], epoch=OTHER_EPOCH, sent_at=NOW - timedelta(minutes=1)))
        commit(committer, envelope([visit(1)], epoch=EPOCH, sent_at=NOW - timedelta(minutes=2)))
        for minute in range(3):
            sent_at = NOW + timedelta(minutes=minute)
            commit(committer, envelope([visit(2 + minute)], epoch=OTHER_EPOCH, sent_at=sent_at))
        assert rows_of(engine, Box)[0]["head"] == OTHER_EPOCH
        assert not any(row["cloned"] for row in rows_of(engine, EpochRecord))
        assert len(rows_of(engine, Event)) == 5

    @pytest.mark.parametrize("ahead_seconds", [8, 3600])
    def test_a_clock_that_steps_back_at_a_restart_makes_no_clone(self, engine: Engine, ahead_seconds: int) -> None:
        enrol(engine)
        steps = [
            (0, EPOCH, ahead_seconds),
            (3, OTHER_EPOCH, 3),
            (4, EPOCH, ahead_seconds + 2),  # sent before the restart
            (10, OTHER_EPOCH, 10),
            (300, OTHER_EPOCH, 300),
        ]
        for seq, (arrives, epoch, sent) in enumerate(steps, 1):
            now = NOW + timedelta(seconds=arrives)
            payload = envelope([visit(seq)], epoch=epoch, sent_at=NOW + timedelta(seconds=sent))
            Committer(engine, lambda now=now: now).commit(deliver(payload))  # type: ignore[misc]
        assert rows_of(engine, Box)[0]["head"] == OTHER_EPOCH
        assert not any(row["cloned"] for row in rows_of(engine, EpochRecord))
        assert len(rows_of(engine, Event)) == 5

    @pytest.mark.parametrize("apart_minutes", [-60, 0, 60])
    def test_two_writers_are_found_whatever_their_clocks(self, engine: Engine, apart_minutes: int) -> None:
        enrol(engine)
        for minute in range(150):
            now = NOW + timedelta(minutes=minute)
            epoch, off = (EPOCH, timedelta()) if minute % 2 else (OTHER_EPOCH, timedelta(minutes=apart_minutes))
            payload = envelope([visit(minute + 1)], epoch=epoch, sent_at=now + off)
            Committer(engine, lambda now=now: now).commit(deliver(payload))  # type: ignore[misc]
        assert sum(row["cloned"] for row in rows_of(engine, EpochRecord)) == 1

    def test_a_box_whose_clock_is_fast_is_no_clone(self, engine: Engine, committer: Committer) -> None:
        fast = timedelta(hours=3)
        commit(committer, envelope([visit(1)], sent_at=NOW + fast))
        commit(committer, envelope([visit(1)], epoch=OTHER_EPOCH, sent_at=NOW + fast + timedelta(minutes=1)))
        commit(committer, envelope([visit(2)], sent_at=NOW + fast + timedelta(seconds=30)))
        assert not any(row["cloned"] for row in rows_of(engine, EpochRecord))

    def test_items_written_before_the_copy_still_count(self, engine: Engine, committer: Committer) -> None:
        commit(committer, envelope([visit(1)], epoch=EPOCH, sent_at=NOW - timedelta(minutes=9)))
        commit(committer, envelope([visit(1)], epoch=OTHER_EPOCH, sent_at=NOW - timedelta(minutes=8)))
        commit(committer, envelope([visit(1)], epoch=THIRD_EPOCH, sent_at=NOW - timedelta(minutes=7)))
        commit(committer, envelope([visit(2)], epoch=OTHER_EPOCH, sent_at=NOW + timedelta(minutes=1)))
        commit(committer, envelope([visit(2)], epoch=EPOCH, head=OTHER_EPOCH, sent_at=NOW + timedelta(minutes=1)))
        assert [(row["epoch"], row["seq"]) for row in rows_of(engine, Held)] == [(OTHER_EPOCH, 2)]


class TestRestoredDatabase:
    """A box that has seen what the database does not hold."""

    def store(self, engine: Engine) -> str:
        return str(rows_of(engine, StoreIdentity, box=None)[0]["store"])

    @pytest.mark.parametrize(
        ("position", "renewed"),
        [pytest.param(1, False, id="as far as we are"), pytest.param(2, True, id="further than we are")],
    )
    def test_the_position_that_a_box_has_seen(
        self, engine: Engine, committer: Committer, position: int, *, renewed: bool
    ) -> None:
        commit(committer, envelope([visit(1)]))
        old = self.store(engine)
        (answer,) = commit(committer, envelope([visit(2)], seen={"store": old, "position": position}))
        assert (self.store(engine) > old) is renewed
        assert answer.ack.store == self.store(engine)
        assert answer.ack.position == 2

    def test_a_store_restored_twice_is_newer_than_both(self, engine: Engine, committer: Committer) -> None:
        commit(committer, envelope([visit(1)]))
        (backup,) = rows_of(engine, StoreIdentity, box=None)
        commit(committer, envelope([visit(2)], seen={"store": backup["store"], "position": 9}))
        first = self.store(engine)
        with writing(engine) as connection:
            connection.execute(table_of(StoreIdentity).update().values(dict(backup)))
        (answer,) = commit(committer, envelope([visit(3)], seen={"store": first, "position": 1}))
        assert answer.ack.store > first
        assert lineage_of(answer.ack.store) == lineage_of(first) == lineage_of(backup["store"])

    def test_a_claimed_position_is_never_taken_over(self, engine: Engine, committer: Committer) -> None:
        (first,) = commit(committer, envelope([visit(1)]))
        claim: JsonObject = {"store": first.ack.store, "position": 2**40}
        positions = [commit(committer, envelope([visit(2)], seen=seen))[0].ack.position for seen in (claim, None)]
        assert positions == [2, 3]

    def test_a_box_that_is_ahead_is_given_no_ack_to_take_until_the_store_may_be_renewed(self, engine: Engine) -> None:
        commit(Committer(engine, lambda: NOW), envelope([visit(1)], seen={"store": self.store(engine), "position": 9}))
        renewed = self.store(engine)
        seen: JsonObject = {"store": renewed, "position": 3}
        for minutes in (1, 10, 59):
            soon = Committer(engine, lambda minutes=minutes: NOW + timedelta(minutes=minutes))  # type: ignore[misc]
            (answer,) = commit(soon, envelope([visit(1 + minutes)], seen=seen))
            assert (answer.ack.store, answer.ack.position) == (renewed, 1)
        (answer,) = commit(Committer(engine, lambda: NOW + timedelta(hours=1)), envelope([visit(99)], seen=seen))
        assert answer.ack.store > renewed

    def test_no_box_renews_the_store_more_than_once_an_hour(
        self, engine: Engine, committer: Committer, caplog: pytest.LogCaptureFixture
    ) -> None:
        stores = []
        for minutes in (0, 10, 59, 60, 61):
            later = Committer(engine, lambda minutes=minutes: NOW + timedelta(minutes=minutes))  # type: ignore[misc]
            seen: JsonObject = {"store": self.store(engine), "position": 1000 * (minutes + 1)}
            (answer,) = commit(later, envelope([visit(1 + minutes)], seen=seen))
            stores.append(answer.ack.store)
        assert [stores.index(store) for store in stores] == [0, 0, 0, 3, 3]
        assert caplog.text.count(f"Box {BOX} has seen acks") == 2

    def test_an_identity_from_a_clock_since_corrected_can_be_renewed(
        self, engine: Engine, committer: Committer
    ) -> None:
        with writing(engine) as connection:
            connection.execute(table_of(StoreIdentity).update().values(created_ms=to_ms(NOW + timedelta(days=1))))
        old = self.store(engine)
        (answer,) = commit(committer, envelope([visit(1)], seen={"store": old, "position": 9}))
        assert answer.ack.store > old

    @pytest.mark.parametrize(
        ("claims", "renewed"),
        [
            pytest.param([], False, id="nothing settled"),
            pytest.param([(1, 7)], False, id="all that came"),
            pytest.param([(2, 3), (5, 5), (9, 9)], False, id="a part of what came"),
            pytest.param([(4, 4)], False, id="an item that waits"),
            pytest.param([(5, 5)], False, id="an item that was rejected"),
            pytest.param([(6, 7)], False, id="a gap"),
            pytest.param([(1, 8)], True, id="one more than came"),
            pytest.param([(1, 3), (8, 8)], True, id="a seq between"),
            pytest.param([(8, 9)], True, id="a range that begins in a hole"),
            pytest.param([(11, 20)], True, id="all beyond"),
        ],
    )
    def test_the_seqs_that_a_box_holds_for_settled(
        self, engine: Engine, committer: Committer, claims: list[tuple[int, int]], *, renewed: bool
    ) -> None:
        broken = {**visit(5), "dwell_seconds": -1.0}
        sent = [visit(1), visit(2), crossing(3), item(4, "novelty"), broken, visit(9), visit(10)]
        (first,) = commit(committer, envelope(sent, gaps=[gap(6, 7)]))
        assert (first.ack.through, first.ack.rejected) == (7, (5,))
        old = self.store(engine)
        (answer,) = commit(committer, envelope([visit(21)], seen=believing(old, 1, *claims)))
        assert (self.store(engine) > old) is renewed
        assert (answer.ack.store, answer.ack.position) == (self.store(engine), 2)

    def test_what_came_a_second_time_does_not_hide_a_restored_database(
        self, engine: Engine, committer: Committer
    ) -> None:
        old = self.store(engine)
        stale = envelope([visit(1)], seen={"position": 0})
        for _ in range(5):
            commit(committer, stale)
        (answer,) = commit(committer, envelope(seen=believing(old, 3, (1, 2))))
        assert answer.ack.store > old
        assert answer.ack.through == 1

    def test_an_epoch_that_never_came_may_not_be_settled(self, engine: Engine, committer: Committer) -> None:
        commit(committer, envelope([visit(1)]))
        old = self.store(engine)
        commit(committer, envelope(epoch=OTHER_EPOCH, head=EPOCH, seen=believing(old, 1, (1, 1))))
        assert self.store(engine) > old

    @pytest.mark.parametrize("settled", [(1, 1), (1, 99)])
    def test_what_was_settled_by_another_store_tells_nothing(
        self, engine: Engine, committer: Committer, settled: tuple[int, int]
    ) -> None:
        commit(committer, envelope([visit(1)]))
        store = self.store(engine)
        before = str(ULID.from_datetime(NOW - timedelta(days=2)))
        commit(committer, envelope([visit(2)], seen=believing(before, 1, settled)))
        assert self.store(engine) == store

    def test_one_loss_renews_the_store_once(self, engine: Engine, committer: Committer) -> None:
        old = self.store(engine)
        late = [envelope([visit(seq)], seen=believing(old, 2, (8, 9))) for seq in (1, 2, 3)]
        commit(committer, *late)
        renewed = self.store(engine)
        for minutes in (1, 90):
            commit(Committer(engine, lambda minutes=minutes: NOW + timedelta(minutes=minutes)), *late)  # type: ignore[misc]
        assert renewed > old
        assert self.store(engine) == renewed

    def test_a_box_that_lost_something_is_given_no_ack_to_take_until_the_store_may_be_renewed(
        self, engine: Engine
    ) -> None:
        commit(Committer(engine, lambda: NOW), envelope([visit(1)], seen={"store": self.store(engine), "position": 9}))
        renewed = self.store(engine)
        stale = envelope([visit(1)], seen={"position": 0})
        for minutes in (1, 10, 59):
            soon = Committer(engine, lambda minutes=minutes: NOW + timedelta(minutes=minutes))  # type: ignore[misc]
            for _ in range(5):
                commit(soon, stale)
            (answer,) = commit(soon, envelope([visit(1 + minutes)], seen=believing(renewed, 4, (100, 101))))
            assert (answer.ack.store, answer.ack.position) == (renewed, 4)
        later = Committer(engine, lambda: NOW + timedelta(hours=1))
        (answer,) = commit(later, envelope([visit(99)], seen=believing(renewed, 4, (100, 101))))
        assert answer.ack.store > renewed

    def test_a_revoked_box_renews_nothing(self, engine: Engine, committer: Committer) -> None:
        old = self.store(engine)
        with writing(engine) as connection:
            connection.execute(table_of(Box).update().values(revoked_ms=to_ms(NOW)))
        assert commit(committer, envelope(seen=believing(old, 3, (1, 2)))) == ()
        assert self.store(engine) == old

    def test_a_clone_of_a_box_renews_nothing(self, engine: Engine, committer: Committer) -> None:
        commit(committer, envelope([visit(1)], epoch=EPOCH, sent_at=NOW - timedelta(minutes=9)))
        commit(committer, envelope([visit(1)], epoch=OTHER_EPOCH, sent_at=NOW - timedelta(minutes=8)))
        old = self.store(engine)
        for seq, epoch in ((2, EPOCH), (2, OTHER_EPOCH), (3, EPOCH)):
            seen = believing(old, 1, (1, seq - 1))
            commit(committer, envelope([visit(seq)], epoch=epoch, sent_at=NOW + timedelta(minutes=seq), seen=seen))
        assert [row["epoch"] for row in rows_of(engine, EpochRecord) if row["cloned"]] == [EPOCH]
        assert self.store(engine) == old

    @pytest.mark.parametrize("year", [2027, 2038, 2106])
    def test_a_store_made_while_the_clock_of_the_cloud_ran_ahead_is_followed(
        self, engine: Engine, committer: Committer, year: int
    ) -> None:
        """As a back-up from before that is restored: boxes take no ack of an older store than they saw."""
        seen = str(ULID.from_datetime(datetime(year, 2, 7, tzinfo=UTC)))
        (answer,) = commit(committer, envelope([visit(1)], seen={"store": seen, "position": 9}))
        assert answer.ack.store > seen
        soon = Committer(engine, lambda: NOW + timedelta(hours=2))
        (again,) = commit(soon, envelope([visit(2)], seen={"store": answer.ack.store, "position": 1}))
        assert again.ack.store == answer.ack.store

    def test_a_store_from_the_far_future_is_not_believed(self, engine: Engine, committer: Committer) -> None:
        old = self.store(engine)
        commit(committer, envelope([visit(1)], seen={"store": "7" + "Z" * 25, "position": 9}))
        assert self.store(engine) == old
        assert len(rows_of(engine, Event)) == 1


def test_a_tile_that_is_damaged_here_is_no_fault_of_what_comes(engine: Engine, committer: Committer) -> None:
    commit(committer, envelope([tile(1)]))
    with writing(engine) as connection:
        connection.execute(table_of(Tile).update().values(cells=b"damaged"))
    (answer,) = commit(committer, envelope([tile(2), visit(3)]))
    assert (answer.ack.through, answer.ack.refused) == (3, None)
    assert rows_of(engine, DeadLetter) == []
    assert [int(decode_cells(row["cells"]).sum()) for row in rows_of(engine, Tile)] == [10, 10, 10]


def test_two_epochs_of_one_box_do_not_mix(engine: Engine, committer: Committer) -> None:
    answers = commit(committer, envelope([visit(1)]), envelope([visit(1), visit(2)], epoch=OTHER_EPOCH))
    assert {answer.ack.epoch: answer.ack.through for answer in answers} == {EPOCH: 1, OTHER_EPOCH: 2}
    assert len(rows_of(engine, Event)) == 3


def test_boxes_of_one_batch_are_answered_each(engine: Engine, committer: Committer) -> None:
    enrol(engine, box="box-0")
    both = (*deliver(envelope([visit(1)])), *deliver(envelope([visit(1)], box="box-0"), box="box-0"))
    assert sorted((answer.box, answer.ack.position) for answer in committer.commit(both)) == [("box-0", 1), (BOX, 1)]


def test_an_enrolment_ends(engine: Engine) -> None:
    enrol(engine, start=NOW - timedelta(hours=3), end=NOW - timedelta(hours=1))
    moments = [NOW - timedelta(hours=4), NOW - timedelta(hours=2), NOW - timedelta(hours=1)]
    Committer(engine, lambda: NOW).commit(deliver(envelope([visit(seq, at=at) for seq, at in enumerate(moments, 1)])))
    assert [row["at_ms"] for row in rows_of(engine, Event)] == [to_ms(moments[1])]
    assert seqs(rows_of(engine, Held)) == [1, 3]
