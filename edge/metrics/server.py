"""Answers Prometheus over HTTP, in threads of its own, from one registry."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version

from prometheus_client import (
    CollectorRegistry,
    Info,
    ProcessCollector,
    disable_created_metrics,
    start_http_server,
)

from edge.errors import EdgeError

__all__ = ["make_registry", "serving"]


def make_registry() -> CollectorRegistry:
    """A registry of one process, which knows the process itself and its version."""
    disable_created_metrics()  # they double the series, and Prometheus finds a restart without them
    registry = CollectorRegistry(auto_describe=True)
    ProcessCollector(registry=registry)
    Info("footfall_build", "The version of Footfall.", registry=registry).info({"version": version("footfall")})
    return registry


@contextmanager
def serving(registry: CollectorRegistry, *, host: str, port: int | None) -> Iterator[None]:
    """Answer at this address within the block; nowhere where the port is None. Raises EdgeError when it is taken."""
    if port is None:
        yield
        return
    try:
        server, thread = start_http_server(port, addr=host, registry=registry)
    except OSError as error:
        raise EdgeError(f"metrics: {host} port {port} cannot be listened at: {error.strerror}") from error
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
