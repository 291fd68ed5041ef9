"""`footfall fleet simulate`: many made-up boxes against a real broker and cloud."""

import argparse
import logging
import os
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from edge.errors import ConfigurationError, EdgeError
from edge.fleet.registration import register
from edge.fleet.simulation import Fleet, FleetSettings, Standing
from edge.fleet.traffic import ShopTraffic
from edge.process import guarded, stopping
from edge.uplink.link import Address

__all__ = ["add_commands"]

MOST_BOXES, MOST_CAMERAS = 1000, 64
_REPORT_SECONDS = 10.0
_DRAIN_SECONDS = 60.0
_LAST_PORT = 65_535
_KEY_VARIABLE = "FOOTFALL_FLEET_KEY"
_PASSWORD_VARIABLE = "FOOTFALL_FLEET_PASSWORD"  # noqa: S105  a variable's name


def add_commands(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `fleet` and its commands."""
    fleet = subparsers.add_parser("fleet", help="try out many boxes: simulate")
    commands = fleet.add_subparsers(title="commands", metavar="COMMAND")
    simulate = commands.add_parser(
        "simulate",
        help="let many made-up boxes speak to a real broker and cloud",
        description="Let many made-up boxes speak to a real broker and cloud: each with an exchange and a connection of"
        " its own, and days of a made-up shop for its cameras. With --cloud they are registered first, each in a venue"
        f" of its own (sim-shop-0001 …), by the key in ${_KEY_VARIABLE}.",
        epilog="Ctrl-C ends it. Exit code 1: the cloud did not acknowledge everything within a minute of the end.",
    )
    simulate.add_argument("--boxes", type=_within(1, MOST_BOXES), default=10, metavar="N", help="boxes (default: 10)")
    simulate.add_argument(
        "--cameras", type=_within(1, MOST_CAMERAS), default=2, metavar="M", help="cameras a box (default: 2)"
    )
    simulate.add_argument("--broker", default="127.0.0.1:1883", metavar="HOST:PORT", help="default: 127.0.0.1:1883")
    simulate.add_argument("--username", metavar="NAME", help=f"the broker's user; its password: ${_PASSWORD_VARIABLE}")
    simulate.add_argument("--ca-file", type=Path, metavar="FILE", help="speak TLS, trusting these certificates")
    simulate.add_argument("--cloud", metavar="URL", help="register venues and boxes there first")
    simulate.add_argument("--seconds", type=float, default=60.0, metavar="S", help="for how long (default: 60)")
    simulate.add_argument(
        "--speed", type=float, default=1.0, metavar="X", help="how many times as fast as life (default: 1)"
    )
    simulate.add_argument("--seed", type=int, default=0, metavar="N", help="other days (default: 0)")
    simulate.add_argument(
        "--folder", type=Path, metavar="FOLDER", help="where exchanges lie (default: a temporary one)"
    )
    simulate.set_defaults(handler=guarded(_simulate, name="footfall fleet"))


def _simulate(arguments: argparse.Namespace) -> None:
    for chatty in ("edge.uplink", "httpx"):  # a line a box and request would bury the report
        logging.getLogger(chatty).setLevel(logging.WARNING)
    address = _address(arguments)
    speed, seconds = _positive(arguments.speed, "--speed"), _positive(arguments.seconds, "--seconds")
    if arguments.cloud:
        register(cloud=arguments.cloud, key=_key(), boxes=arguments.boxes)
    traffic = ShopTraffic(cameras=arguments.cameras, seed=arguments.seed)
    settings = FleetSettings(boxes=arguments.boxes, address=address, traffic=traffic, speed=speed)
    with _folder_within(arguments.folder) as folder, stopping() as stop:
        _run(settings, Path(folder), seconds, stop)


def _run(settings: FleetSettings, folder: Path, seconds: float, stop: threading.Event) -> None:
    began = time.monotonic()

    def report(standing: Standing) -> None:
        print(f"{time.monotonic() - began:6.0f} s  {_words(standing, settings.boxes)}", flush=True)

    with Fleet(settings, folder) as fleet:
        fleet.run(stop, seconds=seconds, each=report, every=_REPORT_SECONDS)
        standing = fleet.drain(stop, limit_seconds=_DRAIN_SECONDS)
    report(standing)
    if standing.waiting and not stop.is_set():
        raise EdgeError(f"{standing.waiting} items are not acknowledged: does the cloud's ingest run, on this broker?")


def _words(standing: Standing, boxes: int) -> str:
    waiting = f"{standing.waiting:,} waiting"
    if standing.waiting:
        waiting += f", some for {standing.oldest_seconds:.0f} s"
    return (
        f"{standing.connected} of {boxes} boxes connected; {standing.told:,} items told, "
        f"{standing.acknowledged:,} acknowledged, {waiting}"
    )


def _address(arguments: argparse.Namespace) -> Address:
    host, _, port = arguments.broker.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) <= _LAST_PORT:
        raise ConfigurationError(f"--broker: found {arguments.broker!r}; allowed is HOST:PORT, as in 127.0.0.1:1883")
    if arguments.ca_file is not None and not arguments.ca_file.is_file():
        raise ConfigurationError(f"--ca-file: {arguments.ca_file} is not there")
    return Address(
        host=host,
        port=int(port),
        client_id="",
        username=arguments.username,
        password=os.environ.get(_PASSWORD_VARIABLE),
        ca_file=arguments.ca_file,
    )


def _folder_within(folder: Path | None) -> "tempfile.TemporaryDirectory[str]":
    try:
        return tempfile.TemporaryDirectory(prefix="footfall-fleet-", dir=folder)
    except OSError as error:
        raise ConfigurationError(f"--folder: nothing can be made in {folder}: {error.strerror}") from error


def _key() -> str:
    key = os.environ.get(_KEY_VARIABLE)
    if not key:
        raise ConfigurationError(f"--cloud needs a key that may make venues and boxes, in ${_KEY_VARIABLE}")
    if not key.isascii() or not key.isprintable():
        raise ConfigurationError(f"${_KEY_VARIABLE} is no key of a cloud: those are of ASCII characters alone")
    return key


def _positive(value: float, name: str) -> float:
    if not 0 < value < float("inf"):
        raise ConfigurationError(f"{name}: found {value}; allowed is a number above 0")
    return value


def _within(least: int, most: int) -> Callable[[str], int]:
    """The type of an argument that is a whole number between two others."""

    def read(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            msg = f"found {text!r}; allowed is a whole number from {least} to {most}"
            raise argparse.ArgumentTypeError(msg)
        return int(text)

    return read
