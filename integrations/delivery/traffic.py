"""What a worker posts now, what waits for a sender, and which of it may be posted next.

The dispatcher's thread adds claims, the sender's thread takes them; so each method takes a lock.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Iterable

from .attempts import Attempt, Outcome, backoff
from .breaker import Breaker
from .claims import Claim
from .fair_share import SLOW, FairShare

logger = logging.getLogger(__name__)

AHEAD = 2  # claims that wait for each sender, so that it does not wait for the database
MAX_WAIT = 3.0  # seconds; a claim that found no sender by then is given back, for other workers
UNTIL_RECORDED = 1.0  # seconds
LONG_HOLD = 5.0  # seconds; what is held back for so long is also postponed in the database


class Traffic:
    """The claims of one worker: those that wait for a sender, and those that are being posted.

    A claim is given back, without an attempt, if its integration may not post any more, or if it waits for too long.
    """

    def __init__(self, senders: int) -> None:
        self.senders = senders
        self.breaker = Breaker()
        self.fair_share = FairShare(senders)
        self._lock = threading.Lock()
        self._waiting: dict[int, deque[tuple[float, Claim]]] = {}  # by integration, with the time when each was added
        self._posting: dict[Claim, float] = {}  # since when its current delivery is being posted; the oldest first
        self._returned: list[Claim] = []  # given back
        self._busy: Counter[int] = Counter()  # by integration: how many of `_posting` it has
        self._claimed: Counter[int] = Counter()  # by integration: how many it has of all
        self._holds: dict[int, float] = {}  # by integration: seconds; not recorded yet
        self._waiting_count = 0
        self._is_stopping = False

    # For the dispatcher

    def __len__(self) -> int:
        """How many claims there are, until they are collected."""
        return self._claimed.total()

    @property
    def waiting(self) -> int:
        """How many claims wait for a sender."""
        return self._waiting_count

    def collect(self, claim: Claim) -> None:
        """Nothing more of the claim will be posted, and the dispatcher knows it."""
        with self._lock:
            self._forget(self._claimed, claim)

    def choose(self, rows: Iterable[tuple[int, int]]) -> list[int]:
        """The ids of the deliveries to claim, from rows of (id, integration)."""
        with self._lock:
            return self.fair_share.choose(rows, self._claimed, *self._places())

    @property
    def has_room(self) -> bool:
        """Whether an integration may have another claim."""
        with self._lock:
            free, room = self._places()
            return room > 0 or free + self.senders // 4 > 0

    def at_limit(self) -> set[int]:
        """The integrations, of those that are known here, that may not have another claim now."""
        with self._lock:
            return self.fair_share.at_limit(self._claimed, *self._places())

    def _places(self) -> tuple[int, int]:
        """How many claims may be added of integrations that are not trusted, and how many of trusted ones.

        Those of trusted ones may wait, while no post is slow: then a sender takes the next without waiting for the
        database. The others wait in the database, where other workers can claim them.
        """
        overdue = self._overdue()
        trusted = self.fair_share.trusted
        waiting = sum(len(claims) for integration, claims in self._waiting.items() if integration not in trusted)
        free = self._free(overdue) - waiting
        room = self._free(overdue) + (0 if overdue else AHEAD * self.senders) - self.waiting
        return free, room

    def add(self, claims: Iterable[Claim], *, are_probes: bool) -> None:
        """Have the claims posted as soon as there is a sender; while the breaker is open only those that are probes."""
        now = time.monotonic()
        with self._lock:
            for claim in claims:
                self._claimed[claim.integration.pk] += 1
                if self._is_stopping or (self.breaker.is_probing and not are_probes):
                    self._returned.append(claim)
                else:
                    self._waiting.setdefault(claim.integration.pk, deque()).append((now, claim))
                    self._waiting_count += 1

    def holds(self) -> dict[int, float]:
        """For how many seconds to postpone what is due of an integration, by its id."""
        with self._lock:
            return dict(self._holds)

    def forget_hold(self, integration: int) -> None:
        with self._lock:
            self._holds.pop(integration, None)

    def stop(self) -> None:
        """Give back everything that is not being posted yet."""
        with self._lock:
            self._is_stopping = True
            self._give_back_waiting()

    # For the sender

    @property
    def is_stopping(self) -> bool:
        return self._is_stopping

    def take(self) -> Claim | None:
        """A claim that may be posted now, if there is one: of the integration with the fewest senders."""
        with self._lock:
            if not self._waiting:
                return None
            overdue = self._overdue()
            free = self._free(overdue)
            turns = sorted(self._waiting, key=lambda each: (self._busy[each], self.fair_share.served_at.get(each, 0.0)))
            for integration in turns:
                if claim := self._take_of(integration, free, overdue):
                    return claim
        return None

    def _take_of(self, integration: int, free: int, overdue: list[int]) -> Claim | None:
        waiting = self._waiting[integration]
        now = time.monotonic()
        while waiting and self.fair_share.is_held(integration):
            self._give_back(integration)
        while waiting and (now - waiting[0][0] > MAX_WAIT or not waiting[0][1].is_safe(now)):
            self._give_back(integration)
        if not waiting:
            self._waiting.pop(integration, None)
            return None
        if self._busy[integration] and integration in overdue:
            return None
        if not self.fair_share.may_have_another(integration, self._busy, free, free):
            return None
        _, claim = waiting.popleft()
        self._waiting_count -= 1
        if not waiting:
            del self._waiting[integration]
        self._busy[integration] += 1
        self._posting[claim] = now
        self.fair_share.served_at[integration] = now
        return claim

    def go_on(self, claim: Claim) -> None:
        """The next delivery of the claim is posted."""
        with self._lock:
            del self._posting[claim]
            self._posting[claim] = time.monotonic()

    def end(self, claim: Claim) -> None:
        """Nothing more of the claim is posted."""
        with self._lock:
            del self._posting[claim]
            self._forget(self._busy, claim)

    def returned(self) -> list[Claim]:
        """Claims that were given back since the last call."""
        if not self._returned:
            return []
        with self._lock:
            returned, self._returned = self._returned, []
        return returned

    def learn(self, attempt: Attempt) -> None:
        """Tell the breaker and the fair share how Flowdock has answered."""
        with self._lock:
            was_probing = self.breaker.is_probing
            hold = self._learn(attempt)
            if self.breaker.is_probing and not was_probing:
                self._give_back_waiting()
        if hold is not None:
            logger.info("%s: nothing is posted for %.0f s: %s", attempt.delivery.integration, hold, attempt.message)

    def _learn(self, attempt: Attempt) -> float | None:
        integration, seconds = attempt.delivery.integration.pk, attempt.ms / 1000
        if attempt.is_unreachable:
            self.breaker.record_unreachable(integration, attempt.message, attempt.retry_after)
        elif attempt.status is not None:
            self.breaker.record_answer()
        hold: float | None = None
        if attempt.is_rate_limited:
            hold = backoff(attempt).total_seconds()
            self.fair_share.hold(integration, hold)
        elif attempt.outcome in {Outcome.REFUSED, Outcome.SOURCE_REMOVED}:
            # The others of this integration would be refused too. Recording this attempt postpones or drops them.
            self.fair_share.hold(integration, UNTIL_RECORDED)
        elif attempt.has_no_usable_answer:
            hold = self.fair_share.record_failure(integration, attempt.delivery.thread_id, seconds)
        elif attempt.status is not None:
            self.fair_share.record_answer(integration, seconds)
        # A short hold is kept in memory only: writing it to thousands of deliveries every second would cost the
        # other integrations more than it saves. Another worker finds out with one message.
        if hold is not None and hold >= LONG_HOLD:
            self._holds[integration] = max(hold, self._holds.get(integration, 0.0))
        return hold

    # Both; called with the lock

    def _overdue(self) -> list[int]:
        """For each post that already takes longer than SLOW, its integration."""
        overdue: list[int] = []
        limit = time.monotonic() - SLOW
        for claim, since in self._posting.items():
            if since > limit:
                break
            overdue.append(claim.integration.pk)
        return overdue

    def _free(self, overdue: list[int]) -> int:
        """How many senders are free. A slow post occupies hardly anything, so up to half as many do not count."""
        return self.senders + min(len(overdue), self.senders // 2) - len(self._posting)

    def _give_back_waiting(self) -> None:
        for integration in list(self._waiting):
            while self._waiting[integration]:
                self._give_back(integration)
            del self._waiting[integration]

    def _give_back(self, integration: int) -> None:
        self._returned.append(self._waiting[integration].popleft()[1])
        self._waiting_count -= 1

    @staticmethod
    def _forget(counts: Counter[int], claim: Claim) -> None:
        counts[claim.integration.pk] -= 1
        if not counts[claim.integration.pk]:
            del counts[claim.integration.pk]
