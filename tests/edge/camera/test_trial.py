"""What a short look says of a source: on made-up times, and on sources whose truth is known."""

import itertools
import time
from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
import pytest

from edge.camera import AsFastAsPossible, FileSource, Sampler, SyntheticSource, Trouble
from edge.camera.trial import Arrival, Observer, steadiness, try_source
from edge.synthetic.film import Film
from edge.synthetic.lens import Lens
from tests.support.films import write_film


def arrivals(shown: Sequence[float | None], *, late: Sequence[float] | None = None) -> list[Arrival]:
    """Pictures that arrive at their own time, 100 s later on the box's clock, and then so much late."""
    delays = late or [0.0] * len(shown)
    return [
        Arrival(shown=moment, arrived=100.0 + (index / 10 if moment is None else moment) + delay)
        for index, (moment, delay) in enumerate(zip(shown, delays, strict=True))
    ]


@pytest.mark.parametrize(
    ("shown", "rate", "missing"),
    [
        pytest.param([0.0, 0.1, 0.2, 0.3], 10.0, 0, id="steady"),
        pytest.param([0.0, 0.1, 0.2, 0.5, 0.6], 4 / 0.6, 2, id="two pictures lost in one hole"),
        pytest.param([0.0, 0.09, 0.21, 0.3], 10.0, 0, id="a little uneven"),
        pytest.param([None, 0.1, 0.2, 0.3], 10.0, 0, id="the first one without a time"),
        pytest.param([None, None, None], 10.0, 0, id="no times at all"),
        pytest.param([0.0], None, 0, id="a single picture"),
        pytest.param([], None, 0, id="no picture"),
    ],
)
def test_rate_and_holes_follow_the_streams_own_times(
    shown: list[float | None], rate: float | None, missing: int
) -> None:
    found = steadiness(arrivals(shown))
    assert found.rate == (None if rate is None else pytest.approx(rate))
    assert found.missing == missing


def test_times_that_do_not_grow_are_not_believed() -> None:
    shown = [0.0, 0.1, 0.1, 0.2]
    found = steadiness([Arrival(shown=moment, arrived=index / 5) for index, moment in enumerate(shown)])
    assert found.rate == pytest.approx(5)
    assert (found.missing, found.lateness) == (0, None)


def test_lateness_is_measured_against_the_promptest_picture() -> None:
    shown = [0.0, 0.1, 0.2, 0.3, 0.4]
    late = steadiness(arrivals(shown, late=[0.5, 0.02, 0.02, 0.04, 0.04])).lateness
    assert late is not None
    assert [late.usual, late.worst] == pytest.approx([0.02, 0.48])


def test_lateness_is_unknown_where_the_stream_says_no_times() -> None:
    assert steadiness(arrivals([None, None, None])).lateness is None


def test_a_look_at_a_film_knows_codec_size_and_the_films_own_rate_whatever_is_analysed(tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mp4", frames=50, size=(320, 240), rate=25)
    observer = Observer(clock=time.monotonic)
    source = FileSource(camera="film", path=film, pace=AsFastAsPossible(), sampler=Sampler(rate=5), witness=observer)
    trial = try_source(source, observer, seconds=30)
    assert (trial.codec, trial.size, trial.pictures, trial.damaged) == ("h264", (320, 240), 50, 0)
    assert trial.steadiness.rate == pytest.approx(25, rel=0.01)
    assert trial.trouble is None


def test_what_is_damaged_is_counted(tmp_path: Path) -> None:
    film = write_noise(tmp_path / "film.mkv", frames=50)
    spoilt = bytearray(film.read_bytes())
    middle = len(spoilt) // 2
    spoilt[middle : middle + 400] = bytes(400)
    film.write_bytes(spoilt)
    observer = Observer(clock=time.monotonic)
    source = FileSource(camera="film", path=film, pace=AsFastAsPossible(), sampler=Sampler(), witness=observer)
    trial = try_source(source, observer, seconds=30)
    assert trial.damaged > 0
    assert 25 < trial.pictures < 50


def write_noise(path: Path, *, frames: int) -> Path:
    """A film that has something to lose in every byte."""
    generator = np.random.default_rng(1)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for _ in range(frames):
            picture = generator.integers(0, 255, (120, 160, 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(stream.encode(None))
    return path


def test_a_look_ends_in_time_at_a_source_that_never_does() -> None:
    clock = itertools.count(step=0.5)
    observer = Observer(clock=lambda: next(clock))
    film = Film(seed=1, lens=Lens((64, 48)), seconds=1000)
    drawn = SyntheticSource(camera="shop", film=film, pace=AsFastAsPossible())
    trial = try_source(drawn, observer, seconds=2.0)
    assert trial.pictures == 5
    assert (trial.codec, trial.size) == ("", (64, 48))
    assert trial.steadiness.rate == pytest.approx(10)


def test_why_a_source_gives_nothing_is_kept() -> None:
    observer = Observer(clock=time.monotonic)
    nowhere = FileSource(
        camera="film", path=Path("/absent.mp4"), pace=AsFastAsPossible(), sampler=Sampler(), witness=observer
    )
    trial = try_source(nowhere, observer, seconds=1)
    assert trial.trouble is not None
    assert trial.trouble.reason is Trouble.UNREACHABLE
    assert (trial.size, trial.last, trial.pictures) == (None, None, 0)
