import re
import subprocess
import sys
from pathlib import Path

import pytest

from edge.configuration import load, load_camera
from edge.errors import ConfigurationError

PASSWORD = "hunter2"
BOX = '[box]\nid = "box-1"\nvenue = "shop"\n'
CAMERA = '[[camera]]\nid = "door"\nsynthetic = {}\n'
SIZED = CAMERA + "image_size = [640, 480]\n"
CALIBRATED = SIZED + '[camera.calibration]\nfloor = "ground"\n'
ON_A_LINE = "the calibration points on the floor lie on or near one line, or all but one do; choose four corners"
ONE_POINT = "floor_points = [[0, 0], [0, 0], [0, 0], [0, 0]]"
AREA = "polygon = [[0, 0], [9, 9], [0, 9]]\n"
CORNERS = "[[0, 0], [640, 0], [640, 480], [0, 480]]"


def mistakes(path: Path, text: str, *, places: bool = True) -> list[str]:
    """The lines of a refusal, without the file's own path."""
    path.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load(path, places=places)
    assert PASSWORD not in f"{caught.value!r} {caught.value.__cause__!r}"
    return [line.removeprefix(f"{path}: ") for line in str(caught.value).splitlines()]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "edge.toml"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            BOX.replace("box-1", "Box 1") + CAMERA,
            "box.id: found 'Box 1'; allowed is 1 to 63 small letters, digits and hyphens",
            id="a name that is no id",
        ),
        pytest.param('[box]\nid = "a"\n' + CAMERA, "box.venue: missing; it is needed", id="a needed key"),
        pytest.param(CAMERA, "box: missing; it is needed", id="a needed table"),
        pytest.param(BOX, "camera: missing; it is needed", id="no camera"),
        pytest.param(
            "camera = []\n" + BOX,
            "camera: found a list of 0; allowed is a list of at least 1",
            id="no camera in a list",
        ),
        pytest.param(
            "camera = 3\n" + BOX, "camera: found a number; allowed is a list", id="a number where a list should be"
        ),
        pytest.param('box = "x"\n' + CAMERA, "box: found text; allowed is a table", id="text where a table should be"),
        pytest.param(
            BOX + 'mode = "lively"\n' + CAMERA, "box.mode: found 'lively'; allowed is statistics or live", id="a mode"
        ),
        pytest.param(BOX + "k = 2\n" + CAMERA, "box.k: found 2; allowed is 3 or more", id="too small"),
        pytest.param(BOX + "k = 2.5\n" + CAMERA, "box.k: found 2.5; allowed is a whole number", id="a fraction"),
        pytest.param(
            BOX + "[broker]\nport = 99999\n" + CAMERA,
            "broker.port: found 99999; allowed is 65535 or less",
            id="too large",
        ),
        pytest.param(
            BOX + "[detector]\nconfidence = 1.0\n" + CAMERA,
            "detector.confidence: found 1.0; allowed is less than 1",
            id="the open end of a range",
        ),
        pytest.param(
            BOX + "[detector]\nconfidence = 'high'\n" + CAMERA,
            "detector.confidence: found 'high'; allowed is a number",
            id="a word for a number",
        ),
        pytest.param(
            BOX + '[clock]\ntrust = "never"\n' + CAMERA,
            "clock.trust: found 'never'; allowed is 'ntp' or 'always'",
            id="a word not in the list",
        ),
        pytest.param(
            BOX + "[exchange]\nkeep_days = nan\n" + CAMERA,
            "exchange.keep_days: found nan; allowed is 90 or less",
            id="not a number",
        ),
        pytest.param(
            BOX + "[broker]\nhostt = 'x'\n" + CAMERA,
            "broker.hostt: no such key; did you mean host?",
            id="a slip of the pen",
        ),
        pytest.param(
            BOX + "[bloker]\n" + CAMERA, "bloker: no such key; did you mean broker?", id="a slip in a table's name"
        ),
        pytest.param(
            BOX + "zebra = 1\n" + CAMERA, "box.zebra: no such key; allowed are id, k, mode, venue", id="nothing like it"
        ),
        pytest.param(
            BOX + SIZED + "[[camera.zone]]\nid = 'z'\npolygon = [[0, 0], [9, 9], [0, 9]]\npoligon = []\n",
            "camera[0].zone[0].poligon: no such key; did you mean polygon?",
            id="a slip deep inside",
        ),
        pytest.param(
            BOX + f"[broker]\npassword = ['{PASSWORD}']\n" + CAMERA,
            "broker.password: allowed is text in quotes",
            id="a password in a list",
        ),
        pytest.param(
            BOX + "[broker]\ncertificate_file = '/etc/passwd'\n" + CAMERA,
            "broker: allowed is certificate_file and key_file together, or neither",
            id="half a certificate",
        ),
        pytest.param(
            BOX + "[broker]\ncertificate_file = '/etc/passwd'\nkey_file = '/etc/passwd'\n" + CAMERA,
            "broker: allowed is ca_file too where certificate_file is given",
            id="a certificate without authority",
        ),
        *(
            pytest.param(
                BOX + f"[broker]\n{key} = '{place}'\n" + CAMERA,
                f"broker.{key}: found '{place}'; allowed is {words}",
                id=f"{key}: {place}",
            )
            for key, place, words in (
                ("ca_file", "/nowhere/ca.pem", "a file that exists"),
                ("certificate_file", "/nowhere/c.pem", "a file that exists"),
                ("key_file", "/etc/passwd/k.pem", "a file that exists"),
                ("ca_file", "/etc", "a file, not a folder"),
            )
        ),
        pytest.param(
            BOX + "[[camera]]\nid = 'door'\n",
            "camera[0]: allowed is exactly one of url, file, device, synthetic; found none",
            id="a camera without source",
        ),
        pytest.param(
            BOX + CAMERA + "file = 'a.mp4'\n",
            "camera[0]: allowed is exactly one of url, file, device, synthetic; found file and synthetic",
            id="a camera with two sources",
        ),
        pytest.param(
            BOX + f"[[camera]]\nid = 'door'\nurl = 'http://viewer:{PASSWORD}@192.0.2.1/'\n",
            "camera[0].url: allowed is a url as in rtsp://user:password@192.0.2.10:554/stream, or rtsps://",
            id="a url that is no stream",
        ),
        *(
            pytest.param(
                BOX + f"[[camera]]\nid = 'door'\nurl = '{url}'\n",
                "camera[0].url: allowed is a url as in rtsp://user:password@192.0.2.10:554/stream, or rtsps://",
                id=url,
            )
            for url in ("rtsp://u:p@/x", "rtsp://:554/x", "rtsp://u@:554/x", "rtsp://h:99999/x", "rtsp://[::1/x")
        ),
        pytest.param(
            BOX + "[[camera]]\nid = 'door'\nurl = 'rtsp://x:${DOOR_IS_LOCKED}@192.0.2.1/'\n",
            "camera[0].url: allowed is a url whose variables are all set in the environment; not set: DOOR_IS_LOCKED",
            id="a url with a variable that is not set",
        ),
        pytest.param(
            BOX + f"[[camera]]\nid = 'door'\ndevice = ['rtsp://viewer:{PASSWORD}@192.0.2.1/']\n",
            "camera[0].device: found a list of 1; allowed is text in quotes",
            id="a url in a list under a wrong key",
        ),
        pytest.param(
            BOX + f"[[camera]]\nid = 'rtsp://viewer:{PASSWORD}@192.0.2.1/'\nsynthetic = {{}}\n",
            "camera[0].id: found 'rtsp://192.0.2.1'; allowed is 1 to 63 small letters, digits and hyphens",
            id="a url under a wrong key",
        ),
        pytest.param(
            BOX + CAMERA + "rate = 1\n",
            "camera[0].rate: found 1; allowed is 2 or more",
            id="too slow to tell people apart",
        ),
        pytest.param(
            BOX + CAMERA + "rotation = 45\n",
            "camera[0].rotation: found 45; allowed is 0, 90, 180 or 270",
            id="an angle",
        ),
        pytest.param(
            BOX + CAMERA + "loop = 'perhaps'\n",
            "camera[0].loop: found 'perhaps'; allowed is true or false",
            id="neither true nor false",
        ),
        pytest.param(
            BOX + CAMERA + f"masks = [{CORNERS}]\n",
            "camera[0]: allowed is image_size = [width, height] too, which the points of masks refer to",
            id="masks without image_size",
        ),
        pytest.param(
            BOX + CAMERA + "doorway = [{a = [0, 0], b = [9, 9]}]\n",
            "camera[0]: allowed is image_size = [width, height] too, which the points of doorway refer to",
            id="a doorway without image_size",
        ),
        pytest.param(
            BOX + SIZED + "masks = [[[0, 0], [9, 9]]]\n",
            "camera[0].masks[0]: found a list of 2; allowed is a list of at least 3",
            id="two points",
        ),
        pytest.param(
            BOX + SIZED + "masks = [[[0, 0], [9], [9, 0]]]\n",
            "camera[0].masks[0][1][1]: missing; it is needed",
            id="a point with one number",
        ),
        pytest.param(
            BOX + SIZED + "masks = [[[0, 0], [9, 9], [9, 0], [0, 9]]]\n",
            "camera[0].masks[0]: allowed is a polygon whose sides do not cross; sides 1 and 3 do",
            id="a bow tie",
        ),
        pytest.param(
            BOX + SIZED + "masks = [[[0, 0], [9, 9], [3, 3]]]\n",
            "camera[0].masks[0]: allowed is a polygon with an area; all its points lie on one line",
            id="a polygon without area",
        ),
        pytest.param(
            BOX + SIZED + "masks = [[[0, 0], [9, 9], [0, 9]], [[0, 0], [1920, 0], [0, 1080]]]\n",
            "camera[0].masks: allowed is inside the picture of 640 × 480; mask 2 has [1920.0, 0.0]",
            id="a mask for another resolution",
        ),
        pytest.param(
            BOX + SIZED + "[[camera.zone]]\nid = 'z'\npolygon = [[0, 0], [9, 9], [0, 600]]\n",
            "camera[0].zone: allowed is inside the picture of 640 × 480; zone z has [0.0, 600.0]",
            id="a zone outside the picture",
        ),
        pytest.param(
            BOX + SIZED + "[[camera.line]]\nid = 'l'\na = [0, 0]\nb = [-100, 0]\n",
            "camera[0].line: allowed is inside the picture of 640 × 480; line l has [-100.0, 0.0]",
            id="a line outside the picture",
        ),
        pytest.param(
            BOX + SIZED + "[[camera.line]]\nid = 'l'\na = [5, 5]\nb = [5, 5]\n",
            "camera[0].line[0].b: allowed is another point than a",
            id="a line without length",
        ),
        pytest.param(
            BOX + SIZED + "[[camera.doorway]]\na = [0, 0]\nb = [9, 0]\n[[camera.doorway]]\na = [0, 0]\nb = [0, 600]\n",
            "camera[0].doorway: allowed is inside the picture of 640 × 480; doorway 2 has [0.0, 600.0]",
            id="a doorway outside the picture",
        ),
        pytest.param(
            BOX + SIZED + "[[camera.doorway]]\na = [5, 5]\nb = [5, 5]\n",
            "camera[0].doorway[0].b: allowed is another point than a",
            id="a doorway without length",
        ),
        pytest.param(
            BOX + SIZED + f"[[camera.zone]]\nid = 'z'\nkind = 'queue'\n{AREA}served_in = 'till'\n",
            "camera[0].zone: allowed is served_in = the id of a zone of this camera that is no queue; "
            "found for zone z = till",
            id="a line without its till",
        ),
        pytest.param(
            BOX
            + SIZED
            + f"[[camera.zone]]\nid = 'y'\nkind = 'queue'\n{AREA}served_in = 'z'\n"
            + f"[[camera.zone]]\nid = 'z'\nkind = 'queue'\n{AREA}served_in = 'y'\n",
            "camera[0].zone: allowed is served_in = the id of a zone of this camera that is no queue; "
            "found for zone y = z, z = y",
            id="lines that serve each other",
        ),
        pytest.param(
            BOX + SIZED + f"[[camera.zone]]\nid = 'z'\n{AREA}served_in = 'till'\n",
            "camera[0].zone[0].served_in: found 'till'; allowed is nothing here, or kind = \"queue\" too: "
            "only who stands in line is served",
            id="a till without a line",
        ),
        pytest.param(
            BOX + CALIBRATED + f"image_points = {CORNERS}\nfloor_points = [[0, 0], [1, 0], [1, 1], [0, 1], [2, 2]]\n",
            "camera[0].calibration.floor_points: allowed is as many points as in image_points (4); found 5",
            id="points without partner",
        ),
        pytest.param(
            BOX + CALIBRATED + f"image_points = {CORNERS}\nfloor_points = [[0, 0], [1, 1], [2, 2], [3, 3]]\n",
            f"camera[0].calibration: camera door: {ON_A_LINE}",
            id="a floor that is a line",
        ),
        pytest.param(
            BOX + CALIBRATED + f"image_points = {CORNERS}\nfloor_points = [[0, 0], [1, 0], [0, 1], [1, 1]]\n",
            "camera[0].calibration: camera door: the horizon runs between the calibration points; are they in the same "
            "order in the picture and on the floor?",
            id="points in another order",
        ),
    ],
)
def test_a_mistake_is_told_with_key_what_was_found_and_what_is_allowed(text: str, expected: str, file: Path) -> None:
    assert mistakes(file, text) == [expected]


ZONE = "zone = [{id = 'z', polygon = [[0, 0], [9, 9], [0, 9]]}]"
LINE = "{id = 'z', a = [0, 0], b = [9, 9]}"


@pytest.mark.parametrize(
    ("key", "first", "second"),
    [
        ("camera", "", ""),
        ("zone", ZONE, ZONE),
        ("line", f"line = [{LINE}, {LINE}]", ""),
    ],
)
def test_ids_are_used_once_on_a_box(key: str, first: str, second: str, file: Path) -> None:
    other = SIZED if key == "camera" else SIZED.replace("door", "till")
    text = BOX + SIZED + first + "\n" + other + second + "\n"
    told = mistakes(file, text)
    name = {"camera": "door"}.get(key, "z")
    assert f"every {key} id once on a box; found more than once: {name}" in told[0]


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        pytest.param("", "", ["camera"], id="right in all else"),
        pytest.param("rate = 0\n", "", ["rate", "camera"], id="one wrong in itself"),
        pytest.param("rate = 0\n", "rate = 0\n", ["rate", "rate", "camera"], id="both wrong in themselves"),
        pytest.param(f"rate = 0\n{ZONE}", ZONE, ["rate", "camera", "zone"], id="their zones too"),
        pytest.param("zone = 5\n", "line = [5]\n", ["zone", "line", "camera"], id="shapes that are no tables"),
    ],
)
def test_equal_ids_are_told_once_and_beside_other_mistakes(
    first: str, second: str, expected: list[str], file: Path
) -> None:
    told = "; ".join(mistakes(file, BOX + SIZED + first + "\n" + SIZED + second + "\n"))
    keys = re.findall(r"camera\[\d\]\.(\w+)|every (\w+) id once", told)
    assert [part or kind for part, kind in keys] == expected


FLOOR = f"[camera.calibration]\nimage_points = {CORNERS}\nfloor_points = [[0, 9], [9, 9], [9, 0], [0, 0]]\n"


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        pytest.param(FLOOR + "floor = 'ground'\n", FLOOR + "floor = 'ground'\n", [], id="on one floor"),
        pytest.param(
            FLOOR + "floor = 'ground'\n",
            FLOOR + "floor = 'first'\n",
            ["calibrating all cameras of a scene on one floor; those of hall are not: door, till"],
            id="on two floors",
        ),
        pytest.param(
            FLOOR + "floor = 'ground'\n",
            "",
            ["calibrating all cameras of a scene on one floor; those of hall are not: door, till"],
            id="one on no floor",
        ),
        pytest.param(
            FLOOR + "floor = 'ground'\n",
            "counting = false\n" + FLOOR + "floor = 'ground'\n",
            ["counting alike for all cameras of a scene; those of hall differ"],
            id="of two minds",
        ),
    ],
)
def test_cameras_of_one_scene_look_at_one_floor(first: str, second: str, expected: list[str], file: Path) -> None:
    other = SIZED.replace("door", "till")
    text = BOX + SIZED + "scene = 'hall'\n" + first + other + "scene = 'hall'\n" + second
    if expected:
        assert mistakes(file, text) == [f"camera: allowed is {sentence}" for sentence in expected]
    else:
        file.write_text(text)
        assert [camera.scene_id for camera in load(file, places=True).cameras] == ["hall", "hall"]


def test_what_is_no_id_is_not_told_as_one(file: Path) -> None:
    wrong = SIZED.replace("door", f"rtsp://viewer:{PASSWORD}@door/")
    assert not [line for line in mistakes(file, BOX + wrong + wrong) if "once" in line]


def test_every_mistake_is_told_at_once(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOOTFALL_EDGE_BROKER__PORT", "many")
    monkeypatch.setenv("FOOTFALL_EDGE_DETECTOR", f'{{"model": "{PASSWORD}')
    monkeypatch.setenv("FOOTFALL_EDGE_EXCHANGE__ROM_MB", "9")
    monkeypatch.setenv("FOOTFALL_EDGE_BROKR__PASSWORD", PASSWORD)
    bad_floor = f"image_points = {CORNERS}\nfloor_points = [[0, 0], [1, 1], [2, 2], [3, 3]]\n"
    text = BOX + "k = 1\n" + CALIBRATED + bad_floor + CAMERA + "[[camera]]\nid = 'X'\nrate = 0\nfile = 5\n"
    assert mistakes(file, text) == [
        "environment FOOTFALL_EDGE_BROKR__PASSWORD: no such key; did you mean broker?",
        "box.k: found 1; allowed is 3 or more",
        "environment FOOTFALL_EDGE_EXCHANGE__ROM_MB: exchange.rom_mb: no such key; did you mean room_mb?",
        "environment FOOTFALL_EDGE_BROKER__PORT: broker.port: found 'many'; allowed is a whole number",
        "environment FOOTFALL_EDGE_DETECTOR: detector: found text; allowed is a table",
        "camera[2].id: found 'X'; allowed is 1 to 63 small letters, digits and hyphens",
        "camera[2].file: found 5; allowed is a path in quotes",
        "camera[2].rate: found 0; allowed is 2 or more",
        "camera: allowed is every camera id once on a box; found more than once: door",
        f"camera[0].calibration: camera door: {ON_A_LINE}",
    ]


def test_a_syntax_error_is_told_with_its_line(file: Path) -> None:
    (told,) = mistakes(file, f"[box]\nid = 'a'\npassword = {PASSWORD}\n")
    assert told.startswith("not TOML: ")
    assert "line 3" in told


@pytest.mark.parametrize("name", ["absent.toml", "."], ids=["no file", "a folder"])
def test_a_file_that_cannot_be_read_is_named(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"; needed is a TOML file that this user may read") as caught:
        load(tmp_path / name)
    assert str(caught.value).startswith(str(tmp_path / name))


def test_bytes_that_are_no_text_are_no_toml(tmp_path: Path) -> None:
    (tmp_path / "edge.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match="not TOML"):
        load(tmp_path / "edge.toml")


def zones(count: int, points: int) -> str:
    polygon = [[1000 * number + 0.123, float(number % 7)] for number in range(points - 1)] + [[5.0, 90_000.0]]
    names = [f"zone-with-quite-a-long-name-{number:03}" for number in range(count)]
    return "".join(f"[[camera.zone]]\nid = '{name}'\npolygon = {polygon}\n" for name in names)


def cameras(*tables: str) -> str:
    corners = "[camera.calibration]\nfloor = 'f'\nfloor_points = [[0, 0], [9, 0], [9, 9], [0, 9]]\n"
    return BOX + "".join(
        SIZED.replace("door", f"door-{number}") + corners + f"image_points = {CORNERS}\n" + table
        for number, table in enumerate(tables)
    )


def test_a_layout_too_large_for_a_message_is_a_mistake(file: Path) -> None:
    few_points = [zones(60, 4).replace("zone-", f"zone-{number}-") for number in range(5)]
    assert mistakes(file, cameras(*few_points)) == ["camera: found 300 zones; allowed are 256 on one box"]
    (told,) = mistakes(file, cameras(zones(64, 64)))
    assert told.startswith("camera: found cameras, zones and lines that take ")
    assert "allowed are 61440" in told
    file.write_text(cameras(zones(40, 64)))
    assert len(load(file, places=True).cameras[0].zones) == 40


def test_uplink_reads_settings_without_what_opens_cameras(file: Path) -> None:
    file.write_text(BOX + SIZED)
    code = f"""
import sys
import edge.uplink.assembly
import edge.cli
from edge.configuration import load
from pathlib import Path
load(Path({str(file)!r}))
print(sorted({{"av", "cv2", "onnxruntime", "numpy", "scipy", "supervision", "trackers"}} & set(sys.modules)))
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ended.stdout.strip(), ended.stderr) == ("[]", "")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("id = 'door'\nrate = 5\n", id="a camera alone"),
        pytest.param("[camera]\nid = 'door'\nrate = 5\n", id="a camera's table"),
        pytest.param(BOX + CAMERA + "rate = 5\n", id="a whole configuration"),
        pytest.param("id = 'door'\nrate = 5\nurl = 'rtsp://x:${NOT_SET_HERE}@y/'\n", id="a url that is not needed"),
    ],
)
def test_a_camera_for_a_replay_needs_no_source(text: str, file: Path) -> None:
    file.write_text(text)
    camera = load_camera(file)
    assert (camera.id, camera.rate, camera.url) == ("door", 5.0, None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rate = 5\n", "id: missing; it is needed"),
        ("id = 'a'\nrat = 5\n", "rat: no such key; did you mean rate?"),
        (BOX + CAMERA + CAMERA, "camera: found 2 cameras; allowed is exactly one for a replay"),
        ("camera = 5\n", "camera: found no table; allowed is a table, headed [[camera]]"),
        (
            f"id = 'a'\nimage_size = [640, 480]\n[calibration]\nfloor = 'f'\nimage_points = {CORNERS}\n{ONE_POINT}",
            f"calibration: camera a: {ON_A_LINE}",
        ),
    ],
    ids=["no id", "a slip", "two cameras", "no table", "no floor"],
)
def test_a_mistake_in_a_replays_camera_is_told(
    text: str, expected: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOOTFALL_EDGE_ID", "not read here")
    file.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load_camera(file)
    assert str(caught.value) == f"{file}: {expected}"


def test_equal_ids_in_a_replays_camera_are_told_beside_another_mistake(file: Path) -> None:
    file.write_text(f"id = 'a'\nrate = 0\nimage_size = [640, 480]\nline = [{LINE}, {LINE}]\n")
    with pytest.raises(ConfigurationError) as caught:
        load_camera(file)
    assert [line.removeprefix(f"{file}: ") for line in str(caught.value).splitlines()] == [
        "rate: found 0; allowed is 2 or more",
        "allowed is every line id once on a box; found more than once: z",
    ]
