from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from edge.anonymity import Draft, Moment, Origin, draft, seal
from protocol.events import Visit
from protocol.modes import Mode
from tests.support.exchange import CONFIG, crossing, report, visit

SEEN = datetime(2026, 3, 1, 12, 7, 38, 765_432, tzinfo=UTC)


def origin(mode: Mode) -> Origin:
    return Origin(venue="corner-shop", config=CONFIG, mode=mode)


@pytest.mark.parametrize(
    ("made", "mode", "expected"),
    [
        pytest.param(visit(), Mode.STATISTICS, "12:07:30", id="a visit, to ten seconds"),
        pytest.param(visit(), Mode.LIVE, "12:07:38", id="a visit in live mode, to a second"),
        pytest.param(report(), Mode.STATISTICS, "12:07:00", id="a report, to its minute"),
        pytest.param(report(), Mode.LIVE, "12:07:00", id="a report in live mode, to its minute"),
        pytest.param(crossing(), Mode.LIVE, "12:07:00", id="crossings, to their minute"),
    ],
)
def test_a_moment_is_rounded_down_to_what_the_mode_allows(made: Draft, mode: Mode, expected: str) -> None:
    item = seal(made.body, seq=7, origin=origin(mode), moment=Moment(at=SEEN))
    assert item.at == datetime.fromisoformat(f"2026-03-01T{expected}+00:00")
    assert (item.seq, item.venue, item.config) == (7, "corner-shop", CONFIG)


def test_bounds_are_rounded_like_a_moment() -> None:
    item = seal(visit().body, seq=1, origin=origin(Mode.STATISTICS), moment=Moment(earliest=SEEN, latest=SEEN))
    assert item.at is None
    assert item.earliest == item.latest == datetime(2026, 3, 1, 12, 7, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "field",
    [
        pytest.param({"track": 17}, id="a track number"),
        pytest.param({"embedding": [0.1, 0.2]}, id="an embedding"),
        pytest.param({"scene": "Anna Meier"}, id="a name where a slug belongs"),
        pytest.param({"scene": "/home/anna"}, id="a path"),
        pytest.param({"image": b"\xff\xd8"}, id="an image"),
        pytest.param({"mean_confidence": float("nan")}, id="not a number"),
        pytest.param({"frames_seen": "12"}, id="text for a number"),
    ],
)
def test_what_the_wire_does_not_name_is_refused(field: dict[str, object]) -> None:
    fields: dict[str, object] = {
        "scene": "floor",
        "dwell_seconds": 1.0,
        "began": "entered",
        "ended": "left",
        "frames_seen": 1,
        "mean_confidence": 0.5,
    }
    draft(Visit, at=0.0, **fields)
    with pytest.raises(ValidationError):
        draft(Visit, at=0.0, **fields | field)


def test_a_draft_has_no_name_and_no_place_in_time() -> None:
    assert set(visit().body) == {
        "type", "schema", "scene", "dwell_seconds", "began", "ended", "zones", "lines", "frames_seen", "mean_confidence"
    }  # fmt: skip
