"""The hours of a day as a bar chart: where everything lies, for a template to write as SVG. Pure.

Across, positions are percent of the drawing's width, so that it stretches while its type does not; down, they are
pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["BASELINE_PX", "HEIGHT_PX", "Bar", "Chart", "HourCount", "Tick", "chart"]

HEIGHT_PX = 220
TOP_PX, BASELINE_PX = 28, 192
LEFT_PERCENT = 5.0
_FILLED = 0.66
_MIN_BAR_PX = 3
_STEPS = (1, 2, 4, 5)


@dataclass(frozen=True, slots=True, kw_only=True)
class HourCount:
    """What is drawn of an hour: `visitors` is None for one that lies ahead."""

    label: str
    visitors: int | None
    is_running: bool
    is_unsure: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """An hour's place: its whole column, and the bar in it."""

    hour: HourCount
    column_x: float
    column_width: float
    centre: float
    x: float
    width: float
    y: int
    height: int
    is_greatest: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A line across, and its number."""

    y: int
    value: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A whole drawing."""

    bars: tuple[Bar, ...]
    ticks: tuple[Tick, ...]


def chart(hours: Sequence[HourCount]) -> Chart:
    """Place the hours beside each other, under a round number that none exceeds."""
    greatest = max((hour.visitors or 0 for hour in hours), default=0)
    top = _round_up(greatest)
    width = (100 - LEFT_PERCENT) / max(1, len(hours))
    busiest = next((index for index, hour in enumerate(hours) if greatest and hour.visitors == greatest), None)

    def bar(index: int, hour: HourCount) -> Bar:
        column = LEFT_PERCENT + index * width
        height = _height(hour.visitors or 0, top=top)
        return Bar(
            hour=hour,
            column_x=round(column, 3),
            column_width=round(width, 3),
            centre=round(column + width / 2, 3),
            x=round(column + width * (1 - _FILLED) / 2, 3),
            width=round(width * _FILLED, 3),
            y=BASELINE_PX - height,
            height=height,
            is_greatest=index == busiest,
        )

    return Chart(
        bars=tuple(bar(index, hour) for index, hour in enumerate(hours)),
        ticks=tuple(Tick(y=BASELINE_PX - _height(value, top=top), value=value) for value in (0, top // 2, top)),
    )


def _height(value: int, *, top: int) -> int:
    return max(_MIN_BAR_PX, round((BASELINE_PX - TOP_PX) * value / top)) if value else 0


def _round_up(value: int) -> int:
    """The next even number with one leading digit, such as 10, 20, 40, 50, 100."""
    power = 10
    if value <= power:
        return power
    while value > power * 10:
        power *= 10
    return next(step * power for step in (*_STEPS, 8, 10) if step * power >= value)
