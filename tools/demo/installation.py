"""A whole Footfall in one folder: broker, cloud and box as processes, and what the cloud has counted so far."""

import json
import os
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from edge import clock
from edge.exchange.outbox import Outbox
from tools.demo.children import Child, DemoError, free_port, is_listening, wait_until
from tools.demo.floor_plan import FloorPlan
from tools.demo.in_view import InView
from tools.demo.screen import Figures
from tools.demo.shop import SCENE

__all__ = ["USER", "CameraState", "Installation", "installed", "real_camera"]

USER = "demo"
_VENUE, _BOX, _CAMERA = "demo-shop", "demo-box", "camera"
_HOST = "127.0.0.1"
_FOOTFALL, _BROKER = (Path(sys.executable).with_name(name) for name in ("footfall", "amqtt"))
_START_SECONDS = 60.0
_SETTLE_SECONDS = 20.0
_ENDING_SECONDS = 1.0
"""How long a process may still be there after it has stopped to answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraState:
    """A camera as the cloud knows it: a word or two for people, and since when."""

    told: str
    since: datetime | None


def real_camera(variable: str) -> str:
    """The configuration of the camera whose url stands in this environment variable, and so in no file."""
    return f'[[camera]]\nid = "{_CAMERA}"\nurl = "${{{variable}}}"\n'


@contextmanager
def installed(
    folder: Path, *, cameras: str, model: str, plan: FloorPlan | None, stop: threading.Event
) -> Iterator["Installation"]:
    """Everything started and the box enrolled; raises DemoError when something does not start, Stopped by `stop`."""
    broker_port, api_port, admin_key = free_port(), free_port(), secrets.token_urlsafe(32)
    broker_file, box_file = folder / "broker.json", folder / "edge.toml"
    broker_file.write_text(_broker_configuration(broker_port))
    box_file.write_text(_box_configuration(folder, broker_port=broker_port, model=model, cameras=cameras))
    cloud = {
        "FOOTFALL_CLOUD_DATA_DIR": str(folder / "cloud"),
        "FOOTFALL_CLOUD_ADMIN_KEY": admin_key,
        "FOOTFALL_CLOUD_BROKER__HOST": _HOST,
        "FOOTFALL_CLOUD_BROKER__PORT": str(broker_port),
        "FOOTFALL_CLOUD_LISTEN__PORT": str(api_port),
    }
    with ExitStack() as stack:
        children: dict[str, Child] = {}

        def start(name: str, *command: str | Path, **settings: str) -> None:
            child = Child(name, command, log=folder / f"{name}.log", environment={**_surroundings(), **settings})
            children[name] = stack.enter_context(child)

        def wait_for(port: int, what: str) -> None:
            wait_until(
                lambda: is_listening(port), children=[*children.values()], stop=stop, seconds=_START_SECONDS, what=what
            )

        start("broker", _BROKER, "-c", broker_file)
        wait_for(broker_port, "the broker to listen")
        start("cloud", _FOOTFALL, "cloud", "serve", **cloud)
        wait_for(api_port, "the API to listen")
        address = f"http://{_HOST}:{api_port}/api/v1"
        # No proxy of the environment stands between two processes of one machine.
        headers = {"Authorization": f"Bearer {admin_key}"}
        http = stack.enter_context(httpx.Client(base_url=address, headers=headers, timeout=30.0, trust_env=False))
        _enrol(http, plan)
        password = _add_user({**_surroundings(), **cloud})
        in_view = stack.enter_context(
            InView(venue=_VENUE, box=_BOX, scenes={SCENE, _CAMERA}, host=_HOST, port=broker_port)
        )
        start("uplink", _FOOTFALL, "edge", "uplink", "--config", box_file)
        start("vision", _FOOTFALL, "edge", "vision", "--config", box_file)
        yield Installation(
            children=children, http=http, password=password, in_view=in_view, exchange=folder / "exchange"
        )


class Installation:
    """A running Footfall, asked over the API as anybody would."""

    def __init__(
        self, *, children: Mapping[str, Child], http: httpx.Client, password: str, in_view: InView, exchange: Path
    ) -> None:
        self.password = password
        self._children = children
        self._http = http
        self._in_view = in_view
        self._exchange = exchange
        self._began = datetime.now(UTC)
        self.url = str(http.base_url).rstrip("/")
        self.venue_url = f"{self.url}/venues/{_VENUE}"
        self.page_url = str(http.base_url.copy_with(path=f"/venues/{_VENUE}"))

    def check(self) -> None:
        """Raise DemoError if a part of it has ended."""
        for child in self._children.values():
            child.check()

    def cameras(self) -> CameraState:
        """How the cameras are: online when all of them are, else the first that is not, and since when."""
        states = [_state(camera) for camera in self._get("cameras")]
        if not states:
            return CameraState(told="starting", since=None)
        return next((state for state in states if state.told != "online"), min(states, key=_since))

    def counted(self) -> Figures:
        """What was counted since the beginning."""
        period = {"from": self._began.isoformat(), "to": (datetime.now(UTC) + timedelta(minutes=15)).isoformat()}
        summary = self._get("summary", **period)
        lines = self._get("lines", **period)["lines"]
        return Figures(
            in_view=self._in_view.people,
            mean_in_view=summary["occupancy"]["mean"] or 0.0,
            visits=summary["visits"],
            walked_in=sum(line["crossings_in"] for line in lines),
            walked_out=sum(line["crossings_out"] for line in lines),
        )

    def settle(self) -> None:
        """End the watching, and wait until the cloud has acknowledged all that was seen."""
        self._children["vision"].stop()
        others = [child for name, child in self._children.items() if name != "vision"]
        outbox = Outbox(self._exchange, boot=clock.boot_id())
        try:
            wait_until(
                lambda: outbox.standing().waiting == 0,
                children=others,
                stop=threading.Event(),
                seconds=_SETTLE_SECONDS,
                what="the box to deliver what it has seen",
            )
        finally:
            outbox.close()

    def _get(self, what: str, **parameters: str) -> Any:
        try:
            return _answer(self._http.get(f"/venues/{_VENUE}/{what}", params=parameters))
        except httpx.HTTPError as error:
            time.sleep(_ENDING_SECONDS)
            self.check()
            raise DemoError(f"the API does not answer: {error}") from error


def _state(camera: Mapping[str, Any]) -> CameraState:
    state = "starting" if camera["state"] == "unknown" else camera["state"]
    reason = "" if camera["reason"] == "none" else f" ({camera['reason']})"
    since = datetime.fromisoformat(camera["since"]) if camera["since"] else None
    return CameraState(told=f"{state}{reason}", since=since)


def _since(state: CameraState) -> datetime:
    return state.since or datetime.max.replace(tzinfo=UTC)


def _surroundings() -> dict[str, str]:
    """The environment without settings of a box or cloud that this machine may have besides."""
    own = ("FOOTFALL_EDGE_", "FOOTFALL_CLOUD_")
    return {name: value for name, value in os.environ.items() if not name.startswith(own)}


def _broker_configuration(port: int) -> str:
    """Of amqtt: anybody on this machine may publish and subscribe. What is valid JSON is valid YAML."""
    listener = {"type": "tcp", "bind": f"{_HOST}:{port}", "max_connections": 50}
    plugins = {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}}
    return json.dumps({"listeners": {"default": listener}, "plugins": plugins})


def _box_configuration(folder: Path, *, broker_port: int, model: str, cameras: str) -> str:
    return f"""[box]
id = "{_BOX}"
venue = "{_VENUE}"
mode = "live"

[exchange]
folder = {json.dumps(str(folder / "exchange"))}

[clock]
trust = "always"

[broker]
host = "{_HOST}"
port = {broker_port}
mqtt_version = "3.1.1"

[detector]
model = {json.dumps(model)}

{cameras}"""


def _add_user(environment: Mapping[str, str]) -> str:
    """The password of a user who may sign in at the page."""
    password = secrets.token_hex(8)
    command: list[str | Path] = [_FOOTFALL, "cloud", "user", "add", USER, "--role", "admin"]
    added = subprocess.run(
        command, input=password, env=environment, capture_output=True, text=True, timeout=_START_SECONDS, check=False
    )
    if added.returncode:
        raise DemoError(f"nobody can sign in at the page: {added.stderr.strip()}")
    return password


def _enrol(http: httpx.Client, plan: FloorPlan | None) -> None:
    venue = {"venue": _VENUE, "name": "Demo shop", "timezone": "UTC", "kind": "shop"}
    _answer(http.post("/venues", json=venue))
    _answer(http.post("/boxes", json={"box": _BOX, "venue": _VENUE}))
    if plan is not None:
        address = f"/venues/{_VENUE}/plans/{plan.floor}"
        _answer(http.put(address, params=plan.scale, content=plan.picture))


def _answer(response: httpx.Response) -> Any:
    if not response.is_success:
        raise DemoError(f"the API answered {response.request.url} with {response.status_code}: {response.text}")
    return response.json()
