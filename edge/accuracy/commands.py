"""`footfall edge certify`: what an installer at a terminal sees of a check on the spot."""

import argparse
import json
import os
import sys
import termios
import threading
import tty
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import datetime
from pathlib import Path

from edge import clock
from edge.accuracy.brought import brought, lines_of, no_line
from edge.accuracy.certificate import Certificate, by_sums, checked_of, worth
from edge.accuracy.onsite import Hand, LineFollower, is_running, refuse_turned, turned_in
from edge.configuration import load
from edge.detector.providers import Unbuilt
from edge.errors import ConfigurationError, EdgeError
from edge.exchange.certificates import KIND
from edge.exchange.outbox import LiveRow, Outbox
from edge.exchange.schema import FILE_NAME
from edge.settings import Settings
from edge.setup import setups_of
from edge.side import Side
from protocol.events import Checked, CheckMethod
from protocol.wire import format_utc

__all__ = ["certify"]

_STARTING_SECONDS = 90.0
_WALK = "Walk over line {line} of camera {camera}, at least 20 times each way, while nobody else is near it."
_KEYS = f"""{_WALK}
Press at each crossing, when your feet are on the line: i for in, o for out. u takes the last one back.
Press q a few seconds after the last crossing."""
_SUMS = f"""{_WALK}
Count them each way, and press Enter a few seconds after the last crossing."""


def certify(arguments: argparse.Namespace) -> None:
    """Check a line, keep a film's certificates, or show what is kept; raises EdgeError."""
    _refuse_mixtures(arguments)
    settings = load(arguments.config, places=True)
    if arguments.film is not None:
        _keep_film(settings, arguments.film)
    elif arguments.line is None:
        _list(settings)
    else:
        _check(settings, arguments)


def _refuse_mixtures(arguments: argparse.Namespace) -> None:
    """Refuse what would be passed over: options of a count where nothing is counted."""
    options = {"--totals": "totals", "--in": "inward", "--out": "outward", "--seconds": "seconds"}
    values = {option: getattr(arguments, name) for option, name in options.items()}
    given = [option for option, value in values.items() if value is not None and value is not False]
    if arguments.film is not None and (given or arguments.line is not None):
        found = " and ".join([*([] if arguments.line is None else [arguments.line]), *given])
        raise ConfigurationError(f"--from: found {found} too; allowed is --from FILE.json alone, which names its lines")
    if arguments.line is None and given:
        found = " and ".join(given)
        raise ConfigurationError(f"{found}: found without a line; needed is the one to count at, as in certify LINE")


def _check(settings: Settings, arguments: argparse.Namespace) -> None:
    lines = lines_of(settings)
    if arguments.line not in lines:
        raise ConfigurationError(f"{arguments.config}: {no_line(arguments.line, lines)}")
    by_keys = not arguments.totals and arguments.inward is None and arguments.outward is None
    with ExitStack() as stack:
        outbox = stack.enter_context(_exchange(settings))
        stop, ended_run = stack.enter_context(_vision(settings, outbox))
        follower = LineFollower(outbox, arguments.line, monotonic=clock.monotonic, ended=ended_run)
        _await(follower, stop)
        print((_KEYS if by_keys else _SUMS).format(line=arguments.line, camera=lines[arguments.line].id))
        print("Counting from now.", flush=True)
        began = follower.begin()
        hand = Hand(descriptor=sys.stdin.fileno(), monotonic=clock.monotonic, line=arguments.line)
        ended = _counted_by_hand(hand, follower, stop, began=began, seconds=arguments.seconds, by_keys=by_keys)
        sums = None if by_keys else _sums(arguments)
        print("Waiting for the last of what the box counted …", flush=True)
        counted = follower.counted(began, ended)
        if sums is None:
            checked = checked_of(counted, hand.passages, line=arguments.line)
        else:
            ways = [sum(one.direction == way for one in counted) for way in ("in", "out")]
            inward, outward = (worth(by_sums(ours, theirs)) for ours, theirs in zip(ways, sums, strict=True))
            checked = {"inward": inward, "outward": outward}
        certificate = _certificate(follower, checked, seconds=ended - began, by_keys=by_keys)
        print(*certificate.lines(), sep="\n")
        _keep(outbox, certificate)


def _counted_by_hand(
    hand: Hand,
    follower: LineFollower,
    stop: threading.Event,
    *,
    began: float,
    seconds: int | None,
    by_keys: bool,
) -> float:
    """Follow both until the end; its moment."""
    with _single_keys(hand.descriptor) if by_keys else ExitStack():
        while True:
            before = hand.said
            is_over = hand.listen(keys=by_keys) and not (hand.is_closed and seconds)
            now = clock.monotonic()
            follower.follow()
            if stop.is_set():
                raise EdgeError("vision has ended meanwhile: begin anew")
            if hand.said != before:
                print(hand.said, flush=True)
            if is_over or (seconds is not None and now - began >= seconds):
                return now


def _certificate(
    follower: LineFollower, checked: Mapping[str, Checked | None], *, seconds: float, by_keys: bool
) -> Certificate:
    seen = follower.seen
    if seen is None:
        raise EdgeError(f"the line is not watched: {follower.why_not()}")
    if not any(checked.values()):
        raise EdgeError("nobody was counted by hand, so there is nothing to certify: begin anew, and count who walks")
    return Certificate(
        scene=seen.scene,
        camera=seen.camera,
        line=seen.line,
        setup=seen.setup,
        model=follower.model.name,
        model_digest=follower.model.digest,
        method=CheckMethod.MOMENTS if by_keys else CheckMethod.TOTALS,
        length_seconds=max(1, round(seconds)),
        inward=checked["inward"],
        outward=checked["outward"],
    )


def _await(follower: LineFollower, stop: threading.Event) -> None:
    """Wait until the line is watched."""
    deadline = clock.monotonic() + _STARTING_SECONDS
    while not follower.is_watched():
        if stop.is_set() or clock.monotonic() > deadline:
            raise EdgeError(f"the line is not watched: {follower.why_not()}")
        stop.wait(0.5)


def _sums(arguments: argparse.Namespace) -> tuple[int, int]:
    """What was counted by hand, in and out; what was not given is asked for."""
    inward = _asked("in") if arguments.inward is None else arguments.inward
    return inward, _asked("out") if arguments.outward is None else arguments.outward


def _asked(way: str) -> int:
    while True:
        try:
            text = input(f"How many walked {way}, by your count? ")
        except EOFError:
            raise ConfigurationError(f"needed is your sum of those who walked {way}: --{way} N") from None
        if text.strip().isdecimal():
            return int(text)
        print(f"found {text!r}; allowed is a whole number")


def _keep(outbox: Outbox, certificate: Certificate) -> None:
    fix = outbox.fix() or clock.system_fix(clock.Trust.ALWAYS)
    now = None if fix is None else clock.to_utc(round(clock.monotonic() * 1000) + fix.offset_ms)
    body = {"checked": None if now is None else format_utc(now.replace(microsecond=0)), "item": certificate.item()}
    outbox.receive(kind=KIND, name=certificate.line, body=json.dumps(body))
    print(f"Kept as the certificate of {certificate.line}. It ends when the line, its cameras or the model change.")


def _keep_film(settings: Settings, path: Path) -> None:
    certificates = brought(path, settings, setups=_setups(settings))
    with _exchange(settings) as outbox:
        for one in certificates:
            refuse_turned(one.scene, _live(outbox))
        for one in certificates:
            print(*one.lines(), sep="\n")
            _keep(outbox, one)


def _list(settings: Settings) -> None:
    setups, kept, rows = _setups(settings), dict[str, tuple[str | None, Certificate]](), list[LiveRow]()
    if (settings.exchange.folder / FILE_NAME).exists():
        with _exchange(settings) as outbox:
            for body in map(json.loads, outbox.certificates()):
                certificate = Certificate.read(body["item"])
                kept[certificate.line] = body["checked"], certificate
            rows = _live(outbox)
    for line, setup in setups.items():
        if line not in kept:
            print(f"{line}: no certificate; `footfall edge certify {line}` makes one")
            continue
        checked, certificate = kept[line]
        when = "" if checked is None else f", checked {datetime.fromisoformat(checked):%Y-%m-%d %H:%M} UTC"
        if certificate.setup != setup:
            print(f"{line}: does not hold: the line, its cameras or the model have changed since{when}")
        elif (turned := turned_in(certificate.scene, rows)) is not None:
            print(f"{line}: does not hold: camera {turned} looks elsewhere than before{when}")
        else:
            print(f"{line}: holds{when}")
        print(*certificate.lines(), sep="\n")


def _setups(settings: Settings) -> dict[str, str]:
    from edge.assembly import eyes

    models = eyes(settings.detector, environment=dict(os.environ), unbuilt=Unbuilt.LEAVE).models()
    return setups_of(settings.cameras, detector=settings.detector, models=models)


def _live(outbox: Outbox) -> list[LiveRow]:
    return outbox.live(now_ms=round(clock.monotonic() * 1000))


@contextmanager
def _exchange(settings: Settings) -> Iterator[Outbox]:
    with suppress(OSError):  # said better of the file itself
        settings.exchange.folder.mkdir(parents=True, exist_ok=True)
    with closing(Outbox(settings.exchange.folder, boot=clock.boot_id())) as outbox:
        yield outbox


@contextmanager
def _vision(settings: Settings, outbox: Outbox) -> Iterator[tuple[threading.Event, str | None]]:
    """The vision that runs on this box, or one meanwhile.

    Gives an event that is set when that one ends, and the epoch of the run before it.
    """
    from edge.assembly import run_vision

    stop = threading.Event()
    print("Looking whether vision runs here …", flush=True)
    if is_running(outbox, monotonic=clock.monotonic):
        yield stop, None
        return
    print("Vision does not run here: it is started for the time of this check.", flush=True)
    before = outbox.head()
    side = Side(lambda: run_vision(settings, stop, environment=dict(os.environ)), stop)
    side.start()
    try:
        yield stop, before
    finally:
        stop.set()
        side.finish()


@contextmanager
def _single_keys(descriptor: int) -> Iterator[None]:
    """Each key counts at once on a terminal, without Enter."""
    if not os.isatty(descriptor):
        yield
        return
    before = termios.tcgetattr(descriptor)
    tty.setcbreak(descriptor)
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
