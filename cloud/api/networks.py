"""Nobody is answered from outside the networks that the settings name."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from cloud.access.networks import is_within
from cloud.api.origins import address_of
from cloud.api.problems import respond

__all__ = ["AllowedNetworks"]


class AllowedNetworks:
    """Refuses whoever comes from elsewhere, before anything else is looked at."""

    def __init__(self, app: ASGIApp, *, networks: Sequence[str]) -> None:
        self._app = app
        self._networks = networks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not is_within(address_of(Request(scope)), self._networks):
            await respond(403, "nothing is served to this address")(scope, receive, send)
            return
        await self._app(scope, receive, send)
