"""The circuit breaker between the outbox and Flowdock."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Set
from dataclasses import dataclass, field

logger = logging.getLogger(__name__)

INTEGRATIONS = 3
SILENCE = 1.0  # seconds without any answer
PROBE_PAUSE = 0.5  # seconds between two probes
FIRST_PAUSE = 2.0  # seconds
LAST_PAUSE = 60.0  # seconds
LONGEST_WISH = 15 * 60.0  # seconds; what Flowdock asks for beyond it is asked again


@dataclass
class Breaker:
    """Keeps ten thousand messages from being tried one by one while Flowdock as a whole is away.

    It opens when INTEGRATIONS different integrations have found nobody there and, for SILENCE, nobody else has been
    answered: the trouble of one or two integrations does not open it. Then single messages go out as probes. The first
    answer to any of them closes the breaker. An integration that has not been tried since it opened is probed without
    further delay, so that one whose messages would arrive does not wait for the others. Those that have been tried wait
    for a pause, which doubles each time, and are then probed in turn.
    """

    in_vain: set[int] = field(default_factory=set)  # the integrations that found nobody since the last answer
    pauses: int = 0
    until: float = 0.0  # time.monotonic(), as all moments here
    answered_at: float | None = None
    next_probe: float = 0.0
    _turn: set[int] = field(default_factory=set)  # who was probed after a pause, until all were

    @property
    def is_open(self) -> bool:
        return time.monotonic() < self.until

    @property
    def is_probing(self) -> bool:
        """Whether it was open, and nobody has answered since."""
        return self.pauses > 0

    @property
    def nobody_there(self) -> bool:
        """Whether somebody was tried and nobody has ever been answered."""
        return bool(self.in_vain) and self.answered_at is None

    def answered(self) -> None:
        if self.is_probing:
            logger.info("Flowdock answers again")
        self.answered_at = time.monotonic()
        self.in_vain.clear()
        self._turn.clear()
        self.pauses, self.until = 0, 0.0

    def away(self, integration: int, words: str, wish: float | None) -> None:
        """`integration` found nobody there, or was asked to wait for `wish` seconds by somebody in front."""
        now = time.monotonic()
        self.in_vain.add(integration)
        if self.is_open or not (self.is_probing or self._is_everybody(now)):
            return
        pause = max(min(FIRST_PAUSE * 2**self.pauses, LAST_PAUSE), min(wish or 0.0, LONGEST_WISH))
        self.pauses += 1
        self.until = now + pause * random.uniform(1.0, 1.2)  # noqa: S311  no secret
        logger.warning("Flowdock is not responding (%s): only probes are sent for %.0f s", words, pause)

    def _is_everybody(self, now: float) -> bool:
        is_silent = self.answered_at is None or now - self.answered_at > SILENCE
        return is_silent and len(self.in_vain) >= INTEGRATIONS

    def not_to_probe(self) -> Set[int]:
        """The integrations that the next probe does not go to."""
        return self.in_vain if self.is_open else self._turn

    def begin_turn(self) -> None:
        """All that wait have been probed: the next probe goes to any of them."""
        self._turn.clear()

    def probe(self, integration: int) -> None:
        """A probe is sent for `integration`."""
        self._turn.add(integration)
        self.next_probe = time.monotonic() + PROBE_PAUSE
