"""The pages in a real browser, over a day of the made-up shop: alive, without an error, with nothing from elsewhere."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import paho.mqtt.publish
import pytest
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import Engine, text

from cloud.ingest.commit import Committer
from cloud.settings import Settings
from cloud.store.engine import open_engine
from cloud.web import create_site, front_end
from protocol.topics import Leaf, Topic
from protocol.wire import format_utc
from tests.support.api import ADMIN_KEY, Clock
from tests.support.mosquitto import Mosquitto
from tests.support.product import BOX, VENUE, Cloud
from tools import venue_picture
from tools.venue_picture import NOW, browser, furnish, serving

pytestmark = [
    pytest.mark.needs_chromium,
    pytest.mark.skipif(bool(front_end.absent()), reason="needs the files that tools/fetch_front_end.sh fetches"),
]

LOOKS = [
    pytest.param(width, scheme, id=f"{width} px wide, {scheme}")
    for width in (360, 1280)
    for scheme in ("light", "dark")
]


@dataclass(kw_only=True, slots=True)
class Shop:
    """A made-up shop on a real server, and the clock of its cloud."""

    address: str
    engine: Engine
    clock: Clock
    troubles: list[str] = field(default_factory=list)

    @property
    def page(self) -> str:
        return f"{self.address}/venues/{venue_picture.VENUE}"

    def say(self, people: int) -> None:
        """Let the box say who is there now."""
        word = venue_picture.live(self.clock.now, people=people, zones={"offers": 5})
        Committer(self.engine, self.clock).commit([word])

    def watch(self, page: Page) -> None:
        """Sign in, and note every error of a page, and everything that it asks of others."""
        venue_picture.sign_in(page, self.engine, address=self.address, now=self.clock.now)
        page.on("console", lambda said: self.troubles.append(said.text) if said.type in {"error", "warning"} else None)
        page.on("pageerror", lambda error: self.troubles.append(str(error)))
        page.on(
            "request",
            lambda request: None if _is_own(request.url, self.address) else self.troubles.append(request.url),
        )


def _is_own(url: str, address: str) -> bool:
    return url.startswith((f"{address}/", "data:", "blob:"))


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as found:
        yield found


@contextmanager
def served(file: Path) -> Iterator[Shop]:
    engine, clock = open_engine(f"sqlite:///{file}"), Clock(now=NOW)
    site = create_site(Settings.model_validate({"admin_key": ADMIN_KEY}), engine, clock=clock)
    with serving(site) as address:
        yield Shop(address=address, engine=engine, clock=clock)
    engine.dispose()


@pytest.fixture(scope="module")
def furnished(migrated_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with a made-up day, to be copied."""
    path = tmp_path_factory.mktemp("furnished") / "footfall.sqlite"
    shutil.copy(migrated_file, path)
    engine = open_engine(f"sqlite:///{path}")
    furnish(engine, NOW)
    engine.dispose()
    return path


@pytest.fixture
def shop(furnished: Path, tmp_path: Path) -> Iterator[Shop]:
    path = tmp_path / "footfall.sqlite"
    shutil.copy(furnished, path)
    with served(path) as found:
        yield found


@pytest.fixture
def page(chromium: Browser, shop: Shop) -> Iterator[Page]:
    found = chromium.new_page(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    shop.watch(found)
    yield found
    found.close()


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_the_venue_page_stands_at_any_width_without_an_error(
    chromium: Browser, shop: Shop, tmp_path: Path, width: int, scheme: Literal["light", "dark"]
) -> None:
    page = chromium.new_page(viewport={"width": width, "height": 844}, color_scheme=scheme, reduced_motion="reduce")
    shop.watch(page)
    answer = page.goto(shop.page)
    assert answer is not None
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    expect(page.locator("#map .leaflet-tile-loaded").first).to_be_visible()
    expect(page.locator('[data-live="people"]')).to_have_text("12")
    expect(page.locator(".hour.running .label")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.evaluate("document.fonts.check('16px Inter')")
    page.screenshot(path=tmp_path / f"venue-{width}-{scheme}.png", full_page=True)
    page.close()
    assert shop.troubles == []


def test_the_number_follows_what_the_box_says(page: Page, shop: Shop) -> None:
    page.goto(shop.page)
    people, zone = page.locator('[data-live="people"]'), page.locator('[data-zone="demo-box/offers"]')
    expect(people).to_have_text("12")
    expect(zone).to_have_text("2")
    shop.clock.now += timedelta(seconds=10)
    shop.say(28)
    expect(people).to_have_text("28")
    expect(zone).to_have_text("5")
    meter = page.locator(".now .meter .fill")
    assert float((meter.get_attribute("width") or "").rstrip("%")) == pytest.approx(100 * 28 / 30)
    assert shop.troubles == []


def test_a_box_that_falls_silent_makes_the_number_the_last_known(page: Page, shop: Shop) -> None:
    page.goto(shop.page)
    expect(page.locator('[data-live="freshness"]')).to_have_text("Live")
    shop.clock.now += timedelta(minutes=5)
    expect(page.locator('[data-live="freshness"]')).to_have_text("Last known, from 18:42")
    shop.say(4)
    expect(page.locator('[data-live="freshness"]')).to_have_text("Live")


def test_the_rest_of_the_page_is_renewed_each_minute_and_an_open_table_stays_open(page: Page, shop: Shop) -> None:
    page.clock.install()
    page.goto(shop.page)
    page.get_by_text("Show as a table").click()
    expect(page.get_by_role("row", name="12:00 77")).to_be_visible()
    expect(page.locator("#opening")).to_contain_text("18:42 there")
    shop.clock.now += timedelta(minutes=1)
    page.clock.fast_forward(61_000)
    expect(page.locator("#opening")).to_contain_text("18:43 there")
    expect(page.get_by_role("row", name="12:00 77")).to_be_visible()
    expect(page.locator("#map .leaflet-tile-loaded").first).to_be_visible()
    assert shop.troubles == []


def test_a_server_that_is_gone_is_said_so(chromium: Browser, furnished: Path) -> None:
    page = chromium.new_page()
    with served(furnished) as shop:
        shop.watch(page)
        page.clock.install()
        page.goto(shop.page)
        expect(page.locator('[data-live="freshness"]')).to_have_text("Live")
    page.clock.fast_forward(70_000)
    expect(page.get_by_role("status")).to_contain_text("Not updated since")
    page.close()


def test_a_stream_that_breaks_off_and_fails_again_and_again_is_said_to_be_lost(
    chromium: Browser, furnished: Path
) -> None:
    page = chromium.new_page()
    with served(furnished) as shop:
        shop.watch(page)
        page.goto(shop.page)
        expect(page.locator('[data-live="freshness"]')).to_have_text("Live")
    expect(page.locator('[data-live="freshness"]')).to_have_text("Connection lost, trying again", timeout=30_000)
    page.close()


def test_a_page_that_was_opened_before_the_box_had_spoken_shows_its_map_by_itself(
    page: Page, shop: Shop, furnished: Path
) -> None:
    with shop.engine.begin() as connection:
        connection.execute(text("DELETE FROM layout"))
        connection.execute(text("DELETE FROM tile"))
    page.clock.install()
    page.goto(shop.page)
    expect(page.get_by_text("No map yet")).to_be_visible()
    with shop.engine.connect() as connection:
        connection.execute(text("ATTACH DATABASE :full AS whole"), {"full": str(furnished)})
        connection.execute(text("INSERT INTO main.layout SELECT * FROM whole.layout"))
        connection.execute(text("INSERT INTO main.tile SELECT * FROM whole.tile"))
        connection.commit()
        connection.execute(text("DETACH DATABASE whole"))
    page.clock.fast_forward(61_000)
    expect(page.locator("#map .leaflet-tile-loaded").first).to_be_visible()
    assert shop.troubles == []


def test_everything_can_be_reached_with_the_keyboard(page: Page, shop: Shop) -> None:
    page.goto(shop.page)
    expect(page.locator("#map .leaflet-tile-loaded").first).to_be_visible()
    reached = []
    for _ in range(14):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()"))
    assert reached[0] == "Skip to the content"
    assert {"Footfall", "Venues", "API", "Show as a table", "map"} <= set(reached)
    page.locator("summary").focus()
    page.keyboard.press("Enter")
    expect(page.locator("table").first).to_be_visible()


def test_the_api_explains_itself(page: Page, shop: Shop) -> None:
    page.goto(f"{shop.address}/api/v1/docs")
    expect(page.get_by_text("/api/v1/venues/{venue}/live").first).to_be_visible()
    page.get_by_text("/api/v1/health").first.click()
    expect(page.get_by_text("Whether the database answers").first).to_be_visible()
    assert shop.troubles == []


@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (360, "light"), (1280, "dark")])
def test_the_api_is_explained_on_our_ground_at_any_width(
    chromium: Browser, shop: Shop, width: int, scheme: Literal["light", "dark"]
) -> None:
    page = chromium.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme, reduced_motion="reduce")
    shop.watch(page)
    page.goto(f"{shop.address}/api/v1/docs")
    page.locator(".opblock-post .opblock-summary-control").first.click()
    expect(page.get_by_text("Make a venue.")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert _ground(page, "#api") == ("rgb(23, 28, 31)" if scheme == "dark" else "rgb(255, 255, 255)")
    assert _ground(page, "#api .swagger-ui") == "rgba(0, 0, 0, 0)"
    page.emulate_media(color_scheme="light")
    expect(page.locator("html.dark-mode")).to_have_count(0)
    page.close()
    assert shop.troubles == []


def _ground(page: Page, selector: str) -> str:
    return str(page.evaluate("it => getComputedStyle(document.querySelector(it)).backgroundColor", selector))


def test_a_word_over_the_broker_reaches_the_page(chromium: Browser, mosquitto: Mosquitto, tmp_path: Path) -> None:
    def say(people: int) -> None:
        topic = Topic(venue=VENUE, box=BOX, leaf=Leaf.LIVE)
        word = {
            "box": BOX, "venue": VENUE, "at": format_utc(datetime.now(UTC)), "mode": "live",
            "scenes": [{"scene": "floor", "people": people}],
        }  # fmt: skip
        paho.mqtt.publish.single(
            str(topic), json.dumps(word), hostname=mosquitto.host, port=mosquitto.port, retain=True
        )

    with Cloud(tmp_path, database_url=f"sqlite:///{tmp_path}/footfall.sqlite", broker=mosquitto) as cloud:
        cloud.enrol()
        page = chromium.new_page(extra_http_headers=cloud.admin)
        page.goto(f"http://127.0.0.1:{cloud.port}/venues/{VENUE}")
        expect(page.locator('[data-live="freshness"]')).to_have_text("No live count has come in yet")
        for people in (2, 5):
            say(people)
            expect(page.locator('[data-live="people"]')).to_have_text(str(people), timeout=20_000)
        page.close()
        assert cloud.api.stop() == 0
