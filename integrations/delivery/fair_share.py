"""How a worker's senders are shared between integrations, so that the trouble of one does not slow down the others.

It remembers what this process has seen of each integration. Not for two threads at the same time.
"""

from __future__ import annotations

import math
import random
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

SLOW = 1.0  # seconds; an attempt that takes longer occupies a sender that others may need
MAX_FAILED_THREADS = 5  # in a row; then the next thread is expected to fail too
FIRST_PAUSE = 2.0  # seconds
MAX_PAUSE = 60.0  # seconds


@dataclass
class Failures:
    """The threads of an integration that failed since Flowdock last answered it, and how often it was held back."""

    threads: set[str] = field(default_factory=set)
    pauses: int = 0


@dataclass
class FairShare:
    """Decides which integrations may use one more of `senders`.

    An integration that was slow, failed or has not been tried yet gets one sender at a time; a quick answer makes it
    trusted, and a trusted one may have several. Slow ones have half of the senders at most, all together. Beyond the
    senders there are a quarter more for integrations that have none yet and are not slow, so that they find one even if
    all trusted integrations become slow at the same moment.

    In all methods, `busy` counts the senders that each integration occupies, `free` are the senders left, and `room` is
    how many more a trusted integration may have: claims that wait for a sender may be more than the free ones.
    """

    senders: int
    trusted: set[int] = field(default_factory=set)
    slow: set[int] = field(default_factory=set)
    failures: dict[int, Failures] = field(default_factory=dict)
    held_until: dict[int, float] = field(default_factory=dict)  # integration: time.monotonic()
    served_at: dict[int, float] = field(default_factory=dict)  # integration: when it last got a sender

    def choose(self, rows: Iterable[tuple[int, int]], busy: Counter[int], free: int, room: int) -> list[int]:
        """The ids of the deliveries that get a sender now, from rows of (id, integration).

        The integration with the fewest senders comes first and, of those with equally many, the one that has waited
        longest: so an integration with little to post does not wait for the backlog of another.
        """
        turns = busy.copy()
        places = []
        for position, (pk, integration) in enumerate(rows):
            turns[integration] += 1
            places.append((turns[integration], self.served_at.get(integration, 0.0), position, pk, integration))
        busy = busy.copy()
        chosen = []
        for *_, pk, integration in sorted(places):
            if self.may_have_another(integration, busy, free, room):
                busy[integration] += 1
                room -= 1
                free -= integration not in self.trusted
                chosen.append(pk)
        return chosen

    def may_have_another(self, integration: int, busy: Counter[int], free: int, room: int) -> bool:
        """Whether the integration may use one more sender."""
        if self.is_held(integration):
            return False
        if integration in self.trusted and room > 0:
            return True
        if busy[integration]:
            return False
        if integration in self.slow:
            used_by_slow = sum(count for each, count in busy.items() if each in self.slow)
            return used_by_slow < max(self.senders // 2, 1) and free > 0
        return free + self.senders // 4 > 0

    def at_limit(self, busy: Counter[int], free: int, room: int) -> set[int]:
        """The integrations, of those that are known here, that may not use another sender now."""
        known = {integration for integration, count in busy.items() if count} | self.slow | set(self.held_until)
        return {each for each in known if not self.may_have_another(each, busy, free, room)}

    def record_answer(self, integration: int, seconds: float) -> None:
        """Flowdock has answered in a usable way, after `seconds`."""
        self.failures.pop(integration, None)
        if seconds >= SLOW:
            self.trusted.discard(integration)
            self.slow.add(integration)
        else:
            self.slow.discard(integration)
            self.trusted.add(integration)

    def record_failure(self, integration: int, thread_id: str, seconds: float) -> float | None:
        """Flowdock has not answered in a usable way. Returns for how long to hold back the integration, if at all."""
        self.trusted.discard(integration)
        if seconds >= SLOW:
            self.slow.add(integration)
        else:
            self.slow.discard(integration)
        failures = self.failures.setdefault(integration, Failures())
        failures.threads.add(thread_id)
        if len(failures.threads) < MAX_FAILED_THREADS or self.is_held(integration):
            return None
        pause: float = min(FIRST_PAUSE * 2**failures.pauses, MAX_PAUSE) * random.uniform(1.0, 1.2)  # noqa: S311
        failures.pauses += 1
        self.hold(integration, pause)
        return pause

    def hold(self, integration: int, seconds: float) -> None:
        """Send nothing of the integration for so long; afterwards it gets one sender at first."""
        self.trusted.discard(integration)
        self.held_until[integration] = max(time.monotonic() + seconds, self.held_until.get(integration, 0.0))

    def seconds_until_release(self) -> float:
        """For how long every integration that is held back still is."""
        return max(min(self.held_until.values(), default=math.inf) - time.monotonic(), 0.0)

    def is_held(self, integration: int) -> bool:
        """Whether nothing of it may be sent for now."""
        until = self.held_until.get(integration)
        if until is None:
            return False
        if until <= time.monotonic():
            del self.held_until[integration]
            return False
        return True
