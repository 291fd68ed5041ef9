import json
from pathlib import Path

import pytest

from cloud.ingest.rollups import increments, maxima
from cloud.store.metrics import DemographicBin
from protocol.catalogue import ITEM_TYPES
from protocol.events import AgeBracket, Began, Ended, Engagement, Gender
from tests.support.envelopes import JsonObject, item, occupancy, visit

Sums = dict[tuple[str, str, str, int], int]


def sums_of(raw: JsonObject) -> Sums:
    read = ITEM_TYPES[str(raw["type"])].read(raw)
    return {key: value for key, value in increments(read) if value}


@pytest.mark.parametrize(
    ("began", "metric"),
    [
        pytest.param("entered", "visits", id="entered counts"),
        pytest.param("appeared", "visits", id="appeared counts"),
        pytest.param("resumed", "visits_resumed", id="resumed was counted before"),
        pytest.param("continued", "visits_resumed", id="continued was counted before"),
        pytest.param("teleported", "visits_resumed", id="a later version's way does not count"),
    ],
)
def test_which_visits_count(began: str, metric: str) -> None:
    sums = sums_of(visit(1, began=began))
    assert {name for _, _, name, _ in sums if name.startswith("visits")} == {metric}
    assert sums["scene", "floor", "dwell_ms", 0] == 42_500


def test_a_visit() -> None:
    sums = sums_of(visit(1, engagement="waiting", engagement_score=57))
    assert sums == {
        ("scene", "floor", "visits", 0): 1,
        ("scene", "floor", "visit_ends", 0): 1,
        ("scene", "floor", "dwell_ms", 0): 42_500,
        ("scene", "floor", "dwell_histogram", 5): 1,
        ("scene", "floor", "visit_engagement", 2): 1,
        ("scene", "floor", "engagement_scores", 5): 1,
        ("zone", "shelf", "zone_visits", 0): 1,
        ("zone", "shelf", "zone_dwell_ms", 0): 12_300,
        ("zone", "shelf", "zone_dwell_histogram", 2): 1,
    }


def test_a_minute_report() -> None:
    assert sums_of(occupancy(1)) == {
        ("scene", "floor", "reports", 0): 1,
        ("scene", "floor", "reported_ms", 0): 60_000,
        ("scene", "floor", "drift", 1): 1,
        ("camera", "cam-1", "watched_ms", 0): 59_800,
        ("camera", "cam-1", "analysed_frames", 0): 500,
        ("camera", "cam-1", "dropped_frames", 0): 3,
        ("camera", "cam-1", "person_tenths", 0): 614,
        ("zone", "shelf", "person_tenths", 0): 202,
    }
    assert dict(maxima(ITEM_TYPES["occupancy"].read(occupancy(1)))) == {
        ("camera", "cam-1", "people"): 3,
        ("camera", "cam-1", "reported_at_ms"): 1_795_172_400_000,
        ("zone", "shelf", "people"): 2,
        ("scene", "floor", "inside"): 4,
    }


def test_attention_and_demographics() -> None:
    zone: JsonObject = {
        "zone": "shelf",
        "visits": 7,
        "scores": [*([0] * 9), 7],
        "behaviours": [{"engagement": "passing", "count": 7}],
    }
    attention = item(1, "attention", scene="floor", length_seconds=900, undisclosed=2, zones=[zone])
    assert sums_of(attention) == {
        ("scene", "floor", "undisclosed", 1): 2,
        ("zone", "shelf", "attention_visits", 0): 7,
        ("zone", "shelf", "attention_scores", 9): 7,
        ("zone", "shelf", "attention_behaviours", 3): 7,
    }
    groups: list[JsonObject] = [{"zone": "shelf", "age": "65+", "gender": "male", "count": 6}]
    demographics = item(1, "demographics", scene="floor", length_seconds=3600, groups=list(groups))
    assert sums_of(demographics) == {("zone", "shelf", "demographics", 41): 6}


@pytest.mark.parametrize("age", AgeBracket)
@pytest.mark.parametrize("gender", Gender)
def test_a_demographic_bin_is_one_group(age: AgeBracket, gender: Gender) -> None:
    assert DemographicBin.group(DemographicBin.of(age, gender)) == (age, gender)


def test_every_member_that_a_box_may_write_has_a_bin() -> None:
    for began in Began:
        for ended in Ended:
            assert sums_of(visit(1, began=began, ended=ended))
    for engagement in Engagement:
        assert sums_of(visit(1, engagement=engagement))


def test_every_golden_item_can_be_rolled_up() -> None:
    golden = Path(__file__).resolve().parents[2] / "protocol" / "golden"
    files = sorted(golden.glob("item-*.json"))
    assert len(files) >= len(ITEM_TYPES)
    for file in files:
        raw = json.loads(file.read_text())
        if raw["type"] in {"configuration", "camera-certificate", "camera-health", "tile"}:
            assert sums_of(raw) == {}
        elif raw["type"] != "flow":
            assert sums_of(raw), file.name
