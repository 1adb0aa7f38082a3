"""The dispatcher: claims what is due, gives it to the senders, and records what came of it."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from queue import Empty, SimpleQueue
from typing import Any

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from django.db.models import F, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from integrations import telemetry
from integrations.deciding import Decider
from integrations.flowdock.client import Flowdock
from integrations.models import Delivery, DeliveryQuerySet
from integrations.outages import ROW_ERRORS, is_row_error, outage_reason
from integrations.transactions import write_transaction

from .attempts import Attempt, Outcome, backoff
from .breaker import Breaker
from .claims import UNUSABLE, Claim, claim, give_up
from .fair_share import FairShare
from .outcomes import ProblemReport, record
from .sender import deliver, report_problem

logger = logging.getLogger(__name__)

POLL_INTERVAL = 5.0  # seconds until deliveries are found that no notification has announced
CANDIDATES = 64  # due deliveries that are read at a time, to choose from
FAR_LOOK_INTERVAL = 0.2  # seconds between looks at the due deliveries after these
FAR_LOOKS = 4


class Dispatcher:
    """Empties the outbox over `senders` connections. One thread runs it; `wake` and `stop` may be called by any."""

    def __init__(self, senders: int | None = None) -> None:
        self.senders = senders or settings.WORKER_SENDERS
        self.tally: Counter[Outcome] = Counter()
        self.breaker = Breaker()
        self.fair_share = FairShare(self.senders)
        self._stopping = False
        self._local = threading.local()
        self._connections: list[Flowdock] = []
        self._executor = ThreadPoolExecutor(self.senders, "sender", self._open_connection)
        self._sending: dict[Future[None], Claim] = {}
        self._unrecorded: list[Claim] = []
        self._holds: dict[int, float] = {}  # integration: seconds; not recorded yet
        self._reports: list[ProblemReport] = []
        self._reporting: dict[Future[None], int] = {}  # for which integration
        self._next_far_look = 0.0  # time.monotonic()
        self._decider = Decider()
        self._unusable: set[int] = set()  # deliveries that the database does not even let us mark as failed
        self._wakeups: SimpleQueue[Future[None] | None] = SimpleQueue()  # a future that is done, or None: look now

    @property
    def is_flowdock_unreachable(self) -> bool:
        """Whether the dispatcher has given up for now, because Flowdock as a whole does not respond."""
        return self.breaker.is_open or (self.breaker.has_only_failed and bool(self.fair_share.held_until))

    def wake(self) -> None:
        """Look at the outbox now. Safe in a signal handler."""
        self._wakeups.put(None)

    def stop(self) -> None:
        """Finish what is being sent and claim nothing more. Safe in a signal handler."""
        self._stopping = True
        self.wake()

    def run(self, *, until_idle: bool = False) -> None:
        """Deliver until stopped or, with `until_idle`, until nothing is due or Flowdock does not respond.

        Waits while the database is not available; with `until_idle` it raises DatabaseError or InterfaceError instead.
        """
        try:
            while not self._stopping:
                try:
                    if self._work():
                        continue
                    if until_idle and not self._sending and not self._reporting:
                        break
                    seconds = self._seconds_to_wait()
                except (DatabaseError, InterfaceError) as error:
                    if until_idle:
                        raise
                    # Finished claims stay in memory, and are recorded once the database is available again.
                    logger.warning(
                        "%s", outage_reason(error) or f"the database refuses: {type(error).__name__}: {error}"
                    )
                    connection.close()
                    seconds = POLL_INTERVAL
                self._wait(seconds)
            self._finish()
        finally:
            self._executor.shutdown()
            for flowdock in self._connections:
                flowdock.close()

    def _work(self) -> bool:
        """Decide events, record finished claims and claim what is due. Returns whether there was any of these."""
        self._wait(0)
        self._send_reports()
        decided = 0 if self._stopping else self._decider.decide_some()
        due = self._choose_due()
        if not self._unrecorded and not due:
            return decided > 0
        try:
            with write_transaction():
                reports = record(self._unrecorded, self._holds) if self._unrecorded else []
                claims = claim(due) if due else []
        except ROW_ERRORS as error:
            if not is_row_error(error):
                raise
            logger.warning("searching for a row that cannot be used: %s: %s", type(error).__name__, error)
            reports, claims = self._record_one_by_one(), self._claim_one_by_one(due)
        else:
            self._forget_recorded(self._unrecorded)
        self._reports += reports
        for claimed in claims:
            self._sending[self._submit(deliver, claimed)] = claimed
        self._send_reports()
        return True

    def _record_one_by_one(self) -> list[ProblemReport]:
        """Record each attempt in a transaction of its own; give up only the deliveries that this fails for."""
        reports: list[ProblemReport] = []
        for claimed in list(self._unrecorded):
            for part in [replace(claimed, attempts=[attempt]) for attempt in claimed.attempts] or [claimed]:
                try:
                    with write_transaction():
                        reports += record([part], self._holds)
                except ROW_ERRORS as error:
                    if not is_row_error(error):
                        raise
                    self._give_up(part.deliveries[0] if not part.attempts else part.attempts[0].delivery, error)
            self._forget_recorded([claimed])
        return reports

    def _claim_one_by_one(self, ids: list[int]) -> list[Claim]:
        """Claim each delivery by itself, without those that it blocks; give up the ones that this fails for."""
        claims: list[Claim] = []
        for delivery in Delivery.objects.filter(pk__in=ids).only("pk", "integration"):
            try:
                with write_transaction():
                    claims += claim([delivery.pk], limit=1)
            except ROW_ERRORS as error:
                if not is_row_error(error):
                    raise
                self._give_up(delivery, error)
        return claims

    def _give_up(self, delivery: Delivery, error: Exception) -> None:
        """Mark a delivery whose row cannot be used as failed, and change nothing else of it: its thread goes on."""
        reason = f"{UNUSABLE} ({type(error).__name__})"
        logger.error("delivery %s is marked as failed: %s: %s", delivery.pk, reason, error)
        try:
            with write_transaction():
                give_up(delivery.pk, reason)
        except ROW_ERRORS as error:
            if not is_row_error(error):
                raise
            logger.exception("delivery %s cannot be marked as failed either, and is skipped", delivery.pk)
            self._unusable.add(delivery.pk)

    def _send_reports(self) -> None:
        """Report problems to Flowdock, as senders become free for their integrations."""
        for report in list(self._reports):
            if self.fair_share.may_report_problem(report.integration_id, self._busy_senders()):
                self._reports.remove(report)
                future = self._submit(report_problem, report.flow_token, report.problem)
                self._reporting[future] = report.integration_id

    def _busy_senders(self) -> Counter[int]:
        """How many senders each integration occupies."""
        counts = Counter(claimed.integration.pk for claimed in self._sending.values())
        counts.update(self._reporting.values())
        return counts

    def _wait(self, seconds: float) -> None:
        """Wait until a sender is done or `wake` is called, for `seconds` at most; collect every sender that is done."""
        try:
            future = self._wakeups.get(seconds > 0, seconds)
            while True:
                if future is not None:
                    self._collect(future)
                future = self._wakeups.get_nowait()
        except Empty:
            return

    def _collect(self, future: Future[None]) -> None:
        claimed = self._sending.pop(future, None)
        self._reporting.pop(future, None)
        error = None if future.cancelled() else future.exception()
        if error is not None:
            logger.error("a sender failed", exc_info=error)
        if claimed is None:
            return
        if error is not None:
            # A bug of ours. It would happen again, so the delivery is shown as failed and its thread goes on.
            delivery = claimed.deliveries[len(claimed.attempts)]
            message = f"an error in the bridge: {type(error).__name__}"
            claimed.attempts.append(Attempt(delivery, Outcome.FAILED, message, timezone.now()))
        for attempt in claimed.attempts:
            self._learn_from(attempt)  # before more is claimed
        self._unrecorded.append(claimed)

    def _learn_from(self, attempt: Attempt) -> None:
        """Tell the breaker and the fair share how Flowdock has answered."""
        integration, seconds = attempt.delivery.integration_id, attempt.ms / 1000
        if attempt.is_unreachable:
            self.breaker.record_unreachable(integration, attempt.message, attempt.retry_after)
        elif attempt.status is not None:
            self.breaker.record_answer()
        hold: float | None = None
        if attempt.is_rate_limited:
            hold = backoff(attempt).total_seconds()
            self.fair_share.hold(integration, hold)
        elif attempt.has_no_usable_answer:
            hold = self.fair_share.record_failure(integration, attempt.delivery.thread_id, seconds)
        elif attempt.status is not None:
            self.fair_share.record_answer(integration, seconds)
        if hold is not None:
            logger.info("%s: nothing is posted for %.0f s: %s", attempt.delivery.integration, hold, attempt.message)
            # A short hold is kept in memory only: writing it to thousands of deliveries every second would cost the
            # other integrations more than it saves. Another worker finds out with one message.
            if hold >= POLL_INTERVAL:
                self._holds[integration] = max(hold, self._holds.get(integration, 0.0))

    def _seconds_to_wait(self) -> float:
        """For how long there is nothing to do, as far as can be known."""
        if len(self._sending) + len(self._reporting) >= self.senders:
            return POLL_INTERVAL
        if self.breaker.is_probing:
            wait = self.breaker.next_probe - time.monotonic()
            if wait > 0:
                return min(wait, POLL_INTERVAL)
            if self.breaker.is_open:  # and no integration that may be probed now has anything that is due
                return min(self.breaker.open_until - time.monotonic(), POLL_INTERVAL)
        waits = self._scheduled().order_by("next_attempt_at", "id").values_list(F("next_attempt_at") - Now(), flat=True)
        first = waits.first()
        seconds = POLL_INTERVAL if first is None else first.total_seconds()
        return min(max(seconds, 0.0), self.fair_share.seconds_until_release(), POLL_INTERVAL)

    def _scheduled(self) -> DeliveryQuerySet:
        """The scheduled deliveries, except those of integrations that may not use another sender now."""
        scheduled = Delivery.objects.scheduled()
        if at_limit := self.fair_share.at_limit(self._busy_senders()):
            scheduled = scheduled.exclude(integration__in=at_limit)
        return scheduled.exclude(pk__in=self._unusable) if self._unusable else scheduled

    def _choose_due(self) -> list[int]:
        """The ids of the deliveries to claim, the integrations in turn."""
        busy = self._busy_senders()
        if self._stopping or busy.total() >= self.senders:
            return []
        due = self._scheduled().due().values_list("id", "integration_id")
        if self.breaker.is_probing:
            return self._choose_probe(due)
        return self.fair_share.choose(self._candidates(due), busy)

    def _candidates(self, due: QuerySet[Delivery, tuple[int, int]]) -> list[tuple[int, int]]:
        """The first due deliveries and, now and then, the first of integrations that come long after those.

        Reading past the backlog of busy integrations each time would mean reading all of it.
        """
        rows = list(due[:CANDIDATES])
        if len(rows) < CANDIDATES or time.monotonic() < self._next_far_look:
            return rows
        self._next_far_look = time.monotonic() + FAR_LOOK_INTERVAL
        for _ in range(FAR_LOOKS):
            further = list(due.exclude(integration__in={integration for _, integration in rows})[:CANDIDATES])
            rows += further
            if len(further) < CANDIDATES:
                break
        return rows

    def _choose_probe(self, due: QuerySet[Delivery, tuple[int, int]]) -> list[int]:
        """The delivery that is sent to find out whether Flowdock responds again: of another integration each time."""
        if time.monotonic() < self.breaker.next_probe:
            return []
        first = due.exclude(integration__in=self.breaker.not_to_probe()).first()
        if first is None and not self.breaker.is_open:
            self.breaker.start_round()
            first = due.first()
        if first is None:
            return []
        pk, integration = first
        self.breaker.record_probe(integration)
        return [pk]

    def _submit(self, work: Any, *arguments: object) -> Future[None]:
        future = self._executor.submit(self._with_connection, work, *arguments)
        future.add_done_callback(self._wakeups.put)
        return future

    def _open_connection(self) -> None:
        self._local.flowdock = Flowdock()
        self._connections.append(self._local.flowdock)

    def _with_connection(self, work: Any, *arguments: object) -> None:
        work(self._local.flowdock, *arguments)

    def _finish(self) -> None:
        """Collect and record what is being sent. Claims that no sender has started with are released."""
        for future in list(self._sending):
            future.cancel()
        while self._sending:
            self._wait(POLL_INTERVAL)
        try:
            self._record_last()
        except (DatabaseError, InterfaceError) as error:
            # Their leases end. Whoever takes them over posts them again, and Flowdock recognizes their uuids.
            logger.warning("%d claims could not be recorded: %s", len(self._unrecorded), error)
        for report in self._reports:
            self._submit(report_problem, report.flow_token, report.problem)

    def _record_last(self) -> None:
        if not self._unrecorded:
            return
        try:
            with write_transaction():
                reports = record(self._unrecorded, self._holds)
        except ROW_ERRORS as error:
            if not is_row_error(error):
                raise
            reports = self._record_one_by_one()
        else:
            self._forget_recorded(self._unrecorded)
        self._reports += reports

    def _forget_recorded(self, claims: list[Claim]) -> None:
        """Count and log what is recorded, now that its transaction has committed."""
        for claimed in list(claims):
            for attempt in claimed.attempts:
                self.tally[attempt.outcome] += 1
                report(attempt)
            self._unrecorded.remove(claimed)
            self._holds.pop(claimed.integration.pk, None)


def report(attempt: Attempt) -> None:
    outcome = telemetry.Outcome[attempt.outcome.name]
    telemetry.attempted(attempt.delivery, outcome, attempt.message, at=attempt.at, ms=attempt.ms, status=attempt.status)
