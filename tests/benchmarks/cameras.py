"""Eight cameras on two cores: how often each is looked at, how late, and whether it still counts the same.

The real `footfall edge vision` with yolox_nano and the usual settings watches eight RTSP cameras for a minute, and one
alone for another. Each camera is a server of its own that shows the same film from its beginning (`pets_s2l1`,
480×360 in H.264, 10 frames/s, never empty); the servers run on the same two cores. The box analyses what it can and
drops the rest.

Each camera should be looked at twice a second at least, and 95 of 100 frames counted within 1.5 s of the moment that
they show, as far as it can be told at the receiving end. The people ratio is the person-seconds that one of the eight
counts, to those of the camera that is alone, and should be within 10 % of 1; visits are those that began. Vision's
processors say how much of the two cores it got.
"""

import json
import math
import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import httpx
import psutil

from edge.exchange.schema import FILE_NAME, connect
from edge.metrics.vision import DELAY_SECONDS
from tests.support.assets import assets_folder
from tests.support.debian import gstreamer_python
from tests.support.ports import free_port
from tests.support.processes import Command, footfall, until
from tests.support.prometheus import Scrape, scrape
from tests.support.rtsp_server import RtspServer, prepared_film

__all__ = ["Counted", "compared", "configuration", "counted", "delays", "main", "playing", "quantile", "watched"]

CAMERAS, CORES, SECONDS = 8, 2, 60.0
_START_SECONDS = 60.0
_ANALYSED = "footfall_camera_analysed_frames_total"
_DROPPED = "footfall_camera_dropped_frames_total"
_DELAYS = "footfall_camera_delay_seconds_bucket"

_EDGES = (*(str(edge) for edge in DELAY_SECONDS), "+Inf")

Figures = dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What a camera counted: mean people in view, and visits that began."""

    people: float
    visits: int


def main() -> None:
    """Measure, and end with one line of figures."""
    assets = assets_folder()
    if gstreamer_python() is None:
        raise SystemExit("This needs Debian's GStreamer RTSP server: see debian-packages.txt.")
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    model = assets / "models/yolox_nano.onnx"
    with tempfile.TemporaryDirectory() as folder:
        film = prepared_film([assets / "videos/pets_s2l1.mp4"], Path(folder) / "film")
        alone = watched(Path(folder) / "alone", film=film, model=model, cameras=1, seconds=SECONDS)
        together = watched(Path(folder) / "together", film=film, model=model, cameras=CAMERAS, seconds=SECONDS)
    print(json.dumps(compared(alone, together)))


def compared(alone: Figures, together: Figures) -> dict[str, float | dict[str, Figures]]:
    """The ratios, and both sides."""
    return {
        "people_ratio": round(together["people_in_view"] / alone["people_in_view"], 3),
        "people_ratio_least": round(together["people_in_view_least"] / alone["people_in_view"], 3),
        "people_ratio_most": round(together["people_in_view_most"] / alone["people_in_view"], 3),
        "visits_ratio": round(together["visits_a_camera"] / alone["visits_a_camera"], 3),
        "cameras": {"one alone": alone, f"{CAMERAS} together": together},
    }


def watched(folder: Path, *, film: Path, model: str | Path, cameras: int, seconds: float) -> Figures:
    """What one box with so many cameras did, from the moment that all of them played."""
    folder.mkdir()
    names, port = [f"camera-{number}" for number in range(1, cameras + 1)], free_port()
    with ExitStack() as stack:
        urls = {name: stack.enter_context(RtspServer(film, loop=True)).url for name in names}
        config = configuration(folder, urls=urls, model=model, port=port)
        vision = stack.enter_context(Command(footfall("edge", "vision", "--config", config), log=folder / "vision.log"))
        process, address = psutil.Process(vision.pid), f"http://127.0.0.1:{port}/metrics"
        before = until(lambda: playing(address, names), seconds=_START_SECONDS, what="every camera to play")
        began, spent = time.monotonic(), _spent(process)
        time.sleep(seconds)
        after, took = scrape(address), time.monotonic() - began
        processors, resident_mib = (_spent(process) - spent) / took, vision.resident_bytes / 2**20
        vision.stop()
    rates = [_grown(_ANALYSED, name, before, after) / took for name in names]
    late = delays(before, after, names)
    counts = counted(folder / "exchange", names)
    return {
        "frames_per_second_least": round(min(rates), 2),
        "frames_per_second_most": round(max(rates), 2),
        "dropped_per_second": round(sum(_grown(_DROPPED, name, before, after) for name in names) / took, 1),
        "delay_p50_ms": round(1000 * quantile(0.5, late)),
        "delay_p95_ms": round(1000 * quantile(0.95, late)),
        "people_in_view": round(fmean(each.people for each in counts), 2),
        "people_in_view_least": round(min(each.people for each in counts), 2),
        "people_in_view_most": round(max(each.people for each in counts), 2),
        "visits_a_camera": round(fmean(each.visits for each in counts), 1),
        "vision_processors": round(processors, 2),
        "resident_mib": round(resident_mib),
    }


def delays(before: Scrape, after: Scrape, cameras: Sequence[str]) -> dict[float, float]:
    """By upper edge in seconds, how many frames of all cameras were at most so late."""
    counts: dict[float, float] = {}
    for name in cameras:
        for edge in _EDGES:
            grown = after.value(_DELAYS, camera=name, le=edge) - before.value(_DELAYS, camera=name, le=edge)
            counts[float(edge)] = counts.get(float(edge), 0.0) + grown
    return dict(sorted(counts.items()))


def quantile(share: float, counts: Mapping[float, float]) -> float:
    """The value below which this share lies, as evenly spread within its bucket; the last finite edge at most."""
    wanted = share * max(counts.values())
    lower, below = 0.0, 0.0
    for edge, count in counts.items():
        if math.isinf(edge):
            break
        if count >= wanted and count > below:
            return lower + (edge - lower) * (wanted - below) / (count - below)
        lower, below = edge, count
    return lower


def counted(exchange: Path, cameras: Sequence[str]) -> list[Counted]:
    """What stands in the exchange of each camera, which is a scene of its own."""
    with closing(connect(exchange / FILE_NAME)) as connection:
        bodies = [json.loads(body) for (body,) in connection.execute("SELECT body FROM item ORDER BY id")]
        still_open = [scene for (scene,) in connection.execute("SELECT scene FROM checkpoint")]
    ended = [body["scene"] for body in bodies if body["type"] == "visit"]
    watches = [watch for body in bodies if body["type"] == "occupancy" for watch in body["cameras"]]
    return [Counted(people=_people_in_view(watches, name), visits=(ended + still_open).count(name)) for name in cameras]


def _people_in_view(watches: Sequence[Mapping[str, float | str]], camera: str) -> float:
    of_camera = [watch for watch in watches if watch["camera"] == camera]
    people, watched_seconds = (
        sum(float(watch[key]) for watch in of_camera) for key in ("person_seconds", "watched_seconds")
    )
    return people / watched_seconds if watched_seconds else 0.0


def configuration(folder: Path, *, urls: Mapping[str, str], model: str | Path, port: int) -> Path:
    path = folder / "edge.toml"
    path.write_text("\n".join(_lines(folder, urls=urls, model=model, port=port)) + "\n")
    return path


def _lines(folder: Path, *, urls: Mapping[str, str], model: str | Path, port: int) -> Iterator[str]:
    yield from ('box = { id = "box", venue = "venue" }', 'clock = { trust = "always" }')
    yield f"exchange = {{ folder = {json.dumps(str(folder / 'exchange'))} }}"
    yield f"metrics = {{ port = {port} }}"
    yield f"detector = {{ model = {json.dumps(str(model))} }}"
    for name, url in urls.items():
        yield f"[[camera]]\nid = {json.dumps(name)}\nurl = {json.dumps(url)}"


def playing(address: str, cameras: Sequence[str]) -> Scrape | None:
    """What vision says, once it has analysed a frame of each camera."""
    try:
        said = scrape(address)
    except httpx.TransportError:
        return None
    return said if all(said.value(_ANALYSED, camera=name) for name in cameras) else None


def _grown(metric: str, camera: str, before: Scrape, after: Scrape) -> float:
    return after.value(metric, camera=camera) - before.value(metric, camera=camera)


def _spent(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


if __name__ == "__main__":
    main()
