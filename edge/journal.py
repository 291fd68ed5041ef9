"""Durable writing off the frame loop: batches are committed in order by one thread.

While the disk is full, or another process holds the exchange, the batches wait here, in bounded memory; what does not
fit is let go oldest first and counted, and the count goes with the next batch that can be stored, to be declared;
configurations are never let go. A journal that closes meanwhile makes one last attempt to store how much it had to let
go, and else leaves a note of it for the next run. Any other failure ends the process, and systemd starts it again: what
was committed is safe, and open visits are closed from their checkpoints.
"""

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from types import TracebackType
from typing import Self

from edge.clock import Fix
from edge.errors import ExchangeBusy, ExchangeFull
from edge.exchange.batch import Batch
from edge.exchange.writer import Writer

__all__ = ["Journal"]

_WAITING_BATCHES = 2_000
_RETRY_SECONDS = 5.0
_CLOCK_SECONDS = 1.0

_log = logging.getLogger(__name__)


class Journal:
    """Feeds a writer; `system_fix` is asked for this boot's UTC now and then, on the same thread."""

    def __init__(
        self, writer: Writer, *, system_fix: Callable[[], Fix | None], waiting_batches: int = _WAITING_BATCHES
    ) -> None:
        self._writer = writer
        self._system_fix = system_fix
        self._limit = waiting_batches
        self._changed = threading.Condition()
        self._batches: deque[Batch] = deque()
        self._lost: Counter[str] = Counter()
        self._stopping = False
        self._defect: BaseException | None = None
        self._fix: Fix | None = None
        self._asked_at = float("-inf")
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)

    def __enter__(self) -> Self:
        self._learn_time()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join()
        if kind is None and self._defect is not None:
            raise self._defect

    @property
    def fix(self) -> Fix | None:
        """This boot's UTC as last known."""
        return self._fix

    def put(self, batch: Batch) -> None:
        """Commit this after all before it; raises what the thread died of."""
        with self._changed:
            if self._defect is not None:
                raise self._defect
            self._batches.append(batch)
            if len(self._batches) > self._limit:
                self._let_go_oldest()
            self._changed.notify_all()

    def _let_go_oldest(self) -> None:
        """Make room in memory; a configuration stays, for what was made under it."""
        oldest = next((batch for batch in self._batches if not _is_configuration(batch)), None)
        if oldest is None:
            return
        self._batches.remove(oldest)
        self._note_lost(oldest)

    def _note_lost(self, batch: Batch) -> None:
        self._lost.update(draft.type for draft in batch.drafts)
        self._lost.update("tile" for _ in batch.tiles)
        self._lost.update(batch.lost)

    def _run(self) -> None:
        try:
            while (batch := self._next()) is not None:
                self._commit(batch)
                origin = batch.origin
                if time.monotonic() - self._asked_at >= _CLOCK_SECONDS:
                    self._learn_time()
            if self._lost:
                self._declare_lost(Batch(origin=origin, lost=self._lost))
        except BaseException as defect:  # noqa: BLE001  handed to the frame loop, whose process it must end
            with self._changed:
                self._defect = defect

    def _next(self) -> Batch | None:
        """The next batch; None when all is written and the journal is closing."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._batches or self._stopping, _CLOCK_SECONDS)
                if self._batches:
                    batch = self._batches.popleft()
                    lost, self._lost = self._lost, Counter()
                    return replace(batch, lost=Counter(batch.lost) + lost) if lost else batch
                if self._stopping:
                    return None
            self._learn_time()

    def _commit(self, batch: Batch) -> None:
        try:
            self._writer.commit(batch)
        except (ExchangeFull, ExchangeBusy) as trouble:
            _log.error("%s; %d batches wait in memory", trouble, len(self._batches) + 1, extra={"action": "exchange"})
            with self._changed:
                if self._stopping:
                    self._note_lost(batch)
                    while self._batches and isinstance(trouble, ExchangeBusy):  # each would wait as long
                        self._note_lost(self._batches.popleft())
                    return
                self._batches.appendleft(batch)
                self._changed.wait_for(lambda: self._stopping, _RETRY_SECONDS)

    def _declare_lost(self, batch: Batch) -> None:
        """The last that is written: how much could not be."""
        let_go = ", ".join(f"{count} {kind}" for kind, count in sorted(batch.lost.items()))
        try:
            self._writer.commit(batch)
            said = "declared"
        except (ExchangeFull, ExchangeBusy):
            is_noted = self._writer.note_lost(batch.lost)
            said = "noted, to be declared by the next run" if is_noted else "not even declared"
        _log.error("Ends without room; let go and %s: %s", said, let_go, extra={"action": "exchange"})

    def _learn_time(self) -> None:
        self._asked_at = time.monotonic()
        fix = self._system_fix()
        if fix is not None:
            with suppress(ExchangeFull, ExchangeBusy):  # it is offered again in a moment
                self._writer.offer_fix(fix)
        with suppress(ExchangeBusy):
            self._fix = self._writer.fix()


def _is_configuration(batch: Batch) -> bool:
    return bool(batch.drafts) and not batch.tiles and all(draft.type == "configuration" for draft in batch.drafts)
