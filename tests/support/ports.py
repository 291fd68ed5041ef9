"""Free ports of this machine's loopback."""

import secrets
import socket
from contextlib import suppress

__all__ = ["free_port", "is_listening"]


_FIRST, _AFTER_LAST = 15_000, 32_000
"""Below the ports that systems give to outgoing connections, which would take one between its choice and its use."""


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on now, drawn by chance, as other tests draw at the same time."""
    while True:
        port = _FIRST + secrets.randbelow(_AFTER_LAST - _FIRST)
        with suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port


def is_listening(port: int) -> bool:
    """Whether something accepts connections on this port of 127.0.0.1."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
