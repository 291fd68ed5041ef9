"""What a check says of cameras that play, refuse, hang and babble: a real RTSP server, and no camera at all."""

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edge.check.cameras import check_cameras, limit_seconds
from edge.check.findings import Finding, Verdict
from edge.settings import CameraSettings
from tests.support.films import write_film
from tests.support.ports import free_port
from tests.support.rtsp_server import BabblingServer, RtspServer, encoded_film

pytestmark = pytest.mark.needs_gstreamer

SECRET = "hunter2"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RtspServer]:
    """A camera of 160×120 at 10 pictures a second, which lets `viewer` in."""
    pictures = [np.full((120, 160, 3), 80 + number, np.uint8) for number in range(100)]
    film = encoded_film([pictures], tmp_path_factory.mktemp("film"), rate=10)
    with RtspServer(film, user="viewer", password=SECRET, loop=True) as running:
        yield running


def camera(name: str, **table: object) -> CameraSettings:
    return CameraSettings.model_validate({"id": name, "open_seconds": 2, "read_seconds": 2, **table})


def checked(*cameras: CameraSettings) -> dict[str, Finding]:
    return {found.topic.removeprefix("camera "): found for found in check_cameras(cameras)}


def test_each_camera_is_told_with_its_own_reason_and_no_password(server: RtspServer) -> None:
    with BabblingServer() as silent:
        found = checked(
            camera("door", url=server.url),
            camera("locked", url=server.url.replace(SECRET, f"{SECRET}-wrong")),
            camera("elsewhere", url=server.url + "-two"),
            camera("unplugged", url=f"rtsp://viewer:{SECRET}@127.0.0.1:{free_port()}/camera"),
            camera("hung", url=silent.url),
            camera("lost", file="/absent/film.mp4"),
            camera("made-up", synthetic={}),
        )
    verdicts = {name: str(each.verdict) for name, each in found.items()}
    assert verdicts == {
        "door": "ok",
        "made-up": "ok",
        **dict.fromkeys(["locked", "elsewhere", "unplugged", "hung", "lost"], "fail"),
    }
    assert found["door"].said.startswith("160×120, ")
    assert "pictures/s, H.264" in found["door"].said
    reasons = {name: each.said.split(": ")[1] for name, each in found.items() if each.verdict is Verdict.FAIL}
    assert reasons == {
        "locked": "wrong-password",
        "elsewhere": "not-found",
        "unplugged": "unreachable",
        "hung": "stalled",
        "lost": "unreachable",
    }
    assert found["locked"].advice == "check user and password"
    assert SECRET not in str(found)


def test_a_camera_slower_than_what_is_to_be_analysed_is_told(server: RtspServer) -> None:
    found = checked(camera("door", url=server.url, rate=25))["door"]
    assert found.verdict is Verdict.WARN
    assert found.said.endswith("camera.rate asks for 25")


def test_pictures_of_other_proportions_than_the_zones_were_drawn_on_are_told(server: RtspServer) -> None:
    found = checked(camera("door", url=server.url, image_size=[1920, 1080]))["door"]
    assert found.verdict is Verdict.WARN
    assert "image_size has other proportions, 1920×1080" in found.said


def test_hung_cameras_are_waited_for_together() -> None:
    with BabblingServer() as silent:
        hung = [camera(f"hung-{number}", url=silent.url) for number in range(6)]
        began = time.monotonic()
        found = checked(*hung)
    assert len(found) == 6
    assert time.monotonic() - began < 8, "six waits of 2 s, one after another, would take 12 s"


def test_a_camera_that_never_answers_has_failed_by_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.check.cameras.limit_seconds", lambda _: 0.2)
    with BabblingServer() as silent:
        found = checked(camera("hung", url=silent.url))["hung"]
    assert (found.verdict, found.said) == (Verdict.FAIL, "it gave no picture and no error in time")


def test_a_film_that_ends_before_its_first_picture_is_due_says_so(tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mp4", frames=1, size=(320, 240), rate=10)
    assert checked(camera("film", file=str(film)))["film"].verdict is Verdict.OK


@pytest.mark.parametrize(("cameras", "rounds"), [(1, 1), (8, 1), (9, 2), (256, 32)])
def test_the_limit_grows_with_the_rounds_that_the_cameras_need(cameras: int, rounds: int) -> None:
    many = [camera(f"camera-{number}", synthetic={}) for number in range(cameras)]
    assert limit_seconds(many) == rounds * (2 + 2 + 2 + 10)
