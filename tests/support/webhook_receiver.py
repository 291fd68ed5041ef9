"""A real HTTP server that takes webhook messages, or does what servers of other people do instead."""

import base64
import hashlib
import hmac
import json
import ssl
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

__all__ = ["KEY", "SECRET", "Received", "WebhookReceiver"]

KEY = bytes(range(32))
SECRET = f"whsec_{base64.b64encode(KEY).decode()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def told(self) -> Any:
        """The message's JSON."""
        return json.loads(self.body)

    @property
    def is_signed(self) -> bool:
        """Whether the signature is right, computed as the specification says and not as the product does."""
        signed = f"{self.id}.{self.headers['webhook-timestamp']}.{self.body.decode()}"
        mac = hmac.new(KEY, signed.encode(), hashlib.sha256).digest()
        return self.headers["webhook-signature"] == "v1," + base64.standard_b64encode(mac).decode()


@dataclass(slots=True, kw_only=True)
class _Behaviour:
    status: int = 200
    silent: bool = False
    received: list[Received] = field(default_factory=list)


class WebhookReceiver:
    """Listens on 127.0.0.1; `behaviour` may be changed between requests. With `tls`, it speaks HTTPS."""

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        self.behaviour = _Behaviour()
        self._over = threading.Event()
        handler = type("Handler", (_Handler,), {"behaviour": self.behaviour, "over": self._over})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    @property
    def port(self) -> int:
        return self._server.server_address[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?token=hunter2"

    @property
    def received(self) -> list[Received]:
        return self.behaviour.received

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    behaviour: _Behaviour
    over: threading.Event

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.behaviour.received.append(Received(path=self.path, headers=headers, body=body))
        if self.behaviour.silent:
            self.over.wait(30)
            return
        self.send_response(self.behaviour.status)
        if 300 <= self.behaviour.status < 400:
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class names it so
        """Tests read `received` instead."""
