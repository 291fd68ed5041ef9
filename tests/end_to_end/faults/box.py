"""A box of the world: the stand-in for vision and the real uplink over one exchange, and the way to its broker.

Its exchange can be copied, put back and cloned, as whoever keeps a box's disk may do; copies are kept on a shelf.
Whenever an exchange is thrown away, what it alone had is noted: `lost_with_disk` are names that no one can know of if
they had not reached the cloud, or not again since it was restored, among them those of what still waited to become an
item; `only_at_cloud` are those that had, and that no box could send again. What a copy brings back is noted no more.
"""

import json
import shutil
import sqlite3
import sys
from collections.abc import Set as AbstractSet
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from edge.exchange import again
from edge.exchange.numbering import read_spans
from edge.exchange.schema import FILE_NAME, State
from protocol.wire import early_epoch
from tests.end_to_end.faults.witness import Account, Name
from tests.support.mqtt_proxy import MqttProxy
from tests.support.processes import Command, until
from tests.support.product import VENUE
from tests.support.small_disk import SmallDisk

__all__ = ["Box", "Exchange", "edge_words"]

MIB = 2**20
EVERYTHING = 2**40
_OPEN = """
SELECT epoch, seq, seq FROM item WHERE state < 2
UNION ALL SELECT epoch, seq, seq FROM part WHERE seq IS NOT NULL
UNION ALL SELECT epoch, seq, seq FROM tile_part WHERE seq IS NOT NULL
UNION ALL SELECT epoch, seq, seq FROM checkpoint WHERE seq IS NOT NULL
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """What an exchange's file says: how far each epoch came, which names are unsettled, and the last ack it took.

    Unsettled is also what still waits to become an item, and what a new store of the cloud may lack. merged: how many
    were added up for want of room; of what waited for its bucket, only early names are declared.
    """

    issued: dict[str, int]
    unsettled: frozenset[Name]
    merged: int
    seen: tuple[str | None, int]

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The exchange in a folder as it is now."""
        with closing(sqlite3.connect(folder / FILE_NAME, timeout=30)) as file:
            file.execute("BEGIN")  # one look at all of it
            epochs = file.execute("SELECT epoch, next_seq - 1 FROM epoch").fetchall()
            rows = file.execute(_OPEN).fetchall()
            rows += [(epoch, seq, seq) for _, epoch, seq in _again(file)]
            gaps = file.execute("SELECT epoch, from_seq, to_seq FROM gap WHERE settled = 0").fetchall()
            meta = dict(file.execute("SELECT key, value FROM meta"))
            early = {early_epoch(epoch) for epoch, _ in epochs}
            merged = file.execute("SELECT epoch, from_seq, to_seq FROM gap WHERE reason = 'merged'").fetchall()
            sums = file.execute("SELECT state, instead_of FROM item WHERE instead_of IS NOT NULL").fetchall()
        replaced = [(state, epoch, span.first, span.last) for state, of in sums for epoch, span in read_spans(of)]
        gaps += [span for state, *span in replaced if state < State.SETTLED]
        merged += [span for _, *span in replaced]
        names = {(epoch, seq) for epoch, first, last in (*rows, *gaps) for seq in range(first, last + 1)}
        seen = (meta.get("store"), int(meta.get("position", 0)))
        return cls(
            issued=dict(epochs),
            unsettled=frozenset(names),
            merged=sum(last - first + 1 for epoch, first, last in merged if epoch not in early),
            seen=seen,
        )

    def names(self) -> set[Name]:
        """Every name that it ever gave."""
        return {(epoch, seq) for epoch, last in self.issued.items() for seq in range(1, last + 1)}


@dataclass(slots=True)
class Clock:
    """What tells the box's programs the time; see `programs`."""

    path: Path
    off_seconds: int = 0
    boots: int = 1

    def set(self, off_seconds: int, *, reboot: bool = False, is_known: bool = True) -> None:
        """UTC is off by so much from now on, or not known at all."""
        self.off_seconds, self.boots = off_seconds, self.boots + reboot
        fresh = self.path.with_suffix(".new")
        fresh.write_text(f"{off_seconds} {self.boots} {is_known:d}")
        fresh.rename(self.path)


@dataclass(slots=True)
class Half:
    """One exchange and the two processes on it: a box, or the clone of one."""

    exchange: Path
    vision: Command
    uplink: Command

    def start(self) -> None:
        self.uplink.start()
        self.vision.start()

    def kill(self) -> None:
        self.vision.kill()
        self.uplink.kill()


@dataclass(slots=True, kw_only=True)
class Box:
    """One box; give it to `with`. Its disk is small where `disk_bytes` is given, its byte budget where `room_bytes`."""

    id: str
    folder: Path
    broker_port: int
    disk_bytes: int | None = None
    room_bytes: int = 2 * 2**30
    link: MqttProxy = field(init=False)
    clock: Clock = field(init=False)
    disk: SmallDisk | None = field(init=False, default=None)
    half: Half = field(init=False)
    clone: Half | None = field(init=False, default=None)
    shelf: list[Path] = field(init=False, default_factory=list)
    issued: dict[str, int] = field(init=False, default_factory=dict)
    lost_with_disk: set[Name] = field(init=False, default_factory=set)
    only_at_cloud: set[Name] = field(init=False, default_factory=set)
    lacked_by_cloud: set[Name] = field(init=False, default_factory=set)
    threw_away: bool = field(init=False, default=False)
    is_finished: bool = field(init=False, default=False)
    _stack: ExitStack = field(init=False, default_factory=ExitStack)
    _copies: int = field(init=False, default=0)

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True)
        self.link = self._stack.enter_context(MqttProxy(self.broker_port))
        if self.disk_bytes is not None:
            self.disk = self._stack.enter_context(SmallDisk(self.folder / "exchange", size_bytes=self.disk_bytes))
        self.clock = Clock(self.folder / "clock")
        self.clock.set(0)
        self.half = self._half(self.folder / "exchange")
        self._stack.callback(self.half.kill)
        self.half.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.clone is not None:
            self.clone.kill()
        self._stack.close()

    @property
    def account_file(self) -> Path:
        """What its visions wrote of what they appended."""
        return self.folder / "account"

    @property
    def account(self) -> Account:
        """What all its visions say that they appended."""
        return Account.read(self.account_file)

    @property
    def has_begun(self) -> bool:
        """Whether anything has been appended."""
        return self.account_file.exists() and bool(self.account.returned)

    @property
    def commands(self) -> list[Command]:
        """All that should run now."""
        visions = [] if self.is_finished else [half.vision for half in self._halves]
        return [*(half.uplink for half in self._halves), *visions]

    def reboot(self, off_seconds: int = 0, *, is_known: bool = True) -> None:
        """Switch it off and on again; its clock is then off by so much, or says nothing that can be believed."""
        self.half.kill()
        self.clock.set(off_seconds, reboot=True, is_known=is_known)
        self.half.start()

    def take_copy(self) -> None:
        """Copy the exchange while nobody has it open."""
        self.half.kill()
        self.shelf.append(_copied(self.half.exchange, self._new_folder("copy")))
        self.half.start()

    def put_back(self, copy: Path) -> None:
        """Throw the exchange away and go on with a copy taken earlier."""
        self.half.kill()
        dying = Exchange.read(self.half.exchange)
        self.relieve()
        for file in self.half.exchange.glob(f"{FILE_NAME}*"):
            file.unlink()
        _copied(copy, self.half.exchange)
        self._mourn(dying)
        back = Exchange.read(self.half.exchange)
        self.lost_with_disk -= back.names()
        self.only_at_cloud -= back.names()
        self.half.start()

    def start_clone(self) -> None:
        """A second box with a copy of the disk, in the same place under the same name."""
        self.half.kill()
        self.clone = clone = self._half(_copied(self.half.exchange, self._new_folder("clone")))
        before = len(Exchange.read(clone.exchange).issued)
        self.half.start()
        clone.start()
        until(lambda: len(Exchange.read(clone.exchange).issued) > before, seconds=30, what="the clone to begin")

    def end_clone(self) -> None:
        """The second box is switched off for good."""
        if self.clone is None:
            return
        clone, self.clone = self.clone, None
        clone.kill()
        self._mourn(Exchange.read(clone.exchange))

    def relieve(self) -> None:
        """Nobody else needs the disk any more."""
        if self.disk is not None and (self.disk.folder / "somebody-elses").exists():
            self.disk.relieve()

    def note_restored(self, has: AbstractSet[Name]) -> None:
        """The cloud was restored, and now has only these names of it."""
        self.lost_with_disk |= self.only_at_cloud - has
        self.lacked_by_cloud |= set().union(*(Exchange.read(half.exchange).names() for half in self._halves)) - has

    def note_issued(self) -> None:
        """Remember how far each epoch of what is there came."""
        for half in self._halves:
            self._note(Exchange.read(half.exchange))

    def finish(self) -> None:
        """Nothing happens any more: one last vision, in a boot of its own that knows UTC, ends what was left open."""
        self.half.kill()
        self.clock.set(0, reboot=True)
        self.half.vision.start([*self._vision_words(self.half.exchange), "finish"])
        assert self.half.vision.wait(60) == 0, self.half.vision.log
        self.is_finished = True

    def _mourn(self, dying: Exchange) -> None:
        """Note what only this exchange had."""
        self.threw_away = True
        self._note(dying)
        living = [Exchange.read(half.exchange) for half in self._halves]
        alone = dying.names().difference(*(one.names() for one in living))
        self.lost_with_disk |= alone & (dying.unsettled | self.lacked_by_cloud)
        self.only_at_cloud |= alone - dying.unsettled

    def _note(self, exchange: Exchange) -> None:
        for epoch, last in exchange.issued.items():
            self.issued[epoch] = max(last, self.issued.get(epoch, 0))

    @property
    def _halves(self) -> list[Half]:
        return [self.half, *([self.clone] if self.clone else [])]

    def _half(self, exchange: Path) -> Half:
        exchange.mkdir(exist_ok=True)
        settings = self.folder / f"{exchange.name}.toml"
        settings.write_text(
            f'[box]\nid = "{self.id}"\nvenue = "{VENUE}"\nmode = "live"\n'
            f"[exchange]\nfolder = {json.dumps(str(exchange))}\n"
            '[clock]\ntrust = "always"\n'
            f'[broker]\nhost = "{self.link.host}"\nport = {self.link.port}\n'
            '[[camera]]\nid = "square"\nurl = "rtsp://127.0.0.1/never-opened"\n'
        )
        return Half(
            exchange=exchange,
            vision=Command(self._vision_words(exchange), log=self.folder / f"{exchange.name}-vision.log"),
            uplink=Command(edge_words(self.clock.path, settings), log=self.folder / f"{exchange.name}-uplink.log"),
        )

    def _vision_words(self, exchange: Path) -> list[str | Path]:
        program: list[str | Path] = [sys.executable, "-m", "tests.end_to_end.faults.vision"]
        return [*program, self.clock.path, exchange, self.account_file, self.id, VENUE, str(self.room_bytes)]

    def _new_folder(self, kind: str) -> Path:
        self._copies += 1
        return self.folder / f"{kind}-{self._copies}"

    def dying_uplink(self, answers: int) -> list[str | Path]:
        """The words of an uplink that kills itself when so many answers have come."""
        return edge_words(self.clock.path, self.folder / "exchange.toml", deaths=answers)


def edge_words(clock: Path, settings: Path, *, deaths: int = 0) -> list[str | Path]:
    """The words that start an uplink."""
    die: list[str | Path] = ["--die-before-acks", str(deaths)] if deaths else []
    program: list[str | Path] = [sys.executable, "-m", "tests.end_to_end.faults.programs", clock]
    return [*program, *die, "edge", "uplink", "--config", settings]


def _again(file: sqlite3.Connection) -> list[tuple[int, str, int]]:
    """Id and name of what an older store settled, and has not been gone through since the new one came."""
    if not again.is_under_way(file):
        return []
    return [(row[1], row[2], row[3]) for row in again.held_back(file, EVERYTHING)]


def _copied(exchange: Path, to: Path) -> Path:
    to.mkdir(exist_ok=True)
    for file in exchange.glob(f"{FILE_NAME}*"):
        shutil.copy(file, to)
    return to
