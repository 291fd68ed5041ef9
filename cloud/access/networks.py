"""Addresses and the networks they lie in. Pure."""

import ipaddress
from collections.abc import Iterable
from typing import Annotated

from pydantic import AfterValidator

from cloud.errors import Invalid

__all__ = ["Network", "are_within", "is_loopback", "is_within", "prefix_of", "read_networks"]

_IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
_IPV6_PREFIX = 64
"""The least that one IPv6 customer is given, all of which is as good as one address."""


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text))
    except ValueError as error:
        raise ValueError("an address or a network such as 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32") from error


Network = Annotated[str, AfterValidator(_network)]


def read_networks(texts: Iterable[str] | None) -> tuple[str, ...] | None:
    """Networks as they are kept, None for everywhere; raises Invalid that names what is none."""
    if texts is None:
        return None
    try:
        return tuple(_network(text.strip()) for text in texts)
    except ValueError as error:
        raise Invalid(f"networks: {error}") from error


def is_within(address: str, networks: Iterable[str]) -> bool:
    """Whether an address lies in one of the networks; what is no address lies in none."""
    found = _address(address)
    return found is not None and any(found in ipaddress.ip_network(network) for network in networks)


def are_within(networks: Iterable[str], others: Iterable[str]) -> bool:
    """Whether each of the networks lies in one of the others."""
    wide = [ipaddress.ip_network(other) for other in others]
    return all(any(_lies_in(ipaddress.ip_network(one), other) for other in wide) for one in networks)


def is_loopback(address: str) -> bool:
    """Whether it is this machine's own."""
    found = _address(address)
    return found is not None and found.is_loopback


def prefix_of(address: str) -> str:
    """What stands for one caller among strangers: the address, of IPv6 the first 64 bits."""
    found = _address(address)
    if isinstance(found, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((found, _IPV6_PREFIX), strict=False))
    return address


def _lies_in(one: _IpNetwork, other: _IpNetwork) -> bool:
    return one.version == other.version and one.prefixlen >= other.prefixlen and one.network_address in other


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """IPv4 that a socket of both kinds shows as IPv6 is IPv4 again."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, ipaddress.IPv6Address) else found
