"""A database or an exchange is lost while boxes send, and comes back from an older back-up: the boxes refill the hole.

Afterwards the cloud must hold exactly what the exchange issued, each item once, and its sums must equal a slow recount.
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from cloud.store.engine import open_engine, reading
from tests.support.mosquitto import Mosquitto
from tests.support.postgres import PostgresServer
from tests.support.processes import Command, footfall, until
from tests.support.product import BOX, Box, Camera, Cloud
from tests.support.recount import recount, stored_sums

pytestmark = [pytest.mark.acceptance, pytest.mark.needs_mosquitto, pytest.mark.needs_postgres, pytest.mark.timeout(600)]

ITEMS = 10_000


@pytest.fixture(params=["sqlite", "postgresql"])
def cloud(request: pytest.FixtureRequest, tmp_path: Path, mosquitto: Mosquitto) -> Iterator[Cloud]:
    """A cloud that takes in, with a box enrolled."""
    with ExitStack() as stack:
        url = f"sqlite:///{tmp_path / 'cloud' / 'footfall.sqlite'}"
        if request.param == "postgresql":
            server = stack.enter_context(PostgresServer())
            url = server.url_of(server.create_database())
        cloud = stack.enter_context(Cloud(tmp_path / "cloud", database_url=url, broker=mosquitto))
        cloud.enrol()
        yield cloud


@pytest.fixture
def box(tmp_path: Path, mosquitto: Mosquitto) -> Iterator[Box]:
    """A box whose uplink runs over a real exchange; its camera is never looked at."""
    camera = Camera(id="square", url="rtsp://127.0.0.1:9/none")
    box = Box(tmp_path / "box", broker=mosquitto, cameras=[camera], model="motion", mode="live")
    yield box
    box.uplink.kill()


def does(cloud: Cloud, target: Path, *words: str) -> None:
    """Run a command of the cloud that must succeed."""
    command = cloud.command("cloud", *words, "--target", f"file://{target}", log=target.with_name(f"{words[0]}.log"))
    command.start()
    assert command.wait(300) == 0, command.log


def taken_in(cloud: Cloud, count: int) -> None:
    """Wait until the cloud holds so many items."""
    until(lambda: held(cloud) >= count, seconds=180, what=f"{count} items")


def lose(cloud: Cloud) -> None:
    """Throw the database away, as a disk does that breaks."""
    if cloud.database_url.startswith("sqlite"):
        path = Path(cloud.database_url.removeprefix("sqlite:///"))
        for part in path.parent.glob(f"{path.name}*"):
            part.unlink()
    else:
        engine = create_engine(cloud.database_url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text("DROP SCHEMA public CASCADE"))
            connection.execute(text("CREATE SCHEMA public"))
        engine.dispose()


def held(cloud: Cloud) -> int:
    """How many items the cloud holds."""
    return int(cloud.rows("SELECT count(*) FROM event")[0][0])


def check(cloud: Cloud, box: Box) -> None:
    """The cloud holds what the box issued, each item once, and counts it as a slow recount does."""
    box.drained(240)
    issued = box.contents()
    assert len(issued) > 3 * ITEMS
    assert held(cloud) == len(issued)
    assert cloud.contents() == issued
    expected = recount(json.loads(item.body) for item in box.issued())
    engine = open_engine(cloud.database_url)
    with reading(engine) as connection:
        found = stored_sums(connection, box=BOX)
    engine.dispose()
    assert (found.sums, found.peaks, found.cells) == (expected.sums, expected.peaks, expected.cells)
    assert expected.cells


def test_a_lost_database_is_refilled_from_an_older_back_up_and_by_the_boxes(
    cloud: Cloud, box: Box, tmp_path: Path
) -> None:
    target = tmp_path / "archives"
    box.fill(ITEMS)
    box.uplink.start()
    taken_in(cloud, ITEMS // 2)
    does(cloud, target, "backup")
    box.fill(ITEMS)
    does(cloud, target, "backup")
    taken_in(cloud, ITEMS + ITEMS // 2)
    cloud.ingest.kill()
    cloud.api.kill()
    lost = held(cloud)
    lose(cloud)
    older = min(path.name for path in target.iterdir())
    does(cloud, target, "restore", older)
    assert ITEMS // 2 <= held(cloud) < lost
    box.fill(ITEMS)
    cloud.ingest.start()
    check(cloud, box)


def test_a_database_is_replaced_while_it_is_written_to(cloud: Cloud, box: Box, tmp_path: Path) -> None:
    target = tmp_path / "archives"
    box.fill(ITEMS)
    box.uplink.start()
    taken_in(cloud, ITEMS // 2)
    does(cloud, target, "backup")
    box.fill(ITEMS)
    taken_in(cloud, ITEMS + ITEMS // 2)
    does(cloud, target, "restore", "--replace")
    box.fill(ITEMS)
    check(cloud, box)
    assert cloud.ingest.is_running


def test_a_box_that_comes_back_from_an_older_back_up_is_the_same_box(cloud: Cloud, box: Box, tmp_path: Path) -> None:
    """The cloud keeps all that the box issued before and after, and nothing waits for somebody to decide."""
    file = tmp_path / "box.tar.gz"
    box.fill(1000)
    box.uplink.start()
    box.drained(120)
    keeps(box, "backup", file)
    box.fill(1000)
    box.drained(120)
    issued = box.contents()
    box.uplink.stop()
    keeps(box, "restore", file, "--replace")
    assert len(box.contents()) < len(issued)
    box.uplink.start()
    box.drained(120)
    box.fill(1000)
    box.drained(120)
    assert cloud.contents() == issued | box.contents()
    assert cloud.rows("SELECT count(*) FROM held") == [(0,)]
    assert cloud.rows("SELECT count(*) FROM epoch WHERE cloned") == [(0,)]


def keeps(box: Box, *words: str | Path) -> None:
    """Run a command of the box that must succeed."""
    command = Command(
        footfall("edge", *words, "--config", box.configuration), log=box.configuration.with_name(f"{words[0]}.log")
    )
    command.start()
    assert command.wait(120) == 0, command.log
