"""Beside the broker: keeps its access list and its list of revoked certificates as the cloud says they are.

    ask the cloud → write what has changed → tell mosquitto to read it → end the connections of what was revoked

Mosquitto then lets no revoked certificate in, and a user who is blocked neither sends nor receives from that moment.
Connections that were there before stay, though, so each is claimed at the broker's own door, which ends it.
"""

import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import httpx
from cryptography import x509
from pydantic import TypeAdapter, ValidationError

from cloud.devices.access import BrokerAccess
from cloud.devices.certificates import Revocation
from cloud.devices.following import FOLLOWER_HEADER
from cloud.devices.mosquitto import ACCESS_FILE, DOOR, ENDED_FILE, REVOKED_FILE, access_list, is_box, is_worker
from cloud.errors import CloudError

__all__ = ["Follower", "FollowerTrouble", "claim", "http_source", "write_access"]

ASK_SECONDS = 5.0
KNOCKS = 3
"""Mosquitto reads its files between two turns of its loop. Who has been answered so often after it was told to read
them comes after that: a connection that is claimed then does not come back, and need not be claimed again, which would
throw out a box that was enrolled anew."""
DOOR_SECONDS = 5.0
OWN_ID = "footfall-follower"
LONGEST_ID = 100
"""In bytes: the first packet's length then fits into one byte."""
_WELCOME = b"\x20\x02\x00\x00"
_ACCESS = TypeAdapter(BrokerAccess)
_LOG = logging.getLogger(__name__)


class FollowerTrouble(CloudError):
    """The cloud cannot be asked, or the broker cannot be told."""


class Follower:
    """Keeps one broker's files true; `ask` gives what the cloud says."""

    def __init__(self, folder: Path, *, ask: Callable[[], BrokerAccess], pid_file: Path) -> None:
        self._folder = folder
        self._ask = ask
        self._pid_file = pid_file
        self._is_told = False
        self._strange: frozenset[str] = frozenset()

    def run(self, stop: threading.Event) -> None:
        """Follow until stopped. What fails is tried again at the next round, and the files stay as they were."""
        while not stop.is_set():
            try:
                self.follow()
            except FollowerTrouble as trouble:
                _LOG.error("%s", trouble, extra={"action": "follow"})
            stop.wait(ASK_SECONDS)

    def follow(self) -> None:
        """One round; the first one tells mosquitto in any case, since who ran before may have stopped halfway."""
        access = self._sound(self._ask())
        if write_access(self._folder, access):
            self._is_told = False
        if not self._is_told:
            self._tell(access)
        if self._is_told:
            self._end_connections(access.revoked)

    def _sound(self, access: BrokerAccess) -> BrokerAccess:
        """Without names that nobody can have, which are logged once: the rest must hold all the same."""
        workers = tuple(name for name in access.workers if is_worker(name))
        blocked = tuple(name for name in access.blocked if is_box(name))
        strange = frozenset({*access.workers, *access.blocked} - {*workers, *blocked})
        for name in sorted(strange - self._strange):
            _LOG.error("The cloud names %r, which is no box and no worker: left out", name, extra={"action": "follow"})
        self._strange = strange
        return replace(access, workers=workers, blocked=blocked)

    def _tell(self, access: BrokerAccess) -> None:
        """Have mosquitto read its files: only one that answers, since the signal would end one that is starting."""
        if not self._knock():
            return
        try:
            os.kill(int(self._pid_file.read_text(encoding="ascii")), signal.SIGHUP)
        except (OSError, ValueError) as error:
            raise FollowerTrouble(f"{self._pid_file}: mosquitto cannot be told to read its files: {error}") from error
        if not all(self._knock() for _ in range(KNOCKS)):
            return
        self._is_told = True
        _LOG.info(
            "The broker knows %d revoked certificates, %d workers and %d blocked boxes",
            len(access.revoked), len(access.workers), len(access.blocked), extra={"action": "follow"},
        )  # fmt: skip

    def _knock(self) -> bool:
        """Whether mosquitto answers."""
        is_answered = claim(self._folder / DOOR, OWN_ID)
        if not is_answered:
            _LOG.warning("Mosquitto does not answer at %s", self._folder / DOOR, extra={"action": "follow"})
        return is_answered

    def _end_connections(self, revoked: Sequence[Revocation]) -> None:
        """Claim whose is new, once a user; what has been claimed is remembered over restarts."""
        path = self._folder / ENDED_FILE
        try:
            ended = frozenset((_content(path) or "").split())
        except OSError as error:
            raise FollowerTrouble(f"{path}: cannot be read: {error}") from error
        users = sorted({one.user for one in revoked if one.serial not in ended})
        claimed = {user for user in users if claim(self._folder / DOOR, user)}
        settled = {one.serial for one in revoked if one.serial in ended or one.user in claimed}
        if settled == ended:
            return
        try:
            _replace(path, "\n".join(sorted(settled)) + "\n")
        except OSError as error:
            raise FollowerTrouble(f"{path}: cannot be written: {error.strerror}") from error


def http_source(client: httpx.Client) -> Callable[[], BrokerAccess]:
    """Asks the cloud's API; raises FollowerTrouble that says what went wrong."""

    def ask() -> BrokerAccess:
        try:
            answer = client.get("broker/access", headers={FOLLOWER_HEADER: "yes"}).raise_for_status()
            return _ACCESS.validate_json(answer.content)
        except httpx.HTTPError as error:
            raise FollowerTrouble(f"{client.base_url}broker/access: {error}{_hint(error)}") from error
        except ValidationError as error:
            msg = f"{client.base_url}broker/access: the answer is not the cloud's: {error.errors()[0]['msg']}"
            raise FollowerTrouble(msg) from error

    return ask


def _hint(error: httpx.HTTPError) -> str:
    said = str(error)
    if "certificate is not yet valid" in said:
        return "; is this machine's clock right? `timedatectl` shows it"
    if isinstance(error, httpx.HTTPStatusError) and error.response.status_code == httpx.codes.UNAUTHORIZED:
        return '; give it a key by --key-file: `footfall cloud key add "the broker" --role viewer` makes one'
    return ""


def write_access(folder: Path, access: BrokerAccess) -> bool:
    """Write the two files that change, each at once and whole; whether anything was other than before.

    What is wrong with one of them is logged, and keeps the other from nothing.
    """
    changes = 0
    for write in (_write_revoked, _write_rights):
        try:
            changes += write(folder, access)
        except ValueError as error:
            _LOG.error("What the cloud says cannot be told to the broker: %s", error, extra={"action": "follow"})
        except OSError as error:
            _LOG.error("%s: cannot be written: %s", error.filename, error.strerror, extra={"action": "follow"})
    return changes > 0


def _write_revoked(folder: Path, access: BrokerAccess) -> bool:
    if _is_same_list(folder / REVOKED_FILE, access.revocation_list):
        return False
    _replace(folder / REVOKED_FILE, access.revocation_list)
    return True


def _write_rights(folder: Path, access: BrokerAccess) -> bool:
    listed = access_list(workers=access.workers, blocked=access.blocked)
    if _content(folder / ACCESS_FILE) == listed:
        return False
    _replace(folder / ACCESS_FILE, listed)
    return True


def _is_same_list(path: Path, pem: str) -> bool:
    """Whether a list says the same; each is signed anew, so its text alone does not tell."""
    new = x509.load_pem_x509_crl(pem.encode())
    before = _content(path)
    try:
        return (
            before is not None and x509.load_pem_x509_crl(before.encode()).tbs_certlist_bytes == new.tbs_certlist_bytes
        )
    except ValueError:
        return False


def _content(path: Path) -> str | None:
    """What a file says; one that was damaged says something else than was written, and so is written anew."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None


def _replace(path: Path, text: str) -> None:
    draft = path.with_name(f"{path.name}.new")
    with draft.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def claim(door: Path, client_id: str) -> bool:
    """Connect under a client id, without a session, and leave: whoever had it is thrown out with all that waited.

    False where nobody answers; raises FollowerTrouble where this user may not knock.
    """
    name = client_id.encode()
    if len(name) > LONGEST_ID:
        return False
    body = b"\x00\x04MQTT\x04\x02\x00\x3c" + len(name).to_bytes(2, "big") + name
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(DOOR_SECONDS)
            connection.connect(str(door))
            connection.sendall(bytes([0x10, len(body)]) + body)
            if connection.recv(4) != _WELCOME:
                return False
            connection.sendall(b"\xe0\x00")
            return True
    except PermissionError as error:
        raise FollowerTrouble(f"{door}: this user may not use it; it belongs to mosquitto's group") from error
    except OSError:
        return False
