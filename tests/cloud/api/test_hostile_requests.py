"""Requests that schemathesis makes from the API's own description, wrong ones too: each answer is as described."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import positive_data_acceptance

from cloud.store.engine import open_engine
from cloud.store.schema import migrate
from tests.support.api import ADMIN_KEY, Api, image_bytes
from tests.support.envelopes import configuration, occupancy, tile, visit

EXAMPLES = 20
BEYOND_SCHEMAS = [positive_data_acceptance]
"""A schema cannot say that `from` lies before `to`, that a day exists, or which fields belong together."""

_FOLDER = tempfile.TemporaryDirectory(prefix="footfall-described-")
_API = Api(
    open_engine(f"sqlite:///{Path(_FOLDER.name) / 'footfall.sqlite'}"),
    settings={"access": {"sign_ins_per_minute": 10_000}},  # so many wrong keys are tried
)
_KEY = {"Authorization": f"Bearer {ADMIN_KEY}"}
schema = schemathesis.openapi.from_asgi("/api/v1/openapi.json", _API.app, headers=_KEY)


@pytest.fixture(autouse=True, scope="module")
def api() -> Iterator[Api]:
    """The API that is described, over a database with a bit of everything."""
    migrate(_API.engine)
    _API.make_venue()
    _API.send(_API.make_box(), configuration(1, entrance="door"), visit(2), occupancy(3), tile(4))
    yield _API
    _API.engine.dispose()
    _FOLDER.cleanup()


@schema.parametrize()
@settings(max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_each_answer_is_as_described(case: "schemathesis.Case[Any]") -> None:
    case.call_and_validate(headers=_KEY, excluded_checks=BEYOND_SCHEMAS)


def test_an_address_names_all_the_methods_that_it_takes(api: Api) -> None:
    answer = api.request("BREW", "/venues/corner-shop")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, PATCH"


def test_a_name_of_control_characters_is_refused(api: Api) -> None:
    scale: dict[str, str | float] = {"metres_per_pixel": 0.1, "origin_x_px": 0, "origin_y_px": 0, "name": "\x1f"}
    answer = api.request("PUT", "/venues/corner-shop/plans/ground", content=image_bytes(), query=scale)
    assert answer.status_code == 422
