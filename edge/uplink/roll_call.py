"""Whose turn it is to be greeted: the epochs of which the cloud was not told for long what it has settled.

Each envelope says what the cloud's acks have settled of its own epoch, so that a cloud restored from a back-up finds
out what it lost. Epochs that are over have nothing to send any more, so they are called one at a time: soon after each
connection, the newest first, and slowly for as long as it lasts.
"""

from collections.abc import Set as AbstractSet

from edge.exchange.outbox import Outbox

__all__ = ["RollCall"]

_REPEAT_SECONDS = 300.0
_FIRST_TURNS = 32
_FIRST_TURN_SECONDS = 1.0
_TURN_SECONDS = 60.0


class RollCall:
    """Knows when each epoch was last spoken of over this connection; times are monotonic seconds of this boot."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._said: dict[str, float] = {}
        self._turns = 0
        self._next_turn = float("-inf")

    def connected(self) -> None:
        """Over a new connection nothing was said yet."""
        self._said.clear()
        self._turns = 0
        self._next_turn = float("-inf")

    def said(self, epoch: str, now: float) -> None:
        """An envelope of this epoch has left."""
        self._said[epoch] = now

    def due(self, now: float, *, besides: AbstractSet[str]) -> str | None:
        """The epoch to greet now, if any, besides those that envelopes leave of anyway."""
        if now < self._next_turn:
            return None
        self._turns += 1
        self._next_turn = now + (_FIRST_TURN_SECONDS if self._turns < _FIRST_TURNS else _TURN_SECONDS)
        silent = [epoch for epoch in self._outbox.settled_epochs() if epoch not in besides]
        longest = min(silent, key=self._said_at, default=None)
        return longest if longest is not None and now - self._said_at(longest) >= _REPEAT_SECONDS else None

    def _said_at(self, epoch: str) -> float:
        return self._said.get(epoch, float("-inf"))
