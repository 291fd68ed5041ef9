"""Whole films through the real pipeline, judged by their truth."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from edge.accuracy.comparison import compare
from edge.accuracy.truth import read_truth
from edge.assembly import eyes
from edge.camera.frames import Frame
from edge.configuration import load_camera
from edge.detector.detections import Detections
from edge.errors import EdgeError
from edge.replay import Outputs, Replay, Result, footage, replay
from edge.settings import BoxSettings, CameraSettings, DetectorSettings
from protocol.envelope import read_item
from protocol.events import Crossing, Ended, Item, Occupancy, Visit
from protocol.modes import Mode
from protocol.tiles import TILE_SIDE, Layer, Tile
from protocol.wire import early_epoch
from tests.support.films import write_film
from tests.support.mot import read_mot
from tests.support.people import boxes_at

START = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
CELL_PX = 40


@dataclass(frozen=True, kw_only=True)
class Played:
    """One replay and its outputs."""

    result: Result
    tracks: bytes
    events: bytes
    summary: bytes
    items: tuple[Item, ...]

    def of(self, kind: type[Item]) -> list[Item]:
        return [item for item in self.items if type(item) is kind]

    @property
    def person_seconds(self) -> float:
        return sum(item.cameras[0].person_seconds for item in self.items if isinstance(item, Occupancy))

    def presence(self) -> list[Tile]:
        return [item for item in self.items if isinstance(item, Tile) and item.layer is Layer.PRESENCE]


def play(plan: Replay, model: str, folder: Path) -> Played:
    folder.mkdir(exist_ok=True)
    outputs = Outputs(tracks=folder / "tracks.txt", events=folder / "events.jsonl", summary=folder / "summary.json")
    detector = eyes(DetectorSettings(model=model, threads=1), environment={}).detector
    result = replay(plan, detector, outputs, progress=lambda _: None)
    return played(result, outputs)


def played(result: Result, outputs: Outputs) -> Played:
    assert outputs.tracks and outputs.events and outputs.summary  # noqa: PT018  all three or none
    items = [read_item(json.loads(line)) for line in outputs.events.read_text().splitlines()]
    assert [item.unsettled for item in items if item.unsettled] == []
    return Played(
        result=result,
        tracks=outputs.tracks.read_bytes(),
        events=outputs.events.read_bytes(),
        summary=outputs.summary.read_bytes(),
        items=tuple(item.item for item in items if item.item is not None),
    )


def plan_of(video: Path, **changes: object) -> Replay:
    plan = Replay(
        video=video,
        camera=CameraSettings.model_construct(id="camera"),
        box=BoxSettings(id="replay", venue="replay"),
        seed=0,
        start=START,
    )
    return replace(plan, **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def street(assets: Path, tmp_path_factory: pytest.TempPathFactory) -> Played:
    """The PETS video, of 19 people, with yolox-nano."""
    folder = tmp_path_factory.mktemp("street")
    return play(plan_of(assets / "videos/pets_s2l1.mp4"), str(assets / "models/yolox_nano.onnx"), folder)


def test_a_real_video_gives_its_people(street: Played) -> None:
    assert street.result.frames == street.result.analysed == 795
    assert 17 <= street.result.visits <= 23
    summary = json.loads(street.summary)
    assert len(summary["visits"]) == len(street.of(Visit)) == street.result.visits
    assert (summary["video"], summary["start"], summary["seconds"]) == ("pets_s2l1.mp4", "2026-03-01T09:00:00Z", 79.4)
    assert all(one["first_seen_seconds"] <= one["last_seen_seconds"] <= 79.4 for one in summary["visits"])


def test_a_real_videos_visits_are_those_of_its_labels(street: Played, assets: Path) -> None:
    video = assets / "videos/pets_s2l1.mp4"
    truth = read_truth(assets / "videos/pets_s2l1.gt.txt", camera=plan_of(video).camera, footage=footage(video))
    visits, dwell = compare(street.result.account, truth.account(street.result.film), lines=())
    assert visits.true == 19
    assert visits.found is not None
    assert visits.found.part >= 18
    assert dwell.error == pytest.approx(0.0, abs=0.1)


def test_presence_is_the_reports_person_seconds(street: Played) -> None:
    tenths = sum(sum(tile.values) for tile in street.presence())
    assert tenths / 10 == pytest.approx(street.person_seconds, rel=0.01)
    assert street.person_seconds > 300


def test_the_heat_map_is_the_truths(street: Played, assets: Path) -> None:
    frames = read_mot(assets / "videos/pets_s2l1.gt.txt")
    truth = np.zeros((TILE_SIDE, TILE_SIDE))
    for people in frames.values():
        for left, _, right, bottom in people.boxes.tolist():
            x, y = int((left + right) / 2 // CELL_PX), int(bottom // CELL_PX)
            truth[min(y, 8), x] += 1
    found = grid(street.presence())
    assert correlation(found[:9, :12], truth[:9, :12]) >= 0.9


def grid(tiles: Sequence[Tile]) -> npt.NDArray[np.float64]:
    """The first tile's cells, rows down."""
    cells = np.zeros(TILE_SIDE * TILE_SIDE)
    for tile in tiles:
        assert (tile.tx, tile.ty) == (0, 0)
        cells[list(tile.cells)] += tile.values
    return cells.reshape(TILE_SIDE, TILE_SIDE)


def correlation(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> float:
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


def test_the_tracks_are_in_mot_format(street: Played) -> None:
    rows = np.loadtxt(street.tracks.decode().splitlines(), delimiter=",")
    assert rows.shape[1] == 10
    assert (rows[:, 0].min() >= 1, rows[:, 0].max() <= 795) == (True, True)
    assert (rows[:, 4:6] > 0).all()
    assert len(np.unique(rows[:, 1])) == street.result.visits


def test_the_same_input_gives_the_same_bytes(street: Played, assets: Path, tmp_path: Path) -> None:
    again = play(plan_of(assets / "videos/pets_s2l1.mp4"), str(assets / "models/yolox_nano.onnx"), tmp_path)
    assert (again.tracks, again.events, again.summary) == (street.tracks, street.events, street.summary)


def test_a_camera_with_zones_lines_masks_and_calibration(assets: Path, tmp_path: Path) -> None:
    points = json.loads((assets / "videos/retail_x1.floor.json").read_text())
    file = tmp_path / "camera.toml"
    file.write_text(
        f"""
        id = "shop"
        rate = 5
        image_size = {points["image_size_px"]}
        masks = [[[0, 0], [800, 0], [800, 60], [0, 60]]]
        [calibration]
        floor = "ground"
        image_points = {points["image_points_px"]}
        floor_points = {points["floor_points_m"]}
        [[zone]]
        id = "near"
        polygon = [[0, 0], [20, 0], [20, 9], [0, 9]]
        [[zone]]
        id = "far"
        polygon = [[0, 9], [20, 9], [20, 30], [0, 30]]
        [[line]]
        id = "middle"
        kind = "interior"
        a = [0, 9]
        b = [20, 9]
        """
    )
    plan = plan_of(assets / "videos/retail_x1.mp4", camera=load_camera(file))
    shop = play(plan, str(assets / "models/yolox_nano.onnx"), tmp_path)
    assert shop.result.frames == 2400
    assert shop.result.analysed == pytest.approx(400, abs=1)
    assert shop.result.visits >= 2
    tiles = shop.presence()
    assert {tile.space for tile in tiles} != {""}
    assert sum(sum(tile.values) for tile in tiles) / 10 == pytest.approx(shop.person_seconds, rel=0.01)
    reports = [item for item in shop.items if isinstance(item, Occupancy)]
    in_zones = sum(zone.person_seconds for item in reports for zone in item.zones)
    assert in_zones == pytest.approx(shop.person_seconds, rel=0.02)
    crossed = [line for item in shop.items if isinstance(item, Crossing) for line in item.lines]
    by_visit = [line for item in shop.items if isinstance(item, Visit) for line in item.lines]
    assert sum(line.inward for line in crossed) == sum(line.inward for line in by_visit)
    assert sum(line.outward for line in crossed) == sum(line.outward for line in by_visit) > 0


@dataclass
class Standing:
    """One person who never moves."""

    def detect(self, frame: Frame) -> Detections:
        return boxes_at({"one": (160, 200)})


def test_minutes_and_buckets_are_utcs(tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mp4", frames=1000, size=(320, 240), rate=8)
    outputs = Outputs(tracks=tmp_path / "t", events=tmp_path / "e", summary=tmp_path / "s")
    plan = plan_of(film, start=START.replace(second=30), box=BoxSettings(id="b", venue="v", mode=Mode.LIVE))
    one = played(replay(plan, Standing(), outputs, progress=lambda _: None), outputs)
    reports = [item for item in one.items if isinstance(item, Occupancy)]
    assert [(item.at.minute, item.cameras[0].watched_seconds) for item in reports if item.at] == [
        (0, pytest.approx(29.9, abs=0.1)),
        (1, 60.0),
        (2, pytest.approx(35.0, abs=0.2)),
    ]
    buckets = {tile.at.minute: sum(tile.values) / 10 for tile in one.presence() if tile.at}
    assert buckets == {item.at.minute: item.cameras[0].person_seconds for item in reports if item.at}
    (visit,) = one.of(Visit)
    assert isinstance(visit, Visit)
    assert visit.ended is Ended.INTERRUPTED
    assert visit.dwell_seconds == pytest.approx(124.8, abs=0.3)


@pytest.mark.parametrize("name", ["tracks", "events", "summary"])
def test_an_output_that_cannot_be_written_is_told_before_the_first_frame(name: str, tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mp4", frames=3, size=(320, 240), rate=8)
    target = tmp_path / "absent" / "out"
    seen: list[int] = []
    with pytest.raises(EdgeError, match=f"{target}: No such file or directory; give a file that can be written"):
        replay(plan_of(film), Standing(), Outputs(**{name: target}), progress=seen.append)
    assert seen == []


def test_an_output_stands_there_only_when_the_film_has_ended(tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mp4", frames=40, size=(320, 240), rate=8)
    outputs = Outputs(tracks=tmp_path / "t", events=tmp_path / "e", summary=tmp_path / "s")
    (tmp_path / "t").write_text("of an earlier replay")

    def interrupt(index: int) -> None:
        assert (tmp_path / "t.part").exists()
        if index == 30:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        replay(plan_of(film), Standing(), outputs, progress=interrupt)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["film.mp4", "t"]
    assert (tmp_path / "t").read_text() == "of an earlier replay"
    replay(plan_of(film), Standing(), outputs, progress=lambda _: None)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["e", "film.mp4", "s", "t"]
    assert (tmp_path / "t").read_text().count("\n") > 20


def test_the_seed_names_the_epoch_and_nothing_else(tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mp4", frames=80, size=(320, 240), rate=8)
    outputs = Outputs(tracks=tmp_path / "t", events=tmp_path / "e", summary=tmp_path / "s")
    first, again, other = (
        played(replay(plan_of(film, seed=seed), Standing(), outputs, progress=lambda _: None), outputs)
        for seed in (0, 0, 7)
    )
    assert (first.tracks, first.events, first.summary) == (again.tracks, again.events, again.summary)
    assert (first.tracks, first.summary) == (other.tracks, other.summary)
    assert first.tracks.count(b"\n") > 60
    lines, others = ([json.loads(line) for line in one.events.splitlines()] for one in (first, other))
    names, other_names = ([(line.pop("epoch"), line["seq"]) for line in each] for each in (lines, others))
    assert lines == others
    epoch, other_epoch = names[0][0], other_names[0][0]
    assert epoch != other_epoch
    assert re.fullmatch("[0-9a-f]{16}", epoch)
    assert {epoch for epoch, _ in names} == {epoch, early_epoch(epoch)}
    assert len(set(names)) == len(names)
    own = [seq for of, seq in names if of == epoch]
    assert own == list(range(1, len(own) + 1))
