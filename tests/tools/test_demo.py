"""The demo tells counted from true, runs as it would for a newcomer, and leaves nothing behind."""

import math
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from edge.camera.pace import AsFastAsPossible
from edge.camera.synthetic import SyntheticSource
from tests.support.ports import free_port
from tests.support.processes import until
from tools.demo import __main__ as demo_command
from tools.demo.__main__ import Options
from tools.demo.children import DemoError
from tools.demo.screen import Figures, closing, told
from tools.demo.shop import PEOPLE_PER_MINUTE, RATE, SEED, SIZE, Shop

COUNTED = Figures(in_view=3, visits=5, walked_in=8, walked_out=6)
TRUE = Figures(in_view=4, visits=6, walked_in=9, walked_out=6)
RAN_SECONDS = 30
"""By then the first person has come, gone, and been out of sight for long enough."""


@pytest.mark.parametrize(
    ("counted", "truth", "camera", "line"),
    [
        pytest.param(
            COUNTED, TRUE, "online", " 1:05  in view 3 (4) · visits 5 (6) · walked in 8 (9), out 6 (6)", id="made up"
        ),
        pytest.param(COUNTED, None, "online", " 1:05  in view 3 · visits 5", id="a real camera"),
        pytest.param(
            Figures(in_view=None, visits=0, walked_in=0, walked_out=0),
            None,
            "online",
            " 1:05  in view – · visits 0",
            id="nothing said yet",
        ),
        pytest.param(COUNTED, TRUE, "offline (unreachable)", " 1:05  camera offline (unreachable)", id="no pictures"),
    ],
)
def test_the_running_line(counted: Figures, truth: Figures | None, camera: str, line: str) -> None:
    assert told(65.4, counted, truth, camera=camera) == line


def test_the_last_words_set_counted_against_true() -> None:
    assert closing(65.4, COUNTED, TRUE).splitlines() == [
        "After 1:05          counted   true",
        "  visits that ended       5      6",
        "  walked in               8      9",
        "  walked out              6      6",
    ]
    assert closing(65.4, COUNTED, None) == "Counted in 1:05: 5 visits that have ended."


def test_the_shop_knows_the_people_who_are_drawn() -> None:
    seconds = 120.0
    film = SyntheticSource(
        camera="shop-floor",
        seed=SEED,
        pace=AsFastAsPossible(),
        size=SIZE,
        rate=RATE,
        seconds=seconds,
        people_per_minute=PEOPLE_PER_MINUTE,
    )
    shop, truth = Shop(seconds=seconds), film.truth()
    for frame in truth.frames:
        assert shop.figures(frame.at, crossings_until=0.0).in_view == len(frame.ids)
    gone = [visit.last_seen for visit in truth.visits if visit.last_seen < seconds - 10]
    assert shop.figures(seconds - 5, crossings_until=0.0).visits == len(gone)


def test_whoever_comes_into_the_shop_walks_in_and_out_once() -> None:
    shop = Shop(seconds=600)
    assert all(stay.first_seen < stay.walks_in < stay.walks_out < stay.last_seen for stay in shop.stays)
    figures = shop.figures(math.inf, crossings_until=math.inf)
    assert figures.walked_in == figures.walked_out == figures.visits == len(shop.stays)


@pytest.mark.parametrize("text", ["0", "-5", "1.5", "soon", "86401"])
def test_seconds_that_make_no_demo_are_named(text: str) -> None:
    with pytest.raises(DemoError, match=f"SECONDS: found '{text}'"):
        Options.read({"SECONDS": text})


def test_without_mosquitto_it_says_where_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(demo_command, "_SBIN", "")
    with pytest.raises(DemoError, match="apt-get install mosquitto"):
        demo_command._mosquitto()


def started(temporary: Path, **wanted: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "TMPDIR": str(temporary), **wanted}
    return subprocess.Popen(
        [sys.executable, "-m", "tools.demo"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def nothing_remains(temporary: Path) -> bool:
    """Neither its folder, nor a process that was started on it."""
    commands = [process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"])]
    return not list(temporary.iterdir()) and not any(str(temporary) in word for words in commands for word in words)


@pytest.mark.needs_mosquitto
def test_it_counts_people_and_goes(tmp_path: Path) -> None:
    with started(tmp_path, SECONDS=str(RAN_SECONDS)) as demo:
        said, errors = demo.communicate(timeout=90)
    assert (demo.returncode, errors) == (0, "")
    assert re.search(r"Page     http://127\.0\.0\.1:\d+/venues/demo-shop\n", said)
    assert re.search(r"\n 0:10  in view \d \(\d\) · visits \d \(\d\) · ", said)
    counted, true = map(int, re.findall(r"visits that ended +(\d+) +(\d+)", said)[0])
    assert true >= 1
    assert counted == pytest.approx(true, abs=1)
    assert counted >= 1
    assert nothing_remains(tmp_path)


@pytest.mark.needs_mosquitto
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    with started(tmp_path) as demo:
        until(lambda: list(tmp_path.glob("*/exchange/exchange.sqlite")), seconds=60, what="the box to begin")
        demo.send_signal(number)
        _, errors = demo.communicate(timeout=60)
    assert (demo.returncode, errors) == (0, "")
    assert nothing_remains(tmp_path)


@pytest.mark.needs_mosquitto
@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ({"SOURCE": "http://192.0.2.10/"}, "SOURCE: allowed is a url as in rtsp://"),
        ({"MODEL": "/nowhere.onnx"}, "MODEL: /nowhere.onnx: there is no such file"),
        ({"MODEL": "yolox-nanno"}, "MODEL: there is no model 'yolox-nanno'; did you mean yolox-nano"),
    ],
)
def test_what_cannot_be_shown_is_told_before_anything_starts(tmp_path: Path, wanted: dict[str, str], told: str) -> None:
    with started(tmp_path, **wanted) as demo:
        said, errors = demo.communicate(timeout=60)
    assert (demo.returncode, said) == (2, "")
    assert errors.startswith(f"make demo: {told}")
    assert len(errors.splitlines()) == 1


@pytest.mark.needs_mosquitto
def test_a_camera_that_never_came_online_is_said_at_the_end(tmp_path: Path) -> None:
    with started(tmp_path, SOURCE=f"rtsp://127.0.0.1:{free_port()}/live", SECONDS="6") as demo:
        said, errors = demo.communicate(timeout=90)
    assert demo.returncode == 1
    assert "Counted in" not in said
    assert errors.startswith("make demo: the camera never came online in 6 s, so nothing was counted; it is ")
    assert nothing_remains(tmp_path)
