"""Vision with a scripted detector and a `put` that remembers: what it commits, in which order, and together."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import cast

import numpy as np
import pytest

from edge.anonymity import Draft
from edge.backoff import Backoff
from edge.camera.frames import Frame
from edge.camera.health import HealthChange, HealthState
from edge.camera.latest import Cameras, Feed
from edge.camera.trouble import Trouble
from edge.clock import Fix
from edge.detector.detections import Detections, Detector
from edge.exchange.batch import Batch
from edge.left_over import LastRun
from edge.passages import LineSeen
from edge.settings import Settings
from edge.vision import Vision, minute_end, watch
from protocol.envelope import ClockSource
from protocol.status import ModelStatus
from tests.support.exchange import NTP, Exchange, opened
from tests.support.people import boxes_at

SIZE = (640, 480)
RATE = 10.0


@dataclass
class Bench:
    """A box without cameras: frames are handed to it, and it writes down what it is given to commit."""

    vision: Vision
    detector: "Scripted"
    fixes: list[Fix | None]
    providers: list[str]
    batches: list[Batch]
    now: float = 1000.0
    dropped: dict[str, int] = field(default_factory=dict)
    is_overloaded: bool = False

    def frame(self, camera: str = "door", size: tuple[int, int] = SIZE) -> None:
        image = np.zeros((size[1], size[0], 3), np.uint8)
        self.vision.take(Frame(at=self.now, image=image, camera=camera, index=0))

    def show(self, image: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> None:
        """A picture of camera `door`."""
        self.vision.take(Frame(at=self.now, image=image, camera="door", index=0))

    def turn(self, seconds: float = 0.0) -> None:
        """Let the loop turn, four times a second, without a frame."""
        for _ in range(max(1, round(seconds * 4))):
            states = dict.fromkeys(("door", "till"), HealthState.ONLINE)
            self.vision.turn(self.now, dropped=self.dropped, states=states, is_overloaded=self.is_overloaded)
            self.now += 0.25 if seconds else 0.0

    def watch(self, seconds: float, *people: tuple[float, float]) -> None:
        """People stand before camera `door` for so long."""
        self.detector.people = {str(number): feet for number, feet in enumerate(people)}
        for _ in range(round(seconds * RATE)):
            self.frame()
            self.turn()
            self.now += 1 / RATE

    def drafts(self, kind: str) -> list[Draft]:
        return [draft for batch in self.batches for draft in batch.drafts if draft.type == kind]


@dataclass
class Scripted:
    """Finds the people that it is told to find."""

    people: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def detect(self, frame: Frame) -> Detections:
        return boxes_at(self.people)


class Bright:
    """A detector of its own kind: whatever is white in the picture is a person."""

    def detect(self, frame: Frame) -> Detections:
        rows, columns = np.nonzero((frame.image == 255).all(axis=2))
        if not len(rows):
            return Detections.none()
        box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        return Detections(boxes=np.array([box], np.float32), confidence=np.array([0.9], np.float32))


CALIBRATION = {
    "floor": "ground",
    "image_points": [(0, 0), (640, 0), (640, 480), (0, 480)],
    "floor_points": [(0, 9), (12, 9), (12, 0), (0, 0)],
}


def settings(*, together: bool = False, **door: object) -> Settings:
    """Two cameras; `together` they are one scene, and see the same floor from the same place."""
    shared = {"scene": "shop", "image_size": SIZE, "calibration": CALIBRATION} if together else {}
    cameras = [{"id": "door", "synthetic": {}, **shared, **door}, {"id": "till", "synthetic": {}, **shared}]
    return Settings(box={"id": "box-1", "venue": "shop", "mode": "live"}, camera=cameras)  # type: ignore[arg-type]


def bench(
    *,
    detector: Detector | None = None,
    things: Callable[[str], int] = lambda _camera: 0,
    last_run: LastRun | None = None,
    together: bool = False,
    **door: object,
) -> Bench:
    batches: list[Batch] = []
    fixes: list[Fix | None] = [None]
    providers = ["cpu"]
    scripted = Scripted()
    vision = Vision(
        settings(together=together, **door),
        detector=detector or scripted,
        models=lambda: [ModelStatus(name="scripted", provider=providers[0])],
        put=batches.append,
        fix=lambda: fixes[0],
        things=things,
        last_run=last_run,
    )
    return Bench(vision=vision, detector=scripted, fixes=fixes, providers=providers, batches=batches)


def layout_spaces(draft: Draft) -> dict[str, str]:
    layout = cast("dict[str, list[dict[str, str]]]", draft.body["layout"])
    return {camera["camera"]: camera["space"] for camera in layout["cameras"]}


def figures(draft: Draft) -> dict[str, float]:
    """What an occupancy report says of its only camera."""
    return cast("list[dict[str, float]]", draft.body["cameras"])[0]


FIRST_ACTS: list[tuple[str, Callable[[Bench], None]]] = [
    ("a turn", lambda box: box.turn()),
    ("health", lambda box: box.vision.changed([offline(box.now)])),
    ("a stop", lambda box: box.vision.stop(box.now, dropped={})),
]


def offline(at: float) -> HealthChange:
    return HealthChange(
        camera="till", at=at, state=HealthState.OFFLINE, reason=Trouble.WRONG_PASSWORD, detail="till: rtsp://x"
    )


@pytest.mark.parametrize("act", [act for _, act in FIRST_ACTS], ids=[name for name, _ in FIRST_ACTS])
def test_the_configuration_precedes_whatever_comes_first(act: Callable[[Bench], None]) -> None:
    box = bench()
    act(box)
    first, second = box.batches[:2]
    assert [draft.type for draft in first.drafts] == ["configuration"]
    assert (first.tiles, first.checkpoints, first.live) == ((), (), {})
    assert second.origin == first.origin
    assert len(box.drafts("configuration")) == 1


def test_the_configuration_is_said_again_when_a_cameras_size_becomes_known() -> None:
    box = bench()
    box.turn()
    box.watch(5.0)
    box.turn(60.0)
    before, after = box.drafts("configuration")
    assert layout_spaces(before) == {"door": "box-1--door-unsized", "till": "box-1--till-unsized"}
    assert layout_spaces(after) == {"door": "box-1--door-640x480-40px", "till": "box-1--till-unsized"}
    said = [batch.origin.config for batch in box.batches]
    assert len(set(said)) == 2
    announced = next(number for number, batch in enumerate(box.batches) if after in batch.drafts)
    assert set(said[:announced]) == {said[0]}
    assert set(said[announced:]) == {said[-1]}


def test_with_image_size_the_configuration_is_said_once() -> None:
    box = bench(image_size=SIZE)
    box.turn()
    box.watch(2.0)
    assert len(box.drafts("configuration")) == 1


def test_each_camera_reports_each_minute_though_no_frame_ever_came() -> None:
    box = bench()
    box.turn(181.0)
    reports = box.drafts("occupancy")
    assert [draft.body["scene"] for draft in reports] == ["door", "till"] * 3
    assert {figures(draft)["watched_seconds"] for draft in reports} == {0.0}


def test_minutes_begin_where_they_end_and_are_utcs_once_it_is_known() -> None:
    box = bench()
    box.now = 1000.25
    box.turn(100.0)
    # From here on the minute of UTC begins 7.5 seconds after that of the monotonic clock.
    box.fixes[0] = Fix(offset_ms=60_000 * 28_000_000 - 7_500, source=ClockSource.NTP, uncertainty_ms=1)
    box.turn(200.0)
    middles = [draft.at for draft in box.drafts("occupancy") if draft.body["scene"] == "door"]
    assert middles == [1010.125, 1050.0, 1110.0, 1143.75, 1177.5, 1237.5]


@pytest.mark.parametrize("step_ms", [-200, 200])
def test_a_minute_stays_in_its_minute_when_the_clock_is_put_right_at_its_end(tmp_path: Path, step_ms: int) -> None:
    exchange = Exchange(folder=tmp_path)
    box = bench()
    box.fixes[0] = NTP
    box.now = 1000.0
    box.watch(85.0, (320, 300))
    with opened(exchange) as writer:
        writer.offer_fix(replace(NTP, offset_ms=NTP.offset_ms + step_ms))
        for batch in box.batches:
            writer.commit(batch)
        writer.close_buckets()
    said = [body["at"] for body in exchange.bodies("occupancy") if body["scene"] == "door"]
    assert said == ["2026-03-01T12:16:00Z", "2026-03-01T12:17:00Z"]
    tiles = {str(body["at"]) for body in exchange.bodies("tile")}
    assert tiles == {"2026-03-01T12:16:00Z", "2026-03-01T12:17:00Z"}


@pytest.mark.parametrize(
    ("now", "offset_ms", "end"),
    [(0.0, 0, 60.0), (59.999, 0, 60.0), (60.0, 0, 120.0), (0.0, 30_000, 30.0), (0.0, -30_000, 30.0), (7.0, 1, 59.999)],
)
def test_a_minute_ends_on_a_whole_minute(now: float, offset_ms: int, end: float) -> None:
    assert minute_end(now, offset_ms=offset_ms) == end


def test_after_a_standstill_the_minute_is_the_present_one() -> None:
    box = bench()
    box.watch(5.0)
    box.now += 600.0
    box.watch(65.0)
    middles = [draft.at for draft in box.drafts("occupancy") if draft.body["scene"] == "door"]
    assert middles == [1010.0, 1590.0]
    watched = [figures(draft)["watched_seconds"] for draft in box.drafts("occupancy") if draft.body["scene"] == "door"]
    assert watched[0] == pytest.approx(4.9)
    assert max(watched) <= 60.0


def test_two_cameras_of_one_scene_count_a_person_once() -> None:
    box = bench(together=True)
    for step in range(900):
        box.detector.people = {"a": (320, 300)} if 10 <= step < 310 else {}
        box.frame("door")
        box.now += 0.04
        box.frame("till")
        box.turn()
        box.now += 0.06
    (visit,) = box.drafts("visit")
    assert visit.body["scene"] == "shop"
    assert float(str(visit.body["dwell_seconds"])) == pytest.approx(30.0, abs=0.2)
    minutes = [cast("list[dict[str, object]]", draft.body["cameras"]) for draft in box.drafts("occupancy")]
    assert [[camera["camera"] for camera in cameras] for cameras in minutes] == [["door", "till"]] * 2
    credited = [float(str(camera["person_seconds"])) for cameras in minutes for camera in cameras]
    assert sum(credited) == pytest.approx(30.0, abs=0.3)
    live = [batch.live["scene/shop"] for batch in box.batches if batch.live and "scene/shop" in batch.live]
    assert max(int(str(said["people"])) for said in live) == 1
    (configuration,) = box.drafts("configuration")
    layout = cast("dict[str, list[dict[str, object]]]", configuration.body["layout"])
    assert layout["scenes"] == [{"scene": "shop", "counting": True}]
    assert [camera["scene"] for camera in layout["cameras"]] == ["shop", "shop"]


def test_a_camera_with_a_thing_that_looks_like_a_person_says_so() -> None:
    things = {"door": 0}
    box = bench(things=lambda camera: things[camera])
    shop = np.random.default_rng(1).integers(0, 255, (48, 64, 3), np.uint8).repeat(10, axis=0).repeat(10, axis=1)
    for second in range(20):
        things["door"] = int(second >= 10)
        box.show(shop)
        box.turn()
        box.now += 1.0
    (said,) = box.drafts("camera-health")
    assert (said.body["state"], said.body["reason"]) == ("online", "static-object")
    assert box.batches[-1].live["camera/door"]["reason"] == "static-object"


def test_what_an_overloaded_box_sees_is_not_watched() -> None:
    box = bench()
    shop = np.random.default_rng(1).integers(0, 255, (48, 64, 3), np.uint8).repeat(10, axis=0).repeat(10, axis=1)
    for step in range(900):
        box.is_overloaded = 300 <= step < 500
        box.show(shop)
        box.turn()
        box.now += 1 / RATE
    degraded, online = box.drafts("camera-health")
    assert (degraded.body["state"], degraded.body["reason"]) == ("degraded", "overloaded")
    assert (online.body["state"], online.body["reason"]) == ("online", "none")
    assert online.at - degraded.at == pytest.approx(20.0, abs=0.2)
    watched = [figures(draft)["watched_seconds"] for draft in box.drafts("occupancy") if draft.body["scene"] == "door"]
    assert sum(watched) == pytest.approx(80.0 - 20.0, abs=0.5)


def test_a_covered_camera_is_degraded_and_its_time_is_not_watched() -> None:
    box = bench()
    shop = np.random.default_rng(1).integers(0, 255, (48, 64, 3), np.uint8).repeat(10, axis=0).repeat(10, axis=1)
    hand = np.full_like(shop, 90)
    for step in range(2400):
        box.show(hand if 1000 <= step < 1900 else shop)
        box.turn()
        box.now += 1 / RATE
    degraded, online = box.drafts("camera-health")
    assert (degraded.body["state"], degraded.body["reason"]) == ("degraded", "covered")
    assert (online.body["state"], online.body["reason"]) == ("online", "none")
    assert degraded.at == pytest.approx(1121.0, abs=1.5)
    assert online.at == pytest.approx(1211.0, abs=1.5)
    watched = [figures(draft)["watched_seconds"] for draft in box.drafts("occupancy") if draft.body["scene"] == "door"]
    assert sum(watched) == pytest.approx(degraded.at - 1000.0, abs=1.0)
    live = [batch.live["camera/door"] for batch in box.batches if batch.live]
    assert {(str(word["state"]), str(word["reason"])) for word in live} == {
        ("online", "none"),
        ("degraded", "covered"),
    }


def test_reports_tiles_and_checkpoints_of_a_minute_are_one_batch() -> None:
    box = bench(line=[{"id": "gate", "a": (640, 300), "b": (0, 300)}], image_size=SIZE)
    for step in range(30):
        box.watch(0.2, (320, 200 + 8 * step))
    box.watch(55.0, (320, 432))
    (batch,) = [batch for batch in box.batches if any(draft.type == "occupancy" for draft in batch.drafts)]
    assert [draft.type for draft in batch.drafts] == ["occupancy", "occupancy", "crossing"]
    assert batch.tiles
    assert [(one.scene, len(one.visits)) for one in batch.checkpoints] == [("door", 1)]
    watched = figures(batch.drafts[0])
    milliseconds = sum(sum(tile.cells.values()) for tile in batch.tiles if tile.layer == "presence")
    assert watched["person_seconds"] == pytest.approx(milliseconds / 1000, abs=0.05)


def test_a_closing_visit_and_the_end_of_its_checkpoint_are_one_batch() -> None:
    box = bench()
    box.watch(10.0, (150, 300), (450, 300))
    box.watch(10.0, (450, 300))
    (batch,) = [batch for batch in box.batches if any(draft.type == "visit" for draft in batch.drafts)]
    assert [draft.type for draft in batch.drafts] == ["visit"]
    assert [(one.scene, len(one.visits)) for one in batch.checkpoints] == [("door", 1)]


def test_visits_end_while_their_camera_is_dead() -> None:
    box = bench()
    box.watch(10.0, (320, 300))
    box.turn(6.0)
    assert box.drafts("visit") == []
    box.turn(3.0)
    (visit,) = box.drafts("visit")
    assert visit.body["dwell_seconds"] == pytest.approx(9.9, abs=0.11)


def test_a_stop_writes_the_minute_so_far_and_leaves_visits_open() -> None:
    box = bench()
    box.watch(10.0, (320, 300))
    box.vision.stop(box.now, dropped={"door": 7})
    batch = box.batches[-1]
    assert [draft.type for draft in batch.drafts] == ["occupancy", "occupancy"]
    assert [len(one.visits) for one in batch.checkpoints] == [1]
    assert figures(batch.drafts[0])["dropped_frames"] == 7
    assert box.drafts("visit") == []


def test_visits_that_outlast_the_film_are_interrupted() -> None:
    box = bench()
    box.watch(10.0, (320, 300))
    box.vision.finish()
    (visit,) = box.drafts("visit")
    assert visit.body["ended"] == "interrupted"
    assert visit.body["dwell_seconds"] == pytest.approx(9.9, abs=0.11)
    assert [(one.scene, one.visits) for one in box.batches[-1].checkpoints] == [("door", {})]


def test_dropped_frames_are_those_since_the_last_report() -> None:
    box = bench()
    box.watch(1.0)
    dropped = []
    for total in (5, 5, 12):
        box.dropped = {"door": total}
        box.turn(60.0)
        last = [draft for draft in box.drafts("occupancy") if draft.body["scene"] == "door"][-1]
        dropped.append(figures(last)["dropped_frames"])
    assert dropped == [5, 0, 7]


def test_who_was_inside_when_the_last_run_ended_still_is() -> None:
    line = [{"id": "entrance", "a": (640, 300), "b": (0, 300)}]
    box = bench(last_run=LastRun(inside={"door": 3}), line=line, image_size=SIZE)
    box.watch(1.0)
    box.turn(60.0)
    (report, *_) = [draft for draft in box.drafts("occupancy") if draft.body["scene"] == "door"]
    assert report.body["inside"] == 3
    assert {one.scene: one.inside for batch in box.batches for one in batch.checkpoints} == {"door": 3}


def test_people_still_there_after_a_crash_are_not_new() -> None:
    box = bench(last_run=LastRun(resumable={"door": 2}))
    box.watch(10.0, (150, 300), (320, 300), (490, 300))
    box.watch(51.0)
    assert sorted(
        str(draft.body["began"]) for draft in box.drafts("visit") if draft.body["ended"] != "interrupted"
    ) == [
        "appeared",
        "resumed",
        "resumed",
    ]
    entries = [tile for batch in box.batches for tile in batch.tiles if tile.layer == "entries"]
    assert sum(sum(tile.cells.values()) for tile in entries) == 1


def test_health_says_state_and_reason_and_no_address() -> None:
    box = bench()
    box.vision.changed([offline(box.now)])
    (draft,) = box.drafts("camera-health")
    assert draft.body == {
        "type": "camera-health",
        "schema": 1,
        "scene": "till",
        "camera": "till",
        "state": "offline",
        "reason": "wrong-password",
    }


def test_what_runs_the_model_is_said_as_it_is_now() -> None:
    box = bench()
    box.watch(6.0, (150, 400))
    box.providers[0] = "tensorrt"
    box.watch(6.0, (150, 400))
    said = [cast("list[dict[str, str]]", batch.live["vision"]["models"]) for batch in box.batches if batch.live]
    assert [said[0][0]["provider"], said[-1][0]["provider"]] == ["cpu", "tensorrt"]


def test_live_rows_say_who_is_there_now() -> None:
    left = {"id": "left", "polygon": [(0, 0), (320, 0), (320, 480), (0, 480)]}
    box = bench(image_size=SIZE, zone=[left], line=[{"id": "gate", "a": (640, 250), "b": (0, 250)}])
    box.vision.changed([offline(box.now)])
    box.watch(6.0, (150, 400))
    live = [batch.live for batch in box.batches if batch.live]
    assert len(live) == 6
    assert live[-1]["vision"] == {
        "config": box.batches[0].origin.config,
        "models": [{"name": "scripted", "provider": "cpu"}],
    }
    assert live[-1]["scene/door"] == {
        "scene": "door",
        "people": 1,
        "inside": 0,
        "zones": [{"zone": "left", "people": 1}],
    }
    assert live[-1]["camera/door"]["frames_per_second"] == pytest.approx(10.0, abs=1.0)
    assert live[-1]["camera/till"]["reason"] == "wrong-password"
    assert "scene/till" not in live[-1]


def test_what_a_mask_hides_is_never_seen() -> None:
    corner = [(0, 0), (320, 0), (320, 240), (0, 240)]
    for masks, seen in (([], 1), ([corner], 0)):
        box = bench(detector=Bright(), image_size=SIZE, masks=masks)
        image = np.zeros((960, 1280, 3), np.uint8)
        image[100:300, 200:280] = 255
        for number in range(50):
            box.vision.take(Frame(at=box.now + number / RATE, image=image, camera="door", index=number))
        box.vision.stop(box.now + 5.0, dropped={})
        watched = figures(box.drafts("occupancy")[0])
        assert (watched["max_people"], watched["person_seconds"] > 0, image.max()) == (seen, bool(seen), 255)


@dataclass
class Clip:
    """A source that shows three frames and ends."""

    camera: str

    def frames(self) -> Iterator[Frame]:
        image = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
        for number in range(3):
            yield Frame(at=1000.0 + number / RATE, image=image, camera=self.camera, index=number)


def test_the_loop_ends_when_every_source_has_and_says_so() -> None:
    box = bench()
    feeds = [Feed(camera=name, source=Clip(name), backoff=Backoff(random=Random(1))) for name in ("door", "till")]
    with Cameras(feeds, clock=lambda: 1001.0) as cameras:
        assert watch(box.vision, cameras, monotonic=lambda: 1001.0, stop=threading.Event())
    states = [
        (draft.body["camera"], draft.body["state"], draft.body["reason"]) for draft in box.drafts("camera-health")
    ]
    assert sorted(states) == [
        ("door", "offline", "ended"),
        ("door", "online", "none"),
        ("till", "offline", "ended"),
        ("till", "online", "none"),
    ]
    assert [draft.type for draft in box.batches[-1].drafts] == ["occupancy", "occupancy"]


def lines_shown(box: Bench) -> list[LineSeen]:
    return [LineSeen.read(json.dumps(batch.live["line/gate"])) for batch in box.batches if batch.live]


def test_each_crossing_of_the_last_minute_is_shown_on_the_box_and_never_in_a_draft() -> None:
    box = bench(image_size=SIZE, line=[{"id": "gate", "a": (0, 240), "b": (640, 240)}])
    for y in range(140, 360, 4):
        box.watch(0.1, (320.0, float(y)))
    box.turn(12.0)
    newest = lines_shown(box)[-1]
    assert (newest.line, newest.camera, newest.scene) == ("gate", "door", "door")
    (passage,) = newest.passages
    assert passage.number == 1
    assert 1000.0 < passage.at < 1006.0
    layout = cast("dict[str, list[dict[str, str]]]", box.drafts("configuration")[-1].body["layout"])
    assert layout["lines"][0]["setup"] == newest.setup
    box.turn(70.0)
    assert lines_shown(box)[-1].passages == ()
    assert not any("passages" in str(draft.body) for batch in box.batches for draft in batch.drafts)
