"""The API over an empty database, on SQLite and on PostgreSQL; and with a venue and a box."""

from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.support.api import Api


@pytest.fixture
def api(engine: Engine, tmp_path: Path) -> Api:
    """The API over a migrated, empty database; its clock stands at NOW."""
    return Api(engine, settings={"data_dir": tmp_path})


@pytest.fixture
def device_key(api: Api) -> str:
    """The device key of box-1, which stands in corner-shop."""
    api.make_venue()
    return api.make_box()
