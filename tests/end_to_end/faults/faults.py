"""The faults: a table of what may happen, and small values drawn from it by a seed.

A fault acts on the world up to its `yield`, and is mended after it. It begins so long `after` the one before began and
`lasts` so long, so several may be under way; `size` is whatever number it needs. What throws an exchange away needs a
world in which something is done: before that, all others are ended and everything flows.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from random import Random

from tests.end_to_end.faults.box import Exchange
from tests.end_to_end.faults.world import CLOUD, NARROW, WIDE, World
from tests.support.mqtt_proxy import Conduct
from tests.support.processes import until

__all__ = ["KINDS", "Fault", "draw"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault; times in seconds."""

    kind: str
    victim: str
    after: float
    lasts: float
    size: int

    def __str__(self) -> str:
        return f"+{self.after:.2f} s {self.kind} ({self.victim}, {self.lasts:.1f} s, {self.size})"


Act = Callable[[World, Fault], AbstractContextManager[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """How often it happens, to whom, and what then; `longest` in seconds. `calm`: the others are ended before."""

    weight: int
    victims: tuple[str, ...]
    longest: float
    act: Act
    calm: bool = False


BOXES = (WIDE, NARROW)
BROKER = ("broker",)
LONGEST_PAUSE_SECONDS = 0.8
MERGE_SECONDS = 60
JUMPS_SECONDS = (-86_400, -3_600, 3_600, 86_400)


@contextmanager
def kill_vision(world: World, fault: Fault) -> Iterator[None]:
    vision = world.boxes[fault.victim].half.vision
    vision.kill()
    yield
    vision.start()


@contextmanager
def kill_uplink(world: World, fault: Fault) -> Iterator[None]:
    uplink = world.boxes[fault.victim].half.uplink
    uplink.kill()
    yield
    uplink.start()


@contextmanager
def kill_uplink_before_it_takes_an_ack(world: World, fault: Fault) -> Iterator[None]:
    box = world.boxes[fault.victim]
    box.half.uplink.kill()
    box.half.uplink.start(box.dying_uplink(1 + fault.size % 4))
    yield
    box.half.uplink.kill()
    box.half.uplink.start()


@contextmanager
def kill_ingest(world: World, _fault: Fault) -> Iterator[None]:
    world.cloud.ingest.kill()
    yield
    world.cloud.ingest.start()


@contextmanager
def kill_ingest_between_commit_and_ack(world: World, fault: Fault) -> Iterator[None]:
    world.cloud.ingest.kill()
    world.cloud.ingest.start(world.dying_ingest(1 + fault.size % 4))
    yield
    world.cloud.ingest.kill()
    world.cloud.ingest.start()


@contextmanager
def kill_broker(world: World, _fault: Fault) -> Iterator[None]:
    world.broker.kill()
    yield
    world.broker.start()


@contextmanager
def restart_broker(world: World, _fault: Fault) -> Iterator[None]:
    world.broker.stop()
    yield
    world.broker.start()


@contextmanager
def broker_forgets(world: World, _fault: Fault) -> Iterator[None]:
    world.broker.kill()
    world.broker.forget()
    yield
    world.broker.start()


@contextmanager
def cut_line(world: World, fault: Fault) -> Iterator[None]:
    world.line_of(fault.victim).cut()
    yield


@contextmanager
def line_down(world: World, fault: Fault) -> Iterator[None]:
    with _conduct(world, fault, Conduct.DOWN):
        yield


@contextmanager
def line_down_until_it_merges(world: World, fault: Fault) -> Iterator[None]:
    """So long that the box is short of room, on however slow a machine."""
    box = world.boxes[fault.victim]
    with _conduct(world, fault, Conduct.DOWN):
        before = Exchange.read(box.half.exchange).merged
        with suppress(AssertionError):  # vision may be down, or the disk full: then it merges another time
            until(
                lambda: Exchange.read(box.half.exchange).merged > before, seconds=MERGE_SECONDS, what="the box to merge"
            )
        yield


@contextmanager
def half_open_line(world: World, fault: Fault) -> Iterator[None]:
    with _conduct(world, fault, Conduct.HALF_OPEN):
        yield


@contextmanager
def slow_line(world: World, fault: Fault) -> Iterator[None]:
    with _conduct(world, fault, Conduct.SLOW):
        yield


@contextmanager
def repeating_line(world: World, fault: Fault) -> Iterator[None]:
    with _conduct(world, fault, Conduct.REPEATING):
        yield


@contextmanager
def reordering_line(world: World, fault: Fault) -> Iterator[None]:
    with _conduct(world, fault, Conduct.REORDERING):
        yield


@contextmanager
def _conduct(world: World, fault: Fault, conduct: Conduct) -> Iterator[None]:
    """The line may go wrong in another way meanwhile; whichever fault ends first makes it fair."""
    world.line_of(fault.victim).behave(conduct)
    yield
    world.line_of(fault.victim).behave(Conduct.FAIR)


@contextmanager
def say_again(world: World, fault: Fault) -> Iterator[None]:
    world.overheard.say_again(Random(fault.size), 30)
    yield


@contextmanager
def jump_clock(world: World, fault: Fault) -> Iterator[None]:
    """A box asks for the time each second; now and then one of its processes starts within."""
    world.clock_of(fault.victim).set(_jump(fault))
    if fault.victim != CLOUD and fault.size & 4:
        half = world.boxes[fault.victim].half
        one = half.vision if fault.size & 8 else half.uplink
        one.kill()
        one.start()
    yield
    world.clock_of(fault.victim).set(0)


@contextmanager
def reboot_with_a_wrong_clock(world: World, fault: Fault) -> Iterator[None]:
    box = world.boxes[fault.victim]
    box.reboot(_jump(fault))
    yield
    box.reboot()


@contextmanager
def reboot_without_utc(world: World, fault: Fault) -> Iterator[None]:
    """The boot learns UTC late, from the cloud or by itself, or never."""
    box = world.boxes[fault.victim]
    box.reboot(is_known=False)
    yield
    if fault.size & 1:
        box.reboot()
    else:
        box.clock.set(0)


def _jump(fault: Fault) -> int:
    return JUMPS_SECONDS[fault.size % len(JUMPS_SECONDS)]


@contextmanager
def fill_disk_of_box(world: World, fault: Fault) -> Iterator[None]:
    box = world.boxes[fault.victim]
    if box.disk is not None:
        box.disk.brim()
    yield
    box.relieve()


@contextmanager
def fill_disk_of_cloud(world: World, _fault: Fault) -> Iterator[None]:
    world.database.fill()
    yield
    world.database.recover()


@contextmanager
def kill_database(world: World, _fault: Fault) -> Iterator[None]:
    world.database.kill()
    yield
    world.database.recover()


@contextmanager
def restore_exchange(world: World, fault: Fault) -> Iterator[None]:
    """A copy of a moment ago, or any that was taken earlier: epochs old, and from before the cloud was restored."""
    box = world.boxes[fault.victim]
    if fault.size & 1:
        box.take_copy()
        world.until_flowing()
        box.put_back(box.shelf[-1])
    else:
        box.put_back(box.shelf[fault.size // 2 % len(box.shelf)])
    yield


@contextmanager
def clone_box(world: World, fault: Fault) -> Iterator[None]:
    box = world.boxes[fault.victim]
    box.start_clone()
    world.until_flowing()
    yield
    box.end_clone()


@contextmanager
def restore_cloud(world: World, fault: Fault) -> Iterator[None]:
    """Whatever else goes on, goes on. Now and then it is restored twice within an hour, or hears what is old first."""
    world.back_up_cloud()
    yield
    stale_first = Random(fault.size) if fault.size & 4 else None
    world.restore_cloud(hours_later=bool(fault.size & 3), stale_first=stale_first)


KINDS: Mapping[str, Kind] = {
    "kill vision": Kind(weight=10, victims=BOXES, longest=1, act=kill_vision),
    "kill uplink": Kind(weight=8, victims=BOXES, longest=1, act=kill_uplink),
    "kill uplink before it takes an ack": Kind(
        weight=6, victims=BOXES, longest=4, act=kill_uplink_before_it_takes_an_ack
    ),
    "kill ingest": Kind(weight=6, victims=(CLOUD,), longest=3, act=kill_ingest),
    "kill ingest between commit and ack": Kind(
        weight=8, victims=(CLOUD,), longest=4, act=kill_ingest_between_commit_and_ack
    ),
    "kill broker": Kind(weight=6, victims=BROKER, longest=3, act=kill_broker),
    "restart broker": Kind(weight=4, victims=BROKER, longest=1, act=restart_broker),
    "restart broker without its store": Kind(weight=4, victims=BROKER, longest=1, act=broker_forgets),
    "cut line": Kind(weight=10, victims=(*BOXES, CLOUD), longest=0.1, act=cut_line),
    "line down": Kind(weight=8, victims=(NARROW, NARROW, WIDE, CLOUD), longest=12, act=line_down),
    "line down until it merges": Kind(weight=2, victims=(NARROW,), longest=1, act=line_down_until_it_merges, calm=True),
    "half-open line": Kind(weight=8, victims=(*BOXES, CLOUD), longest=10, act=half_open_line),
    "slow line": Kind(weight=4, victims=(*BOXES, CLOUD), longest=5, act=slow_line),
    "repeating line": Kind(weight=6, victims=(*BOXES, CLOUD), longest=5, act=repeating_line),
    "reordering line": Kind(weight=8, victims=(*BOXES, CLOUD), longest=5, act=reordering_line),
    "old messages again": Kind(weight=8, victims=BROKER, longest=0.1, act=say_again),
    "clock jumps": Kind(weight=6, victims=(*BOXES, CLOUD), longest=8, act=jump_clock),
    "reboot with a wrong clock": Kind(weight=4, victims=BOXES, longest=8, act=reboot_with_a_wrong_clock),
    "reboot without UTC": Kind(weight=4, victims=BOXES, longest=8, act=reboot_without_utc),
    "full disk of a box": Kind(weight=4, victims=(NARROW,), longest=8, act=fill_disk_of_box),
    "full disk of the cloud": Kind(weight=4, victims=(CLOUD,), longest=6, act=fill_disk_of_cloud),
    "kill database": Kind(weight=4, victims=(CLOUD,), longest=4, act=kill_database),
    "old exchange restored": Kind(weight=4, victims=BOXES, longest=0.1, act=restore_exchange, calm=True),
    "cloned box": Kind(weight=4, victims=BOXES, longest=8, act=clone_box, calm=True),
    "cloud restored": Kind(weight=4, victims=(CLOUD,), longest=6, act=restore_cloud),
}


def draw(random: Random, count: int) -> Sequence[Fault]:
    """As many faults as wanted; every kind comes before one repeats."""
    names, weights = list(KINDS), [kind.weight for kind in KINDS.values()]
    chosen = [
        *random.sample(names, min(count, len(names))),
        *random.choices(names, weights, k=max(0, count - len(names))),
    ]
    random.shuffle(chosen)
    return [
        Fault(
            kind=name,
            victim=random.choice(KINDS[name].victims),
            after=random.uniform(0, LONGEST_PAUSE_SECONDS),
            lasts=random.uniform(0, KINDS[name].longest),
            size=random.randrange(2**16),
        )
        for name in chosen
    ]
