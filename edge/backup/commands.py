"""`footfall edge backup` and `restore`: a box in one file, and back."""

import argparse
import os
from collections.abc import Callable
from pathlib import Path

from edge.configuration import CONFIG_VARIABLE

__all__ = ["add_backup"]

_Handler = Callable[[argparse.Namespace], None]


def add_backup(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    *,
    guarded: Callable[[_Handler], Callable[[argparse.Namespace], int]],
) -> None:
    """Add `backup` and `restore` to `edge`; `guarded` makes a command's exit code of what it does."""
    backup = commands.add_parser(
        "backup",
        help="keep this box in one file: its configuration and its exchange",
        description="Keep this box in one file: its configuration and its exchange. Vision and uplink may go on.",
    )
    restore = commands.add_parser(
        "restore",
        help="make this box what a back-up holds",
        description="Make this box what a back-up holds: its configuration and its exchange. Vision must not run.",
    )
    restore.add_argument("--replace", action="store_true", help="throw away the configuration and items that are here")
    for command, handler in ((backup, _backup), (restore, _restore)):
        command.add_argument("file", type=Path, metavar="FILE.tar.gz", help="only its owner may read it")
        command.add_argument(
            "--config", type=Path, default=os.environ.get(CONFIG_VARIABLE, "/etc/footfall/edge.toml"),
            help=f"configuration (default: ${CONFIG_VARIABLE}, else /etc/footfall/edge.toml)",
        )  # fmt: skip
        command.set_defaults(handler=guarded(handler))


def _backup(arguments: argparse.Namespace) -> None:
    from edge.backup.archive import back_up

    items = back_up(arguments.config, arguments.file)
    print(f"{arguments.file} holds {arguments.config} and an exchange of {items:,} items.")


def _restore(arguments: argparse.Namespace) -> None:
    from edge.backup.archive import restore

    items = restore(arguments.file, arguments.config, replace=arguments.replace)
    print(f"{arguments.config} and an exchange of {items:,} items are as they were in {arguments.file}.")
