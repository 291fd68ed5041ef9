"""Errors outside the pages' own routes, as browsers and as programs meet them."""

import re

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import Engine

from cloud.api.headers import CONTENT_SECURITY_POLICY
from cloud.api.needs import open_to_all
from cloud.api.problems import Forbidden
from cloud.errors import StoreError
from cloud.settings import Settings
from cloud.web import create_site
from tests.support.api import ADMIN_KEY, ON_SQLITE, Clock
from tests.support.visitor import Visitor, add_person

pytestmark = ON_SQLITE
BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
PROGRAMS = [
    pytest.param({}, id="anything"),
    pytest.param({"Accept": "application/json"}, id="JSON"),
    pytest.param({"Accept": "image/avif,image/webp,*/*;q=0.8"}, id="an image"),
]


@pytest.fixture
def site(engine: Engine) -> FastAPI:
    return create_site(Settings.model_validate({"admin_key": ADMIN_KEY}), engine, clock=Clock())


def is_page(answer: httpx.Response) -> bool:
    """Whether it looks like a page of ours, and is as safe as one."""
    assert answer.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert answer.headers["cache-control"] == "no-store"
    return answer.headers["content-type"].startswith("text/html") and "/static/page.css" in answer.text


@pytest.mark.parametrize("path", ["/nothing-here", "/venues", "/venues/a/b", "/static/nothing.css", "/docs", "/api"])
def test_a_browser_gets_a_page_where_nothing_is(site: FastAPI, path: str) -> None:
    answer = Visitor(site).get(path, **BROWSER)
    assert (answer.status_code, is_page(answer)) == (404, True)
    assert "There is no such place here" in answer.text
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("headers", PROGRAMS)
@pytest.mark.parametrize("path", ["/nothing-here", "/static/nothing.css"])
def test_a_program_gets_a_problem_where_nothing_is(site: FastAPI, path: str, headers: dict[str, str]) -> None:
    answer = Visitor(site).get(path, **headers)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


def test_the_api_answers_browsers_as_it_does_programs(site: FastAPI) -> None:
    for path, status in (("/api/v1/nothing-here", 404), ("/api/v1/venues", 401)):
        answer = Visitor(site).get(path, **BROWSER)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


def test_what_else_an_answer_says_stays(site: FastAPI) -> None:
    refused = Visitor(site).post("/", {}, **BROWSER)
    assert (refused.status_code, refused.headers["allow"], is_page(refused)) == (405, "GET", True)
    stranger = Visitor(site, origin="https://footfall.example", address="192.0.2.7").get("/metrics", **BROWSER)
    assert (stranger.status_code, stranger.headers["www-authenticate"], is_page(stranger)) == (401, "Bearer", True)
    assert 'href="/sign-in"' in stranger.text


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        pytest.param(Forbidden("secret"), 403, "This is not for you", id="forbidden"),
        pytest.param(StoreError("secret"), 503, "The numbers cannot be read right now", id="no database"),
        pytest.param(RuntimeError("secret"), 500, "Something went wrong here", id="unexpected"),
    ],
)
def test_an_error_is_a_page_that_tells_nothing_of_the_inside(
    site: FastAPI, error: Exception, status: int, said: str
) -> None:
    @open_to_all
    def fail() -> None:
        raise error

    site.add_api_route("/fails", fail)
    page, problem = Visitor(site).get("/fails", **BROWSER), Visitor(site).get("/fails")
    assert (page.status_code, is_page(page), said in page.text) == (status, True, True)
    assert (problem.status_code, problem.headers["content-type"]) == (status, "application/problem+json")
    assert problem.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert "secret" not in page.text


def test_too_many_is_a_page_that_says_when_to_come_back(engine: Engine) -> None:
    add_person(engine)
    settings = {"admin_key": ADMIN_KEY, "access": {"sign_ins_per_minute": 1}}
    visitor = Visitor(create_site(Settings.model_validate(settings), engine, clock=Clock()))
    visitor.get("/metrics", Authorization="Bearer wrong", **BROWSER)
    answer = visitor.get("/metrics", Authorization="Bearer wrong", **BROWSER)
    assert (answer.status_code, answer.headers["retry-after"], is_page(answer)) == (429, "60", True)


def test_strangers_are_shown_no_way_that_they_cannot_go(site: FastAPI, engine: Engine) -> None:
    add_person(engine)
    ada, stranger = Visitor(site), Visitor(site)
    ada.sign_in()
    for path in ("/nothing-here", "/welcome?token=void"):
        unknown, known = stranger.get(path, **BROWSER), ada.get(path, **BROWSER)
        assert re.findall(r'<a [^>]*href="([^"]*)"', unknown.text) == ["#content", "/", "/sign-in"]
        assert "All venues" not in unknown.text
        assert 'class="button" href="/">All venues' in known.text


def test_the_icon_is_there_for_browsers_that_were_not_told_where(site: FastAPI) -> None:
    icon = Visitor(site).get("/favicon.ico")
    assert (icon.status_code, icon.headers["content-type"]) == (200, "image/svg+xml")
    assert icon.text.startswith("<svg")
    assert '<link rel="icon" href="/static/icon.svg"' in Visitor(site).get("/sign-in").text
