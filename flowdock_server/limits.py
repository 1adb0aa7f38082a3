"""How much one caller may ask of the server, where FLOWDOCK_SERVER_RATE_LIMIT says so."""

import math
import time

from django.conf import settings
from django.core.cache import caches
from django.http import HttpRequest

from flowdock_server.tokens import digest
from hosting.addresses import network_of

WINDOW = 60  # seconds


def client_address(request: HttpRequest | None) -> str:
    """Where a request comes from: for IPv6 the network of 64 bits, which is what one customer has.

    Behind a proxy that is trusted to say so (FLOWDOCK_SERVER_TRUST_FORWARDED_FOR), what it has added last to
    X-Forwarded-For: anything before that is the caller's own word.
    """
    meta = request.META if request else {}
    said = meta.get("HTTP_X_FORWARDED_FOR", "") if settings.TRUST_FORWARDED_FOR else ""
    text = said.rpartition(",")[2].strip() or meta.get("REMOTE_ADDR", "")
    return network_of(text)


def seconds_to_wait(caller: str) -> int:
    """0 while `caller` is within the limit, counted by the minute; else after how long the next minute begins.

    Each process counts for itself.
    """
    if not settings.RATE_LIMIT:
        return 0
    now = time.time()
    counter = f"{digest(caller)}:{int(now // WINDOW)}"
    cache = caches["limits"]
    cache.add(counter, 0, 2 * WINDOW)
    try:
        calls = cache.incr(counter)
    except ValueError:  # it was dropped in between, to make room
        return 0
    return math.ceil(WINDOW - now % WINDOW) if calls > settings.RATE_LIMIT else 0
