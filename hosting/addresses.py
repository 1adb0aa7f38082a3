"""Whose request it is, for limits that are counted by address."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

UNKNOWN = "unknown"


def network_of(text: str) -> str:
    """What one customer has: an IPv4 address, or a network of 64 bits in IPv6."""
    try:
        address = ipaddress.ip_address(text.strip())
    except ValueError:
        return UNKNOWN
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    if address.version == 6:
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens on `host`."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def forwarded_for(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The network of the client that the nearest proxy has added last to X-Forwarded-For; empty without the header.

    What stands before it is the client's own claim.
    """
    values = [value for name, value in headers if name.lower() == b"x-forwarded-for"]
    return network_of(values[-1].decode("latin1").rpartition(",")[2]) if values else ""
