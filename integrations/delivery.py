"""The one door out: from the outbox to Flowdock. `worker` and `deliver_activities` share it.

One thread, the dispatcher's, claims, marks and is alone in touching the database; the senders speak HTTP and nothing
else. A hand is a few deliveries of one thread, posted by one sender one after the other. While it is out, the first of
them is leased: its time lies in the future, so that nobody else takes the thread. If the worker dies the lease ends,
and the next one posts the same messages with the same uuids, by which Flowdock recognises what it has already.
"""

from __future__ import annotations

import datetime as dt
import enum
import logging
import math
import random
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from queue import Empty, SimpleQueue
from typing import Any

from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError, connection
from django.db.models import F, QuerySet, Subquery
from django.db.models.functions import Now
from django.utils import timezone

from .activity import InvalidActivity
from .breaker import Breaker
from .fields import UndecipherableSecret
from .flowdock.client import Flowdock
from .flowdock.errors import (
    ActivityRejected,
    FlowdockAway,
    FlowdockError,
    FlowdockUnavailable,
    FlowNotAccessible,
    SourceGone,
    TokenRefused,
)
from .models import Delivery, DeliveryQuerySet, Integration, Origin
from .outages import outage
from .shares import Shares
from .writing import writing

logger = logging.getLogger(__name__)

FIRST_RETRY = 1.0  # seconds; twice as many with each attempt
LAST_RETRY = 15 * 60.0  # seconds; also how often an integration whose token is refused is tried
LONGEST_WISH = 3600.0  # seconds; what Flowdock asks for beyond it is asked again
MESSAGES_IN_HAND = 20
SECONDS_IN_HAND = 1.0  # then a hand gives back what is left: other threads wait for the sender
SWEEP = 5.0  # seconds until what no bell has announced is found
ATTEMPTS_KEPT = 20
FIRST_IN_LINE = 64  # deliveries that are looked at to choose from
FAR_LOOK = 0.2  # seconds between looks at what stands behind them
FAR_LOOKS = 4

TOKEN_REFUSED = "Flowdock refuses this integration's token. Remove the integration and connect it again."  # noqa: S105
NOT_ALLOWED = "Flowdock does not let this integration post. Look at its source in Flowdock, or connect it again."
KEY_MISSING = (
    "This integration's token cannot be decrypted: its key is missing from FIELD_KEYS. Ask the administrator of the"
    " bridge to add that key again, or remove the integration and connect it again."
)
PROBLEMS = (TOKEN_REFUSED, NOT_ALLOWED, KEY_MISSING)


# What may go wrong with a single row: the database does not take it, or a column of it cannot be read.
ROW_ERRORS = (DatabaseError, ValueError, RecursionError)
# PostgreSQL's class of codes for tables, columns and permissions that are missing.
ACCESS_RULE_VIOLATION = "42"
DAMAGED = "the bridge cannot read or write what it keeps of this delivery"


class Fate(enum.Enum):
    """What came of an attempt."""

    DELIVERED = "posted"
    FAILED = "failed"  # the message is refused for good
    LATER = "put off"
    REFUSED = "refused"  # the integration is, and all else it has
    GONE = "gone"  # the source was removed


@dataclass(frozen=True, slots=True)
class Outcome:
    """One attempt. `status` is what Flowdock answered, `words` what people read."""

    delivery: Delivery
    fate: Fate
    words: str
    at: dt.datetime
    ms: int = 0
    status: int | None = None
    retry_after: float | None = None
    flowdock_thread_id: str = ""
    found_nobody: bool = False  # no connection, or the answer of a gateway

    @property
    def is_rate_limit(self) -> bool:
        return self.fate is Fate.LATER and self.status == HTTPStatus.TOO_MANY_REQUESTS

    @property
    def is_no_answer(self) -> bool:
        """Nothing sensible came. A 500, or another refusal, is about the message, and somebody was there to say so."""
        return self.fate is Fate.LATER and (self.found_nobody or self.status is None)


@dataclass(frozen=True, slots=True)
class Hand:
    """Deliveries of one thread, in order; the first is leased. The sender adds the outcomes.

    The lease ends at `lease` by the database's clock, and not before `expires` by `time.monotonic()` of this process.
    """

    deliveries: tuple[Delivery, ...]
    lease: dt.datetime
    expires: float
    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def integration(self) -> Integration:
        return self.deliveries[0].integration


@dataclass(frozen=True, slots=True)
class Problem:
    """What Flowdock is to show beside the source of an integration; empty `words` where it is solved."""

    integration: int
    flow_token: str
    words: str


def lease_length() -> dt.timedelta:
    """Enough for a hand to wait for its sender and to be posted. After a crash its thread waits as long."""
    return dt.timedelta(seconds=2 * settings.FLOWDOCK_TIMEOUT + 5)


def backoff(outcome: Outcome) -> dt.timedelta:
    """How long to wait after it: as Flowdock wished, else longer each time, and never all at the same moment."""
    if outcome.fate is Fate.REFUSED:
        return dt.timedelta(seconds=LAST_RETRY)
    if outcome.retry_after is not None:
        wait, spread = min(outcome.retry_after, LONGEST_WISH), (1.0, 1.1)
    else:
        wait, spread = min(FIRST_RETRY * 2 ** len(outcome.delivery.attempts), LAST_RETRY), (0.5, 1.0)
    return dt.timedelta(seconds=wait * random.uniform(*spread))  # noqa: S311  no secret


# A sender's part


def attempt(flowdock: Flowdock, delivery: Delivery) -> Outcome:
    """Post it, and say what came of it."""
    at, began = timezone.now(), time.monotonic()

    def outcome(fate: Fate, words: str, **more: Any) -> Outcome:
        return Outcome(delivery, fate, words, at, ms=round((time.monotonic() - began) * 1000), **more)

    try:
        activity = delivery.event.read_activity()
        if activity is None:
            raise InvalidActivity("there is none")
        posted = flowdock.post_activity(delivery.integration.flow_token, activity, delivery.uuid)
    except UndecipherableSecret:
        return outcome(Fate.REFUSED, KEY_MISSING)
    except InvalidActivity as error:
        return outcome(Fate.FAILED, f"the activity that was kept cannot be posted: {error}")
    except ActivityRejected as error:
        return outcome(Fate.FAILED, f"Flowdock refused it: {error}", status=error.status)
    except SourceGone as error:
        return outcome(Fate.GONE, "the source was removed in Flowdock", status=error.status)
    except TokenRefused as error:
        return outcome(Fate.REFUSED, TOKEN_REFUSED, status=error.status)
    except FlowNotAccessible as error:
        return outcome(Fate.REFUSED, NOT_ALLOWED, status=error.status)
    except FlowdockUnavailable as error:
        return outcome(
            Fate.LATER,
            "Flowdock asks to wait" if error.status == HTTPStatus.TOO_MANY_REQUESTS else str(error),
            status=error.status,
            retry_after=error.retry_after,
            found_nobody=isinstance(error, FlowdockAway),
        )
    return outcome(Fate.DELIVERED, "posted", status=posted.status, flowdock_thread_id=posted.thread_id)


def deliver(flowdock: Flowdock, hand: Hand) -> None:
    """Post the hand in order, up to the first that does not get through or for as long as a hand may take."""
    began = time.monotonic()
    half = lease_length().total_seconds() / 2
    for delivery in hand.deliveries:
        now = time.monotonic()
        # Whoever began with too little time left might still be posting when another worker takes the thread over.
        if now - began > SECONDS_IN_HAND or now + half > hand.expires:
            return
        outcome = attempt(flowdock, delivery)
        hand.outcomes.append(outcome)
        if outcome.fate not in {Fate.DELIVERED, Fate.FAILED}:
            return


def tell(flowdock: Flowdock, flow_token: str, problem: str) -> None:
    """Show the problem, or with an empty text that there is none, beside the source in Flowdock, if it lets us."""
    try:
        flowdock.update_source(flow_token, error_message=problem)
    except FlowdockError as error:
        logger.info("Flowdock could not be told of a problem: %s", error)


# The dispatcher's part


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


def read(deliveries: DeliveryQuerySet) -> tuple[list[Delivery], list[int]]:
    """Those of the deliveries that can be read, and the ids of those whose JSON cannot be."""
    try:
        return list(deliveries), []
    except (ValueError, RecursionError):
        readable, damaged = [], []
    for pk in list(deliveries.values_list("pk", flat=True)):
        try:
            readable.append(_to_post().get(pk=pk))
        except (ValueError, RecursionError):
            damaged.append(pk)
    return readable, damaged


def _to_post() -> DeliveryQuerySet:
    """With what is posted of their events, and without the payloads those were read from."""
    return Delivery.objects.select_related("event").defer("event__body", "event__headers")


# What is written down of the outcomes; in a transaction


def mark(hands: Iterable[Hand], holds: Mapping[int, float]) -> list[Problem]:
    """Write down what came of the hands and line up what comes next; what Flowdock is to be told.

    `holds`: for how many seconds to put off what else is due of an integration, by its id.
    """
    Origin.objects.lock({hand.integration.origin_id for hand in hands})
    told: list[Problem] = []
    ended: list[int] = []
    put_off: list[Outcome] = []
    for hand in hands:
        if not hand.outcomes:
            _leased(hand).update(next_attempt_at=Now())
        for outcome in hand.outcomes:
            match outcome.fate:
                case Fate.DELIVERED:
                    _end(outcome, state=Delivery.State.DELIVERED, reason="", delivered_at=timezone.now())
                    ended.append(outcome.delivery.pk)
                case Fate.FAILED:
                    _end(outcome, state=Delivery.State.FAILED, reason=outcome.words[:500])
                    ended.append(outcome.delivery.pk)
                case Fate.GONE:
                    _log_attempt(outcome)
                    hand.integration.remove()
                case Fate.LATER | Fate.REFUSED if outcome.delivery is hand.deliveries[0]:
                    _log_attempt(outcome)
                    _leased(hand).update(next_attempt_at=Now() + backoff(outcome))
                case Fate.LATER | Fate.REFUSED:
                    _log_attempt(outcome)
                    put_off.append(outcome)
        told += _problems(hand)
    if ended:
        Delivery.objects.filter(pk__in=ended).line_up()
    for outcome in put_off:
        # It stood behind another until a moment ago, and has been lined up for now.
        Delivery.objects.in_line().filter(pk=outcome.delivery.pk).update(next_attempt_at=Now() + backoff(outcome))
    for integration in {hand.integration.pk for hand in hands} & holds.keys():
        _put_off_what_is_due(integration, dt.timedelta(seconds=holds[integration]))
    return told


def give_up(pk: int, words: str) -> None:
    """Fail a pending delivery without reading it; in a transaction."""
    Origin.objects.lock(Delivery.objects.filter(pk=pk).values_list("integration__origin", flat=True))
    Delivery.objects.pending().filter(pk=pk).update(
        state=Delivery.State.FAILED, reason=words[:500], next_attempt_at=None
    )
    Delivery.objects.filter(pk=pk).line_up()


def _put_off_what_is_due(integration: int, wait: dt.timedelta) -> None:
    """Of `integration`, but for what is in somebody's hand: its time lies in the future."""
    due = Delivery.objects.in_line().filter(integration=integration, next_attempt_at__lte=Now())
    due.update(next_attempt_at=Now() + wait)


def _leased(hand: Hand) -> DeliveryQuerySet:
    """The first of the hand, if it still is ours: neither parked, nor dropped, nor taken over by another worker."""
    return Delivery.objects.pending().filter(pk=hand.deliveries[0].pk, next_attempt_at=hand.lease)


def _attempts(outcome: Outcome) -> list[dict[str, Any]]:
    entry = {
        "at": outcome.at.isoformat(timespec="milliseconds"),
        "status": outcome.status,
        "outcome": outcome.words,
        "ms": outcome.ms,
    }
    return [*outcome.delivery.attempts, entry][-ATTEMPTS_KEPT:]


def _end(outcome: Outcome, **columns: Any) -> None:
    """The delivery ends, whoever holds its lease by now: what Flowdock has taken is a fact.

    Also where it was dropped, or its integration removed, while it was on its way.
    """
    delivery = Delivery.objects.filter(pk=outcome.delivery.pk)
    if outcome.fate is not Fate.DELIVERED:
        delivery = delivery.pending()
    delivery.exclude(state=Delivery.State.DELIVERED).update(
        next_attempt_at=None,
        attempts=_attempts(outcome),
        flowdock_thread_id=outcome.flowdock_thread_id[:100],
        **columns,
    )


def _log_attempt(outcome: Outcome) -> None:
    Delivery.objects.pending().filter(pk=outcome.delivery.pk).update(
        attempts=_attempts(outcome), reason=outcome.words[:500]
    )


def _problems(hand: Hand) -> list[Problem]:
    """Set or clear the integration's problem as the hand's outcomes ask for; what Flowdock is to be told of it."""
    integration = hand.integration
    fates = {outcome.fate for outcome in hand.outcomes}
    if Fate.REFUSED in fates:
        words = next(outcome.words for outcome in hand.outcomes if outcome.fate is Fate.REFUSED)
        # Without its token, Flowdock cannot be told.
        is_told = hold(integration, words) and words != KEY_MISSING
        return [Problem(integration.pk, integration.flow_token, words)] if is_told else []
    if Fate.DELIVERED in fates and integration.problem in PROBLEMS:
        return [Problem(integration.pk, integration.flow_token, "")] if heal(integration) else []
    return []


def hold(integration: Integration, problem: str) -> bool:
    """A person must solve this first: nothing of the integration is tried for a while. Whether the problem is news."""
    _put_off_what_is_due(integration.pk, dt.timedelta(seconds=LAST_RETRY))
    connected = Integration.objects.connected().filter(pk=integration.pk)
    return bool(connected.exclude(problem=problem).update(problem=problem))


def heal(integration: Integration) -> bool:
    """Flowdock takes its messages again: all that waited for that is due. Whether there was a problem of that kind."""
    later = Now() + lease_length()  # what is due before may be in somebody's hand
    integration.deliveries.in_line().filter(next_attempt_at__gt=later).update(next_attempt_at=Now())
    return bool(Integration.objects.filter(pk=integration.pk, problem__in=PROBLEMS).update(problem=""))
