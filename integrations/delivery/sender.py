"""A sender's part: it speaks HTTP, and does not touch the database."""

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
    FlowdockAway,
    FlowdockError,
    FlowdockUnavailable,
    FlowNotAccessible,
    SourceGone,
    TokenRefused,
)
from integrations.models import Delivery

from .attempts import KEY_MISSING, NOT_ALLOWED, TOKEN_REFUSED, Fate, Outcome
from .claims import Hand, lease_length

logger = logging.getLogger(__name__)

SECONDS_IN_HAND = 1.0  # then a hand gives back what is left: other threads wait for the sender


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
