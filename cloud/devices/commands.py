"""`footfall cloud ca`, `box`, `worker` and `broker`: what an operator types to let boxes in and to shut them out."""

import argparse
import os
import pwd
import signal
import ssl
import threading
from datetime import datetime
from pathlib import Path

import httpx
from sqlalchemy import Engine
from sqlmodel import Session

from cloud.boxes import register_box
from cloud.command_line import Commands, Leaf
from cloud.database import find_database
from cloud.devices import mosquitto
from cloud.devices.authority import SERVICE_DAYS, Authority, make_key, open_authority, write_secret
from cloud.devices.codes import make_code
from cloud.devices.follower import Follower, http_source
from cloud.devices.following import last_asked
from cloud.devices.revocation import revoke_box, revoke_worker
from cloud.errors import NotFound, SettingsError
from cloud.settings import Settings
from cloud.store.engine import reading, writing
from cloud.store.moments import from_ms, to_ms, utc_now
from cloud.store.tables import Box
from protocol.wire import format_utc

__all__ = ["add_device_commands", "write_setup"]

BROKER_FOLDER = Path("/var/lib/footfall/broker")
BROKER_USER = "mosquitto"
PID_FILE = Path("/run/mosquitto/mosquitto.pid")
TIMEOUT_SECONDS = 30.0
"""A cloud that has much to list, or much to do, is slow rather than dead."""
FOLLOWED_MS = 60_000
"""A follower asks every five seconds; one that has not for so long is dead, or cannot reach the cloud."""


def add_device_commands(commands: "Commands[argparse.ArgumentParser]", *, leaf: Leaf) -> None:
    """Add `box`, `worker`, `broker` and `ca` to `cloud`."""
    _add_box(commands, leaf)
    _add_worker(commands, leaf)
    _add_broker(commands, leaf)
    _add_authority(commands, leaf)


def _add_box(commands: "Commands[argparse.ArgumentParser]", leaf: Leaf) -> None:
    leaves = _group(commands, "box", "let a box in, or shut it out")
    code = leaf(leaves, "enrol-code", _enrol_code, "make a code by which a box enrols, within a day and once")
    code.add_argument("box", metavar="BOX")
    code.add_argument("--venue", metavar="VENUE", help="registers a box that is new, for this venue")
    text = "shut a box out: certificates, device key and codes are void, and what it sends is ignored"
    revoke = leaf(leaves, "revoke", _revoke, text)
    revoke.add_argument("box", metavar="BOX")


def _add_worker(commands: "Commands[argparse.ArgumentParser]", leaf: Leaf) -> None:
    leaves = _group(commands, "worker", "this cloud's own workers at the broker")
    text = "make a worker's certificate void, as when its key was copied; a worker that runs makes itself another"
    revoke = leaf(leaves, "revoke", _revoke_worker, text)
    revoke.add_argument("worker", metavar="CLIENT-ID", help="broker.client_id of the worker")


def _add_broker(commands: "Commands[argparse.ArgumentParser]", leaf: Leaf) -> None:
    leaves = _group(commands, "broker", "set mosquitto up for boxes with certificates, and keep it so")
    setup = leaf(leaves, "setup", _setup, "write mosquitto's configuration, with a certificate for it")
    setup.add_argument("--name", action="append", required=True, metavar="HOST", dest="names", help=_NAME_HELP)
    setup.add_argument("--port", type=int, default=8883, metavar="N", help="port to listen at (default: 8883)")
    follow = leaf(leaves, "follow", _follow, "tell mosquitto who may come, as the cloud says it, every five seconds")
    follow.add_argument(
        "--cloud", default="http://127.0.0.1:8080", metavar="URL", help="the cloud (default: http://127.0.0.1:8080)"
    )
    follow.add_argument("--key-file", type=Path, metavar="FILE", help="a key of the cloud's API, where it asks for one")
    follow.add_argument("--pid-file", type=Path, default=PID_FILE, metavar="FILE", help=f"default: {PID_FILE}")
    for command in (setup, follow):
        command.add_argument(
            "--folder", type=Path, default=BROKER_FOLDER, metavar="DIR", help=f"default: {BROKER_FOLDER}"
        )


_NAME_HELP = "a name or address by which clients reach it; give it again for each further one"


def _add_authority(commands: "Commands[argparse.ArgumentParser]", leaf: Leaf) -> None:
    leaves = _group(commands, "ca", "this cloud's own certificate authority")
    leaf(leaves, "show", _show, "show its fingerprint, and until when it is good")
    server = leaf(leaves, "server-certificate", _certify_server, "make a certificate for a server, such as this API")
    server.add_argument("--name", action="append", required=True, metavar="HOST", dest="names", help=_NAME_HELP)
    server.add_argument("--out", type=Path, required=True, metavar="FILE.pem", help="where key and certificate go")


def _group(commands: "Commands[argparse.ArgumentParser]", name: str, text: str) -> "Commands[argparse.ArgumentParser]":
    group = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    return group.add_subparsers(title="commands", metavar="COMMAND", required=True)


def _enrol_code(settings: Settings, arguments: argparse.Namespace) -> int:
    engine, now = find_database(settings), utc_now()
    authority = open_authority(settings.data_dir, now=now)
    if arguments.venue is not None and not _is_known(engine, arguments.box):
        register_box(engine, box=arguments.box, venue=arguments.venue, now=now)
    try:
        with writing(engine) as connection, Session(connection) as session:
            made = make_code(session, box=arguments.box, authority=authority.fingerprint, now=now)
    except NotFound as error:
        raise NotFound(f"{error}; --venue VENUE registers one that is new") from error
    broker = settings.broker
    print(f"Code for {made.box}, good for one use until {made.expires}:\n\n    {made.code}\n")
    print("On the box, with this cloud's address, and then the code, which no list of processes shows so:\n")
    print("    sudo /opt/footfall/bin/footfall edge enrol --cloud https://CLOUD --code-file -\n")
    place = f"{broker.public_host or broker.host}:{broker.public_port}"
    print(f"The box will be told to deliver to {place} (broker.public_host).")
    return 0


def _is_known(engine: Engine, box: str) -> bool:
    with writing(engine) as connection, Session(connection) as session:
        return session.get(Box, box) is not None


def _revoke(settings: Settings, arguments: argparse.Namespace) -> int:
    engine, now = find_database(settings), utc_now()
    journal = open_authority(settings.data_dir, now=now).journal
    with writing(engine) as connection, Session(connection) as session:
        revoked = revoke_box(session, journal, box=arguments.box, now=now)
    print(
        f"{revoked.box} is shut out since {revoked.revoked}. A broker that is followed ends its connection within"
        f" seconds.\nTo let it in again: footfall cloud box enrol-code {revoked.box}"
    )
    _warn_unfollowed(engine, now=now)
    return 0


def _warn_unfollowed(engine: Engine, *, now: datetime) -> None:
    """Say so where no follower has asked lately: then the broker knows nothing of what has just been revoked."""
    with reading(engine) as connection:
        asked_ms = last_asked(connection)
    if asked_ms is not None and to_ms(now) - asked_ms <= FOLLOWED_MS:
        return
    since = "ever" if asked_ms is None else f"since {format_utc(from_ms(asked_ms))}"
    print(
        f"WARNING: no follower has asked {since}, so a broker with certificates lets it in still. On the broker's"
        " machine: systemctl status footfall-broker"
    )


def _revoke_worker(settings: Settings, arguments: argparse.Namespace) -> int:
    engine, now = find_database(settings), utc_now()
    journal = open_authority(settings.data_dir, now=now).journal
    with writing(engine) as connection, Session(connection) as session:
        count = revoke_worker(session, journal, client_id=arguments.worker, now=now)
    print(
        f"{arguments.worker}: certificates that are void now: {count}. If it runs, it notices within a minute, makes"
        " another, and ends, so that systemd starts it anew with that."
    )
    _warn_unfollowed(engine, now=now)
    return 0


def _setup(settings: Settings, arguments: argparse.Namespace) -> int:
    now = utc_now()
    authority = open_authority(settings.data_dir, now=now)
    folder: Path = arguments.folder.expanduser().resolve()
    try:
        _make_folder(folder)
        write_setup(folder, authority, names=arguments.names, port=arguments.port, now=now)
    except OSError as error:
        raise SettingsError(f"--folder: {error.filename}: cannot be written: {error.strerror}") from error
    print(f"{folder} has all that mosquitto needs. On its machine:\n")
    print(f"    sudo ln -sf {folder / mosquitto.CONFIGURATION_FILE} /etc/mosquitto/conf.d/footfall.conf")
    print("    sudo systemctl restart mosquitto")
    print("    sudo systemctl enable --now footfall-broker\n")
    print(f"Boxes find it at {arguments.names[0]}:{arguments.port}: broker.public_host and public_port of the cloud.")
    return 0


def write_setup(folder: Path, authority: Authority, *, names: list[str], port: int, now: datetime) -> None:
    """Everything anew but what the follower keeps, which is only begun."""
    key, key_pem = make_key()
    server = authority.sign_server(key, names=names, now=now, days=SERVICE_DAYS)
    write_secret(folder / mosquitto.SERVER_FILE, key_pem + server.pem)
    write_secret(folder / mosquitto.AUTHORITY_FILE, authority.pem)
    write_secret(folder / mosquitto.NO_ACCESS_FILE, mosquitto.NO_ACCESS_LIST)
    write_secret(folder / mosquitto.CONFIGURATION_FILE, mosquitto.configuration(folder, port=port))
    nobody_yet = mosquitto.access_list(workers=(), blocked=())
    write_secret(folder / mosquitto.ACCESS_FILE, nobody_yet, replace=False)
    write_secret(folder / mosquitto.REVOKED_FILE, authority.empty_list(now), replace=False)


def _make_folder(folder: Path) -> None:
    """The broker's folder, which belongs to mosquitto where root makes it."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o750)
    if os.geteuid() != 0:
        return
    try:
        owner = pwd.getpwnam(BROKER_USER)
    except KeyError:
        print(f"There is no user {BROKER_USER} here; on the broker's machine the folder must belong to it.")
        return
    os.chown(folder, owner.pw_uid, owner.pw_gid)


def _follow(settings: Settings, arguments: argparse.Namespace) -> int:
    del settings
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: stop.set())
    headers = {"Authorization": f"Bearer {_key(arguments.key_file)}"} if arguments.key_file else {}
    authority = arguments.folder / mosquitto.AUTHORITY_FILE
    trust = _trusting(authority)
    try:
        base = httpx.URL(f"{arguments.cloud.rstrip('/')}/api/v1/")
    except httpx.InvalidURL as error:
        raise SettingsError(
            f"--cloud: found {arguments.cloud}: {error}; allowed is as https://localhost:8443"
        ) from error
    if base.scheme not in {"http", "https"} or not base.host:
        raise SettingsError(f"--cloud: found {arguments.cloud}; allowed is as https://localhost:8443")
    with httpx.Client(base_url=base, headers=headers, timeout=TIMEOUT_SECONDS, verify=trust) as client:
        Follower(arguments.folder, ask=http_source(client), pid_file=arguments.pid_file).run(stop)
    return 0


def _trusting(authority: Path) -> ssl.SSLContext:
    """Trust in what the system trusts, and in the cloud's own authority."""
    context = ssl.create_default_context()
    try:
        context.load_verify_locations(authority)
    except OSError as error:
        raise SettingsError(f"--folder: {authority} is no certificate: run `footfall cloud broker setup`") from error
    return context


def _key(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"--key-file: {path} cannot be read: {error}") from error


def _show(settings: Settings, arguments: argparse.Namespace) -> int:
    del arguments
    authority = open_authority(settings.data_dir, now=utc_now())
    print(f"Fingerprint {authority.fingerprint}, good until {authority.expires:%Y-%m-%d}\n{authority.pem}", end="")
    return 0


def _certify_server(settings: Settings, arguments: argparse.Namespace) -> int:
    now = utc_now()
    key, key_pem = make_key()
    authority = open_authority(settings.data_dir, now=now)
    issued = authority.sign_server(key, names=arguments.names, now=now, days=SERVICE_DAYS)
    try:
        write_secret(arguments.out, key_pem + issued.pem)
    except OSError as error:
        raise SettingsError(f"--out: {arguments.out} cannot be written: {error.strerror}") from error
    names = ", ".join(arguments.names)
    print(f"{arguments.out} has a key and a certificate for {names}, good until {issued.expires:%Y-%m-%d}.")
    return 0
