from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from cloud.certainty import Interval, RestsOn
from cloud.certificates import CertificateEnd, CheckedDirection, LineCertificate
from cloud.counting import CountedBy
from cloud.coverage import Coverage
from cloud.opening import OpeningHours
from cloud.web import wording
from cloud.web.wording import Tone
from protocol.events import CameraState, HealthReason

BERLIN = ZoneInfo("Europe/Berlin")
HOURS = OpeningHours.model_validate(
    {
        "weekly": {"fri": [["09:00", "13:00"], ["14:00", "18:00"]], "sat": [["20:00", "02:00"]]},
        "closed_days": ["2026-11-27"],
    }
)


@pytest.mark.parametrize(
    ("fraction", "words"),
    [(None, "–"), (0, "0 %"), (0.004, "under 1 %"), (0.29, "29 %"), (0.9999, "99 %"), (1, "100 %")],
)
def test_a_share_is_never_rounded_up(fraction: float | None, words: str) -> None:
    assert wording.share(fraction) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "–"), (0, "0 s"), (42.4, "42 s"), (60, "1 min"), (80, "1 min 20 s"), (119.7, "2 min"), (535, "9 min"),
        (3599, "1 h"), (3600, "1 h"), (5400, "1 h 30 min"),
    ],
)  # fmt: skip
def test_a_duration(seconds: float | None, words: str) -> None:
    assert wording.duration(seconds) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(3, "just now"), (60, "1 minute ago"), (7199, "1 hour ago"), (7200, "2 hours ago"), (200_000, "2 days ago")],
)
def test_how_long_ago(seconds: float, words: str) -> None:
    assert wording.ago(seconds) == words


@pytest.mark.parametrize(
    ("day", "clock", "words"),
    [
        pytest.param(20, "08:59", "Closed, opens at 09:00", id="before opening"),
        pytest.param(20, "09:00", "Open until 13:00", id="open"),
        pytest.param(20, "13:30", "Closed, opens at 14:00", id="at noon"),
        pytest.param(20, "18:00", "Closed for today", id="after closing"),
        pytest.param(22, "01:59", "Open until 02:00", id="past midnight"),
        pytest.param(22, "12:00", "Closed today", id="a day not named"),
        pytest.param(27, "10:00", "Closed today", id="a day on which it is closed"),
    ],
)
def test_whether_it_is_open(day: int, clock: str, words: str) -> None:
    hour, minute = map(int, clock.split(":"))
    assert wording.opening_now(HOURS, now=datetime(2026, 11, day, hour, minute, tzinfo=BERLIN)) == words


def test_without_hours_it_is_open_all_day() -> None:
    assert wording.opening_now(OpeningHours(), now=datetime(2026, 11, 20, 3, 0, tzinfo=BERLIN)) == "Open all day"


def test_every_state_and_reason_of_a_camera_has_words() -> None:
    for state in CameraState:
        for reason in HealthReason:
            found = wording.camera_condition(state, reason, box_is_silent=False)
            assert found.word
            assert bool(found.detail) == (reason is not HealthReason.NONE)


def test_a_camera_of_a_silent_box_is_not_said_to_watch() -> None:
    found = wording.camera_condition("online", "none", box_is_silent=True)
    assert (found.tone, found.word) == (Tone.BAD, "Not heard from")


@pytest.mark.parametrize(
    ("state", "vision", "waiting", "silent", "tone", "word"),
    [
        pytest.param("online", "alive", 3, 1.0, Tone.GOOD, "Connected", id="well"),
        pytest.param("online", "dead", 3, 1.0, Tone.BAD, "Connected, but not watching", id="its vision ended"),
        pytest.param("online", "alive", 1204, 1.0, Tone.WAITING, "Catching up", id="much waits"),
        pytest.param("offline", "alive", 0, 700.0, Tone.BAD, "Not connected", id="gone"),
        pytest.param("unknown", None, None, 700.0, Tone.WAITING, "Last heard 11 minutes ago", id="over HTTPS"),
        pytest.param("unknown", None, None, None, Tone.WAITING, "Nothing heard yet", id="new"),
    ],
)
def test_how_a_box_does(
    state: str, vision: str | None, waiting: int | None, silent: float | None, tone: Tone, word: str
) -> None:
    found = wording.box_condition(state, vision=vision, waiting=waiting, oldest_seconds=720.0, silent_seconds=silent)
    assert (found.tone, found.word) == (tone, word)


@pytest.mark.parametrize(
    ("watched", "scheduled", "fraction", "cameras", "words"),
    [
        pytest.param(0, 0, None, 0, "No camera has reported from here yet.", id="no camera"),
        pytest.param(0, 0, None, 1, "Nothing had to be watched yet today", id="not open yet"),
        pytest.param(900, 900, 1.0, 1, "Today was watched without a break so far.", id="all of it"),
        pytest.param(
            600, 1200, 0.5, 1, "50 % of today’s opening hours so far were watched; 10 min are missing.", id="half"
        ),
        pytest.param(600, 1200, 0.5, 2, "10 min are missing, all 2 cameras taken together.", id="of two cameras"),
    ],
)
def test_how_much_was_watched(
    watched: float, scheduled: float, fraction: float | None, cameras: int, words: str
) -> None:
    coverage = Coverage(watched_seconds=watched, scheduled_seconds=scheduled, fraction=fraction)
    assert words in wording.coverage_sentence(coverage, cameras=cameras)


@pytest.mark.parametrize(
    ("fraction", "cameras", "lost", "tone", "word"),
    [
        pytest.param(None, 0, 0, Tone.WAITING, "Nothing is counted here yet", id="no camera"),
        pytest.param(None, 1, 0, Tone.GOOD, "Nothing to judge yet", id="not open yet"),
        pytest.param(0.95, 1, 0, Tone.GOOD, "These numbers are sound", id="watched enough"),
        pytest.param(0.94, 1, 0, Tone.WAITING, "Read these numbers with care", id="watched too little"),
        pytest.param(1.0, 1, 1, Tone.WAITING, "Read these numbers with care", id="a report was lost"),
    ],
)
def test_whether_the_numbers_are_sound(fraction: float | None, cameras: int, lost: int, tone: Tone, word: str) -> None:
    coverage = Coverage(watched_seconds=0, scheduled_seconds=0, fraction=fraction)
    found = wording.soundness(coverage, cameras=cameras, lost_items=lost, enough=0.95)
    assert (found.tone, found.word) == (tone, word)


def test_losses_are_told_with_their_reasons() -> None:
    assert wording.loss_sentence(0, {}) == "No report was lost on its way."
    assert wording.loss_sentence(1, {"quarantined": 1}).startswith("1 report was lost on the way (1 damaged on")
    told = wording.loss_sentence(1300, {"dropped": 1200, "expired": 100})
    assert "1,300 reports were lost on the way (1,200 for want of room on the box, 100 after waiting too long)" in told


def test_what_a_visitor_is_depends_on_how_it_was_counted() -> None:
    assert "entrance, staff left out" in wording.counting_rule(CountedBy.ENTRANCE_LINES)
    assert "each stay in view" in wording.counting_rule(CountedBy.VISITS)
    assert "Part of this time" in wording.counting_rule(CountedBy.MIXED)


def test_an_id_becomes_a_name() -> None:
    assert wording.plain_name("fitting-rooms") == "Fitting rooms"


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (112, 124, "between 112 and 124"),
        (1112, 1240, "between 1,112 and 1,240"),
        (5, None, "at least 5"),
        (0, 0, ""),
    ],
)
def test_between_which_numbers_a_count_lies(low: int, high: int | None, words: str) -> None:
    assert wording.between(Interval(low=low, high=high, rests_on=RestsOn.CERTIFICATE)) == words


def test_what_a_range_rests_on_has_a_sentence_each() -> None:
    assert len({wording.basis_sentence(basis) for basis in RestsOn}) == len(RestsOn)
    assert "nobody has checked" in wording.basis_sentence(RestsOn.BENCHMARK)


def checked(
    *, counted: int = 20, ended: CertificateEnd | None = None, method: str = "moments", taken_in: str | None = None
) -> LineCertificate:
    way = CheckedDirection(
        counted=counted,
        by_hand=21,
        matched=19,
        recall=0.9,
        recall_interval=None,
        precision=0.9,
        precision_interval=None,
    )
    return LineCertificate(
        line="front-door", taken_in=taken_in, holds=ended is None, ended=ended, method=method, model="m",
        model_digest=None, length_seconds=60, inward=way, outward=None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("certificate", "words"),
    [
        (checked(counted=19), "Front door: checked by hand; 19 of 21 in were found."),
        (
            checked(taken_in="2026-11-07T12:00:00+01:00"),
            "Front door: checked by hand on 7 November 2026; 19 of 21 in were found, and 1 too many.",
        ),
        (
            checked(counted=19, method="totals"),
            "Front door: checked by hand; 19 of 21 in were found at best.",
        ),
        (
            checked(ended=CertificateEnd.CHANGED),
            "Front door: checked by hand, but its settings or its model have changed since. Have it checked again.",
        ),
        (
            checked(ended=CertificateEnd.MOVED),
            "Front door: checked by hand, but the camera looks elsewhere now. Have it checked again.",
        ),
    ],
)
def test_how_a_line_did_when_it_was_checked(certificate: LineCertificate, words: str) -> None:
    assert wording.certificate_sentence(certificate) == words
