"""Shares the machine among its cameras: where frames come faster than they are analysed, all rates sink alike.

A frame that is passed over at its source costs less than one that is dropped, and at even intervals people are followed
better than at whatever intervals are left. Knows counts of frames, and time as it is told; refuses to know pictures.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from edge.camera.latest import Counters
from edge.camera.sampling import Sampler
from edge.camera_settings import LEAST_RATE

__all__ = ["Scheduler", "SchedulerSettings"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulerSettings:
    """How rates follow the load.

    window_seconds: how long frames are counted before anything is decided. tolerated: the share of them that may be
    dropped. spare: where no more than this share is, the box may carry more; recovery: by what factor it is tried.
    patience: between two tries at most so many windows pass; the number doubles when a try fails, and halves else.
    short_windows: so many running at the least rates and in want of lower ones begin an overload; well_windows: so many
    running without want end it.
    """

    window_seconds: float = 5.0
    tolerated: float = 0.05
    spare: float = 0.01
    recovery: float = 1.08
    patience: int = 12
    short_windows: int = 3
    well_windows: int = 12


class Scheduler:
    """Sets the rates of these samplers, by camera; what each has now is what its camera asks for."""

    def __init__(self, samplers: Mapping[str, Sampler], settings: SchedulerSettings | None = None) -> None:
        self._samplers = {name: (sampler, sampler.rate) for name, sampler in samplers.items() if sampler.rate}
        self._settings = settings or SchedulerSettings()
        self._least = LEAST_RATE / max((rate for _, rate in self._samplers.values()), default=LEAST_RATE)
        self._began: float | None = None
        self._before = (0, 0)
        self._said = 1.0
        self._patience = 1
        self._since_try = 1
        self._short = self._well = 0
        self.share = 1.0
        """Of its rate, at which each camera is analysed, down to 2 frames a second; 0 to 1."""
        self.is_overloaded = False
        """Whether frames are dropped although no rate can sink any more: nobody can be followed then.

        It begins when that has lasted for a quarter of a minute, and ends when all has been well for a minute.
        """

    def update(self, now: float, counters: Mapping[str, Counters]) -> None:
        """Take what became of each camera's frames since the start."""
        settings = self._settings
        handed = sum(count.received - count.skipped for count in counters.values())
        dropped = sum(count.dropped for count in counters.values())
        if self._began is not None:
            if now - self._began < settings.window_seconds:
                return
            lost = (dropped - self._before[1]) / max(handed - self._before[0], 1)
            self._decide(lost)
        self._began, self._before = now, (handed, dropped)

    def _decide(self, lost: float) -> None:
        settings = self._settings
        if not self._samplers:
            return
        self._judge(lost)
        self._since_try += 1
        if lost > settings.tolerated:
            if self._since_try == 1:
                self._patience = min(2 * self._patience, settings.patience)
            self.share = max(self.share * (1 - lost), self._least)
        elif lost <= settings.spare and self.share < 1.0:
            if self._since_try == 1:
                self._patience = max(self._patience // 2, 1)
            if self._since_try >= self._patience:
                self.share = min(self.share * settings.recovery, 1.0)
                self._since_try = 0
        for sampler, rate in self._samplers.values():
            sampler.rate = max(rate * self.share, min(rate, LEAST_RATE))
        self._say()

    def _judge(self, lost: float) -> None:
        """Whether the box is overloaded, by what it cannot carry of the least rates, whatever was tried above them."""
        settings = self._settings
        is_short = lost > settings.tolerated and self.share * (1 - lost) < self._least * (1 - settings.tolerated)
        self._well = 0 if is_short else self._well + 1
        if not is_short:
            self._short = 0
        elif self.share <= self._least or self._short:
            self._short += 1
        if self._short >= settings.short_windows:
            self.is_overloaded = True
        elif self._well >= settings.well_windows:
            self.is_overloaded = False

    def _say(self) -> None:
        """Tell of the first shortage, of one that grew by much, and of the end."""
        if self.share < 1.0 and self.share < 0.8 * self._said:
            self._said = self.share
            _log.warning(
                "this box carries %.0f %% of the frames that its cameras should be analysed at, so all rates sink to "
                "that; `footfall edge bench` tells what it carries",
                100 * self.share,
                extra={"action": "lower-rates"},
            )
        elif self.share == 1.0 and self._said < 1.0:
            self._said = 1.0
            _log.info("all cameras are analysed at their rates again", extra={"action": "restore-rates"})
