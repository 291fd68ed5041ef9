import random
from itertools import pairwise

import pytest

from cloud.alerts.rules import (
    OFFLINE_GRACE_MS,
    SETTLE_MS,
    BoxContact,
    End,
    Facts,
    Finding,
    Keep,
    Level,
    OpenAlert,
    Raise,
    Rule,
    Subject,
    VenueLoad,
    evaluate,
    findings_of,
)

NOW = 1_800_000_000_000
MINUTE = 60_000
SILENT = 5 * MINUTE
LONG_AGO = NOW - 1000 * MINUTE


def of_load(people: int | None, *, capacity: int = 100) -> Finding:
    load = VenueLoad(venue="shop", capacity=capacity, people=people)
    (finding,) = findings_of(Facts(loads=[load], contacts=[], watching_since_ms=LONG_AGO), now_ms=NOW, silent_ms=SILENT)
    return finding


def of_box(silence_ms: int, *, is_offline: bool = False, watched_ms: int = 1000 * MINUTE) -> Finding:
    contact = BoxContact(box="box-1", venue="shop", is_offline=is_offline, last_seen_ms=NOW - silence_ms)
    facts = Facts(loads=[], contacts=[contact], watching_since_ms=NOW - watched_ms)
    (finding,) = findings_of(facts, now_ms=NOW, silent_ms=SILENT)
    return finding


def open_alert(finding: Finding, *, last_seen_ms: int = NOW) -> OpenAlert:
    return OpenAlert(id="A", of=finding.of, last_seen_ms=last_seen_ms)


@pytest.mark.parametrize(
    ("people", "level"),
    [
        pytest.param(101, Level.ALARM, id="one more than may be"),
        pytest.param(100, Level.NEAR, id="just full"),
        pytest.param(96, Level.NEAR, id="almost full"),
        pytest.param(95, Level.CLEAR, id="room again"),
        pytest.param(0, Level.CLEAR, id="empty"),
        pytest.param(None, Level.UNKNOWN, id="nothing recent is known"),
    ],
)
def test_a_venue_is_too_full_above_its_capacity_and_well_again_well_below(people: int | None, level: Level) -> None:
    finding = of_load(people)
    assert (finding.level, finding.value, finding.threshold) == (level, people, 100)


@pytest.mark.parametrize(("people", "level"), [(2, Level.ALARM), (1, Level.NEAR), (0, Level.CLEAR)])
def test_a_venue_for_one_person_can_be_well_again(people: int, level: Level) -> None:
    assert of_load(people, capacity=1).level is level


@pytest.mark.parametrize(
    ("silence_ms", "is_offline", "level"),
    [
        pytest.param(SILENT, False, Level.ALARM, id="silent for five minutes"),
        pytest.param(SILENT - 1, False, Level.CLEAR, id="silent for almost five minutes"),
        pytest.param(OFFLINE_GRACE_MS, True, Level.ALARM, id="said good-bye a minute ago"),
        pytest.param(OFFLINE_GRACE_MS - 1, True, Level.NEAR, id="said good-bye a moment ago"),
        pytest.param(0, False, Level.CLEAR, id="heard just now"),
        pytest.param(-MINUTE, False, Level.CLEAR, id="heard by a clock that is ahead"),
    ],
)
def test_a_box_is_offline_when_it_is_silent_or_has_said_so(silence_ms: int, is_offline: bool, level: Level) -> None:
    assert of_box(silence_ms, is_offline=is_offline).level is level


def test_nobody_knows_of_a_silence_that_nobody_listened_to() -> None:
    assert of_box(60 * MINUTE, watched_ms=SILENT - 1).level is Level.UNKNOWN
    assert of_box(60 * MINUTE, watched_ms=SILENT).level is Level.ALARM
    assert of_box(MINUTE, watched_ms=MINUTE).level is Level.CLEAR


@pytest.mark.parametrize(
    ("level", "is_open", "expected"),
    [
        pytest.param(Level.ALARM, False, Raise, id="an alarm is raised"),
        pytest.param(Level.ALARM, True, Keep, id="and raised once"),
        pytest.param(Level.NEAR, False, None, id="what is near is not raised"),
        pytest.param(Level.NEAR, True, Keep, id="but kept"),
        pytest.param(Level.UNKNOWN, False, None, id="what is unknown is not raised"),
        pytest.param(Level.UNKNOWN, True, None, id="and not ended"),
        pytest.param(Level.CLEAR, False, None, id="all is well"),
        pytest.param(Level.CLEAR, True, None, id="well for a moment only"),
    ],
)
def test_each_level_has_its_step(level: Level, is_open: bool, expected: type | None) -> None:
    finding = Finding(of=of_load(0).of, level=level, value=1, threshold=1)
    steps = evaluate([finding], [open_alert(finding)] if is_open else [], now_ms=NOW)
    assert [type(step) for step in steps] == ([] if expected is None else [expected])


def test_an_alert_ends_when_its_condition_has_been_gone_for_a_while() -> None:
    finding = of_load(10)
    assert evaluate([finding], [open_alert(finding, last_seen_ms=NOW - SETTLE_MS + 1)], now_ms=NOW) == ()
    assert evaluate([finding], [open_alert(finding, last_seen_ms=NOW - SETTLE_MS)], now_ms=NOW) == (End(alert="A"),)


def test_an_alert_of_what_is_no_longer_there_ends_at_once() -> None:
    assert evaluate([], [open_alert(of_box(SILENT))], now_ms=NOW) == (End(alert="A"),)


def test_rules_venues_and_boxes_do_not_disturb_each_other() -> None:
    subjects = [
        Subject(rule=Rule.BOX_OFFLINE, venue="shop", subject="box-1"),
        Subject(rule=Rule.BOX_OFFLINE, venue="shop", subject="box-2"),
        Subject(rule=Rule.BOX_OFFLINE, venue="mall", subject="box-1"),
        Subject(rule=Rule.CAPACITY_EXCEEDED, venue="shop"),
    ]
    findings = [Finding(of=subject, level=Level.ALARM, value=2, threshold=1) for subject in subjects]
    for number, finding in enumerate(findings):
        steps = evaluate(findings, [open_alert(finding)], now_ms=NOW)
        assert [step.finding for step in steps if isinstance(step, Raise)] == findings[:number] + findings[number + 1 :]
        assert [step.alert for step in steps if isinstance(step, Keep)] == ["A"]


def test_a_number_that_wavers_around_the_limit_makes_one_alert() -> None:
    """A day at the limit, evaluated every ten seconds: between two raises the venue has been well for a minute."""
    rng = random.Random(5)
    people, is_open, last_seen = 100, False, 0
    raised, seen = [], []
    for now in range(NOW, NOW + 24 * 60 * MINUTE, 10_000):
        people = max(93, min(106, people + rng.choice((-1, 0, 1))))
        seen.append((now, people))
        finding = of_load(people)
        alerts = [OpenAlert(id="A", of=finding.of, last_seen_ms=last_seen)] if is_open else []
        for step in evaluate([finding], alerts, now_ms=now):
            is_open = not isinstance(step, End)
            last_seen = last_seen if isinstance(step, End) else now
            raised += [now] * isinstance(step, Raise)
    over = sum(earlier[1] <= 100 < later[1] for earlier, later in pairwise(seen))
    assert 1 < len(raised) < over / 3
    for earlier, later in pairwise(raised):
        calm = [people <= 95 for now, people in seen if earlier < now < later]
        assert max(len(run) for run in "".join("c" if one else " " for one in calm).split()) * 10_000 >= SETTLE_MS
