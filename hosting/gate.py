"""How many connections a process holds, and how long each may take."""

from __future__ import annotations

import asyncio
import logging
import resource
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hosting.connection import Connection

logger = logging.getLogger(__name__)

# A process also opens databases, bodies in files, and what Python needs.
OTHER_FILES = 256
TICK = 1.0  # seconds between two checks of the connections


@dataclass(frozen=True)
class Limits:
    """Limits of one process.

    A body and a response have a fixed time, plus the time that the slowest accepted connection needs for the bytes so
    far. So a large upload over a slow connection succeeds, and one that sends a byte every few seconds does not.
    """

    connections: int
    connections_per_address: int
    head_bytes: int = 64 * 1024
    head_seconds: float = 10.0  # from the start of the connection, or the first byte, to the end of the head
    body_seconds: float = 20.0
    answer_seconds: float = 20.0
    bytes_per_second: int = 8 * 1024  # of the slowest accepted connection
    # A stream has no end, so its client only has to read something within this time.
    stalled_stream_seconds: float = 60.0
    idle_seconds: int = 75  # until the next request of the same connection


@dataclass
class Gate:
    """Admits connections within the limits, and ends those that miss a deadline. Belongs to one event loop.

    Behind a trusted proxy (`trusts_forwarded_for`), all connections come from the proxy. The limit for each address
    then counts requests in progress by the forwarded address.
    """

    limits: Limits
    trusts_forwarded_for: bool = False
    connections: set[Connection] = field(default_factory=set)
    _by_address: Counter[str] = field(default_factory=Counter)
    _is_ticking: bool = False

    def admit(self, connection: Connection, address: str) -> bool:
        """Whether the new connection is within the limits. If so, call `leave` at its end."""
        if not self._is_ticking:
            self._is_ticking = True
            asyncio.get_running_loop().call_later(TICK, self._tick)
        if len(self.connections) >= self.limits.connections:
            return False
        if not self.trusts_forwarded_for and not self.count(address):
            return False
        self.connections.add(connection)
        return True

    def leave(self, connection: Connection, address: str) -> None:
        self.connections.discard(connection)
        self.discount(address)

    def count(self, address: str) -> bool:
        """Add one to the address's count. False, without adding, if the limit is reached."""
        if self._by_address[address] >= self.limits.connections_per_address:
            return False
        self._by_address[address] += 1
        return True

    def discount(self, address: str) -> None:
        if not address:
            return
        self._by_address[address] -= 1
        if self._by_address[address] <= 0:
            del self._by_address[address]

    def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        # Checking all connections once a second costs less than a timer for each request. The next check is scheduled
        # first, so that no error below can stop the checks.
        loop.call_later(TICK, self._tick)
        now = loop.time()
        for connection in tuple(self.connections):
            try:
                connection.end_if_overdue(now)
            except Exception:
                logger.exception("Closed a connection because its deadlines could not be checked")
                connection.transport.abort()


def allow_open_files(connections: int) -> None:
    """Raise the soft limit of open files, within the hard limit, to what `connections` need.

    Each needs two: the socket, and a file for its body.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * connections + OTHER_FILES
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
