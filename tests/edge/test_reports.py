import pytest

from edge import reports
from edge.anonymity import Draft
from edge.camera.health import HealthChange, HealthState, Note
from edge.camera.trouble import Trouble
from edge.heatmap import TileIncrement
from edge.minute import LineTally, Minute, ZoneTally
from edge.queues import QueueTally
from edge.visits import Visit
from protocol.events import HealthReason
from protocol.tiles import Layer


def minute(**changes: object) -> Minute:
    figures: dict[str, object] = {
        "scene": "hall",
        "camera": "door",
        "space": "door-640x480-40px",
        "at": 1020.0,
        "watched_ms": 59_949,
        "analysed_frames": 598,
        "dropped_frames": 2,
        "person_ms": 12_350,
        "max_people": 3,
        "zones": (ZoneTally(zone="tills", person_ms=4_049, max_people=2),),
        "lines": (LineTally(line="entrance", inward=2, outward=1),),
        "queues": (_line_of_people(watched_ms=59_949),),
        "tiles": (TileIncrement(layer="presence", tx=-1, ty=2, cells={5: 700, 6: 50}),),
        "inside": 4,
        "drift": -2,
    }
    return Minute(**{**figures, **changes})  # type: ignore[arg-type]


def without_schema(draft: Draft) -> dict[str, object]:
    return {key: value for key, value in draft.body.items() if not key.startswith("schema")}


def test_an_occupancy_says_what_the_minute_held_in_seconds() -> None:
    said = reports.occupancy([minute()])
    assert said.at == 1020.0
    assert without_schema(said) == {
        "type": "occupancy",
        "scene": "hall",
        "length_seconds": 60,
        "cameras": [
            {
                "camera": "door",
                "watched_seconds": 59.9,
                "analysed_frames": 598,
                "dropped_frames": 2,
                "person_seconds": 12.3,
                "max_people": 3,
            }
        ],
        "zones": [{"zone": "tills", "person_seconds": 4.0, "max_people": 2}],
        "inside": 4,
        "drift": -2,
    }


def test_crossings_are_said_only_when_there_were_any() -> None:
    said = reports.crossings(minute())
    assert said is not None
    assert without_schema(said) == {
        "type": "crossing",
        "scene": "hall",
        "lines": [{"line": "entrance", "in": 2, "out": 1}],
    }
    assert reports.crossings(minute(lines=())) is None


def test_a_queue_has_its_mean_length_over_the_time_that_was_watched() -> None:
    said = reports.queues(minute())
    assert said is not None
    assert without_schema(said) == {
        "type": "queue",
        "scene": "hall",
        "queues": [
            {
                "zone": "tills",
                "mean_length": 1.501,
                "max_length": 3,
                "waits": [1, *[0] * 23],
                "served": 1,
                "abandoned": 0,
            }
        ],
    }


def _line_of_people(*, watched_ms: int) -> QueueTally:
    waits = (1, *[0] * 23)
    return QueueTally(
        zone="tills", watched_ms=watched_ms, person_ms=90_000, max_length=3, waits=waits, served=1, abandoned=0
    )


def test_nothing_is_said_of_a_line_that_is_none_or_was_not_watched() -> None:
    assert reports.queues(minute(queues=())) is None
    assert reports.queues(minute(queues=(_line_of_people(watched_ms=0),))) is None


def test_a_minute_is_said_whole() -> None:
    quiet = minute(scene="yard", lines=(), queues=())
    said = [(draft.type, draft.body["scene"]) for draft in reports.minutely([minute(), quiet])]
    assert said == [("occupancy", "hall"), ("occupancy", "yard"), ("crossing", "hall"), ("queue", "hall")]


def test_tiles_keep_milliseconds_until_their_bucket_is_over() -> None:
    (part,) = reports.tiles(minute())
    assert (part.at, part.space, part.camera, part.layer) == (1020.0, "door-640x480-40px", "door", Layer.PRESENCE)
    assert (part.tx, part.ty, part.cells) == (-1, 2, {5: 700, 6: 50})


def test_a_visit_is_placed_where_it_began_and_names_no_person() -> None:
    said = reports.visit(
        Visit(
            scene="hall",
            first_seen=1000.04,
            last_seen=1012.3,
            began="entered",
            ended="left",
            zone_milliseconds={"tills": 4_049},
            crossings={"entrance": {"in": 1}},
            frames=120,
            mean_confidence=0.87654,
        )
    )
    assert said.at == 1000.04
    assert without_schema(said) == {
        "type": "visit",
        "scene": "hall",
        "dwell_seconds": 12.3,
        "began": "entered",
        "ended": "left",
        "zones": [{"zone": "tills", "seconds": 4.0}],
        "lines": [{"line": "entrance", "in": 1, "out": 0}],
        "frames_seen": 120,
        "mean_confidence": 0.877,
    }


def test_a_zone_touched_for_a_moment_was_not_visited() -> None:
    brushed = Visit(
        scene="hall",
        first_seen=1000.0,
        last_seen=1009.0,
        began="entered",
        ended="left",
        zone_milliseconds={"tills": 40, "shelf": 60},
        crossings={},
        frames=90,
        mean_confidence=0.8,
    )
    assert reports.visit(brushed).body["zones"] == [{"zone": "shelf", "seconds": 0.1}]


@pytest.mark.parametrize("state", HealthState)
@pytest.mark.parametrize("reason", [*Trouble, *Note])
def test_every_state_and_reason_has_a_word_on_the_wire(state: HealthState, reason: Trouble | Note) -> None:
    change = HealthChange(camera="door", at=1.0, state=state, reason=reason, detail="door: rtsp://192.0.2.1")
    said = reports.health(change, scene="hall")
    assert said.body["reason"] == reports.health_reason(change) != HealthReason.UNKNOWN
    assert said.body["state"] == reports.camera_state(state)
    assert "192.0.2.1" not in str(said)
