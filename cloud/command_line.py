"""What the commands of `footfall cloud` are made of, wherever they stand."""

import argparse
from collections.abc import Callable

from cloud.settings import Settings

__all__ = ["Commands", "Leaf", "Work"]

Commands = argparse._SubParsersAction  # noqa: SLF001  argparse has no other name for what add_subparsers gives
Work = Callable[[Settings, argparse.Namespace], int]
"""What a command does with the settings and its arguments; its exit code."""
Leaf = Callable[["Commands[argparse.ArgumentParser]", str, Work, str], argparse.ArgumentParser]
"""Makes a command of a name, its work and a line of help, with the settings file as its option."""
