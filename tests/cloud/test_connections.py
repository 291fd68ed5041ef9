"""Strangers who only hold connections keep nobody out for long, of a real server."""

import asyncio
import logging
import os
import resource
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from cloud.connections import HandshakeTimed, HeadTimed, Listener, room
from cloud.devices.authority import make_key, open_authority
from tests.support.processes import until

STRANGER = "127.0.0.9"


class QuicklyTimed(HeadTimed):
    """The same with less patience."""

    head_seconds = 0.6


class QuickServer(HandshakeTimed):
    """The same."""

    handshake_seconds = 0.6


@contextmanager
def listening(*, of_one: int = 3, of_all: int = 5, proxies: tuple[str, ...] = ()) -> Iterator[Listener]:
    plain = socket.create_server(("127.0.0.1", 0))
    with Listener(plain, of_one=of_one, of_all=of_all, proxies=proxies) as listener:
        listener.settimeout(5)
        yield listener


@contextmanager
def served(*, certificate: Path | None = None) -> Iterator[tuple[str, int]]:
    """A site of one slow page."""

    async def page(request: Request) -> PlainTextResponse:
        await asyncio.sleep(float(request.query_params.get("seconds", 0)))
        return PlainTextResponse("a page")

    plain = socket.create_server(("127.0.0.1", 0))
    address = plain.getsockname()
    listener = Listener(plain, of_one=3, of_all=10, proxies=())
    site = Starlette(routes=[Route("/", page)])
    server = QuickServer(
        uvicorn.Config(site, http=QuicklyTimed, ws="none", loop="asyncio", log_config=None, ssl_certfile=certificate)
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        until(lambda: server.started, seconds=20, what="the server to start")
        yield address
    finally:
        server.should_exit = True
        thread.join(20)


def connect(address: tuple[str, int], *, source: str = STRANGER) -> socket.socket:
    return socket.create_connection(address, timeout=5, source_address=(source, 0))


def ends_within(connection: socket.socket, seconds: float) -> bool:
    connection.settimeout(seconds)
    try:
        return connection.recv(1000) == b""
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False


def is_taken(listener: Listener, source: str) -> socket.socket | None:
    """What comes of a connection from there."""
    with connect(listener.getsockname(), source=source):
        try:
            return listener.accept()[0]
        except ConnectionAbortedError:
            return None


def test_one_address_has_its_share_and_all_have_theirs(caplog: pytest.LogCaptureFixture) -> None:
    with listening(of_one=3, of_all=5) as listener, ExitStack() as held:
        taken = [is_taken(listener, source) for source in [STRANGER] * 10 + ["127.0.0.1"] * 10]
        kept = [held.enter_context(connection) for connection in taken if connection]
        assert [bool(connection) for connection in taken] == [True] * 3 + [False] * 7 + [True] * 2 + [False] * 8
        said = [record.getMessage() for record in caplog.records]
        assert len(said) == 2, "once, however often"
        assert STRANGER in said[0]
        assert "listen.connections_per_address" in said[0]
        assert "(listen.connections)" in said[1]
        kept[0].close()
        kept[0].close()
        for _ in range(2):
            again = is_taken(listener, "127.0.0.1")
            assert again is not None
            again.close()


def test_a_trusted_proxy_has_no_share_but_that_of_all() -> None:
    with listening(of_one=1, of_all=4, proxies=("127.0.0.8/31",)) as listener, ExitStack() as held:
        taken = [is_taken(listener, STRANGER) for _ in range(6)]
        assert [bool(held.enter_context(one)) if one else False for one in taken] == [True] * 4 + [False] * 2


def test_what_runs_out_of_descriptors_says_so_once_and_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with listening() as listener, connect(listener.getsockname()):
        probe = os.open(os.devnull, os.O_RDONLY)
        os.close(probe)
        resource.setrlimit(resource.RLIMIT_NOFILE, (probe, hard))
        try:
            for _ in range(3):
                with pytest.raises(ConnectionAbortedError):
                    listener.accept()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        with closing(listener.accept()[0]) as connection:
            assert connection.fileno() > 0
    said = [record.getMessage() for record in caplog.records]
    assert said == ["No connection can be accepted: Too many open files"]


def test_a_quarter_of_the_descriptors_is_for_all_else(caplog: pytest.LogCaptureFixture) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    caplog.set_level(logging.WARNING)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1000, hard))
    try:
        assert (room(750), caplog.text) == (750, "")
        assert room(751) == 750
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert "may open 1000 files, so it takes 750 connections and not the 751 of listen.connections" in caplog.text


def test_who_says_nothing_or_says_it_without_end_is_sent_away() -> None:
    with served() as address, connect(address) as silent, connect(address) as slow:
        for part in (b"GET / HTTP/1.1\r\n", b"Host: a\r\n", b"X-A: b\r\n", b"X-B: c\r\n"):
            slow.sendall(part)
            assert not ends_within(slow, 0.1)
        assert ends_within(silent, 2)
        assert ends_within(slow, 2)


def test_who_does_not_begin_tls_is_sent_away_too_and_counted_before(tmp_path: Path) -> None:
    authority, (key, key_pem) = open_authority(tmp_path, now=datetime.now(UTC)), make_key()
    issued = authority.sign_server(key, names=["127.0.0.1"], now=datetime.now(UTC), days=1)
    certificate = tmp_path / "site.pem"
    certificate.write_text(key_pem + issued.pem)
    trust = ssl.create_default_context(cadata=authority.pem)
    with served(certificate=certificate) as address, ExitStack() as held:
        crowd = [held.enter_context(connect(address)) for _ in range(6)]
        assert sum(ends_within(one, 0.05) for one in crowd) == 3
        assert all(ends_within(one, 2) for one in crowd)
        silent = held.enter_context(trust.wrap_socket(connect(address), server_hostname="127.0.0.1"))
        assert ends_within(silent, 2)
        assert httpx.get(f"https://{address[0]}:{address[1]}/", verify=trust).text == "a page"


def test_between_two_requests_too_nobody_is_waited_for_without_end() -> None:
    with served() as address, connect(address) as slow:
        slow.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        answer = b""
        while not answer.endswith(b"a page"):
            answer += slow.recv(1000)
        slow.sendall(b"G")
        assert ends_within(slow, 2)


def test_an_answer_may_take_its_time_and_the_next_request_comes_on_the_same_connection() -> None:
    with served() as (host, port), httpx.Client(base_url=f"http://{host}:{port}") as client:
        for _ in range(2):
            assert client.get("/", params={"seconds": 1.2}).text == "a page"
        pool = client._transport._pool.connections  # type: ignore[attr-defined]
        assert len(pool) == 1


def test_places_come_back_when_connections_end() -> None:
    with served() as address:
        for _ in range(3):
            with ExitStack() as held:
                crowd = [held.enter_context(connect(address)) for _ in range(6)]
                assert sum(ends_within(one, 0.05) for one in crowd) == 3
                assert all(ends_within(one, 2) for one in crowd)
