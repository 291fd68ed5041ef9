"""`make demo`, or `python -m tools.demo`: start it all, show the figures, end it all.

The environment says what is wanted: SECONDS (else until Ctrl-C), SOURCE (an rtsp:// url, else a made-up shop) and
MODEL (else the built-in `figures` in the made-up shop, and whatever moves before a real camera); SEED names another
made-up day. Exit code 0: it ran and was ended; 1: a part of it failed; 2: it cannot start.
"""

import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from rich.console import Console

from edge.address import is_stream
from edge.assembly import MOTION
from edge.errors import ModelError
from edge.models.manifest import load_manifest
from edge.models.store import ModelStore, default_folder
from tools.demo.children import DemoError, Stopped
from tools.demo.floor_plan import shop_plan
from tools.demo.installation import USER, Installation, installed, real_camera
from tools.demo.screen import Figures, closing, opened, told
from tools.demo.shop import Shop, configuration

__all__ = ["Options", "main"]

_LONGEST_SECONDS = 86_400.0
_MINUTE_SECONDS = 60.0
_DELIVERY_SECONDS = 1.0
"""What was seen has reached the API by then."""
_TURN_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What is wanted of a demo."""

    seconds: float
    source: str
    model: str
    seed: int = 1

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Self:
        """From the environment; raises DemoError."""
        text = environment.get("SECONDS") or f"{_LONGEST_SECONDS:.0f}"
        if not text.isdecimal() or not 0 < int(text) <= _LONGEST_SECONDS:
            raise DemoError(f"SECONDS: found {text!r}; allowed is a whole number from 1 to {_LONGEST_SECONDS:.0f}")
        source = environment.get("SOURCE", "")
        if source and not is_stream(source):
            raise DemoError("SOURCE: allowed is a url as in rtsp://user:password@192.0.2.10:554/stream, or rtsps://")
        seed = environment.get("SEED") or "1"
        if not seed.isdecimal():
            raise DemoError(f"SEED: found {seed!r}; allowed is a whole number, 0 and up")
        model = environment.get("MODEL") or (MOTION if source else "figures")
        return cls(seconds=float(text), source=source, model=model, seed=int(seed))

    def check_model(self, environment: Mapping[str, str]) -> None:
        """Raise DemoError unless the model is here and may be used."""
        try:
            if self.model != MOTION:
                ModelStore(folder=default_folder(environment), manifest=load_manifest()).resolve(self.model)
        except ModelError as error:
            raise DemoError(f"MODEL: {error}") from error


def main() -> int:
    """Run the demo as the environment says."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())
    try:
        options = Options.read(os.environ)
        options.check_model(os.environ)
    except DemoError as error:
        print(f"make demo: {error}", file=sys.stderr)
        return 2
    try:
        _demonstrate(options, stop)
    except Stopped:
        return 0
    except DemoError as error:
        print(f"make demo: {error}", file=sys.stderr)
        return 1
    return 0


def _demonstrate(options: Options, stop: threading.Event) -> None:
    made_up = not options.source
    cameras = configuration(seed=options.seed, seconds=_LONGEST_SECONDS) if made_up else real_camera("SOURCE")
    shop = Shop(seed=options.seed, seconds=_LONGEST_SECONDS) if made_up else None
    plan = shop_plan() if made_up else None
    with (
        tempfile.TemporaryDirectory(prefix="footfall-demo-") as folder,
        installed(Path(folder), cameras=cameras, model=options.model, plan=plan, stop=stop) as installation,
    ):
        print(_greeting(installation, options), flush=True)
        _watch(installation, shop, options.seconds, stop)


def _watch(installation: Installation, shop: Shop | None, seconds: float, stop: threading.Event) -> None:
    """Show how things stand each second until it is over, then what became of it."""
    began = time.monotonic()
    film_began: datetime | None = None
    was_online = False
    with opened(Console()) as screen:
        while (elapsed := time.monotonic() - began) < seconds and not stop.is_set():
            installation.check()
            camera = installation.cameras()
            film_began = film_began or camera.since
            was_online = was_online or camera.told == "online"
            truth = _truth(shop, film_began, over=False)
            screen.show(told(elapsed, installation.counted(), truth, camera=camera.told), seconds=elapsed)
            stop.wait(_TURN_SECONDS - (time.monotonic() - began) % _TURN_SECONDS)
    truth = _truth(shop, film_began, over=True)
    camera = installation.cameras()
    installation.settle()
    if not was_online and (shop is None or elapsed >= seconds):
        raise DemoError(f"the camera never came online in {elapsed:.0f} s, so nothing was counted; it is {camera.told}")
    print(closing(elapsed, installation.counted(), truth))


def _truth(shop: Shop | None, film_began: datetime | None, *, over: bool) -> Figures | None:
    """What ought to be known by now: crossings are told each whole minute, and at once when the watching is over."""
    if shop is None or film_began is None:
        return None
    origin, now = film_began.timestamp(), datetime.now(UTC).timestamp()
    if over:
        return shop.figures(now - origin, crossings_until=now - origin)
    known = now - _DELIVERY_SECONDS
    return shop.figures(known - origin, crossings_until=known // _MINUTE_SECONDS * _MINUTE_SECONDS - origin)


def _greeting(installation: Installation, options: Options) -> str:
    camera = "Your camera" if options.source else "Three cameras of a made-up shop"
    legend = "A visit counts once it has ended."
    if not options.source:
        legend += " Crossings of the door come each whole minute. In brackets: the truth."
    return f"""{camera} → vision ({options.model}) → uplink → broker → cloud, all on this machine. Ctrl-C ends it.
  Page     {installation.page_url}
  Sign in  as {USER} with the password {installation.password}
  API      {installation.url}/docs
{legend}"""


if __name__ == "__main__":
    raise SystemExit(main())
