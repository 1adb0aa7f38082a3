"""Limits the requests of each caller to FLOWDOCK_SERVER_RATE_LIMIT a minute."""

import contextlib
import math
import time

from django.conf import settings
from django.core.cache import caches
from django.http import HttpRequest

from flowdock_server.secrets.tokens import digest
from hosting.addresses import network_of

WINDOW = 60  # seconds


def client_address(request: HttpRequest | None) -> str:
    """The client's IPv4 address, or its /64 network in IPv6, which usually belongs to one customer.

    Behind a trusted proxy (FLOWDOCK_SERVER_TRUST_FORWARDED_FOR) it is the last address in X-Forwarded-For, which the
    proxy added. The client itself may have sent the addresses before it.
    """
    meta = request.META if request else {}
    forwarded = meta.get("HTTP_X_FORWARDED_FOR", "") if settings.TRUST_FORWARDED_FOR else ""
    text = forwarded.rpartition(",")[2].strip() or meta.get("REMOTE_ADDR", "")
    return network_of(text)


class Counted:
    """One request, counted for its address until its key is verified, and then for the caller.

    So random keys do not avoid the limit, and a caller with a known key is not affected by a client at the same address
    that tries random keys. Different spellings of the same key, such as an API token with different passwords, which
    are ignored, count as one caller.
    """

    REMEMBERED = 3600  # seconds in which a key is known

    def __init__(self, key: str, address: str) -> None:
        self._known_as = f"known:{digest(key)}" if key else ""
        self._address = f"address {address}"
        self._caller: str = caches["limits"].get(self._known_as, "") if key else ""

    def seconds_to_wait(self) -> int:
        return seconds_to_wait(self._caller or self._address)

    def answered(self, caller: str | None) -> None:
        """`caller` identifies the verified key; empty if it was wrong or missing, None if no view checked it."""
        if caller is None or caller == self._caller:
            return
        if not caller:
            caches["limits"].delete(self._known_as)
            return
        if self._known_as:
            caches["limits"].set(self._known_as, caller, self.REMEMBERED)
        if not seconds_to_wait(caller) and not self._caller:
            _give_back(self._address)


def _give_back(caller: str) -> None:
    # ValueError: its minute is over, or the cache has evicted it.
    with contextlib.suppress(ValueError):
        caches["limits"].decr(_counter(caller, time.time()))


def _counter(caller: str, now: float) -> str:
    return f"{digest(caller)}:{int(now // WINDOW)}"


def seconds_to_wait(caller: str) -> int:
    """0 while `caller` is within the limit for this minute; otherwise the seconds until the next minute.

    Each process counts separately.
    """
    if not settings.RATE_LIMIT:
        return 0
    now = time.time()
    counter = _counter(caller, now)
    cache = caches["limits"]
    cache.add(counter, 0, 2 * WINDOW)
    try:
        calls = cache.incr(counter)
    except ValueError:  # the cache has evicted it in the meantime
        return 0
    return math.ceil(WINDOW - now % WINDOW) if calls > settings.RATE_LIMIT else 0
