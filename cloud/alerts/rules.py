"""The rules: what is known of venues and boxes becomes steps that raise, keep and resolve alerts.

Each rule has two thresholds. An alert is raised at the first and kept as long as the second is passed; once it has been
below that for `SETTLE_MS`, it ends. So a number that wavers around a limit makes one alert and not twenty. Pure
functions: the moment is an argument, and nothing is read or written here.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

__all__ = [
    "OFFLINE_GRACE_MS",
    "SETTLE_MS",
    "BoxContact",
    "End",
    "Facts",
    "Finding",
    "Keep",
    "Level",
    "OpenAlert",
    "Raise",
    "Rule",
    "Step",
    "Subject",
    "VenueLoad",
    "evaluate",
    "findings_of",
]

SETTLE_MS = 60_000
"""How long a condition must have gone before its alert ends."""
OFFLINE_GRACE_MS = 60_000
"""A box whose uplink starts anew is offline for some seconds; that is not worth a message."""
_KEPT_SHARE = 0.95
"""A venue that was over its capacity is kept in alarm while it is fuller than this share of it."""


class Rule(StrEnum):
    """What an alert is about."""

    CAPACITY_EXCEEDED = "capacity-exceeded"
    BOX_OFFLINE = "box-offline"


class Level(StrEnum):
    """Where a condition stands between its two thresholds."""

    ALARM = "alarm"
    NEAR = "near"
    CLEAR = "clear"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueLoad:
    """How many people are in a venue with a known capacity; None while nothing recent says so."""

    venue: str
    capacity: int
    people: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxContact:
    """When a box that belongs to a venue was last heard, in ms, and whether it said good-bye."""

    box: str
    venue: str
    is_offline: bool
    last_seen_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that the rules look at. Nobody was there to hear a box before `watching_since_ms`."""

    loads: Sequence[VenueLoad]
    contacts: Sequence[BoxContact]
    watching_since_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What an alert stands for: a rule, a venue, and a box, or nothing where the whole venue is meant."""

    rule: Rule
    venue: str
    subject: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a rule finds of a subject: people, or seconds of silence, beside the threshold."""

    of: Subject
    level: Level
    value: int | None
    threshold: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAlert:
    """An alert that has not ended."""

    id: str
    of: Subject
    last_seen_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Raise:
    """A new alert."""

    finding: Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """The condition still holds."""

    alert: str
    finding: Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """The condition has gone, or there is nothing left for it to be of."""

    alert: str


Step = Raise | Keep | End


def findings_of(facts: Facts, *, now_ms: int, silent_ms: int) -> Iterator[Finding]:
    """What each rule finds; a box is silent after `silent_ms` without a word."""
    for load in facts.loads:
        yield Finding(
            of=Subject(rule=Rule.CAPACITY_EXCEEDED, venue=load.venue),
            level=_load_level(load),
            value=load.people,
            threshold=load.capacity,
        )
    for contact in facts.contacts:
        patience_ms = OFFLINE_GRACE_MS if contact.is_offline else silent_ms
        yield Finding(
            of=Subject(rule=Rule.BOX_OFFLINE, venue=contact.venue, subject=contact.box),
            level=_contact_level(
                contact,
                patience_ms=patience_ms,
                silence_ms=now_ms - contact.last_seen_ms,
                watched_ms=now_ms - facts.watching_since_ms,
            ),
            value=max(0, now_ms - contact.last_seen_ms) // 1000,
            threshold=patience_ms // 1000,
        )


def evaluate(findings: Iterable[Finding], open_alerts: Iterable[OpenAlert], *, now_ms: int) -> tuple[Step, ...]:
    """What is to be done about the alerts that are open, and which are new."""
    by_subject = {finding.of: finding for finding in findings}
    alerts: Mapping[Subject, OpenAlert] = {alert.of: alert for alert in open_alerts}
    steps: list[Step] = [
        Raise(finding=finding)
        for subject, finding in by_subject.items()
        if finding.level is Level.ALARM and subject not in alerts
    ]
    for subject, alert in alerts.items():
        finding = by_subject.get(subject)
        if finding is None:
            steps.append(End(alert=alert.id))
        elif finding.level in {Level.ALARM, Level.NEAR}:
            steps.append(Keep(alert=alert.id, finding=finding))
        elif finding.level is Level.CLEAR and now_ms - alert.last_seen_ms >= SETTLE_MS:
            steps.append(End(alert=alert.id))
    return tuple(steps)


def _load_level(load: VenueLoad) -> Level:
    if load.people is None:
        return Level.UNKNOWN
    if load.people > load.capacity:
        return Level.ALARM
    return Level.NEAR if load.people > load.capacity * _KEPT_SHARE else Level.CLEAR


def _contact_level(contact: BoxContact, *, patience_ms: int, silence_ms: int, watched_ms: int) -> Level:
    if silence_ms >= patience_ms:
        # After a standstill of the cloud every box has been silent, and each gets its time to speak.
        return Level.ALARM if watched_ms >= patience_ms else Level.UNKNOWN
    return Level.NEAR if contact.is_offline else Level.CLEAR
