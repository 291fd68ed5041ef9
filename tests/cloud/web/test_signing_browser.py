"""From the set-up link to signing out, in a real browser."""

import re
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import Engine, text
from sqlmodel import Session

from cloud.access.links import make_setup_link
from cloud.settings import Settings
from cloud.store.engine import open_engine, writing
from cloud.store.moments import to_ms
from cloud.web import create_site, front_end
from tests.support.api import ADMIN_KEY, Clock
from tests.support.visitor import PASSWORD, add_person
from tools.venue_picture import NOW, VENUE, browser, furnish, serving

pytestmark = [
    pytest.mark.needs_chromium,
    pytest.mark.skipif(bool(front_end.absent()), reason="needs the files that tools/fetch_front_end.sh fetches"),
]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as found:
        yield found


@pytest.fixture
def clock() -> Clock:
    return Clock(now=NOW)


@pytest.fixture
def database(migrated_file: Path, tmp_path: Path) -> Iterator[Engine]:
    shutil.copy(migrated_file, tmp_path / "footfall.sqlite")
    engine = open_engine(f"sqlite:///{tmp_path / 'footfall.sqlite'}")
    yield engine
    engine.dispose()


@pytest.fixture
def address(database: Engine, clock: Clock) -> Iterator[str]:
    with serving(create_site(Settings.model_validate({"admin_key": ADMIN_KEY}), database, clock=clock)) as found:
        yield found


@pytest.fixture
def page(chromium: Browser, address: str) -> Iterator[Page]:
    """A page of which every error and warning is one of the test; it is closed before the server ends."""
    found = chromium.new_page(reduced_motion="reduce")
    troubles: list[str] = []
    found.on("console", lambda said: troubles.append(said.text) if said.type in {"error", "warning"} else None)
    found.on("pageerror", lambda error: troubles.append(str(error)))
    yield found
    found.close()
    assert [trouble for trouble in troubles if "status of 401" not in trouble] == []


def sign_in(page: Page, password: str = PASSWORD) -> None:
    page.get_by_label("Name").fill("ada")
    page.get_by_label("Password").fill(password)
    page.keyboard.press("Enter")


def test_from_the_set_up_link_to_signing_out_with_the_keyboard_alone(
    page: Page, address: str, database: Engine
) -> None:
    furnish(database, NOW)
    with database.begin() as connection:
        connection.execute(text("DELETE FROM user_account"))
    with writing(database) as connection, Session(connection) as session:
        link = make_setup_link(session, now_ms=to_ms(NOW))
    page.goto(f"{address}{link}")
    expect(page.get_by_label("Name")).to_be_focused()
    page.keyboard.type("ada")
    for _ in range(2):
        page.keyboard.press("Tab")
        page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Demo shop")).to_be_visible()
    page.get_by_role("link", name="Account").press("Enter")
    expect(page.get_by_text("Chrome on Linux")).to_be_visible()
    page.get_by_role("button", name="Sign out").press("Enter")
    expect(page).to_have_url(f"{address}/sign-in")
    page.goto(f"{address}/venues/{VENUE}")
    expect(page).to_have_url(f"{address}/sign-in?next=/venues/{VENUE}")
    sign_in(page, "wrong horse battery")
    expect(page.get_by_role("alert")).to_contain_text("The name or the password is wrong.")
    sign_in(page)
    expect(page).to_have_url(f"{address}/venues/{VENUE}")


def test_another_sites_form_is_refused(page: Page, chromium: Browser, address: str, database: Engine) -> None:
    """A page of another site, in the same browser, on which the victim clicks."""
    add_person(database)
    page.goto(f"{address}/sign-in")
    sign_in(page)
    expect(page.get_by_text("No venue yet")).to_be_visible()
    elsewhere = address.replace("127.0.0.1", "localhost")
    page.route(f"{elsewhere}/trap", lambda route: route.fulfill(body=_trap(address), content_type="text/html"))
    page.goto(f"{elsewhere}/trap")
    with page.expect_response(f"{address}/users") as answered:
        page.get_by_role("button").click()
    assert answered.value.status in {303, 403}
    page.goto(f"{address}/users")
    expect(page.get_by_text("mallory")).to_have_count(0)


def _trap(address: str) -> str:
    return f"""<!doctype html><link rel="icon" href="data:,"><form method="post" action="{address}/users">
      <input name="user" value="mallory"><input name="role" value="admin"><input name="reach" value="all">
      <button>A prize</button></form>"""


def test_a_page_whose_session_has_ended_leads_to_signing_in_and_back(
    page: Page, address: str, database: Engine, clock: Clock
) -> None:
    add_person(database)
    furnish(database, NOW)
    page.goto(f"{address}/venues/{VENUE}")
    sign_in(page)
    expect(page.locator('[data-live="freshness"]')).to_have_text("Live")
    clock.now += timedelta(days=15)
    expect(page).to_have_url(f"{address}/sign-in?next=/venues/{VENUE}", timeout=30_000)
    sign_in(page)
    expect(page).to_have_url(f"{address}/venues/{VENUE}")


def open_users(page: Page, address: str, database: Engine) -> None:
    """Ada looks at the users, of whom bob is one."""
    add_person(database)
    add_person(database, "bob")
    page.goto(f"{address}/sign-in?next=/users")
    sign_in(page)
    page.get_by_label("Change bob").click()


def test_nobody_is_removed_by_one_click(page: Page, address: str, database: Engine) -> None:
    open_users(page, address, database)
    asked = page.get_by_role("dialog", name="Remove bob?")
    for refuse in ("Enter", "Escape"):  # the way back is what the keyboard meets first
        page.get_by_role("button", name="Remove bob").click()
        expect(asked).to_be_visible()
        page.keyboard.press(refuse)
        expect(asked).to_have_count(0)
    expect(page.get_by_role("button", name="Remove bob")).to_be_focused()
    page.get_by_role("button", name="Remove bob").click()
    asked.get_by_role("button", name="Remove").click()
    expect(page.get_by_text("bob")).to_have_count(0)


def test_a_link_and_a_key_are_asked_for_before_they_change_anything_and_can_be_copied(
    page: Page, address: str, database: Engine
) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    open_users(page, address, database)
    page.get_by_role("button", name="New link for a password").click()
    page.get_by_role("button", name="Make the link").click()
    link = page.get_by_text(re.compile(r"/welcome\?token=")).text_content()
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("status")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == link
    page.goto(f"{address}/keys")
    page.get_by_label("What it is for").fill("till")
    page.get_by_role("button", name="Make the key").click()
    key = page.get_by_text(re.compile("^ff_")).text_content()
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("status")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == key
    page.get_by_role("button", name="Revoke till").click()
    page.get_by_role("dialog", name="Revoke till?").get_by_role("button", name="Revoke").click()
    expect(page.get_by_text("No program has a key yet.")).to_be_visible()


def test_where_a_browser_lends_no_clipboard_the_text_is_selected(page: Page, address: str, database: Engine) -> None:
    page.add_init_script(
        "Object.defineProperty(navigator, 'clipboard', {value: undefined}); document.execCommand = () => false"
    )
    open_users(page, address, database)
    page.get_by_role("button", name="New link for a password").click()
    page.get_by_role("button", name="Make the link").click()
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("status")).to_have_text("Selected: copy it with Ctrl+C or ⌘C")
    link = page.get_by_text(re.compile(r"/welcome\?token=")).text_content()
    assert page.evaluate("getSelection().toString()") == link


def test_without_scripts_the_same_is_asked_below_the_button(chromium: Browser, address: str, database: Engine) -> None:
    page = chromium.new_page(java_script_enabled=False)
    open_users(page, address, database)
    page.get_by_text("Remove bob", exact=True).first.click()
    expect(page.get_by_text("Remove bob?")).to_be_visible()
    expect(page.get_by_role("button", name="Copy")).to_be_hidden()
    page.get_by_role("button", name="Remove", exact=True).click()
    expect(page.get_by_text("bob")).to_have_count(0)
    page.close()


LOOKS = [
    pytest.param(width, scheme, id=f"{width} px wide, {scheme}")
    for width in (360, 1280)
    for scheme in ("light", "dark")
]


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_the_pages_of_people_and_keys_stand_at_any_width(
    chromium: Browser, address: str, database: Engine, tmp_path: Path, width: int, scheme: Literal["light", "dark"]
) -> None:
    add_person(database)
    furnish(database, NOW)
    page = chromium.new_page(viewport={"width": width, "height": 844}, color_scheme=scheme, reduced_motion="reduce")

    def stands(name: str) -> None:
        page.screenshot(path=tmp_path / f"{name}-{width}-{scheme}.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth") == width, name

    page.goto(f"{address}/sign-in")
    stands("sign-in")
    sign_in(page)
    page.get_by_role("link", name="Access").click()
    page.get_by_label("Name").fill("bob@example.org")
    page.get_by_text("Only in these:").last.click()
    page.get_by_label("Demo shop").last.check()
    page.get_by_role("button", name="Add, and show a link").click()
    expect(page.get_by_text(re.compile(r"/welcome\?token="))).to_be_visible()
    page.get_by_label("Change bob@example.org").click()
    stands("users")
    page.goto(f"{address}/keys")
    page.get_by_label("What it is for").fill("the till's screen")
    page.get_by_role("button", name="Make the key").click()
    expect(page.get_by_text(re.compile("^ff_"))).to_be_visible()
    stands("keys")
    page.goto(f"{address}/audit")
    expect(page.get_by_text("POST /keys")).to_be_visible()
    stands("audit")
    outcome = page.get_by_role("row").nth(1).get_by_role("cell").last
    assert page.evaluate("it => it.getBoundingClientRect().right", outcome.element_handle()) <= width
    page.goto(f"{address}/account")
    stands("account")
    page.close()
