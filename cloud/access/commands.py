"""`footfall cloud user …` and `footfall cloud key …`: people and programs, by whoever sits at the cloud's machine.

Whoever may read the settings there is the machine's owner and needs no key. What is done stands in the audit log too.
"""

import argparse
import getpass
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pydantic import SecretStr
from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine
from sqlmodel import Session

from cloud.access.audit import Outcome, record
from cloud.access.callers import OWNER
from cloud.access.keys import key_expiry_ms, key_name, list_keys, make_key, revoke_key
from cloud.access.networks import read_networks
from cloud.access.passwords import Passwords, check_password
from cloud.access.roles import Role, checked_grant
from cloud.access.users import add_user, find_user, list_users, refuse_taken, remove_user, set_password_hash, user_name
from cloud.command_line import Commands, Leaf
from cloud.database import find_database
from cloud.errors import Invalid
from cloud.settings import Settings
from cloud.store.engine import reading, writing
from cloud.store.moments import to_ms, utc_now

__all__ = ["add_access_commands"]

_PIPE_COLUMNS = 500
"""Wider than any row."""


def add_access_commands(commands: "Commands[argparse.ArgumentParser]", *, leaf: Leaf) -> None:
    """Add `user` and `key`; `leaf` makes a command with the settings file as its option."""
    user = commands.add_parser("user", help="who may sign in, and what each may see")
    of_user = user.add_subparsers(title="commands", metavar="COMMAND", required=True)
    add = leaf(of_user, "add", _add_user, "add a user, whose password is asked for, or read from a pipe")
    add.add_argument("name", help="letters, digits and any of . _ @ + -")
    _add_grant(add)
    leaf(of_user, "list", _list_users, "list the users")
    removed = leaf(of_user, "remove", _remove_user, "remove a user; what they have open ends, keys they made too")
    removed.add_argument("name")
    password = leaf(of_user, "password", _set_password, "give a user a new password; what they have open ends")
    password.add_argument("name")

    key = commands.add_parser("key", help="keys for programs that use the API")
    of_key = key.add_subparsers(title="commands", metavar="COMMAND", required=True)
    made = leaf(of_key, "add", _add_key, "make a key; it is printed this once")
    made.add_argument("name", help="what it is for")
    _add_grant(made)
    made.add_argument("--days", type=int, metavar="N", help="void after so many days (default: never)")
    made.add_argument(
        "--network",
        action="append",
        metavar="CIDR",
        help="only from this network, such as 192.0.2.0/24; may be repeated",
    )
    leaf(of_key, "list", _list_keys, "list the keys, without their secrets")
    revoked = leaf(of_key, "revoke", _revoke_key, "make a key void at once, and the keys that it made")
    revoked.add_argument("id", help="as the list shows it")


def _add_grant(command: argparse.ArgumentParser) -> None:
    command.add_argument("--role", choices=[str(role) for role in Role], default=Role.VIEWER, help="default: viewer")
    command.add_argument(
        "--venue", action="append", metavar="ID", help="only in this venue; may be repeated (default: in all venues)"
    )


def _add_user(settings: Settings, arguments: argparse.Namespace) -> int:
    name = user_name(arguments.name)
    with reading(find_database(settings)) as connection, Session(connection) as session:
        refuse_taken(session, user=name)
        grant = checked_grant(session, role=Role(arguments.role), venues=arguments.venue)
    password_hash = _ask_password(name)
    with _recorded(settings, what="user add", subject=name) as session:
        add_user(session, user=name, grant=grant, password_hash=password_hash, now_ms=_now_ms())
    print(f"{name} may sign in now, as {_grant_words(grant.role, arguments.venue)}.")
    return 0


def _list_users(settings: Settings, arguments: argparse.Namespace) -> int:
    del arguments
    with reading(find_database(settings)) as connection, Session(connection) as session:
        found = list_users(session)
    rows = [(one.user, one.role, _venues_words(one.venues), _minute(one.signed_in)) for one in found]
    return _show(("user", "role", "venues", "last signed in"), rows, nothing="Nobody may sign in yet.")


def _remove_user(settings: Settings, arguments: argparse.Namespace) -> int:
    with _recorded(settings, what="user remove", subject=arguments.name) as session:
        revoked = remove_user(session, user=arguments.name)
        for key in revoked:
            _note(session, what="user remove", subject=f"key {key}")
    print(f"{arguments.name} is gone, and signed out everywhere.")
    if revoked:
        print(f"Void with them are the keys that they made: {', '.join(revoked)}.")
    return 0


def _set_password(settings: Settings, arguments: argparse.Namespace) -> int:
    with reading(find_database(settings)) as connection, Session(connection) as session:
        user = find_user(session, user=arguments.name).user
    password_hash = _ask_password(user)
    with _recorded(settings, what="user password", subject=user) as session:
        set_password_hash(session, user=user, password_hash=password_hash)
    print(f"{arguments.name} has a new password, and is signed out everywhere.")
    return 0


def _add_key(settings: Settings, arguments: argparse.Namespace) -> int:
    now_ms = _now_ms()
    with _recorded(settings, what="key add", subject=arguments.name) as session:
        made = make_key(
            session,
            name=key_name(arguments.name),
            grant=checked_grant(session, role=Role(arguments.role), venues=arguments.venue),
            networks=read_networks(arguments.network),
            expires_ms=key_expiry_ms(arguments.days, now_ms=now_ms),
            by=OWNER,
            now_ms=now_ms,
        )
    print(made.key)
    if sys.stdout.isatty():
        print(f"It is shown this once. It may do what a {arguments.role} may; its id is {made.id}.", file=sys.stderr)
    return 0


def _list_keys(settings: Settings, arguments: argparse.Namespace) -> int:
    del arguments
    with reading(find_database(settings)) as connection, Session(connection) as session:
        found = list_keys(session)
    rows = [
        (one.id, one.name, one.role, _venues_words(one.venues), _minute(one.expires), _minute(one.used))
        for one in found
    ]
    return _show(("id", "name", "role", "venues", "void from", "last used"), rows, nothing="There are no keys yet.")


def _revoke_key(settings: Settings, arguments: argparse.Namespace) -> int:
    with _recorded(settings, what="key revoke", subject=arguments.id) as session:
        made = revoke_key(session, id_=arguments.id)
        for key in made:
            _note(session, what="key revoke", subject=key)
    print(f"The key {arguments.id} is void.")
    if made:
        print(f"Void with it are the keys that it made: {', '.join(made)}.")
    return 0


@contextmanager
def _recorded(settings: Settings, *, what: str, subject: str) -> Iterator[Session]:
    """A transaction of the owner's that stands in the audit log if it is committed."""
    engine: Engine = find_database(settings)
    with writing(engine) as connection, Session(connection) as session:
        yield session
        _note(session, what=what, subject=subject)


def _note(session: Session, *, what: str, subject: str) -> None:
    record(
        session,
        who=OWNER.name,
        what=f"footfall cloud {what}",
        subject=subject,
        venue=None,
        address="this machine",
        outcome=Outcome.DONE,
        now_ms=_now_ms(),
    )


def _ask_password(user: str) -> str:
    """The hash of a password that is typed twice without being shown, or comes as a line from a pipe."""
    if sys.stdin.isatty():
        password = SecretStr(getpass.getpass(f"Password of {user}: "))
        check_password(password, user=user)
        if getpass.getpass("Once more: ") != password.get_secret_value():
            raise Invalid("the two passwords are not the same")
    else:
        password = SecretStr(sys.stdin.readline().rstrip("\r\n"))
        check_password(password, user=user)
    return Passwords().hash(password)


def _show(head: tuple[str, ...], rows: Sequence[tuple[str, ...]], *, nothing: str) -> int:
    if not rows:
        print(nothing)
        return 0
    table = Table(*head, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*row)
    Console(width=None if sys.stdout.isatty() else _PIPE_COLUMNS, highlight=False, markup=False).print(table)
    return 0


def _grant_words(role: Role, venues: list[str] | None) -> str:
    return f"{'an' if role is not Role.VIEWER else 'a'} {role} of {_venues_words(venues)}"


def _venues_words(venues: list[str] | tuple[str, ...] | None) -> str:
    return "all venues" if venues is None else ", ".join(venues)


def _minute(moment: str | None) -> str:
    return "never" if moment is None else f"{moment[:10]} {moment[11:16]} UTC"


def _now_ms() -> int:
    return to_ms(utc_now())
