"""Nobody makes the server read more than a request of its kind needs, nor wait for it longer than a slow line does."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import anyio
from starlette.exceptions import HTTPException
from starlette.routing import compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["BodyLimit", "SizeLimits"]

PATIENCE_SECONDS = 30.0
"""For the first byte, and for a line that stalls."""
SLOWEST_BYTES_PER_SECOND = 16 * 1024
"""A box on a poor mobile line sends faster; whoever sends slower only wants to be waited for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeLimits:
    """The most bytes of a body: as a rule, and of routes such as `PUT /plans/{floor}`, exactly these."""

    usual: int
    by_route: Mapping[str, int]
    _patterns: tuple[tuple[str, Callable[[str], object], int], ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        routes = [(route.partition(" "), limit) for route, limit in self.by_route.items()]
        patterns = tuple((method, compile_path(path)[0].match, limit) for (method, _, path), limit in routes)
        object.__setattr__(self, "_patterns", patterns)

    def of(self, method: str, path: str) -> int:
        """The limit of a request."""
        return next((limit for of, matches, limit in self._patterns if of == method and matches(path)), self.usual)


class BodyLimit:
    """Refuses a body that is announced too large, and stops reading one that is, or that takes too long."""

    def __init__(self, app: ASGIApp, *, limits: SizeLimits, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._app = app
        self._limits = limits
        self._patience_seconds = patience_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._limits.of(scope["method"], scope["path"])
        announced = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        is_refused = announced.isdigit() and int(announced) > limit
        read, is_whole = 0, False
        began: float | None = None

        async def limited() -> Message:
            nonlocal read, began, is_whole
            if is_refused:
                raise _too_large(limit)
            if is_whole:  # what comes now is only that the caller has gone
                return await receive()
            began = anyio.current_time() if began is None else began
            due = began + self._patience_seconds + read / SLOWEST_BYTES_PER_SECOND
            try:
                with anyio.fail_after(due - anyio.current_time()):
                    message = await receive()
            except TimeoutError as error:
                raise _too_slow() from error
            read += len(message.get("body", b""))
            is_whole = not message.get("more_body", False)
            if read > limit:
                raise _too_large(limit)
            return message

        await self._app(scope, limited, send)


def _too_large(limit: int) -> HTTPException:
    return HTTPException(413, f"at most {limit} bytes are taken here", headers={"Connection": "close"})


def _too_slow() -> HTTPException:
    return HTTPException(408, "the body took too long to come", headers={"Connection": "close"})
