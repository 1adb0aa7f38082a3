"""The dispatcher: claims what is due, passes it to the sender, and records what came of it."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from queue import Empty, SimpleQueue

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from django.db.models import F, QuerySet
from django.db.models.functions import Now

from integrations import telemetry
from integrations.deciding import Decider
from integrations.flowdock.client import Flowdock
from integrations.models import Delivery, DeliveryQuerySet
from integrations.outages import ROW_ERRORS, is_row_error, outage_reason
from integrations.transactions import write_transaction
from integrations.workers import Heartbeat

from .attempts import Attempt, Outcome
from .claims import UNUSABLE, Claim, claim, give_up
from .outcomes import ProblemReport, record
from .sender import Sender, report_problem
from .traffic import Traffic

logger = logging.getLogger(__name__)

POLL_INTERVAL = 5.0  # seconds until deliveries are found that no notification has announced
BUSY_POLL_INTERVAL = 0.25  # seconds; the same while something is being posted
GATHER = 0.03  # seconds in which finished claims are gathered, while the sender has enough to do
CANDIDATES = 128  # due deliveries that are read at a time, to choose from
# Looking for integrations behind the backlog of others means reading past all of it: at most this part of the time.
FAR_LOOK_SHARE = 0.2
FAR_LOOKS = 4
REPORTERS = 2  # threads that report problems to Flowdock


class Dispatcher:
    """Empties the outbox, `senders` posts at a time. One thread runs it; `wake` and `stop` may be called by any."""

    def __init__(self, senders: int | None = None) -> None:
        self.tally: Counter[Outcome] = Counter()
        self.traffic = Traffic(senders or settings.WORKER_SENDERS)
        self.heartbeat = Heartbeat()
        self._stopping = False
        self._unrecorded: list[Claim] = []
        self._reports: list[ProblemReport] = []
        self._reporters = ThreadPoolExecutor(REPORTERS, "reporter")
        self._reporting: set[Future[None]] = set()
        self._next_far_look = 0.0  # time.monotonic()
        self._decider = Decider()
        self._unusable: set[int] = set()  # deliveries that the database does not even let us mark as failed
        # Claims of which nothing more is posted; an error that has ended the sender; or None: look now.
        self._wakeups: SimpleQueue[Claim | Exception | None] = SimpleQueue()
        self._sender = Sender(self.traffic, self._wakeups.put)

    @property
    def is_flowdock_unreachable(self) -> bool:
        """Whether the dispatcher has given up for now, because Flowdock as a whole does not respond."""
        breaker, fair_share = self.traffic.breaker, self.traffic.fair_share
        return breaker.is_open or (breaker.has_only_failed and bool(fair_share.held_until))

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
                    self.heartbeat.beat(is_breaker_open=self.traffic.breaker.is_probing)
                    if self._work():
                        continue
                    if until_idle and not len(self.traffic) and not self._unrecorded and not self._reporting:
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
                self._gather()
            self._finish()
        finally:
            self.traffic.stop()
            self._sender.close()
            self._reporters.shutdown()

    def _work(self) -> bool:
        """Decide events, record finished claims and claim what is due. Returns whether there was any of these."""
        self._wait(0)
        self._send_reports()
        decided = 0 if self._stopping else self._decider.decide_some()
        due = self._choose_due()
        if not self._unrecorded and not due:
            return decided > 0
        are_probes = self.traffic.breaker.is_probing
        try:
            with write_transaction():
                reports = record(self._unrecorded, self.traffic.holds()) if self._unrecorded else []
                claims = claim(due) if due else []
        except ROW_ERRORS as error:
            if not is_row_error(error):
                raise
            logger.warning("searching for a row that cannot be used: %s: %s", type(error).__name__, error)
            reports, claims = self._record_one_by_one(), self._claim_one_by_one(due)
        else:
            self._forget_recorded(self._unrecorded)
        self._reports += reports
        if claims:
            self.traffic.add(claims, are_probes=are_probes)
            self._sender.wake()
        self._send_reports()
        return True

    def _gather(self) -> None:
        """Wait for more finished claims while the sender has enough to do: recording many at once costs less."""
        until = time.monotonic() + GATHER
        while self.traffic.waiting >= self.traffic.senders and (left := until - time.monotonic()) > 0:
            if self._stopping:
                return
            self._wait(left)

    def _record_one_by_one(self) -> list[ProblemReport]:
        """Record each attempt in a transaction of its own; give up only the deliveries that this fails for."""
        reports: list[ProblemReport] = []
        for claimed in list(self._unrecorded):
            for part in [replace(claimed, attempts=[attempt]) for attempt in claimed.attempts] or [claimed]:
                try:
                    with write_transaction():
                        reports += record([part], self.traffic.holds())
                except ROW_ERRORS as error:
                    if not is_row_error(error):
                        raise
                    self._give_up((part.attempts[0].delivery if part.attempts else part.deliveries[0]).pk, error)
            self._forget_recorded([claimed])
        return reports

    def _claim_one_by_one(self, ids: list[int]) -> list[Claim]:
        """Claim each delivery by itself, without those that it blocks; give up the ones that this fails for."""
        claims: list[Claim] = []
        for pk in ids:
            try:
                with write_transaction():
                    claims += claim([pk], limit=1)
            except ROW_ERRORS as error:
                if not is_row_error(error):
                    raise
                self._give_up(pk, error)
        return claims

    def _give_up(self, pk: int, error: Exception) -> None:
        """Mark a delivery whose row cannot be used as failed, and change nothing else of it: its thread goes on."""
        reason = f"{UNUSABLE} ({type(error).__name__})"
        logger.error("delivery %s is marked as failed: %s: %s", pk, reason, error)
        try:
            with write_transaction():
                give_up(pk, reason)
        except ROW_ERRORS as error:
            if not is_row_error(error):
                raise
            logger.exception("delivery %s cannot be marked as failed either, and is skipped", pk)
            self._unusable.add(pk)

    def _send_reports(self) -> None:
        """Report problems to Flowdock, in threads of their own: an answer may take long, and none is urgent."""
        self._reporting = {future for future in self._reporting if not future.done()}
        while self._reports and len(self._reporting) < REPORTERS:
            report = self._reports.pop(0)
            future = self._reporters.submit(_send, report)
            self._reporting.add(future)
            future.add_done_callback(lambda future: self.wake())

    def _wait(self, seconds: float) -> None:
        """Wait until a claim is finished or `wake` is called, for `seconds` at most; collect what is finished."""
        try:
            finished = self._wakeups.get(seconds > 0, seconds)
            while True:
                if isinstance(finished, Exception):
                    raise RuntimeError("the sender has ended") from finished
                if finished is not None:
                    self.traffic.collect(finished)
                    self._unrecorded.append(finished)
                finished = self._wakeups.get_nowait()
        except Empty:
            return

    def _seconds_to_wait(self) -> float:
        """For how long there is nothing to do, as far as can be known."""
        breaker = self.traffic.breaker
        if breaker.is_probing:
            wait = breaker.next_probe - time.monotonic()
            if wait > 0:
                return min(wait, POLL_INTERVAL)
            if breaker.is_open:  # and no integration that may be probed now has anything that is due
                return min(breaker.open_until - time.monotonic(), POLL_INTERVAL)
        until_release = self.traffic.fair_share.seconds_until_release()
        if len(self.traffic):
            return min(until_release, BUSY_POLL_INTERVAL)
        waits = self._scheduled().order_by("next_attempt_at", "id").values_list(F("next_attempt_at") - Now(), flat=True)
        first = waits.first()
        seconds = POLL_INTERVAL if first is None else first.total_seconds()
        return min(max(seconds, 0.0), until_release, POLL_INTERVAL)

    def _scheduled(self) -> DeliveryQuerySet:
        """The scheduled deliveries, except those of integrations that may not have another claim now."""
        scheduled = Delivery.objects.scheduled()
        if at_limit := self.traffic.at_limit():
            scheduled = scheduled.exclude(integration__in=at_limit)
        return scheduled.exclude(pk__in=self._unusable) if self._unusable else scheduled

    def _choose_due(self) -> list[int]:
        """The ids of the deliveries to claim, the integrations in turn."""
        if self._stopping or not self.traffic.has_room:
            return []
        if self.traffic.breaker.is_probing:
            return self._choose_probe(self._scheduled().due().values_list("id", "integration_id"))
        return self.traffic.choose(self._candidates())

    def _candidates(self) -> list[tuple[int, int]]:
        """The first due deliveries and, now and then, the first of integrations that come long after those."""
        due = Delivery.objects.due().values_list("id", "integration_id")
        if self._unusable:
            due = due.exclude(pk__in=self._unusable)
        rows = list(due[:CANDIDATES])
        began = time.monotonic()
        if len(rows) < CANDIDATES or began < self._next_far_look:
            return rows
        for _ in range(FAR_LOOKS):
            known = {integration for _, integration in rows} | self.traffic.at_limit()
            further = list(due.exclude(integration__in=known)[:CANDIDATES])
            rows += further
            if len(further) < CANDIDATES:
                break
        now = time.monotonic()
        self._next_far_look = now + (now - began) / FAR_LOOK_SHARE
        return rows

    def _choose_probe(self, due: QuerySet[Delivery, tuple[int, int]]) -> list[int]:
        """The delivery that is sent to find out whether Flowdock responds again: of another integration each time."""
        if time.monotonic() < self.traffic.breaker.next_probe:
            return []
        first = due.exclude(integration__in=self.traffic.breaker.not_to_probe()).first()
        if first is None and not self.traffic.breaker.is_open:
            self.traffic.breaker.start_round()
            first = due.first()
        if first is None:
            return []
        pk, integration = first
        self.traffic.breaker.record_probe(integration)
        return [pk]

    def _finish(self) -> None:
        """Collect and record what is being sent. Claims that no sender has started with are released."""
        self.traffic.stop()
        self._sender.wake()
        while len(self.traffic):
            self._wait(POLL_INTERVAL)
        self._wait(0)
        try:
            self._record_last()
        except (DatabaseError, InterfaceError) as error:
            # Their leases end. Whoever takes them over posts them again, and Flowdock recognizes their uuids.
            logger.warning("%d claims could not be recorded: %s", len(self._unrecorded), error)
        for report in self._reports:
            self._reporters.submit(_send, report)

    def _record_last(self) -> None:
        if not self._unrecorded:
            return
        try:
            with write_transaction():
                reports = record(self._unrecorded, self.traffic.holds())
        except ROW_ERRORS as error:
            if not is_row_error(error):
                raise
            reports = self._record_one_by_one()
        else:
            self._forget_recorded(self._unrecorded)
        self._reports += reports

    def _forget_recorded(self, claims: Iterable[Claim]) -> None:
        """Count and log what is recorded, now that its transaction has committed."""
        recorded = set(claims)
        for claimed in recorded:
            for attempt in claimed.attempts:
                self.tally[attempt.outcome] += 1
                report(attempt)
            self.traffic.forget_hold(claimed.integration.pk)
        self._unrecorded = [claimed for claimed in self._unrecorded if claimed not in recorded]


def _send(report: ProblemReport) -> None:
    with Flowdock() as flowdock:
        report_problem(flowdock, report.flow_token, report.problem)


def report(attempt: Attempt) -> None:
    outcome = telemetry.Outcome[attempt.outcome.name]
    telemetry.attempted(attempt.delivery, outcome, attempt.message, at=attempt.at, ms=attempt.ms, status=attempt.status)
