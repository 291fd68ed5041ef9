"""Makes docs/venue.png: the venue page over a made-up day, served by the real cloud and seen by headless Chromium."""

import argparse
import io
import shutil
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import uvicorn
from fastapi import FastAPI
from PIL import Image
from playwright.sync_api import Browser, ViewportSize, sync_playwright
from sqlalchemy import Engine
from sqlmodel import Session

from cloud.boxes import register_box
from cloud.ingest.commit import Committer
from cloud.ingest.intake import intake
from cloud.plans import PlanScale, put_plan, read_image
from cloud.settings import Settings
from cloud.store.engine import open_engine, writing
from cloud.store.moments import to_ms
from cloud.store.schema import migrate
from cloud.venues import Description, create_venue
from cloud.web import create_site
from protocol.topics import Leaf, Topic
from tools import made_up_day

__all__ = ["NOW", "browser", "furnish", "main", "serving"]

NOW = datetime(2026, 11, 20, 15, 42, tzinfo=ZoneInfo("Europe/Berlin"))
_PICTURE = Path("docs/venue.png")
_MOST_BYTES = 200_000
_SIZE: ViewportSize = {"width": 1280, "height": 1470}
_KEY = "a-key-that-opens-nothing-else"


def furnish(engine: Engine, now: datetime) -> None:
    """Make the venue, its plan and its box, and take in all that the box sent today."""
    opened = now.replace(hour=9, minute=0, second=0, microsecond=0)
    with writing(engine) as connection, Session(connection) as session:
        venue = made_up_day.VENUE
        create_venue(session, venue=venue, description=_description(), now_ms=to_ms(now))
        scale = PlanScale(
            name="Ground floor",
            metres_per_pixel=made_up_day.PLAN_METRES_PER_PIXEL,
            origin_x_px=0,
            origin_y_px=made_up_day.PLAN_SIZE_PX[1],
        )
        image = read_image(made_up_day.floor_plan())
        put_plan(session, venue=venue, floor="ground", image=image, scale=scale, now_ms=to_ms(now))
    register_box(engine, box=made_up_day.BOX, venue=made_up_day.VENUE, now=now)
    committer = Committer(engine, lambda: now)

    def take(leaf: Leaf, payload: bytes) -> None:
        topic = Topic(venue=made_up_day.VENUE, box=made_up_day.BOX, leaf=leaf)
        committer.commit([intake(str(topic), payload)])

    for payload in made_up_day.payloads(opened, now):
        take(Leaf.EVENTS, payload)
    take(Leaf.STATUS, made_up_day.status(now))
    take(Leaf.LIVE, made_up_day.live(now))


@contextmanager
def serving(site: FastAPI) -> Iterator[str]:
    """A site on a free port of this machine; its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(site, log_config=None, access_log=False))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            while not server.started and thread.is_alive():
                time.sleep(0.02)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            site.state.surroundings.ending.set()
            server.should_exit = True
            thread.join()


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
    picture = _smaller(_seen())
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
            page.goto(f"{address}/venues/{made_up_day.VENUE}")
            page.wait_for_selector("#map:not(.loading) .leaflet-tile-loaded")
            page.wait_for_timeout(500)  # tiles fade in
            picture = page.screenshot()
            page.close()
        engine.dispose()
    return picture


def _smaller(picture: bytes) -> bytes:
    """The same in 256 colours."""
    out = io.BytesIO()
    Image.open(io.BytesIO(picture)).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(
        out, "PNG", optimize=True
    )
    return out.getvalue()


def _description() -> Description:
    return Description.model_validate(
        {
            "name": "Harbour Street",
            "timezone": "Europe/Berlin",
            "kind": "shop",
            "city": "Hamburg",
            "country": "DE",
            "area_m2": 160,
            "capacity": 60,
            "opening_hours": made_up_day.OPENING_HOURS,
        }
    )


if __name__ == "__main__":
    raise SystemExit(main())
