"""Where a request comes from: its address, whether the way was safe, and whether a page of ours sent it.

Behind a proxy that is trusted the address and the scheme are those that the proxy tells; see `app`.
"""

from urllib.parse import urlsplit

from starlette.datastructures import URL
from starlette.requests import Request

from cloud.access.networks import is_loopback

__all__ = [
    "FORM_COOKIE",
    "SAFE_METHODS",
    "SESSION_COOKIE",
    "address_of",
    "cookie_name",
    "form_cookie",
    "is_https",
    "is_local",
    "is_same_site",
    "may_sign_in",
    "session_cookie",
]

SESSION_COOKIE, FORM_COOKIE = "footfall", "footfall-form"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_FORWARDED = frozenset(
    {"cf-connecting-ip", "forwarded", "true-client-ip", "via", "x-client-ip", "x-original-host", "x-real-ip"}
)
"""What proxies add, beside `X-Forwarded-…`."""


def address_of(request: Request) -> str:
    """The caller's address; empty where a connection has none."""
    return request.client.host if request.client else ""


def is_https(request: Request) -> bool:
    """Whether the browser spoke TLS; told of an address that cannot be read too."""
    return str(request.scope["scheme"]) == "https"


def is_local(request: Request) -> bool:
    """Whether it comes from this machine itself, asked by its own name.

    A proxy on this machine that nobody told us of looks like it but for its headers, or for HTTP/1.0, which nginx
    speaks unless told otherwise; a page of a stranger whose name was bent to this machine, but for the name. Where
    proxies are named, nothing is local: whatever comes may have come through one.
    """
    name = request.url.hostname or ""
    return (
        is_loopback(address_of(request))
        and not request.app.state.surroundings.is_behind_proxy
        and request.scope.get("http_version") != "1.0"
        and not any(header in _FORWARDED or header.startswith("x-forwarded") for header in request.headers)
        and (name == "localhost" or is_loopback(name))
    )


def may_sign_in(request: Request) -> bool:
    """A session's cookie goes over TLS, or stays on this machine."""
    return is_https(request) or is_local(request)


def cookie_name(request: Request, name: str) -> str:
    """Over TLS with a prefix by which browsers take it from this very site and over TLS alone."""
    return f"__Host-{name}" if is_https(request) else name


def session_cookie(request: Request) -> str | None:
    """The session's token, if it came a way that may be taken."""
    return request.cookies.get(cookie_name(request, SESSION_COOKIE)) if may_sign_in(request) else None


def form_cookie(request: Request) -> str | None:
    """The secret of a browser in which nobody has signed in."""
    return request.cookies.get(cookie_name(request, FORM_COOKIE)) if may_sign_in(request) else None


def is_same_site(request: Request) -> bool:
    """Whether a page of this site sent it, by the browser's own word; what no browser sent says nothing of it."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = request.headers.get("origin")
    return origin is None or _is_origin(origin, request.url)


def _is_origin(text: str, url: URL) -> bool:
    try:
        return urlsplit(text)[:2] == (url.scheme, url.netloc)
    except ValueError:
        return False
