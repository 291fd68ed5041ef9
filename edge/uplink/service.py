"""The process that reaches the internet and never sees a pixel: it drains the exchange to the broker.

One loop: connect, say so, then take what arrives, send what is due and keep the status fresh, until the connection
ends; then again after a full-jitter pause. Whatever the outbox held at any of these moments it still holds.
"""

import logging
import random
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from edge.backoff import Backoff
from edge.clock import Trust, system_fix
from edge.errors import ExchangeError
from edge.exchange.outbox import Outbox
from edge.notify import Notifier
from edge.uplink import bulletin
from edge.uplink.bulletin import Identity
from edge.uplink.delivery import Delivery
from edge.uplink.link import Address, Link, LinkLost, Message, MqttLink, Post
from edge.uplink.tally import Tally
from protocol import topics
from protocol.modes import DISCLOSURE
from protocol.status import Live, Status
from protocol.topics import Leaf, Topic

__all__ = ["Uplink", "UplinkSettings"]

_STATUS_SECONDS = 30.0
_STATUS_CHECK_SECONDS = 2.0
_TURN_SECONDS = 0.2
_LIVE_EXPIRY_SECONDS = 120
_STORE_TROUBLE_SECONDS = 5.0
_VENUES = "venues"
"""Under which key it is remembered where retained messages of this box may stand."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class UplinkSettings:
    """What uplink needs to know. `room_bytes` is the exchange's byte budget, for the status."""

    folder: Path
    address: Address
    identity: Identity
    boot: str
    trust: Trust
    room_bytes: int


class Uplink:
    """Runs until stopped; nothing but `stop` or a damaged exchange ends it. `tally` tells how it does."""

    def __init__(
        self,
        settings: UplinkSettings,
        *,
        monotonic: Callable[[], float],
        connect: Callable[[Address, str, Post], Link] | None = None,
        notifier: Notifier | None = None,
    ) -> None:
        self.tally = Tally()
        self._settings = settings
        self._monotonic = monotonic
        self._notifier = notifier or Notifier({}, monotonic=monotonic)
        self._connect = connect or (lambda address, subscribe, will: MqttLink(address, subscribe=subscribe, will=will))
        self._outbox: Outbox
        self._notices: _Notices

    def run(self, stop: threading.Event) -> None:
        """Deliver until `stop` is set."""
        backoff = Backoff(random=random.Random())
        self._outbox = Outbox(self._settings.folder, boot=self._settings.boot)
        self._notices = _Notices(outbox=self._outbox, settings=self._settings)
        delivery = Delivery(self._outbox, box=self._settings.identity.box, tally=self.tally)
        try:
            self._notifier.ready()
            while not stop.is_set():
                self._notifier.alive()
                started = self._monotonic()
                try:
                    self._session(delivery, stop)
                except LinkLost as lost:
                    _log.warning("%s", lost, extra={"action": "uplink"})
                except ExchangeError as trouble:
                    _log.error("%s", trouble, extra={"action": "uplink"})
                    stop.wait(_STORE_TROUBLE_SECONDS)
                stop.wait(backoff.delay(played_seconds=self._monotonic() - started))
        finally:
            self._outbox.close()

    def _session(self, delivery: Delivery, stop: threading.Event) -> None:
        identity = replace(self._settings.identity, session=secrets.token_hex(8))
        will = Post(topic=_topic(identity, Leaf.STATUS), payload=_bytes(bulletin.death(identity)), retain=True)
        subscribe = topics.subscription(venue=identity.venue, box=identity.box)
        link = self._connect(self._settings.address, subscribe, will)
        _log.info("Connected to broker %s as %s", self._settings.address, identity.box, extra={"action": "uplink"})
        self.tally.connected = True
        self.tally.connections += 1
        try:
            self._clear_old_venues(link, identity)
            delivery.connected()
            self._notices.connected(link, identity)
            while not stop.is_set():
                self._notifier.alive()
                self._take(link.receive(_TURN_SECONDS), link, delivery)
                now = self._monotonic()
                self._learn_system_time()
                for outgoing in delivery.due(now):
                    post = Post(topic=_topic(identity, outgoing.leaf), payload=outgoing.payload)
                    if link.publish(post):
                        delivery.sent(outgoing, now)
                    else:
                        delivery.not_sent(outgoing)
                self._notices.keep_fresh(now)
            link.publish(will)
        finally:
            self.tally.connected = False
            link.close()

    def _take(self, message: Message | None, link: Link, delivery: Delivery) -> None:
        """Take what has arrived, all of it, before sending more."""
        while message is not None:
            topic = topics.parse(message.topic)
            if topic is not None and topic.leaf is Leaf.ACK:
                delivery.acknowledge(message.payload, self._monotonic())
                self._note_cleared()
            elif topic is not None:
                _log.warning("Ignored an unsigned %s from the cloud", topic.leaf, extra={"action": "control"})
            message = link.receive(0.0)

    def _learn_system_time(self) -> None:
        if self._outbox.fix() is None:
            fix = system_fix(self._settings.trust)
            if fix is not None:
                self._outbox.offer_fix(fix)

    def _clear_old_venues(self, link: Link, identity: Identity) -> None:
        """After a move nothing retained may stay under an old venue."""
        venues = set((self._outbox.remembered(_VENUES) or "").split())
        for venue in sorted(venues - {identity.venue}):
            for leaf in (Leaf.STATUS, Leaf.LIVE):
                link.publish(Post(topic=_topic(replace(identity, venue=venue), leaf), payload=b"", retain=True))
        if identity.venue not in venues:
            self._outbox.remember(_VENUES, " ".join(sorted(venues | {identity.venue})))

    def _note_cleared(self) -> None:
        """An answer proves that the broker has taken all that was published before it, the clearing included."""
        venue = self._settings.identity.venue
        if self._outbox.remembered(_VENUES) != venue:
            self._outbox.remember(_VENUES, venue)


class _Notices:
    """Keeps status and live fresh over one connection after another."""

    def __init__(self, *, outbox: Outbox, settings: UplinkSettings) -> None:
        self._outbox = outbox
        self._settings = settings
        self._said: tuple[object, ...] = ()
        self._status_at = self._checked_at = self._live_at = float("-inf")
        self._live_seconds = DISCLOSURE[settings.identity.mode].live_interval_seconds
        self._identity: Identity
        self._link: Link

    def connected(self, link: Link, identity: Identity) -> None:
        """Speak over a new connection: status at once, live no sooner than the mode allows."""
        self._link = link
        self._identity = identity
        self._status_at = self._checked_at = float("-inf")

    def keep_fresh(self, now: float) -> None:
        """Publish status when it changed or is half a minute old, and live at the mode's interval."""
        if now - self._checked_at >= _STATUS_CHECK_SECONDS:
            self._checked_at = now
            self._say_status(now)
        if now - self._live_at >= self._live_seconds:
            self._live_at = now
            live = bulletin.live(self._identity, self._outbox, now_ms=round(now * 1000))
            if live is not None:
                topic = _topic(self._identity, Leaf.LIVE)
                self._link.publish(
                    Post(topic=topic, payload=_bytes(live), qos=0, retain=True, expiry_seconds=_LIVE_EXPIRY_SECONDS)
                )

    def _say_status(self, now: float) -> None:
        used = self._outbox.used_bytes() / self._settings.room_bytes
        status = bulletin.status(self._identity, self._outbox, now_ms=round(now * 1000), used=used)
        cameras = tuple((camera.camera, camera.state, camera.reason) for camera in status.cameras)
        said = (status.vision, status.head, status.config, cameras)
        if said != self._said or now - self._status_at >= _STATUS_SECONDS:
            self._said, self._status_at = said, now
            self._link.publish(Post(topic=_topic(self._identity, Leaf.STATUS), payload=_bytes(status), retain=True))


def _topic(identity: Identity, leaf: Leaf) -> str:
    return str(Topic(venue=identity.venue, box=identity.box, leaf=leaf))


def _bytes(model: Status | Live) -> bytes:
    return model.to_json().encode()
