"""Recording what came of attempts. Every function here is called in a transaction."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.models.functions import Now
from django.utils import timezone

from integrations.models import Delivery, DeliveryQuerySet, Integration, Origin

from .attempts import KEY_MISSING, MAX_RETRY, PROBLEMS, Attempt, Outcome, backoff
from .claims import Claim, lease_length

MAX_ATTEMPTS_KEPT = 20
ENDS = {Outcome.DELIVERED: Delivery.State.DELIVERED, Outcome.FAILED: Delivery.State.FAILED}

# Ends many deliveries. The parameter is a list of objects in JSON; `attempts` in it is JSON in a text.
_END = """
    UPDATE integrations_delivery AS delivery
    SET state = ended.state, reason = ended.reason, attempts = {attempts}, next_attempt_at = NULL,
        delivered_at = COALESCE(ended.delivered_at, delivery.delivered_at), flowdock_thread_id = ended.thread
    FROM {ended}
    WHERE delivery.id = ended.id AND delivery.state <> 'delivered'
        AND (ended.state = 'delivered' OR delivery.state = 'pending')
"""
END = {
    "postgresql": _END.format(
        attempts="ended.attempts::jsonb",
        ended="""jsonb_to_recordset(%s::jsonb) AS ended (
            id bigint, state text, reason text, attempts text, delivered_at timestamptz, thread text
        )""",
    ),
    "sqlite": _END.format(
        attempts="ended.attempts",
        ended="""(
            SELECT json_extract(value, '$.id') AS id, json_extract(value, '$.state') AS state,
                json_extract(value, '$.reason') AS reason, json_extract(value, '$.attempts') AS attempts,
                json_extract(value, '$.delivered_at') AS delivered_at, json_extract(value, '$.thread') AS thread
            FROM json_each(%s)
        ) AS ended""",
    ),
}


@dataclass(frozen=True, slots=True)
class ProblemReport:
    """A problem to be shown beside an integration's source in Flowdock; an empty `problem` says that it is solved."""

    integration_id: int
    flow_token: str
    problem: str


def record(claims: Sequence[Claim], holds: Mapping[int, float]) -> list[ProblemReport]:
    """Record the attempts of these claims and schedule what comes next; returns what is to be reported to Flowdock.

    `holds`: for how many seconds to postpone what else is due of an integration, by its id.
    """
    Origin.objects.lock({claim.integration.origin_id for claim in claims})
    reports: list[ProblemReport] = []
    postponed: list[Attempt] = []
    _release([claim for claim in claims if not claim.attempts])
    _end([attempt for claim in claims for attempt in claim.attempts if attempt.outcome in ENDS])
    for claim in claims:
        for attempt in claim.attempts:
            match attempt.outcome:
                case Outcome.SOURCE_REMOVED:
                    _log_attempt(attempt)
                    claim.integration.remove()
                case Outcome.RETRY | Outcome.REFUSED if attempt.delivery is claim.deliveries[0]:
                    _log_attempt(attempt)
                    _leased([claim], claim.lease).update(next_attempt_at=Now() + backoff(attempt))
                case Outcome.RETRY | Outcome.REFUSED:
                    _log_attempt(attempt)
                    postponed.append(attempt)
        reports += _update_problem(claim)
    if ended := [attempt.delivery.pk for claim in claims for attempt in claim.attempts if attempt.outcome in ENDS]:
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


def _leased(claims: Iterable[Claim], lease: dt.datetime) -> DeliveryQuerySet:
    """Their first deliveries, if the lease is still ours: not paused, dropped or taken over by another worker."""
    return Delivery.objects.pending().filter(pk__in=[claim.deliveries[0].pk for claim in claims], next_attempt_at=lease)


def _release(claims: Iterable[Claim]) -> None:
    """End the leases of claims that were not attempted."""
    by_lease: dict[dt.datetime, list[Claim]] = {}
    for claim in claims:
        by_lease.setdefault(claim.lease, []).append(claim)
    for lease, leased in by_lease.items():
        _leased(leased, lease).update(next_attempt_at=Now())


def _attempts_with(attempt: Attempt) -> list[dict[str, Any]]:
    entry = {
        "at": attempt.at.isoformat(timespec="milliseconds"),
        "status": attempt.status,
        "outcome": attempt.message,
        "ms": attempt.ms,
    }
    return [*attempt.delivery.attempts, entry][-MAX_ATTEMPTS_KEPT:]


def _end(attempts: Sequence[Attempt]) -> None:
    """End these deliveries, whoever holds their leases by now, in one statement.

    One that Flowdock has taken is delivered even if it was dropped, or its integration removed, during the attempt.
    """
    if not attempts:
        return
    now = str(connection.ops.adapt_datetimefield_value(timezone.now()))
    rows = [
        {
            "id": attempt.delivery.pk,
            "state": ENDS[attempt.outcome].value,
            "reason": "" if attempt.outcome is Outcome.DELIVERED else attempt.message[:500],
            "attempts": json.dumps(_attempts_with(attempt)),
            "delivered_at": now if attempt.outcome is Outcome.DELIVERED else None,
            "thread": attempt.flowdock_thread_id[:100],
        }
        for attempt in attempts
    ]
    with connection.cursor() as cursor:
        cursor.execute(END[connection.vendor], [json.dumps(rows)])


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
