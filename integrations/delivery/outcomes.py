"""What is written down of the outcomes; in a transaction."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models.functions import Now
from django.utils import timezone

from integrations.models import Delivery, DeliveryQuerySet, Integration, Origin

from .attempts import KEY_MISSING, LAST_RETRY, PROBLEMS, Fate, Outcome, backoff
from .claims import Hand, lease_length

ATTEMPTS_KEPT = 20


@dataclass(frozen=True, slots=True)
class Problem:
    """What Flowdock is to show beside the source of an integration; empty `words` where it is solved."""

    integration: int
    flow_token: str
    words: str


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
