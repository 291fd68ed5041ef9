"""Every route that a site serves, so that a test can walk them and a new one cannot be forgotten."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from cloud.api.needs import Need, need_of

__all__ = ["PATH_VALUES", "Served", "plain_routes", "served_routes"]

PATH_VALUES = {
    "venue": "corner-shop", "box": "box-1", "camera": "cam-1", "floor": "ground",
    "space": "ground-1", "layer": "presence", "z": "0", "x": "0", "y": "0",
    "alert": "01KAGAGGM0FX3N5V2C8R6T9W4Y", "user": "somebody", "key": "0123456789ab",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A method and a path, and what it needs."""

    method: str
    path: str
    need: Need

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    def address(self, **values: str) -> str:
        """The path with something in the place of each parameter."""
        return re.sub(r"{(\w+)}", lambda name: (PATH_VALUES | values)[name[1]], self.path)


def served_routes(router: object) -> Iterator[Served]:
    """Each route of an application, those of the routers in it too."""
    for path, route in plain_routes(router):
        if isinstance(route, APIRoute):
            for method in sorted(route.methods or ()):
                yield Served(method=method, path=path, need=need_of(route.endpoint))


def plain_routes(router: object, prefix: str = "") -> Iterator[tuple[str, BaseRoute]]:
    """The whole path of each route of any kind, and the route."""
    for route in getattr(router, "routes", ()):
        inner = getattr(route, "original_router", None)
        if inner is None:
            yield prefix + route.path, route
        else:
            yield from plain_routes(inner, prefix + route.include_context.prefix)
