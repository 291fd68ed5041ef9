"""What a comparison says, for people and for programs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from edge.accuracy.comparison import Figure, Share
from edge.accuracy.intervals import Interval
from edge.camera_settings import LEAST_RATE
from protocol.wire import JsonObject

__all__ = ["Accuracy", "Reading"]

_HEADS = ("counted", "true", "error", "95 % interval", "found", "right")
_WIDTHS = (8, 7, 10, 18, 22, 22)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What was counted at so many frames a second; no figures where a camera may not be analysed so slowly."""

    part: str
    rate: float
    analysed: int = 0
    figures: tuple[Figure, ...] = ()

    def to_json(self) -> JsonObject:
        """Errors, shares and intervals are in percent."""
        return {
            "rate": round(self.rate, 3),
            "analysed": self.analysed,
            "figures": [_told(figure) for figure in self.figures],
        }

    def rows(self) -> Iterator[tuple[str, Sequence[str]]]:
        """A name and its cells: the heads, then the figures."""
        title = f"{self.part.capitalize()} rate, {self.rate:.4g} frames/s"
        if not self.figures:
            yield f"{title}: not played, a camera is analysed at {LEAST_RATE:g} frames/s or more", ()
            return
        yield title, _HEADS
        yield from ((f"  {figure.name}", _cells(figure)) for figure in self.figures)


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """How well a camera counted, at each rate."""

    readings: tuple[Reading, ...]

    def to_json(self) -> list[JsonValue]:
        """One object for each rate that was played."""
        return [reading.to_json() for reading in self.readings if reading.figures]

    def lines(self) -> Iterator[str]:
        """A small table for each rate."""
        rows = [row for reading in self.readings for row in reading.rows()]
        first = max(len(name) for name, cells in rows if cells)
        for name, cells in rows:
            padded = (f"{cell:>{width}}" for cell, width in zip(cells, _WIDTHS, strict=False))
            yield f"{name:<{first}}{''.join(padded)}".rstrip()


def _cells(figure: Figure) -> tuple[str, ...]:
    shares = [f"{share.part} of {share.whole}{_span(share.interval)}" if share else "" for share in _shares(figure)]
    error = "–" if figure.error is None else f"{100 * figure.error:+.1f} %"
    span = "–" if figure.interval is None else " … ".join(f"{100 * end:+.0f}" for end in figure.interval) + " %"
    return _amount(figure.counted), _amount(figure.true), error, span, *shares


def _shares(figure: Figure) -> tuple[Share | None, Share | None]:
    return figure.found, figure.right


def _amount(value: float | None) -> str:
    if value is None:
        return "–"
    return str(value) if isinstance(value, int) else f"{value:.1f} s"


def _span(interval: Interval | None) -> str:
    return "" if interval is None else f" ({100 * interval[0]:.0f}–{100 * interval[1]:.0f} %)"


def _told(figure: Figure) -> JsonObject:
    told: JsonObject = {
        "figure": figure.name,
        "counted": _rounded(figure.counted),
        "true": _rounded(figure.true),
        "error_percent": _percent(figure.error),
        "interval_percent": _percents(figure.interval),
    }
    for name, share in zip(("found", "right"), _shares(figure), strict=True):
        if share is not None:
            told[f"{name}_percent"] = _percent(share.value)
            told[f"{name}_interval_percent"] = _percents(share.interval)
    return told


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


def _percent(share: float | None) -> float | None:
    return None if share is None else round(100 * share, 1)


def _percents(interval: Interval | None) -> list[JsonValue] | None:
    return None if interval is None else [round(100 * end, 1) for end in interval]
