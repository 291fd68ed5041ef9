"""A whole Footfall to be hurt: two boxes, a broker and a cloud, each a real process, with a proxy on every line.

One box has all the room it needs, so that nothing of it may ever be lost; the other has a small disk and a smaller
byte budget, so that it must purge, merge, drop and declare. The cloud's database is a day old when the world begins.
"""

import sys
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Self

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from sqlalchemy import text

from cloud.store.engine import open_engine, writing
from tests.end_to_end.faults.box import Box, Clock, Exchange
from tests.end_to_end.faults.database import opened_database
from tests.support.mosquitto import Mosquitto
from tests.support.mqtt_proxy import Conduct, MqttProxy
from tests.support.processes import Command, until
from tests.support.product import VENUE, Cloud

__all__ = ["CLOUD", "NARROW", "WIDE", "World"]

WIDE, NARROW, CLOUD = "wide", "narrow", "cloud"
DISK_BYTES, ROOM_BYTES = 24 * 2**20, 640 * 2**10
DRAIN_SECONDS, FLOW_SECONDS, RECONNECT_SECONDS = 120, 120, 30
ROLL_CALL_SECONDS = 35
"""After a connection the box greets its epochs that are over, and only then may the cloud find out what it lost."""
LOOK_SECONDS = 0.3
STALE_MESSAGES, STALE_SECONDS = 300, 2.0
RENEWAL_SECONDS = 2 * 3_600
LATER_SECONDS = 3 * 86_400
"""Later than any box's clock was ever set."""
_KILLED = -9
_LISTENS = "Connected to broker"
_DAY_MS = 86_400_000


class World:
    """Give it to `with`: it begins in order, and everything runs."""

    def __init__(self, folder: Path, *, database: str) -> None:
        self._folder = folder
        self._kind = database
        self._stack = ExitStack()
        self.ended_by_themselves: Counter[str] = Counter()

    def __enter__(self) -> Self:
        with self._stack as stack:
            self.database = stack.enter_context(opened_database(self._kind, self._folder))
            settings: dict[str, str | int] = {"max_inflight_messages": 1000}
            self.broker = stack.enter_context(Mosquitto(persistent=True, max_queued_messages=10_000, settings=settings))
            self.overheard = stack.enter_context(Overheard(self.broker))
            self.link = stack.enter_context(MqttProxy(self.broker.port))
            self.clock = Clock(self._folder / "clock")
            self.clock.set(0)
            self.cloud = Cloud(self._folder / "cloud", database_url=self.database.url, broker=self.link)
            self.cloud.ingest = self.cloud.program(self._ingest_words(), log=self._folder / "ingest.log")
            stack.enter_context(self.cloud)
            self._make_old()
            self.cloud.enrol(WIDE)
            self.cloud.post("/boxes", {"box": NARROW, "venue": VENUE})
            self.cloud.api.kill()
            self.database.back_up()
            wide = Box(id=WIDE, folder=self._folder / WIDE, broker_port=self.broker.port)
            narrow = Box(
                id=NARROW,
                folder=self._folder / NARROW,
                broker_port=self.broker.port,
                disk_bytes=DISK_BYTES,
                room_bytes=ROOM_BYTES,
            )
            self.boxes = {box.id: stack.enter_context(box) for box in (wide, narrow)}
            until(lambda: all(box.has_begun for box in self.boxes.values()), seconds=60, what="both boxes to append")
            self.until_flowing()
            for box in self.boxes.values():
                box.take_copy()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def line_of(self, victim: str) -> MqttProxy:
        """The way of a box, or of the cloud, to the broker."""
        return self.link if victim == CLOUD else self.boxes[victim].link

    def clock_of(self, victim: str) -> Clock:
        """What time it is at a box, or at the cloud."""
        return self.clock if victim == CLOUD else self.boxes[victim].clock

    def dying_ingest(self, commits: int) -> list[str | Path]:
        """The words of an ingest that kills itself between its n-th commit and the acks."""
        return self._ingest_words("--die-before-acks", str(commits))

    def back_up_cloud(self) -> None:
        """Keep what the cloud's database holds now."""
        self.database.back_up()

    def restore_cloud(self, *, hours_later: bool, stale_first: Random | None) -> None:
        """Put the last back-up of the cloud's database in its place, as it is, without a word to anybody.

        `hours_later`: since it last renewed its store. `stale_first`: whatever was heard at the broker comes again
        before any box is heard, whose lines are half-open until then.
        """
        self.cloud.ingest.kill()
        self.database.restore()
        kept = {(box, epoch, first, last) for box, epoch, first, last in self.cloud.rows(
            "SELECT box, epoch, first_seq, last_seq FROM receipt"
        )}  # fmt: skip
        for box in self.boxes.values():
            box.note_restored(
                {(epoch, seq) for of, epoch, first, last in kept if of == box.id for seq in range(first, last + 1)}
            )
        if hours_later:
            self._make_old()
        if stale_first is None:
            self.cloud.ingest.start()
        else:
            self._hear_stale_first(stale_first)

    def _hear_stale_first(self, random: Random) -> None:
        for box in self.boxes.values():
            box.link.behave(Conduct.HALF_OPEN)
        self.broker.start()
        self._restart_ingest()
        self.overheard.say_again(random, STALE_MESSAGES)
        time.sleep(STALE_SECONDS)
        for box in self.boxes.values():
            box.link.behave(Conduct.FAIR)

    def look_after(self) -> None:
        """What a service manager does: start again what ended by itself, and only that."""
        for name, command in self._commands():
            if not command.is_running and command.exit_code not in {None, _KILLED}:
                self.ended_by_themselves[f"{name} with code {command.exit_code}"] += 1
                command.start()

    def until_flowing(self) -> None:
        """Wait until the cloud has taken in more of each box.

        What a box sent while the broker had forgotten the ingest is sent again when its claim lapses, which may take
        minutes, or with the next connection: so there is one, now and then.
        """
        before, began = self._taken_in(), time.monotonic()
        reconnect_at = began + RECONNECT_SECONDS
        while not self._has_grown_since(before):
            assert time.monotonic() < began + FLOW_SECONDS, f"nothing of a box came in {FLOW_SECONDS} s after {before}"
            if time.monotonic() > reconnect_at:
                reconnect_at += RECONNECT_SECONDS
                for box in self.boxes.values():
                    box.link.cut()
            self.look_after()
            time.sleep(LOOK_SECONDS)

    def _has_grown_since(self, before: Mapping[str, int]) -> bool:
        now = self._taken_in()
        return all(now.get(box, 0) > before.get(box, 0) for box in self.boxes)

    def mend(self) -> None:
        """Everything is whole again and starts afresh, but the stand-ins for vision, which end what they left open.

        It is so much later that the cloud may renew its store once more, if it was restored again within an hour.
        """
        self.database.recover()
        self.broker.start()
        self.link.behave(Conduct.FAIR)
        self.clock.set(RENEWAL_SECONDS)
        for box in self.boxes.values():
            box.link.behave(Conduct.FAIR)
            box.end_clone()
            box.relieve()
            box.finish()
        self._restart_ingest()
        for box in self.boxes.values():
            box.half.uplink.start()
        self._mended_at = time.monotonic()

    def settle(self) -> None:
        """Wait until all has been delivered, decide on clones, and let time pass until nothing lies in the future."""
        self._drain()
        self.cloud.serve()
        until(self._decided, seconds=60, what="the clones to be let in")
        self.cloud.api.kill()
        self.clock.set(LATER_SECONDS)
        self._restart_ingest()
        until(lambda: not self._held("future"), seconds=60, what="items of the future to be let in")
        for box in self.boxes.values():
            box.note_issued()

    def _taken_in(self) -> dict[str, int]:
        return dict(self.cloud.rows("SELECT box, sum(last_seq - first_seq + 1) FROM receipt GROUP BY box"))

    def _drain(self) -> None:
        deadline = time.monotonic() + DRAIN_SECONDS
        for box in self.boxes.values():
            while waits_for := self._waits_for(box):
                assert time.monotonic() < deadline, f"box {box.id} is not drained after {DRAIN_SECONDS} s: {waits_for}"
                time.sleep(LOOK_SECONDS)

    def _waits_for(self, box: Box) -> str:
        """What box and cloud have not settled between them: nothing once their last words are the same."""
        self.look_after()
        exchange = Exchange.read(box.half.exchange)
        ((store, position),) = self.cloud.rows(f"SELECT store, position FROM store, box WHERE box = '{box.id}'")  # noqa: S608
        if exchange.unsettled or exchange.seen != (store, position):
            return f"{len(exchange.unsettled)} unsettled, {exchange.seen} seen of {store}, {position}"
        if time.monotonic() < self._mended_at + ROLL_CALL_SECONDS:
            return "the epochs that are over, which are greeted one a second"
        return ""

    def _decided(self) -> bool:
        held = self._held("clone")
        for box, epoch in held:
            self.cloud.post("/held/release", {"box": box, "reason": "clone", "epoch": epoch})
        return not held

    def _held(self, reason: str) -> list[tuple[str, str]]:
        return self.cloud.rows(f"SELECT DISTINCT box, epoch FROM held WHERE reason = '{reason}'")  # noqa: S608

    def _restart_ingest(self) -> None:
        """Anew, and until it listens: a broker that has forgotten it keeps nothing for it."""
        self.cloud.ingest.kill()
        before = self.cloud.ingest.log.count(_LISTENS)
        self.cloud.ingest.start()
        until(lambda: self.cloud.ingest.log.count(_LISTENS) > before, seconds=60, what="the ingest to listen")

    def _make_old(self) -> None:
        engine = open_engine(self.database.url)
        with writing(engine) as connection:
            connection.execute(text(f"UPDATE store SET created_ms = created_ms - {_DAY_MS}"))  # noqa: S608
        engine.dispose()

    def _ingest_words(self, *die: str) -> list[str | Path]:
        program: list[str | Path] = [sys.executable, "-m", "tests.end_to_end.faults.programs", self._folder / "clock"]
        return [*program, *die, "cloud", "ingest"]

    def _commands(self) -> Iterator[tuple[str, Command]]:
        yield CLOUD, self.cloud.ingest
        for box in self.boxes.values():
            for command in box.commands:
                yield box.id, command


class Overheard:
    """Somebody at the broker who hears all envelopes and acks, and can say them again."""

    def __init__(self, broker: Mosquitto) -> None:
        self._messages: deque[tuple[str, bytes]] = deque(maxlen=2_000)
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="somebody")
        self._client.reconnect_delay_set(min_delay=1, max_delay=1)
        self._client.on_connect = lambda client, *_: client.subscribe(
            [(f"footfall/v1/+/+/{leaf}", 1) for leaf in ("up/events", "up/tiles", "down/ack")]
        )
        self._client.on_message = lambda _, __, message: self._messages.append((message.topic, bytes(message.payload)))
        self._client.connect(broker.host, broker.port)

    def __enter__(self) -> Self:
        self._client.loop_start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def say_again(self, random: Random, count: int) -> None:
        """Publish some of what was heard, of any time and in any order."""
        heard = list(self._messages)
        for topic, payload in random.sample(heard, min(count, len(heard))):
            self._client.publish(topic, payload, qos=1)
