"""An oracle that never finds anything proves nothing: what it must find is done to a database that it has passed."""

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
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
from tests.end_to_end.faults.items import parts_in
from tests.end_to_end.faults.oracle import Claim, Finding, Holding, judge
from tests.end_to_end.faults.witness import Account
from tests.support.envelopes import deliver, enrol
from tests.support.processes import Command, until
from tests.support.product import VENUE

BOX = "narrow"
ROOM_BYTES = 400 * 2**10
"""Soon too little, so that what is equal is merged, and then some of it dropped."""
MANY = 12
"""Increments of one tile, so that two of them share a bucket."""
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
    """A run that is killed when it has been short of room for some time, one that has room, one that ends what is open.

    What the first dropped are the increments that waited, so the second leaves others.
    """
    box_clock, account_file = Clock(folder / "clock"), folder / "account"
    box_clock.set(0)
    words: list[str | Path] = [box_clock.path, folder, account_file, BOX, VENUE]
    program: list[str | Path] = [sys.executable, "-m", "tests.end_to_end.faults.vision", *words]
    with Command([*program, str(ROOM_BYTES)], log=folder / "vision.log") as vision:
        until(lambda: _has_begun(account_file), seconds=30, what=f"vision to begin; it said: {vision.log}")
        until(lambda: _has_shed(folder), seconds=120, what="vision to be short of room")
    with Command([*program, str(2 * ROOM_BYTES)], log=folder / "vision.log"):
        until(lambda: _waits(folder), seconds=30, what="increments and visits to wait")
    with Command([*program, str(2 * ROOM_BYTES), "finish"], log=folder / "vision.log") as last:
        assert last.wait(60) == 0, last.log
    return Account.read(account_file)


def _has_begun(account_file: Path) -> bool:
    return account_file.exists() and bool(Account.read(account_file).returned)


def _has_shed(folder: Path) -> bool:
    with closing(sqlite3.connect(folder / FILE_NAME)) as exchange:
        ((has_dropped, has_merged),) = exchange.execute(
            "SELECT EXISTS (SELECT 1 FROM gap WHERE reason = 'dropped'),"
            " EXISTS (SELECT 1 FROM item WHERE instead_of IS NOT NULL)"
        ).fetchall()
    return bool(has_dropped and has_merged)


def _waits(folder: Path) -> bool:
    with closing(sqlite3.connect(folder / FILE_NAME)) as exchange:
        ((visits, increments),) = exchange.execute(
            "SELECT (SELECT count(*) FROM checkpoint), (SELECT max(n) FROM (SELECT count(*) AS n FROM tile_part"
            " WHERE epoch = (SELECT epoch FROM epoch ORDER BY ordinal DESC LIMIT 1) GROUP BY tx))"
        ).fetchall()
    return visits > 0 and (increments or 0) > MANY


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
    assert (found.wrong, found.lost, found.doubled) == ([], 0, 0)
    assert (found.undeclared, found.overdeclared, found.gone_with_a_disk) == (0, 0, 0)
    assert found.merged
    assert found.declared


def test_something_was_left_open_and_ended_by_the_next_run(claim: tuple[Claim, Engine]) -> None:
    _, engine = claim
    with reading(engine) as connection:
        there = Holding.read(connection, BOX).events
    assert any(body.get("ended") == "interrupted" for body in there.values())
    assert any(body["type"] == "tile" and len(parts_in(body)) > 1 for body in there.values())


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
    sums = [part for name in there for naming in said.namings[name] for part in naming.parts[1:]]
    merged = next(part for part in sums if len(next(iter(said.chains[part].values()))) > 1)
    ((epoch, seq), *_) = next(iter(said.chains[merged].values()))
    place = f"box, '{epoch}', {seq}, {COLUMNS}"
    found = after(claim, f"INSERT INTO event (box, epoch, seq, {COLUMNS}) SELECT {place} FROM event WHERE {ONE}")  # noqa: S608
    assert found.doubled == 1


DROPPED = "(SELECT epoch, first_seq FROM gap WHERE reason = 'dropped' AND lost_by_type <> '[]' LIMIT 1)"


@pytest.mark.parametrize(
    ("counts", "undeclared"),
    [
        pytest.param("'[]'", True, id="nothing is said to be lost"),
        pytest.param("replace(lost_by_type, '\"count\":', '\"count\": 1')", False, id="more than is lost"),
        pytest.param('replace(lost_by_type, \'"type":"\', \'"type":"x\')', True, id="something else is lost"),
    ],
)
def test_it_sees_a_gap_that_declares_wrongly_what_it_lost(
    claim: tuple[Claim, Engine], counts: str, *, undeclared: bool
) -> None:
    found = after(claim, f"UPDATE gap SET lost_by_type = {counts} WHERE (epoch, first_seq) = {DROPPED}")  # noqa: S608
    assert any("declared as lost" in wrong for wrong in found.wrong)
    assert bool(found.undeclared) is undeclared
    assert found.undeclared or found.overdeclared


def test_it_sees_a_merged_gap_that_says_it_lost_something(claim: tuple[Claim, Engine]) -> None:
    found = after(
        claim,
        """UPDATE gap SET reason = 'dropped', lost_by_type = '[{"type":"tile","count": 1}]'"""
        " WHERE (epoch, first_seq) = (SELECT epoch, first_seq FROM gap WHERE reason = 'merged' LIMIT 1)",
    )
    assert found.overdeclared == 1


def test_it_does_not_excuse_what_is_gone_by_a_disk_that_had_something_else(claim: tuple[Claim, Engine]) -> None:
    said, engine = claim
    with sabotaged(engine, f"DELETE FROM event WHERE {ONE}") as holding:  # noqa: S608
        name = next(
            name
            for name, (naming, *_) in said.namings.items()
            if naming.type == "visit" and name not in holding.events and name not in holding.gaps
        )
        went = judge(replace(said, lost_with_disk=frozenset({name})), holding)
        other = judge(replace(said, lost_with_disk=frozenset({(name[0], name[1] + 1)})), holding)
    assert (went.lost, went.gone_with_a_disk) == (0, 1)
    assert (other.lost, other.gone_with_a_disk) == (1, 0)


def test_it_sees_an_open_visit_that_was_forgotten(claim: tuple[Claim, Engine]) -> None:
    said, engine = claim
    one = "(epoch, seq) = (SELECT epoch, seq FROM event WHERE body LIKE '%interrupted%' LIMIT 1)"
    further = f"UPDATE event SET body = replace(body, '\"frames_seen\":', '\"frames_seen\": 9') WHERE {one}"  # noqa: S608
    with sabotaged(engine, further) as holding:
        found = judge(said, holding)
    assert any("was interrupted after" in wrong for wrong in found.wrong)
