"""Nobody makes the server read more than a request of its kind needs."""

from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["BodyLimit", "SizeLimits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeLimits:
    """The most bytes of a body: as a rule, and under paths with a certain ending or middle."""

    usual: int
    by_path: tuple[tuple[str, int], ...]

    def of(self, path: str) -> int:
        """The limit of a path."""
        return next((limit for part, limit in self.by_path if part in path), self.usual)


class BodyLimit:
    """Refuses a body that is announced too large, and stops reading one that turns out to be."""

    def __init__(self, app: ASGIApp, *, limits: SizeLimits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._limits.of(scope["path"])
        announced = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        read = int(announced) if announced.isdigit() else 0
        is_refused = read > limit
        read = 0

        async def limited() -> Message:
            nonlocal read
            if is_refused:
                raise _too_large(limit)
            message = await receive()
            read += len(message.get("body", b""))
            if read > limit:
                raise _too_large(limit)
            return message

        await self._app(scope, limited, send)


def _too_large(limit: int) -> HTTPException:
    return HTTPException(413, f"at most {limit} bytes are taken here", headers={"Connection": "close"})
