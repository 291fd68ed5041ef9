"""What every answer says of itself."""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cloud.access.limits import Standing

__all__ = ["CONTENT_SECURITY_POLICY", "SafetyHeaders", "safety_headers"]

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
"""Nothing from elsewhere and nothing inline. Leaflet and Swagger UI draw small pictures of their own as `data:`."""

_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    # As uploaded images are given back, browsers must believe the media type that is given.
    "X-Content-Type-Options": "nosniff",
    # Other sites learn nothing; our own forms need to say where they come from.
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}
_HSTS = "max-age=31536000"
"""A year, for this name alone: what its subdomains serve is not ours to decide."""


def safety_headers(scheme: str) -> dict[str, str]:
    """What every answer to a request of a scheme says; errors that nobody expected are answered outside the class."""
    return {**_HEADERS, **({"Strict-Transport-Security": _HSTS} if scheme == "https" else {})}


class SafetyHeaders:
    """Tells browsers to load nothing from elsewhere, to guess nothing, to keep nothing, and to tell nobody.

    Over TLS also to come back over TLS alone; and whoever is limited how that stands.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(safety_headers(scope["scheme"]))
                headers.setdefault("Cache-Control", "no-store")
                _tell_limits(headers, scope)
            await send(message)

        await self._app(scope, receive, marked)


def _tell_limits(headers: MutableHeaders, scope: Scope) -> None:
    standing = scope.get("state", {}).get("standing")
    if not isinstance(standing, Standing):
        return
    headers["RateLimit-Limit"] = str(standing.limit)
    headers["RateLimit-Remaining"] = str(standing.remaining)
    headers["RateLimit-Reset"] = str(standing.reset_seconds)
    if standing.is_over:
        headers["Retry-After"] = str(standing.reset_seconds)
