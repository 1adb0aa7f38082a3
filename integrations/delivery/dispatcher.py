"""The dispatcher's part: to claim what is due, to give it to the senders, and to mark what came of it."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from queue import Empty, SimpleQueue
from typing import Any

from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError, connection
from django.db.models import F, QuerySet, Subquery
from django.db.models.functions import Now
from django.utils import timezone

from integrations.flowdock.client import Flowdock
from integrations.models import Delivery, DeliveryQuerySet, Integration
from integrations.outages import outage
from integrations.transactions import writing

from .attempts import Fate, Outcome, backoff
from .breaker import Breaker
from .claims import Hand, _to_post, lease_length, read
from .fair_share import Shares
from .outcomes import Problem, give_up, mark
from .sender import deliver, tell

logger = logging.getLogger(__name__)

MESSAGES_IN_HAND = 20
SWEEP = 5.0  # seconds until what no bell has announced is found
FIRST_IN_LINE = 64  # deliveries that are looked at to choose from
FAR_LOOK = 0.2  # seconds between looks at what stands behind them
FAR_LOOKS = 4

# What may go wrong with a single row: the database does not take it, or a column of it cannot be read.
ROW_ERRORS = (DatabaseError, ValueError, RecursionError)
# PostgreSQL's class of codes for tables, columns and permissions that are missing.
ACCESS_RULE_VIOLATION = "42"
DAMAGED = "the bridge cannot read or write what it keeps of this delivery"


class Dispatcher:
    """Empties the outbox over `senders` connections. One thread runs it; `wake` and `stop` may be called by any."""

    def __init__(self, senders: int | None = None) -> None:
        self.senders = senders or settings.WORKER_SENDERS
        self.tally: Counter[Fate] = Counter()
        self.breaker = Breaker()
        self.shares = Shares(self.senders)
        self._stopping = False
        self._own = threading.local()
        self._connections: list[Flowdock] = []
        self._executor = ThreadPoolExecutor(self.senders, "sender", self._open_connection)
        self._out: dict[Future[None], Hand] = {}
        self._back: list[Hand] = []  # not marked yet
        self._holds: dict[int, float] = {}  # integration: seconds; not marked yet
        self._to_tell: list[Problem] = []
        self._telling: dict[Future[None], int] = {}  # for which integration
        self._next_far_look = 0.0  # time.monotonic()
        self._unusable: set[int] = set()  # deliveries that the database does not even let us give up
        self._mail: SimpleQueue[Future[None] | None] = SimpleQueue()

    @property
    def found_nobody(self) -> bool:
        """Whether it has given up for now: nobody answers at Flowdock."""
        return self.breaker.is_open or (self.breaker.nobody_there and bool(self.shares.held))

    def wake(self) -> None:
        """Look at the outbox now. Safe in a signal handler."""
        self._mail.put(None)

    def stop(self) -> None:
        """Finish what is in hand and take nothing more. Safe in a signal handler."""
        self._stopping = True
        self.wake()

    def run(self, *, until_idle: bool = False) -> None:
        """Deliver until stopped or, with `until_idle`, until nothing is due or Flowdock is away.

        An outage of the database is waited out, but with `until_idle` it is raised: DatabaseError or InterfaceError.
        """
        try:
            while not self._stopping:
                try:
                    if self._turn():
                        continue
                    if until_idle and not self._out and not self._telling:
                        break
                    patience = self._patience()
                except (DatabaseError, InterfaceError) as error:
                    if until_idle:
                        raise
                    # What is back stays here and is marked when the database is back, too.
                    logger.warning("%s", outage(error) or f"the database refuses: {type(error).__name__}: {error}")
                    connection.close()
                    patience = SWEEP
                self._wait(patience)
            self._finish()
        finally:
            self._executor.shutdown()
            for flowdock in self._connections:
                flowdock.close()

    def _turn(self) -> bool:
        """Mark what is back and claim what is due, in one transaction. Whether there was anything to do."""
        self._wait(0)
        self._tell_problems()
        due = self._due()
        if not self._back and not due:
            return False
        try:
            with writing():
                problems = mark(self._back, self._holds) if self._back else []
                hands = self._claim(due) if due else []
        except ROW_ERRORS as error:
            if not is_of_a_row(error):
                raise
            logger.warning("a row cannot be used, and is looked for: %s: %s", type(error).__name__, error)
            problems, hands = self._mark_one_by_one(), self._claim_one_by_one(due)
        else:
            self._count(self._back)
        self._to_tell += problems
        for hand in hands:
            self._out[self._send(deliver, hand)] = hand
        self._tell_problems()
        return True

    def _mark_one_by_one(self) -> list[Problem]:
        """Mark each outcome by itself; give up what cannot be marked, so that the others are."""
        problems: list[Problem] = []
        for hand in list(self._back):
            for part in [replace(hand, outcomes=[outcome]) for outcome in hand.outcomes] or [hand]:
                try:
                    with writing():
                        problems += mark([part], self._holds)
                except ROW_ERRORS as error:
                    if not is_of_a_row(error):
                        raise
                    self._give_up(part.deliveries[0] if not part.outcomes else part.outcomes[0].delivery, error)
            self._count([hand])
        return problems

    def _claim_one_by_one(self, ids: list[int]) -> list[Hand]:
        """Claim each by itself, with nothing of what stands behind it; give up what cannot be claimed."""
        hands: list[Hand] = []
        for delivery in Delivery.objects.filter(pk__in=ids).only("pk", "integration"):
            try:
                with writing():
                    hands += self._claim([delivery.pk], most=1)
            except ROW_ERRORS as error:
                if not is_of_a_row(error):
                    raise
                self._give_up(delivery, error)
        return hands

    def _give_up(self, delivery: Delivery, error: Exception) -> None:
        """Fail a delivery whose row cannot be used, and touch nothing else of it: its thread goes on."""
        words = f"{DAMAGED} ({type(error).__name__})"
        logger.error("delivery %s is given up: %s: %s", delivery.pk, words, error)
        try:
            with writing():
                give_up(delivery.pk, words)
        except ROW_ERRORS as error:
            if not is_of_a_row(error):
                raise
            logger.exception("delivery %s cannot be given up either, and is left alone", delivery.pk)
            self._unusable.add(delivery.pk)

    def _tell_problems(self) -> None:
        """Send what Flowdock is to be told of problems, as a sender becomes free for their integrations."""
        for problem in list(self._to_tell):
            if self.shares.may_tell(problem.integration, self._senders_by_integration()):
                self._to_tell.remove(problem)
                self._telling[self._send(tell, problem.flow_token, problem.words)] = problem.integration

    def _senders_by_integration(self) -> Counter[int]:
        counts = Counter(hand.integration.pk for hand in self._out.values())
        counts.update(self._telling.values())
        return counts

    def _wait(self, seconds: float) -> None:
        """Until a hand is back or somebody wakes us, for `seconds` at most; take back all that are."""
        try:
            future = self._mail.get(seconds > 0, seconds)
            while True:
                if future is not None:
                    self._take_back(future)
                future = self._mail.get_nowait()
        except Empty:
            return

    def _take_back(self, future: Future[None]) -> None:
        hand = self._out.pop(future, None)
        self._telling.pop(future, None)
        error = None if future.cancelled() else future.exception()
        if error is not None:
            logger.error("a sender failed", exc_info=error)
        if hand is None:
            return
        if error is not None:
            # An error of ours. Tried again it would happen again: it is shown, and the thread goes on.
            culprit = hand.deliveries[len(hand.outcomes)]
            words = f"an error in the bridge: {type(error).__name__}"
            hand.outcomes.append(Outcome(culprit, Fate.FAILED, words, timezone.now()))
        for outcome in hand.outcomes:
            self._learn(outcome)  # at once, before more is claimed
        self._back.append(hand)

    def _learn(self, outcome: Outcome) -> None:
        """What an outcome says about its integration, and about Flowdock as a whole."""
        integration, seconds = outcome.delivery.integration_id, outcome.ms / 1000
        if outcome.found_nobody:
            self.breaker.away(integration, outcome.words, outcome.retry_after)
        elif outcome.status is not None:
            self.breaker.answered()
        hold: float | None = None
        if outcome.is_rate_limit:
            hold = backoff(outcome).total_seconds()
            self.shares.hold(integration, hold)
        elif outcome.is_no_answer:
            hold = self.shares.failed(integration, outcome.delivery.thread_id, seconds)
        elif outcome.status is not None:
            self.shares.answered(integration, seconds)
        if hold is not None:
            logger.info("%s: nothing is posted for %.0f s: %s", outcome.delivery.integration, hold, outcome.words)
            # A short one is kept here only. To write it to thousands of deliveries, again each second, would cost the
            # others more than it saves; another worker finds out with one message.
            if hold >= SWEEP:
                self._holds[integration] = max(hold, self._holds.get(integration, 0.0))

    def _patience(self) -> float:
        """For how many seconds there is nothing to do, as far as can be known."""
        if len(self._out) + len(self._telling) >= self.senders:
            return SWEEP
        if self.breaker.is_probing:
            wait = self.breaker.next_probe - time.monotonic()
            if wait > 0:
                return min(wait, SWEEP)
            if self.breaker.is_open:  # and whoever may be probed now has nothing that is due
                return min(self.breaker.until - time.monotonic(), SWEEP)
        waits = self._line().order_by("next_attempt_at", "id").values_list(F("next_attempt_at") - Now(), flat=True)
        first = waits.first()
        seconds = SWEEP if first is None else first.total_seconds()
        return min(max(seconds, 0.0), self.shares.until_a_release(), SWEEP)

    def _line(self) -> DeliveryQuerySet:
        """What stands in line, but for integrations that may have no other sender now."""
        line = Delivery.objects.in_line()
        if full := self.shares.full(self._senders_by_integration()):
            line = line.exclude(integration__in=full)
        return line.exclude(pk__in=self._unusable) if self._unusable else line

    def _due(self) -> list[int]:
        """The ids of what to claim, the integrations in turn."""
        out = self._senders_by_integration()
        room = self.senders - out.total()
        if self._stopping or room <= 0:
            return []
        line = self._line().next_up().values_list("id", "integration_id")
        if self.breaker.is_probing:
            return self._probe(line)
        return self.shares.choose(self._candidates(line), out)

    def _candidates(self, line: QuerySet[Delivery, tuple[int, int]]) -> list[tuple[int, int]]:
        """The first of the line and, every now and then, the first of integrations that stand far behind in it.

        To look behind all that busy integrations have waiting is to go through it.
        """
        rows = list(line[:FIRST_IN_LINE])
        if len(rows) < FIRST_IN_LINE or time.monotonic() < self._next_far_look:
            return rows
        self._next_far_look = time.monotonic() + FAR_LOOK
        for _ in range(FAR_LOOKS):
            behind = list(line.exclude(integration__in={integration for _, integration in rows})[:FIRST_IN_LINE])
            rows += behind
            if len(behind) < FIRST_IN_LINE:
                break
        return rows

    def _probe(self, line: QuerySet[Delivery, tuple[int, int]]) -> list[int]:
        """What to find out with whether Flowdock is back: one delivery, of another integration each time."""
        if time.monotonic() < self.breaker.next_probe:
            return []
        first = line.exclude(integration__in=self.breaker.not_to_probe()).first()
        if first is None and not self.breaker.is_open:
            self.breaker.begin_turn()
            first = line.first()
        if first is None:
            return []
        pk, integration = first
        self.breaker.probe(integration)
        return [pk]

    def _claim(self, ids: list[int], most: int = MESSAGES_IN_HAND) -> list[Hand]:
        """Lease these deliveries, as far as nobody else has, and gather for each what stands behind it."""
        # A join on Exists might go through the whole outbox for each head, where the statistics are of quieter times.
        next_behind = Subquery(Delivery.objects.behind().of_the_thread().values("id")[:1])
        heads, damaged = read(_to_post().next_up().filter(id__in=ids).select_for_update(skip_locked=True, of=("self",)))
        for pk in damaged:
            logger.error("delivery %s is given up: %s", pk, DAMAGED)
            give_up(pk, DAMAGED)
        expires = time.monotonic() + lease_length().total_seconds()
        leased = Delivery.objects.filter(id__in=[head.pk for head in heads])
        leased.update(next_attempt_at=Now() + lease_length())
        rows = leased.values_list("id", "next_attempt_at", next_behind)
        leases = {pk: (lease, behind) for pk, lease, behind in rows}
        integrations = Integration.objects.in_bulk({head.integration_id for head in heads})
        hands = []
        for head in heads:
            deliveries = [head]
            lease, behind = leases[head.pk]
            if behind and most > 1:
                more = _to_post().behind().filter(integration=head.integration_id, thread_id=head.thread_id)
                behind_it, damaged = read(more.order_by("id")[: most - 1])
                # One that is damaged is given up when it is the first of its thread; those behind it wait for that.
                deliveries += [each for each in behind_it if each.pk < min(damaged, default=math.inf)]
            for delivery in deliveries:
                delivery.integration = integrations[delivery.integration_id]
            hands.append(Hand(tuple(deliveries), lease, expires))
        return hands

    def _send(self, work: Any, *arguments: object) -> Future[None]:
        future = self._executor.submit(self._with_connection, work, *arguments)
        future.add_done_callback(self._mail.put)
        return future

    def _open_connection(self) -> None:
        self._own.flowdock = Flowdock()
        self._connections.append(self._own.flowdock)

    def _with_connection(self, work: Any, *arguments: object) -> None:
        work(self._own.flowdock, *arguments)

    def _finish(self) -> None:
        """Take back what is out and mark it. What no sender has begun with is given back untried."""
        for future in list(self._out):
            future.cancel()
        while self._out:
            self._wait(SWEEP)
        try:
            self._mark_the_last()
        except (DatabaseError, InterfaceError) as error:
            # Their leases end; whoever takes them over posts them again, and Flowdock knows them by their uuids.
            logger.warning("%d hands could not be marked: %s", len(self._back), error)
        for problem in self._to_tell:
            self._send(tell, problem.flow_token, problem.words)

    def _mark_the_last(self) -> None:
        if not self._back:
            return
        try:
            with writing():
                problems = mark(self._back, self._holds)
        except ROW_ERRORS as error:
            if not is_of_a_row(error):
                raise
            problems = self._mark_one_by_one()
        else:
            self._count(self._back)
        self._to_tell += problems

    def _count(self, hands: list[Hand]) -> None:
        """What was marked is committed: from here on it is true."""
        for hand in list(hands):
            for outcome in hand.outcomes:
                self.tally[outcome.fate] += 1
                log(outcome)
            self._back.remove(hand)
            self._holds.pop(hand.integration.pk, None)


def is_of_a_row(error: Exception) -> bool:
    """Whether one of ROW_ERRORS is a row's fault: not where the database is away, was not migrated or refuses us."""
    if isinstance(error, OperationalError | InterfaceError):
        return False
    return not str(getattr(error.__cause__, "sqlstate", "")).startswith(ACCESS_RULE_VIOLATION)


def log(outcome: Outcome) -> None:
    match outcome.fate:
        case Fate.DELIVERED | Fate.LATER:
            level = logging.DEBUG
        case Fate.GONE:
            level = logging.INFO
        case _:
            level = logging.WARNING
    logger.log(level, "delivery %s, %s: %s", outcome.delivery.pk, outcome.delivery.integration, outcome.words)
