"""An HTTP server of one file, which can be told to misbehave in the ways that real ones do."""

import contextlib
import hashlib
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

__all__ = ["FileServer"]


@dataclass(slots=True, kw_only=True)
class _Behaviour:
    """What is served, and how; a test changes it between requests."""

    content: bytes
    cut_after: int | None = None
    knows_ranges: bool = True
    heeds_validator: bool = True
    gives_validator: bool = True
    status: int = 200
    requests: list[tuple[str, str]] = field(default_factory=list)

    @property
    def tag(self) -> str:
        return f'"{hashlib.sha256(self.content).hexdigest()[:16]}"'


class FileServer:
    """Serves `behaviour.content` under any path; `behaviour.requests` notes path and Range of each request."""

    def __init__(self, content: bytes) -> None:
        self.behaviour = _Behaviour(content=content)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self.behaviour))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _handler(behaviour: _Behaviour) -> type[BaseHTTPRequestHandler]:
    """A handler class bound to this behaviour, as the server wants one."""
    return type("Handler", (_Handler,), {"behaviour": behaviour})


class _Handler(BaseHTTPRequestHandler):
    behaviour: _Behaviour

    def do_GET(self) -> None:
        asked = self.headers.get("Range", "")
        self.behaviour.requests.append((self.path, asked))
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/model.onnx")
            self.end_headers()
        elif self.behaviour.status != 200:
            self.send_error(self.behaviour.status)
        else:
            self._send(self._start(asked))

    def _start(self, asked: str) -> int:
        """Where to begin; -1 where no range is served."""
        unchanged = self.headers.get("If-Range", self.behaviour.tag) == self.behaviour.tag
        if not asked or not self.behaviour.knows_ranges or (self.behaviour.heeds_validator and not unchanged):
            return -1
        return int(asked.removeprefix("bytes=").removesuffix("-"))

    def _send(self, start: int) -> None:
        total = len(self.behaviour.content)
        body = self.behaviour.content[max(start, 0) :]
        self.send_response(200 if start < 0 else 206 if body else 416)
        if start >= 0:
            piece = f"{start}-{total - 1}" if body else "*"
            self.send_header("Content-Range", f"bytes {piece}/{total}")
        if self.behaviour.gives_validator:
            self.send_header("ETag", self.behaviour.tag)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            self.wfile.write(body[: self.behaviour.cut_after])

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class names it so
        """Tests read `requests` instead."""
