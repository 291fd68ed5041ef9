"""Users and keys from the command line, as the machine's owner meets it."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import Engine
from sqlmodel import Session

from cloud.access.audit import list_audit
from cloud.access.keys import caller_of_key, make_key
from cloud.store.engine import open_engine, reading, writing
from cloud.store.moments import to_ms, utc_now
from cloud.store.schema import migrate
from tests.support.command_line import typed

ROOT = Path(__file__).parents[3]
PASSWORD = "correct horse battery"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    outside = {name: value for name, value in os.environ.items() if not name.startswith("FOOTFALL_CLOUD_")}
    migrate(opened(tmp_path))
    return outside | {"FOOTFALL_CLOUD_DATA_DIR": str(tmp_path)}


def run(environment: dict[str, str], *words: str, said: str = "") -> subprocess.CompletedProcess[str]:
    return typed("cloud", *words, environment=environment, said=said)


def at_a_terminal(environment: dict[str, str], *words: str, lines: list[str]) -> tuple[int, str]:
    """The exit code, and all that the terminal shows; each line is typed when a question stands there."""
    terminal, end = pty.openpty()
    command = ["setsid", "--ctty", "--wait", sys.executable, "footfall.py", "cloud", *words]
    shown = b""
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdin=end, stdout=end, stderr=end) as process:
        os.close(end)
        while True:
            try:
                shown += os.read(terminal, 1024)
            except OSError:  # how a terminal ends on Linux
                break
            if lines and shown.endswith(b": "):
                os.write(terminal, f"{lines.pop(0)}\n".encode())
    os.close(terminal)
    return process.returncode, shown.decode()


def opened(tmp_path: Path) -> Engine:
    return open_engine(f"sqlite:///{tmp_path / 'footfall.sqlite'}")


def test_a_user_is_added_listed_given_a_password_and_removed(environment: dict[str, str], tmp_path: Path) -> None:
    assert run(environment, "user", "list").stdout == "Nobody may sign in yet.\n"
    added = run(environment, "user", "add", "Ada", "--role", "admin", said=f"{PASSWORD}\n")
    assert (added.returncode, added.stdout) == (0, "ada may sign in now, as an admin of all venues.\n"), added.stderr
    assert run(environment, "user", "list").stdout.splitlines()[1].split() == ["ada", "admin", "all", "venues", "never"]
    changed = run(environment, "user", "password", "ada", said="another horse battery\n")
    assert changed.stdout == "ada has a new password, and is signed out everywhere.\n"
    assert run(environment, "user", "remove", "ada").stdout == "ada is gone, and signed out everywhere.\n"
    with reading(opened(tmp_path)) as connection, Session(connection) as session:
        log = list_audit(session, who="owner", venue=None, before=None, limit=10)
    assert {(one.what, one.subject, one.address) for one in log} == {
        (f"footfall cloud user {verb}", "ada", "this machine") for verb in ("add", "password", "remove")
    }


def test_a_password_is_typed_twice_and_never_shown(environment: dict[str, str]) -> None:
    code, shown = at_a_terminal(environment, "user", "add", "ada", lines=[PASSWORD, PASSWORD])
    assert (code, "ada may sign in now" in shown) == (0, True), shown
    assert "Password of ada:" in shown
    assert PASSWORD not in shown
    code, shown = at_a_terminal(environment, "user", "password", "ada", lines=[PASSWORD, "something else"])
    assert (code, "the two passwords are not the same" in shown) == (1, True), shown


@pytest.mark.parametrize(
    ("words", "says"),
    [
        pytest.param(["user", "add", "ada"], "12 to 200 characters; this one has 5", id="a short password"),
        pytest.param(["user", "add", "a b"], "a user's name has up to 100", id="no name"),
        pytest.param(["user", "add", "ada", "--venue", "nowhere"], "there is no venue nowhere", id="no such venue"),
        pytest.param(["user", "remove", "ada"], "there is no user ada", id="nobody to remove"),
        pytest.param(["user", "password", "ada"], "there is no user ada", id="nobody to give a password"),
        pytest.param(["key", "add", "x", "--network", "10.0.0.1/8"], "networks: an address or a network", id="network"),
        pytest.param(["key", "add", "x", "--days", "0"], "a key lasts 1 to 3650 days", id="no day"),
        pytest.param(["key", "revoke", "none"], "there is no key none", id="no such key"),
    ],
)
def test_a_mistake_is_told_and_changes_nothing(environment: dict[str, str], words: list[str], says: str) -> None:
    ended = run(environment, *words, said="short\n")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert says in ended.stderr
    assert "short" not in ended.stderr
    assert run(environment, "user", "list").stdout == "Nobody may sign in yet.\n"
    assert run(environment, "key", "list").stdout == "There are no keys yet.\n"


def test_a_key_is_printed_once_and_void_when_revoked(environment: dict[str, str], tmp_path: Path) -> None:
    key = run(environment, "key", "add", "the till's screen", "--role", "analyst", "--days", "30").stdout.strip()
    listed = run(environment, "key", "list").stdout
    id_ = key.split("_")[1]
    assert "the till's screen" in listed
    assert id_ in listed
    assert key not in listed

    def works() -> bool:
        with reading(opened(tmp_path)) as connection, Session(connection) as session:
            now_ms = to_ms(utc_now())
            return caller_of_key(session, presented=key, address="127.0.0.1", now_ms=now_ms) is not None

    assert works()
    assert run(environment, "key", "revoke", id_).stdout == f"The key {id_} is void.\n"
    assert not works()


def test_with_a_key_those_end_that_it_made_and_are_named(environment: dict[str, str], tmp_path: Path) -> None:
    key = run(environment, "key", "add", "first", "--role", "admin").stdout.strip()
    now_ms = to_ms(utc_now())
    with writing(opened(tmp_path)) as connection, Session(connection) as session:
        maker = caller_of_key(session, presented=key, address="127.0.0.1", now_ms=now_ms)
        assert maker is not None
        made = make_key(
            session, name="second", grant=maker.grant, networks=None, expires_ms=None, by=maker, now_ms=now_ms
        )
    said = run(environment, "key", "revoke", key.split("_")[1]).stdout
    assert said.splitlines()[1] == f"Void with it are the keys that it made: {made.id}."
    assert run(environment, "key", "list").stdout == "There are no keys yet.\n"
