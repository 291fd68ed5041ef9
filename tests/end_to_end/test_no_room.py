"""A full disk, of the box and of the cloud: it is said, everything goes on, and nothing that was stored is lost.

Exchange and database lie on file systems of a few MiB, which somebody else's file fills to the last byte.
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import numpy as np
import pytest

from edge.exchange.schema import State
from tests.support.mosquitto import Mosquitto
from tests.support.processes import until
from tests.support.product import BOX, VENUE, Box, Camera, Cloud
from tests.support.rtsp_server import RtspServer, encoded_film
from tests.support.small_disk import SmallDisk

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.needs_gstreamer,
    pytest.mark.needs_mosquitto,
    pytest.mark.timeout(300),
]

MIB = 2**20
ITEMS, MORE_ITEMS = 4_000, 4_000
TRIES = 3
Name = tuple[str, int]
"""An item's epoch and seq."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """A box, its one camera, and its cloud."""

    camera: RtspServer
    cloud: Cloud
    box: Box


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nothing happens in it."""
    picture = np.full((120, 160, 3), 90, np.uint8)
    return encoded_film([[picture] * 20], tmp_path_factory.mktemp("film"))


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def installed(stack: ExitStack, *, film: Path, folder: Path) -> Installation:
    """Everything but the box running, and the box enrolled."""
    broker = stack.enter_context(Mosquitto())
    database = f"sqlite:///{folder / 'database' / 'footfall.sqlite'}"
    (folder / "database").mkdir(exist_ok=True)
    cloud = stack.enter_context(Cloud(folder / "cloud", database_url=database, broker=broker))
    cloud.enrol()
    camera = stack.enter_context(RtspServer(film, loop=True))
    settings = {"rate": 2, "read_seconds": 3, "reconnect_cap_seconds": 1}
    cameras = [Camera(id="square", url=camera.url, settings=settings)]
    box = Box(folder / "box", broker=broker, cameras=cameras, model="motion", mode="live")
    return Installation(camera=camera, cloud=cloud, box=box)


def until_committed(box: Box, state: str) -> None:
    """Wait until vision has committed that its camera is in this state."""

    def newest() -> str:
        query = "SELECT body FROM item WHERE type = 'camera-health' ORDER BY id DESC LIMIT 1"
        with box.look() as exchange:
            row = exchange.execute(query).fetchone()
        return json.loads(row[0])["state"] if row else "unknown"

    until(lambda: newest() == state, seconds=60, what=f"the exchange to hold that the camera is {state}")


def issued(box: Box) -> set[Name]:
    """Every name that the exchange ever gave, but to what is not whole yet."""
    with box.look() as exchange:
        epochs = exchange.execute("SELECT epoch, next_seq FROM epoch").fetchall()
        waiting = exchange.execute(
            "SELECT epoch, seq FROM part UNION SELECT epoch, seq FROM tile_part UNION SELECT epoch, seq FROM checkpoint"
        ).fetchall()
    return {(epoch, seq) for epoch, next_seq in epochs for seq in range(1, next_seq)} - set(waiting)


def declared(cloud: Cloud, reason: str) -> set[Name]:
    """Every name that a gap covers for this reason, as the cloud was told."""
    gaps = cloud.rows("SELECT epoch, first_seq, last_seq, reason FROM gap")
    return {(epoch, seq) for epoch, first, last, why in gaps if why == reason for seq in range(first, last + 1)}


def counted_as_lost(box: Box) -> int:
    """What the box's own gaps count as dropped."""
    with box.look() as exchange:
        gaps = exchange.execute("SELECT lost FROM gap WHERE reason = 'dropped'").fetchall()
    return sum(sum(json.loads(lost).values()) for (lost,) in gaps)


def lost_items(cloud: Cloud) -> int:
    """What the API says was lost."""
    now = datetime.now(UTC)
    period = {"from": (now - timedelta(days=1)).isoformat(), "to": (now + timedelta(days=1)).isoformat()}
    return int(cloud.get(f"/venues/{VENUE}/summary", **period)["gaps"]["lost_items"])


def test_a_box_whose_disk_fills_up_goes_on_within_its_ballast_and_loses_nothing(
    stack: ExitStack, film: Path, tmp_path: Path
) -> None:
    disk = stack.enter_context(SmallDisk(tmp_path / "box" / "exchange", size_bytes=40 * MIB))
    one = installed(stack, film=film, folder=tmp_path)
    box, cloud, camera = one.box, one.cloud, one.camera
    cloud.ingest.kill()
    box.fill(ITEMS)
    stack.enter_context(box)
    until_committed(box, "online")
    disk.brim()
    until(lambda: "no room on the disk" in box.vision.log, seconds=60, what="the full disk to be told")
    disk.brim()
    camera.kill()
    until_committed(box, "offline")
    camera.start()
    until_committed(box, "online")
    disk.relieve()
    until(lambda: "there is room on the disk again" in box.vision.log, seconds=60, what="the new room to be told")
    assert f"exchange {box.exchange}/exchange.sqlite: no room on the disk" in box.vision.log
    assert "free some space" in box.vision.log
    assert box.vision.stop(60) == 0, box.vision.log
    assert box.uplink.is_running
    cloud.ingest.start()
    box.drained(90)
    assert len(issued(box)) > ITEMS
    assert box.contents().keys() == issued(box)
    assert cloud.contents() == box.contents()
    assert lost_items(cloud) == 0


def test_a_box_without_any_room_declares_what_it_drops_and_delivers_all_else(
    stack: ExitStack, film: Path, tmp_path: Path
) -> None:
    disk = stack.enter_context(SmallDisk(tmp_path / "box" / "exchange", size_bytes=14 * MIB))
    one = installed(stack, film=film, folder=tmp_path)
    box, cloud = one.box, one.cloud
    cloud.ingest.kill()
    box.fill(ITEMS)
    stack.enter_context(box)
    until_committed(box, "online")
    disk.brim()
    until(lambda: "no room on the disk" in box.vision.log, seconds=60, what="the full disk to be told")
    assert box.vision.stop(60) == 0, box.vision.log
    disk.brim()
    box.fill(MORE_ITEMS)
    box.vision.start()
    until_committed(box, "online")
    disk.relieve()
    one.camera.kill()
    until_committed(box, "offline")
    assert box.vision.stop(60) == 0, box.vision.log
    assert box.uplink.is_running
    contents, names = box.contents(), issued(box)
    cloud.ingest.start()
    box.drained(90)

    def settled() -> bool:
        return cloud.contents().keys() | declared(cloud, "dropped") | declared(cloud, "merged") == names

    until(settled, seconds=60, what="every seq to be stored or declared")
    dropped, merged = declared(cloud, "dropped"), declared(cloud, "merged")
    print(f"{len(names)} issued, {len(contents)} stored, {len(dropped)} dropped, {len(merged)} merged")
    assert cloud.contents() == contents
    assert not contents.keys() & (dropped | merged)
    assert dropped
    # A gap of what was dropped may reach over what merged beside it.
    assert 0 < lost_items(cloud) == counted_as_lost(box) <= len(dropped)


def test_a_cloud_whose_disk_fills_up_acknowledges_nothing_that_it_has_not_stored_and_catches_up(
    stack: ExitStack, film: Path, tmp_path: Path
) -> None:
    disk = stack.enter_context(SmallDisk(tmp_path / "database", size_bytes=24 * MIB))
    one = installed(stack, film=film, folder=tmp_path)
    box, cloud = one.box, one.cloud
    box.fill(ITEMS)
    stack.enter_context(box.uplink)
    box.drained(90)
    disk.brim()
    box.fill(MORE_ITEMS)
    told = f"Database {cloud.database_url}: the disk is full"
    until(lambda: cloud.ingest.log.count(told) >= TRIES, seconds=90, what="the full disk to be told at each try")
    assert "messages wait, next try in" in cloud.ingest.log
    with box.look() as exchange:
        acknowledged = set(exchange.execute("SELECT epoch, seq FROM item WHERE state = ?", (State.SETTLED,)))
    stored = cloud.contents()
    assert acknowledged <= stored.keys()
    assert box.waiting() > 0
    assert cloud.get(f"/boxes/{BOX}")["box"] == BOX
    refusal = cloud.http.post("/boxes", json={"box": "other-box"}, headers=cloud.admin)
    assert refusal.status_code == httpx.codes.SERVICE_UNAVAILABLE
    disk.relieve()
    box.drained(120)
    assert cloud.ingest.is_running
    assert len(box.contents()) >= ITEMS + MORE_ITEMS
    assert cloud.contents() == box.contents()
    assert "Traceback" not in cloud.ingest.log
    assert lost_items(cloud) == 0
