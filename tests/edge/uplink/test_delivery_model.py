"""Whatever happens to the network, the processes and the cloud's database: nothing is lost, nothing counts twice."""

import json
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from pydantic import JsonValue

from edge.exchange.batch import Batch
from edge.exchange.outbox import Outbox
from edge.exchange.writer import Writer
from edge.uplink.delivery import Delivery
from protocol.wire import JsonObject
from tests.support.exchange import NTP, ORIGIN, STORES, Exchange, configuration, report, tile_part, visit
from tests.support.ideal_cloud import IdealCloud

UNREADABLE = 666
"""A visit of so many frames makes the cloud refuse the whole payload."""

Name = tuple[str, int]


class Deliveries(RuleBasedStateMachine):
    """A box and its cloud, with a network between them that may do anything but invent."""

    @initialize()
    def start(self) -> None:
        self.exchange = Exchange(folder=Path(tempfile.mkdtemp(prefix="footfall-delivery-")))
        self.cloud = IdealCloud(unreadable=lambda payload: b'"frames_seen":%d' % UNREADABLE in payload)
        self.backup = self.cloud.saved()
        self.up: list[bytes] = []
        self.down: list[bytes] = []
        self.issued: dict[Name, JsonObject] = {}
        self.merged: set[Name] = set()
        self.appended_tenths = 0
        self.writer: Writer
        self.outbox: Outbox
        self.open_writer()
        self.open_uplink()

    @rule(visits=st.integers(0, 12), reports=st.integers(0, 6), bad=st.booleans(), seconds=st.integers(1, 400))
    def see(self, visits: int, reports: int, bad: bool, seconds: int) -> None:
        self.exchange.now += seconds
        now = self.exchange.now
        drafts = [visit(at=now, frames=number) for number in range(visits)]
        drafts += [visit(at=now, frames=UNREADABLE)] * bad
        drafts += [report(at=now + number, person_seconds=number + 0.5) for number in range(reports)]
        self.appended_tenths += sum(10 * number + 5 for number in range(reports))
        self.writer.commit(Batch(origin=ORIGIN, drafts=drafts, tiles=[tile_part({1: 1000, seconds: 500}, at=now)]))
        self.note_issued()

    @rule(seconds=st.sampled_from([0, 1, 31, 700]), fail=st.booleans())
    def send(self, seconds: int, fail: bool) -> None:
        self.exchange.now += seconds
        for number, outgoing in enumerate(self.delivery.due(self.exchange.now)):
            if fail and number:
                self.delivery.not_sent(outgoing)
            else:
                self.delivery.sent(outgoing, self.exchange.now)
                self.up.append(outgoing.payload)

    @precondition(lambda self: self.up)
    @rule(data=st.data(), again=st.booleans())
    def arrive(self, data: st.DataObject, again: bool) -> None:
        index = data.draw(st.integers(0, len(self.up) - 1))
        self.down.append(self.cloud.take(self.up[index] if again else self.up.pop(index)))

    @precondition(lambda self: self.up)
    @rule(data=st.data())
    def lose_sending(self, data: st.DataObject) -> None:
        self.up.pop(data.draw(st.integers(0, len(self.up) - 1)))

    @precondition(lambda self: self.down)
    @rule(data=st.data(), again=st.booleans())
    def answer(self, data: st.DataObject, again: bool) -> None:
        index = data.draw(st.integers(0, len(self.down) - 1))
        self.delivery.acknowledge(self.down[index] if again else self.down.pop(index), self.exchange.now)

    @precondition(lambda self: self.down)
    @rule(data=st.data())
    def lose_answer(self, data: st.DataObject) -> None:
        self.down.pop(data.draw(st.integers(0, len(self.down) - 1)))

    @rule()
    def reconnect(self) -> None:
        self.delivery.connected()

    @rule()
    def uplink_dies(self) -> None:
        self.outbox.close()
        self.open_uplink()

    @rule(reboot=st.booleans())
    def vision_dies(self, reboot: bool) -> None:
        self.writer.__exit__(None, None, None)
        if reboot:
            self.outbox.close()
            self.exchange.boot = f"boot-{self.exchange.opened + 1}"
            self.exchange.now = 10.0
        self.open_writer()
        if reboot:
            self.open_uplink()

    @rule()
    def back_up(self) -> None:
        self.backup = self.cloud.saved()

    @precondition(lambda self: self.cloud.store != STORES[-1])
    @rule()
    def restore(self) -> None:
        self.cloud.restore(self.backup)

    @precondition(lambda self: self.cloud.store != STORES[-1])
    @rule()
    def restore_unnoticed(self) -> None:
        self.cloud.restore_unnoticed(self.backup)

    @rule()
    def shed(self) -> None:
        before = self.held()
        self.writer._shed()
        self.note_issued()
        if self.held() - before:  # it merged: sums have come in place of what went
            self.merged |= before - self.held()

    @invariant()
    def a_name_has_one_content(self) -> None:
        if hasattr(self, "issued"):
            for name, item in self.cloud.items.items():
                assert self.issued[name] == item

    def teardown(self) -> None:
        if not hasattr(self, "exchange"):
            return
        try:
            self.writer.close_buckets()
            self.note_issued()
            self.drain()
            self.check()
        finally:
            self.writer.__exit__(None, None, None)
            self.outbox.close()
            shutil.rmtree(self.exchange.folder)

    def open_writer(self) -> None:
        self.writer = self.exchange.writer().__enter__()
        self.writer.offer_fix(NTP)
        self.writer.commit(Batch(origin=ORIGIN, drafts=[configuration(at=self.exchange.now)]))
        self.note_issued()

    def open_uplink(self) -> None:
        self.outbox = Outbox(self.exchange.folder, boot=self.exchange.boot)
        self.delivery = Delivery(self.outbox, box="box-1")
        self.delivery.connected()

    def note_issued(self) -> None:
        for epoch, seq, body in self.exchange.rows("SELECT epoch, seq, body FROM item"):
            name, item = (str(epoch), int(str(seq))), json.loads(str(body))
            assert self.issued.setdefault(name, item) == item, "what is numbered never changes"

    def held(self) -> set[Name]:
        return {(str(epoch), int(str(seq))) for epoch, seq in self.exchange.rows("SELECT epoch, seq FROM item")}

    def named(self) -> set[Name]:
        epochs = self.exchange.rows("SELECT epoch, next_seq FROM epoch")
        return {(str(epoch), seq) for epoch, next_seq in epochs for seq in range(1, int(str(next_seq)))}

    def epochs(self, names: set[Name]) -> set[str]:
        return {epoch for epoch, _ in names}

    def drain(self) -> None:
        """No more faults: everything is sent until nothing waits, and every epoch was spoken of since."""
        self.delivery.connected()
        self.cloud.headers.clear()
        for _ in range(200):
            self.exchange.now += 61
            for outgoing in self.delivery.due(self.exchange.now):
                self.delivery.sent(outgoing, self.exchange.now)
                self.delivery.acknowledge(self.cloud.take(outgoing.payload), self.exchange.now)
            waits = self.outbox.standing().waiting or self.outbox.gaps()
            spoken_of = {header["epoch"] for header in self.cloud.headers}
            was_told = not self.cloud.was_put_back or spoken_of.issuperset(self.outbox.settled_epochs())
            if not waits and was_told and self.outbox.seen().store == self.cloud.store:
                return
        pytest.fail(f"{self.outbox.standing().waiting} items and {len(self.outbox.gaps())} gaps never settled")

    def check(self) -> None:
        ended = self.cloud.items.keys() | self.cloud.gaps.keys()
        lost = self.named() - ended
        assert not lost or (self.cloud.was_put_back and not self.epochs(lost) & self.epochs(self.held())), (
            "each seq ends, but those of which neither a restored cloud nor the box has anything left"
        )
        assert ended <= self.named()
        assert not self.cloud.items.keys() & self.cloud.gaps.keys()
        unmade = self.named() - self.issued.keys()  # increments that became part of a tile, or were dropped before
        declared = {
            (epoch, seq, reason)
            for epoch, first, last, reason, _ in self.exchange.gaps()
            for seq in range(first, last + 1)
        }
        merged = [
            *((epoch, first, last) for epoch, first, last, _ in self.exchange.merged()),
            *self.exchange.forgotten(),
        ]
        declared |= {(epoch, seq, "merged") for epoch, first, last in merged for seq in range(first, last + 1)}
        # A sum that was sent may be dropped once its line is down: then the cloud has what it stood for as merged.
        declared |= {(epoch, seq, "merged") for epoch, seq, reason in declared if reason == "dropped"}
        assert {(*name, reason) for name, reason in self.cloud.gaps.items()} <= declared
        assert not self.merged & self.cloud.items.keys(), "what was merged had never been sent"
        held = sum(_person_tenths(item) for name, item in self.issued.items() if name not in self.merged)
        assert held == self.appended_tenths, "merging loses nothing"
        for name, reason in self.cloud.gaps.items():
            assert name not in unmade or reason in {"dropped", "merged", "expired"}
            bad = name in self.issued and self.issued[name].get("frames_seen") == UNREADABLE
            assert bad or reason != "quarantined"


def _person_tenths(item: JsonObject) -> int:
    cameras = item.get("cameras", [])
    assert isinstance(cameras, list)
    return sum(_tenths(camera.get("person_seconds")) for camera in cameras if isinstance(camera, dict))


def _tenths(seconds: JsonValue) -> int:
    assert isinstance(seconds, float)
    return round(seconds * 10)


def _prove(*, examples: int, steps: int) -> None:
    run_state_machine_as_test(
        Deliveries,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_nothing_is_lost_and_nothing_counts_twice() -> None:
    _prove(examples=25, steps=40)


@pytest.mark.acceptance
@pytest.mark.timeout(900)
def test_nothing_is_lost_and_nothing_counts_twice_however_long_one_looks() -> None:
    _prove(examples=600, steps=80)
