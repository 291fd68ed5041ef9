"""What the application was put together from, and what it remembers between requests."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Engine

from cloud.access.limits import MovingWindow
from cloud.access.passwords import Passwords
from cloud.access.sessions import Lifetime
from cloud.auth import AdminKey
from cloud.devices.authority import Authority
from cloud.devices.enrolment import BrokerPlace
from cloud.ingest.commit import Committer
from cloud.settings import AccessSettings

__all__ = ["Devices", "Limits", "Surroundings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Who may do what how often: by key or session, by key or session, by address, by address and by user."""

    requests: MovingWindow
    reports: MovingWindow
    wrong_keys: MovingWindow
    sign_ins: MovingWindow

    @classmethod
    def of(cls, settings: AccessSettings) -> "Limits":
        """As the settings say."""
        return cls(
            requests=MovingWindow(settings.requests_per_minute),
            reports=MovingWindow(settings.reports_per_minute),
            wrong_keys=MovingWindow(settings.sign_ins_per_minute),
            sign_ins=MovingWindow(settings.sign_ins_per_minute),
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

    is_told: whether a webhook hears of alerts. ending: set when the server ends, so that streams do too.
    """

    engine: Engine
    admin: AdminKey
    committer: Committer
    clock: Callable[[], datetime]
    devices: Devices
    is_told: bool
    ending: threading.Event
    limits: Limits
    lifetime: Lifetime
    passwords: Passwords = field(default_factory=Passwords)
