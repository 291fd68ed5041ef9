"""`footfall edge check` and `footfall edge camera test`: lines, JSON, exit codes, no passwords."""

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.support.command_line import typed
from tests.support.films import write_film
from tests.support.mosquitto import Mosquitto
from tests.support.ports import free_port
from tests.support.rtsp_server import RtspServer, encoded_film
from tools.demo.shop import configuration as configuration_of_the_shop

FOOTFALL = Path(sys.executable).with_name("footfall")
ROOT = Path(__file__).parents[3]
SECRET = "hunter2"
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def footfall(*words: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return typed("edge", *map(str, words), environment={**os.environ, **environment})


def at_a_terminal(*words: str | Path) -> str:
    """What a person sees of the command."""
    terminal, program = pty.openpty()
    with subprocess.Popen(
        [FOOTFALL, "edge", *words], stdin=program, stdout=program, stderr=program, env={**os.environ, "TERM": "xterm"}
    ) as process:
        os.close(program)
        shown = b""
        try:
            while piece := os.read(terminal, 4096):
                shown += piece
        except OSError:  # a terminal whose program has ended reads as an error on Linux
            pass
        assert process.wait(timeout=30) == 0
    os.close(terminal)
    return shown.decode()


def configuration(folder: Path, cameras: str, *, port: int = 1883) -> Path:
    path = folder / "edge.toml"
    path.write_text(
        f'[box]\nid = "box-1"\nvenue = "shop"\n[exchange]\nfolder = "{folder / "exchange"}"\nroom_mb = 16\n'
        f'[broker]\nport = {port}\nusername = "box-1"\npassword = "{SECRET}"\n{cameras}'
    )
    path.chmod(0o640)
    return path


SHOP = '[[camera]]\nid = "floor"\nimage_size = [320, 240]\nsynthetic = {}\n'


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return write_film(tmp_path / "film.mp4", frames=20, size=(320, 240), rate=10)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RtspServer]:
    pictures = [np.full((120, 160, 3), 80 + number, np.uint8) for number in range(100)]
    film = encoded_film([pictures], tmp_path_factory.mktemp("film"), rate=10)
    with RtspServer(film, user="viewer", password=SECRET, loop=True) as running:
        yield running


def topics_of(lines: str) -> list[tuple[str, str]]:
    return re.findall(r"^(ok|warn|fail) +(\w+(?: [\w-]+)?)  ", lines, re.MULTILINE)


def test_a_box_without_faults_is_told_a_line_a_topic(mosquitto: Mosquitto, tmp_path: Path) -> None:
    ended = footfall("check", "--config", configuration(tmp_path, SHOP, port=mosquitto.port))
    assert ended.returncode == 0, ended.stdout
    topics = {topic: verdict for verdict, topic in topics_of(ended.stdout)}
    assert list(topics) == [
        "versions",
        "configuration",
        "decoders",
        "runtime",
        "model",
        "camera floor",
        "disk",
        "clock",
        "broker",
        "egress",
    ]
    assert "fail" not in topics.values()
    lines = ended.stdout.splitlines()
    assert re.fullmatch(r"\d+ ok, \d+ warn, 0 fail", lines[-1])
    assert all(lines[index + 1].startswith("      → ") for index, line in enumerate(lines) if line.startswith("warn"))
    assert "\x1b" not in ended.stdout
    assert SECRET not in ended.stdout + ended.stderr


def test_which_cameras_are_one_scene_is_said_and_by_what_floor(tmp_path: Path) -> None:
    shop = configuration_of_the_shop(seed=1, seconds=60.0)
    ended = footfall("check", "--only-configuration", "--config", configuration(tmp_path, shop))
    assert topics_of(ended.stdout) == [("ok", "configuration"), ("ok", "scene overview")]
    said = "whom several of its cameras see counts once; floor in common: overview and till 81 m²"
    assert ended.stdout.splitlines()[1].endswith(said)


def test_the_configuration_by_itself_is_read_without_looking_at_anything_else(tmp_path: Path) -> None:
    nowhere = f'[[camera]]\nid = "street"\nurl = "rtsp://${{NAME}}:{SECRET}@127.0.0.1:{free_port()}/live"\n'
    config = configuration(tmp_path, nowhere, port=free_port())
    right = footfall("check", "--only-configuration", "--config", config, NAME="viewer")
    assert (right.returncode, topics_of(right.stdout)) == (0, [("ok", "configuration")])
    wrong = footfall("check", "--only-configuration", "--config", config)
    assert (wrong.returncode, topics_of(wrong.stdout)) == (1, [("fail", "configuration")])
    assert "NAME" in wrong.stdout


def test_a_fault_is_exit_code_1_and_the_other_topics_are_told_all_the_same(tmp_path: Path) -> None:
    nowhere = f'[[camera]]\nid = "street"\nurl = "rtsp://viewer:{SECRET}@127.0.0.1:{free_port()}/live"\n'
    ended = footfall("check", "--json", "--config", configuration(tmp_path, SHOP + nowhere, port=free_port()))
    assert ended.returncode == 1
    told = json.loads(ended.stdout)
    assert told["verdict"] == "fail"
    findings = {finding["topic"]: finding for finding in told["findings"]}
    assert {topic for topic, finding in findings.items() if finding["verdict"] == "fail"} == {"camera street", "broker"}
    assert findings["camera street"] == {
        "topic": "camera street",
        "verdict": "fail",
        "said": findings["camera street"]["said"],
        "advice": "check address, port, cable and power",
    }
    assert findings["camera street"]["said"].startswith("rtsp://127.0.0.1:")
    assert all(finding["advice"] for finding in findings.values() if finding["verdict"] != "ok")
    assert SECRET not in ended.stdout + ended.stderr


def test_a_wrong_configuration_fails_with_each_mistake_and_the_machine_is_looked_at(tmp_path: Path) -> None:
    path = configuration(tmp_path, SHOP)
    path.write_text(path.read_text().replace("port = ", "prt = ").replace("room_mb = 16", "room_mb = 1"))
    ended = footfall("check", "--config", path)
    assert ended.returncode == 1
    assert [topic for verdict, topic in topics_of(ended.stdout) if verdict == "fail"] == ["configuration"] * 2
    assert "broker.prt: no such key" in ended.stdout
    assert ("ok", "decoders") in topics_of(ended.stdout)
    assert SECRET not in ended.stdout + ended.stderr


def test_a_configuration_that_was_named_and_is_not_there_fails(tmp_path: Path) -> None:
    ended = footfall("check", FOOTFALL_EDGE_CONFIG=str(tmp_path / "absent.toml"))
    assert ended.returncode == 1
    assert ("fail", "configuration") in topics_of(ended.stdout)


@pytest.mark.skipif(Path("/etc/footfall/edge.toml").exists(), reason="this machine is a box, with a configuration")
def test_without_a_configuration_it_says_what_it_did_not_look_at() -> None:
    told = dict(json.loads(footfall("check", "--json", FOOTFALL_EDGE_CONFIG="").stdout))
    findings = {finding["topic"]: finding for finding in told["findings"]}
    assert findings["configuration"]["verdict"] == "warn"
    assert "cameras, broker and the model in use were not looked at" in findings["configuration"]["said"]
    assert {"versions", "decoders", "runtime", "model", "disk", "clock", "egress"} <= set(findings)
    assert "broker" not in findings


def test_at_a_terminal_no_line_is_longer_than_the_window(mosquitto: Mosquitto, tmp_path: Path) -> None:
    shown = ESCAPES.sub("", at_a_terminal("check", "--config", configuration(tmp_path, SHOP, port=mosquitto.port)))
    assert ("ok", "decoders") in topics_of(shown.replace("\r", "\n"))
    assert max(len(line) for line in re.split(r"[\r\n]+", shown)) <= 80


@pytest.mark.needs_gstreamer
def test_a_camera_of_the_configuration_is_shown_by_its_name(server: RtspServer, tmp_path: Path) -> None:
    config = configuration(tmp_path, f'[[camera]]\nid = "door"\nurl = "{server.url}"\nrate = 5\n')
    ended = footfall("camera", "test", "door", "--seconds", "2", "--config", config)
    assert ended.returncode == 0, ended.stderr
    told = dict(line.split(maxsplit=1) for line in ended.stdout.splitlines())
    assert told["camera"] == f"door, rtsp://127.0.0.1:{server.port}"
    assert told["resolution"] == "160×120"
    assert told["codec"] == "H.264"
    rate = re.fullmatch(r"([\d.]+) pictures/s, of which 5\.0 are analysed", told["rate"])
    assert rate is not None
    assert float(rate[1]) == pytest.approx(10, abs=1)
    assert re.match(r"behind the promptest picture: usually \d+ ms, at most \d+ ms; how old", told["delay"])
    assert told["lost"].startswith("0 missing by the stream's own times, 0 damaged, of ")
    assert "\x1b" not in ended.stdout
    assert SECRET not in ended.stdout + ended.stderr


@pytest.mark.needs_gstreamer
def test_a_url_needs_no_configuration_and_its_password_may_stand_in_the_environment(server: RtspServer) -> None:
    url = server.url.replace(SECRET, "${DOOR_PASSWORD}")
    ended = footfall("camera", "test", url, "--seconds", "1", DOOR_PASSWORD=SECRET)
    assert ended.returncode == 0, ended.stderr
    refused = footfall("camera", "test", url, "--seconds", "1", DOOR_PASSWORD=f"{SECRET}-wrong")
    assert refused.returncode == 1
    assert re.fullmatch(r"footfall edge: camera: rtsp://127\.0\.0\.1:\d+: wrong-password: .*\n", refused.stderr)
    assert SECRET not in ended.stdout + refused.stdout + refused.stderr


def test_a_still_is_written_and_shown_to_a_terminal_only(film: Path, tmp_path: Path) -> None:
    still = tmp_path / "still.png"
    ended = footfall("camera", "test", film, "--seconds", "1", "--still", still)
    assert ended.returncode == 0, ended.stderr
    assert "▀" not in ended.stdout
    picture = cv2.imread(str(still))
    assert picture is not None
    assert picture.shape == (24 * 16, 32 * 16, 3)
    shown = at_a_terminal("camera", "test", film, "--seconds", "1")
    assert shown.count("▀") == 12 * 32


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        pytest.param(["absent", "--config", "edge.toml"], 2, "there is no camera 'absent'; there are floor", id="name"),
        pytest.param(["door", "--config", "absent.toml"], 2, "absent.toml: No such file", id="no configuration"),
        pytest.param([f"ftp://viewer:{SECRET}@host/x"], 2, "allowed is a url as in rtsp://", id="no rtsp"),
        pytest.param(["rtsp://a:${NOT_SET}@host/x"], 2, "not set: NOT_SET", id="a variable that is not set"),
        pytest.param(["/absent/film.mp4"], 1, "unreachable: No such file", id="no film"),
        pytest.param(["/dev/video99"], 1, "unreachable: ", id="no device"),
        pytest.param(["film.mp4", "--still", "absent/still.png"], 1, "the still cannot be written", id="no folder"),
    ],
)
def test_a_camera_test_that_cannot_be_is_one_clear_line(
    words: list[str], code: int, told: str, film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(film.parent)
    configuration(tmp_path, SHOP)
    ended = footfall("camera", "test", *words, "--seconds", "0.5")
    assert ended.returncode == code
    (line,) = ended.stderr.splitlines()
    assert told in line
    assert SECRET not in ended.stdout + ended.stderr


def test_each_topic_stands_in_the_documentation() -> None:
    source = "".join(path.read_text() for path in (ROOT / "edge/check").glob("*.py"))
    topics = {*re.findall(r'\b(?:ok|warn|fail)\(\s*"(\w+)"', source), "camera"}
    assert topics >= {"versions", "egress"}
    documented = (ROOT / "docs/check.md").read_text()
    assert [topic for topic in topics if f"| `{topic}" not in documented] == []
