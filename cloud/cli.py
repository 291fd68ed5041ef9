"""`footfall cloud …`: serve the API and take in what boxes send, migrate the database, users, keys, the admin key.

Settings are read here, and errors become exit codes. What serves is imported only to serve: the web framework would
more than double the time that every other command takes to start.
"""

import argparse
import functools
import importlib
import logging
import sys
from pathlib import Path

from cloud.access.commands import add_access_commands
from cloud.auth import admin_key
from cloud.backup.commands import add_backup_commands
from cloud.command_line import Commands, Work
from cloud.database import make_data_dir
from cloud.devices.commands import add_device_commands
from cloud.errors import CloudError, SettingsError
from cloud.settings import Settings, database_url, load_settings
from cloud.store.engine import open_engine, store_name
from cloud.store.schema import migrate
from cloud.upkeep.commands import add_upkeep_commands

__all__ = ["add_commands"]


def add_commands(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `cloud` and its commands."""
    cloud = subparsers.add_parser("cloud", help="collect what boxes send, and serve it")
    commands = cloud.add_subparsers(title="commands", metavar="COMMAND")
    serve = _add(commands, "serve", _serve, "serve the API, and take in what the boxes send")
    serve.add_argument("--no-ingest", action="store_true", help="only the API; `footfall cloud ingest` runs elsewhere")
    _add(commands, "ingest", _ingest, "only take in what the boxes send")
    _add(commands, "migrate", _migrate, "make the database, or bring it up to this program's schema")
    add_upkeep_commands(commands, leaf=_add)
    add_backup_commands(commands, leaf=_add)
    add_access_commands(commands, leaf=_add)
    key = _add(commands, "admin-key", _admin_key, "tell where the admin key lies, and make it where there is none")
    key.add_argument("--show", action="store_true", help="print the key itself")
    add_device_commands(commands, leaf=_add)


def _add(commands: "Commands[argparse.ArgumentParser]", name: str, work: Work, text: str) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    command.add_argument(
        "--config", type=Path, metavar="FILE", help="settings file (default: $FOOTFALL_CLOUD_CONFIG, else none)"
    )
    command.set_defaults(handler=functools.partial(_guarded, work))
    return command


def _guarded(work: Work, arguments: argparse.Namespace) -> int:
    """Run a command; what goes wrong becomes a sentence and an exit code."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it would tell the webhook's address, which may hold a secret
    try:
        return work(load_settings(arguments.config), arguments)
    except SettingsError as error:
        print(f"footfall cloud: {error}", file=sys.stderr)
        return 2
    except CloudError as error:
        print(f"footfall cloud: {error}", file=sys.stderr)
        return 1


def _serve(settings: Settings, arguments: argparse.Namespace) -> int:
    code: int = importlib.import_module("cloud.services").serve(settings, takes_in=not arguments.no_ingest)
    return code


def _ingest(settings: Settings, arguments: argparse.Namespace) -> int:
    del arguments
    code: int = importlib.import_module("cloud.services").ingest(settings)
    return code


def _migrate(settings: Settings, arguments: argparse.Namespace) -> int:
    del arguments
    make_data_dir(settings)
    engine = open_engine(database_url(settings))
    print(f"{store_name(engine)} has schema {migrate(engine)}.")
    return 0


def _admin_key(settings: Settings, arguments: argparse.Namespace) -> int:
    key = admin_key(settings)
    if arguments.show:
        print(key.secret.get_secret_value())
    else:
        print(f"The admin key lies in {key.path}." if key.path else "The admin key stands in the settings.")
    return 0
