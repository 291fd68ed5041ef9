"""What every test may ask for: the real assets, a real broker, a real database; and a record of how each test ended."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.debian import (
    chromium_program,
    debootstrap_programs,
    gstreamer_python,
    mosquitto_program,
    postgres_programs,
    systemd_programs,
)
from tests.support.mosquitto import Mosquitto
from tests.support.outcomes import OutcomeRecorder
from tests.support.postgres import PostgresServer

_NO_ASSETS = "needs the real weights and video: set FOOTFALL_ASSETS to their folder"
_MARKER_OF_FIXTURE = {
    "assets": "assets",
    "mosquitto": "needs_mosquitto",
    "postgres_server": "needs_postgres",
}


def pytest_configure(config: pytest.Config) -> None:
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # as `edge` does, for tests that import ONNX Runtime before it
    report = os.environ.get("FOOTFALL_TEST_REPORT")
    config.pluginmanager.register(OutcomeRecorder(report_path=Path(report) if report else None), "outcome-recorder")


def pytest_itemcollected(item: pytest.Item) -> None:
    for fixture, marker in _MARKER_OF_FIXTURE.items():
        if fixture in getattr(item, "fixturenames", ()):
            item.add_marker(marker)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("assets") and not os.environ.get("FOOTFALL_ASSETS"):
        pytest.skip(_NO_ASSETS)
    if item.get_closest_marker("needs_mosquitto") and mosquitto_program() is None:
        pytest.skip("needs Debian's package mosquitto")
    if item.get_closest_marker("needs_postgres") and postgres_programs() is None:
        pytest.skip("needs Debian's package postgresql")
    if item.get_closest_marker("needs_chromium") and chromium_program() is None:
        pytest.skip("needs Debian's package chromium")
    if item.get_closest_marker("needs_debootstrap") and debootstrap_programs() is None:
        pytest.skip("needs Debian's packages debootstrap, nftables, iproute2 and openssh-client")
    if item.get_closest_marker("needs_gstreamer") and gstreamer_python() is None:
        pytest.skip(
            "needs Debian's packages python3-gi, gir1.2-gst-rtsp-server-1.0 and gstreamer1.0-plugins-{good,bad}"
        )
    if item.get_closest_marker("needs_systemd") and systemd_programs() is None:
        pytest.skip("needs Debian's package systemd, whose programs run without it being started")


@pytest.fixture(scope="session")
def assets() -> Path:
    """The folder of real weights and video."""
    setting = os.environ.get("FOOTFALL_ASSETS")
    if not setting:
        pytest.skip(_NO_ASSETS)
    folder = Path(setting).resolve()
    absent = [name for name in ("models", "videos") if not (folder / name).is_dir()]
    if absent:
        pytest.fail(f"FOOTFALL_ASSETS is set to {folder}, which has no folder {' and no folder '.join(absent)}")
    return folder


@pytest.fixture
def mosquitto() -> Iterator[Mosquitto]:
    """A running broker of this test's own, which keeps nothing."""
    with Mosquitto() as broker:
        yield broker


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A running PostgreSQL server, shared by all tests."""
    with PostgresServer() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_url(postgres_server: PostgresServer) -> str:
    """The server's own database `postgres`, as SQLAlchemy writes it."""
    return postgres_server.url


@pytest.fixture
def postgres_database(postgres_server: PostgresServer) -> Iterator[str]:
    """A fresh, empty database of this test's own, as SQLAlchemy writes it."""
    name = postgres_server.create_database()
    yield postgres_server.url_of(name)
    postgres_server.drop_database(name)
