"""What a sender does: it speaks HTTP to Flowdock, and does not use the database."""

from __future__ import annotations

import logging
import time
from http import HTTPStatus
from typing import Any

from django.utils import timezone

from integrations.activity import InvalidActivity
from integrations.fields import UndecipherableSecret
from integrations.flowdock.client import Flowdock
from integrations.flowdock.errors import (
    ActivityRejected,
    FlowdockError,
    FlowdockUnavailable,
    FlowdockUnreachable,
    FlowNotAccessible,
    SourceGone,
    TokenRefused,
)
from integrations.models import Delivery

from .attempts import KEY_MISSING, NOT_ALLOWED, TOKEN_REFUSED, Attempt, Outcome
from .claims import Claim, lease_length

logger = logging.getLogger(__name__)

MAX_SECONDS = 1.0  # after these a sender returns the rest of its claim, since other threads wait for it


def post(flowdock: Flowdock, delivery: Delivery) -> Attempt:
    """Try to post one delivery."""
    at, started = timezone.now(), time.monotonic()

    def attempt(outcome: Outcome, message: str, **more: Any) -> Attempt:
        return Attempt(delivery, outcome, message, at, ms=round((time.monotonic() - started) * 1000), **more)

    try:
        activity = delivery.event.read_activity()
        if activity is None:
            raise InvalidActivity("none is stored")
        posted = flowdock.post_activity(delivery.integration.flow_token, activity, delivery.uuid)
    except UndecipherableSecret:
        return attempt(Outcome.REFUSED, KEY_MISSING)
    except InvalidActivity as error:
        return attempt(Outcome.FAILED, f"the stored activity cannot be posted: {error}")
    except ActivityRejected as error:
        return attempt(Outcome.FAILED, f"Flowdock refused it: {error}", status=error.status)
    except SourceGone as error:
        return attempt(Outcome.SOURCE_REMOVED, "the source was removed in Flowdock", status=error.status)
    except TokenRefused as error:
        return attempt(Outcome.REFUSED, TOKEN_REFUSED, status=error.status)
    except FlowNotAccessible as error:
        return attempt(Outcome.REFUSED, NOT_ALLOWED, status=error.status)
    except FlowdockUnavailable as error:
        return attempt(
            Outcome.RETRY,
            "Flowdock limits the rate of requests" if error.status == HTTPStatus.TOO_MANY_REQUESTS else str(error),
            status=error.status,
            retry_after=error.retry_after,
            is_unreachable=isinstance(error, FlowdockUnreachable),
        )
    return attempt(Outcome.DELIVERED, "posted", status=posted.status, flowdock_thread_id=posted.thread_id)


def deliver(flowdock: Flowdock, claim: Claim) -> None:
    """Post the claim's deliveries in order: until one is not delivered, for MAX_SECONDS, or while the lease is safe."""
    started = time.monotonic()
    half = lease_length().total_seconds() / 2
    for delivery in claim.deliveries:
        now = time.monotonic()
        # Started with too little time left, it could still be posting when another worker takes the thread over.
        if now - started > MAX_SECONDS or now + half > claim.expires:
            return
        attempt = post(flowdock, delivery)
        claim.attempts.append(attempt)
        if attempt.outcome not in {Outcome.DELIVERED, Outcome.FAILED}:
            return


def report_problem(flowdock: Flowdock, flow_token: str, problem: str) -> None:
    """Show `problem` beside the integration's source in Flowdock; the empty text removes it. Failing is logged only."""
    try:
        flowdock.update_source(flow_token, error_message=problem)
    except FlowdockError as error:
        logger.info("a problem could not be reported to Flowdock: %s", error)
