"""The boxes: each with a folder, a writer and an uplink; one thread feeds them all, evenly over each minute."""

import secrets
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from importlib.metadata import version
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Self

from edge import clock
from edge.anonymity import Draft
from edge.clock import Trust
from edge.exchange.batch import Batch
from edge.exchange.outbox import Outbox
from edge.exchange.writer import Budget, ThisBoot, Writer
from edge.fleet.traffic import ShopTraffic
from edge.uplink.bulletin import Identity
from edge.uplink.link import Address
from edge.uplink.service import Uplink, UplinkSettings

__all__ = ["Fleet", "FleetSettings", "Standing", "box_name", "venue_name"]

_LOOK_SECONDS = 0.5
_STOP_SECONDS = 10.0
_ROOM_BYTES = 256 * 2**20
"""The byte budget of each box."""


def box_name(number: int) -> str:
    """The id of the n-th box, from 1."""
    return f"sim-{number:04d}"


def venue_name(number: int) -> str:
    """The id of the venue that it stands in, which is its own."""
    return f"sim-shop-{number:04d}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetSettings:
    """How many boxes with how many cameras, over which broker, how many times as fast as life, from which minute."""

    boxes: int
    address: Address
    traffic: ShopTraffic
    speed: float = 1.0
    first_minute: int = 11 * 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How the fleet does: boxes connected, items told and waiting, and for how long the oldest has waited."""

    connected: int
    told: int
    waiting: int
    oldest_seconds: float

    @property
    def acknowledged(self) -> int:
        """Items that the cloud has committed."""
        return self.told - self.waiting


class Fleet:
    """A context manager: entering connects every box, leaving stops them all. `folder` is for their exchanges."""

    def __init__(self, settings: FleetSettings, folder: Path) -> None:
        self._settings = settings
        self._boxes = [_Box(settings, number, folder) for number in range(1, settings.boxes + 1)]
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for box in self._boxes:
                stack.enter_context(box)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for box in self._boxes:
            box.stop.set()
        self._stack.close()

    def run(self, stop: threading.Event, *, seconds: float, each: Callable[[Standing], None], every: float) -> None:
        """Let the boxes tell of their day for so long; say `every` so many seconds how they do."""
        began = reported = clock.monotonic()
        for minute, box in self._turns():
            due = began + (minute + box.number / len(self._boxes)) * 60 / self._settings.speed
            while (now := clock.monotonic()) < min(due, began + seconds) and not stop.is_set():
                stop.wait(min(_LOOK_SECONDS, due - now))
                reported = self._report(each, reported, every)
            if stop.is_set() or now - began >= seconds:
                return
            box.tell(self._settings.first_minute + minute)
            reported = self._report(each, reported, every)

    def drain(self, stop: threading.Event, *, limit_seconds: float) -> Standing:
        """Wait until all is acknowledged, for so long at most; how the fleet does then."""
        deadline = clock.monotonic() + limit_seconds
        while (standing := self.standing()).waiting and clock.monotonic() < deadline and not stop.is_set():
            stop.wait(_LOOK_SECONDS)
        return standing

    def standing(self) -> Standing:
        """How the fleet does."""
        each = [box.standing() for box in self._boxes]
        return Standing(
            connected=sum(one.connected for one in each),
            told=sum(one.told for one in each),
            waiting=sum(one.waiting for one in each),
            oldest_seconds=max((one.oldest_seconds for one in each), default=0.0),
        )

    def _turns(self) -> Iterator[tuple[int, "_Box"]]:
        return ((minute, box) for minute in count() for box in self._boxes)

    def _report(self, each: Callable[[Standing], None], reported: float, every: float) -> float:
        now = clock.monotonic()
        if now - reported < every:
            return reported
        each(self.standing())
        return now


class _Box:
    """One box: the fleet's thread calls its writer, its uplink runs in a thread of its own."""

    def __init__(self, settings: FleetSettings, number: int, folder: Path) -> None:
        self.number = number
        self.stop = threading.Event()
        self._traffic = settings.traffic
        self._origin = settings.traffic.origin(venue=venue_name(number))
        self._folder = folder / box_name(number)
        self._boot = clock.boot_id()
        self._told = 0
        self._commits: deque[tuple[int, float]] = deque()
        """How many items were told by the end of a commit, and when it was: of those that may still wait."""
        self._uplink = Uplink(self._uplink_settings(settings.address), monotonic=clock.monotonic)
        self._thread = threading.Thread(target=self._uplink.run, args=(self.stop,), name=box_name(number), daemon=True)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True)
        writer = Writer(
            self._folder,
            this_boot=ThisBoot(boot=self._boot, hardware_offset_ms=None),
            epoch=secrets.token_hex(8),
            monotonic=clock.monotonic,
            budget=Budget(room_bytes=_ROOM_BYTES),
        )
        self._writer = self._stack.enter_context(writer)
        if (fix := clock.system_fix(Trust.ALWAYS)) is not None:
            self._writer.offer_fix(fix)
        self._outbox = self._stack.enter_context(closing(Outbox(self._folder, boot=self._boot)))
        self._commit([self._traffic.beginning(at=clock.monotonic())])
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop.set()
        self._thread.join(_STOP_SECONDS)
        self._stack.close()

    def tell(self, minute: int) -> None:
        """Put what its cameras tell at the end of a minute of the day into the exchange."""
        self._commit(list(self._traffic.minute(self.number, minute, now=clock.monotonic())))

    def standing(self) -> Standing:
        """How it does; what is acknowledged is taken to be what was told first."""
        waiting = self._outbox.standing().waiting
        while self._commits and self._commits[0][0] <= self._told - waiting:
            self._commits.popleft()
        return Standing(
            connected=int(self._uplink.tally.connected),
            told=self._told,
            waiting=waiting,
            oldest_seconds=clock.monotonic() - self._commits[0][1] if self._commits else 0.0,
        )

    def _commit(self, drafts: list[Draft]) -> None:
        self._writer.commit(Batch(origin=self._origin, drafts=drafts, live={"vision": {"config": self._origin.config}}))
        self._told += len(drafts)
        self._commits.append((self._told, clock.monotonic()))

    def _uplink_settings(self, address: Address) -> UplinkSettings:
        name = box_name(self.number)
        identity = Identity(
            box=name,
            venue=venue_name(self.number),
            version=version("footfall"),
            mode=self._origin.mode,
            session=secrets.token_hex(8),
        )
        return UplinkSettings(
            folder=self._folder,
            address=replace(address, client_id=name),
            identity=identity,
            boot=self._boot,
            trust=Trust.ALWAYS,
            room_bytes=_ROOM_BYTES,
        )
