"""The two modes of a venue, and what each lets out.

Statistics is the default; live is chosen, for operations. The hard minima hold whatever a setting says.
"""

from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator

from protocol.wire import WireEnum, known

__all__ = ["DISCLOSURE", "MIN_BUCKET_SECONDS", "MIN_CELL_M", "MIN_K", "Disclosure", "Mode", "ModeField"]

MIN_CELL_M = 0.25
MIN_BUCKET_SECONDS = 60
MIN_K = 3
DEFAULT_K = 5


class Mode(WireEnum):
    """What a venue lets out."""

    STATISTICS = "statistics"
    LIVE = "live"
    UNKNOWN = "unknown"


ModeField = Annotated[Mode, AfterValidator(known)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Disclosure:
    """How fine a mode lets figures be: all three in seconds."""

    bucket_seconds: int
    time_step_seconds: int
    live_interval_seconds: int


DISCLOSURE = {
    Mode.STATISTICS: Disclosure(bucket_seconds=900, time_step_seconds=10, live_interval_seconds=30),
    Mode.LIVE: Disclosure(bucket_seconds=60, time_step_seconds=1, live_interval_seconds=1),
}
