"""Recording what came of attempts. Every function here is called in a transaction."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models.functions import Now
from django.utils import timezone

from integrations.models import Delivery, DeliveryQuerySet, Integration, Origin

from .attempts import KEY_MISSING, MAX_RETRY, PROBLEMS, Attempt, Outcome, backoff
from .claims import Claim, lease_length

MAX_ATTEMPTS_KEPT = 20


@dataclass(frozen=True, slots=True)
class ProblemReport:
    """A problem to be shown beside an integration's source in Flowdock; an empty `problem` says that it is solved."""

    integration_id: int
    flow_token: str
    problem: str


def record(claims: Iterable[Claim], holds: Mapping[int, float]) -> list[ProblemReport]:
    """Record the attempts of these claims and schedule what comes next; returns what is to be reported to Flowdock.

    `holds`: for how many seconds to postpone what else is due of an integration, by its id.
    """
    Origin.objects.lock({claim.integration.origin_id for claim in claims})
    reports: list[ProblemReport] = []
    ended: list[int] = []
    postponed: list[Attempt] = []
    for claim in claims:
        if not claim.attempts:
            _leased(claim).update(next_attempt_at=Now())
        for attempt in claim.attempts:
            match attempt.outcome:
                case Outcome.DELIVERED:
                    _end(attempt, state=Delivery.State.DELIVERED, reason="", delivered_at=timezone.now())
                    ended.append(attempt.delivery.pk)
                case Outcome.FAILED:
                    _end(attempt, state=Delivery.State.FAILED, reason=attempt.message[:500])
                    ended.append(attempt.delivery.pk)
                case Outcome.SOURCE_REMOVED:
                    _log_attempt(attempt)
                    claim.integration.remove()
                case Outcome.RETRY | Outcome.REFUSED if attempt.delivery is claim.deliveries[0]:
                    _log_attempt(attempt)
                    _leased(claim).update(next_attempt_at=Now() + backoff(attempt))
                case Outcome.RETRY | Outcome.REFUSED:
                    _log_attempt(attempt)
                    postponed.append(attempt)
        reports += _update_problem(claim)
    if ended:
        Delivery.objects.filter(pk__in=ended).schedule_next()
    for attempt in postponed:
        # An earlier delivery of its thread has just ended, so it was scheduled for now.
        Delivery.objects.scheduled().filter(pk=attempt.delivery.pk).update(next_attempt_at=Now() + backoff(attempt))
    for integration_id in {claim.integration.pk for claim in claims} & holds.keys():
        _postpone_due(integration_id, dt.timedelta(seconds=holds[integration_id]))
    return reports


def _postpone_due(integration_id: int, wait: dt.timedelta) -> None:
    """Postpone the integration's due deliveries. Leased ones are not due: their time lies in the future."""
    Delivery.objects.due().order_by().filter(integration=integration_id).update(next_attempt_at=Now() + wait)


def _leased(claim: Claim) -> DeliveryQuerySet:
    """The claim's first delivery, if the lease is still ours: not paused, dropped or taken over by another worker."""
    return Delivery.objects.pending().filter(pk=claim.deliveries[0].pk, next_attempt_at=claim.lease)


def _attempts_with(attempt: Attempt) -> list[dict[str, Any]]:
    entry = {
        "at": attempt.at.isoformat(timespec="milliseconds"),
        "status": attempt.status,
        "outcome": attempt.message,
        "ms": attempt.ms,
    }
    return [*attempt.delivery.attempts, entry][-MAX_ATTEMPTS_KEPT:]


def _end(attempt: Attempt, **columns: Any) -> None:
    """End the delivery, whoever holds its lease by now.

    One that Flowdock has taken is delivered even if it was dropped, or its integration removed, during the attempt.
    """
    delivery = Delivery.objects.filter(pk=attempt.delivery.pk)
    if attempt.outcome is not Outcome.DELIVERED:
        delivery = delivery.pending()
    delivery.exclude(state=Delivery.State.DELIVERED).update(
        next_attempt_at=None,
        attempts=_attempts_with(attempt),
        flowdock_thread_id=attempt.flowdock_thread_id[:100],
        **columns,
    )


def _log_attempt(attempt: Attempt) -> None:
    Delivery.objects.pending().filter(pk=attempt.delivery.pk).update(
        attempts=_attempts_with(attempt), reason=attempt.message[:500]
    )


def _update_problem(claim: Claim) -> list[ProblemReport]:
    """Set or clear the integration's problem as the attempts call for; returns what is to be reported to Flowdock."""
    integration = claim.integration
    outcomes = {attempt.outcome for attempt in claim.attempts}
    if Outcome.REFUSED in outcomes:
        problem = next(attempt.message for attempt in claim.attempts if attempt.outcome is Outcome.REFUSED)
        # Without its token, nothing can be reported.
        is_reported = set_problem(integration, problem) and problem != KEY_MISSING
        return [ProblemReport(integration.pk, integration.flow_token, problem)] if is_reported else []
    if Outcome.DELIVERED in outcomes and integration.problem in PROBLEMS:
        return [ProblemReport(integration.pk, integration.flow_token, "")] if clear_problem(integration) else []
    return []


def set_problem(integration: Integration, problem: str) -> bool:
    """Postpone all of an integration that a person has to repair first. Returns whether the problem is new."""
    _postpone_due(integration.pk, dt.timedelta(seconds=MAX_RETRY))
    connected = Integration.objects.connected().filter(pk=integration.pk)
    return bool(connected.exclude(problem=problem).update(problem=problem))


def clear_problem(integration: Integration) -> bool:
    """Flowdock takes the integration's messages again: what was postponed is due now. Returns whether it had one."""
    later = Now() + lease_length()  # what is scheduled earlier may be leased
    integration.deliveries.scheduled().filter(next_attempt_at__gt=later).update(next_attempt_at=Now())
    return bool(Integration.objects.filter(pk=integration.pk, problem__in=PROBLEMS).update(problem=""))
