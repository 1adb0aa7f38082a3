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
import random
import threading
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.models import Subquery
from django.utils import timezone

from .activity import InvalidActivity
from .breaker import Breaker
from .flowdock.client import Flowdock
from .flowdock.errors import (
    ActivityRejected,
    FlowdockError,
    FlowdockUnavailable,
    FlowNotAccessible,
    SourceGone,
    TokenRefused,
)
from .models import Delivery, DeliveryQuerySet, Integration, Origin
from .writing import writing

logger = logging.getLogger(__name__)

FIRST_RETRY = 1.0  # seconds; twice as many with each attempt
LAST_RETRY = 15 * 60.0  # seconds; also how often an integration whose token is refused is tried
LONGEST_WISH = 3600.0  # seconds; what Flowdock asks for beyond it is asked again
MESSAGES_IN_HAND = 20
SECONDS_IN_HAND = 1.0  # then a hand gives back what is left: other threads wait for the sender
SWEEP = 5.0  # seconds until what no bell has announced is found
ATTEMPTS_KEPT = 20

TOKEN_REFUSED = "Flowdock refuses this integration's token. Remove the integration and connect it again."  # noqa: S105
NOT_ALLOWED = "Flowdock does not let this integration post. Look at its source in Flowdock, or connect it again."
PROBLEMS = (TOKEN_REFUSED, NOT_ALLOWED)


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

    @property
    def says_flowdock_is_away(self) -> bool:
        """No answer, or one of a gateway or a limit. A 500 is about the message, and somebody was there to say so."""
        return self.fate is Fate.LATER and self.status in {None, 429, 502, 503, 504}


@dataclass(frozen=True, slots=True)
class Hand:
    """Deliveries of one thread, in order; the first is leased until `lease`. The sender adds the outcomes."""

    deliveries: tuple[Delivery, ...]
    lease: dt.datetime
    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def integration(self) -> Integration:
        return self.deliveries[0].integration


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
        words = "Flowdock asks to wait" if error.status == 429 else str(error)
        return outcome(Fate.LATER, words, status=error.status, retry_after=error.retry_after)
    return outcome(Fate.DELIVERED, "posted", status=posted.status, flowdock_thread_id=posted.thread_id)


def deliver(flowdock: Flowdock, hand: Hand) -> None:
    """Post the hand in order, up to the first that does not get through or for as long as a hand may take."""
    began = timezone.now()
    for delivery in hand.deliveries:
        now = timezone.now()
        # Whoever began with too little time left might still be posting when another worker takes the thread over.
        if (now - began).total_seconds() > SECONDS_IN_HAND or now + lease_length() / 2 > hand.lease:
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
        self._stopping = False
        self._own = threading.local()
        self._connections: list[Flowdock] = []
        self._executor = ThreadPoolExecutor(self.senders, "sender", self._open_connection)
        self._out: dict[Future[None], Hand] = {}
        self._back: list[Hand] = []  # not marked yet
        self._mail: SimpleQueue[Future[None] | None] = SimpleQueue()

    def wake(self) -> None:
        """Look at the outbox now. Safe in a signal handler."""
        self._mail.put(None)

    def stop(self) -> None:
        """Finish what is in hand and take nothing more. Safe in a signal handler."""
        self._stopping = True
        self.wake()

    def run(self, *, until_idle: bool = False) -> None:
        """Deliver until stopped or, with `until_idle`, until nothing is due or Flowdock is away.

        An outage of the database is waited out, but with `until_idle` it is raised: DatabaseError.
        """
        try:
            while not self._stopping:
                try:
                    if self._turn():
                        continue
                    if until_idle and not self._out:
                        break
                    patience = self._patience()
                except DatabaseError as error:
                    if until_idle:
                        raise
                    # What is back stays here and is marked when the database is back, too.
                    logger.warning("the database is away (%s: %s)", type(error).__name__, error)
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
        due = self._due()
        if not self._back and not due:
            return False
        now = timezone.now()
        with writing():
            told = mark(self._back, now) if self._back else []
            hands = self._claim(due, now) if due else []
        self._count()
        for flow_token, problem in told:
            self._send(tell, flow_token, problem)
        for hand in hands:
            self._out[self._send(deliver, hand)] = hand
        return True

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
            # Heard at once, before more is claimed.
            if outcome.says_flowdock_is_away:
                thread = (outcome.delivery.integration_id, outcome.delivery.thread_id)
                self.breaker.away(thread, outcome.words, outcome.retry_after)
            elif outcome.status is not None:
                self.breaker.answered()
        self._back.append(hand)

    def _patience(self) -> float:
        """For how many seconds there is nothing to do, as far as can be known."""
        if self.breaker.is_open:
            return min(self.breaker.until - time.monotonic(), SWEEP)
        if not self._room():
            return SWEEP
        times = Delivery.objects.in_line().order_by("next_attempt_at", "id").values_list("next_attempt_at", flat=True)
        first = times.first()
        seconds = (first - timezone.now()).total_seconds() if first else SWEEP
        return min(max(seconds, 0.0), SWEEP)

    def _room(self) -> int:
        """How many hands may go out: one for each sender and one that waits for it; one in all, to find out."""
        if self._stopping or self.breaker.is_open:
            return 0
        return max((1 if self.breaker.is_probing else 2 * self.senders) - len(self._out), 0)

    def _due(self) -> list[int]:
        """The ids of what to claim. No integration gets more than half of the room while others wait for theirs."""
        room = self._room()
        if not room:
            return []
        line = Delivery.objects.next_up(timezone.now()).values_list("id", "integration_id")
        hands: Counter[int] = Counter(hand.integration.pk for hand in self._out.values())
        sated = [integration for integration, count in hands.items() if count >= self.senders]
        rows = list(line.exclude(integration__in=sated)[: 4 * room])
        if sated and len(rows) < room:
            rows += line.filter(integration__in=sated)[:room]
        return list(fairly(rows, hands, room))

    def _claim(self, ids: list[int], now: dt.datetime) -> list[Hand]:
        """Lease these deliveries, as far as nobody else has, and gather for each what stands behind it."""
        # A join on Exists might go through the whole outbox for each head, where the statistics are of quieter times.
        next_behind = Subquery(Delivery.objects.behind().of_the_thread().values("id")[:1])
        heads = list(_to_post().next_up(now).filter(id__in=ids).select_for_update(skip_locked=True, of=("self",)))
        behind = dict(Delivery.objects.filter(id__in=ids).values_list("id", next_behind))
        lease = now + lease_length()
        Delivery.objects.filter(id__in=[head.pk for head in heads]).update(next_attempt_at=lease)
        integrations = Integration.objects.in_bulk({head.integration_id for head in heads})
        hands = []
        for head in heads:
            deliveries = [head]
            if behind.get(head.pk):
                more = _to_post().behind().filter(integration=head.integration_id, thread_id=head.thread_id)
                deliveries += more.order_by("id")[: MESSAGES_IN_HAND - 1]
            for delivery in deliveries:
                delivery.integration = integrations[delivery.integration_id]
            hands.append(Hand(tuple(deliveries), lease))
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
        if not self._back:
            return
        try:
            with writing():
                mark(self._back, timezone.now())
        except DatabaseError as error:
            # Their leases end; whoever takes them over posts them again, and Flowdock knows them by their uuids.
            logger.warning("%d hands could not be marked: %s", len(self._back), error)
        else:
            self._count()

    def _count(self) -> None:
        """What was marked is committed: from here on it is true."""
        for hand in self._back:
            for outcome in hand.outcomes:
                self.tally[outcome.fate] += 1
                log(outcome)
        self._back.clear()


def fairly(rows: Iterable[tuple[int, int]], hands: Counter[int], room: int) -> list[int]:
    """`room` ids from rows of (id, integration): the integrations in turn, counted on from the hands they have out."""
    turns = hands.copy()
    places = []
    for position, (pk, integration) in enumerate(rows):
        turns[integration] += 1
        places.append((turns[integration], position, pk))
    return [pk for _, _, pk in sorted(places)[:room]]


def log(outcome: Outcome) -> None:
    match outcome.fate:
        case Fate.DELIVERED | Fate.LATER:
            level = logging.DEBUG
        case Fate.GONE:
            level = logging.INFO
        case _:
            level = logging.WARNING
    logger.log(level, "delivery %s, %s: %s", outcome.delivery.pk, outcome.delivery.integration, outcome.words)


def _to_post() -> DeliveryQuerySet:
    """With what is posted of their events, and without the payloads those were read from."""
    return Delivery.objects.select_related("event").defer("event__body", "event__headers")


# What is written down of the outcomes; in a transaction


def mark(hands: Iterable[Hand], now: dt.datetime) -> list[tuple[str, str]]:
    """Write down what came of the hands and line up what comes next.

    Returns what Flowdock is to be told: flow_token and problem, an empty one where it is solved.
    """
    Origin.objects.lock({hand.integration.origin_id for hand in hands})
    told: list[tuple[str, str]] = []
    ended: list[int] = []
    put_off: list[Outcome] = []
    for hand in hands:
        if not hand.outcomes:
            _leased(hand).update(next_attempt_at=now)
        for outcome in hand.outcomes:
            match outcome.fate:
                case Fate.DELIVERED:
                    _end(outcome, now, state=Delivery.State.DELIVERED, reason="", delivered_at=now)
                    ended.append(outcome.delivery.pk)
                case Fate.FAILED:
                    _end(outcome, now, state=Delivery.State.FAILED, reason=outcome.words[:500])
                    ended.append(outcome.delivery.pk)
                case Fate.GONE:
                    _log_attempt(outcome)
                    hand.integration.remove()
                case Fate.LATER | Fate.REFUSED if outcome.delivery is hand.deliveries[0]:
                    _log_attempt(outcome)
                    _leased(hand).update(next_attempt_at=now + backoff(outcome))
                case Fate.LATER | Fate.REFUSED:
                    _log_attempt(outcome)
                    put_off.append(outcome)
        told += _problems(hand, now)
    if ended:
        Delivery.objects.filter(pk__in=ended).line_up(now)
    for outcome in put_off:
        # It stood behind another until a moment ago, and has been lined up for now.
        Delivery.objects.in_line().filter(pk=outcome.delivery.pk).update(next_attempt_at=now + backoff(outcome))
    return told


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


def _end(outcome: Outcome, now: dt.datetime, **columns: Any) -> None:
    """A pending delivery ends, whoever holds its lease by now: what Flowdock has taken or refused is a fact."""
    Delivery.objects.pending().filter(pk=outcome.delivery.pk).update(
        next_attempt_at=None,
        attempts=_attempts(outcome),
        flowdock_thread_id=outcome.flowdock_thread_id[:100],
        **columns,
    )


def _log_attempt(outcome: Outcome) -> None:
    Delivery.objects.pending().filter(pk=outcome.delivery.pk).update(
        attempts=_attempts(outcome), reason=outcome.words[:500]
    )


def _problems(hand: Hand, now: dt.datetime) -> list[tuple[str, str]]:
    """Set or clear the integration's problem as the hand's outcomes ask for."""
    integration = hand.integration
    fates = {outcome.fate for outcome in hand.outcomes}
    if Fate.REFUSED in fates:
        words = next(outcome.words for outcome in hand.outcomes if outcome.fate is Fate.REFUSED)
        return [(integration.flow_token, words)] if hold(integration, words, now) else []
    if Fate.DELIVERED in fates and integration.problem in PROBLEMS:
        return [(integration.flow_token, "")] if heal(integration, now) else []
    return []


def hold(integration: Integration, problem: str, now: dt.datetime) -> bool:
    """A person must solve this first: nothing of the integration is tried for a while. Whether the problem is news."""
    integration.deliveries.in_line().filter(next_attempt_at__lte=now).update(
        next_attempt_at=now + dt.timedelta(seconds=LAST_RETRY)
    )
    connected = Integration.objects.connected().filter(pk=integration.pk)
    return bool(connected.exclude(problem=problem).update(problem=problem))


def heal(integration: Integration, now: dt.datetime) -> bool:
    """Flowdock takes its messages again: all that waited for that is due. Whether there was a problem of that kind."""
    later = now + lease_length()  # what is due before may be in somebody's hand
    integration.deliveries.in_line().filter(next_attempt_at__gt=later).update(next_attempt_at=now)
    return bool(Integration.objects.filter(pk=integration.pk, problem__in=PROBLEMS).update(problem=""))
