"""How a command begins and ends: its log, its exit code, and what a signal does."""

import argparse
import logging
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from edge.errors import ConfigurationError, EdgeError

__all__ = ["guarded", "stopping"]


def guarded(
    handler: Callable[[argparse.Namespace], None], *, name: str = "footfall edge"
) -> Callable[[argparse.Namespace], int]:
    """The handler with logging and exit codes: 0 done, 1 failed, 2 wrongly configured."""

    def guarded_handler(arguments: argparse.Namespace) -> int:
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
        try:
            handler(arguments)
        except ConfigurationError as error:
            print(error, file=sys.stderr)
            return 2
        except EdgeError as error:
            print(f"{name}: {error}", file=sys.stderr)
            return 1
        return 0

    return guarded_handler


@contextmanager
def stopping() -> Iterator[threading.Event]:
    """An event that SIGTERM and SIGINT set."""
    stop = threading.Event()
    former = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
