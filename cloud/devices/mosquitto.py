"""Who may do what, in the words of mosquitto 2.0: its configuration, and the access list.

A client's user is the name in its certificate, and its client id is its user, whatever it says: so nobody throws
another one out or takes over what waits for it. Pure text; knows no file system but the paths that it is given.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from protocol.topics import ALL_UP, ROOT, Direction, Leaf, direction_of

__all__ = [
    "ACCESS_FILE",
    "AUTHORITY_FILE",
    "CONFIGURATION_FILE",
    "DOOR",
    "ENDED_FILE",
    "NO_ACCESS_FILE",
    "NO_ACCESS_LIST",
    "REVOKED_FILE",
    "SERVER_FILE",
    "access_list",
    "configuration",
    "is_box",
    "is_worker",
]

CONFIGURATION_FILE, ACCESS_FILE, NO_ACCESS_FILE = "footfall.conf", "access", "no-access"
AUTHORITY_FILE, SERVER_FILE, REVOKED_FILE = "authority.pem", "broker.pem", "revoked.pem"
ENDED_FILE = "ended"
"""Which revoked certificates have no connection left, by their serials."""
NO_ACCESS_LIST = "topic deny #\n"
DOOR = "door.sock"
"""A socket for whoever may open it, at which a client id can be claimed: that ends the connection of who has it."""

MAX_PACKET_BYTES = 128 * 1024
"""A message has 64 KiB at most, and its topic and properties some more."""
MAX_QUEUED_BYTES = 256 * 1024 * 1024
_BOX = re.compile(r"[a-z0-9-]{1,63}")
_WORKER = re.compile(r"cloud\.[0-9A-Za-z-]{1,64}")
_ALL_DOWN = f"{ROOT}/+/+/down/+"
_RIGHT = {Direction.UP: "write", Direction.DOWN: "read"}


def configuration(folder: Path, *, port: int) -> str:
    """A file for mosquitto's `conf.d`; what it names lies in `folder`."""
    return f"""# Footfall's listener. Written by `footfall cloud broker setup`, which overwrites it.
per_listener_settings true

# An ingest that commits before it acknowledges needs a wide window, and one that was away finds what waited for it.
max_inflight_messages 1000
max_queued_messages 100000
max_queued_bytes {MAX_QUEUED_BYTES}
max_packet_size {MAX_PACKET_BYTES}
persistent_client_expiration 7d

# Boxes and workers: TLS, a certificate of the authority, and its name as user and as client id
listener {port}
protocol mqtt
allow_anonymous false
cafile {folder / AUTHORITY_FILE}
certfile {folder / SERVER_FILE}
keyfile {folder / SERVER_FILE}
crlfile {folder / REVOKED_FILE}
tls_version tlsv1.2
require_certificate true
use_identity_as_username true
use_username_as_clientid true
acl_file {folder / ACCESS_FILE}

# A door for those of mosquitto's own group, through which nothing can be sent or heard: a client id that is claimed
# here ends the connection that has it.
listener 0 {folder / DOOR}
allow_anonymous true
acl_file {folder / NO_ACCESS_FILE}
"""


def is_box(name: str) -> bool:
    """Whether a user of this name is a box."""
    return _BOX.fullmatch(name) is not None


def is_worker(name: str) -> bool:
    """Whether a user of this name is one of the cloud's workers."""
    return _WORKER.fullmatch(name) is not None


def access_list(*, workers: Sequence[str], blocked: Sequence[str]) -> str:
    """The access list; raises ValueError for what is no worker's or box's name, before it becomes a line of its own."""
    for name in [*(one for one in workers if not is_worker(one)), *(one for one in blocked if not is_box(one))]:
        raise ValueError(f"the name of a box, or cloud. and that of a worker; found {name!r}")
    users = [(name, [f"topic read {ALL_UP}", f"topic write {_ALL_DOWN}"]) for name in workers]
    users += [(name, ["topic deny #"]) for name in blocked]
    sections = ["\n".join([f"user {name}", *rights]) for name, rights in users]
    patterns = "\n".join(f"pattern {_RIGHT[direction_of(leaf)]} {_own(leaf)}" for leaf in Leaf)
    return (
        "\n\n".join(["# Written by `footfall cloud broker follow`, which overwrites it.", *sections, patterns]) + "\n"
    )


def _own(leaf: Leaf) -> str:
    """A box's own topic, in whatever venue, of exactly this leaf."""
    return f"{ROOT}/+/%u/{direction_of(leaf)}/{leaf}"
