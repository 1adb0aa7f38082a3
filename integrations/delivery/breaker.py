"""The circuit breaker between the outbox and Flowdock."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Set
from dataclasses import dataclass, field

logger = logging.getLogger(__name__)

MIN_INTEGRATIONS = 3
SILENCE = 1.0  # seconds without any answer
PROBE_INTERVAL = 0.5  # seconds
FIRST_PAUSE = 2.0  # seconds
MAX_PAUSE = 60.0  # seconds
MAX_RETRY_AFTER = 15 * 60.0  # seconds; where Flowdock asks for more, it is asked again after these


@dataclass
class Breaker:
    """Keeps ten thousand messages from being tried one by one while Flowdock as a whole cannot be reached.

    It opens when MIN_INTEGRATIONS different integrations could not reach Flowdock and no other got an answer for
    SILENCE: the trouble of one or two integrations does not open it. Then single messages are sent as probes. The first
    answer to any of them closes the breaker. An integration that has not been tried since it opened is probed without
    further delay, so one whose messages would arrive does not wait for the others. Those that have been tried wait for
    a pause, which doubles each time, and are then probed in turn.
    """

    unreachable_for: set[int] = field(default_factory=set)  # ids of integrations, since the last answer
    pauses: int = 0
    open_until: float = 0.0  # time.monotonic(), as all times here
    last_answer_at: float | None = None
    next_probe: float = 0.0
    _probed: set[int] = field(default_factory=set)  # integrations probed after a pause, until all of them were

    @property
    def is_open(self) -> bool:
        return time.monotonic() < self.open_until

    @property
    def is_probing(self) -> bool:
        """Whether it has opened and Flowdock has not answered since."""
        return self.pauses > 0

    @property
    def has_only_failed(self) -> bool:
        """Whether Flowdock could not be reached and has never answered before."""
        return bool(self.unreachable_for) and self.last_answer_at is None

    def record_answer(self) -> None:
        if self.is_probing:
            logger.info("Flowdock responds again")
        self.last_answer_at = time.monotonic()
        self.unreachable_for.clear()
        self._probed.clear()
        self.pauses, self.open_until = 0, 0.0

    def record_unreachable(self, integration_id: int, reason: str, retry_after: float | None) -> None:
        """A message of the integration did not reach Flowdock; a gateway may have asked to wait for `retry_after`."""
        now = time.monotonic()
        self.unreachable_for.add(integration_id)
        if self.is_open or not (self.is_probing or self._concerns_all(now)):
            return
        pause = max(min(FIRST_PAUSE * 2**self.pauses, MAX_PAUSE), min(retry_after or 0.0, MAX_RETRY_AFTER))
        self.pauses += 1
        self.open_until = now + pause * random.uniform(1.0, 1.2)  # noqa: S311  no secret
        logger.warning("Flowdock is not responding (%s): only probes are sent for %.0f s", reason, pause)

    def _concerns_all(self, now: float) -> bool:
        is_silent = self.last_answer_at is None or now - self.last_answer_at > SILENCE
        return is_silent and len(self.unreachable_for) >= MIN_INTEGRATIONS

    def not_to_probe(self) -> Set[int]:
        """The integrations that the next probe must not go to."""
        return self.unreachable_for if self.is_open else self._probed

    def start_round(self) -> None:
        """Every waiting integration has been probed: the next probe may go to any of them."""
        self._probed.clear()

    def record_probe(self, integration_id: int) -> None:
        self._probed.add(integration_id)
        self.next_probe = time.monotonic() + PROBE_INTERVAL
