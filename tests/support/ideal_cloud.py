"""A small, obvious cloud: it keeps what it received as sets, and answers as the protocol says."""

import copy
import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime

from protocol.acks import Ack, SeqRange
from protocol.envelope import Header
from protocol.wire import JsonObject
from tests.support.exchange import STORES

__all__ = ["IdealCloud"]

Name = tuple[str, int]


class IdealCloud:
    """Receives envelopes of one box. `items` and `gaps` are what it has committed."""

    def __init__(self, *, unreadable: Callable[[bytes], bool] = lambda _: False) -> None:
        self.items: dict[Name, JsonObject] = {}
        self.gaps: dict[Name, str] = {}
        self.order: list[Name] = []
        self.headers: list[JsonObject] = []
        self.position = 0
        self.was_put_back = False
        self.now: Callable[[], datetime] = lambda: datetime.now(UTC)
        self._store = 1
        self._unreadable = unreadable

    @property
    def store(self) -> str:
        return STORES[self._store]

    def take(self, payload: bytes) -> bytes:
        """Commit an envelope, and answer."""
        if self._unreadable(payload):
            return self._ack(refused=hashlib.sha256(payload).hexdigest())
        data = json.loads(payload)
        assert len(payload) < 64 * 1024
        items, gaps = data.pop("items"), data.pop("gaps", [])
        self.headers.append(data)
        if self._lacks_what(data):
            self._renew()
        for item in items:
            self._receive((data["epoch"], item["seq"]), item)
        for gap in gaps:
            for seq in range(gap["from_seq"], gap["to_seq"] + 1):
                if (gap["epoch"], seq) not in self.items:
                    self.gaps.setdefault((gap["epoch"], seq), gap["reason"])
        return self._ack(epoch=data["epoch"])

    def settled(self, epoch: str) -> set[int]:
        """All seqs of an epoch with a receipt."""
        return {seq for e, seq in (*self.items, *self.gaps) if e == epoch}

    def saved(self) -> tuple[dict[Name, JsonObject], dict[Name, str]]:
        """A backup."""
        return copy.deepcopy((self.items, self.gaps))

    def restore(self, backup: tuple[dict[Name, JsonObject], dict[Name, str]]) -> None:
        """Become what the backup held, under a new store."""
        self.items, self.gaps = copy.deepcopy(backup)
        self._renew()

    def restore_unnoticed(self, backup: tuple[dict[Name, JsonObject], dict[Name, str]]) -> None:
        """Become what the backup held, as if nothing had been: under the same store, and as if boxes had gone on."""
        self.items, self.gaps = copy.deepcopy(backup)
        self.was_put_back = True

    def _renew(self) -> None:
        self._store += 1
        self.position = 0
        self.was_put_back = False

    def _lacks_what(self, header: JsonObject) -> bool:
        """Whether the box holds something of this store for settled that is not here; only a restored cloud may."""
        seen, epoch = Header.read(header).seen, str(header["epoch"])
        if seen.store != self.store:
            return False
        believed = {seq for one in seen.settled or () for seq in range(one.first, one.last + 1)}
        lacking = believed - self.settled(epoch)
        assert self.was_put_back or not lacking, f"a false alarm: {lacking} of {epoch}"
        return bool(lacking)

    def _receive(self, name: Name, item: JsonObject) -> None:
        if name in self.items:
            assert self.items[name] == item, f"{name} came twice, and was not the same"
        elif name not in self.gaps:
            self.items[name] = item
            self.order.append(name)

    def _ack(self, *, epoch: str | None = None, refused: str | None = None) -> bytes:
        self.position += 1
        seqs = self.settled(epoch) if epoch else set()
        through = 0
        while through + 1 in seqs:
            through += 1
        ack = Ack(
            box="box-1",
            store=self.store,
            position=self.position,
            at=self.now(),
            epoch=epoch,
            through=through if epoch else None,
            received=_ranges(sorted(seq for seq in seqs if seq > through)),
            refused=refused,
        )
        return ack.to_json().encode()


def _ranges(seqs: list[int]) -> tuple[SeqRange, ...]:
    found: list[list[int]] = []
    for seq in seqs:
        if found and seq == found[-1][1] + 1:
            found[-1][1] = seq
        else:
            found.append([seq, seq])
    return tuple(SeqRange(first=first, last=last) for first, last in found[:1000])
