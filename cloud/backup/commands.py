"""`footfall cloud backup`, `restore`, `list` and `verify`: what an operator or a timer types."""

import argparse
import os
from datetime import timedelta
from pathlib import Path

from cloud.backup.archive import Catalogue, Kind, Manifest, read_catalogue
from cloud.backup.dump import back_up
from cloud.backup.keeping import remove, superfluous
from cloud.backup.keys import pack_keys, unpack_keys
from cloud.backup.reading import read_part
from cloud.backup.restore import restore
from cloud.backup.target import Target
from cloud.backup.turn import alone
from cloud.backup.verification import verify
from cloud.command_line import Commands, Leaf
from cloud.errors import BackupError, SettingsError
from cloud.settings import Settings, check_target, database_url
from cloud.store.engine import open_engine, store_name
from cloud.store.moments import utc_now
from cloud.store.schema import check_schema
from protocol.wire import format_utc

__all__ = ["add_backup_commands"]

_OWNER_ONLY = 0o077
_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")


def add_backup_commands(commands: "Commands[argparse.ArgumentParser]", *, leaf: Leaf) -> None:
    """Add `backup`, `restore`, `list` and `verify` to `cloud`."""
    backup = leaf(commands, "backup", _backup, "keep the database in a folder or a bucket: all of it, or what changed")
    backup.add_argument("--full", action="store_true", help="keep all of it, also where what changed would do")
    backup.add_argument("--with-keys", action="store_true", help="keep the data folder's keys too, not encrypted")
    restoring = leaf(commands, "restore", _restore, "make the database anew from a back-up")
    restoring.add_argument(
        "archive", nargs="?", metavar="ID", help="which back-up; the newest when left out, if all are of one database"
    )
    restoring.add_argument("--replace", action="store_true", help="throw away what the database holds")
    restoring.add_argument("--with-keys", action="store_true", help="lay the keys that it has into the data folder")
    listing = leaf(commands, "list", _list, "list the back-ups")
    checking = leaf(commands, "verify", _verify, "read back-ups through and tell whether each can be restored")
    checking.add_argument("archive", nargs="*", metavar="ID", help="which back-ups; all when left out")
    for command in (backup, restoring, listing, checking):
        command.add_argument(
            "--target", metavar="URL", help="file:///FOLDER or s3://BUCKET/PREFIX (default: backup.target)"
        )


def _backup(settings: Settings, arguments: argparse.Namespace) -> int:
    os.umask(_OWNER_ONLY)
    target, now = _target(settings, arguments), utc_now()
    engine = open_engine(database_url(settings))
    check_schema(engine)
    keys = pack_keys(_data_dir(settings)) if arguments.with_keys else None
    full_after = timedelta() if arguments.full else timedelta(days=settings.backup.full_every_days)
    with alone(engine, target):
        made = back_up(engine, target, now=now, full_after=full_after, keys=keys)
        print(f"{made.id}  {_told(made)}; in {target.url}")
        catalogue = read_catalogue(target)
        database = catalogue.databases[made.id]
        gone = superfluous(target, catalogue, database=database, keep=settings.backup.keep, now=now)
        remove(target, catalogue, gone)
    for archive in gone:
        print(f"{archive}  removed")
    return 0


def _restore(settings: Settings, arguments: argparse.Namespace) -> int:
    os.umask(_OWNER_ONLY)
    target = _target(settings, arguments)
    manifest = read_catalogue(target).find(arguments.archive)
    if arguments.with_keys and manifest.keys is None:
        raise BackupError(f"Back-up {manifest.id} has no keys: it was made without --with-keys")
    _data_dir(settings).mkdir(parents=True, exist_ok=True, mode=0o750)
    engine = open_engine(database_url(settings))
    restore(engine, target, manifest, now=utc_now(), replace=arguments.replace)
    print(f"{store_name(engine)} is as it was at {format_utc(manifest.made_at)}: {manifest.rows:,} rows.")
    print("Boxes send again what they still hold.")
    if arguments.with_keys and manifest.keys is not None:
        for path in unpack_keys(read_part(target, manifest.keys), _data_dir(settings)):
            print(f"Laid {path}")
    return 0


def _list(settings: Settings, arguments: argparse.Namespace) -> int:
    target = _target(settings, arguments)
    catalogue = read_catalogue(target)
    databases = catalogue.databases if len(catalogue.newest) > 1 else {}
    for archive in _all(catalogue):
        print(f"{archive}  {_described(catalogue, archive, database=databases.get(archive))}")
    if not _all(catalogue):
        print(f"{catalogue.none_there}.")
    return 0


def _verify(settings: Settings, arguments: argparse.Namespace) -> int:
    target = _target(settings, arguments)
    catalogue = read_catalogue(target)
    archives = arguments.archive or _all(catalogue)
    if not archives:
        raise BackupError(catalogue.none_there)
    is_sound = True
    for verified in verify(target, catalogue, archives):
        print(f"{verified.archive}  {'; '.join(verified.troubles) or 'can be restored'}", flush=True)
        is_sound = is_sound and not verified.troubles
    return 0 if is_sound else 1


def _target(settings: Settings, arguments: argparse.Namespace) -> Target:
    url = arguments.target or settings.backup.target
    if url is None:
        raise SettingsError("backup.target: needed is file:///FOLDER or s3://BUCKET/PREFIX, here or as --target")
    try:
        return Target(check_target(url))
    except ValueError as error:
        raise SettingsError(f"--target: allowed: {error}") from None


def _data_dir(settings: Settings) -> Path:
    return settings.data_dir.expanduser().resolve()


def _all(catalogue: Catalogue) -> list[str]:
    return sorted([*catalogue.archives, *catalogue.unreadable, *catalogue.incomplete])


def _described(catalogue: Catalogue, archive: str, *, database: str | None) -> str:
    if archive in catalogue.unreadable:
        return catalogue.unreadable[archive]
    if archive in catalogue.incomplete:
        return "not completed"
    manifest = catalogue.archives[archive]
    missing = next(catalogue.missing(manifest), None)
    further = [f"; of database {database}"] if database else []
    further += [f"; {missing}"] if missing else []
    return f"{format_utc(manifest.made_at)}  {_told(manifest)}{''.join(further)}"


def _told(manifest: Manifest) -> str:
    new = "" if manifest.kind is Kind.FULL else " new"
    keys = ", with keys" if manifest.keys else ""
    return f"{manifest.kind:<11}  {manifest.rows:,} rows, {_size(manifest.own_bytes)}{new}{keys}"


def _size(count: int) -> str:
    exponent = min(max(count.bit_length() - 1, 0) // 10, len(_UNITS) - 1)
    return f"{count / 1024**exponent:.{1 if exponent else 0}f} {_UNITS[exponent]}"
