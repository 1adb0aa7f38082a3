"""Threads: listing and retrieving them. They change only by messages that are posted."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import urlencode

from django.db.models import Q, prefetch_related_objects
from django.http import Http404, HttpResponse
from ninja import Query, Router
from pydantic import AfterValidator, BaseModel, BeforeValidator, Field

from flowdock_server.models import Flow, Thread
from flowdock_server.models.messages import ThreadQuerySet
from flowdock_server.parsing.numbers import whole_number
from flowdock_server.parsing.params import DEFAULT_LIMIT, Limit
from flowdock_server.posting import chat_threads

from .auth import PersonRequest, person
from .flows import open_flow
from .shapes import ThreadShape, moment, thread_shape

router = Router(tags=["threads"])


def _readable(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    # An empty value counts as absent. A + that was not encoded, as in +02:00, arrives as a space.
    return re.sub(r"\A([^\sT]+T\S+) (\d\d:?\d\d)\Z", r"\1+\2", value) or None


def _in_utc(value: datetime | None) -> datetime | None:
    """`value`, in UTC if it has no time zone, as from Python's utcnow().isoformat()."""
    return value.replace(tzinfo=UTC) if value and value.tzinfo is None else value


Moment = Annotated[datetime | None, BeforeValidator(_readable), AfterValidator(_in_utc)]


class Selection(BaseModel):
    """Which threads a list shows.

    `before` is part of the links to the next page, beside `until`: the id of the last thread of this page or, if that
    thread is not stored, the number of its message. Of threads with the same time, the stored ones come first.
    """

    since: Moment = None
    until: Moment = None
    before: Annotated[str, Field(max_length=27)] = ""
    application: Annotated[str, Field(max_length=255)] = ""
    empty: bool = False
    limit: Limit = DEFAULT_LIMIT


@router.get("/flows/{organization}/{flow}/threads", auth=person("flow"), response=list[ThreadShape])
def flow_threads(
    request: PersonRequest, response: HttpResponse, organization: str, flow: str, selection: Query[Selection]
) -> list[ThreadShape]:
    """List the threads of a flow, most recently updated first. The header `Link` has the URL of the next page.

    `application` is `chat`, `inbox` or the id of an OAuth application. `since` and `until` compare the time of a
    thread's last message.
    """
    opened = open_flow(request.auth, organization, flow)
    found = _selected(opened.threads.all(), selection)
    page = list(_loaded(found).newest_first()[: selection.limit + 1])
    if selection.application in ("", "chat"):
        # The sort is stable, so each of the two lists keeps its order.
        page = sorted([*page, *_unanswered(opened, selection)], key=lambda thread: thread.updated_at, reverse=True)
        page = page[: selection.limit + 1]
    if len(page) > selection.limit:
        page.pop()
        response["Link"] = f'<{opened.url}/threads?{_next(selection, page[-1])}>; rel="next"'
    return [thread_shape(thread) for thread in page]


@router.get("/flows/{organization}/{flow}/threads/{thread_id}", auth=person("flow"), response=ThreadShape)
def one_thread(request: PersonRequest, organization: str, flow: str, thread_id: str) -> ThreadShape:
    """Retrieve a thread of a flow by its id, with its current state and counters."""
    opened = open_flow(request.auth, organization, flow)
    thread = chat_threads.find(opened, thread_id, _loaded(Thread.objects.all()))
    if thread is None:
        raise Http404
    thread.flow = opened
    return thread_shape(thread)


def _unanswered(flow: Flow, selection: Selection) -> list[Thread]:
    """A page of the chat threads that consist of one message which nobody has replied to. They are not stored."""
    found = chat_threads.without_replies(flow)
    if selection.since:
        found = found.filter(created_at__gt=selection.since)
    if selection.until and selection.before:
        found = found.filter(created_at__lte=selection.until)
        if number := whole_number(selection.before):
            found = found.filter(Q(created_at__lt=selection.until) | Q(number__lt=number))
    elif selection.until:
        found = found.filter(created_at__lt=selection.until)
    messages = list(found.order_by("-created_at", "-number")[: selection.limit + 1])
    prefetch_related_objects([message for message in messages if ":file" in message.tags], "attachments")
    threads = [chat_threads.thread_of_one(message) for message in messages]
    for thread in threads:
        thread.flow = flow
    return threads


def _loaded(found: ThreadQuerySet) -> ThreadQuerySet:
    return found.select_related("flow__organization", "source__application", "source__creator")


def _selected(found: ThreadQuerySet, selection: Selection) -> ThreadQuerySet:
    if not selection.empty:
        found = found.not_empty()
    if selection.since:
        found = found.filter(updated_at__gt=selection.since)
    if selection.until:
        if whole_number(selection.before):
            found = found.filter(updated_at__lt=selection.until)
        elif selection.before:
            found = found.before(selection.until, selection.before)
        else:
            found = found.filter(updated_at__lt=selection.until)
    return _of_application(found, selection.application)


def _of_application(found: ThreadQuerySet, application: str) -> ThreadQuerySet:
    """The threads of an OAuth application, by its client id or its id; "chat" and "inbox" stand for these threads."""
    match application:
        case "":
            return found
        case "chat":
            return found.of_chat()
        case "inbox":
            return found.from_outside()
    return found.of_application(application)


def _next(selection: Selection, last: Thread) -> str:
    query = selection.model_dump(exclude_defaults=True, mode="json")
    before = last.initial_number if last._state.adding else last.pk
    return urlencode(query | {"until": moment(last.updated_at), "before": before})
