"""Errors outside the pages' own routes: whoever asks for a page gets one, and programs their problem+json."""

from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import WebSocketRequestValidationError

from cloud.web.rendering import NO_DATA, NOT_HERE, show_problem

__all__ = ["answer_with_pages"]

_WORDS = {
    401: ("Sign in first", "This is for those who have signed in."),
    403: ("This is not for you", "Ask an admin if you need it."),
    404: NOT_HERE,
    405: ("That cannot be done here", "Go back, load the page anew and try again."),
    413: ("That is too much at once", "Go back and send less."),
    429: ("Too many at once", "Try again in a minute."),
    500: (
        "Something went wrong here",
        "It is not your doing. Try again; if it stays so, tell whoever runs this server: its log says what it was.",
    ),
    503: NO_DATA,
}
_OTHER = ("That cannot be done", "Go back, load the page anew and try again.")
_OF_THE_BODY = ("content-length", "content-type")
_Tell = Callable[[Request, Exception], Response | Awaitable[Response]]


def answer_with_pages(app: FastAPI) -> None:
    """Let each error that the application answers be a page where one is asked for; status and headers stay."""
    for kind, tell in list(app.exception_handlers.items()):
        if kind is not WebSocketRequestValidationError:
            app.exception_handlers[kind] = _or_page(tell)


def _or_page(tell: _Tell) -> _Tell:
    async def _answer(request: Request, error: Exception) -> Response:
        answer = tell(request, error)
        told = await answer if isinstance(answer, Awaitable) else answer
        if not _asks_for_page(request):
            return told
        page = show_problem(request, _WORDS.get(told.status_code, _OTHER), status=told.status_code)
        page.headers.update({name: value for name, value in told.headers.items() if name not in _OF_THE_BODY})
        return page

    return _answer


def _asks_for_page(request: Request) -> bool:
    """Browsers name HTML when somebody follows a link or types an address, and scripts and programs don't."""
    return not request.scope["path"].startswith("/api/") and "text/html" in request.headers.get("accept", "")
