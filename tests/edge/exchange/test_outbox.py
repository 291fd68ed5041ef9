import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from edge.errors import ExchangeError
from edge.exchange.batch import Batch
from edge.exchange.outbox import Outbox, Verdict
from edge.exchange.schema import FILE_NAME, State, writing
from edge.exchange.writer import Budget, Writer
from protocol.acks import Ack
from tests.support.exchange import NTP, ORIGIN, STORES, Exchange, acked, configuration, filled, opened, visit

EPOCH = f"{1:016x}"


@dataclass(kw_only=True)
class Ends:
    """Both ends of one exchange: `count` items wait."""

    exchange: Exchange
    writer: Writer
    outbox: Outbox

    def claim(self, *, at: float = 0.0, window: int = 2000, lapse: float = 30.0) -> list[int]:
        claimed = self.outbox.claim(now_ms=round(at * 1000), window=window, lapse_ms=round(lapse * 1000))
        return [item.seq for item in claimed]

    def settle(self, ack: Ack) -> Verdict:
        return self.outbox.settle(ack, now_ms=0)

    def reopen(self) -> None:
        """Vision starts again."""
        self.writer.__exit__(None, None, None)
        self.writer = self.exchange.writer().__enter__()

    def in_state(self, state: State) -> list[int]:
        return [seq for seq, found in self.exchange.states().items() if found == state]


@pytest.fixture
def ends(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Ends]:
    exchange = Exchange(folder=tmp_path)
    writer = exchange.writer().__enter__()
    writer.offer_fix(NTP)
    filled(writer, exchange, getattr(request, "param", 10) - 1)
    with exchange.outbox() as outbox:
        ends = Ends(exchange=exchange, writer=writer, outbox=outbox)
        yield ends
        ends.writer.__exit__(None, None, None)


@pytest.mark.parametrize("ends", [3000], indirect=True)
def test_at_most_a_window_is_unacknowledged(ends: Ends) -> None:
    assert len(ends.claim()) == 2000
    assert ends.claim() == []
    ends.settle(acked(1, through=700))
    assert len(ends.claim()) == 700


@pytest.mark.parametrize("ends", [3000], indirect=True)
def test_a_quarter_of_each_claim_is_of_the_newest(ends: Ends) -> None:
    assert ends.claim() == [*range(1, 1501), *range(2501, 3001)]
    ends.settle(acked(1, through=4))
    assert ends.claim() == [1501, 1502, 1503, 2500]
    ends.settle(acked(2, through=5))
    assert ends.claim() == [1504]


@pytest.mark.parametrize("ends", [3000], indirect=True)
def test_a_configuration_goes_with_the_first_item_made_under_it(ends: Ends) -> None:
    later = replace(ORIGIN, config="f" * 32)
    ends.writer.commit(Batch(origin=later, drafts=[configuration(), *(visit() for _ in range(1000))]))
    claimed = ends.claim()
    assert claimed[-500:] == [3001, *range(3503, 4002)]
    assert len(claimed) == 2000


@pytest.mark.parametrize(("attempts", "seconds"), [(1, 30), (2, 60), (3, 120), (5, 480), (6, 600), (12, 600)])
def test_a_claim_lapses_after_a_time_that_grows_with_each_attempt(ends: Ends, attempts: int, seconds: int) -> None:
    now = 0.0
    for _ in range(attempts):
        assert len(ends.claim(at=now)) == 10
        now += 601
    sent = now - 601
    assert ends.claim(at=sent + seconds - 0.001) == []
    assert len(ends.claim(at=sent + seconds)) == 10


def test_a_new_connection_makes_all_claims_lapse_at_once(ends: Ends) -> None:
    ends.claim()
    ends.outbox.release_claims()
    assert ends.claim() == list(range(1, 11))


def test_on_a_new_connection_the_back_off_begins_anew(ends: Ends) -> None:
    for at in (0.0, 30.0, 90.0, 210.0):
        assert len(ends.claim(at=at)) == 10, f"it lapses after twice as long each time; not at {at}"
    ends.outbox.release_claims()
    assert len(ends.claim(at=220.0)) == 10
    assert ends.claim(at=279.0) == []
    assert len(ends.claim(at=280.0)) == 10


def test_what_never_left_is_given_back(ends: Ends) -> None:
    ends.claim()
    ends.settle(acked(1, through=2))
    ends.outbox.unclaim(EPOCH, [2, 3, 4])
    assert ends.claim() == [3, 4]


def test_an_answer_settles_what_it_names_and_nothing_else(ends: Ends) -> None:
    ends.claim()
    assert ends.settle(acked(1, through=3, received=[(5, 6), (9, 9)], rejected=[6])) is Verdict.TAKEN
    assert ends.in_state(State.SETTLED) == [1, 2, 3, 5, 9]
    assert ends.in_state(State.REJECTED) == [6]
    assert ends.in_state(State.CLAIMED) == [4, 7, 8, 10]
    assert (ends.outbox.seen().store, ends.outbox.seen().position) == (STORES[1], 1)


@pytest.mark.parametrize(
    ("ack", "verdict"),
    [
        pytest.param(acked(5, through=9), Verdict.OLD_POSITION, id="the same position again"),
        pytest.param(acked(4, through=9), Verdict.OLD_POSITION, id="a lower position"),
        pytest.param(acked(99, through=9, store=STORES[1]), Verdict.OLD_STORE, id="an older store"),
        pytest.param(acked(6, through=11, store=STORES[2]), Verdict.BEYOND_SENT, id="through beyond what was sent"),
        pytest.param(acked(6, received=[(9, 11)], store=STORES[2]), Verdict.BEYOND_SENT, id="received beyond"),
        pytest.param(acked(6, rejected=[11], store=STORES[2]), Verdict.BEYOND_SENT, id="rejected beyond"),
        pytest.param(acked(1, through=11, store=STORES[3]), Verdict.BEYOND_SENT, id="beyond, and a new store"),
        pytest.param(acked(6, epoch="f" * 16, through=9), Verdict.OLD_STORE, id="unknown epoch under an older store"),
        pytest.param(
            acked(6, epoch="f" * 16, through=9, store=STORES[2]), Verdict.UNKNOWN_EPOCH, id="an epoch never had"
        ),
    ],
)
def test_an_answer_that_may_not_be_taken_changes_nothing(ends: Ends, ack: Ack, verdict: Verdict) -> None:
    ends.claim()
    ends.writer.commit(Batch(origin=ORIGIN, drafts=[visit(), visit()]))
    ends.settle(acked(5, through=2, store=STORES[2]))
    if verdict is Verdict.OLD_POSITION:
        ack = ack.model_copy(update={"store": STORES[2]})
    everything = ("SELECT * FROM item", "SELECT * FROM epoch", "SELECT * FROM meta", "SELECT * FROM gap")
    before = [ends.exchange.rows(query) for query in everything]
    assert ends.settle(ack) is verdict
    assert [ends.exchange.rows(query) for query in everything] == before


def test_an_earlier_epoch_is_settled_as_far_as_it_reaches(ends: Ends) -> None:
    ends.claim()
    ends.reopen()
    assert ends.settle(acked(1, through=10_000)) is Verdict.TAKEN
    assert ends.in_state(State.SETTLED) == list(range(1, 11))
    assert ends.exchange.rows("SELECT through FROM epoch WHERE epoch = ?", EPOCH) == [(10,)]


def test_a_lost_answer_leads_to_sending_again_and_to_nothing_else(ends: Ends) -> None:
    first = ends.claim()
    assert ends.claim(at=31) == first
    assert len(ends.exchange.bodies()) == 10
    ends.settle(acked(2, through=10))
    assert ends.claim(at=10_000) == []
    assert len(ends.exchange.bodies()) == 10  # kept, should the cloud be restored


def test_a_new_store_gets_all_that_is_held_and_is_told_what_is_not(ends: Ends) -> None:
    ends.exchange.budget = Budget(keep_settled_seconds=5)
    ends.reopen()
    ends.claim()
    ends.settle(acked(1, through=4))
    ends.exchange.now += 200
    ends.writer.commit(Batch(origin=ORIGIN, drafts=[visit(at=200)]))
    assert sorted(ends.exchange.states()) == [1, 5, 6, 7, 8, 9, 10]
    ends.settle(acked(2, through=4, rejected=[7]))
    assert ends.settle(acked(1, through=0, store=STORES[2])) is Verdict.NEW_STORE
    assert ends.claim() == [1, 5, 6, 7, 8, 9, 10, 1]
    (gap,) = ends.outbox.gaps()
    assert (gap.epoch, gap.from_seq, gap.to_seq, gap.reason) == (EPOCH, 2, 4, "expired")
    assert [(one.type, one.count) for one in gap.lost_by_type] == [("visit", 3)]
    ends.settle(acked(2, through=10, store=STORES[2]))
    assert ends.outbox.gaps() == []
    ends.settle(acked(1, through=0, store=STORES[3]))
    assert len(ends.outbox.gaps()) == 1


def test_a_gap_is_sent_until_the_cloud_knows_of_all_of_it(ends: Ends) -> None:
    ends.claim()
    for seq in (3, 6, 9):
        ends.outbox.quarantine(EPOCH, seq, now_ms=0)
    assert [gap.from_seq for gap in ends.outbox.gaps()] == [3, 6, 9]
    ends.settle(acked(1, through=4, received=[(8, 10)]))
    assert [gap.from_seq for gap in ends.outbox.gaps()] == [6]
    ends.settle(acked(2, through=9))
    assert ends.outbox.gaps() == []


def test_what_is_settled_cannot_be_quarantined(ends: Ends) -> None:
    ends.claim()
    ends.settle(acked(1, through=3))
    ends.outbox.quarantine(EPOCH, 3, now_ms=0)
    assert ends.in_state(State.QUARANTINED) == []
    assert ends.outbox.gaps() == []


def test_what_is_quarantined_is_never_sent_again(ends: Ends) -> None:
    ends.claim()
    ends.outbox.quarantine(EPOCH, 3, now_ms=0)
    ends.settle(acked(1, through=10))
    assert ends.outbox.gaps() == []
    ends.settle(acked(1, through=0, store=STORES[2]))
    assert 3 not in ends.claim()
    assert [gap.from_seq for gap in ends.outbox.gaps()] == [3]


def test_how_much_waits(ends: Ends) -> None:
    assert (ends.outbox.standing().waiting, ends.outbox.standing().oldest_at_ms) == (10, NTP.offset_ms + 100_000)
    ends.claim()
    assert ends.outbox.standing().waiting == 10
    ends.settle(acked(1, through=10))
    assert (ends.outbox.standing().waiting, ends.outbox.standing().oldest_at_ms) == (0, None)


def test_what_is_kept_is_never_read_through(ends: Ends) -> None:
    """The queries that run all the time go by the small indexes, whatever is kept."""
    connection = ends.outbox._connection
    plans: list[str] = []
    seen: list[str] = []
    connection.set_trace_callback(seen.append)
    ends.outbox.standing()
    ends.claim()
    connection.set_trace_callback(None)
    ends.writer._connection.set_trace_callback(seen.append)
    ends.writer.tend()
    ends.writer._connection.set_trace_callback(None)
    for query in seen:
        if query.startswith(("SELECT", "UPDATE")) and "item" in query:
            plans += [str(row[3]) for row in connection.execute(f"EXPLAIN QUERY PLAN {query}")]
    assert plans
    assert [plan for plan in plans if plan.startswith("SCAN item") and "USING" not in plan] == []


def test_messages_of_the_cloud_are_laid_in_the_inbox_once(ends: Ends) -> None:
    for body in ("a", "a", "b"):
        ends.outbox.receive(kind="config", name="config", body=body)
    assert ends.exchange.rows("SELECT body, taken FROM inbox") == [("b", 0)]
    ends.outbox.remember("venues", "x")
    assert ends.outbox.remembered("venues") == "x"
    assert ends.outbox.remembered("absent") is None


def test_what_is_used_is_pages_with_something_in_them_and_the_log(tmp_path: Path) -> None:
    exchange = Exchange(folder=tmp_path)
    with opened(exchange) as writer, exchange.outbox() as outbox:
        filled(writer, exchange, 3000)
        log = tmp_path / f"{FILE_NAME}-wal"
        assert outbox.used_bytes() - log.stat().st_size > 2**19
        with writing(writer._connection) as connection:
            connection.execute("DELETE FROM item")
        assert outbox.used_bytes() - log.stat().st_size < 2**18


@pytest.mark.parametrize(
    "look",
    [
        pytest.param(lambda outbox: outbox.head(), id="head"),
        pytest.param(lambda outbox: outbox.seen(), id="seen"),
        pytest.param(lambda outbox: outbox.fix(), id="fix"),
        pytest.param(lambda outbox: outbox.live(now_ms=0), id="live"),
        pytest.param(lambda outbox: outbox.certificates(), id="certificates"),
        pytest.param(lambda outbox: outbox.remembered("venues"), id="remembered"),
        pytest.param(lambda outbox: outbox.standing(), id="standing"),
        pytest.param(lambda outbox: outbox.claim(now_ms=0, window=1, lapse_ms=1), id="claim"),
    ],
)
def test_what_cannot_be_read_is_told_as_an_exchange_error(ends: Ends, look: Callable[[Outbox], object]) -> None:
    def refuse_reading(action: int, *_: object) -> int:
        return sqlite3.SQLITE_DENY if action == sqlite3.SQLITE_READ else sqlite3.SQLITE_OK

    ends.outbox._connection.set_authorizer(refuse_reading)
    with pytest.raises(ExchangeError, match="prohibited"):
        look(ends.outbox)
    ends.outbox._connection.set_authorizer(None)
    look(ends.outbox)
