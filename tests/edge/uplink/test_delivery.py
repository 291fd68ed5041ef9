import hashlib
import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from edge.clock import to_utc
from edge.exchange.batch import Batch
from edge.exchange.outbox import Outbox
from edge.exchange.schema import FILE_NAME, State
from edge.exchange.writer import Writer
from edge.uplink.delivery import Delivery, Outgoing
from protocol.envelope import ClockSource, read_envelope
from protocol.topics import Leaf
from protocol.wire import JsonObject
from tests.support.exchange import (
    NOON,
    NTP,
    ORIGIN,
    STORES,
    Exchange,
    acked,
    configuration,
    filled,
    opened,
    tile_part,
    visit,
)
from tests.support.ideal_cloud import IdealCloud

BAD = 666


@dataclass(kw_only=True)
class Box:
    """A box whose uplink is connected."""

    exchange: Exchange
    writer: Writer
    outbox: Outbox
    delivery: Delivery

    def send(self, *, at: float | None = None) -> list[Outgoing]:
        """What leaves now."""
        self.exchange.now = self.exchange.now if at is None else at
        due = self.delivery.due(self.exchange.now)
        for outgoing in due:
            self.delivery.sent(outgoing, self.exchange.now)
        return due

    def settle(self, cloud: IdealCloud, due: Sequence[Outgoing]) -> None:
        for outgoing in due:
            self.delivery.acknowledge(cloud.take(outgoing.payload), self.exchange.now)


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    exchange = Exchange(folder=tmp_path)
    with opened(exchange) as writer, exchange.outbox() as outbox:
        delivery = Delivery(outbox, box="box-1")
        delivery.connected()
        yield Box(exchange=exchange, writer=writer, outbox=outbox, delivery=delivery)


def header_of(outgoing: Outgoing) -> JsonObject:
    data: JsonObject = json.loads(outgoing.payload)
    return {name: value for name, value in data.items() if name != "items"}


def test_envelopes_carry_what_the_protocol_names(box: Box) -> None:
    filled(box.writer, box.exchange, 1)
    (sent,) = box.send()
    assert header_of(sent) == {
        "box": "box-1",
        "epoch": f"{1:016x}",
        "head": f"{1:016x}",
        "sent_at": "2026-03-01T12:01:40Z",
        "clock": {"source": "ntp", "uncertainty_seconds": 0.01},
        "seen": {"position": 0},
        "gaps": [],
    }
    envelope = read_envelope(sent.payload)
    assert [(item.seq, item.type, item.unsettled) for item in envelope.items] == [
        (1, "configuration", None),
        (2, "visit", None),
    ]
    box.settle(IdealCloud(), [sent])
    assert header_of(box.send(at=1000.0)[0])["seen"] == {
        "store": STORES[1],
        "position": 1,
        "settled": [{"first": 1, "last": 2}],
    }


def test_envelopes_stay_under_the_limit_and_hold_one_epoch_and_topic_each(tmp_path: Path) -> None:
    exchange = Exchange(folder=tmp_path)
    cells = dict.fromkeys(range(1024), 99_900)
    with opened(exchange) as writer:
        filled(writer, exchange, 800)
        for number in range(15):
            writer.commit(Batch(origin=ORIGIN, tiles=[tile_part(cells, camera=f"cam-{number}")]))
        writer.close_buckets()
    with opened(exchange) as writer, exchange.outbox() as outbox:
        filled(writer, exchange, 10)
        due = Delivery(outbox, box="box-1").due(exchange.now)
    assert all(len(sent.payload) < 64 * 1024 for sent in due)
    assert len(due) >= 8
    for sent in due:
        assert len({item.epoch for item in sent.items}) == 1
        assert {item.type == "tile" for item in sent.items} == {sent.leaf is Leaf.TILES}
    names = [(item.epoch, item.seq) for sent in due for item in sent.items]
    assert len(names) == len(set(names)) == 801 + 15 + 11


def test_a_configuration_leaves_before_the_tiles_made_under_it(box: Box) -> None:
    box.writer.commit(Batch(origin=ORIGIN, tiles=[tile_part({1: 1000})]))
    box.writer.close_buckets()
    later = replace(ORIGIN, config="f" * 32)
    box.writer.commit(Batch(origin=later, drafts=[configuration()], tiles=[tile_part({1: 1000})]))
    box.writer.close_buckets()
    assert [sent.leaf for sent in box.send()] == [Leaf.EVENTS, Leaf.TILES]


def test_nothing_is_sent_before_vision_has_ever_run(tmp_path: Path) -> None:
    with closing(Outbox(tmp_path, boot="boot-1")) as outbox:
        assert Delivery(outbox, box="box-1").due(0.0) == []


def test_what_is_not_acknowledged_is_sent_again_after_half_a_minute(box: Box) -> None:
    filled(box.writer, box.exchange, 10)
    first = box.send(at=100.0)
    assert box.send(at=129.9) == []
    assert [sent.items[0].seq for sent in box.send(at=130.0)] == [sent.items[0].seq for sent in first]


def test_slow_answers_make_it_more_patient(box: Box) -> None:
    cloud = IdealCloud()
    for number in range(40):
        box.writer.commit(Batch(origin=ORIGIN, drafts=[visit()]))
        due = box.send(at=1000.0 + 60 * number)
        box.exchange.now += 25
        box.settle(cloud, due)
    box.writer.commit(Batch(origin=ORIGIN, drafts=[visit()]))
    sent_at = box.exchange.now
    box.send()
    assert [sent for sent in box.send(at=sent_at + 95) if sent.items] == []
    assert [sent for sent in box.send(at=sent_at + 101) if sent.items] != []


def test_a_new_connection_sends_everything_unsettled_at_once(box: Box) -> None:
    filled(box.writer, box.exchange, 10)
    box.send()
    box.delivery.connected()
    assert sum(len(sent.items) for sent in box.send()) == 11


def test_what_could_not_leave_is_due_again_at_once(box: Box) -> None:
    filled(box.writer, box.exchange, 10)
    for outgoing in box.delivery.due(100.0):
        box.delivery.not_sent(outgoing)
    assert sum(len(sent.items) for sent in box.send()) == 11


@pytest.mark.parametrize("bad", [{7}, {0}, {99}, {3, 4}, {1, 50, 98}, set(range(100))], ids=len)
def test_a_refused_payload_is_halved_until_what_is_bad_stands_alone(box: Box, bad: set[int]) -> None:
    box.writer.commit(
        Batch(origin=ORIGIN, drafts=[visit(frames=BAD if number in bad else number) for number in range(100)])
    )
    cloud = IdealCloud(unreadable=lambda payload: f'"frames_seen":{BAD}'.encode() in payload)
    for _ in range(20):
        box.settle(cloud, box.send(at=box.exchange.now + 0.2))
    assert {seq for _, seq in cloud.items} == {number + 1 for number in range(100)} - {number + 1 for number in bad}
    assert {(seq, reason) for (_, seq), reason in cloud.gaps.items()} == {(number + 1, "quarantined") for number in bad}
    states = box.exchange.states()
    assert {seq for seq, state in states.items() if state == State.QUARANTINED} == {number + 1 for number in bad}
    assert box.outbox.gaps() == []
    assert box.outbox.standing().waiting == 0


@pytest.mark.parametrize("bad", [{7}, {0}, {69}, {3, 4}, {1, 40, 69}], ids=str)
def test_refused_gaps_are_halved_until_what_is_bad_stands_alone_and_that_is_set_aside(
    box: Box, bad: set[int], caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(70):
        box.writer.commit(Batch(origin=ORIGIN, drafts=[visit()], lost={"visit": 1}))
    seqs = [first for _, first, *_ in box.exchange.gaps()]
    marks = [f'"from_seq":{seqs[number]},'.encode() for number in bad]
    cloud = IdealCloud(unreadable=lambda payload: any(mark in payload for mark in marks))
    for _ in range(20):
        box.settle(cloud, box.send(at=box.exchange.now + 0.2))
    assert {seq for _, seq in cloud.gaps} == set(seqs) - {seqs[number] for number in bad}
    assert len(cloud.items) == 70
    assert box.delivery._tally.set_aside_gaps == len(bad)
    assert caplog.text.count("that is set aside") == len(bad)
    refused = box.delivery._tally.refused
    for _ in range(3):
        box.settle(cloud, box.send(at=box.exchange.now + 61))
    assert box.delivery._tally.refused == refused, "it is not sent again"
    cloud.restore(cloud.saved())
    marks.clear()
    for _ in range(4):
        box.settle(cloud, box.send(at=box.exchange.now + 61))
    assert {seq for _, seq in cloud.gaps} == set(seqs), "a new store is told again"
    assert box.outbox.gaps() == []


def test_an_answer_to_others_does_not_forget_gaps_that_are_on_their_way(box: Box) -> None:
    filled(box.writer, box.exchange, 3)
    box.writer.commit(Batch(origin=ORIGIN, lost={"visit": 2}))
    gaps, items = box.send(at=100.0)
    assert gaps.gaps
    box.settle(IdealCloud(), [items])
    refused = hashlib.sha256(gaps.payload).hexdigest()
    box.delivery.acknowledge(acked(2, refused=refused).to_json().encode(), 100.0)
    assert box.delivery._tally.set_aside_gaps == 1


def test_a_refusal_of_what_was_never_sent_changes_nothing(box: Box) -> None:
    filled(box.writer, box.exchange, 3)
    box.send()
    box.delivery.acknowledge(acked(1, refused="0" * 64).to_json().encode(), 100.0)
    assert set(box.exchange.states().values()) == {State.CLAIMED}


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\xff\xfe", id="not text"),
        pytest.param(b'{"box":"box-1"}', id="incomplete"),
        pytest.param(b"[" * 5000, id="deep"),
        pytest.param(acked(1, through=3).model_copy(update={"box": "box-2"}).to_json().encode(), id="another box's"),
        pytest.param(acked(1, through=4).to_json().encode(), id="beyond what was sent"),
    ],
)
def test_an_answer_that_may_not_be_taken_changes_nothing(box: Box, payload: bytes) -> None:
    filled(box.writer, box.exchange, 2)
    box.send()
    box.writer.commit(Batch(origin=ORIGIN, drafts=[visit()]))
    box.delivery.acknowledge(payload, 100.0)
    assert [box.exchange.states()[seq] for seq in (1, 2, 3)] == [State.CLAIMED] * 3
    assert box.outbox.seen().position == 0


def test_gaps_are_sent_before_items_and_each_half_minute_until_through_passes_them(box: Box) -> None:
    filled(box.writer, box.exchange, 3)
    box.writer.commit(Batch(origin=ORIGIN, lost={"visit": 2}))
    due = box.send(at=100.0)
    (gap,) = read_envelope(due[0].payload).header.gaps
    assert read_envelope(due[-1].payload).header.gaps == ()
    assert (gap.from_seq, gap.to_seq, gap.reason) == (5, 6, "dropped")
    assert [(one.type, one.count) for one in gap.lost_by_type] == [("visit", 2)]
    assert all(not read_envelope(sent.payload).header.gaps for sent in box.send(at=129.0))
    assert any(read_envelope(sent.payload).header.gaps for sent in box.send(at=131.0))
    cloud = IdealCloud()
    box.settle(cloud, due)
    assert box.send(at=162.0) == []
    assert cloud.settled(f"{1:016x}") == set(range(1, 7))


def test_many_gaps_are_spread_over_envelopes(box: Box) -> None:
    for _ in range(300):
        box.writer.commit(Batch(origin=ORIGIN, drafts=[visit()], lost={"visit": 1}))
    cloud = IdealCloud()
    for _ in range(12):
        box.settle(cloud, box.send(at=box.exchange.now + 31))
    assert cloud.settled(f"{1:016x}") == set(range(1, 601))
    assert box.outbox.gaps() == []


def test_the_box_says_hello_so_that_it_hears_of_a_new_store(box: Box) -> None:
    cloud = IdealCloud()
    filled(box.writer, box.exchange, 5)
    box.settle(cloud, box.send(at=100.0))
    assert box.send(at=159.0) == []
    cloud.restore(({}, {}))
    (hello,) = box.send(at=161.0)
    assert hello.items == ()
    box.settle(cloud, [hello])
    box.settle(cloud, box.send(at=162.0))
    assert cloud.settled(f"{1:016x}") == set(range(1, 7))


@dataclass(kw_only=True)
class Runs:
    """A box after several runs of vision, all of whose items one cloud has."""

    box: Box
    cloud: IdealCloud

    def hello_times(self, *, until: float) -> list[tuple[float, str]]:
        """When which epoch is spoken of, and how many seconds later than now."""
        began, spoken_of = self.box.exchange.now, []
        while self.box.exchange.now < began + until:
            due = self.box.send()
            self.box.settle(self.cloud, due)
            spoken_of += [(self.box.exchange.now - began, str(header_of(sent)["epoch"])) for sent in due]
            self.box.exchange.now += 0.5
        return spoken_of


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Runs]:
    exchange = Exchange(folder=tmp_path)
    for _ in range(3):
        with opened(exchange) as writer:
            filled(writer, exchange, 4)
    with opened(exchange) as writer, exchange.outbox() as outbox:
        filled(writer, exchange, 4)
        box = Box(exchange=exchange, writer=writer, outbox=outbox, delivery=Delivery(outbox, box="box-1"))
        runs = Runs(box=box, cloud=IdealCloud())
        for _ in range(3):
            box.settle(runs.cloud, box.send(at=exchange.now + 400))
        assert outbox.standing().waiting == 0
        yield runs


def test_after_a_connection_each_epoch_is_spoken_of_once_the_newest_first(runs: Runs) -> None:
    runs.box.delivery.connected()
    assert runs.hello_times(until=50) == [
        (float(at), f"{number:016x}") for at, number in ((0, 4), (0, 3), (1, 2), (2, 1))
    ]


def test_while_a_connection_lasts_each_epoch_is_spoken_of_again_and_again(runs: Runs) -> None:
    runs.box.delivery.connected()
    later = [(at, epoch) for at, epoch in runs.hello_times(until=1500) if at > 50 and epoch != f"{4:016x}"]
    for number in (1, 2, 3):
        own = [at for at, epoch in later if epoch == f"{number:016x}"]
        assert 3 <= len(own) <= 5
    assert len({at // 60 for at, _ in later}) >= len(later) - 1, "not more than one a minute"


@pytest.mark.parametrize("epoch", range(1, 5))
def test_a_cloud_that_lost_what_an_epoch_had_settled_gets_it_again(runs: Runs, epoch: int) -> None:
    lost = (f"{epoch:016x}", 3)
    items = {name: item for name, item in runs.cloud.items.items() if name != lost}
    runs.cloud.restore_unnoticed((items, {}))
    runs.hello_times(until=600)
    assert runs.cloud.store == STORES[2]
    assert lost in runs.cloud.items
    assert len(runs.cloud.items) == 20


def test_epochs_of_which_nothing_is_held_any_more_are_not_spoken_of(runs: Runs) -> None:
    with closing(sqlite3.connect(runs.box.exchange.folder / FILE_NAME)) as connection, connection:
        connection.execute("DELETE FROM item WHERE epoch < ?", (f"{3:016x}",))
    runs.box.delivery.connected()
    assert {epoch for _, epoch in runs.hello_times(until=50)} == {f"{3:016x}", f"{4:016x}"}


def test_a_box_that_only_sends_old_items_speaks_of_its_head_too(runs: Runs) -> None:
    with closing(sqlite3.connect(runs.box.exchange.folder / FILE_NAME)) as connection, connection:
        connection.execute("UPDATE item SET state = 0 WHERE epoch = ?", (f"{1:016x}",))
    runs.box.delivery.connected()
    assert [str(header_of(sent)["epoch"]) for sent in runs.box.send()] == [f"{1:016x}", f"{4:016x}"]


def test_an_envelope_with_the_most_ranges_stays_under_the_limit(tmp_path: Path) -> None:
    exchange = Exchange(folder=tmp_path)
    with opened(exchange) as writer, exchange.outbox() as outbox:
        filled(writer, exchange, 1200)
        delivery = Delivery(outbox, box="box-1")
        delivery.due(exchange.now)
        outbox.settle(acked(1, received=[(seq, seq) for seq in range(3, 1200, 2)]), now_ms=0)
        delivery.connected()
        due = delivery.due(exchange.now)
        assert len(header_of(due[0])["seen"]["settled"]) == 32  # type: ignore[arg-type, call-overload, index]
        assert max(len(sent.payload) for sent in due) < 64 * 1024
        assert max(len(sent.payload) for sent in due) > 60 * 1024


def test_utc_is_learnt_from_an_answer(tmp_path: Path) -> None:
    exchange, cloud = Exchange(folder=tmp_path), IdealCloud()
    cloud.now = lambda: NOON + timedelta(seconds=exchange.now + 0.1)
    with exchange.writer() as writer, exchange.outbox() as outbox:
        writer.commit(Batch(origin=ORIGIN, drafts=[configuration(at=99.0)]))
        delivery = Delivery(outbox, box="box-1")
        delivery.connected()
        (hello,) = delivery.due(100.0)
        assert header_of(hello)["clock"] == {"source": "none"}
        assert "sent_at" not in header_of(hello)
        delivery.sent(hello, 100.0)
        answer = cloud.take(hello.payload)
        delivery.acknowledge(answer, 100.4)
        fix = outbox.fix()
        assert fix is not None
        assert (fix.source, fix.uncertainty_ms) == (ClockSource.CLOUD, 200)
        truth = NOON + timedelta(seconds=100)
        assert abs(to_utc(100_000 + fix.offset_ms) - truth) <= timedelta(milliseconds=200)
        assert delivery.due(103.0) == []
        writer.commit(Batch(origin=ORIGIN))
        assert len(exchange.bodies("configuration")) == 1


def test_without_utc_it_says_hello_every_five_seconds(tmp_path: Path) -> None:
    exchange = Exchange(folder=tmp_path)
    with exchange.writer(), exchange.outbox() as outbox:
        delivery = Delivery(outbox, box="box-1")
        times = []
        for tenth in range(200):
            for outgoing in delivery.due(tenth / 10):
                delivery.sent(outgoing, tenth / 10)
                times.append(tenth / 10)
    assert times == [0.0, 5.0, 10.0, 15.0]


def test_an_answer_that_came_late_teaches_no_time(tmp_path: Path) -> None:
    exchange = Exchange(folder=tmp_path)
    with exchange.writer(), exchange.outbox() as outbox:
        delivery = Delivery(outbox, box="box-1")
        (hello,) = delivery.due(100.0)
        delivery.sent(hello, 100.0)
        delivery.acknowledge(acked(1).to_json().encode(), 120.1)
        assert outbox.fix() is None


def test_an_old_answer_that_comes_again_teaches_no_time(tmp_path: Path) -> None:
    exchange = Exchange(folder=tmp_path)
    with exchange.writer(), exchange.outbox() as outbox:
        outbox.settle(acked(5), now_ms=0)
        delivery = Delivery(outbox, box="box-1")
        (hello,) = delivery.due(100.0)
        delivery.sent(hello, 100.0)
        delivery.acknowledge(acked(5, at=NOON - timedelta(days=3)).to_json().encode(), 100.1)
        assert outbox.fix() is None


def test_an_answer_to_the_first_of_two_equal_hellos_teaches_no_false_certainty(tmp_path: Path) -> None:
    exchange = Exchange(folder=tmp_path)
    with exchange.writer(), exchange.outbox() as outbox:
        delivery = Delivery(outbox, box="box-1")
        for at in (100.0, 105.0):
            (hello,) = delivery.due(at)
            delivery.sent(hello, at)
        said = NOON + timedelta(seconds=101)  # the cloud answered the first at once; the answer took five seconds
        delivery.acknowledge(acked(1, at=said).to_json().encode(), 106.0)
        fix = outbox.fix()
        assert fix is not None
        assert abs(fix.offset_ms - NTP.offset_ms) <= (fix.uncertainty_ms or 0)
