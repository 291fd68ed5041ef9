import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from edge.heatmap import CELLS, HeatMap, Presence, TileIncrement
from edge.lines import Crossing, Direction
from edge.settings import CameraSettings
from edge.view import View
from edge.visits import Checkpoint, Turnover, Visit, VisitBook, VisitSettings, interrupted
from edge.walkers import Walkers
from tests.support.clips import PETS, detect
from tests.support.mot import read_mot


def people(at: float, *ids: int, since: float | None = None, from_edge: bool = False, at_edge: bool = False) -> Walkers:
    """These people at this moment, all alike; `since` is when they were first seen."""
    count = len(ids)
    return Walkers(
        at=at,
        ids=np.array(ids, np.int64),
        places=np.zeros((count, 2)),
        first_places=np.zeros((count, 2)),
        since=np.full(count, at if since is None else since),
        bodies=np.ones(count),
        confidence=np.full(count, 0.5, np.float32),
        from_edge=np.full(count, from_edge),
        at_edge=np.full(count, at_edge),
    )


def see(book: VisitBook, seen: Walkers, *crossings: Crossing, zone: int = 0) -> Turnover:
    return book.update(seen, np.full((len(seen), 1), zone, np.int64), crossings)


def book(**settings: object) -> VisitBook:
    return VisitBook(VisitSettings(scene="shop", zones=("till",), **settings))  # type: ignore[arg-type]


def through(direction: Direction, at: float, person: int = 1) -> Crossing:
    return Crossing(person=person, line="door", direction=direction, at=at)


def test_a_stay_is_measured_from_first_to_last_sighting() -> None:
    stays = book()
    begun = see(stays, people(100.0, 1, since=99.3), zone=100).begun
    see(stays, people(101.0, 1, since=99.3), zone=900)
    assert see(stays, people(106.0)).closed == ()
    (visit,) = see(stays, people(106.1)).closed
    assert begun.tolist() == [True]
    assert visit == Visit(
        scene="shop",
        number=1,
        first_seen=99.3,
        last_seen=101.0,
        began="appeared",
        ended="lost",
        zone_milliseconds={"till": 1000},
        crossings={},
        frames=2,
        mean_confidence=0.5,
    )
    assert visit.dwell_seconds == pytest.approx(1.7)
    assert see(stays, people(120.0)).closed == ()


@pytest.mark.parametrize(
    ("gap", "visits"),
    [pytest.param(4.9, 1, id="short gap is one stay"), pytest.param(5.1, 2, id="long gap is two")],
)
def test_a_gap_with_no_frame_in_it(gap: float, visits: int) -> None:
    stays = book()
    closed = [
        *see(stays, people(0.0, 1)).closed,
        *see(stays, people(gap, 1, since=0.0)).closed,
        *see(stays, people(100.0)).closed,
    ]
    assert len(closed) == visits
    assert closed[-1].first_seen == (0.0 if visits == 1 else gap)


@pytest.mark.parametrize(
    ("from_edge", "crossings", "began"),
    [
        pytest.param(True, [], "entered", id="from the picture's edge"),
        pytest.param(False, [], "appeared", id="in the middle"),
        pytest.param(False, ["in"], "entered", id="in the middle, then in by the door"),
        pytest.param(False, ["out", "in"], "appeared", id="was here, went out and came back"),
    ],
)
def test_how_a_visit_began(from_edge: bool, crossings: list[Direction], began: str) -> None:
    stays = book(entrances=frozenset({"door"}))
    see(stays, people(0.0, 1, from_edge=from_edge))
    for at, direction in enumerate(crossings, start=1):
        see(stays, people(float(at), 1), through(direction, at))
    assert stays.checkpoints()[0].began == began


@pytest.mark.parametrize(
    ("at_edge", "crossings", "ended"),
    [
        pytest.param(True, [], "left", id="at the picture's edge"),
        pytest.param(False, [], "lost", id="in the middle"),
        pytest.param(False, ["in", "out"], "left", id="out by the door"),
        pytest.param(False, ["out", "in"], "lost", id="out and in again"),
    ],
)
def test_how_a_visit_ended(at_edge: bool, crossings: list[Direction], ended: str) -> None:
    stays = book(entrances=frozenset({"door"}))
    see(stays, people(0.0, 1))
    for at, direction in enumerate(crossings, start=1):
        see(stays, people(float(at), 1), through(direction, at))
    see(stays, people(4.0, 1, at_edge=at_edge))
    (visit,) = see(stays, people(20.0)).closed
    assert visit.ended == ended


def test_crossings_are_counted_by_line_and_direction() -> None:
    stays = book()
    see(stays, people(0.0, 1, 2), through("in", 0.0), through("in", 0.0, person=2))
    see(stays, people(1.0, 1, 2), through("out", 1.0), through("in", 1.0))
    counts = [checkpoint.crossings for checkpoint in stays.checkpoints()]
    assert counts == [{"door": {"in": 2, "out": 1}}, {"door": {"in": 1, "out": 0}}]


def test_a_long_stay_is_split_and_continues_uncounted() -> None:
    stays = book(split_seconds=100)
    see(stays, people(0.0, 1))
    turnover = None
    for at in range(4, 104, 4):
        turnover = see(stays, people(float(at), 1, since=0.0), zone=10)
    assert turnover is not None
    (visit,) = turnover.closed
    assert (visit.ended, visit.first_seen, visit.last_seen) == ("split", 0.0, 96.0)
    assert not turnover.begun.any()
    (rest,) = stays.checkpoints()
    assert (rest.began, rest.first_seen, rest.zone_milliseconds) == ("continued", 100.0, {"till": 10})


def test_after_a_crash_the_old_stay_is_closed_and_the_new_one_is_no_new_visitor() -> None:
    before = book()
    see(before, people(10.0, 1, from_edge=True), zone=500)
    stored = json.loads(json.dumps(asdict(before.checkpoints()[0])))
    closed = interrupted(Checkpoint(**stored))
    assert (closed.ended, closed.began, closed.zone_milliseconds) == ("interrupted", "entered", {"till": 500})

    after = book(resumable=1)
    begun = see(after, people(20.0, 1, 2)).begun
    assert [one.began for one in after.checkpoints()] == ["resumed", "appeared"]
    assert begun.tolist() == [False, True]


def test_nobody_resumes_late_or_after_an_orderly_start() -> None:
    for resumable, at in ((1, 40.0), (0, 20.0)):
        stays = book(resumable=resumable)
        see(stays, people(20.0))
        see(stays, people(at, 1))
        assert stays.checkpoints()[0].began == "appeared"


def test_when_the_watching_ends_all_stays_are_interrupted() -> None:
    stays = book()
    see(stays, people(0.0, 1, 2))
    assert [visit.ended for visit in stays.finish()] == ["interrupted", "interrupted"]
    assert stays.finish() == ()
    assert stays.checkpoints() == ()


@pytest.mark.acceptance
@pytest.mark.assets
def test_real_visits_and_heat_agree_with_the_truth(assets: Path) -> None:
    """The whole counting core on real people: visits, presence and where it was spent."""
    detections, truth = detect(assets, PETS), read_mot(assets / "videos/pets_s2l1.gt.txt")
    camera = CameraSettings.model_validate({"id": "yard", "synthetic": {}})
    view = View(camera, box="box-1", image_size=PETS.size, doorways=())
    presence, heat, stays = Presence(), HeatMap(view.floor.cell), VisitBook(VisitSettings(scene="yard"))
    credited, begun, visits = 0, 0, list[Visit]()
    for frame, found in enumerate(detections):
        _, seen = view.see(found, frame / PETS.rate, PETS.size)
        places = seen.places
        milliseconds = presence.update(seen.ids, seen.since, seen.at)
        heat.add(places, milliseconds)
        turnover = stays.update(seen, np.zeros((len(seen), 0), np.int64), ())
        heat.enter(places[turnover.begun])
        credited, begun = credited + int(milliseconds.sum()), begun + int(turnover.begun.sum())
        visits += turnover.closed
    visits += stays.finish()

    seconds = sum(len(people.ids) for people in truth.values()) / PETS.rate
    assert len(visits) == begun
    assert 17 <= len(visits) <= 23
    assert sum(visit.dwell_seconds for visit in visits) == pytest.approx(seconds, rel=0.15)
    tiles = heat.take()
    assert sum(sum(tile.cells.values()) for tile in tiles if tile.layer == "presence") == credited
    assert sum(sum(tile.cells.values()) for tile in tiles if tile.layer == "entries") == begun
    there = np.concatenate([view.floor.feet(people.boxes) for people in truth.values()])
    expected = HeatMap(view.floor.cell)
    expected.add(np.clip(there, 0, (479, 359)), np.full(len(there), 100))
    assert np.corrcoef(grid(tiles), grid(expected.take()))[0, 1] > 0.95


def grid(tiles: tuple[TileIncrement, ...]) -> np.ndarray:
    """Presence per cell of one tile."""
    cells = np.zeros(CELLS * CELLS)
    for tile in tiles:
        if tile.layer == "presence":
            assert (tile.tx, tile.ty) == (0, 0)
            cells[list(tile.cells)] += list(tile.cells.values())
    return cells
