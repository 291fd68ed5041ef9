"""The ingest's loop: messages from the broker are committed, answered, and only then taken off the broker's hands.

    gather → commit → publish the acks → acknowledge to the broker

While the database fails nothing is acknowledged and the batch is tried again, with growing pauses, for as long as it
takes; the broker and the boxes hold what waits. Knows the order of things; each step is done elsewhere.
"""

import logging
import random
import threading
import time
from collections.abc import Sequence

from cloud.errors import CloudError, StoreError
from cloud.ingest.broker import BrokerAddress, BrokerConnection
from cloud.ingest.commit import Acknowledgement, Committer
from cloud.ingest.inbox import Inbox, Message
from cloud.ingest.intake import intake
from cloud.ingest.release import release_due, release_waiting
from cloud.store.engine import store_name
from cloud.store.schema import check_schema
from protocol.topics import Leaf, Topic

__all__ = ["Ingest", "IngestStopped"]

MAX_MESSAGES = 500
GATHER_SECONDS = 0.05
IDLE_SECONDS = 0.25
RELEASE_SECONDS = 30.0
RETRY_FIRST_SECONDS, RETRY_CAP_SECONDS = 0.5, 30.0
_LOG = logging.getLogger(__name__)


class IngestStopped(CloudError):
    """The connection to the broker ended for good."""


class Ingest:
    """One worker: one connection to the broker, one committer."""

    def __init__(
        self,
        committer: Committer,
        address: BrokerAddress,
        *,
        client_id: str = "footfall-ingest",
        shared_group: str | None = None,
    ) -> None:
        self._committer = committer
        self._inbox = Inbox()
        self._broker = BrokerConnection(
            address, client_id=client_id, deliver=self._inbox.put, shared_group=shared_group
        )
        self._next_release = 0.0
        self._started = False

    def run(self, stop: threading.Event) -> None:
        """Work until told to stop: the batch in hand is finished, the session at the broker stays."""
        check_schema(self._committer.engine)
        with self._broker:
            while not stop.is_set():
                self._require_network()
                self._release(stop)
                batch = self._inbox.take(most=MAX_MESSAGES, gather_seconds=GATHER_SECONDS, wait_seconds=IDLE_SECONDS)
                if batch:
                    self._settle(batch, stop)

    def _settle(self, batch: Sequence[Message], stop: threading.Event) -> None:
        acknowledgements = self._commit(batch, stop)
        if acknowledgements is None:
            return
        for acknowledgement in acknowledgements:
            self._answer(acknowledgement)
        for message in batch:
            if message.qos:
                self._broker.ack(message)

    def _commit(self, batch: Sequence[Message], stop: threading.Event) -> tuple[Acknowledgement, ...] | None:
        """Commit until it works; None when told to stop before it did."""
        deliveries = [intake(one.topic, one.payload, retained=one.retained) for one in batch]
        failures = 0
        while True:
            try:
                return self._committer.commit(deliveries)
            except StoreError as error:
                failures += 1
                pause = random.uniform(0, min(RETRY_CAP_SECONDS, RETRY_FIRST_SECONDS * 2**failures))
                _LOG.error(
                    "%s; %d messages wait, next try in %.1f s", error, len(batch), pause,
                    extra={"action": "commit", "database": store_name(self._committer.engine)},
                )  # fmt: skip
                if stop.wait(pause):
                    return None

    def _answer(self, acknowledgement: Acknowledgement) -> None:
        topic = str(Topic(venue=acknowledgement.venue, box=acknowledgement.box, leaf=Leaf.ACK))
        if not self._broker.publish(topic, acknowledgement.ack.to_json()):
            _LOG.warning(
                "An ack to box %s could not be sent; it will ask again", acknowledgement.box,
                extra={"action": "answer", "box": acknowledgement.box},
            )  # fmt: skip

    def _release(self, stop: threading.Event) -> None:
        """Let in, from time to time, what was held and may count now."""
        if time.monotonic() < self._next_release or stop.is_set():
            return
        self._next_release = time.monotonic() + RELEASE_SECONDS
        release = release_due if self._started else release_waiting
        try:
            released = release(self._committer.engine, self._committer.now())
        except StoreError as error:
            _LOG.error("%s; held items wait", error, extra={"action": "release"})
            return
        self._started = True
        if released.counted:
            _LOG.info("%d held items count now", released.counted, extra={"action": "release"})

    def _require_network(self) -> None:
        if not self._broker.is_running:
            raise IngestStopped
