"""Against GStreamer's RTSP server in a process of its own: played, refused, killed, frozen, and babbled at."""

import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import numpy as np
import pytest

from edge.camera import (
    AsFastAsPossible,
    Backoff,
    Cameras,
    Feed,
    FileSource,
    Frame,
    HealthState,
    Note,
    RtspSource,
    Sampler,
    SourceTrouble,
    Trouble,
)
from tests.support.ports import free_port
from tests.support.rtsp_server import BabblingServer, NonsenseCamera, Picture, RtspServer, encoded_film, prepared_film

pytestmark = pytest.mark.needs_gstreamer

RATE = 10
FILM_SECONDS = 12
LIMIT_SECONDS = 1.5
SILENCE_SECONDS = 0.7
DEADLINE_SECONDS = 20.0
SECRET = "s3cr3t"


def card(number: int, *, size: tuple[int, int] = (160, 120)) -> Picture:
    """A picture that says its number in eight squares, black or white."""
    image = np.full((size[1], size[0], 3), 90, dtype=np.uint8)
    side = size[0] // 8
    for bit in range(8):
        image[:side, bit * side : (bit + 1) * side] = 255 if number >> bit & 1 else 0
    return image


def number_on(image: Picture) -> int:
    side = image.shape[1] // 8
    return sum((int(image[side // 2, bit * side + side // 2].mean()) > 127) << bit for bit in range(8))


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    cards = [card(number) for number in range(FILM_SECONDS * RATE)]
    return encoded_film([cards], tmp_path_factory.mktemp("film"), rate=RATE)


@pytest.fixture
def server(film: Path) -> Iterator[RtspServer]:
    with RtspServer(film) as running:
        yield running


def source(
    url: str,
    *,
    open_seconds: float = DEADLINE_SECONDS,
    read_seconds: float = DEADLINE_SECONDS,
    rate: float | None = None,
) -> RtspSource:
    return RtspSource(
        camera="door",
        url=url,
        clock=time.monotonic,
        sampler=Sampler(rate=rate),
        open_seconds=open_seconds,
        read_seconds=read_seconds,
    )


def cameras(url: str) -> Cameras:
    opened = source(url, read_seconds=LIMIT_SECONDS)
    feed = Feed(camera="door", source=opened, backoff=Backoff(random=Random(1), cap_seconds=0.2))
    return Cameras([feed], clock=time.monotonic)


def trouble_of(
    url: str, *, open_seconds: float = DEADLINE_SECONDS, read_seconds: float = DEADLINE_SECONDS
) -> tuple[SourceTrouble, float]:
    """What a connection fails with, and after how many seconds."""
    began = time.monotonic()
    with pytest.raises(SourceTrouble) as caught:
        next(iter(source(url, open_seconds=open_seconds, read_seconds=read_seconds).frames()))
    return caught.value, time.monotonic() - began


def collected(running: Cameras, enough: Callable[[list[Frame]], bool]) -> list[Frame]:
    """Frames taken until there are enough."""
    frames: list[Frame] = []
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not enough(frames):
        assert time.monotonic() < deadline, f"waited too long; {len(frames)} frames, {running.changes()}"
        frames += running.wait(0.2)
    return frames


def until_state(running: Cameras, state: HealthState) -> list[Frame]:
    return collected(running, lambda _: running.state("door") is state)


def test_five_seconds_arrive_whole_and_evenly(server: RtspServer) -> None:
    frames = source(server.url).frames()
    began = time.monotonic()
    played = [next(frames) for _ in range(5 * RATE)]
    took = time.monotonic() - began
    first = number_on(played[0].image)
    assert [number_on(frame.image) for frame in played] == list(range(first, first + 50))
    assert [frame.index for frame in played] == list(range(50))
    steps = [after.at - before.at for before, after in itertools.pairwise(played)]
    assert steps[1:] == pytest.approx([0.1] * 48, abs=0.006)
    assert 4.5 < took < 7.0, "real time, and prompt"
    assert abs(played[-1].at - (began + took)) < 0.3


def test_the_analysis_rate_passes_frames_over(server: RtspServer) -> None:
    frames = source(server.url, rate=5).frames()
    played = [next(frames) for _ in range(8)]
    numbers = [number_on(frame.image) for frame in played]
    assert [after - before for before, after in itertools.pairwise(numbers)][1:] == [2] * 6


def test_the_end_of_the_film_is_an_end_and_not_a_stall(film: Path) -> None:
    with RtspServer(film, wall_clock_origin=time.time() - FILM_SECONDS + 2) as server:
        frames = source(server.url).frames()
        began = time.monotonic()
        with pytest.raises(SourceTrouble) as caught:
            list(frames)
    assert caught.value.reason is Trouble.ENDED
    assert time.monotonic() - began < 5.0


def test_a_password_is_asked_for_and_never_shown(
    film: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with RtspServer(film, user="admin", password=SECRET) as server, caplog.at_level(logging.DEBUG):
        assert next(source(server.url).frames()).image.any()
        trouble, _ = trouble_of(server.url.replace(SECRET, SECRET + "-wrong"))
        nobody, _ = trouble_of(f"rtsp://127.0.0.1:{server.port}/camera")
    assert trouble.reason is nobody.reason is Trouble.WRONG_PASSWORD
    assert f"rtsp://127.0.0.1:{server.port}: wrong-password" in str(trouble)
    assert "check user and password" in str(trouble)
    printed = capfd.readouterr()
    assert SECRET not in f"{trouble!s} {trouble!r} {caplog.text} {printed.out} {printed.err}"
    assert trouble.__cause__ is None
    assert trouble.__suppress_context__


def test_a_path_that_is_not_there(server: RtspServer) -> None:
    trouble, _ = trouble_of(server.url.replace("/camera", "/cammera"))
    assert trouble.reason is Trouble.NOT_FOUND
    assert "check the stream's path" in str(trouble)


@pytest.mark.parametrize(
    "address",
    [lambda: f"127.0.0.1:{free_port()}", lambda: "camera.invalid", lambda: "127.0.0.1:99999"],
    ids=["nobody listens", "no such name", "no such port"],
)
def test_an_address_where_nothing_is(address: Callable[[], str]) -> None:
    trouble, seconds = trouble_of(f"rtsp://{address()}/camera")
    assert trouble.reason is Trouble.UNREACHABLE
    assert "check address, port, cable and power" in str(trouble)
    assert seconds < DEADLINE_SECONDS


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (b"\x00\xff\x17garbage" * 500 + b"\r\n\r\n", Trouble.GARBAGE),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n" * 20, Trouble.STALLED),
        (b"RTSP/1.0 503 Service Unavailable\r\nCSeq: 1\r\n\r\n", Trouble.REFUSED),
        (b"", Trouble.STALLED),
    ],
    ids=["noise", "another protocol", "a busy camera", "silence"],
)
def test_what_answers_is_no_camera(words: bytes, reason: Trouble) -> None:
    with BabblingServer(words) as server:
        trouble, seconds = trouble_of(server.url, open_seconds=SILENCE_SECONDS)
    assert trouble.reason is reason
    assert seconds < SILENCE_SECONDS + 1.5


@pytest.mark.parametrize(
    ("payload", "reason"),
    [(b"\x65" + b"nonsense" * 40, Trouble.GARBAGE), (b"", Trouble.STALLED)],
    ids=["rubbish", "nothing"],
)
def test_a_camera_that_plays_no_pictures(payload: bytes, reason: Trouble) -> None:
    with NonsenseCamera(payload) as camera:
        trouble, seconds = trouble_of(camera.url, open_seconds=SILENCE_SECONDS, read_seconds=SILENCE_SECONDS)
    assert trouble.reason is reason
    assert seconds < DEADLINE_SECONDS


@pytest.mark.parametrize(
    ("open_seconds", "read_seconds"),
    [(SILENCE_SECONDS, DEADLINE_SECONDS), (DEADLINE_SECONDS, SILENCE_SECONDS)],
    ids=["opening ends first", "reading ends first"],
)
def test_silence_is_silence_whichever_limit_ends_it(open_seconds: float, read_seconds: float) -> None:
    with BabblingServer() as server:
        trouble, seconds = trouble_of(server.url, open_seconds=open_seconds, read_seconds=read_seconds)
    assert trouble.reason is Trouble.STALLED
    assert "nothing came for 0.7 s" in str(trouble)
    assert seconds < SILENCE_SECONDS + 1.5


def test_a_camera_that_hangs_is_noticed_in_time(server: RtspServer) -> None:
    frames = source(server.url, read_seconds=LIMIT_SECONDS).frames()
    for _ in range(5):
        next(frames)
    server.freeze()
    frozen = time.monotonic()
    with pytest.raises(SourceTrouble) as caught:
        list(frames)
    assert caught.value.reason is Trouble.STALLED
    assert "nothing came for 1.5 s" in str(caught.value)
    assert time.monotonic() - frozen < LIMIT_SECONDS + 1.0


def test_a_killed_camera_comes_back_where_the_wall_clock_is(server: RtspServer) -> None:
    with cameras(server.url) as running:
        before = collected(running, lambda frames: len(frames) >= 10)
        server.kill()
        killed = time.monotonic()
        before += until_state(running, HealthState.OFFLINE)
        assert time.monotonic() - killed < LIMIT_SECONDS + 1.0
        before += running.wait(0.0)
        assert list(running.wait(0.5)) == []
        server.start()
        after = collected(running, lambda frames: len(frames) >= 10)
        changes = running.changes()
        counters = running.counters("door")
    assert server.wall_clock_origin is not None
    lag_seconds = after[-1].at - before[-1].at
    assert number_on(after[-1].image) - number_on(before[-1].image) == pytest.approx(lag_seconds * RATE, abs=2)
    assert after[0].at - before[-1].at > 0.5
    moments = [frame.at for frame in before + after]
    assert moments == sorted(moments)
    assert [frame.index for frame in before + after] == list(range(len(moments)))
    assert changes[0].state is HealthState.ONLINE
    assert changes[1].state is HealthState.OFFLINE
    assert changes[1].reason in {Trouble.ENDED, Trouble.UNREACHABLE}
    assert changes[-1].reason is Note.PLAYING
    assert counters.dropped == 0


def test_a_thawed_camera_plays_on(server: RtspServer) -> None:
    with cameras(server.url) as running:
        collected(running, lambda frames: len(frames) >= 5)
        server.freeze()
        until_state(running, HealthState.OFFLINE)
        server.thaw()
        until_state(running, HealthState.ONLINE)
        assert collected(running, lambda frames: len(frames) >= 5)
        reasons = [change.reason for change in running.changes()]
    assert reasons[:2] == [Note.PLAYING, Trouble.STALLED]
    assert reasons[-1] is Note.PLAYING


def test_a_change_of_resolution_keeps_it_online(tmp_path: Path) -> None:
    small = [card(number) for number in range(15)]
    large = [card(number, size=(320, 240)) for number in range(15, 40)]
    with RtspServer(encoded_film([small, large], tmp_path, rate=RATE)) as server, cameras(server.url) as running:
        frames = collected(running, lambda frames: bool(frames) and number_on(frames[-1].image) >= 30)
        changes = running.changes()
    # a busy machine drops some, as it should: what counts is that each that is taken is the right one, at its time
    numbers = [number_on(frame.image) for frame in frames]
    assert numbers[0] < 15, "both sizes were seen"
    assert [frame.image.shape[:2] for frame in frames] == [(120, 160) if n < 15 else (240, 320) for n in numbers]
    assert [(change.state, change.reason) for change in changes] == [
        (HealthState.ONLINE, Note.PLAYING),
        (HealthState.ONLINE, Note.RESOLUTION_CHANGED),
    ]
    assert all(after > before for before, after in itertools.pairwise(numbers))
    passed = [after.at - before.at for before, after in itertools.pairwise(frames)]
    meant = [(after - before) / RATE for before, after in itertools.pairwise(numbers)]
    assert passed[1:] == pytest.approx(meant[1:], abs=0.006)


def test_a_slow_consumer_gets_fresh_frames_and_a_count_of_drops(server: RtspServer) -> None:
    with cameras(server.url) as running:
        collected(running, lambda frames: len(frames) >= 3)
        deadline = time.monotonic() + DEADLINE_SECONDS
        while running.counters("door").dropped < 8:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        late = list(running.wait(1.0))
        assert time.monotonic() - late[0].at < 0.5, "the newest frame, not the oldest that waits"
        counters = running.counters("door")
    assert counters.dropped >= 8
    assert counters.received == counters.taken + counters.dropped


def test_closing_does_not_wait_longer_than_a_read_may_last(server: RtspServer) -> None:
    threads = threading.active_count()
    with cameras(server.url) as running:
        collected(running, lambda frames: len(frames) >= 3)
        server.freeze()
        began = time.monotonic()
    assert time.monotonic() - began < LIMIT_SECONDS + 1.0
    assert threading.active_count() <= threads


def test_a_looped_film_starts_over_and_time_goes_on(tmp_path: Path) -> None:
    film = encoded_film([[card(number) for number in range(10)]], tmp_path, rate=RATE)
    with RtspServer(film, loop=True) as server:
        frames = source(server.url).frames()
        played = [next(frames) for _ in range(16)]
    assert [number_on(frame.image) for frame in played] == [number % 10 for number in range(16)]
    steps = [after.at - before.at for before, after in itertools.pairwise(played)]
    assert steps[1:] == pytest.approx([0.1] * 14, abs=0.006)


@pytest.mark.assets
def test_real_video_arrives_as_it_is_in_the_file(assets: Path, tmp_path: Path) -> None:
    """What is shown is the file at the wall clock's position, as sharp as the file."""
    video = assets / "videos" / "pets_s2l1.mp4"
    with RtspServer(prepared_film([video], tmp_path), wall_clock_origin=time.time() - 20.0) as server:
        live = next(source(server.url).frames())
    recorded = FileSource(camera="file", path=video, pace=AsFastAsPossible(), sampler=Sampler(rate=None)).frames()
    differences = {
        frame.index: float(np.abs(frame.image.astype(np.int16) - live.image).mean())
        for frame in itertools.islice(recorded, 200, 260)
    }
    closest = min(differences, key=differences.__getitem__)
    assert closest % 10 == 0, "a key frame"
    assert 200 <= closest <= 240
    assert differences[closest] < 3.0


def test_two_viewers_see_the_same_moment(server: RtspServer) -> None:
    first, second = (source(server.url).frames() for _ in range(2))
    for _ in range(5):
        next(first)
    seen = next(second)
    shown = next(frame for frame in first if number_on(frame.image) == number_on(seen.image))
    assert abs(shown.at - seen.at) < 0.3


def test_failed_connections_leave_no_thread_and_no_file_behind() -> None:
    url = f"rtsp://127.0.0.1:{free_port()}/camera"
    trouble_of(url)
    threads, files = threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        trouble_of(url)
    assert threading.active_count() <= threads
    assert len(list(Path("/proc/self/fd").iterdir())) <= files
