"""A film whose people only a test sees, judged at each rate."""

import json
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from edge.accuracy.rates import judge
from edge.accuracy.reading import Accuracy, Reading
from edge.accuracy.truth import read_truth
from edge.camera.frames import Frame
from edge.detector.detections import Detections
from edge.errors import ConfigurationError
from edge.replay import Outputs, Replay, Result, footage, replay
from edge.settings import BoxSettings, CameraSettings
from tests.support.films import write_film
from tests.support.people import boxes_at

SIZE = (320, 240)
CAMERA = CameraSettings.model_validate(
    {"id": "door", "image_size": SIZE, "synthetic": {}, "line": [{"id": "entrance", "a": (320, 160), "b": (0, 160)}]}
)
TRUTH = """
visit,1,5
visit,12,16
visit,12,18
crossing,3,entrance,in
crossing,14,entrance,out
"""


class Walkers:
    """One walks in, one out, and one stands there whom every fourth frame does not show."""

    def __init__(self) -> None:
        self.indices: list[int] = []

    def detect(self, frame: Frame) -> Detections:
        self.indices.append(frame.index)
        people = {}
        if 1 <= frame.at <= 5:
            people["in"] = (80.0, 110.0 + 25 * (frame.at - 1))
        if 12 <= frame.at <= 16:
            people["out"] = (80.0, 210.0 - 25 * (frame.at - 12))
        if 12 <= frame.at <= 18 and frame.index % 4:
            people["standing"] = (240.0, 130.0)
        return boxes_at(people)


def plan_of(film: Path, camera: CameraSettings = CAMERA) -> Replay:
    box = BoxSettings(id="replay", venue="replay")
    return Replay(video=film, camera=camera, box=box, seed=0, start=datetime(2026, 3, 1, tzinfo=UTC))


def judged(folder: Path, text: str = TRUTH, *, rate: int = 10, camera: CameraSettings = CAMERA) -> Result:
    film = write_film(folder / "film.mp4", frames=20 * rate, size=SIZE, rate=rate)
    (folder / "truth.csv").write_text(text)
    truth = read_truth(folder / "truth.csv", camera=camera, footage=footage(film))
    plan = plan_of(film, camera)
    judging = partial(judge, plan, truth, film_rate=footage(film).rate, detector=Walkers, progress=lambda _: None)
    outputs = Outputs(summary=folder / "summary.json")
    return replay(plan, Walkers(), outputs, progress=lambda _: None, judge=judging)


def readings(result: Result) -> tuple[Reading, ...]:
    assert result.accuracy is not None
    return result.accuracy.readings


def counts(reading: Reading) -> dict[str, tuple[float | None, float | None]]:
    return {figure.name: (figure.counted, figure.true) for figure in reading.figures if figure.found}


def test_each_rate_is_judged_by_the_same_truth(tmp_path: Path) -> None:
    full, half, quarter = readings(judged(tmp_path))
    assert [(one.part, one.rate, one.analysed) for one in (full, half, quarter)] == [
        ("full", 10.0, 200),
        ("half", 5.0, 100),
        ("quarter", 2.5, 51),
    ]
    crossings = {"entrance in": (1, 1), "entrance out": (1, 1)}
    assert counts(full) == {"visits": (3, 3), **crossings}
    assert counts(half) == {"visits": (2, 3), **crossings}, "at half the rate every other frame does not show them"
    assert counts(quarter).items() >= crossings.items()
    assert all(figure.error == 0.0 for figure in full.figures if figure.found)
    assert full.figures[1].error == pytest.approx(0.0, abs=0.05)


def test_a_rate_below_what_a_camera_may_have_is_not_played(tmp_path: Path) -> None:
    result = judged(tmp_path, rate=6)
    full, half, quarter = readings(result)
    assert [(one.rate, bool(one.figures)) for one in (full, half, quarter)] == [(6.0, True), (3.0, True), (1.5, False)]
    assert result.accuracy is not None
    told = list(result.accuracy.lines())
    assert told[-1] == "Quarter rate, 1.5 frames/s: not played, a camera is analysed at 2 frames/s or more"
    assert len(result.accuracy.to_json()) == 2


def test_what_is_judged_is_in_the_summary_and_the_same_each_time(tmp_path: Path) -> None:
    first = judged(tmp_path)
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert first.accuracy is not None
    assert summary["accuracy"] == first.accuracy.to_json() == json.loads(first.to_json())["accuracy"]
    assert [one["rate"] for one in summary["accuracy"]] == [10.0, 5.0, 2.5]
    visits = summary["accuracy"][1]["figures"][0]
    assert (visits["figure"], visits["counted"], visits["true"]) == ("visits", 2, 3)
    assert (visits["error_percent"], visits["found_percent"], visits["right_percent"]) == (-33.3, 66.7, 100.0)
    assert judged(tmp_path).accuracy == first.accuracy


def test_a_table_for_people(tmp_path: Path) -> None:
    accuracy = judged(tmp_path).accuracy
    assert accuracy is not None
    title, visits, dwell, *_ = list(accuracy.lines())[5:]
    assert title.startswith("Half rate, 5 frames/s ")
    assert " counted   true     error     95 % interval " in title
    assert visits.split("  ")[1] == "visits"
    assert " 2      3   -33.3 %" in visits
    assert "2 of 3 (21–94 %)" in visits
    assert "2 of 2 (34–100 %)" in visits
    assert " 3.8 s  4.7 s   -18.6 %" in dwell
    assert max(len(line) for line in accuracy.lines()) <= 120


def test_nothing_is_written_when_the_truth_is_of_another_film(tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mp4", frames=30, size=SIZE, rate=10)

    def refuse(result: Result) -> Accuracy:
        raise ConfigurationError(f"another film than this one of {len(result.film.moments)} frames")

    outputs = Outputs(summary=tmp_path / "summary.json")
    with pytest.raises(ConfigurationError, match="of 30 frames"):
        replay(plan_of(film), Walkers(), outputs, progress=lambda _: None, judge=refuse)
    assert [path.name for path in tmp_path.iterdir()] == ["film.mp4"]


def test_labels_go_by_the_moments_of_all_frames_the_skipped_ones_too(tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mp4", frames=100, size=SIZE, rate=25)
    result = replay(plan_of(film), Walkers(), Outputs(), progress=lambda _: None)
    assert (result.analysed, len(result.film.moments), result.film.image_size) == (40, 100, SIZE)
    assert result.film.moments[50] == pytest.approx(2.0)


def test_progress_goes_on_from_the_films_end(tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mp4", frames=40, size=SIZE, rate=10)
    (tmp_path / "truth.csv").write_text("visit,1,3")
    truth = read_truth(tmp_path / "truth.csv", camera=CAMERA, footage=footage(film))
    shown: list[int] = []
    plan = plan_of(film)
    judging = partial(judge, plan, truth, film_rate=10.0, detector=Walkers, progress=shown.append)
    replay(plan, Walkers(), Outputs(), progress=shown.append, judge=judging)
    assert shown[:60] == [*range(40), *range(40, 80, 2)]
    assert shown == sorted(shown)
    assert 80 == shown[60] < shown[-1] < 120
