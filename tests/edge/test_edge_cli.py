"""`footfall edge …` as real processes: what it prints, how it ends, and that it keeps running."""

import json
import os
import pty
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from tests.support.films import write_film
from tests.support.ports import free_port, is_listening
from tests.support.prometheus import scrape

FOOTFALL = Path(sys.executable).with_name("footfall")
SECRET = "hunter2"


def footfall(*words: str | Path, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command that ends by itself."""
    return subprocess.run(
        [FOOTFALL, "edge", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=cwd,
        env={**os.environ, **environment},
    )


@dataclass
class Box:
    """A box in a folder of its own; `cameras` is TOML."""

    folder: Path
    cameras: str
    port: int = field(default_factory=free_port)
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def config(self) -> Path:
        path = self.folder / "edge.toml"
        path.write_text(
            f"""
            [box]
            id = "box-1"
            venue = "shop"
            mode = "live"
            [exchange]
            folder = "{self.folder / "exchange"}"
            [clock]
            trust = "always"
            [broker]
            port = {self.port}
            password = "{SECRET}"
            {self.cameras}
            """
        )
        return path

    @property
    def log(self) -> str:
        return "".join(path.read_text() for path in sorted(self.folder.glob("*.log")))

    def start(self, word: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{word}-{len(self.started)}.log").open("wb") as log:
            process = subprocess.Popen([FOOTFALL, "edge", word, "--config", self.config], stdout=log, stderr=log)
        self.started.append(process)
        return process

    def live(self, subject: str) -> dict[str, object] | None:
        """What vision last said of this, as soon as it has."""
        return next(
            (json.loads(body) for (body,) in self.rows("SELECT body FROM live WHERE subject = ?", subject)), None
        )

    def rows(self, query: str, *values: str) -> list[tuple[str, ...]]:
        path = self.folder / "exchange/exchange.sqlite"
        if not path.exists():
            return []
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)
        try:
            return connection.execute(query, values).fetchall()
        except sqlite3.OperationalError:  # the tables are being made
            return []
        finally:
            connection.close()

    def wait_for(self, condition: Callable[[], object], what: str, seconds: float = 30.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"waited in vain for {what}\n{self.log}"
            assert any(process.poll() is None for process in self.started), f"it ended before {what}\n{self.log}"
            time.sleep(0.1)

    def state_of(self, camera: str) -> str:
        said = self.live(f"camera/{camera}") or {}
        return f"{said.get('state')}: {said.get('reason')}"


@pytest.fixture
def make_box(tmp_path: Path) -> Iterator[Callable[[str], Box]]:
    boxes: list[Box] = []

    def make(cameras: str) -> Box:
        boxes.append(Box(tmp_path, cameras))
        return boxes[-1]

    yield make
    for process in [process for box in boxes for process in box.started]:
        process.kill()
        process.wait()


SYNTHETIC = '[[camera]]\nid = "floor"\nimage_size = [320, 240]\n[camera.synthetic]\npeople_per_minute = 30\n'


@pytest.mark.parametrize("word", ["run", "vision", "uplink"])
def test_sigterm_ends_a_process_at_once_and_well(word: str, make_box: Callable[[str], Box]) -> None:
    box = make_box(SYNTHETIC)
    process = box.start(word)
    if word == "uplink":
        box.wait_for(lambda: "broker" in box.log.lower() or "connect" in box.log.lower(), "a try to connect")
    else:
        box.wait_for(lambda: box.state_of("floor") == "online: none", "a picture")
    process.send_signal(signal.SIGTERM)
    asked = time.monotonic()
    assert process.wait(20) == 0, box.log
    assert time.monotonic() - asked < 8
    assert "Traceback" not in box.log
    assert SECRET not in box.log


def test_a_stopped_vision_leaves_its_minute_and_its_open_visits(make_box: Callable[[str], Box]) -> None:
    film = write_film(make_box("").folder / "film.mp4", frames=600, size=(320, 240), rate=10)
    box = make_box(f'[[camera]]\nid = "film"\nfile = "{film}"\n')
    process = box.start("vision")
    box.wait_for(lambda: box.state_of("film") == "online: none", "a picture")
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0, box.log
    types = [kind for (kind,) in box.rows("SELECT type FROM item ORDER BY seq")]
    assert types[0] == "configuration"
    assert types[-1] == "occupancy"
    assert {"camera-health", "configuration", "occupancy"} == set(types)


def test_vision_ends_when_its_only_film_does(make_box: Callable[[str], Box]) -> None:
    film = write_film(make_box("").folder / "film.mp4", frames=10, size=(320, 240), rate=10)
    box = make_box(f'[[camera]]\nid = "film"\nfile = "{film}"\n')
    assert box.start("vision").wait(30) == 0
    assert "camera film is finished" in box.log


def test_what_the_end_of_a_film_shows_waits_to_be_delivered(make_box: Callable[[str], Box]) -> None:
    box = make_box(SYNTHETIC + "seconds = 8\n")
    assert box.start("vision").wait(40) == 0
    kinds = [kind for (kind,) in box.rows("SELECT DISTINCT type FROM item")]
    assert {"visit", "occupancy", "tile"} <= set(kinds), box.log
    assert box.rows("SELECT 1 FROM part UNION ALL SELECT 1 FROM tile_part UNION ALL SELECT 1 FROM checkpoint") == []


def test_a_second_vision_on_the_same_exchange_is_refused(make_box: Callable[[str], Box]) -> None:
    box = make_box(SYNTHETIC)
    first = box.start("vision")
    box.wait_for(lambda: box.state_of("floor") == "online: none", "a picture")
    ended = footfall("vision", "--config", box.config)
    assert ended.returncode == 1
    (told,) = ended.stderr.splitlines()
    assert told == (
        f"footfall edge: exchange {box.folder}/exchange: another vision process already writes it; stop that one first"
    )
    assert first.poll() is None


def test_a_camera_in_trouble_does_not_disturb_the_others(make_box: Callable[[str], Box]) -> None:
    nowhere = f'[[camera]]\nid = "street"\nurl = "rtsp://viewer:{SECRET}@127.0.0.1:{free_port()}/live"\n'
    absent = '[[camera]]\nid = "film"\nfile = "/absent/film.mp4"\n'
    box = make_box(SYNTHETIC + nowhere + absent)
    process = box.start("vision")
    for camera, state in (
        ("floor", "online: none"),
        ("street", "offline: unreachable"),
        ("film", "offline: unreachable"),
    ):
        box.wait_for(lambda camera=camera, state=state: box.state_of(camera) == state, f"{camera} to be {state}")  # type: ignore[misc]
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0, box.log
    said = [json.loads(body) for (body,) in box.rows("SELECT body FROM item WHERE type = 'camera-health' ORDER BY seq")]
    assert {(one["camera"], one["state"], one["reason"]) for one in said} == {
        ("floor", "online", "none"),
        ("street", "offline", "unreachable"),
        ("film", "offline", "unreachable"),
    }
    assert "camera street is offline: street: rtsp://127.0.0.1:" in box.log
    assert SECRET not in box.log


def test_a_wrong_configuration_is_exit_code_2_and_no_traceback(tmp_path: Path) -> None:
    file = tmp_path / "edge.toml"
    file.write_text(
        f'[box]\nid = "Box"\n[broker]\npasword = "{SECRET}"\n[[camera]]\nid = "a"\nurl = "x://{SECRET}@y"\n'
    )
    for word in ("vision", "uplink"):
        ended = footfall(word, "--config", file)
        assert ended.returncode == 2
        assert [line.split(": ")[1] for line in ended.stderr.splitlines()] == [
            "box.id",
            "box.venue",
            "broker.pasword",
            "camera[0].url",
        ]
        assert SECRET not in ended.stderr


def test_vision_and_uplink_answer_prometheus_side_by_side(make_box: Callable[[str], Box]) -> None:
    port = _two_free_ports()
    box = make_box(f"[metrics]\nport = {port}\n{SYNTHETIC}")
    processes = [box.start("vision"), box.start("uplink")]
    box.wait_for(lambda: is_listening(port) and is_listening(port + 1), "both to listen")
    box.wait_for(lambda: _analysed(port) > 20, "frames to be analysed")
    seen, delivered = (scrape(f"http://127.0.0.1:{number}/metrics") for number in (port, port + 1))
    assert seen.value("footfall_camera_state", camera="floor", state="online") == 1
    assert seen.value("footfall_vision_inference_seconds_count") > 20
    assert seen.value("footfall_camera_delay_seconds_count", camera="floor") > 20
    assert delivered.value("footfall_uplink_connected") == 0
    assert delivered.value("footfall_exchange_waiting_items") > 0
    assert delivered.value("footfall_exchange_oldest_waiting_seconds") > 0
    for process in processes:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0, box.log
    assert "Traceback" not in box.log


def test_without_a_port_nobody_listens(make_box: Callable[[str], Box]) -> None:
    box = make_box(SYNTHETIC)
    process = box.start("vision")
    box.wait_for(lambda: box.state_of("floor") == "online: none", "a picture")
    assert [one for one in psutil.Process(process.pid).net_connections() if one.status == psutil.CONN_LISTEN] == []


@pytest.mark.parametrize("word", ["vision", "uplink"])
def test_a_port_for_metrics_that_is_taken_is_one_clear_line(word: str, make_box: Callable[[str], Box]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        box = make_box(f"[metrics]\nport = {taken - (word == 'uplink')}\n{SYNTHETIC}")
        ended = footfall(word, "--config", box.config)
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].startswith(
        f"footfall edge: metrics: 127.0.0.1 port {taken} cannot be listened at: Address already in use"
    )


def _analysed(port: int) -> float:
    found = scrape(f"http://127.0.0.1:{port}/metrics")
    return found.value("footfall_camera_analysed_frames_total", camera="floor")


def _two_free_ports() -> int:
    """The first of two neighbouring ports that nobody listens on."""
    while True:
        port = free_port()
        if port < 65_535 and not is_listening(port + 1):
            return port


def test_the_file_can_be_named_by_the_environment(tmp_path: Path) -> None:
    ended = footfall("vision", FOOTFALL_EDGE_CONFIG=str(tmp_path / "absent.toml"))
    assert (ended.returncode, ended.stderr) == (
        2,
        f"{tmp_path}/absent.toml: No such file or directory; needed is a TOML file that this user may read\n",
    )


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        pytest.param(["absent.mp4"], 1, "edge: absent.mp4: No such file or directory; check the path", id="no video"),
        pytest.param(["."], 1, "edge: .: Is a directory; check the path", id="a folder for a video"),
        pytest.param(
            ["text.mp4"],
            1,
            "edge: text.mp4: Invalid data found when processing input; give a whole video file that ffprobe can read",
            id="a text for a video",
        ),
        pytest.param(
            ["film.mp4", "--start", "yesterday"],
            2,
            "--start: found 'yesterday'; allowed is a moment with its time zone",
            id="no moment",
        ),
        pytest.param(
            ["film.mp4", "--start", "2026-03-01T09:00:00"],
            2,
            "as in 2026-03-01T09:00:00Z",
            id="a moment without time zone",
        ),
        pytest.param(["film.mp4", "--start", "9999-12-31T00:00:00Z"], 2, "between 2000 and 2198", id="far away"),
        pytest.param(["film.mp4", "--model", "absent.onnx"], 1, "absent.onnx", id="no model"),
        pytest.param(["film.mp4", "--model", "text.mp4"], 1, "text.mp4", id="a text for a model"),
        pytest.param(["film.mp4", "--model", "yolox-nanno"], 1, "yolox-nano", id="a slip in the model's name"),
        pytest.param(["film.mp4", "--camera", "absent.toml"], 2, "absent.toml: No such file", id="no camera file"),
        pytest.param(["film.mp4", "--camera", "camera.toml"], 2, "camera.toml: rat: no such key", id="a wrong camera"),
        pytest.param(["film.mp4", "--truth", "absent.csv"], 2, "absent.csv: No such file", id="no truth"),
        pytest.param(
            ["film.mp4", "--truth", "t.csv"], 2, "t.csv, line 1: found 1:30; the film ends", id="a wrong truth"
        ),
        pytest.param(["film.mp4", "--tracks", "no/t.txt"], 1, "no/t.txt: No such file or directory", id="no folder"),
        pytest.param(["film.mp4", "--events", "."], 1, ".: Is a directory", id="a folder for a file"),
        pytest.param(
            ["film.mp4", "--summary", "film.mp4/s"], 1, "film.mp4/s: Not a directory", id="a file for a folder"
        ),
    ],
)
def test_a_replay_that_cannot_be_is_one_clear_line(
    words: list[str], code: int, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FOOTFALL_MODELS", str(tmp_path / "models"))
    write_film(tmp_path / "film.mp4", frames=3, size=(320, 240), rate=10)
    (tmp_path / "text.mp4").write_text("no film at all\n" * 1000)
    (tmp_path / "camera.toml").write_text('id = "door"\nrat = 5\n')
    (tmp_path / "t.csv").write_text("visit,0,1:30\n")
    ended = footfall("replay", *words)
    assert (ended.returncode, ended.stdout) == (code, "")
    line = ended.stderr.splitlines()[-1]
    assert told in line
    assert len(ended.stderr.splitlines()) == 1 or ended.stderr.startswith("usage: ")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        pytest.param(["film.mp4", "--tracks", "film.mp4"], "VIDEO and --tracks: both use film.mp4", id="the video"),
        pytest.param(["film.mp4", "--events", "./a/../film.mp4"], "VIDEO and --events: ", id="in other words"),
        pytest.param(["film.mp4", "--tracks", "soft"], "VIDEO and --tracks: ", id="a symbolic link"),
        pytest.param(["film.mp4", "--tracks", "hard"], "VIDEO and --tracks: ", id="a hard link"),
        pytest.param(["v.part", "--tracks", "v"], "VIDEO and --tracks: ", id="where an output is written at first"),
        pytest.param(
            ["film.mp4", "--camera", "c.toml", "--summary", "c.toml"], "--camera and --summary: ", id="camera"
        ),
        pytest.param(["film.mp4", "--truth", "t.csv", "--tracks", "t.csv"], "--truth and --tracks: ", id="truth"),
        pytest.param(["film.mp4", "--model", "m.onnx", "--events", "m.onnx"], "--model and --events: ", id="model"),
        pytest.param(["film.mp4", "--tracks", "t", "--events", "t"], "--tracks and --events: both use t", id="outputs"),
        pytest.param(["film.mp4", "--tracks", "t", "--summary", "t.part"], "--tracks and --summary: ", id="its part"),
    ],
)
def test_a_replay_never_writes_over_what_it_reads_or_has_written(words: list[str], told: str, tmp_path: Path) -> None:
    write_film(tmp_path / "film.mp4", frames=3, size=(320, 240), rate=10)
    (tmp_path / "a").mkdir()
    (tmp_path / "soft").symlink_to("film.mp4")
    (tmp_path / "hard").hardlink_to(tmp_path / "film.mp4")
    (tmp_path / "v.part").symlink_to("film.mp4")
    (tmp_path / "c.toml").write_text('id = "door"\n')
    (tmp_path / "m.onnx").write_text("weights")
    (tmp_path / "t.csv").write_text("visit,0,1\n")
    before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    ended = footfall("replay", *words, cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (2, "")
    (line,) = ended.stderr.splitlines()
    assert line.startswith(told)
    assert line.endswith("; give each output a file of its own")
    assert {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before


def test_outputs_may_go_to_what_is_no_file(tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mp4", frames=3, size=(320, 240), rate=10)
    ended = footfall("replay", film, "--tracks", "/dev/null", "--summary", "/dev/null", "--events", "/dev/stdout")
    assert ended.returncode == 0, ended.stderr
    assert Path("/dev/null").is_char_device()
    *items, result = map(json.loads, ended.stdout.splitlines())
    assert [item["type"] for item in items] == ["configuration", "occupancy"]
    assert result["frames"] == 3


def test_a_replay_ends_with_a_line_of_json_and_shows_no_bar_to_a_pipe(tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mp4", frames=30, size=(320, 240), rate=10)
    ended = footfall("replay", film, "--start", "2026-03-01T09:00:00Z", "--mode", "live", "--seed", "5")
    assert ended.returncode == 0
    result = json.loads(ended.stdout.splitlines()[-1])
    assert set(result) == {"frames", "analysed", "seconds", "cpu_ms_per_frame", "visits"}
    assert (result["frames"], result["analysed"], result["visits"]) == (30, 30, 0)
    assert "%" not in ended.stderr
    assert len(ended.stderr.splitlines()) == 1  # motion detection says that it serves


def test_a_replay_with_a_truth_shows_a_table_for_each_rate_and_ends_with_json(tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mp4", frames=30, size=(320, 240), rate=10)
    (tmp_path / "truth.csv").write_text("visit,0:01,0:02.5\n")
    ended = footfall("replay", film, "--truth", tmp_path / "truth.csv")
    assert ended.returncode == 0, ended.stderr
    *table, last = ended.stdout.splitlines()
    assert [line.split(",")[0] for line in table[::3]] == ["Full rate", "Half rate", "Quarter rate"]
    assert all("0 of 1 (0–79 %)" in line for line in table[1::3])
    assert [one["figures"][0]["error_percent"] for one in json.loads(last)["accuracy"]] == [-100.0] * 3


WITHOUT_CLOUD = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"alembic", "cloud", "fastapi", "h3", "psycopg", "sqlalchemy", "sqlmodel"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
from footfall import main
raise SystemExit(main(sys.argv[1:]))
"""


def test_a_box_needs_nothing_of_the_cloud(tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mp4", frames=5, size=(320, 240), rate=10)
    command = [sys.executable, "-c", WITHOUT_CLOUD, "edge", "replay", str(film)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (ended.returncode, json.loads(ended.stdout)["frames"]) == (0, 5), ended.stderr


def test_a_replay_shows_a_bar_on_a_terminal(tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mp4", frames=300, size=(320, 240), rate=10)
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [FOOTFALL, "edge", "replay", film], stdout=subprocess.PIPE, stderr=theirs, env={**os.environ, "TERM": "xterm"}
    )
    os.close(theirs)
    shown = b"".join(iter(lambda: _read(ours), b""))
    os.close(ours)
    stdout, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert b"film.mp4" in shown
    assert b"%" in shown
    assert json.loads(stdout)["frames"] == 300


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # how Linux says that the other end has gone
        return b""


def test_vision_with_one_camera_keeps_to_its_memory(assets: Path, make_box: Callable[[str], Box]) -> None:
    film, model = assets / "videos/pets_s2l1.mp4", assets / "models/yolox_nano.onnx"
    box = make_box(f'[detector]\nmodel = "{model}"\n[[camera]]\nid = "street"\nfile = "{film}"\nloop = true\n')
    process = box.start("vision")
    box.wait_for(lambda: (box.live("scene/street") or {}).get("people"), "people")
    resident = max(_resident(process.pid) for _ in range(20))
    print(f"resident {resident / 2**20:.0f} MiB")
    assert resident < 350 * 10**6


def _resident(pid: int) -> int:
    time.sleep(0.25)
    return int(psutil.Process(pid).memory_info().rss)
