"""What may happen to a TCP connection between an MQTT client and its broker, made to happen.

The proxy knows MQTT's packets by their frames alone. What it duplicates or reorders, either way, is what is published
with QoS 1: whoever receives it takes it as it comes.
"""

import asyncio
import struct
import threading
from asyncio import StreamReader, StreamWriter
from concurrent.futures import Future
from contextlib import suppress
from enum import StrEnum
from socket import SO_LINGER, SOL_SOCKET
from types import TracebackType
from typing import Self

from tests.support.ports import free_port

__all__ = ["Conduct", "MqttProxy"]

_PUBLISH, _QOS_1 = 0x30, 0x02
_SLOW_SECONDS = 0.1
_HELD_SECONDS = 0.4
_HELD_PACKETS = 6


class Conduct(StrEnum):
    """How the connections behave: `HALF_OPEN` ones swallow whatever either end says, and tell nobody.

    `DOWN` there are none, and new ones are closed at once.
    """

    FAIR = "fair"
    DOWN = "down"
    HALF_OPEN = "half-open"
    SLOW = "slow"
    REPEATING = "repeating"
    REORDERING = "reordering"


class MqttProxy:
    """Listens on `port` and passes on to the broker behind; `conduct` may change at any time."""

    def __init__(self, port_behind: int) -> None:
        self.host = "127.0.0.1"
        self.port = free_port()
        self._port_behind = port_behind
        self._conduct = Conduct.FAIR
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="mqtt-proxy", daemon=True)
        self._open: set[StreamWriter] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        self._wait(asyncio.run_coroutine_threadsafe(self._listen(), self._loop))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._wait(asyncio.run_coroutine_threadsafe(self._close(), self._loop))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def behave(self, conduct: Conduct) -> None:
        """Treat what comes from now on like this. A connection that swallowed something is beyond repair, and cut."""
        was, self._conduct = self._conduct, conduct
        if was is Conduct.HALF_OPEN or conduct is Conduct.DOWN:
            self.cut()

    def cut(self) -> None:
        """Reset all connections."""
        self._loop.call_soon_threadsafe(self._reset)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, self.host, self.port)

    async def _close(self) -> None:
        self._server.close()
        while tasks := asyncio.all_tasks() - {asyncio.current_task()}:
            self._reset()
            await asyncio.wait(tasks, timeout=0.1)

    async def _accept(self, from_client: StreamReader, to_client: StreamWriter) -> None:
        if self._conduct is Conduct.DOWN:
            to_client.close()
            return
        try:
            from_broker, to_broker = await asyncio.open_connection(self.host, self._port_behind)
        except OSError:
            to_client.close()
            return
        self._open |= {to_client, to_broker}
        both = (self._pass_on(from_client, to_broker), self._pass_on(from_broker, to_client))
        tasks = [asyncio.ensure_future(one) for one in both]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._open -= {to_client, to_broker}
            to_client.close()
            to_broker.close()

    async def _pass_on(self, reader: StreamReader, writer: StreamWriter) -> None:
        held: list[bytes] = []
        with suppress(OSError, asyncio.IncompleteReadError):
            following = asyncio.ensure_future(_read_packet(reader))
            try:
                while True:
                    done, _ = await asyncio.wait([following], timeout=_HELD_SECONDS if held else None)
                    if done:
                        packet = following.result()
                        following = asyncio.ensure_future(_read_packet(reader))
                        held = await self._treat(packet, held, writer)
                    if not done or len(held) >= _HELD_PACKETS:
                        writer.write(b"".join(reversed(held)))
                        held = []
                    await writer.drain()
            finally:
                following.cancel()

    async def _treat(self, packet: bytes, held: list[bytes], writer: StreamWriter) -> list[bytes]:
        """Pass a packet on, or hold it too; what is held now."""
        is_publish = packet[0] & 0xF6 == _PUBLISH | _QOS_1
        match self._conduct:
            case Conduct.HALF_OPEN | Conduct.DOWN:
                return []
            case Conduct.REORDERING if is_publish:
                return [*held, packet]
            case Conduct.REPEATING if is_publish:
                packet = packet * 2
            case Conduct.SLOW:
                await asyncio.sleep(_SLOW_SECONDS)
        writer.write(b"".join(reversed(held)) + packet)
        return []

    def _reset(self) -> None:
        for writer in self._open:
            socket = writer.get_extra_info("socket")
            with suppress(OSError):  # it has been closed meanwhile
                socket.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    def _wait(self, future: "Future[None]") -> None:
        future.result(timeout=10)


async def _read_packet(reader: StreamReader) -> bytes:
    """One whole packet: a byte of kind, the length of the rest in groups of seven bits, the rest."""
    frame = await reader.readexactly(1)
    length = shift = 0
    while True:
        digit = await reader.readexactly(1)
        frame += digit
        length |= (digit[0] & 0x7F) << shift
        shift += 7
        if not digit[0] & 0x80:
            return frame + await reader.readexactly(length)
