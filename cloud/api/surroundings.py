"""What the application was put together from, and what it remembers between requests."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Engine

from cloud.access.limits import MovingWindow, Places
from cloud.access.passwords import Passwords
from cloud.access.sessions import Lifetime
from cloud.auth import AdminKey
from cloud.devices.authority import Authority
from cloud.devices.enrolment import BrokerPlace
from cloud.ingest.commit import Committer
from cloud.settings import AccessSettings
from cloud.turns import Turns

__all__ = ["Devices", "Limits", "Surroundings"]

STREAMS_OF_ONE = 10
"""Open at once by one user or key: a browser shows few pages at a time, and a screen on the wall is one."""
STREAMS = 400
"""Open at once: each looks into the database every second, which takes a millisecond or so of one processor."""

MAPS, MAPS_WAITING = 2, 6
"""Whole heat maps that are made at once: the largest take some 200 MiB and a few seconds, the usual ones little."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Who may do what how often.

    Requests, and heavy reports among them, of one key or one user; what strangers of one address get wrong; attempts
    to sign in, from one address and for one user. And at once: streams that are open, whole heat maps that are made.
    """

    requests: MovingWindow
    reports: MovingWindow
    strangers: MovingWindow
    sign_ins: MovingWindow
    streams: Places
    maps: Turns

    @classmethod
    def of(cls, settings: AccessSettings) -> "Limits":
        """As the settings say."""
        return cls(
            requests=MovingWindow(settings.requests_per_minute),
            reports=MovingWindow(settings.reports_per_minute),
            strangers=MovingWindow(settings.sign_ins_per_minute),
            sign_ins=MovingWindow(settings.sign_ins_per_minute),
            streams=Places(of_one=STREAMS_OF_ONE, of_all=STREAMS),
            maps=Turns(at_once=MAPS, waiting=MAPS_WAITING),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Devices:
    """What boxes are given: who signs, for how many days, and where they find the broker."""

    open_authority: Callable[[], Authority]
    certificate_days: int
    broker: BrokerPlace


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the application was put together from.

    is_told: whether a webhook hears of alerts. is_behind_proxy: whether proxies are named. ending: set when the server
    ends, so that streams do too.
    """

    engine: Engine
    admin: AdminKey
    committer: Committer
    clock: Callable[[], datetime]
    devices: Devices
    is_told: bool
    is_behind_proxy: bool
    ending: threading.Event
    limits: Limits
    lifetime: Lifetime
    passwords: Passwords = field(default_factory=Passwords)
