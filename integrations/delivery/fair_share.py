"""How the senders of a worker are shared: one integration's trouble is its own.

What is kept here is what this process has seen of each integration. It is alone in one thread, the dispatcher's.
"""

from __future__ import annotations

import math
import random
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

SLOW = 1.0  # seconds; an attempt that takes longer holds a sender that others may need
THREADS = 5  # that failed in a row: the next will, too
FIRST_PAUSE = 2.0  # seconds
LAST_PAUSE = 60.0  # seconds


@dataclass
class Trouble:
    """The threads of an integration that got no sensible answer since its last one, and how often it was held back."""

    threads: set[str] = field(default_factory=set)
    pauses: int = 0


@dataclass
class Shares:
    """Who may have another of `senders`.

    An integration that was slow, failed or has not been tried yet gets one sender at a time; an answer in good time
    makes it a trusted one, which may have several. Slow ones have half of the senders at most, all together. A quarter
    is kept for first messages of integrations that are not slow, so that these find a sender however many others are
    held by integrations that were trusted and have become slow at this moment.
    """

    senders: int
    trusted: set[int] = field(default_factory=set)
    slow: set[int] = field(default_factory=set)
    troubles: dict[int, Trouble] = field(default_factory=dict)
    held: dict[int, float] = field(default_factory=dict)  # integration: until when, by time.monotonic()
    served: dict[int, float] = field(default_factory=dict)  # integration: when it last got a sender

    def choose(self, rows: Iterable[tuple[int, int]], out: Counter[int]) -> list[int]:
        """Those that get a sender now, of rows of (id, integration).

        The integration with the fewest senders comes first, and of those that have equally many the one that has waited
        longest for its turn: a quiet one is not behind all that busy ones had waiting before.
        """
        turns = out.copy()
        places = []
        for position, (pk, integration) in enumerate(rows):
            turns[integration] += 1
            places.append((turns[integration], self.served.get(integration, 0.0), position, pk, integration))
        taken = out.copy()
        chosen = []
        for *_, pk, integration in sorted(places):
            if self.may_have_another(integration, taken):
                taken[integration] += 1
                self.served[integration] = time.monotonic()
                chosen.append(pk)
        return chosen

    def may_have_another(self, integration: int, out: Counter[int]) -> bool:
        """Whether `integration` may have one more sender, where those in `out` have that many already."""
        if self._is_held(integration):
            return False
        free = self.senders - out.total()
        is_first = not out[integration]
        kept = self.senders // 4
        if integration in self.slow:
            with_slow = sum(count for each, count in out.items() if each in self.slow)
            return is_first and with_slow < max(self.senders // 2, 1) and free > kept
        if is_first:
            return free > 0
        return integration in self.trusted and free > kept

    def may_tell(self, integration: int, out: Counter[int]) -> bool:
        """Whether a sender may tell Flowdock of a problem of `integration`: as a slow one's, since nobody waits."""
        return not out[integration] and self.senders - out.total() > self.senders // 4

    def full(self, out: Counter[int]) -> set[int]:
        """The integrations, of those that are known here, that may have no other sender now."""
        known = {integration for integration, count in out.items() if count} | self.slow | set(self.held)
        return {integration for integration in known if not self.may_have_another(integration, out)}

    def answered(self, integration: int, seconds: float) -> None:
        """Flowdock has answered in a sensible way, after `seconds`."""
        self.troubles.pop(integration, None)
        if seconds >= SLOW:
            self._distrust(integration)
            self.slow.add(integration)
        else:
            self.slow.discard(integration)
            self.trusted.add(integration)

    def failed(self, integration: int, thread: str, seconds: float) -> float | None:
        """There was no sensible answer to a message of `thread`. For how many seconds to hold all others, if at all."""
        self._distrust(integration)
        if seconds >= SLOW:
            self.slow.add(integration)
        else:
            self.slow.discard(integration)
        trouble = self.troubles.setdefault(integration, Trouble())
        trouble.threads.add(thread)
        if len(trouble.threads) < THREADS or self._is_held(integration):
            return None
        pause: float = min(FIRST_PAUSE * 2**trouble.pauses, LAST_PAUSE) * random.uniform(1.0, 1.2)  # noqa: S311
        trouble.pauses += 1
        self.hold(integration, pause)
        return pause

    def hold(self, integration: int, seconds: float) -> None:
        """Nothing of `integration` is sent for so long; then one message is, to find out."""
        self._distrust(integration)
        self.held[integration] = max(time.monotonic() + seconds, self.held.get(integration, 0.0))

    def until_a_release(self) -> float:
        """For how many seconds all that are held still are."""
        return max(min(self.held.values(), default=math.inf) - time.monotonic(), 0.0)

    def _is_held(self, integration: int) -> bool:
        until = self.held.get(integration)
        if until is None:
            return False
        if until <= time.monotonic():
            del self.held[integration]
            return False
        return True

    def _distrust(self, integration: int) -> None:
        self.trusted.discard(integration)
