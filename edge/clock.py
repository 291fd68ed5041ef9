"""The two clocks of a box: monotonic time, which everything is measured by, and UTC, once it is known.

Monotonic time is CLOCK_BOOTTIME, which runs through suspend and is the same for all processes of one boot.
A `Fix` says how to get from one to the other: utc_ms = monotonic_ms + offset_ms. The wall clock alone is never
believed: it counts once the kernel says that NTP disciplines it, or when the configuration says to trust it.
"""

import ctypes
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from protocol.envelope import ClockSource

__all__ = [
    "SOONEST_MS",
    "Fix",
    "Trust",
    "better",
    "boot_id",
    "cloud_fix",
    "disciplined",
    "hardware_offset_ms",
    "monotonic",
    "system_fix",
    "to_utc",
]

SOONEST_MS = 1_577_836_800_000
"""2020 in UTC: no box observed anything earlier, so a clock that says so has lost its battery."""

_TIME_ERROR = 5
"""What adjtimex(2) returns while the kernel's clock is not synchronised."""

_HARDWARE_CLOCK = Path("/sys/class/rtc/rtc0/since_epoch")

_SLEW_MS = 50
"""NTP steers all the time; only a change larger than this is worth a transaction."""


class Trust(StrEnum):
    """When the system's clock is believed: once NTP has set it, or always."""

    NTP = "ntp"
    ALWAYS = "always"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fix:
    """UTC of a boot: utc_ms = monotonic_ms + offset_ms, within ± uncertainty_ms; None where nobody can say."""

    offset_ms: int
    source: ClockSource
    uncertainty_ms: int | None


class _Timex(ctypes.Structure):
    """struct timex of adjtimex(2): mode word, then more room than any ABI needs."""

    _fields_ = (("modes", ctypes.c_uint), ("rest", ctypes.c_byte * 508))


def monotonic() -> float:
    """Seconds since this boot, suspended time included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def boot_id() -> str:
    """The kernel's random id of this boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def hardware_offset_ms() -> int | None:
    """What the battery-backed clock claims UTC to be, less monotonic time; None on a box without one. Whole seconds."""
    try:
        claimed_ms = int(_HARDWARE_CLOCK.read_text()) * 1000
    except (OSError, ValueError):
        return None
    return claimed_ms - round(monotonic() * 1000)


def system_fix(trust: Trust) -> Fix | None:
    """A fix from the system's clock, or None while it may not be believed.

    Without NTP it is the hardware's, set by whoever says that it can be trusted: how well, nobody can say.
    """
    now_ms = round(time.time() * 1000)
    is_disciplined = disciplined()
    if now_ms < SOONEST_MS or (trust is Trust.NTP and not is_disciplined):
        return None
    offset = now_ms - round(monotonic() * 1000)
    if not is_disciplined:
        return Fix(offset_ms=offset, source=ClockSource.HARDWARE, uncertainty_ms=None)
    return Fix(offset_ms=offset, source=ClockSource.NTP, uncertainty_ms=100)


def cloud_fix(*, asked: float, answered: float, cloud_at: datetime) -> Fix:
    """A fix from an answer of the cloud: its time lay between asking and answering, both monotonic seconds."""
    middle_ms = round((asked + answered) * 500)
    half_ms = max(1, round((answered - asked) * 500))
    offset = round(cloud_at.timestamp() * 1000) - middle_ms
    return Fix(offset_ms=offset, source=ClockSource.CLOUD, uncertainty_ms=half_ms)


def better(known: Fix | None, offered: Fix) -> bool:
    """Whether an offered fix should replace the known one.

    NTP replaces anything, and a hardware clock that is to be trusted anything but NTP; the cloud's time replaces only
    the cloud's, when it is surer or contradicts it.
    """
    if known is None:
        return True
    if offered.source is known.source and offered.source is not ClockSource.CLOUD:
        return abs(known.offset_ms - offered.offset_ms) > _SLEW_MS
    if offered.source is not ClockSource.CLOUD:
        return known.source is not ClockSource.NTP
    if known.source is not ClockSource.CLOUD or known.uncertainty_ms is None or offered.uncertainty_ms is None:
        return False
    contradicts = abs(known.offset_ms - offered.offset_ms) > known.uncertainty_ms + offered.uncertainty_ms
    return contradicts or offered.uncertainty_ms < known.uncertainty_ms


def to_utc(utc_ms: int) -> datetime:
    """Whole milliseconds since 1970 as UTC."""
    return datetime.fromtimestamp(utc_ms // 1000, UTC).replace(microsecond=utc_ms % 1000 * 1000)


def disciplined() -> bool:
    """Whether the kernel says that NTP steers the system's clock."""
    return ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(_Timex())) not in {-1, _TIME_ERROR}
