"""Messages that nobody should send: real ones, bent in seeded ways, on topics that are nearly right.

Half are bent as JSON, so that they get far; the others as bytes. Some are left as they are, so that there is always
something to lose. The same seed gives the same messages.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from pydantic import JsonValue

from protocol.wire import MAX_MESSAGE_BYTES, JsonObject
from tests.support.golden import names_in, read_golden

__all__ = ["HostileMessages", "Message"]

ITEMS: Final = [read_golden(name) for name in names_in(prefix="item-")] + [read_golden("item-unknown-type", "later")]
ENVELOPES: Final = [read_golden(name) for name in names_in(prefix="envelope")]
STATUS, LIVE = [read_golden(name) for name in names_in(prefix="status")], [read_golden("live")]

NUMBERS: Final[Sequence[JsonValue]] = (
    0, -1, 1, 2**31, 2**53 - 1, 2**53, 2**63, -(2**63) - 1, 10**400, 0.1, -0.0, 1e308, 5e-324, True, "5",
)  # fmt: skip
TEXTS: Final[Sequence[JsonValue]] = (
    "", " ", "unknown", "\0", "\ud800", "a" * 64, "a" * 5_000, "É" * 40, "𝔘", "../../etc/passwd", "' OR 1=1 --",
    "{{7*7}}", "<script>alert(1)</script>", "%s%n", "=cmd|' /C calc'!A0", "2026-02-30T00:00:00Z",
    "0001-01-01T00:00:00+05:00", "9999-12-31T23:59:60Z", "2026-01-01T00:00:00", "visit", "tile", "configuration",
    "f" * 16, "f" * 32,
)  # fmt: skip
TOKENS: Final = (
    b"NaN", b"Infinity", b"-Infinity", b"1e999", b"1E+400", b"-", b"0x10", b"00", b"null", b"{", b"}", b"[", b"]",
    b'"', b"\\", b"\\u0000", b"\\ud800", b"\\u12", b"\xff\xfe", b"\xef\xbb\xbf", b"\x00", b"\xc0\x80", b"/*", b",,",
    b"\x1f\x8b\x08",
)  # fmt: skip
ODD_TOPICS: Final = (
    "", "/", "#", "+", "footfall/v1", "footfall/v1/#", "footfall/v1/+/+/up/+", "$SYS/broker/version",
    "footfall/v2/a/b/up/events", "footfall/v1/a/b/down/ack", "footfall/v1/a/b/up/events/more",
    "footfall/v1//b/up/events", "footfall/v1/A/B/up/events", "footfall/v1/a/b/up/events\n",
    "footfall/v1/../../up/events", "footfall/v1/a/b/up/ev\0ents", "footfall/v1/" + "a/" * 2_000,
    "footfall/v1/a/" + "b" * 64 + "/up/events", "footfall/v1/a/b/up/reply", "footfall/v1/a/é/up/events",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What a stranger publishes."""

    topic: str
    payload: bytes


class HostileMessages:
    """An endless supply, for a venue and boxes that there are."""

    def __init__(self, seed: int | str, *, venue: str, boxes: Sequence[str]) -> None:
        self.random = Random(seed)
        self._venue = venue
        self._boxes = boxes
        self._seq = 0

    def __next__(self) -> Message:
        """The next one."""
        topic, data = self.random.choices((self._envelope, self._status, self._live), (8, 1, 1))[0]()
        payload = self.bent(data)
        if self.random.random() < 0.05:
            topic = self.random.choice(ODD_TOPICS)
        return Message(topic=topic, payload=payload)

    def bent(self, data: JsonObject) -> bytes:
        """A message as JSON, bent or left as it is."""
        ways: tuple[Callable[[JsonObject], bytes], ...] = (_written, self._bent_json, self._bent_bytes)
        return self.random.choices(ways, (2, 4, 3))[0](data)

    def _envelope(self) -> tuple[str, JsonObject]:
        """One of a real box, in one of its epochs, with items that are new as a rule."""
        box = self.random.choice(self._boxes)
        epoch = f"{self.random.randrange(1, 4):016x}"
        data = dict(self.random.choice(ENVELOPES))
        items: list[JsonValue] = []
        for item in self.random.choices(ITEMS, k=self.random.randrange(4)):
            self._seq = max(1, self._seq + self.random.choice((1, 1, 1, 3, -4)))
            items.append({**item, "seq": self._seq, "venue": self._venue})
        data |= {"box": box, "epoch": epoch, "head": epoch, "items": items}
        return f"footfall/v1/{self._venue}/{box}/up/{self.random.choice(('events', 'tiles'))}", data

    def _status(self) -> tuple[str, JsonObject]:
        return self._said("status", self.random.choice(STATUS))

    def _live(self) -> tuple[str, JsonObject]:
        return self._said("live", self.random.choice(LIVE))

    def _said(self, leaf: str, data: JsonObject) -> tuple[str, JsonObject]:
        box = self.random.choice(self._boxes)
        return f"footfall/v1/{self._venue}/{box}/up/{leaf}", {**data, "box": box, "venue": self._venue}

    def _bent_json(self, data: JsonObject) -> bytes:
        bent: JsonObject = json.loads(_written(data))
        for _ in range(self.random.choice((1, 1, 2, 5))):
            self._bend(self.random.choice(_containers(bent)))
        return _written(bent)

    def _bend(self, container: dict[str, JsonValue] | list[JsonValue]) -> None:
        """Change one thing in an object or list: take it away, put something odd in its place, or double it."""
        places: Sequence[str | int] = list(container) if isinstance(container, dict) else range(len(container))
        if not places:
            return
        place = self.random.choice(places)
        way = self.random.randrange(6)
        if way == 0:
            del container[place]  # type: ignore[arg-type]  # a place of this very container
        elif way == 1 and isinstance(container, list):
            container.insert(0, container[place])  # type: ignore[index]
        elif way == 2 and isinstance(container, dict):
            container[f"{place}-too"] = container[place]  # type: ignore[index]
        else:
            container[place] = self._odd_value(container[place])  # type: ignore[index]

    def _odd_value(self, value: JsonValue) -> JsonValue:
        way = self.random.randrange(8)
        if way == 0:
            return _nested(self.random.choice((3, 17, 400)))
        many = not isinstance(value, dict | list)
        if way == 1:
            return [value] * self.random.choice((0, 2, 3_000 if many else 3))
        if way == 2:
            return {str(number): value for number in range(self.random.choice((0, 1, 300 if many else 3)))}
        if way == 3:
            return None
        if isinstance(value, int | float) == (way < 7):
            return self.random.choice(NUMBERS)
        return self.random.choice(TEXTS)

    def _bent_bytes(self, data: JsonObject) -> bytes:
        payload = bytearray(_written(data))
        for _ in range(self.random.choice((1, 1, 1, 2, 8))):
            self._cut_or_paste(payload)
        return bytes(payload)

    def _cut_or_paste(self, payload: bytearray) -> None:
        start = self.random.randrange(len(payload) + 1)
        end = min(len(payload), start + self.random.choice((1, 2, 8, 200)))
        match self.random.randrange(6):
            case 0:
                del payload[start:]
            case 1:
                del payload[start:end]
            case 2:
                payload[start:end] = self.random.randbytes(end - start)
            case 3:
                payload[start:start] = self.random.choice(TOKENS)
            case 4:
                payload[start:start] = payload[start:end] * self.random.choice((1, 2, 500))
            case _:
                payload[start:start] = b" " * self.random.choice((1, MAX_MESSAGE_BYTES))


def _written(data: JsonObject) -> bytes:
    """As JSON; half a pair of surrogates stands as an escape."""
    return json.dumps(data).encode()


def _nested(levels: int) -> JsonValue:
    nested: JsonValue = 1
    for level in range(levels):
        nested = [nested] if level % 2 else {"a": nested}
    return nested


def _containers(whole: JsonObject) -> list[dict[str, JsonValue] | list[JsonValue]]:
    """An object, and the objects and lists in it, however deep."""
    found: list[dict[str, JsonValue] | list[JsonValue]] = [whole]
    for node in found:
        children = node.values() if isinstance(node, dict) else node
        found += [child for child in children if isinstance(child, dict | list)]
    return found
