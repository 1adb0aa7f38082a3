"""The circuit breaker between the outbox and Flowdock."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Hashable
from dataclasses import dataclass, field

logger = logging.getLogger(__name__)

THREADS = 5
FIRST_PAUSE = 2.0  # seconds
LAST_PAUSE = 60.0  # seconds
LONGEST_WISH = 15 * 60.0  # seconds; what Flowdock asks for beyond it is asked again


@dataclass
class Breaker:
    """Keeps ten thousand messages from being tried one by one while Flowdock as a whole is away.

    It opens when THREADS different threads in a row found nobody there; one message in trouble, tried again and again,
    does not open it. While it is open nothing is claimed. Then a single hand goes out: any answer closes the breaker,
    none opens it for twice as long.
    """

    in_vain: set[Hashable] = field(default_factory=set)
    pauses: int = 0
    until: float = 0.0  # time.monotonic()

    @property
    def is_open(self) -> bool:
        return time.monotonic() < self.until

    @property
    def is_probing(self) -> bool:
        """Whether it was open, and nobody has answered since."""
        return self.pauses > 0

    def answered(self) -> None:
        if self.is_probing:
            logger.info("Flowdock answers again")
        self.in_vain.clear()
        self.pauses, self.until = 0, 0.0

    def away(self, thread: Hashable, words: str, wish: float | None) -> None:
        """Nobody was there for `thread`, or asked to be left alone for `wish` seconds."""
        self.in_vain.add(thread)
        if self.is_open or not (self.is_probing or len(self.in_vain) >= THREADS):
            return
        pause = max(min(FIRST_PAUSE * 2**self.pauses, LAST_PAUSE), min(wish or 0.0, LONGEST_WISH))
        self.pauses += 1
        self.until = time.monotonic() + pause * random.uniform(1.0, 1.2)  # noqa: S311  no secret
        logger.warning("Flowdock is away (%s): nothing is posted for %.0f s", words, pause)
