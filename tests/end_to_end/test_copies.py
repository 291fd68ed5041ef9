"""A box's disk is copied while things are under way, and the copy lives on: in its place, or beside it.

What was not whole at the moment of the copy is ended by both: an open visit, a bucket still filling, a draft that waits
for the time. Real exchange, real delivery, real ingest; the cloud must count each once.
"""

import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from cloud.ingest.commit import Committer
from cloud.ingest.intake import intake
from cloud.ingest.release import decide_clone, release_overlapping
from cloud.ingest.tiles import decode_cells
from cloud.store.engine import open_engine, reading
from cloud.store.schema import migrate
from edge.anonymity import Draft
from edge.exchange import shedding
from edge.exchange.batch import Batch, Checkpointed
from edge.exchange.outbox import Outbox
from edge.exchange.schema import writing
from edge.exchange.writer import Writer
from edge.uplink.delivery import Delivery
from protocol.wire import JsonObject
from tests.support.envelopes import enrol
from tests.support.exchange import NOON, NTP, ORIGIN, Exchange, configuration, crossing, opened, tile_part, visit

BUCKET_OVER, LONG_AFTER = 1_000.0, 3_000.0
OPEN: Mapping[int, JsonObject] = {1: {"n": 1}, 2: {"n": 2}}


@dataclass(kw_only=True)
class Cloud:
    """An ingest over SQLite that boxes speak to without a network."""

    engine: Engine
    now: datetime = NOON
    committer: Committer = field(init=False)

    def __post_init__(self) -> None:
        self.committer = Committer(self.engine, lambda: self.now)

    def take_all(self, exchange: Exchange) -> None:
        """Let a box deliver all that it has."""
        with exchange.outbox() as outbox:
            assert self._take(exchange, outbox, most=1_000) < 1_000
            assert outbox.standing().waiting == 0
            assert outbox.gaps() == [] or exchange.rows("SELECT 1 FROM checkpoint UNION SELECT 1 FROM tile_part")

    def take_some(self, exchange: Exchange, *, envelopes: int) -> None:
        """Let a box deliver so many of its envelopes, then cut the line."""
        with exchange.outbox() as outbox:
            self._take(exchange, outbox, most=envelopes)

    def _take(self, exchange: Exchange, outbox: Outbox, *, most: int) -> int:
        self.now = NOON + timedelta(seconds=exchange.now)
        delivery = Delivery(outbox, box="box-1")
        delivery.connected()
        taken = 0
        while due := delivery.due(exchange.now):
            for outgoing in due:
                if taken == most:
                    return taken
                taken += 1
                delivery.sent(outgoing, exchange.now)
                topic = f"footfall/v1/{ORIGIN.venue}/box-1/up/{outgoing.leaf}"
                for answer in self.committer.commit((intake(topic, outgoing.payload),)):
                    delivery.acknowledge(answer.ack.to_json().encode(), exchange.now)
        return taken

    def crossings(self) -> int:
        """How many crossings inwards count."""
        with reading(self.engine) as connection:
            query = text("SELECT sum(value) FROM rollup WHERE metric = 'crossings' AND bin = 0")
            return int(connection.execute(query).scalar() or 0)

    def presence(self) -> float:
        """Seconds of presence in all tiles of a quarter of an hour."""
        with reading(self.engine) as connection:
            cells = connection.execute(text("SELECT cells FROM tile WHERE length_seconds = 900")).scalars().all()
        return sum(int(decode_cells(one).sum()) for one in cells) / 10

    def visits(self) -> int:
        """How many visits count."""
        with reading(self.engine) as connection:
            found = connection.execute(text("SELECT sum(value) FROM rollup WHERE metric = 'visits'")).scalar()
        return int(found or 0)

    def held(self) -> list[str]:
        """Why each held item is held."""
        with reading(self.engine) as connection:
            return [*connection.execute(text("SELECT reason FROM held ORDER BY epoch, seq")).scalars()]

    def gaps(self) -> Counter[str]:
        """How many names are declared, by reason."""
        with reading(self.engine) as connection:
            rows = connection.execute(text("SELECT reason, first_seq, last_seq FROM gap")).all()
        return sum((Counter({reason: last - first + 1}) for reason, first, last in rows), start=Counter[str]())


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    engine = open_engine(f"sqlite:///{tmp_path / 'footfall.sqlite'}")
    migrate(engine)
    enrol(engine, box="box-1", venue=ORIGIN.venue)
    yield Cloud(engine=engine)
    engine.dispose()


@pytest.fixture
def exchange(tmp_path: Path) -> Exchange:
    """In it a bucket has begun and two visits are open; the process that wrote it was killed."""
    exchange = Exchange(folder=tmp_path / "exchange")
    with opened(exchange) as writer:
        writer.commit(Batch(origin=ORIGIN, drafts=[configuration()]))
        begin(writer)
    return exchange


def begin(writer: Writer) -> None:
    tiles = [tile_part({5: 20_000}, at=90.0), tile_part({5: 10_000}, at=100.0)]
    writer.commit(Batch(origin=ORIGIN, tiles=tiles, checkpoints=[Checkpointed(scene="floor", visits=OPEN)]))


def ended(number: int, *, dwell_seconds: float = 42.5) -> Draft:
    made = visit(at=100.0, dwell_seconds=dwell_seconds)
    return Draft(type=made.type, at=made.at, body=made.body, ends=number)


def close_left_over(writer: Writer) -> None:
    """As `edge.left_over` does for a run that starts."""
    for left in writer.left_over()[:1]:
        drafts = [ended(number, dwell_seconds=1.0) for number in OPEN]
        checkpoints = [Checkpointed(scene="floor", visits={})]
        writer.commit(Batch(origin=left.origin, boot=left.boot, drafts=drafts, checkpoints=checkpoints))


def live_on(exchange: Exchange, *, until: float = BUCKET_OVER) -> None:
    """The next run: it ends what the last one left, and begins and ends something of its own."""
    with exchange.writer() as writer:
        writer.offer_fix(NTP)
        close_left_over(writer)
        own = [Checkpointed(scene="floor", visits={1: {"n": 1}})]
        writer.commit(Batch(origin=ORIGIN, tiles=[tile_part({6: 5_000}, at=200.0)], checkpoints=own))
        exchange.now = until
        done = [Checkpointed(scene="floor", visits={})]
        writer.commit(Batch(origin=ORIGIN, drafts=[ended(1, dwell_seconds=7.0)], checkpoints=done))


def put_back(copy: Path, exchange: Exchange) -> None:
    shutil.rmtree(exchange.folder)
    shutil.copytree(copy, exchange.folder)


def test_what_an_old_copy_ends_once_more_counts_once(cloud: Cloud, exchange: Exchange, tmp_path: Path) -> None:
    cloud.take_all(exchange)
    shutil.copytree(exchange.folder, tmp_path / "copy")
    live_on(exchange)
    cloud.take_all(exchange)
    assert (cloud.presence(), cloud.visits()) == (35.0, 3)
    put_back(tmp_path / "copy", exchange)
    live_on(exchange, until=LONG_AFTER)
    cloud.take_all(exchange)
    assert (cloud.presence(), cloud.visits()) == (40.0, 4), "only what the copy's own run saw is new"
    assert set(cloud.gaps()) == {"merged"}


def test_what_only_the_copy_can_end_counts(cloud: Cloud, exchange: Exchange, tmp_path: Path) -> None:
    shutil.copytree(exchange.folder, tmp_path / "copy")
    live_on(exchange)
    put_back(tmp_path / "copy", exchange)
    live_on(exchange, until=LONG_AFTER)
    cloud.take_all(exchange)
    assert (cloud.presence(), cloud.visits()) == (35.0, 3)


def test_two_who_live_on_from_one_disk_end_its_things_once(cloud: Cloud, exchange: Exchange, tmp_path: Path) -> None:
    clone = Exchange(folder=tmp_path / "clone", opened=100)
    shutil.copytree(exchange.folder, clone.folder)
    for turn in range(3):
        for one in (exchange, clone):
            live_on(one, until=BUCKET_OVER * (turn + 1))
            cloud.take_all(one)
    for epoch in [str(row[0]) for one in (exchange, clone) for row in one.rows("SELECT epoch FROM epoch")]:
        decide_clone(cloud.engine, box="box-1", epoch=epoch, accept=True, now=cloud.now)
    with reading(cloud.engine) as connection:
        assert connection.execute(text("SELECT count(*) FROM held")).scalar() == 0
    assert (cloud.presence(), cloud.visits()) == (30.0 + 6 * 5.0, 2 + 6)


def test_a_draft_that_waited_for_the_time_counts_once(cloud: Cloud, tmp_path: Path) -> None:
    exchange = Exchange(folder=tmp_path / "exchange")
    with exchange.writer() as writer:
        writer.commit(Batch(origin=ORIGIN, drafts=[configuration(), visit(at=50.0)], tiles=[tile_part({5: 1000})]))
    shutil.copytree(exchange.folder, tmp_path / "copy")
    for _ in range(2):
        with exchange.writer() as writer:
            writer.offer_fix(NTP)
            exchange.now = BUCKET_OVER
            writer.commit(Batch(origin=ORIGIN))
        cloud.take_all(exchange)
        assert (cloud.presence(), cloud.visits()) == (1.0, 1)
        put_back(tmp_path / "copy", exchange)


def test_an_open_visit_that_was_part_of_another_loses_nothing(cloud: Cloud, exchange: Exchange) -> None:
    with exchange.writer() as writer:
        writer.offer_fix(NTP)
        close_left_over(writer)
        for visits in (OPEN, {1: OPEN[1]}):
            writer.commit(Batch(origin=ORIGIN, checkpoints=[Checkpointed(scene="floor", visits=visits)]))
        done = [Checkpointed(scene="floor", visits={})]
        writer.commit(Batch(origin=ORIGIN, drafts=[ended(1)], checkpoints=done))
        exchange.now = BUCKET_OVER
        writer.commit(Batch(origin=ORIGIN))
    cloud.take_all(exchange)
    assert cloud.visits() == 3
    assert cloud.gaps() == {"merged": 2}, "the visit that was part of another, and the second increment of the tile"


@pytest.mark.parametrize("envelopes", range(5))
def test_what_was_merged_counts_once_wherever_the_line_was_cut_before_the_disk_went(
    cloud: Cloud, tmp_path: Path, envelopes: int
) -> None:
    exchange = Exchange(folder=tmp_path / "exchange", now=BUCKET_OVER)
    with opened(exchange) as writer:
        drafts = [crossing(at=60.0 * minute, inward=1, outward=0) for minute in range(14)]
        writer.commit(Batch(origin=ORIGIN, drafts=[configuration(), *drafts]))
        shutil.copytree(exchange.folder, tmp_path / "copy")
        with writing(writer._connection) as connection:
            assert shedding.merge_equal(connection, writer.epoch) == 13
    cloud.take_some(exchange, envelopes=envelopes)
    put_back(tmp_path / "copy", exchange)
    with opened(exchange):  # whoever puts a copy back starts vision anew, under an epoch of its own
        cloud.take_all(exchange)
    assert cloud.crossings() == 14


def test_a_sum_of_what_a_copy_has_delivered_counts_no_more(cloud: Cloud, tmp_path: Path) -> None:
    exchange = Exchange(folder=tmp_path / "exchange", now=BUCKET_OVER)
    with opened(exchange) as writer:
        writer.commit(Batch(origin=ORIGIN, drafts=[configuration(), *crossings_of(range(14))]))
        shutil.copytree(exchange.folder, tmp_path / "copy")
        merge(writer, saves=13)
    deliver_from_copy_then_from_first_disk(cloud, exchange, tmp_path)
    assert (cloud.crossings(), cloud.held(), cloud.gaps()) == (14, [], {"merged": 1})


def test_a_sum_of_which_a_copy_has_delivered_a_part_waits_for_a_person(cloud: Cloud, tmp_path: Path) -> None:
    exchange = Exchange(folder=tmp_path / "exchange", now=BUCKET_OVER)
    with opened(exchange) as writer:
        writer.commit(Batch(origin=ORIGIN, drafts=[configuration(), *crossings_of(range(4))]))
        shutil.copytree(exchange.folder, tmp_path / "copy")
        writer.commit(Batch(origin=ORIGIN, drafts=crossings_of(range(4, 14))))
        merge(writer, saves=13)
    deliver_from_copy_then_from_first_disk(cloud, exchange, tmp_path)
    assert (cloud.crossings(), cloud.held()) == (4, ["overlap"])
    release_overlapping(cloud.engine, "box-1", cloud.now)
    assert (cloud.crossings(), cloud.held()) == (4 + 14, [])


def test_a_sum_made_in_two_steps_of_what_a_copy_has_delivered_counts_no_more(cloud: Cloud, tmp_path: Path) -> None:
    exchange = Exchange(folder=tmp_path / "exchange", now=BUCKET_OVER)
    with opened(exchange) as writer:
        writer.commit(Batch(origin=ORIGIN, drafts=[configuration(), *crossings_of(range(14))]))
        shutil.copytree(exchange.folder, tmp_path / "copy")
        with writing(writer._connection) as connection:
            connection.execute("UPDATE item SET attempts = 1 WHERE seq > 8")  # as if they came later
        merge(writer, saves=6)
        with writing(writer._connection) as connection:
            connection.execute("UPDATE item SET attempts = 0")
            connection.execute("DELETE FROM meta WHERE key = 'merge.looked'")
        merge(writer, saves=7)
    deliver_from_copy_then_from_first_disk(cloud, exchange, tmp_path)
    assert (cloud.crossings(), cloud.held()) == (14, [])


def crossings_of(minutes: range) -> list[Draft]:
    return [crossing(at=60.0 * minute, inward=1, outward=0) for minute in minutes]


def merge(writer: Writer, *, saves: int) -> None:
    with writing(writer._connection) as connection:
        assert shedding.merge_equal(connection, writer.epoch) == saves


def deliver_from_copy_then_from_first_disk(cloud: Cloud, exchange: Exchange, tmp_path: Path) -> None:
    """As when a back-up is put into the box, and the first disk comes back later."""
    shutil.move(exchange.folder, tmp_path / "original")
    shutil.copytree(tmp_path / "copy", exchange.folder)
    with opened(exchange):
        cloud.take_all(exchange)
    put_back(tmp_path / "original", exchange)
    exchange.opened, exchange.now = 20, LONG_AFTER
    with opened(exchange):
        cloud.take_all(exchange)
