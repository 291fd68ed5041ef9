"""A camera for tests: serves prepared H.264 over RTSP in real time, as a camera's encoder would.

Runs under Debian's own Python, which has GStreamer's bindings, and knows nothing of Footfall. The
film is a folder with `units.h264` (access units, Annex B) and `units.json` (how long one showing
lasts, and seconds, bytes and whether it is a key frame for each). All clients see the same moment:
what is shown now is the unit at `now - origin`, so after a cut and a restart the film has moved on.
Prints `ready PORT` once it listens and `playing EPOCH` when somebody watches.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import NamedTuple

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402 - their versions must be chosen before

LAUNCH = (
    "( appsrc name=film is-live=true format=time max-bytes=0 "
    "caps=video/x-h264,stream-format=byte-stream,alignment=au "
    "! h264parse ! video/x-h264,alignment=au ! rtph264pay name=pay0 pt=96 config-interval=-1 )"
)
ROUNDING_SECONDS = 0.005


class Unit(NamedTuple):
    """One coded picture and its moment, in seconds from the film's beginning."""

    seconds: float
    data: bytes
    is_key: bool


class Film:
    """The units in order; looped, they go on for ever."""

    def __init__(self, folder: Path, *, loop: bool) -> None:
        index = json.loads((folder / "units.json").read_text())
        data = (folder / "units.h264").read_bytes()
        self._duration = float(index["duration"])
        self._loop = loop
        self._units: list[Unit] = []
        position = 0
        for seconds, size, is_key in index["units"]:
            self._units.append(Unit(seconds, data[position : position + size], is_key))
            position += size

    def unit(self, number: int) -> Unit | None:
        """The unit with this running number, or None when the film is over."""
        showing, place = divmod(number, len(self._units))
        if showing and not self._loop:
            return None
        seconds, data, is_key = self._units[place]
        return Unit(seconds + showing * self._duration, data, is_key)

    def first_key_from(self, position: float) -> int:
        """Running number of the first key frame at or after `position` seconds: what a decoder can begin with."""
        number = int(position // self._duration) * len(self._units) if self._loop else 0
        while (unit := self.unit(number)) and not (unit.is_key and unit.seconds >= position - ROUNDING_SECONDS):
            number += 1
        return number


class Projector:
    """Pushes each unit into the pipeline at its moment, until the film or the media ends."""

    def __init__(self, film: Film, origin: float, appsrc: Gst.Element) -> None:
        self._film = film
        self._origin = origin
        self._appsrc = appsrc
        self._number = film.first_key_from(max(0.0, time.time() - origin))
        self._begins: float | None = None
        self._timer: int | None = None
        self._await_next()

    def stop(self) -> None:
        """Nobody watches any more."""
        if self._timer is not None:
            GLib.source_remove(self._timer)
            self._timer = None

    def _await_next(self) -> None:
        unit = self._film.unit(self._number)
        if unit is None:
            self._appsrc.emit("end-of-stream")
            return
        ahead_seconds = max(0.0, self._origin + unit.seconds - time.time())
        self._timer = GLib.timeout_add(int(ahead_seconds * 1000), self._show, unit)

    def _show(self, unit: Unit) -> bool:
        if self._begins is None:
            self._begins = unit.seconds
        self._timer = None
        buffer = Gst.Buffer.new_wrapped(unit.data)
        buffer.pts = buffer.dts = int((unit.seconds - self._begins) * Gst.SECOND)
        if self._appsrc.emit("push-buffer", buffer) == Gst.FlowReturn.OK:
            self._number += 1
            self._await_next()
        return False


class FilmFactory(GstRtspServer.RTSPMediaFactory):
    """Makes the one media that all clients share."""

    def __init__(self, film: Film, origin: float | None) -> None:
        super().__init__()
        self._film = film
        self._origin = origin
        self.set_launch(LAUNCH)
        self.set_shared(True)

    def do_configure(self, media: GstRtspServer.RTSPMedia) -> None:
        """GStreamer calls this when the first client asks, and again after the last one left."""
        if self._origin is None:
            self._origin = time.time()
        print(f"playing {self._origin!r}", flush=True)
        appsrc = media.get_element().get_by_name_recurse_up("film")
        projector = Projector(self._film, self._origin, appsrc)
        media.connect("unprepared", lambda _: projector.stop())


def protect(server: GstRtspServer.RTSPServer, factory: FilmFactory, *, user: str, password: str) -> None:
    """Let only this user in, by digest authentication."""
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    auth = GstRtspServer.RTSPAuth()
    auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
    auth.add_digest(user, password, token)
    server.set_auth(auth)
    rights = "viewer, media.factory.access=true, media.factory.construct=true"
    factory.add_role_from_structure(Gst.Structure.new_from_string(rights))


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("film", type=Path)
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", default="/camera")
    parser.add_argument("--user")
    parser.add_argument("--password", default="")
    parser.add_argument("--wall-clock-origin", type=float)
    parser.add_argument("--loop", action="store_true")
    return parser.parse_args()


def main() -> None:
    """Serve until killed."""
    chosen = arguments()
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address(chosen.address)
    server.set_service(str(chosen.port))
    factory = FilmFactory(Film(chosen.film, loop=chosen.loop), chosen.wall_clock_origin)
    if chosen.user:
        protect(server, factory, user=chosen.user, password=chosen.password)
    server.get_mount_points().add_factory(chosen.path, factory)
    if not server.attach(None):
        sys.exit(f"cannot listen on port {chosen.port}")
    print(f"ready {server.get_bound_port()}", flush=True)
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()
