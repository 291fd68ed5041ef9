"""What the demo prints: one line that stays up to date on a terminal, a line now and then elsewhere."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from rich.console import Console
from rich.live import Live
from rich.text import Text

__all__ = ["Figures", "Screen", "closing", "opened", "told"]

_PLAIN_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Counted, or true. `in_view` is None while nobody can say; `mean_in_view` is over all the time so far."""

    in_view: int | None
    mean_in_view: float
    visits: int
    walked_in: int
    walked_out: int


class Screen(Protocol):
    """Where the running line goes."""

    def show(self, line: str, *, seconds: float) -> None:
        """Show how things stand after so many seconds."""
        ...


def told(seconds: float, counted: Figures, truth: Figures | None, *, camera: str) -> str:
    """The running line: figures as counted, and in brackets the truth where it is known."""
    if camera != "online":
        return f"{_clock(seconds)}  camera {camera}"

    def beside(name: str) -> str:
        value = getattr(counted, name)
        shown = "–" if value is None else str(value)
        return shown if truth is None else f"{shown} ({getattr(truth, name)})"

    parts = [f"in view {beside('in_view')}", f"visits {beside('visits')}"]
    if truth is not None:
        parts.append(f"walked in {beside('walked_in')}, out {beside('walked_out')}")
    return "  ".join([_clock(seconds), " · ".join(parts)])


def closing(seconds: float, counted: Figures, truth: Figures | None) -> str:
    """The last words: counted against true."""
    if truth is None:
        return f"Counted in {_clock(seconds).strip()}: {counted.visits} visits that have ended."
    rows = [
        ("visits that ended", str(counted.visits), str(truth.visits)),
        ("walked in", str(counted.walked_in), str(truth.walked_in)),
        ("walked out", str(counted.walked_out), str(truth.walked_out)),
        ("mean in view", f"{counted.mean_in_view:.2f}", f"{truth.mean_in_view:.2f}"),
    ]
    table = [f"  {name:<18}{number:>7}{true:>7}" for name, number, true in rows]
    return "\n".join([f"{f'After {_clock(seconds).strip()}':<20}{'counted':>7}{'true':>7}", *table])


@contextmanager
def opened(console: Console) -> Iterator[Screen]:
    """A line that is written over on a terminal, else one every ten seconds."""
    if not console.is_terminal:
        yield _Plain()
        return
    with Live(console=console, auto_refresh=False, transient=True) as live:
        yield _Updated(live)


class _Updated:
    def __init__(self, live: Live) -> None:
        self._live = live

    def show(self, line: str, *, seconds: float) -> None:
        del seconds
        self._live.update(Text(line, no_wrap=True, overflow="ellipsis"), refresh=True)


class _Plain:
    def __init__(self) -> None:
        self._due = _PLAIN_SECONDS

    def show(self, line: str, *, seconds: float) -> None:
        if seconds >= self._due:
            self._due += _PLAIN_SECONDS
            print(line, file=sys.stdout, flush=True)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes:>2}:{rest:02}"
