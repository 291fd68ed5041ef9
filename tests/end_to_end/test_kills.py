"""Nothing lost, nothing twice: every process is killed with SIGKILL at seeded moments while thousands of items wait.

Afterwards the cloud must hold exactly what the exchange issued, by (epoch, seq, content), and its roll-ups and tiles
must equal a slow recount of that content. The database is PostgreSQL; SQLite has its kills, and much else, in `faults`.
"""

import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest
from sqlalchemy import Engine, text

from cloud.store.engine import open_engine
from tests.support.mosquitto import Mosquitto
from tests.support.postgres import PostgresServer
from tests.support.processes import Command, until
from tests.support.product import BOX, Box, Camera, Cloud
from tests.support.recount import recount, stored_sums
from tests.support.rtsp_server import RtspServer, prepared_film

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.assets,
    pytest.mark.needs_gstreamer,
    pytest.mark.needs_mosquitto,
    pytest.mark.needs_postgres,
    pytest.mark.timeout(600),
]

ITEMS = 100_000
MANY = 2_000
KILLS_WHILE_MANY_WAIT = 10
KILLS = 40
DEATHS_BETWEEN_COMMIT_AND_ACK = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Killing:
    """One kill: who, and how many items waited."""

    victim: str
    waiting: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Aftermath:
    """What is left to compare: what was issued, and the database."""

    issued: dict[tuple[str, int], str]
    gaps: int
    merged: set[tuple[str, int]]
    killings: list[Killing]
    between_commit_and_ack: int
    engine: Engine


@pytest.fixture(scope="module")
def aftermath(assets: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aftermath]:
    folder = tmp_path_factory.mktemp("kills")
    film = prepared_film([assets / "videos" / "pets_s2l1.mp4"], folder / "film")
    random = Random("kills into postgresql")
    with ExitStack() as stack:
        broker = stack.enter_context(Mosquitto(persistent=True))
        server = stack.enter_context(PostgresServer(durable=True))
        url = server.url_of(server.create_database())
        cloud = stack.enter_context(Cloud(folder / "cloud", database_url=url, broker=broker))
        cloud.ingest.kill()
        cloud.enrol()
        camera = stack.enter_context(RtspServer(film, loop=True))
        cameras = [
            Camera(
                id="square",
                url=camera.url,
                settings={"image_size": [480, 360], "read_seconds": 3, "reconnect_cap_seconds": 1},
            )
        ]
        box = Box(folder / "box", broker=broker, cameras=cameras, model=assets / "models/yolox_nano.onnx", mode="live")
        box.fill(ITEMS)
        dying = cloud.program([sys.executable, "-m", "tests.support.dying_ingest"], log=folder / "dying.log")
        stack.enter_context(box)
        killings = rampage(random, box=box, broker=broker, cloud=cloud, dying=dying)
        bring_up(box=box, broker=broker, cloud=cloud, dying=dying)
        until(lambda: "occupancy" in types_of_vision(box), seconds=150, what="a minute of vision's own")
        assert box.vision.stop() == 0, box.vision.log
        box.drained(120)
        with box.look() as exchange:
            gaps = exchange.execute("SELECT count(*) FROM gap WHERE reason <> 'merged'").fetchone()[0]
            spans = exchange.execute("SELECT epoch, from_seq, to_seq FROM gap WHERE reason = 'merged'").fetchall()
        merged = {(epoch, seq) for epoch, first, last in spans for seq in range(first, last + 1)}
        engine = open_engine(url)
        stack.callback(engine.dispose)
        yield Aftermath(
            issued={(item.epoch, item.seq): item.body for item in box.issued()},
            gaps=gaps,
            killings=killings,
            merged=merged,
            between_commit_and_ack=_died_between_commit_and_ack(dying),
            engine=engine,
        )


def rampage(random: Random, *, box: Box, broker: Mosquitto, cloud: Cloud, dying: Command) -> list[Killing]:
    """Kill and restart, one after another, at moments that the seed chooses.

    Every second ingest is one that kills itself between a commit and its acks, and is left to do so.
    """
    killings: list[Killing] = []
    starts = 0
    while len(killings) < KILLS or _died_between_commit_and_ack(dying) < DEATHS_BETWEEN_COMMIT_AND_ACK:
        assert len(killings) < 4 * KILLS, f"ingests that should kill themselves do not; they said: {dying.log}"
        if not cloud.ingest.is_running and not dying.is_running:
            starts += 1
            if starts % 2:
                dying.start([sys.executable, "-m", "tests.support.dying_ingest", str(random.randint(1, 4))])
            else:
                cloud.ingest.start()
        time.sleep(random.uniform(0.1, 2.0))
        victim = random.choice(
            ["broker", "vision", "uplink", *(["ingest", "ingest"] if cloud.ingest.is_running else [])]
        )
        killings.append(Killing(victim=victim, waiting=box.waiting()))
        if victim == "broker":
            broker.kill()
            time.sleep(random.uniform(0.0, 0.5))
            broker.start()
        elif victim == "ingest":
            cloud.ingest.kill()
        else:
            process = box.vision if victim == "vision" else box.uplink
            process.kill()
            time.sleep(random.uniform(0.0, 0.5))
            process.start()
    return killings


def _died_between_commit_and_ack(dying: Command) -> int:
    return dying.log.count("killed between commit and ack")


def bring_up(*, box: Box, broker: Mosquitto, cloud: Cloud, dying: Command) -> None:
    """Everything runs again."""
    dying.kill()
    broker.start()
    for process in (cloud.ingest, box.uplink, box.vision):
        process.start()


def types_of_vision(box: Box) -> set[str]:
    """Types of items in the newest epoch."""
    with box.look() as exchange:
        rows = exchange.execute(
            "SELECT DISTINCT type FROM item WHERE epoch = (SELECT value FROM meta WHERE key = 'head')"
        ).fetchall()
    return {kind for (kind,) in rows}


def test_many_items_waited_and_every_kind_of_process_died(aftermath: Aftermath) -> None:
    victims = Counter(killing.victim for killing in aftermath.killings)
    busy = sum(killing.waiting >= MANY for killing in aftermath.killings)
    print(f"{len(aftermath.issued)} items issued; kills {dict(victims)}, {busy} while {MANY} or more waited")
    print(f"{aftermath.between_commit_and_ack} more ingests died between commit and ack")
    assert set(victims) == {"broker", "ingest", "vision", "uplink"}
    assert busy >= KILLS_WHILE_MANY_WAIT
    assert aftermath.between_commit_and_ack >= DEATHS_BETWEEN_COMMIT_AND_ACK


def test_the_cloud_holds_exactly_what_the_exchange_issued(aftermath: Aftermath) -> None:
    with aftermath.engine.connect() as connection:
        rows = connection.execute(text("SELECT epoch, seq, body FROM event WHERE box = :box"), {"box": BOX}).all()
        held = connection.execute(text("SELECT count(*) FROM held")).scalar()
        dead = connection.execute(text("SELECT count(*) FROM dead_letter")).scalar()
    kept = {(epoch, seq): json.loads(body) for epoch, seq, body in rows}
    assert len(kept) == len(rows)
    assert (held, dead, aftermath.gaps) == (0, 0, 0)
    assert kept.keys() == aftermath.issued.keys()
    assert kept == {name: json.loads(body) for name, body in aftermath.issued.items()}
    assert not aftermath.merged & aftermath.issued.keys()
    for epoch in {epoch for epoch, _ in aftermath.issued}:
        seqs = sorted(seq for other, seq in aftermath.issued.keys() | aftermath.merged if other == epoch)
        assert seqs == list(range(1, len(seqs) + 1)), "a name is an item, or became part of one"


def test_rollups_and_tiles_equal_a_slow_recount(aftermath: Aftermath) -> None:
    expected = recount(json.loads(body) for body in aftermath.issued.values())
    with aftermath.engine.connect() as connection:
        stored = stored_sums(connection, box=BOX)
    assert stored.sums == expected.sums
    assert stored.peaks == expected.peaks
    assert stored.cells == expected.cells
    assert expected.cells
