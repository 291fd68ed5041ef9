"""Whether a box that runs for long grows: half an hour with one camera that plays and one that is dead.

The real `footfall edge vision` with yolox_nano and the usual settings watches an RTSP camera (`pets_s2l1`, 480×360, 10
frames/s, up to eight people, again and again) and tries ever again to reach another, at whose port nobody answers. It
writes its events to an exchange that nobody empties.

Growth is the median of its resident memory in the last five minutes less that in the five from the fifth on, when every
buffer has been filled once. It should be less than 5 MB. Files that it holds open should be as many at both ends.
"""

import json
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median

import psutil

from tests.benchmarks.cameras import configuration, playing
from tests.support.assets import assets_folder
from tests.support.debian import gstreamer_python
from tests.support.ports import free_port
from tests.support.processes import Command, footfall, until
from tests.support.rtsp_server import RtspServer, prepared_film

__all__ = ["growth", "main", "soaked"]

SECONDS, WARM_SECONDS, SPAN_SECONDS = 1800.0, 300.0, 300.0
_EVERY_SECONDS = 5.0
_START_SECONDS = 60.0

Sample = tuple[float, float, int]
"""Seconds since the camera played, resident MB of 10⁶ bytes, open files."""


def main() -> None:
    """Measure for half an hour, or for so many seconds; end with one line of figures."""
    assets = assets_folder()
    if gstreamer_python() is None:
        raise SystemExit("This needs Debian's GStreamer RTSP server: see debian-packages.txt.")
    seconds = float(sys.argv[1]) if sys.argv[1:] else SECONDS
    with tempfile.TemporaryDirectory() as folder:
        film = prepared_film([assets / "videos/pets_s2l1.mp4"], Path(folder) / "film")
        samples = soaked(Path(folder), film=film, model=assets / "models/yolox_nano.onnx", seconds=seconds)
    share = seconds / SECONDS
    print(json.dumps(growth(samples, warm=WARM_SECONDS * share, span=SPAN_SECONDS * share)))


def growth(samples: list[Sample], *, warm: float, span: float) -> dict[str, float]:
    """What became more: the first `span` seconds after the `warm` ones, and the last."""
    ends = samples[-1][0]
    early = [sample for sample in samples if warm <= sample[0] < warm + span]
    late = [sample for sample in samples if sample[0] > ends - span]
    before, after = (median(megabytes for _, megabytes, _ in part) for part in (early, late))
    files_before, files_after = (max(files for _, _, files in part) for part in (early, late))
    return {
        "growth_mb": round(after - before, 2),
        "resident_mb": round(after, 1),
        "most_resident_mb": round(max(megabytes for _, megabytes, _ in samples), 1),
        "files_before": files_before,
        "files_after": files_after,
        "minutes": round(ends / 60, 1),
    }


def soaked(folder: Path, *, film: Path, model: str | Path, seconds: float) -> list[Sample]:
    """What vision held while it ran."""
    port = free_port()
    with ExitStack() as stack:
        alive = stack.enter_context(RtspServer(film, loop=True)).url
        urls = {"alive": alive, "dead": f"rtsp://127.0.0.1:{free_port()}/stream"}
        config = configuration(folder, urls=urls, model=model, port=port)
        vision = stack.enter_context(Command(footfall("edge", "vision", "--config", config), log=folder / "vision.log"))
        until(lambda: playing(f"http://127.0.0.1:{port}/metrics", ["alive"]), seconds=_START_SECONDS, what="a picture")
        process, began = psutil.Process(vision.pid), time.monotonic()
        samples = list[Sample]()
        while not samples or samples[-1][0] < seconds:
            passed = time.monotonic() - began
            samples.append((passed, process.memory_info().rss / 1e6, process.num_fds()))
            time.sleep(min(_EVERY_SECONDS, max(seconds - passed, 0.1)))
        vision.stop()
        return samples


if __name__ == "__main__":
    main()
