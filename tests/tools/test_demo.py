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

from edge.configuration import load
from edge.synthetic.film import Film
from edge.synthetic.lens import lens_of
from edge.synthetic.plan import ViewName
from edge.synthetic.sight import IN_SIGHT
from tests.support.ports import free_port
from tests.support.processes import until
from tools.demo.__main__ import Options
from tools.demo.children import DemoError
from tools.demo.screen import Figures, closing, told
from tools.demo.shop import PEOPLE_PER_MINUTE, RATE, SCENE, SIZE, TOLD_SECONDS, Shop, configuration

COUNTED = Figures(in_view=3, mean_in_view=2.04, visits=5, walked_in=8, walked_out=6)
TRUE = Figures(in_view=4, mean_in_view=2.1, visits=6, walked_in=9, walked_out=6)
BUSY_SEED, RAN_SECONDS = 4, 30
"""By then several people have walked in on this day."""
INSIDE: tuple[ViewName, ...] = ("overview", "till")


@pytest.mark.parametrize(
    ("counted", "truth", "camera", "line"),
    [
        pytest.param(
            COUNTED, TRUE, "online", " 1:05  in view 3 (4) · visits 5 (6) · walked in 8 (9), out 6 (6)", id="made up"
        ),
        pytest.param(COUNTED, None, "online", " 1:05  in view 3 · visits 5", id="a real camera"),
        pytest.param(
            Figures(in_view=None, mean_in_view=0.0, visits=0, walked_in=0, walked_out=0),
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
        "  mean in view         2.04   2.10",
    ]
    assert closing(65.4, COUNTED, None) == "Counted in 1:05: 5 visits that have ended."


def test_the_shop_knows_the_people_who_are_drawn() -> None:
    """Whom one of the two cameras inside shows, or both."""
    seconds, visits = 240.0, 0
    lenses = [lens_of(view, SIZE) for view in INSIDE]
    films = [
        Film(seed=1, lens=lens, rate=RATE, seconds=seconds, people_per_minute=PEOPLE_PER_MINUTE) for lens in lenses
    ]
    shop, last_seen = Shop(seed=1, seconds=seconds), dict[int, float]()
    for frames in zip(*(film.truth().frames for film in films), strict=True):
        at = frames[0].at
        there = {person for frame in frames for person in frame.ids[frame.visible >= IN_SIGHT].tolist()}
        assert shop.figures(at, crossings_until=0.0).in_view == len(there)
        visits += sum(at - last_seen.get(person, -math.inf) > 5 for person in there)
        last_seen |= dict.fromkeys(there, at)
    still_there = sum(at >= seconds - TOLD_SECONDS for at in last_seen.values())
    assert visits - still_there >= 5
    assert shop.figures(seconds, crossings_until=0.0).visits == visits - still_there


def test_the_cameras_inside_are_one_scene_and_the_doors_counts_no_visits(tmp_path: Path) -> None:
    config = tmp_path / "edge.toml"
    config.write_text(f'[box]\nid = "demo"\nvenue = "demo"\n{configuration(seed=1, seconds=60.0)}')
    cameras = load(config, places=True).cameras
    assert [(camera.scene_id, camera.counting) for camera in cameras] == [(SCENE, True), (SCENE, True), ("door", False)]


def test_whoever_comes_into_the_shop_walks_in_and_out_once() -> None:
    shop = Shop(seed=1, seconds=120)
    early, late = shop.figures(60.0, crossings_until=60.0), shop.figures(400.0, crossings_until=400.0)
    assert early.walked_in > early.walked_out
    assert late.walked_in == late.walked_out > early.walked_in
    assert late.in_view == 0


@pytest.mark.parametrize(
    ("environment", "model"),
    [
        pytest.param({}, "figures", id="the made-up shop has a model of its own"),
        pytest.param({"SOURCE": "rtsp://192.0.2.1/"}, "motion", id="a real camera without a model"),
        pytest.param({"SOURCE": "rtsp://192.0.2.1/", "MODEL": "yolox-nano"}, "yolox-nano", id="named"),
    ],
)
def test_which_model_serves(environment: dict[str, str], model: str) -> None:
    assert Options.read(environment).model == model


def test_another_seed_is_another_day() -> None:
    assert Options.read({"SEED": "7"}).seed == 7
    with pytest.raises(DemoError, match="SEED: found 'x'"):
        Options.read({"SEED": "x"})


@pytest.mark.parametrize("text", ["0", "-5", "1.5", "soon", "86401"])
def test_seconds_that_make_no_demo_are_named(text: str) -> None:
    with pytest.raises(DemoError, match=f"SECONDS: found '{text}'"):
        Options.read({"SECONDS": text})


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


@pytest.mark.acceptance
def test_it_counts_people_and_goes(tmp_path: Path) -> None:
    with started(tmp_path, SECONDS=str(RAN_SECONDS), SEED=str(BUSY_SEED)) as demo:
        said, errors = demo.communicate(timeout=110)
    assert (demo.returncode, errors) == (0, "")
    assert re.search(
        r"Page     http://127\.0\.0\.1:\d+/venues/demo-shop\n  Sign in  as demo with the password \w+\n", said
    )
    assert re.search(r"\n 0:\d0  in view \d \(\d\) · visits \d \(\d\) · ", said), said
    counted, true = map(int, re.findall(r"walked in +(\d+) +(\d+)", said)[0])
    assert true >= 2
    assert counted == pytest.approx(true, abs=1)
    seen, in_sight = map(float, re.findall(r"mean in view +(\S+) +(\S+)", said)[0])
    assert seen == pytest.approx(in_sight, rel=0.25)
    assert nothing_remains(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    with started(tmp_path) as demo:
        until(lambda: list(tmp_path.glob("*/exchange/exchange.sqlite")), seconds=60, what="the box to begin")
        demo.send_signal(number)
        _, errors = demo.communicate(timeout=60)
    assert (demo.returncode, errors) == (0, "")
    assert nothing_remains(tmp_path)


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


@pytest.mark.acceptance
def test_a_camera_that_never_came_online_is_said_at_the_end(tmp_path: Path) -> None:
    with started(tmp_path, SOURCE=f"rtsp://127.0.0.1:{free_port()}/live", SECONDS="6") as demo:
        said, errors = demo.communicate(timeout=90)
    assert demo.returncode == 1
    assert "Counted in" not in said
    assert errors.startswith("make demo: the camera never came online in 6 s, so nothing was counted; it is ")
    assert nothing_remains(tmp_path)
