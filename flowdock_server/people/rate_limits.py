"""How much one caller may ask of the server, where FLOWDOCK_SERVER_RATE_LIMIT says so."""

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
    """Where a request comes from: for IPv6 the network of 64 bits, which is what one customer has.

    Behind a proxy that is trusted to say so (FLOWDOCK_SERVER_TRUST_FORWARDED_FOR), what it has added last to
    X-Forwarded-For: anything before that is the caller's own word.
    """
    meta = request.META if request else {}
    said = meta.get("HTTP_X_FORWARDED_FOR", "") if settings.TRUST_FORWARDED_FOR else ""
    text = said.rpartition(",")[2].strip() or meta.get("REMOTE_ADDR", "")
    return network_of(text)


class Counted:
    """One request, counted for its caller once the key has been found right, and for its address until then.

    So random keys are no way around the limit, and a caller that shares an address with a client that tries them is
    not held up as long as its own key is known. Nor are other spellings of a right key, such as other passwords next
    to an API token, which are ignored: all of them are one caller, and beyond its limit they count for the address.
    """

    REMEMBERED = 3600  # seconds in which a key is known

    def __init__(self, key: str, address: str) -> None:
        self._known_as = f"known:{digest(key)}" if key else ""
        self._address = f"address {address}"
        self._caller: str = caches["limits"].get(self._known_as, "") if key else ""

    def seconds_to_wait(self) -> int:
        return seconds_to_wait(self._caller or self._address)

    def answered(self, caller: str | None) -> None:
        """`caller` names whose key it was: empty where it was wrong or missing, None where no view asked for one."""
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
    # ValueError: its minute is over, or it was dropped to make room.
    with contextlib.suppress(ValueError):
        caches["limits"].decr(_counter(caller, time.time()))


def _counter(caller: str, now: float) -> str:
    return f"{digest(caller)}:{int(now // WINDOW)}"


def seconds_to_wait(caller: str) -> int:
    """0 while `caller` is within the limit, counted by the minute; else after how long the next minute begins.

    Each process counts for itself.
    """
    if not settings.RATE_LIMIT:
        return 0
    now = time.time()
    counter = _counter(caller, now)
    cache = caches["limits"]
    cache.add(counter, 0, 2 * WINDOW)
    try:
        calls = cache.incr(counter)
    except ValueError:  # it was dropped in between, to make room
        return 0
    return math.ceil(WINDOW - now % WINDOW) if calls > settings.RATE_LIMIT else 0
