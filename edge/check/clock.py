"""Whether this box knows what time it is."""

import time
from dataclasses import dataclass

from edge import clock
from edge.check.findings import Finding, fail, ok, warn
from edge.clock import SOONEST_MS, Trust

__all__ = ["Clock", "check_clock", "read_clock"]

_STEER = "switch NTP on: timedatectl set-ntp true, or install chrony"


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """What the system says: UTC in ms since 1970, whether NTP steers it, whether a battery-backed clock is there."""

    utc_ms: int
    disciplined: bool
    has_hardware_clock: bool


def read_clock() -> Clock:
    """The clock of this machine, now."""
    return Clock(
        utc_ms=round(time.time() * 1000),
        disciplined=clock.disciplined(),
        has_hardware_clock=clock.hardware_offset_ms() is not None,
    )


def check_clock(read: Clock, trust: Trust = Trust.NTP) -> Finding:
    """The time is right, or vision knows that it is not."""
    now = clock.to_utc(read.utc_ms).strftime("%Y-%m-%d %H:%M UTC")
    battery = "there is a hardware clock" if read.has_hardware_clock else "there is no hardware clock"
    if read.utc_ms < SOONEST_MS:
        return fail("clock", f"it says {now}, which cannot be; {battery}", _STEER)
    if read.disciplined:
        return ok("clock", f"{now}, steered by NTP; {battery}")
    if trust is Trust.ALWAYS:
        return warn("clock", f"{now}, believed as it is (clock.trust) and not steered by NTP; {battery}", _STEER)
    return warn("clock", f"{now}, not steered by NTP, so times wait for it or for the cloud's; {battery}", _STEER)
