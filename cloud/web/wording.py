"""Numbers and states in a shopkeeper's words. Pure: no clock, no database.

What is not known is said so, and a share is rounded down, so that "100 %" means all of it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from cloud.certainty import Interval, RestsOn
from cloud.certificates import CertificateEnd, LineCertificate
from cloud.counting import CountedBy
from cloud.coverage import Coverage
from cloud.opening import MINUTES_A_DAY, OpeningHours
from protocol.envelope import GapReason
from protocol.events import CameraState, CheckMethod, HealthReason
from protocol.status import BoxState, VisionState

__all__ = [
    "UNKNOWN",
    "Condition",
    "Tone",
    "ago",
    "basis_sentence",
    "between",
    "box_condition",
    "browser_name",
    "camera_condition",
    "certificate_sentence",
    "counting_rule",
    "coverage_sentence",
    "duration",
    "loss_sentence",
    "moment",
    "number",
    "opening_now",
    "plain_name",
    "share",
    "soundness",
    "withheld_sentence",
]

UNKNOWN = "–"
MINUTE, HOUR, DAY = 60, 3_600, 86_400
_WAITING_WORTH_SAYING = 100


class Tone(StrEnum):
    """How much a thing wants a person's eye; shown by a shape and a word, never by colour alone."""

    GOOD = "good"
    WAITING = "waiting"
    BAD = "bad"


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """How something does, in a word and perhaps a sentence."""

    tone: Tone
    word: str
    detail: str = ""


_STATES = {
    CameraState.ONLINE: Condition(tone=Tone.GOOD, word="Watching"),
    CameraState.STARTING: Condition(tone=Tone.WAITING, word="Starting"),
    CameraState.DEGRADED: Condition(tone=Tone.WAITING, word="Watching badly"),
    CameraState.OFFLINE: Condition(tone=Tone.BAD, word="Not watching"),
    CameraState.UNKNOWN: Condition(tone=Tone.WAITING, word="Nothing heard yet"),
}
_REASONS = {
    HealthReason.NONE: "",
    HealthReason.UNREACHABLE: "It cannot be reached.",
    HealthReason.NOT_FOUND: "Its address leads to no picture.",
    HealthReason.WRONG_PASSWORD: "It refuses the password.",
    HealthReason.REFUSED: "It refuses the connection.",
    HealthReason.GARBAGE: "Its pictures cannot be read.",
    HealthReason.STALLED: "It has stopped sending pictures.",
    HealthReason.ENDED: "Its recording has ended.",
    HealthReason.UNSUPPORTED: "It sends a kind of video that the box does not know.",
    HealthReason.RESOLUTION_CHANGED: "Its picture has changed size, so it must be set up again.",
    HealthReason.OVERLOADED: "The box cannot keep up with it.",
    HealthReason.TOO_DARK: "It is too dark to see anybody.",
    HealthReason.COVERED: "Something covers it.",
    HealthReason.BLURRED: "Its picture is blurred: its lens may be dirty or out of focus.",
    HealthReason.MOVED: "It looks elsewhere than before, so it must be turned back or set up again.",
    HealthReason.STATIC_OBJECT: "Something that never moves looks like a person to it, and is not counted.",
    HealthReason.UNKNOWN: "The box gives a reason that this page does not know.",
}
_LOSSES = {
    GapReason.DROPPED: "for want of room on the box",
    GapReason.EXPIRED: "after waiting too long",
    GapReason.QUARANTINED: "damaged on the box’s disk",
}


_BASES = {
    RestsOn.CERTIFICATE: "The range of visitors rests on a check of the entrances by hand.",
    RestsOn.BENCHMARK: "The range of visitors is the usual one: nobody has checked by hand how well is counted here.",
    RestsOn.MIXED: "The range of visitors rests on checks by hand, and where there are none, on what is usual.",
}
_ENDS = {
    CertificateEnd.CHANGED: "its settings or its model have changed since",
    CertificateEnd.MOVED: "the camera looks elsewhere now",
}


def number(value: int | None) -> str:
    """A whole number with thousands set apart."""
    return UNKNOWN if value is None else f"{value:,}"


def share(fraction: float | None) -> str:
    """A fraction as whole percent, rounded down."""
    if fraction is None:
        return UNKNOWN
    if 0 < fraction < 0.01:
        return "under 1 %"
    return f"{math.floor(fraction * 100 + 1e-9)} %"


def between(interval: Interval) -> str:
    """Where a number truly lies; nothing where it can only be what it is."""
    if interval.high is None:
        return f"at least {number(interval.low)}"
    return f"between {number(interval.low)} and {number(interval.high)}" if interval.high else ""


def basis_sentence(rests_on: RestsOn) -> str:
    """What the range of visitors rests on."""
    return _BASES[rests_on]


def certificate_sentence(certificate: LineCertificate) -> str:
    """How a line did when it was checked by hand, or why that says nothing any more."""
    line = plain_name(certificate.line)
    when = "" if certificate.taken_in is None else f" on {datetime.fromisoformat(certificate.taken_in):%-d %B %Y}"
    if certificate.ended is not None:
        return f"{line}: checked by hand{when}, but {_ENDS[certificate.ended]}. Have it checked again."
    ways = (("in", certificate.inward), ("out", certificate.outward))
    found = [f"{way.matched} of {way.by_hand} {name}" for name, way in ways if way is not None]
    wrong = sum(way.counted - way.matched for _, way in ways if way is not None)
    too_many = f", and {wrong} too many" if wrong else ""
    at_best = " at best" if certificate.method == CheckMethod.TOTALS else ""
    return f"{line}: checked by hand{when}; {' and '.join(found)} were found{at_best}{too_many}."


def duration(seconds: float | None) -> str:
    """A length of time as people say it: seconds matter below two minutes."""
    if seconds is None:
        return UNKNOWN
    whole = round(seconds)
    if whole < MINUTE:
        return f"{whole} s"
    if whole < 2 * MINUTE:
        minutes, rest = divmod(whole, MINUTE)
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    minutes = round(seconds / MINUTE)
    hours, rest = divmod(minutes, 60)
    if not hours:
        return f"{minutes} min"
    return f"{hours} h {rest} min" if rest else f"{hours} h"


def ago(seconds: float) -> str:
    """How long since, roughly."""
    for unit, name in ((DAY, "day"), (HOUR, "hour"), (MINUTE, "minute")):
        if seconds >= unit:
            count = int(seconds // unit)
            return f"{count} {name}{'s' if count > 1 else ''} ago"
    return "just now"


def plain_name(slug: str) -> str:
    """An id as a person would write it."""
    return slug.replace("-", " ").strip().capitalize() or slug


def opening_now(hours: OpeningHours, *, now: datetime) -> str:
    """Whether it is open by the clock on its wall, and what comes next today."""
    minutes = now.hour * 60 + now.minute
    today = hours.on(now.date())
    late = [
        (opens - MINUTES_A_DAY, closes - MINUTES_A_DAY) for opens, closes in hours.on(now.date() - timedelta(days=1))
    ]
    for opens, closes in (*late, *today):
        if opens <= minutes < closes:
            return "Open all day" if closes - opens == MINUTES_A_DAY else f"Open until {_clock(closes)}"
    later = [opens for opens, _ in today if opens > minutes]
    if later:
        return f"Closed, opens at {_clock(min(later))}"
    return "Closed for today" if today else "Closed today"


def camera_condition(state: str, reason: str, *, box_is_silent: bool) -> Condition:
    """How a camera does; what a box last said of it means little once the box is silent."""
    if box_is_silent:
        return Condition(tone=Tone.BAD, word="Not heard from", detail="Its box is not connected.")
    known = _STATES[CameraState(state)]
    return Condition(tone=known.tone, word=known.word, detail=_REASONS[HealthReason(reason)])


def box_condition(
    state: str, *, vision: str | None, waiting: int | None, oldest_seconds: float | None, silent_seconds: float | None
) -> Condition:
    """How a box does; `silent_seconds` is None for one that never spoke."""
    if silent_seconds is None:
        return Condition(tone=Tone.WAITING, word="Nothing heard yet")
    if state == BoxState.OFFLINE:
        return Condition(
            tone=Tone.BAD,
            word="Not connected",
            detail=f"Last heard {ago(silent_seconds)}. It keeps what it counts and delivers it later.",
        )
    if vision == VisionState.DEAD:
        return Condition(
            tone=Tone.BAD, word="Connected, but not watching", detail="The part of it that sees has ended."
        )
    if waiting is not None and waiting >= _WAITING_WORTH_SAYING:
        age = f", the oldest from {ago(oldest_seconds)}" if oldest_seconds is not None else ""
        return Condition(
            tone=Tone.WAITING, word="Catching up", detail=f"{number(waiting)} reports are still on their way{age}."
        )
    if state == BoxState.ONLINE:
        return Condition(tone=Tone.GOOD, word="Connected")
    return Condition(tone=Tone.WAITING, word=f"Last heard {ago(silent_seconds)}")


def soundness(coverage: Coverage, *, cameras: int, lost_items: int, enough: float) -> Condition:
    """Whether today's numbers may be believed: enough was watched, and nothing was lost."""
    if not cameras:
        return Condition(tone=Tone.WAITING, word="Nothing is counted here yet")
    if coverage.fraction is None and not lost_items:
        return Condition(tone=Tone.GOOD, word="Nothing to judge yet")
    if lost_items or (coverage.fraction or 0) < enough:
        return Condition(tone=Tone.WAITING, word="Read these numbers with care")
    return Condition(tone=Tone.GOOD, word="These numbers are sound")


def coverage_sentence(coverage: Coverage, *, cameras: int) -> str:
    """How much of today was watched."""
    if not cameras:
        return "No camera has reported from here yet."
    if coverage.fraction is None:
        return "Nothing had to be watched yet today: it was closed, or the cameras have only just come online."
    if coverage.fraction >= 1:
        return "Today was watched without a break so far."
    missing = duration(coverage.scheduled_seconds * (1 - coverage.fraction))
    of = "" if cameras == 1 else f", all {cameras} cameras taken together"
    return (
        f"{share(coverage.fraction)} of today’s opening hours so far were watched; {missing} are missing{of}. "
        "What was not seen is not guessed."
    )


def loss_sentence(lost_items: int, by_reason: Mapping[str, int]) -> str:
    """What was lost between camera and page."""
    if not lost_items:
        return "No report was lost on its way."
    reasons = [
        f"{number(count)} {_LOSSES[GapReason(reason)]}" for reason, count in by_reason.items() if reason in _LOSSES
    ]
    why = f" ({', '.join(reasons)})" if reasons else ""
    lost = "1 report was" if lost_items == 1 else f"{number(lost_items)} reports were"
    return f"{lost} lost on the way{why}. What they held is missing from today’s numbers."


def withheld_sentence(visits: int) -> str:
    """Visits that were left out of grouped figures."""
    stay = "1 visit stays" if visits == 1 else f"{number(visits)} visits stay"
    return f"{stay} out of the finer figures, so that nobody can be singled out."


def counting_rule(counted_by: CountedBy) -> str:
    """What a visitor is here."""
    if counted_by is CountedBy.ENTRANCE_LINES:
        return "Visitors are people walking in through an entrance, staff left out."
    if counted_by is CountedBy.MIXED:
        return "Part of this time no entrance was watched: then each stay in view counts as one visitor."
    return "No entrance is watched here, so each stay in view counts as one visitor."


def _clock(minutes: int) -> str:
    return f"{minutes // 60 % 24:02}:{minutes % 60:02}"


def moment(text: str | None) -> str:
    """A UTC moment of the API, to the minute."""
    return "never" if text is None else f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M} UTC"


_BROWSERS = (("Edg", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrom", "Chrome"), ("Safari/", "Safari"))
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS", "Mac"),
    ("Linux", "Linux"),
)


def browser_name(user_agent: str) -> str:
    """What a browser says that it is, as people know it; the first that fits, since most claim to be others too."""
    browser = next((name for mark, name in _BROWSERS if mark in user_agent), "A browser")
    system = next((name for mark, name in _SYSTEMS if mark in user_agent), "")
    return f"{browser} on {system}" if system else browser
