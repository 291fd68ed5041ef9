"""Where a loop's processor time goes: functions of the product, timed where they stand in the real loop."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import wraps
from inspect import isgeneratorfunction
from unittest.mock import patch

__all__ = ["Stopwatch"]


class Stopwatch:
    """Adds up processor seconds by name. What one timed function spends in another counts for the other alone."""

    def __init__(self, now: Callable[[], float] = time.process_time) -> None:
        self.seconds: dict[str, float] = {}
        self._now = now
        self._running: list[str] = []
        self._since = 0.0

    def timing(self, name: str, owner: type, function: str) -> AbstractContextManager[object]:
        """A context in which this function of a class is timed; a generator while it makes its next item."""
        timed = self._items if isgeneratorfunction(getattr(owner, function)) else self._call
        return patch.object(owner, function, timed(name, getattr(owner, function)))

    def _call(self, name: str, function: Callable[..., object]) -> Callable[..., object]:
        @wraps(function)
        def timed(*arguments: object, **options: object) -> object:
            with self._on(name):
                return function(*arguments, **options)

        return timed

    def _items(self, name: str, function: Callable[..., Iterator[object]]) -> Callable[..., Iterator[object]]:
        @wraps(function)
        def timed(*arguments: object, **options: object) -> Iterator[object]:
            items = function(*arguments, **options)
            while True:
                with self._on(name):
                    item = next(items, _OVER)
                if item is _OVER:
                    return
                yield item

        return timed

    @contextmanager
    def _on(self, name: str) -> Iterator[None]:
        self._settle()
        self._running.append(name)
        try:
            yield
        finally:
            self._settle()
            self._running.pop()

    def _settle(self) -> None:
        """Credit what has passed to whoever runs."""
        now = self._now()
        if self._running:
            running = self._running[-1]
            self.seconds[running] = self.seconds.get(running, 0.0) + now - self._since
        self._since = now


_OVER = object()
