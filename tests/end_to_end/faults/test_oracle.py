"""An oracle that never finds anything proves nothing: what it must find is done to a database that it has passed."""

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from cloud.ingest.commit import Committer
from cloud.store.engine import open_engine, reading, writing
from cloud.store.schema import migrate
from edge import clock
from edge.exchange.outbox import Outbox
from edge.exchange.schema import FILE_NAME
from edge.uplink.delivery import Delivery
from tests.end_to_end.faults.box import Clock, Exchange
from tests.end_to_end.faults.oracle import Claim, Finding, Holding, judge
from tests.end_to_end.faults.witness import Account
from tests.support.envelopes import deliver, enrol
from tests.support.processes import Command, until
from tests.support.product import VENUE

BOX = "narrow"
ROOM_BYTES = 400 * 2**10
"""Soon too little, so that what is equal is merged."""
COLUMNS = "type, venue, scene, config, at_ms, received_ms, body"
ONE = "(epoch, seq) = (SELECT epoch, seq FROM event WHERE type = 'visit' LIMIT 1)"


@pytest.fixture(scope="module")
def claim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Claim, Engine]]:
    """A box that was short of room and was killed, and the database of a cloud to which all of it was delivered."""
    folder = tmp_path_factory.mktemp("box")
    told = _appended(folder)
    engine = open_engine(f"sqlite:///{folder / 'footfall.sqlite'}")
    migrate(engine)
    enrol(engine, box=BOX, venue=VENUE)
    _deliver_all(folder, engine)
    yield Claim(box=BOX, issued=Exchange.read(folder).issued, account=told), engine
    engine.dispose()


def _appended(folder: Path) -> Account:
    box_clock, account_file = Clock(folder / "clock"), folder / "account"
    box_clock.set(0)
    words: list[str | Path] = [box_clock.path, folder, account_file, BOX, VENUE, str(ROOM_BYTES)]
    vision = Command([sys.executable, "-m", "tests.end_to_end.faults.vision", *words], log=folder / "vision.log")
    with vision:
        until(account_file.exists, seconds=30, what=f"vision to begin; it said: {vision.log}")
        until(lambda: _has_merged(folder), seconds=60, what="vision to be short of room")
    return Account.read(account_file)


def _has_merged(folder: Path) -> bool:
    with closing(sqlite3.connect(folder / FILE_NAME)) as exchange:
        return bool(exchange.execute("SELECT 1 FROM gap WHERE reason = 'merged'").fetchone())


def _deliver_all(folder: Path, engine: Engine) -> None:
    committer = Committer(engine, lambda: datetime.now(UTC))
    with closing(Outbox(folder, boot=f"{clock.boot_id()}-1")) as outbox:
        delivery = Delivery(outbox, box=BOX)
        delivery.connected()
        while Exchange.read(folder).unsettled:
            for outgoing in delivery.due(now := clock.monotonic()):
                delivery.sent(outgoing, now)
                for answer in committer.commit(deliver(outgoing.payload, box=BOX)):
                    delivery.acknowledge(answer.ack.to_json().encode(), now)


@contextmanager
def sabotaged(engine: Engine, statement: str) -> Iterator[Holding]:
    """What the cloud would hold after this statement."""
    with writing(engine) as connection:
        assert connection.execute(text(statement)).rowcount > 0
        yield Holding.read(connection, BOX)
        connection.rollback()


def after(claimed: tuple[Claim, Engine], statement: str) -> Finding:
    claim, engine = claimed
    with sabotaged(engine, statement) as holding:
        return judge(claim, holding)


def test_it_finds_nothing_where_all_is_well_and_knows_what_was_merged(
    claim: tuple[Claim, Engine],
) -> None:
    said, engine = claim
    with reading(engine) as connection:
        found = judge(said, Holding.read(connection, BOX))
    assert (found.wrong, found.lost, found.doubled, found.overdeclared) == ([], 0, 0, 0)
    assert found.merged


def test_it_misses_an_item_that_is_gone(claim: tuple[Claim, Engine]) -> None:
    found = after(claim, f"DELETE FROM event WHERE {ONE}")  # noqa: S608
    assert found.lost == 1
    assert any("neither at the cloud nor declared" in wrong for wrong in found.wrong)


def test_it_misses_what_a_gap_no_longer_declares(claim: tuple[Claim, Engine]) -> None:
    found = after(claim, "DELETE FROM gap")
    assert any("neither at the cloud nor declared" in wrong for wrong in found.wrong)


def test_it_sees_an_item_that_counts_twice(claim: tuple[Claim, Engine]) -> None:
    found = after(claim, "UPDATE rollup SET value = value + 1 WHERE metric = 'visits'")
    assert any("'visits'" in wrong and "and should be" in wrong for wrong in found.wrong)


def test_it_sees_an_item_that_stands_there_under_a_second_name(claim: tuple[Claim, Engine]) -> None:
    found = after(
        claim,
        f"INSERT INTO event (box, epoch, seq, {COLUMNS}) SELECT box, epoch, 1000000, {COLUMNS} FROM event WHERE {ONE}",  # noqa: S608
    )
    assert any("though no exchange gave this name" in wrong for wrong in found.wrong)


def test_it_sees_content_that_was_changed(claim: tuple[Claim, Engine]) -> None:
    found = after(claim, f"UPDATE event SET body = replace(body, 'shelf', 'shell') WHERE {ONE}")  # noqa: S608
    assert any("and should be" in wrong for wrong in found.wrong)


def test_it_sees_a_tile_that_is_gone(claim: tuple[Claim, Engine]) -> None:
    assert after(claim, "DELETE FROM tile WHERE length_seconds = 86400").wrong


def test_it_sees_an_item_that_counts_beside_the_sum_that_it_is_part_of(claim: tuple[Claim, Engine]) -> None:
    said, engine = claim
    with reading(engine) as connection:
        there = Holding.read(connection, BOX).events
    merged = next(parts[0] for name, parts in said.account.names.items() if name in there and len(parts) > 1)
    epoch, seq = next(name for name, parts in said.account.names.items() if parts == (merged,))
    place = f"box, '{epoch}', {seq}, {COLUMNS}"
    found = after(claim, f"INSERT INTO event (box, epoch, seq, {COLUMNS}) SELECT {place} FROM event WHERE {ONE}")  # noqa: S608
    assert found.doubled == 1
