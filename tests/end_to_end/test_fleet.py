"""`footfall fleet simulate` against a real broker and cloud: all that it tells arrives, once, in venues of its own."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.mosquitto import Mosquitto
from tests.support.processes import Command, footfall
from tests.support.product import ADMIN_KEY, Cloud

pytestmark = [pytest.mark.acceptance, pytest.mark.needs_mosquitto]


@pytest.fixture(scope="module")
def broker() -> Iterator[Mosquitto]:
    with Mosquitto(persistent=True) as broker:
        yield broker


@pytest.fixture
def cloud(broker: Mosquitto, tmp_path: Path) -> Iterator[Cloud]:
    url = f"sqlite:///{tmp_path / 'footfall.sqlite'}"
    with Cloud(tmp_path / "cloud", database_url=url, broker=broker) as cloud:
        yield cloud


def simulate(tmp_path: Path, *words: str, key: str = ADMIN_KEY) -> Command:
    command = Command(
        footfall("fleet", "simulate", "--boxes", "3", "--cameras", "2", "--speed", "120", "--seconds", "6", *words),
        log=tmp_path / "fleet.log",
        environment={"FOOTFALL_FLEET_KEY": key},
    )
    command.start()
    return command


def test_all_that_a_fleet_tells_is_counted_once(broker: Mosquitto, cloud: Cloud, tmp_path: Path) -> None:
    at = f"{broker.host}:{broker.port}"
    for _ in range(2):
        fleet = simulate(tmp_path, "--broker", at, "--cloud", f"http://127.0.0.1:{cloud.port}")
        assert fleet.wait(120) == 0, fleet.log
    said = re.findall(r"3 of 3 boxes connected; ([\d,]+) items told, ([\d,]+) acknowledged, 0 waiting", fleet.log)
    told = [int(items.replace(",", "")) for items, acknowledged in said if items == acknowledged]
    assert len(told) == 2, fleet.log
    assert min(told) > 20
    assert cloud.rows("SELECT count(*) FROM event") == [(sum(told),)]
    assert cloud.rows("SELECT count(*) FROM held") == [(0,)]
    assert {box["box"]: box["venue"] for box in cloud.get("/boxes")["boxes"]} == {
        f"sim-000{number}": f"sim-shop-000{number}" for number in (1, 2, 3)
    }


def test_what_the_cloud_answers_is_said(broker: Mosquitto, cloud: Cloud, tmp_path: Path) -> None:
    at = f"{broker.host}:{broker.port}"
    fleet = simulate(tmp_path, "--broker", at, "--cloud", f"http://127.0.0.1:{cloud.port}", key="wrong" * 6)
    assert fleet.wait(60) == 1
    assert "The cloud answered 401 to POST /venues" in fleet.log
