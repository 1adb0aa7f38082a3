"""Client addresses, for limits that are counted by address."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

UNKNOWN = "unknown"


def network_of(text: str) -> str:
    """The network that usually belongs to one customer: an IPv4 address, or the /64 of an IPv6 address."""
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
    """Whether a server that listens on `host` can only be reached from this machine."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def forwarded_for(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The client's network from X-Forwarded-For: the last address, which the nearest proxy added. Empty if absent.

    The client itself may have sent the addresses before it.
    """
    values = [value for name, value in headers if name.lower() == b"x-forwarded-for"]
    return network_of(values[-1].decode("latin1").rpartition(",")[2]) if values else ""
