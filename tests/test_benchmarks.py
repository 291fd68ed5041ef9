"""What the benchmarks stand on: the ceiling, the fairness, the clocks, and that all who are compared do follow."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edge.assembly import eyes
from edge.detector.detections import Detections
from edge.floor import Floor
from edge.settings import DetectorSettings
from tests.benchmarks.low_light import gain, hits
from tests.benchmarks.soak import growth
from tests.benchmarks.stages import STAGES, floor, staged, whole
from tests.benchmarks.tracking import Table, judged, ratios, switches_in_one_box
from tests.support.child import measured, peak_mib
from tests.support.clips import Clip, Variation, followed
from tests.support.crowd import CROWD, PEOPLE, crowd
from tests.support.films import write_film
from tests.support.followers import FOLLOWERS, cost, is_installed
from tests.support.mot import People, associated_perfectly, people_in, score, switches, without_strangers
from tests.support.stopwatch import Stopwatch

INSTALLED = [name for name in FOLLOWERS if is_installed(name)]


def people(boxes: dict[int, tuple[float, float]]) -> People:
    """By id, left and top of boxes of 40 × 100 pixels."""
    corners = [(left, top, left + 40, top + 100) for left, top in boxes.values()]
    return People(ids=np.array(list(boxes), np.int64), boxes=np.array(corners, np.float64).reshape(-1, 4))


def test_perfect_association_gives_each_true_person_the_best_detection_and_drops_the_rest() -> None:
    truth = people({7: (100, 100), 9: (300, 100), 11: (500, 100)})
    found = people({0: (110, 100), 1: (102, 100), 2: (305, 100), 3: (700, 100), 4: (525, 100)}).boxes
    perfect = associated_perfectly(truth, found)
    assert dict(zip(perfect.ids.tolist(), perfect.boxes[:, 0].tolist(), strict=True)) == {7: 102, 9: 305}


def test_perfect_association_is_joint() -> None:
    """One detection overlaps two people; each gets one all the same."""
    truth = people({1: (100, 100), 2: (110, 100)})
    perfect = associated_perfectly(truth, people({0: (104, 100), 1: (92, 100)}).boxes)
    assert dict(zip(perfect.ids.tolist(), perfect.boxes[:, 0].tolist(), strict=True)) == {1: 92, 2: 104}


@pytest.mark.parametrize("detections", [0, 2])
@pytest.mark.parametrize("there", [0, 2])
def test_perfect_association_of_nobody_is_nobody(detections: int, there: int) -> None:
    everybody = people({1: (100, 100), 2: (300, 100)})
    truth = People(ids=everybody.ids[:there], boxes=everybody.boxes[:there])
    assert len(associated_perfectly(truth, everybody.boxes[:detections]).ids) == min(detections, there)


def test_perfect_association_of_perfect_detections_scores_one() -> None:
    truth = {frame: people({1: (10 * frame, 100), 2: (400 - 10 * frame, 100)}) for frame in range(20)}
    perfect = {frame: associated_perfectly(there, there.boxes) for frame, there in truth.items()}
    scores = score(truth, perfect, list(truth))
    assert (scores.hota, scores.idf1, scores.mota, scores.id_switches) == (1, 1, 1, 0)


def test_switches_are_told_one_by_one() -> None:
    """Two swap in frame 2, and one of them is somebody else again after a frame of absence."""
    truth = {frame: people({1: (100, 100), 2: (300, 100)}) for frame in range(6)}
    numbers = [(5, 6), (5, 6), (6, 5), (6, 5), (6, None), (6, 9)]
    seen = {
        frame: people({one: place for one, place in zip(pair, ((100, 100), (300, 100)), strict=True) if one})
        for frame, pair in enumerate(numbers)
    }
    assert switches(truth, seen, list(truth)) == [(2, 1), (2, 2), (5, 2)]
    assert score(truth, seen, list(truth)).id_switches == 3


def test_a_switch_is_a_detector_s_where_two_were_one_box_within_a_second_before() -> None:
    clip = Clip(name="", frames=30, rate=10, size=(640, 480))
    way = Variation(name="", frames=tuple(range(30)), times=tuple(frame / 10 for frame in range(30)))
    truth = {frame: people({1: (100, 100), 2: (120, 100)}) for frame in range(30)}
    seen = {
        frame: people({5: (100, 100), 6: (120, 100)} if frame < 20 else {6: (100, 100), 5: (120, 100)})
        for frame in range(30)
    }
    two = Detections(boxes=truth[0].boxes.astype(np.float32), confidence=np.full(2, 0.9, np.float32))
    one = Detections(boxes=two.boxes[:1], confidence=two.confidence[:1])
    for merged_at, count in ((12, 2), (5, 0), (25, 0)):
        found = [one if frame == merged_at else two for frame in range(30)]
        assert switches_in_one_box(truth, seen, found, clip, way) == count


def test_who_has_no_label_is_no_mistake_where_labels_are_incomplete() -> None:
    clip = Clip(name="", frames=4, rate=10, size=(640, 480), holes=(range(2, 4),))
    way = Variation(name="", frames=(0, 1, 2, 3), times=(0.0, 0.1, 0.2, 0.3))
    both, one = people({1: (100, 100), 2: (300, 100)}), people({1: (100, 100)})
    truth = {0: both, 1: both, 2: one, 3: one}
    seen = dict.fromkeys(range(4), both)
    assert judged(truth, seen, clip, way).mota == 1
    assert judged(truth, seen, Clip(name="", frames=4, rate=10, size=(640, 480)), way).mota < 1
    assert without_strangers(one, both).ids.tolist() == [1]


def test_frames_without_any_label_are_not_judged() -> None:
    clip = Clip(name="", frames=2, rate=10, size=(640, 480))
    seen = dict.fromkeys(range(2), people({1: (100, 100)}))
    way = Variation(name="", frames=(0, 1), times=(0.0, 0.1))
    assert judged({0: seen[0]}, seen, clip, way).mota == 1


def test_the_crowd_is_thirty_people_who_walk_inside_the_picture() -> None:
    frames = crowd()
    assert len(frames) == CROWD.frames
    assert sum(map(len, frames)) / CROWD.frames == pytest.approx(0.95 * PEOPLE, rel=0.02)
    boxes = np.concatenate([found.boxes for found in frames])
    assert boxes.min() >= 0
    assert (boxes.max(axis=0) <= [1280, 720, 1280, 720]).all()
    assert all((np.diff(found.confidence) <= 0).all() for found in frames)
    assert np.ptp(frames[0].boxes[:, 0]) > 500
    assert all((one.boxes == other.boxes).all() for one, other in zip(frames, crowd(), strict=True))


@pytest.mark.parametrize("name", INSTALLED)
def test_everybody_compared_follows_people_who_walk_apart(name: str) -> None:
    ways = [(30.0 + 4 * frame, 600.0 - 4 * frame) for frame in range(60)]
    boxes = [np.array([[a, 100, a + 40, 200], [b, 300, b + 40, 400]], np.float32) for a, b in ways]
    film = [Detections(boxes=each, confidence=np.array([0.9, 0.8], np.float32)) for each in boxes]
    way = Variation(name="", frames=tuple(range(60)), times=tuple(frame / 10 for frame in range(60)))
    seen = followed(FOLLOWERS[name](Floor.uncalibrated((640, 480)), 10.0), film, way)
    assert people_in(seen) == 2
    for people_there, exact in zip(list(seen.values())[-10:], boxes[-10:], strict=True):
        assert np.abs(people_there.boxes[people_there.boxes[:, 1].argsort()] - exact).max() < 5


def test_the_cost_of_following_is_that_of_a_process_that_holds_nothing_else() -> None:
    film = [(found.boxes, found.confidence, frame / 10) for frame, found in enumerate(crowd()[:20])]
    filler = np.ones(2**28, np.uint8)  # 256 MiB here, which a child must not be charged with
    figures = cost("footfall", film, CROWD)
    assert filler.all()
    assert figures.keys() == {"cpu_ms_per_frame", "peak_mib"}
    assert 0 < figures["cpu_ms_per_frame"] < 1000
    assert 20 < figures["peak_mib"] < 250 < peak_mib()


def test_growth_is_from_the_warm_minutes_to_the_last() -> None:
    samples = [
        (float(at), 200.0 + (50.0 if at < 300 else 0.002 * at) + (9.0 if at == 350 else 0.0), 12) for at in range(1800)
    ]
    figures = growth(samples, warm=300.0, span=300.0)
    assert figures["growth_mb"] == pytest.approx(0.002 * 1200, abs=0.01)
    assert figures["most_resident_mb"] == 250.0
    assert (figures["files_before"], figures["files_after"], figures["minutes"]) == (12, 12, 30.0)


def test_a_measurement_that_fails_is_an_error() -> None:
    with pytest.raises(Exception, match="returned non-zero exit status"):
        measured("tests.support.followers", "nobody", "nowhere.npz")


@pytest.mark.parametrize("name", ["cameras", "low_light", "soak", "stages", "tracking"])
def test_a_benchmark_without_its_films_says_what_it_needs(name: str) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "FOOTFALL_ASSETS"}
    command = [sys.executable, "-m", f"tests.benchmarks.{name}"]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr.strip().splitlines()[-1].startswith("This needs real weights and video: set FOOTFALL_ASSETS")


class Clockwork:
    """A made-up clock that its own methods wind on, and which a stopwatch reads."""

    def __init__(self) -> None:
        self.now = 0.0

    def outer(self) -> str:
        self.now += 1
        self.inner()
        self.now += 2
        return "done"

    def inner(self) -> None:
        self.now += 10

    def items(self) -> Iterator[int]:
        for number in range(3):
            self.now += 100
            yield number


def test_a_stopwatch_counts_each_moment_once() -> None:
    clock = Clockwork()
    watch = Stopwatch(now=lambda: clock.now)
    with watch.timing("outer", Clockwork, "outer"), watch.timing("inner", Clockwork, "inner"):
        assert clock.outer() == "done"
        clock.inner()
        clock.now += 1000
        clock.outer()
    assert watch.seconds == {"outer": 6, "inner": 30}
    clock.outer()
    assert watch.seconds == {"outer": 6, "inner": 30}


def test_a_stopwatch_counts_what_makes_an_item_and_not_what_is_done_with_it() -> None:
    clock = Clockwork()
    watch = Stopwatch(now=lambda: clock.now)
    with watch.timing("items", Clockwork, "items"):
        for _ in clock.items():
            clock.now += 7
    assert watch.seconds == {"items": 300}


def test_a_stopwatch_stops_at_an_error() -> None:
    clock = Clockwork()
    watch = Stopwatch(now=lambda: clock.now)
    with watch.timing("outer", Clockwork, "outer"), watch.timing("inner", Clockwork, "inner"):
        with pytest.raises(AttributeError):
            Clockwork.inner(None)  # type: ignore[arg-type]  # the error is wanted
        clock.now += 50
        clock.inner()
    assert watch.seconds == {"inner": 10}


def test_every_stage_of_the_real_loop_is_timed(tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mp4", frames=12, size=(480, 360), rate=10)
    detector = eyes(DetectorSettings(model="figures", threads=1), environment={}).detector
    before = {name: vars(owner)[function] for name, (owner, function) in STAGES.items()}
    spent = staged(film, detector)
    assert spent.keys() == {*STAGES, "loop", "ms_per_frame"}
    assert all(milliseconds > 0 for milliseconds in spent.values())
    assert sum(spent.values()) == pytest.approx(2 * spent["ms_per_frame"])
    assert {name: vars(owner)[function] for name, (owner, function) in STAGES.items()} == before


def test_the_floor_sees_as_many_frames_as_the_whole(tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mp4", frames=12, size=(480, 360), rate=10)
    detector = eyes(DetectorSettings(model="figures", threads=1), environment={}).detector
    began = time.process_time()
    milliseconds = floor(film, detector)["ms_per_frame"]
    assert 12 * milliseconds <= 1000 * (time.process_time() - began)
    assert whole(film, detector)["frames"] == 12


def test_a_true_person_is_found_once_and_only_by_who_is_sure() -> None:
    box = [0.0, 0.0, 10.0, 20.0]
    found = Detections(
        boxes=np.array([box, box, [50, 0, 60, 20], box], np.float32),
        confidence=np.array([0.9, 0.8, 0.7, 0.4], np.float32),
    )
    assert hits({3: found, 4: Detections.none()}, {3: [box], 4: [box]}).tolist() == [[1, 3, 1], [0, 0, 1]]


def test_a_gain_that_every_part_of_the_film_has_is_certain() -> None:
    before, after = np.tile([1, 2, 4], (40, 1)), np.tile([2, 2, 4], (40, 1))
    assert gain(before, after) == pytest.approx((0.25, 0.25))
    assert gain(before, before) == pytest.approx((0, 0))


def test_ratios_are_ours_over_theirs() -> None:
    ours = {"HOTA": 0.6, "IDF1": 0.8, "people": 21, "people_true": 20, "half_rate": 0.9, "cpu_ms_per_frame": 1.0}
    theirs = {**ours, "HOTA": 0.5, "cpu_ms_per_frame": 2.0}
    crowded = {"people": 30, "people_true": 30, "cpu_ms_per_frame": 3.0}
    tables: dict[str, Table] = {
        "film": {"footfall": ours, "bytetrack": theirs, "bot-sort": None, "ceiling": {"HOTA": 0.75, "IDF1": 1.0}},
        "crowd": {"footfall": crowded, "bytetrack": crowded},
    }
    assert ratios(tables) == {
        "HOTA ÷ ceiling": {"film": pytest.approx(0.8)},
        "HOTA ÷ bytetrack": {"film": pytest.approx(1.2)},
        "IDF1 ÷ ceiling": {"film": 0.8},
        "IDF1 ÷ bytetrack": {"film": 1},
        "cpu_ms_per_frame ÷ bytetrack": {"film": 0.5, "crowd": 1},
        "people ÷ people_true": {"film": 1.05, "crowd": 1},
        "HOTA at half rate ÷ at full rate": {"film": 0.9},
    }
