"""An envelope that came over HTTPS: committed by the same hands as one from the broker, and answered the same way."""

from collections.abc import Sequence

from cloud.errors import StoreError
from cloud.ingest.commit import Committer
from cloud.ingest.intake import intake
from protocol.acks import Ack
from protocol.topics import Leaf, Topic

__all__ = ["take_envelope"]

NO_VENUE = "none"


def take_envelope(committer: Committer, *, box: str, venue: str | None, payload: bytes) -> Sequence[Ack]:
    """Commit a payload of one box; its acks, that of the envelope's own epoch first."""
    # An empty MQTT payload clears what was retained; over HTTPS it is one that cannot be read.
    topic = Topic(venue=venue or NO_VENUE, box=box, leaf=Leaf.EVENTS)
    acks = [one.ack for one in committer.commit([intake(str(topic), payload or b" ")])]
    if not acks:
        raise StoreError("An envelope was committed without an ack")
    return acks
