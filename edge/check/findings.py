"""What a check says of one topic: a verdict, a sentence, and what to do where all is not well."""

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Finding", "Verdict", "fail", "ok", "warn"]


class Verdict(StrEnum):
    """How a topic stands: well, not as it should be, or so that the box cannot do its work."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One topic's outcome. `said` is what was found; `advice` is empty where there is nothing to do."""

    topic: str
    verdict: Verdict
    said: str
    advice: str = ""


def ok(topic: str, said: str) -> Finding:
    """All is well."""
    return Finding(topic=topic, verdict=Verdict.OK, said=said)


def warn(topic: str, said: str, advice: str) -> Finding:
    """It works, and not as it should."""
    return Finding(topic=topic, verdict=Verdict.WARN, said=said, advice=advice)


def fail(topic: str, said: str, advice: str) -> Finding:
    """The box cannot do its work so."""
    return Finding(topic=topic, verdict=Verdict.FAIL, said=said, advice=advice)
