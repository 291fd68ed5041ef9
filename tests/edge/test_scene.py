"""Scenes are fed with people whose whereabouts are known, so that every figure has a truth."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from edge.detector.detections import Detections
from edge.minute import Minute
from edge.scene import Scene
from edge.settings import CameraSettings
from edge.synthetic.film import Film
from edge.synthetic.lens import lens_of
from edge.synthetic.plan import DOOR, ViewName
from edge.synthetic.sight import IN_SIGHT, Truth
from edge.visits import Visit
from tests.support.people import boxes_at, perfect

SIZE = (640, 480)
RATE = 10.0


def camera(**settings: object) -> CameraSettings:
    return CameraSettings.model_validate({"id": "door", "image_size": SIZE, "synthetic": {}, **settings})


def on_one_floor(view: ViewName, **settings: object) -> CameraSettings:
    """A camera of the made-up shop that shares its scene with others."""
    image_points, floor_points = lens_of(view, SIZE).calibration()
    calibration = {"floor": "ground", "image_points": image_points, "floor_points": floor_points}
    return camera(id=view, scene="shop", calibration=calibration, empty_seconds=60, **settings)


def scene(**settings: object) -> Scene:
    return Scene([camera(**settings)], box="box-1", image_sizes={"door": SIZE})


class Staged:
    """Plays what people do into a scene, so many frames a second from `start`."""

    def __init__(self, watched: Scene, *, start: float = 1000.0, rate: float = RATE) -> None:
        self.scene = watched
        self.now = start
        self.rate = rate
        self.visits: list[Visit] = []

    def play(self, seconds: float, people: Callable[[float], dict[str, tuple[float, float]]]) -> "Staged":
        """`people` gives each person's feet at so many seconds into this part."""
        for number in range(round(seconds * self.rate)):
            self.show(boxes_at(people(number / self.rate)))
        return self

    def show(self, detections: Detections, size: tuple[int, int] = SIZE) -> None:
        _, closed = self.scene.observe(detections, at=self.now, image_size=size)
        self.visits += closed
        self.now += 1 / self.rate

    def empty(self, seconds: float) -> "Staged":
        return self.play(seconds, lambda _: {})

    def walk(self, start: tuple[float, float], end: tuple[float, float], seconds: float) -> "Staged":
        """One person walks from here to there."""
        return self.play(seconds, lambda now: {"one": between(start, end, now / seconds)})

    def stand(self, place: tuple[float, float], seconds: float) -> "Staged":
        return self.walk(place, place, seconds)

    def minute(self) -> Minute:
        (minute,) = self.scene.minutes(began=0.0, ended=0.0)
        return minute


def between(start: tuple[float, float], end: tuple[float, float], share: float) -> tuple[float, float]:
    return start[0] + share * (end[0] - start[0]), start[1] + share * (end[1] - start[1])


def presence(minutes: Sequence[Minute]) -> int:
    return sum(sum(tile.cells.values()) for one in minutes for tile in one.tiles if tile.layer == "presence")


def entries(minutes: Sequence[Minute]) -> int:
    return sum(sum(tile.cells.values()) for one in minutes for tile in one.tiles if tile.layer == "entries")


def shop_truth(seconds: float, *, seed: int, people_per_minute: float) -> Truth:
    film = Film(seed=seed, lens=lens_of("door", SIZE), seconds=seconds, people_per_minute=people_per_minute)
    return film.truth(start_at=1000.0)


LEFT_HALF = {"id": "left", "polygon": [(0, 0), (320, 0), (320, 480), (0, 480)]}
RIGHT_HALF = {"id": "right", "polygon": [(320, 0), (640, 0), (640, 480), (320, 480)]}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_busy_shop_adds_up(seed: int) -> None:
    watched = scene(zone=[LEFT_HALF, RIGHT_HALF])
    truth = shop_truth(180.0, seed=seed, people_per_minute=4.0)
    frames = truth.frames
    minutes: list[Minute] = []
    visits: list[Visit] = []
    for number, frame in enumerate(frames, start=1):
        visits += watched.observe(perfect(frame), at=frame.at, image_size=SIZE)[1]
        if number % 600 == 0:
            minutes += watched.minutes(began=frame.at, ended=frame.at)
    visits += watched.finish()
    person_ms = sum(one.person_ms for one in minutes)
    truth_ms = sum((frame.visible >= IN_SIGHT).sum() for frame in frames) * 1000 / RATE
    people = sum(visit.last_seen - visit.first_seen >= 1.0 for visit in truth.visits)
    assert person_ms == presence(minutes)
    assert entries(minutes) == len(visits)
    # Who is now and then hidden by others is confirmed anew each time, and not credited until then.
    assert person_ms == pytest.approx(truth_ms, rel=0.15)
    assert len(visits) == pytest.approx(people, abs=max(1, 0.15 * people))
    # Who is in sight for less than a second is in no zone yet.
    in_zones = sum(zone.person_ms for one in minutes for zone in one.zones)
    assert in_zones == pytest.approx(person_ms, rel=0.03)
    assert in_zones == sum(sum(visit.zone_milliseconds.values()) for visit in visits)
    assert sum(one.watched_ms for one in minutes) == 179_900
    assert sum(one.analysed_frames for one in minutes) == 1800
    assert max(one.max_people for one in minutes) <= max(len(perfect(frame)) for frame in frames) + 1


def test_nobody_gives_an_empty_minute() -> None:
    assert Staged(scene()).empty(60.0).minute() == Minute(
        scene="door",
        camera="door",
        space="box-1--door-640x480-40px",
        at=0.0,
        watched_ms=59_900,
        analysed_frames=600,
        dropped_frames=0,
        person_ms=0,
        max_people=0,
        zones=(),
        lines=(),
        queues=(),
        tiles=(),
        inside=None,
        drift=None,
    )


def test_a_minute_holds_only_what_came_since_the_last() -> None:
    film = Staged(scene()).stand((300, 300), 60.0)
    first, second = film.minute(), film.stand((300, 300), 60.0).minute()
    assert first.person_ms == pytest.approx(59_900, abs=100)
    assert second.person_ms == presence([second]) == 60_000
    assert (second.watched_ms, second.analysed_frames, second.max_people) == (60_000, 600, 1)
    assert entries([first, second]) == 1


def test_people_stand_in_the_cell_of_their_feet() -> None:
    film = Staged(scene(cell_px=50)).stand((310, 260), 20.0)
    tiles = [tile for tile in film.minute().tiles if tile.layer == "presence"]
    assert [(tile.tx, tile.ty, list(tile.cells)) for tile in tiles] == [(0, 0, [5 * 32 + 6])]


def test_seconds_go_to_the_zone_of_the_feet() -> None:
    film = Staged(scene(zone=[LEFT_HALF, RIGHT_HALF])).stand((100, 300), 20.0)
    film.walk((100, 300), (540, 300), 5.0).stand((540, 300), 10.0)
    minute = film.minute()
    left, right = minute.zones
    assert left.person_ms + right.person_ms == minute.person_ms
    assert left.person_ms == pytest.approx(21_500, abs=1000)
    assert right.person_ms == pytest.approx(12_500, abs=700)
    assert (left.max_people, right.max_people) == (1, 1)
    (visit,) = film.empty(8.0).visits
    assert visit.zone_milliseconds == {"left": left.person_ms, "right": right.person_ms}


LINE = {"id": "entrance", "a": (640, 300), "b": (0, 300)}
"""Walking down the picture, from the right of a→b to its left, is `in`."""


def door(film: Staged, direction: str) -> Staged:
    """Somebody comes, crosses the line, and is gone."""
    ends = [(300, 180), (300, 440)]
    start, end = ends if direction == "in" else ends[::-1]
    return film.stand(start, 2.0).walk(start, end, 4.0).stand(end, 1.0).empty(8.0)


def test_a_crossing_counts_once_and_in_its_direction() -> None:
    film = Staged(scene(line=[LINE]))
    for direction in ("in", "in", "out"):
        door(film, direction)
    minute = film.minute()
    assert [(line.line, line.inward, line.outward) for line in minute.lines] == [("entrance", 2, 1)]
    assert (minute.inside, minute.drift) == (1, None)
    assert [visit.crossings for visit in film.visits] == [
        {"entrance": {"in": 1, "out": 0}},
        {"entrance": {"in": 1, "out": 0}},
        {"entrance": {"in": 0, "out": 1}},
    ]
    assert film.minute().lines == ()


RATES = pytest.mark.parametrize("rate", [5.0, 10.0, 25.0])


def counted(film: Staged) -> list[tuple[int, int]]:
    """In and out of each line that was crossed."""
    return [(line.inward, line.outward) for line in film.minute().lines]


@RATES
def test_who_is_inside_is_who_went_in_and_has_not_come_out(rate: float) -> None:
    film = Staged(scene(line=[LINE]), rate=rate)
    for direction, inside in (("in", 1), ("in", 2), ("out", 1), ("out", 0)):
        assert door(film, direction).scene.inside == inside
    minute = film.minute()
    assert (minute.inside, [(line.inward, line.outward) for line in minute.lines]) == (0, [(2, 2)])


@RATES
def test_two_who_change_places_across_the_line_at_once_are_two_crossings(rate: float) -> None:
    film = Staged(scene(line=[LINE]), rate=rate)
    film.play(2.0, lambda _: {"one": (260, 180), "other": (340, 440)})
    film.play(
        4.0, lambda now: {"one": (260, 180 + 65 * now), "other": (340, 440 - 65 * now)}
    ).play(2.0, lambda _: {"one": (260, 440), "other": (340, 180)})  # fmt: skip
    assert (counted(film), film.scene.inside) == ([(1, 1)], 0)


@RATES
def test_a_walk_that_the_detector_loses_now_and_then_is_one_crossing(rate: float) -> None:
    film = Staged(scene(line=[LINE]), rate=rate).stand((300, 180), 2.0)
    lost = np.random.default_rng(2).random(200) < 0.3
    film.play(4.0, lambda now: {} if lost[round(now * rate)] else {"one": (300, 180 + 65 * now)})
    film.stand((300, 440), 2.0).empty(8.0)
    assert (counted(film), film.scene.inside, len(film.visits)) == ([(1, 0)], 1, 1)


@RATES
def test_boxes_that_lose_their_legs_now_and_then_cross_nothing(rate: float) -> None:
    """Somebody stands a fifth of a body's height behind the line, and legs are hidden for moments."""
    film = Staged(scene(line=[LINE]), rate=rate)
    for number in range(round(20 * rate)):
        hidden = 36 if number / rate % 1 < 0.2 and number > 2 * rate else 0
        whole = boxes_at({"one": (300, 320)})
        film.show(Detections(boxes=whole.boxes - np.array([0, 0, 0, hidden], np.float32), confidence=whole.confidence))
    assert (counted(film), film.scene.inside) == ([], 0)


@RATES
@pytest.mark.parametrize(
    ("hidden_seconds", "expected", "inside"),
    [
        pytest.param(2.0, [(1, 0)], 1, id="for as long as a person is remembered"),
        pytest.param(9.0, [], 0, id="for longer, so that nobody can say who that is"),
    ],
)
def test_who_goes_in_unseen(rate: float, hidden_seconds: float, expected: list[tuple[int, int]], inside: int) -> None:
    film = Staged(scene(line=[LINE]), rate=rate)
    film.walk((300, 140), (300, 240), 2.0).empty(hidden_seconds).walk((300, 340), (300, 440), 2.0).empty(8.0)
    assert (counted(film), film.scene.inside) == (expected, inside)


def test_drift_is_what_nobody_saw_and_each_reset_tells_it_once() -> None:
    film = Staged(scene(line=[LINE], empty_seconds=60))
    for direction in ("in", "in", "out"):
        door(film, direction)
    film.empty(61.0)
    for direction in ("out", "out"):
        door(film, direction)
    assert film.scene.inside == -2
    minute = film.empty(61.0).minute()
    assert (minute.inside, minute.drift) == (0, 1 - 2)
    assert (film.empty(61.0).minute().drift, film.scene.inside) == (None, 0)


@pytest.mark.parametrize("ending", ["a dead camera", "the end of the film"])
def test_a_last_step_over_the_line_is_in_its_visit_and_its_minute(ending: str) -> None:
    film = Staged(scene(line=[LINE])).stand((300, 180), 2.0).walk((300, 180), (300, 340), 2.0)
    assert film.scene.inside == 0, "not held for long enough yet"
    (visit,) = film.scene.finish() if ending == "the end of the film" else film.scene.idle(film.now + 60.0)
    assert visit.crossings == {"entrance": {"in": 1, "out": 0}}
    assert (counted(film), film.scene.inside) == ([(1, 0)], 1)


def test_lines_visits_and_in_less_out_agree_in_a_crowd() -> None:
    across = {"id": "across", "kind": "entrance", "a": (0, 240), "b": (640, 240)}
    watched = scene(line=[across])
    visits: list[Visit] = []
    for frame in shop_truth(40.0, seed=4, people_per_minute=12.0).frames:
        visits += watched.observe(perfect(frame), at=frame.at, image_size=SIZE)[1]
    visits += watched.finish()
    ((inward, outward),) = counted(Staged(watched))
    assert inward + outward >= 3
    assert [sum(visit.crossings.get("across", {}).get(way, 0) for visit in visits) for way in ("in", "out")] == [
        inward,
        outward,
    ]
    assert watched.inside == inward - outward


def test_who_steps_into_view_just_before_a_line_is_counted() -> None:
    film = Staged(scene(line=[LINE])).walk((320, 270), (320, 450), 2.0).empty(8.0)
    assert [(line.inward, line.outward) for line in film.minute().lines] == [(1, 0)]
    assert [visit.began for visit in film.visits] == ["entered"]


def test_only_entrances_say_who_is_inside() -> None:
    film = door(Staged(scene(line=[{**LINE, "kind": "interior"}])), "in")
    minute = film.minute()
    assert [line.inward for line in minute.lines] == [1]
    assert (minute.inside, minute.drift, film.scene.inside) == (None, None, None)


def test_a_scene_watched_empty_for_long_starts_anew_and_says_by_how_much_it_was_off() -> None:
    film = door(Staged(scene(line=[LINE], empty_seconds=60)), "in")
    assert film.empty(50.0).minute().inside == 1
    minute = film.empty(10.0).minute()
    assert (minute.inside, minute.drift) == (0, 1)
    assert (film.minute().inside, film.minute().drift) == (0, None)
    assert door(film, "out").minute().inside == -1


def test_an_outage_is_no_proof_of_emptiness() -> None:
    film = door(Staged(scene(line=[LINE], empty_seconds=60)), "in")
    film.now += 600.0
    assert film.empty(55.0).minute().inside == 1
    assert film.empty(10.0).minute().drift == 1


def test_pictures_that_are_unfit_are_no_proof_of_emptiness_and_no_queue_is_watched_in_them() -> None:
    line = {"id": "till", "kind": "queue", "polygon": LEFT_HALF["polygon"]}
    film = door(Staged(scene(line=[LINE], zone=[line], empty_seconds=60)), "in")
    film.minute()
    for _ in range(1200):
        film.scene.observe(Detections.none(), at=film.now, image_size=SIZE, is_fit=False)
        film.now += 1 / RATE
    minute = film.minute()
    assert (minute.inside, minute.drift, minute.watched_ms, minute.queues[0].watched_ms) == (1, None, 0, 0)
    assert film.empty(55.0).minute().inside == 1
    minute = film.empty(10.0).minute()
    assert (minute.inside, minute.drift, minute.queues[0].watched_ms) == (0, 1, 10_000)


def test_a_scene_is_known_to_be_empty_only_while_each_of_its_cameras_watches() -> None:
    line = {"id": "till", "kind": "queue", "polygon": [(0, 0), (3, 0), (3, 3), (0, 3)]}
    cameras = [
        on_one_floor("door", line=[{"id": "entrance", "a": DOOR.a, "b": DOOR.b}]),
        on_one_floor("till", zone=[line]),
    ]
    watched = Scene(cameras, box="box-1", image_sizes={"door": SIZE, "till": SIZE}, inside=5)
    now = 1000.0
    for number in range(1500):
        watched.observe(Detections.none(), at=now, image_size=SIZE, camera="door")
        if not 50 <= number < 750:  # for 70 seconds this one sends nothing
            watched.observe(Detections.none(), at=now, image_size=SIZE, camera="till")
        now += 1 / RATE
        if number == 749:
            by_door, by_till = watched.minutes(began=0.0, ended=0.0)
            assert (by_door.inside, by_door.drift, by_till.watched_ms) == (5, None, 4_900)
            assert by_door.queues[0].watched_ms == 4_900
    minute, _ = watched.minutes(began=0.0, ended=0.0)
    assert (minute.inside, minute.drift) == (0, 5)


def test_who_was_inside_before_a_restart_still_is() -> None:
    film = door(door(Staged(scene(line=[LINE])), "in"), "in")
    again = Scene([camera(line=[LINE])], box="box-1", image_sizes={"door": SIZE}, inside=film.scene.inside or 0)
    assert door(Staged(again), "out").minute().inside == 1


def test_an_outage_is_not_watched() -> None:
    film = Staged(scene()).stand((300, 300), 10.0)
    film.now += 30.0
    minute = film.empty(10.0).minute()
    assert minute.watched_ms == 9_900 + 9_900
    assert minute.person_ms == presence([minute]) <= 10_000


@pytest.mark.parametrize(("gap", "watched"), [(0.5, 10_300), (1.9, 11_700), (2.1, 9_800)])
def test_a_short_gap_is_watched_and_a_long_one_is_not(gap: float, watched: int) -> None:
    film = Staged(scene()).empty(5.0)
    film.now += gap
    assert film.empty(5.0).minute().watched_ms == pytest.approx(watched, abs=101)


def test_time_that_stands_still_or_runs_backwards_is_not_watched() -> None:
    film = Staged(scene()).empty(1.0)
    for at in (film.now, film.now, film.now - 0.5):
        film.scene.observe(Detections.none(), at=at, image_size=SIZE)
    assert film.minute().watched_ms == 1_000


@pytest.mark.parametrize("size", [(320, 240), (1280, 960), (1920, 480)], ids=["half", "double", "stretched"])
def test_a_camera_that_changes_resolution_keeps_its_places(size: tuple[int, int]) -> None:
    film = Staged(scene(zone=[LEFT_HALF, RIGHT_HALF], cell_px=50)).stand((460, 310), 10.0)
    scale = np.array([size[0] / SIZE[0], size[1] / SIZE[1]] * 2, np.float32)
    for _ in range(100):
        one = boxes_at({"one": (460, 310)})
        film.show(Detections(boxes=one.boxes * scale, confidence=one.confidence), size)
    minute = film.minute()
    presence_cells = [list(tile.cells) for tile in minute.tiles if tile.layer == "presence"]
    assert presence_cells == [[6 * 32 + 9]]
    assert [zone.person_ms for zone in minute.zones] == [0, minute.person_ms]
    assert minute.space == "box-1--door-640x480-40px".replace("40px", "50px")
    assert len(film.empty(8.0).visits) == 1


@pytest.mark.parametrize(("gap", "hidden", "visits"), [(5, 4.7, 1), (5, 5.2, 2), (2, 1.7, 1), (2, 2.2, 2)])
def test_who_is_hidden_for_the_gap_stays_one_and_being_sure_of_them_does_not_count(
    gap: float, hidden: float, visits: int
) -> None:
    film = Staged(scene(gap_seconds=gap)).stand((300, 300), 5.0).empty(hidden).stand((300, 300), 5.0).empty(8.0)
    assert len(film.visits) == visits


def test_visits_end_while_a_camera_is_dead() -> None:
    film = Staged(scene()).stand((300, 300), 10.0)
    assert len(film.scene.checkpoints()) == 1
    assert film.scene.idle(film.now + 6.5) == ()
    (visit,) = film.scene.idle(film.now + 7.5)
    assert (visit.began, visit.ended) == ("appeared", "lost")
    assert visit.dwell_seconds == pytest.approx(9.9, abs=0.11)
    assert film.scene.checkpoints() == film.scene.idle(film.now + 60.0) == ()


def test_live_figures_forget_people_when_no_frame_comes() -> None:
    film = Staged(scene(zone=[LEFT_HALF])).stand((100, 300), 5.0)
    assert (film.scene.people_at(film.now), film.scene.zone_people) == (1, {"left": 1})
    assert film.scene.people_at(film.now + 10.0) == 0


FLOOR = {
    "floor": "ground",
    "image_points": [(0, 0), (640, 0), (640, 480), (0, 480)],
    "floor_points": [(0, 12), (16, 12), (16, 0), (0, 0)],
}
"""40 pixels to the metre, y up: a camera that looks straight down."""


def test_on_a_floor_plan_zones_lines_and_cells_are_in_metres() -> None:
    tills = {"id": "tills", "polygon": [(10, 0), (16, 0), (16, 5), (10, 5)]}
    through = {"id": "gate", "a": (8, 0), "b": (8, 12)}
    film = Staged(scene(calibration=FLOOR, zone=[tills], line=[through]))
    film.stand((200, 410), 5.0).walk((200, 410), (520, 410), 8.0).stand((520, 410), 20.0)
    minute = film.minute()
    assert [(line.line, line.inward, line.outward) for line in minute.lines] == [("gate", 0, 1)]
    assert minute.zones[0].person_ms == pytest.approx(23_000, abs=1500)
    tiles = {(tile.tx, tile.ty): tile.cells for tile in minute.tiles if tile.layer == "presence"}
    assert max(tiles[0, 0], key=tiles[0, 0].__getitem__) == 3 * 32 + 26
    assert minute.person_ms == presence([minute])
    assert minute.space.startswith("ground-")
    assert minute.space.endswith("-50cm")


def test_feet_on_no_floor_are_in_no_sum() -> None:
    # The floor's horizon lies at the picture's upper third: feet above it are nowhere.
    corners = {**FLOOR, "image_points": [(240, 240), (400, 240), (640, 480), (0, 480)]}
    film = Staged(scene(calibration=corners)).stand((320, 110), 20.0)
    minute = film.minute()
    assert (minute.person_ms, minute.tiles, minute.max_people) == (0, (), 1)


def test_people_of_the_run_before_are_not_counted_again() -> None:
    film = Staged(Scene([camera()], box="box-1", image_sizes={"door": SIZE}, resumable=1))
    film.play(10.0, lambda _: {"one": (150, 300), "other": (450, 300)}).empty(8.0)
    assert sorted(visit.began for visit in film.visits) == ["appeared", "resumed"]
    assert entries([film.minute()]) == 1


def test_what_is_still_there_at_the_end_was_interrupted() -> None:
    film = Staged(scene()).stand((300, 300), 10.0)
    (visit,) = film.scene.finish()
    assert visit.ended == "interrupted"
    assert film.scene.checkpoints() == film.scene.finish() == ()


def test_somebody_enters_where_they_were_first_seen() -> None:
    film = Staged(scene()).walk((20, 300), (620, 300), 6.0)
    (tile,) = [tile for tile in film.minute().tiles if tile.layer == "entries"]
    assert tile.cells == {300 // 40 * 32 + 0: 1}
