"""Decides what becomes of accepted events: for each integration of their origin, whether they are posted.

Workers call it, for many events in one transaction. The events of an origin are decided in the order of their ids,
which is the order of arrival, by one worker at a time: it holds the lock on the origin. A worker that dies in the
middle has decided nothing, and another one decides the same events again.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from django.db.models.functions import Now

from . import notifications, statements, telemetry
from .activity import Activity, InvalidActivity, Thread
from .models import Delivery, Event, Integration, Origin
from .outages import ROW_ERRORS, is_row_error
from .services.base import TEST, ParsedEvent, UnreadablePayload
from .storable import storable, storable_json
from .transactions import write_transaction

logger = logging.getLogger(__name__)

ORIGINS = 25  # in one transaction
MAX_EVENTS = 100
MAX_DELIVERIES = 2000
MAX_BYTES = 4 * 1024 * 1024  # of bodies, which are all in memory at the same time
CLOCK_DIFFERENCE = dt.timedelta(minutes=1)  # between the machines that serve webhooks and pages

UNREADABLE = "the stored event can no longer be read"
BRIDGE_ERROR = "an error in the bridge"


@dataclass(frozen=True, slots=True)
class Read:
    """An event that awaits a decision, as its service reads it; None if it cannot be read, for the reason `why_not`."""

    event: Event
    parsed: ParsedEvent | None
    why_not: str = ""


@dataclass(frozen=True, slots=True)
class Decided:
    """An event with its activity, which contains the whole state of its thread; None if the event is not posted."""

    event: Event
    activity: Activity | None
    deliveries: list[Delivery]


class Decider:
    """Decides what awaits a decision, the origins in turn. Not for several threads."""

    def __init__(self) -> None:
        self._last_origin = 0
        self._unusable: set[int] = set()  # origins whose next event the database does not even let us mark

    def decide_some(self) -> int:
        """Decide some of the events that wait; returns how many. 0: none is left that this process can decide now."""
        origins = self._next_origins()
        if not origins:
            return 0
        try:
            return decide_first(origins, MAX_EVENTS)
        except ROW_ERRORS as error:
            if not is_row_error(error):
                raise
            logger.warning("searching for an event that cannot be used: %s: %s", type(error).__name__, error)
        return sum(self._decide_one(origin) for origin in origins)

    def _next_origins(self) -> list[int]:
        """The next ORIGINS in the order of their ids; after the last one, the first again."""
        found = statements.origins_awaiting_decision(self._last_origin, ORIGINS)
        if len(found) < ORIGINS and self._last_origin:
            found += statements.origins_awaiting_decision(0, ORIGINS - len(found))
        origins = list(dict.fromkeys(found))
        self._last_origin = origins[-1] if len(origins) == ORIGINS else 0
        return [origin for origin in origins if origin not in self._unusable]

    def _decide_one(self, origin: int) -> int:
        """Decide the origin's next event by itself; if that fails, mark it as not posted, so that the others follow."""
        try:
            return decide_first([origin], limit=1)
        except ROW_ERRORS as error:
            if not is_row_error(error):
                raise
            reason = f"the stored event cannot be read or written ({type(error).__name__})"
        try:
            with write_transaction():
                return give_up_first(origin, reason)
        except ROW_ERRORS as error:
            if not is_row_error(error):
                raise
            logger.exception("an event of origin %s cannot be marked as not posted either: its events wait", origin)
            self._unusable.add(origin)
            return 0


def decide_waiting() -> int:
    """Decide everything that waits, and return how many events that was. For commands and tests."""
    decider = Decider()
    total = 0
    while decided := decider.decide_some():
        total += decided
    return total


def decide_first(origin_ids: Sequence[int], limit: int) -> int:
    """Decide the first events of these origins, except of those that another worker decides now; returns how many."""
    # Before the transaction, because it takes most of the time, and on SQLite nobody else can write meanwhile.
    read = _load(_first(origin_ids, limit))
    if not read:
        return 0
    with write_transaction():
        locked = Origin.objects.lock_unlocked({each.event.origin_id for each in read})
        mine = [each for each in read if each.event.origin_id in locked]
        undecided = Event.objects.still_awaiting(each.event.pk for each in mine)
        decided = _decide([each for each in mine if each.event.pk in undecided], _receivers(locked))
        if decided:
            _write(decided)
    telemetry.decided(delivery.state for each in decided for delivery in each.deliveries)
    return len(decided)


def _first(origin_ids: Sequence[int], limit: int) -> list[int]:
    """The ids of the events to decide next, in order: of each origin its first ones."""
    integrations = Integration.objects.count_connected(origin_ids)
    share = max(limit // len(origin_ids), 1)
    first = statements.first_awaiting_decision(
        {pk: max(min(share, MAX_DELIVERIES // (integrations.get(pk) or 1)), 1) for pk in origin_ids}
    )
    return _as_many_as_fit(first)


def _load(ids: Sequence[int]) -> list[Read]:
    """The events with these ids, in their order. One that cannot be loaded is there too, with the reason."""
    events = Event.objects.select_related("origin").order_by("id")
    try:
        return [_read(event) for event in events.filter(pk__in=ids)]
    except (ValueError, RecursionError):  # a column that cannot be read
        return [_load_one(event) for event in events.filter(pk__in=ids).defer("headers", "body", "activity")]


def _load_one(event: Event) -> Read:
    try:
        event.refresh_from_db(fields=["headers", "body", "activity"])
    except (ValueError, RecursionError) as error:
        logger.error("event %s is not posted: %s: %s", event.pk, UNREADABLE, error)
        return Read(event, None, f"{UNREADABLE} ({type(error).__name__})")
    return _read(event)


def give_up_first(origin_id: int, reason: str) -> int:
    """Mark the origin's next event as not posted, without reading it; returns 1. Call it in a transaction."""
    locked = Origin.objects.lock_unlocked([origin_id])
    for pk, _ in statements.first_awaiting_decision(dict.fromkeys(locked, 1)):
        logger.error("event %s is not posted: %s", pk, reason)
        Event.objects.filter(pk=pk).update(awaits_decision=False, why_not=reason[:255])
        Delivery.objects.bulk_create(
            [
                Delivery(event_id=pk, integration=each, state=Delivery.State.UNPOSTED, reason=reason[:500])
                for each in _receivers(locked)[origin_id]
            ]
        )
        return 1
    return 0


def _receivers(origin_ids: Iterable[int]) -> dict[int, list[Integration]]:
    receivers: dict[int, list[Integration]] = defaultdict(list)
    connected = Integration.objects.connected().filter(origin__in=list(origin_ids))
    for integration in connected.only("origin", "filters", "paused_at", "first_event_at", "created_at").order_by("id"):
        receivers[integration.origin_id].append(integration)
    return receivers


def _as_many_as_fit(events: Iterable[tuple[int, int]]) -> list[int]:
    """The ids of the first events, as long as their bodies have no more than MAX_BYTES together; at least one."""
    ids: list[int] = []
    total = 0
    for pk, size in events:
        total += size
        if ids and total > MAX_BYTES:
            break
        ids.append(pk)
    return ids


class _KnownThreads:
    """The latest state of each thread: as the event before stored it, or as an event of this batch has changed it."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, str], Thread | None] = {}

    def over(self, event: Event, activity: Activity) -> Activity:
        """The activity with its thread's whole new state, if its event contains only a part and the rest is known."""
        key = (event.origin_id, event.thread_id)
        if activity.thread.keeps:
            if key not in self._known:
                self._known[key] = _last_thread(event)
            if before := self._known[key]:
                activity = replace(activity, thread=activity.thread.over(before))
        self._known[key] = activity.thread
        return activity


def _last_thread(event: Event) -> Thread | None:
    earlier = Event.objects.filter(origin=event.origin_id, thread_id=event.thread_id, awaits_decision=False)
    before = earlier.order_by("-id").only("activity").first()
    try:
        known = before.read_activity() if before else None
    except InvalidActivity:
        return None  # stored by another version of the bridge
    return known.thread if known else None


def _read(event: Event) -> Read:
    try:
        return Read(event, event.read_again())
    except (UnreadablePayload, InvalidActivity) as error:
        # It was readable when it was accepted, by another version of the bridge.
        return Read(event, None, f"{UNREADABLE}: {error}")
    except Exception as error:  # noqa: BLE001 - logged
        # A bug of ours in reading this event must not hold up those after it.
        return Read(event, None, _bridge_error(event, error))


def _bridge_error(event: Event, error: Exception) -> str:
    logger.error("event %s is not posted: %s", event.pk, BRIDGE_ERROR, exc_info=error)
    return f"{BRIDGE_ERROR}: {type(error).__name__}"


def _decide(events: Iterable[Read], receivers: Mapping[int, list[Integration]]) -> list[Decided]:
    threads = _KnownThreads()
    decided = []
    for read in events:
        event = read.event
        to = [each for each in receivers[event.origin_id] if _is_for(event, each)]
        decided.append(_decide_one(read, to, threads))
    return decided


def _is_for(event: Event, integration: Integration) -> bool:
    """Whether the integration gets the event: it was connected when that arrived, and no other one alone gets it."""
    is_older = integration.created_at <= event.received_at + CLOCK_DIFFERENCE
    return is_older and event.only_for in {None, integration.pk}


def _decide_one(read: Read, integrations: Iterable[Integration], threads: _KnownThreads) -> Decided:
    """What becomes of the event at each integration. The pending deliveries are not scheduled yet."""
    event, why_not = read.event, read.why_not
    if read.parsed:
        try:
            deliveries = [_delivery(event, read.parsed, each) for each in integrations]
            activity = threads.over(event, read.parsed.activity) if read.parsed.activity else None
            return Decided(event, activity, deliveries)
        except Exception as error:
            if isinstance(error, ROW_ERRORS):
                raise
            why_not = _bridge_error(event, error)
    event.why_not = storable(why_not)[:255]
    return Decided(event, None, [_unposted(event, each) for each in integrations])


def _delivery(event: Event, parsed: ParsedEvent, integration: Integration) -> Delivery:
    if parsed.activity is None:
        return _unposted(event, integration)
    verdict = event.origin.service_object.decide(parsed, integration.filters)
    return Delivery(
        event=event,
        integration=integration,
        uuid=Delivery.uuid_of(event, integration),
        thread_id=event.thread_id,
        created_at=event.received_at,
        state=Delivery.State.PENDING if verdict.passes else Delivery.State.FILTERED,
        reason=storable(verdict.reason)[:500],
        rule=verdict.rule,
    )


def _unposted(event: Event, integration: Integration) -> Delivery:
    return Delivery(
        event=event,
        integration=integration,
        created_at=event.received_at,
        state=Delivery.State.UNPOSTED,
        reason=event.why_not,
    )


def _write(decided: Sequence[Decided]) -> None:
    Event.objects.mark_decided(
        [
            (each.event.pk, storable_json(each.activity.as_json()) if each.activity else None, each.event.why_not)
            for each in decided
        ]
    )
    deliveries = [delivery for each in decided for delivery in each.deliveries]
    pending = [delivery for delivery in deliveries if delivery.state == Delivery.State.PENDING]
    # Only the first of each thread, and only if none of it waits already: within a thread, the oldest comes first.
    waiting = Delivery.objects.threads_that_wait({(each.integration_id, each.thread_id) for each in pending})
    for delivery in pending:
        thread = (delivery.integration_id, delivery.thread_id)
        if thread not in waiting and not delivery.integration.paused_at:
            delivery.next_attempt_at = Now()
        waiting.add(thread)
    Delivery.objects.bulk_create(deliveries)
    _note_first_events(decided)
    if pending:
        notifications.notify_workers()


def _note_first_events(decided: Iterable[Decided]) -> None:
    first: dict[int, Event] = {}
    for each in decided:
        for delivery in each.deliveries:
            if each.event.kind != TEST and not delivery.integration.first_event_at:
                first.setdefault(delivery.integration_id, each.event)
    for pk, event in first.items():
        Integration.objects.filter(pk=pk, first_event_at=None).update(first_event_at=event.received_at)
