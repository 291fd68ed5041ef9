"""The client that posts to a webhook: the only one in the cloud that speaks to an address of other people.

The name is resolved once, every address that it has must be a public one, and the connection goes to just that address,
with TLS still checked against the name; so no name can lead inwards, at once or a moment later. Redirects are not
followed, proxies not asked, and an answer is not read beyond its status. A message is signed as Standard Webhooks say:
HMAC-SHA256 over its id, its time and its body. Nothing here shows the address, which may hold a secret.
"""

import asyncio
import base64
import hashlib
import hmac
import ipaddress
import os
import socket
import ssl
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from threading import Thread
from typing import Protocol
from urllib.parse import urlsplit

import httpx

from cloud.errors import CloudError
from cloud.health import program_version

__all__ = ["Receiver", "Webhook", "WebhookFailed", "WebhookMessage", "signature"]

TIMEOUT_SECONDS = 10.0
"""For everything together: resolving, connecting, sending, and waiting for the answer."""
_GLOBAL = ipaddress.ip_network("2000::/3")
"""All that is given out of IPv6 for the internet; what lies elsewhere leads inwards, or nowhere yet."""
_RELAYS = ipaddress.ip_network("192.88.99.0/24")
"""Once of routers between IPv4 and IPv6 (RFC 7526), which Python still takes for public."""

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class WebhookFailed(CloudError):
    """The webhook did not take the message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookMessage:
    """What is sent. The id stays the same at every attempt, so that a receiver can tell a repetition."""

    id: str
    body: bytes
    at: datetime


class Receiver(Protocol):
    """Whoever takes messages."""

    def send(self, message: WebhookMessage) -> None:
        """Return once the message was taken; raises WebhookFailed."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """A webhook over HTTP or HTTPS; `allow_private` is for a receiver on this machine or in its own network.

    `ca_file` holds the certificates to trust; None stands for the system's own.
    """

    url: str = field(repr=False)
    key: bytes = field(repr=False)
    allow_private: bool = False
    ca_file: Path | None = None

    def send(self, message: WebhookMessage) -> None:
        """Post a message; raises WebhookFailed with a reason that names no address."""
        try:
            status = asyncio.run(self._post(message))
        except TimeoutError as error:
            raise WebhookFailed(f"it did not answer within {TIMEOUT_SECONDS:g} seconds") from error
        except httpx.HTTPError as error:
            raise WebhookFailed(f"it cannot be reached: {_reason(error)}") from error
        if 300 <= status < 400:
            raise WebhookFailed(f"it answered {status}, and redirects are not followed")
        if not 200 <= status < 300:
            raise WebhookFailed(f"it answered {status}")

    async def _post(self, message: WebhookMessage) -> int:
        parts = urlsplit(self.url)
        host = parts.hostname or ""
        async with asyncio.timeout(TIMEOUT_SECONDS):
            address = await self._resolved(host, parts.port or httpx.URL(self.url).port or 0)
            pinned = httpx.URL(self.url).copy_with(host=str(address))
            timestamp = int(message.at.timestamp())
            headers = {
                "Host": parts.netloc,
                "Content-Type": "application/json",
                "User-Agent": f"footfall/{program_version()}",
                "webhook-id": message.id,
                "webhook-timestamp": str(timestamp),
                "webhook-signature": signature(self.key, id=message.id, timestamp=timestamp, body=message.body),
            }
            trusted = ssl.create_default_context(cafile=self.ca_file) if parts.scheme == "https" else False
            async with (
                httpx.AsyncClient(verify=trusted, trust_env=False, timeout=TIMEOUT_SECONDS) as client,
                client.stream(
                    "POST",
                    pinned,
                    content=message.body,
                    headers=headers,
                    extensions={"sni_hostname": host},
                    follow_redirects=False,
                ) as response,
            ):
                return response.status_code

    async def _resolved(self, host: str, port: int) -> _Address:
        """The address to speak to; every address of the name must be allowed."""
        try:
            addresses = await asyncio.wrap_future(_looked_up(host, port))
        except (OSError, UnicodeError) as error:
            raise WebhookFailed("its name cannot be resolved") from error
        if not self.allow_private and not all(map(_is_public, addresses)):
            raise WebhookFailed("its name leads to an address that is not public")
        return addresses[0]


def signature(key: bytes, *, id: str, timestamp: int, body: bytes) -> str:  # noqa: A002  Standard Webhooks' own word
    """The header `webhook-signature` of a message sent at `timestamp`, in whole seconds since 1970."""
    digest = hmac.digest(key, f"{id}.{timestamp}.".encode() + body, hashlib.sha256)
    return f"v1,{base64.b64encode(digest).decode()}"


def _looked_up(host: str, port: int) -> Future[list[_Address]]:
    """All addresses of a name. The event loop's own look-up would be waited for at its end, however long it takes."""
    looked_up: Future[list[_Address]] = Future()
    looked_up.set_running_or_notify_cancel()  # it cannot be cancelled, only left behind

    def look_up() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            looked_up.set_result([ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found])
        except (OSError, UnicodeError) as error:
            looked_up.set_exception(error)

    Thread(target=look_up, name="webhook-name", daemon=True).start()
    return looked_up


def _is_public(address: _Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address):
        carried = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        if carried is not None:
            return _is_public(carried)
        if address not in _GLOBAL:
            return False
    elif address in _RELAYS:
        return False
    return address.is_global and not address.is_multicast


def _reason(error: httpx.HTTPError) -> str:
    """What went wrong, in words that name no address; else the kind of error."""
    cause: BaseException | None = error
    while cause is not None:
        match cause:
            case ssl.SSLCertVerificationError():
                return "its certificate is not trusted, or not for its name"
            case ssl.SSLError():
                return "it does not speak TLS as it should"
            case OSError(errno=int(number)):
                return os.strerror(number)
        cause = cause.__cause__ or cause.__context__
    return type(error).__name__
