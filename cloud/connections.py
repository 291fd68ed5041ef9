"""How many connections the web server holds, of one address and in all, and for how long before a request has come.

Each takes a descriptor, of which a process has so many; the server by itself takes whatever comes and waits for ever.
What is too many is closed as soon as it is accepted, before TLS begins. Knows sockets and heads; nothing of requests.
"""

import asyncio
import errno
import logging
import resource
import socket
import time
from collections.abc import Sequence
from functools import partial
from typing import ClassVar

from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import Server, ServerState

from cloud.access.limits import Places, Taken
from cloud.access.networks import is_within, prefix_of

__all__ = ["HandshakeTimed", "HeadTimed", "Listener", "room"]

STRETCH_SECONDS = 60.0
"""What goes on for longer is said again."""
PAUSE_SECONDS = 0.05
"""Where no descriptor is left: as long as it lasts, the loop would else do nothing but try."""
_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_LOG = logging.getLogger(__name__)


def room(wanted: int) -> int:
    """How many connections there may be: as wanted, but a quarter of this process's descriptors is for all else."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = soft * 3 // 4
    if soft == resource.RLIM_INFINITY or wanted <= most:
        return wanted
    _LOG.warning(
        "This process may open %d files, so it takes %d connections and not the %d of listen.connections",
        soft, most, wanted, extra={"action": "listen"},
    )  # fmt: skip
    return most


class Listener(socket.socket):
    """A listening socket, made of a plain one, that takes no more than so many; of proxies only in all."""

    def __init__(self, plain: socket.socket, *, of_one: int, of_all: int, proxies: Sequence[str]) -> None:
        super().__init__(fileno=plain.detach())
        self._places = Places(of_one=of_one, of_all=of_all)
        self._of_one, self._of_all = of_one, of_all
        self._proxies = proxies
        self._said: dict[str, float] = {}

    def accept(self) -> tuple[socket.socket, object]:
        """The next connection; raises ConnectionAbortedError, which event loops pass over, where it is one too many."""
        try:
            connection, address = super().accept()
        except OSError as error:
            if error.errno not in _EXHAUSTED:
                raise
            self._say("No connection can be accepted: %s", error.strerror or "")
            time.sleep(PAUSE_SECONDS)
            raise ConnectionAbortedError from error
        name = prefix_of(address[0])
        match self._places.take(name, is_limited=not is_within(address[0], self._proxies)):
            case Taken.YOURS:
                return _Connection(connection, name, self._places), address
            case Taken.TOO_MANY_OF_YOURS:
                limit = (
                    f"listen.connections_per_address, {self._of_one}, which a proxy in access.trusted_proxies has not"
                )
                self._say("Connections of %s are refused: it has as many as %s", name, limit)
            case Taken.ALL_TAKEN:
                self._say("Connections are refused: there are %s, as many as may be (listen.connections)", self._of_all)
        connection.close()
        raise ConnectionAbortedError

    def _say(self, message: str, *arguments: object) -> None:
        """Once a stretch, however often it happens."""
        now = time.monotonic()
        if now - self._said.get(message, -STRETCH_SECONDS) >= STRETCH_SECONDS:
            self._said[message] = now
            _LOG.error(message, *arguments, extra={"action": "listen"})


class _Connection(socket.socket):
    """A connection that gives its place back when it is closed."""

    def __init__(self, plain: socket.socket, name: str, places: Places) -> None:
        super().__init__(fileno=plain.detach())
        self._name: str | None = name
        self._places = places

    def close(self) -> None:
        super().close()
        if self._name is not None:
            self._places.leave(self._name)
            self._name = None


class HandshakeTimed(Server):
    """A server that waits for TLS to begin no longer than for a head; asyncio by itself waits for a minute."""

    handshake_seconds: ClassVar[float] = 10.0

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        if self.config.is_ssl:
            loop = asyncio.get_running_loop()
            timed = partial(loop.create_server, ssl_handshake_timeout=self.handshake_seconds)
            loop.create_server = timed  # type: ignore[method-assign]  # uvicorn has no setting for it
        await super().startup(sockets)


class HeadTimed(H11Protocol):
    """Ends a connection whose next request's head is late; uvicorn itself times nothing but silence between two."""

    head_seconds: ClassVar[float] = 10.0

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, object],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._time_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._time_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timing()
        super().connection_lost(exc)

    def _time_head(self) -> None:
        """From the first moment without a request under way until one is; what trickles in prolongs nothing."""
        is_idle = getattr(self.cycle, "response_complete", True)  # there is no cycle before the first request
        if not is_idle:
            self._stop_timing()
        elif self._due is None and not self.transport.is_closing():
            self._due = self.loop.call_later(self.head_seconds, self.transport.abort)

    def _stop_timing(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None
