"""Answers Prometheus on a port of its own, for a process that serves no API."""

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, start_http_server

from cloud.errors import SettingsError

__all__ = ["serving"]


@contextmanager
def serving(registry: CollectorRegistry, *, host: str, port: int | None) -> Iterator[None]:
    """Answer at this address within the block; nowhere where the port is None. SettingsError when it is taken."""
    if port is None:
        yield
        return
    try:
        server, thread = start_http_server(port, addr=host, registry=registry)
    except OSError as error:
        raise SettingsError(f"metrics: {host} port {port} cannot be listened at: {error.strerror}") from error
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
