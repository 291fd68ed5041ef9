"""`footfall edge certify`, and certificates of films: real processes over a film of somebody who walks to and fro."""

import json
import os
import pty
import secrets
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import pytest

from edge import clock
from edge.camera.file import FileSource
from edge.camera.frames import Frame
from edge.configuration import load
from edge.exchange.batch import Batch
from edge.exchange.certificates import KIND
from edge.exchange.outbox import Outbox
from edge.setup import setups_of
from edge.synthetic.lens import lens_of
from edge.synthetic.plan import ViewName
from footfall import main
from protocol.envelope import read_item
from protocol.events import CameraCertificate, CameraState, HealthReason
from protocol.status import CameraStatus, ModelStatus
from tests.support.exchange import ORIGIN, Exchange
from tests.support.golden import read_golden

FOOTFALL = Path(sys.executable).with_name("footfall")
SIZE, RATE = (320, 240), 10
WALK, PAUSE = 40, 20
"""Frames that a walk takes, and after which somebody walks again."""
TRUTH = "crossing,2.0,gate,in\ncrossing,8.0,gate,out\n"
CAMERA = 'id = "door"\nimage_size = [320, 240]\n[[{}line]]\nid = "gate"\na = [160, 230]\nb = [160, 10]\n'


def write_walks(path: Path) -> Path:
    """A film in which a figure walks from left to right and, later, back."""
    way = np.linspace(-30, SIZE[0], WALK)
    nobody = [-100.0] * PAUSE
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"preset": "ultrafast"})
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        for left in [*nobody, *way, *nobody, *way[::-1], *nobody]:
            image = np.full((SIZE[1], SIZE[0], 3), 90, np.uint8)
            image[90:180, max(0, round(left)) : max(0, round(left) + 30)] = 220
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode(None))
    return path


def calibration(view: ViewName) -> str:
    """A camera's of the made-up shop."""
    image_points, floor_points = lens_of(view, SIZE).calibration()
    told = f"image_points = {json.dumps(image_points)}, floor_points = {json.dumps(floor_points)}"
    return f'calibration = {{{{floor = "ground", {told}}}}}\n'


TOGETHER = (
    f'id = "door"\nscene = "hall"\nimage_size = [320, 240]\n{calibration("door")}'
    '[[{}line]]\nid = "gate"\na = [1, 1]\nb = [3, 1]\n'
    '[[camera]]\nid = "till"\nscene = "hall"\nimage_size = [320, 240]\nsynthetic = {{view = "till"}}\n'
    f"{calibration('till')}"
)
"""Two cameras of one scene, the first of which has the line."""
CERTIFICATE = {
    name: value
    for name, value in read_golden("item-camera-certificate").items()
    if name not in {"seq", "venue", "config", "at"}
}
"""Of another line than the box's, as it leaves a box."""


@dataclass
class Box:
    """A box whose camera shows the film again and again."""

    folder: Path

    def __post_init__(self) -> None:
        film = write_walks(self.folder / "walks.mp4")
        self.configure(f'file = "{film}"\nloop = true\n')

    def configure(self, keys: str, *, camera: str = CAMERA) -> None:
        (self.folder / "edge.toml").write_text(
            f'[box]\nid = "box-1"\nvenue = "shop"\nmode = "live"\n[exchange]\nfolder = "{self.folder}/exchange"\n'
            f'[clock]\ntrust = "always"\n[[camera]]\n{keys}{camera.format("camera.")}'
        )

    def certify(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        return run("certify", *words, "--config", self.folder / "edge.toml")

    def keep(self, **item: object) -> None:
        """A certificate of the gate."""
        (self.folder / "exchange").mkdir()
        with closing(Outbox(self.folder / "exchange", boot="another")) as outbox:
            body = json.dumps({"checked": None, "item": {**item, "line": "gate"}})
            outbox.receive(kind=KIND, name="gate", body=body)

    def say_moved(self, camera: str, *, scene: str) -> None:
        """As vision does of a camera that was turned elsewhere."""
        status = CameraStatus(camera=camera, scene=scene, state=CameraState.DEGRADED, reason=HealthReason.MOVED)
        exchange = Exchange(folder=self.folder / "exchange", now=clock.monotonic(), boot=clock.boot_id())
        with exchange.writer(epoch=secrets.token_hex(8)) as writer:
            writer.commit(Batch(origin=ORIGIN, live={f"camera/{camera}": status.to_object()}))

    def setup(self) -> str:
        """Of the gate."""
        settings = load(self.folder / "edge.toml", places=True)
        return setups_of(settings.cameras, detector=settings.detector, models=[ModelStatus(name="motion")])["gate"]

    def kept(self) -> list[dict[str, object]]:
        with closing(Outbox(self.folder / "exchange", boot="another")) as outbox:
            return [json.loads(body)["item"] for body in outbox.certificates()]

    def run_of_vision(self) -> str | None:
        """The epoch in which the camera was last online."""
        path = self.folder / "exchange/exchange.sqlite"
        if not path.exists():
            return None
        query = "SELECT value FROM meta, live WHERE key = 'head' AND subject = 'camera/door' AND body LIKE '%online%'"
        with closing(sqlite3.connect(path, timeout=30)) as connection:
            try:
                row = connection.execute(query).fetchone()
            except sqlite3.OperationalError:  # the tables are being made
                return None
        return None if row is None else str(row[0])

    def told(self) -> list[CameraCertificate]:
        with closing(sqlite3.connect(self.folder / "exchange/exchange.sqlite")) as connection:
            rows = connection.execute("SELECT body FROM item WHERE type = 'camera-certificate'").fetchall()
        items = [read_item(json.loads(body)).item for (body,) in rows]
        return [item for item in items if isinstance(item, CameraCertificate)]


def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [FOOTFALL, "edge", *words], capture_output=True, text=True, check=False, timeout=100, stdin=subprocess.DEVNULL
    )


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


@pytest.mark.acceptance
def test_without_a_vision_it_runs_one_and_the_sums_become_the_lines_certificate(box: Box) -> None:
    ended = box.certify("gate", "--in", "1", "--out", "1", "--seconds", "20")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "Vision does not run here" in ended.stdout
    assert "Counting from now." in ended.stdout
    assert "gate of camera door, motion" in ended.stdout
    assert "by sums alone" in ended.stdout
    assert "Kept as the certificate of gate" in ended.stdout
    assert "Traceback" not in ended.stderr

    held = box.certify()
    assert (held.returncode, held.stdout.split(",")[0]) == (0, "gate: holds"), held.stderr
    box.configure("synthetic = {}\nrate = 5\n")
    assert box.certify().stdout.startswith("gate: does not hold: the line, its cameras or the model have changed since")


@pytest.mark.acceptance
def test_right_behind_a_vision_that_has_ended_it_runs_one_of_its_own(box: Box) -> None:
    started_and_stopped(box)
    before = box.run_of_vision()
    ended = box.certify("gate", "--in", "1", "--out", "1", "--seconds", "20")
    assert (ended.returncode, "Vision does not run here" in ended.stdout) == (0, True), ended.stdout + ended.stderr
    assert box.run_of_vision() != before


@pytest.mark.acceptance
def test_beside_a_running_vision_the_keys_are_matched_and_vision_tells_the_result(box: Box) -> None:
    vision = subprocess.Popen([FOOTFALL, "edge", "vision", "--config", box.folder / "edge.toml"])
    ours, theirs = pty.openpty()
    command: list[str | Path] = [FOOTFALL, "edge", "certify", "gate", "--config", box.folder / "edge.toml"]
    try:
        wait_for(box.run_of_vision, "the camera")
        with subprocess.Popen(
            command, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as asked:
            assert asked.stdout
            while "Counting from now." not in (line := asked.stdout.readline()):
                assert line
            for _ in range(7):  # somebody presses all the time, at each of whose presses a crossing may be
                time.sleep(2)
                os.write(ours, b"io")
            os.write(ours, b"u")
            time.sleep(1)
            os.write(ours, b"q")
            said, _ = asked.communicate(timeout=60)
        assert asked.returncode == 0, said
        assert "in 7, out 6\n" in said
        assert "matched by moments" in said
        wait_for(box.told, "vision to take it in")
    finally:
        vision.send_signal(signal.SIGTERM)
        assert vision.wait(20) == 0
        os.close(ours)
        os.close(theirs)
    (told,) = box.told()
    assert (told.camera, told.line, told.method, told.model) == ("door", "gate", "moments", "motion")
    assert told.inward
    assert told.outward
    assert (told.inward.by_hand, told.outward.by_hand) == (7, 6)
    assert told.inward.matched == told.inward.counted <= 2
    assert 14 <= told.length_seconds <= 25


def test_a_check_in_which_nothing_was_found_takes_the_place_of_a_good_one(box: Box) -> None:
    box.keep(**CERTIFICATE)
    blind = box.certify("gate", "--in", "20", "--out", "0", "--seconds", "1")
    assert blind.returncode == 0, blind.stderr
    assert "0 of 20 (0–16 %)" in blind.stdout
    (kept,) = box.kept()
    assert (kept["in"], "out" in kept) == ({"counted": 0, "by_hand": 20, "matched": 0}, False)
    assert box.certify().stdout.startswith("gate: holds")


def test_a_check_in_which_nobody_walked_by_hand_is_none(box: Box) -> None:
    box.keep(**CERTIFICATE)
    nobody = box.certify("gate", "--in", "0", "--out", "0", "--seconds", "1")
    assert (nobody.returncode, "nobody was counted by hand" in nobody.stderr) == (1, True), nobody.stderr
    assert box.kept() == [{**CERTIFICATE, "line": "gate"}]


def test_a_film_makes_a_certificate_that_the_box_keeps_while_it_sees_the_same(box: Box, tmp_path: Path) -> None:
    (tmp_path / "door.toml").write_text(CAMERA.format(""))
    (tmp_path / "truth.csv").write_text(TRUTH)
    film = tmp_path / "film.json"
    replayed = run(
        "replay", tmp_path / "walks.mp4", "--camera", tmp_path / "door.toml", "--truth", tmp_path / "truth.csv",
        "--certificate", film,
    )  # fmt: skip
    assert replayed.returncode == 0, replayed.stderr
    (item,) = json.loads(film.read_text())["certificates"]
    assert (item["line"], item["method"], item["length_seconds"]) == ("gate", "film", 14)
    assert (item["in"]["by_hand"], item["out"]["by_hand"]) == (1, 1)

    for changed, said in (
        ({"camera": "back"}, "line gate: found camera back; here it is one of camera door: replay the film"),
        ({"scene": "hall"}, "line gate: found scene hall; here it is in scene door: replay the film"),
        ({"line": "away"}, "there is no line 'away'; there are gate"),
    ):
        other = tmp_path / "other.json"
        other.write_text(json.dumps({"certificates": [item, {**item, **changed}]}))
        refused = box.certify("--from", other)
        assert (refused.returncode, f"{other}: {said}" in refused.stderr) == (1, True), refused.stderr
        assert not (tmp_path / "exchange").exists()

    kept = box.certify("--from", film)
    assert kept.returncode == 0, kept.stderr
    assert "matched by moments, on film" in kept.stdout
    assert box.certify().stdout.startswith("gate: holds")
    assert "does not hold" not in started_and_stopped(box)
    assert len(box.told()) == 1

    box.configure("synthetic = {}\nrate = 5\n")
    refused = box.certify("--from", film)
    assert (refused.returncode, "another line, camera or detector" in refused.stderr) == (1, True)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["nowhere"], 2, "there is no line 'nowhere'; there are gate"),
        (["gate", "--in", "-3"], 2, "allowed is a whole number"),
        (["--in", "3"], 2, "--in: found without a line; needed is the one to count at, as in certify LINE"),
        (["--totals", "--seconds", "0"], 2, "--totals and --seconds: found without a line"),
        (["gate", "--from", "absent.json"], 2, "--from: found gate too; allowed is --from FILE.json alone"),
        (["--from", "absent.json", "--out", "0"], 2, "--from: found --out too; allowed is --from FILE.json alone"),
        (["--from", "none.json"], 2, "none.json: found no certificate; needed is one at least"),
        (["--from", "absent.json"], 2, "absent.json: No such file"),
        (["--from", "edge.toml"], 2, "allowed is what `footfall edge replay --certificate` wrote"),
    ],
)
def test_what_cannot_be_is_said(box: Box, words: list[str], code: int, said: str) -> None:
    (box.folder / "none.json").write_text('{"certificates": []}')
    named = [str(box.folder / word) if word.startswith(("absent", "edge", "none")) else word for word in words]
    ended = box.certify(*named)
    assert (ended.returncode, said in ended.stderr) == (code, True), ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_certificate_of_a_film_needs_a_truth_with_crossings(box: Box, tmp_path: Path) -> None:
    film = tmp_path / "film.json"
    without = run("replay", tmp_path / "walks.mp4", "--certificate", film)
    assert (without.returncode, "--certificate: needed is --truth" in without.stderr) == (2, True)
    (tmp_path / "truth.csv").write_text("visit,2,6\n")
    silent = run("replay", tmp_path / "walks.mp4", "--truth", tmp_path / "truth.csv", "--certificate", film)
    assert (silent.returncode, "no crossing of a line" in silent.stderr) == (2, True)
    assert not film.exists()


@pytest.mark.parametrize(
    ("name", "text", "played"),
    [
        ("truth.csv", "visit,2,6\n", 0),
        ("gt.txt", "1,7,10,98,20,47\n2,7,10,98,20,47\n", 1),
    ],
    ids=["written without crossings", "labels whose way crosses nothing"],
)
def test_without_crossings_no_film_is_played_in_vain(
    box: Box, name: str, text: str, played: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (box.folder / "door.toml").write_text(CAMERA.format(""))
    (box.folder / name).write_text(text)
    plays: list[FileSource] = []
    frames = FileSource.frames

    def noted(source: FileSource) -> Iterator[Frame]:
        plays.append(source)
        return frames(source)

    monkeypatch.setattr(FileSource, "frames", noted)
    words = ["replay", "walks.mp4", "--camera", "door.toml", "--truth", name, "--certificate", "film.json"]
    monkeypatch.chdir(box.folder)
    assert main(["edge", *words]) == 2
    assert "no crossing of a line" in capsys.readouterr().err
    assert len(plays) == played
    assert not Path("film.json").exists()


def test_a_box_says_at_its_start_what_no_longer_holds_and_tells_it_once_all_the_same(box: Box) -> None:
    box.keep(**CERTIFICATE)
    for _ in range(2):
        assert "The certificate of line gate does not hold" in started_and_stopped(box)
        assert len(box.told()) == 1


def started_and_stopped(box: Box) -> str:
    """What vision logs in its first seconds."""
    log, before = box.folder / "log", box.run_of_vision()
    command: list[str | Path] = [FOOTFALL, "edge", "vision", "--config", box.folder / "edge.toml"]
    with log.open("w") as file, subprocess.Popen(command, stderr=file) as vision:
        wait_for(lambda: box.run_of_vision() not in {None, before}, "the camera")
        vision.send_signal(signal.SIGTERM)
        assert vision.wait(20) == 0
    return log.read_text()


def wait_for(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.2)


def test_the_film_of_one_camera_certifies_no_line_that_several_watch(box: Box) -> None:
    box.configure('synthetic = {view = "door"}\n', camera=TOGETHER)
    film = box.folder / "film.json"
    film.write_text(json.dumps({"certificates": [{**CERTIFICATE, "line": "gate"}]}))
    refused = box.certify("--from", film)
    assert (refused.returncode, "gate is watched by door and till together" in refused.stderr) == (1, True), refused


def test_no_certificate_holds_or_is_kept_while_a_camera_of_the_scene_looks_elsewhere(box: Box) -> None:
    box.configure('synthetic = {view = "door"}\n', camera=TOGETHER)
    box.keep(**{**CERTIFICATE, "camera": "door", "scene": "hall", "setup": box.setup()})
    assert box.certify().stdout.startswith("gate: holds")
    box.say_moved("till", scene="hall")
    assert box.certify().stdout.startswith("gate: does not hold: camera till looks elsewhere than before")

    box.configure("synthetic = {}\n")
    film = box.folder / "film.json"
    item = {**CERTIFICATE, "line": "gate", "camera": "door", "scene": "door", "setup": box.setup()}
    film.write_text(json.dumps({"certificates": [item]}))
    before = box.kept()
    box.say_moved("door", scene="door")
    refused = box.certify("--from", film)
    assert (refused.returncode, "camera door looks elsewhere than before" in refused.stderr) == (1, True), refused
    assert box.kept() == before
    box.say_moved("back", scene="back")
    assert box.certify("--from", film).returncode == 0
