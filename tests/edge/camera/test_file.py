import itertools
import logging
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from edge.camera import AsFastAsPossible, FileSource, Frame, RealTime, Rotation, Sampler, SourceTrouble, Trouble


def write_video(
    path: Path, *, frames: int = 30, moments: Sequence[float] | None = None, size: tuple[int, int] = (96, 64)
) -> Path:
    """A video that gets brighter by 5 with each frame, with a white upper left corner and a line of noise."""
    noise = np.random.default_rng(1)
    with av.open(str(path), "w", options={"movflags": "+faststart"} if path.suffix == ".mp4" else {}) as container:
        stream = container.add_stream("libx264", rate=10, options={"crf": "1", "bf": "2", "g": "10"})
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = stream.time_base = Fraction(1, 1000)
        for number in range(frames):
            image = np.full((size[1], size[0], 3), number % 30 * 5, dtype=np.uint8)
            image[size[1] // 2, :] = noise.integers(0, 255, (size[0], 3))
            image[: size[1] // 4, : size[0] // 4] = 255
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            frame.pts = round(1000 * (moments[number] if moments else number / 10))
            frame.time_base = Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def source(
    path: Path, *, rate: float | None = None, start_at: float = 0.0, loop: bool = False, rotation: Rotation = 0
) -> FileSource:
    return FileSource(
        camera="door",
        path=path,
        pace=AsFastAsPossible(),
        sampler=Sampler(rate=rate),
        start_at=start_at,
        loop=loop,
        rotation=rotation,
    )


def played(path: Path, *, rate: float | None = None, start_at: float = 0.0) -> list[Frame]:
    return list(source(path, rate=rate, start_at=start_at).frames())


def number_shown(frame: Frame) -> int:
    """The number that the brightness tells; FFmpeg's conversion darkens by up to 3 levels."""
    return round((float(frame.image[-8:, -8:].mean()) + 1.5) / 5)


def test_frames_come_in_order_with_their_moments(tmp_path: Path) -> None:
    frames = played(write_video(tmp_path / "a.mp4"), start_at=500.0)
    assert [frame.index for frame in frames] == list(range(30))
    assert [number_shown(frame) for frame in frames] == list(range(30))
    assert [frame.at for frame in frames] == pytest.approx([500 + i / 10 for i in range(30)])
    assert {frame.image.shape for frame in frames} == {(64, 96, 3)}
    assert {frame.camera for frame in frames} == {"door"}


def test_real_intervals_are_kept(tmp_path: Path) -> None:
    moments = [0.0, 0.04, 0.5, 0.56, 2.0]
    frames = played(write_video(tmp_path / "a.mkv", frames=5, moments=moments))
    assert [frame.at for frame in frames] == pytest.approx(moments)


def test_the_first_frame_shows_the_start_whatever_the_file_says(tmp_path: Path) -> None:
    frames = played(write_video(tmp_path / "a.mkv", frames=3, moments=[7.0, 7.1, 7.2]), start_at=1.0)
    assert [frame.at for frame in frames] == pytest.approx([1.0, 1.1, 1.2])


def test_the_rate_passes_frames_over_and_keeps_their_numbers(tmp_path: Path) -> None:
    frames = played(write_video(tmp_path / "a.mp4"), rate=5)
    assert [frame.index for frame in frames] == list(range(0, 30, 2))


def test_a_loop_goes_on_with_times_and_numbers(tmp_path: Path) -> None:
    frames = source(write_video(tmp_path / "a.mp4"), loop=True).frames()
    shown = [next(frames) for _ in range(75)]
    assert [frame.index for frame in shown] == list(range(75))
    assert [frame.at for frame in shown] == pytest.approx([i / 10 for i in range(75)])
    assert [number_shown(frame) for frame in shown] == [i % 30 for i in range(75)]


def test_real_time_holds_frames_back(tmp_path: Path) -> None:
    slept: list[float] = []
    pace = RealTime(clock=lambda: sum(slept), sleep=slept.append)
    path = write_video(tmp_path / "a.mp4", frames=4)
    list(FileSource(camera="door", path=path, pace=pace, sampler=Sampler(rate=None)).frames())
    assert slept == pytest.approx([0.1, 0.1, 0.1])


@pytest.mark.parametrize(
    ("rotation", "corner"),
    [(0, "upper left"), (90, "upper right"), (180, "lower right"), (270, "lower left")],
    ids=str,
)
def test_a_camera_mounted_askew_is_turned_upright(tmp_path: Path, rotation: Rotation, corner: str) -> None:
    frame = next(source(write_video(tmp_path / "a.mp4", frames=2), rotation=rotation).frames())
    height, width = frame.image.shape[:2]
    assert (width, height) == ((96, 64) if rotation in {0, 180} else (64, 96))
    rows = slice(0, 8) if "upper" in corner else slice(height - 8, height)
    columns = slice(0, 8) if "left" in corner else slice(width - 8, width)
    assert frame.image[rows, columns].mean() > 240
    assert frame.image.mean() < 60


def test_a_raw_stream_without_times_gets_even_ones(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.h264", frames=10)
    frames = played(path)
    steps = [after.at - before.at for before, after in itertools.pairwise(frames)]
    assert len(frames) == 10
    assert min(steps) > 0.03
    assert max(steps) == pytest.approx(min(steps))


def test_a_truncated_file_gives_what_can_be_decoded(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    whole = write_video(tmp_path / "a.mp4", frames=60, size=(320, 240))
    data = whole.read_bytes()
    whole.write_bytes(data[: len(data) * 6 // 10])
    with caplog.at_level(logging.WARNING):
        frames = played(whole)
    assert 10 < len(frames) < 55
    assert "probably cut short" in caplog.text
    assert str(whole) in caplog.text


def test_a_whole_file_is_not_called_cut_short(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    played(write_video(tmp_path / "a.mp4"))
    assert caplog.text == ""


def test_damage_in_the_middle_is_passed_over(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", frames=60, size=(320, 240))
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 200] = bytes(200)
    path.write_bytes(data)
    frames = played(path)
    assert len(frames) > 40
    assert frames[-1].at == pytest.approx(5.9, abs=0.2)


def _missing(path: Path) -> None:
    """Leave nothing there."""


def _text(path: Path) -> None:
    path.write_text("this is a shopping list\n" * 100)


def _empty(path: Path) -> None:
    path.touch()


def _headless(path: Path) -> None:
    """An MP4 whose index, written last, was never written."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for _ in range(30):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((64, 96, 3), np.uint8), format="bgr24")))
        container.mux(stream.encode(None))
    path.write_bytes(path.read_bytes()[:600])


def _sound(path: Path) -> None:
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=48_000)
        for number in range(20):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 48_000, number * 1024
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize(
    ("spoil", "reason", "advice"),
    [
        (_missing, Trouble.UNREACHABLE, "check the path"),
        (_text, Trouble.GARBAGE, "give a whole video file"),
        (_empty, Trouble.GARBAGE, "give a whole video file"),
        (_headless, Trouble.GARBAGE, "must be copied again"),
        (_sound, Trouble.UNSUPPORTED, "give a file with a video stream"),
        (_folder, Trouble.UNREACHABLE, "check the path"),
    ],
    ids=["missing", "text", "empty", "index never written", "sound only", "folder"],
)
def test_what_is_not_a_video_is_named(tmp_path: Path, spoil: object, reason: Trouble, advice: str) -> None:
    path = tmp_path / "visit.mp4"
    assert callable(spoil)
    spoil(path)
    with pytest.raises(SourceTrouble) as caught:
        played(path)
    assert caught.value.reason is reason
    assert str(path) in str(caught.value)
    assert advice in str(caught.value)


@pytest.mark.assets
def test_real_video_has_all_its_frames(assets: Path) -> None:
    frames = played(assets / "videos" / "pets_s2l1.mp4")
    assert len(frames) == 795
    assert frames[0].image.shape == (360, 480, 3)
    assert [frame.at for frame in frames] == pytest.approx([i / 10 for i in range(795)], abs=1e-3)
