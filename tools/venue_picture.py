"""Makes docs/venue.png: the page of the made-up shop, served by the real cloud and seen by headless Chromium."""

import argparse
import shutil
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, time
from pathlib import Path
from time import sleep
from zoneinfo import ZoneInfo

import uvicorn
from fastapi import FastAPI
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright
from sqlalchemy import Engine
from sqlmodel import Session

from cloud.access.roles import Grant, Role
from cloud.access.sessions import Lifetime, begin_session
from cloud.access.users import add_user
from cloud.api.origins import SESSION_COOKIE
from cloud.boxes import register_box
from cloud.ingest.commit import Committer
from cloud.ingest.intake import Delivery, intake
from cloud.opening import Weekday
from cloud.plans import PlanScale, put_plan, read_image
from cloud.settings import Settings
from cloud.store.engine import open_engine, writing
from cloud.store.moments import to_ms
from cloud.store.schema import migrate
from cloud.venues import Description, create_venue
from cloud.web import create_site
from edge.synthetic.days import RUSH_HOURS, ShopDays, envelopes
from edge.synthetic.layout import LAYOUT, SCENE
from protocol.envelope import Clock, ClockSource
from protocol.events import Crossing, Item, Occupancy, Queue
from protocol.status import BoxState, ExchangeStatus, Live, LiveScene, LiveZone, Status, VisionState
from protocol.topics import Leaf, Topic
from tools.demo.floor_plan import shop_plan

__all__ = ["NOW", "USER", "VENUE", "browser", "furnish", "live", "main", "serving", "sign_in"]

VENUE, USER = "demo-shop", "demo"
_HASH = "no password has this hash"
_BOX, _EPOCH, _SESSION = "demo-box", "a" * 16, "b" * 16
_ZONE = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 20, 18, 42, tzinfo=_ZONE)
_SEED, _VISITORS_A_DAY = 152, 480.0
_OPENS, _CLOSES = min(RUSH_HOURS), max(RUSH_HOURS) + 1
_AWAY_FROM, _AWAY_UNTIL = time(11, 8), time(11, 23)
"""Nothing was watched then."""
_PICTURE = Path("docs/venue.png")
_MOST_BYTES = 200_000
_DAY_MS = 86_400_000
_SIZE: ViewportSize = {"width": 1280, "height": 1470}
_KEY = "a-key-that-opens-nothing-else"


def furnish(engine: Engine, now: datetime) -> None:
    """Make a user, the venue, its plan and its box, and take in all that the box sent today."""
    plan = shop_plan()
    with writing(engine) as connection, Session(connection) as session:
        create_venue(session, venue=VENUE, description=_description(), now_ms=to_ms(now))
        image, scale = read_image(plan.picture), PlanScale.model_validate(plan.scale)
        add_user(session, user=USER, grant=Grant(role=Role.ADMIN), password_hash=_HASH, now_ms=to_ms(now))
        put_plan(session, venue=VENUE, floor=plan.floor, image=image, scale=scale, now_ms=to_ms(now))
    register_box(engine, box=_BOX, venue=VENUE, now=now)
    shop = ShopDays(
        seed=_SEED, venue=VENUE, visitors_a_day=_VISITORS_A_DAY, timezone=_ZONE, hours=range(_OPENS, _CLOSES + 1)
    )
    told = shop.day(now.astimezone(_ZONE).date()).until(now)
    newest = next(item for item in reversed(told) if isinstance(item, Occupancy))
    sent = envelopes([item for item in told if not _is_unwatched(item)], box=_BOX, epoch=_EPOCH)
    Committer(engine, lambda: now).commit(
        [
            *(_delivery(Leaf.EVENTS, payload) for payload in sent),
            _status(now),
            live(
                now,
                people=newest.inside or 0,
                zones={zone.zone: round(zone.person_seconds / 60) for zone in newest.zones},
            ),
        ]
    )


def live(now: datetime, *, people: int, zones: Mapping[str, int]) -> Delivery:
    """The box says who is there."""
    there = tuple(LiveZone(zone=zone, people=count) for zone, count in zones.items())
    scene = LiveScene(scene=SCENE, people=people, inside=people, zones=there)
    word = Live(box=_BOX, venue=VENUE, at=now, mode=LAYOUT.mode, scenes=(scene,))
    return _delivery(Leaf.LIVE, word.to_json().encode())


@contextmanager
def serving(site: FastAPI) -> Iterator[str]:
    """A site on a free port of this machine; its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(site, log_config=None, access_log=False, proxy_headers=False))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            while not server.started and thread.is_alive():
                sleep(0.02)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            site.state.surroundings.ending.set()
            server.should_exit = True
            thread.join()


def sign_in(page: Page, engine: Engine, *, address: str, now: datetime) -> None:
    """Let a page be seen by a user who has just signed in."""
    lifetime = Lifetime(idle_ms=_DAY_MS, absolute_ms=_DAY_MS)
    with writing(engine) as connection, Session(connection) as session:
        token, _ = begin_session(
            session,
            user=USER,
            password_hash=_HASH,
            address="127.0.0.1",
            browser="",
            now_ms=to_ms(now),
            lifetime=lifetime,
        )
    page.context.add_cookies([{"name": SESSION_COOKIE, "value": token, "url": address, "httpOnly": True}])


@contextmanager
def browser() -> Iterator[Browser]:
    """Debian's Chromium without a window; raises FileNotFoundError where it is not installed."""
    program = shutil.which("chromium")
    if program is None:
        raise FileNotFoundError("chromium is missing: apt-get install chromium")
    options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=options)
        try:
            yield chromium
        finally:
            chromium.close()


def main(arguments: list[str] | None = None) -> int:
    """Write the picture; exit code 1 when it would be too large."""
    parser = argparse.ArgumentParser(description="Make a picture of the venue page.")
    parser.add_argument("--to", type=Path, default=_PICTURE, metavar="FILE")
    target: Path = parser.parse_args(arguments).to
    picture = _seen()
    if len(picture) > _MOST_BYTES:
        print(f"The picture has {len(picture)} bytes, more than {_MOST_BYTES}", file=sys.stderr)
        return 1
    target.write_bytes(picture)
    print(f"{target}: {len(picture) / 1000:.0f} kB")
    return 0


def _seen() -> bytes:
    with tempfile.TemporaryDirectory(prefix="footfall-picture-") as folder:
        engine = open_engine(f"sqlite:///{folder}/footfall.sqlite")
        migrate(engine)
        furnish(engine, NOW)
        site = create_site(Settings.model_validate({"admin_key": _KEY}), engine, clock=lambda: NOW)
        with serving(site) as address, browser() as chromium:
            page = chromium.new_page(viewport=_SIZE, color_scheme="light", reduced_motion="reduce")
            sign_in(page, engine, address=address, now=NOW)
            page.goto(f"{address}/venues/{VENUE}")
            page.wait_for_selector("#map:not(.loading) .leaflet-tile-loaded")
            page.wait_for_timeout(500)  # tiles fade in
            picture = page.screenshot()
            page.close()
        engine.dispose()
    return picture


def _delivery(leaf: Leaf, payload: bytes) -> Delivery:
    return intake(str(Topic(venue=VENUE, box=_BOX, leaf=leaf)), payload)


def _status(now: datetime) -> Delivery:
    """The box says how it is."""
    status = Status(
        box=_BOX,
        venue=VENUE,
        session=_SESSION,
        state=BoxState.ONLINE,
        at=now,
        mode=LAYOUT.mode,
        clock=Clock(source=ClockSource.NTP),
        vision=VisionState.ALIVE,
        exchange=ExchangeStatus(waiting=3, oldest_seconds=20.0, used=0.02),
    )
    return _delivery(Leaf.STATUS, status.to_json().encode())


def _is_unwatched(item: Item) -> bool:
    """Whether it is of a minute in which nothing was watched."""
    if item.at is None or not isinstance(item, Occupancy | Crossing | Queue):
        return False
    return _AWAY_FROM <= item.at.astimezone(_ZONE).time() < _AWAY_UNTIL


def _description() -> Description:
    return Description.model_validate(
        {
            "name": "Demo shop",
            "timezone": _ZONE.key,
            "kind": "shop",
            "city": "Berlin",
            "country": "DE",
            "area_m2": 80,
            "capacity": 30,
            "opening_hours": {"weekly": {day: [[f"{_OPENS:02}:00", f"{_CLOSES:02}:00"]] for day in Weekday}},
        }
    )


if __name__ == "__main__":
    raise SystemExit(main())
