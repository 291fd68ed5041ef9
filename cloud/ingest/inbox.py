"""Messages between the network's thread and the loop that commits: an unbounded queue whose bound is the broker's.

The broker sends no more than its window of unacknowledged messages a connection, and sends them again on the next, so
those of an older connection are forgotten. Only QoS 0 could fill the memory; it is dropped when the queue is long.
"""

import queue
import time
from dataclasses import dataclass

__all__ = ["Inbox", "Message"]

MAX_UNSENT_LIVE = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message, and the connection it came by: its `mid` means nothing on any other."""

    connection: int
    mid: int
    qos: int
    topic: str
    payload: bytes
    retained: bool


class Inbox:
    """A queue that gives batches."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._connection = 0
        self.dropped_live = 0

    def put(self, message: Message) -> None:
        """Take a message from the network; one of QoS 0 only while there is room."""
        if message.connection != self._connection:
            self._connection = message.connection
            self._forget()
        if message.qos == 0 and self._queue.qsize() >= MAX_UNSENT_LIVE:
            self.dropped_live += 1
        else:
            self._queue.put(message)

    def take(self, *, most: int, gather_seconds: float, wait_seconds: float) -> list[Message]:
        """Wait for a first message, then gather more until there are `most` or the time is over."""
        try:
            batch = [self._queue.get(timeout=wait_seconds)]
        except queue.Empty:
            return []
        deadline = time.monotonic() + gather_seconds
        while len(batch) < most:
            try:
                batch.append(self._queue.get(timeout=max(0.0, deadline - time.monotonic())))
            except queue.Empty:
                break
        return batch

    def _forget(self) -> None:
        while True:
            try:
                self._queue.get_nowait()
            except queue.Empty:
                return
