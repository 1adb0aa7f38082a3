"""Messages: posting them in every dialect, and reading them."""

from typing import Annotated, Any, Literal

from django.conf import settings
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from ninja import Query, Router, Status
from pydantic import BaseModel, Field

from flowdock_server import messages
from flowdock_server.drafts import BLANK, INBOX_EVENTS, Draft, Rejected
from flowdock_server.models import Flow, Message, Tag, Thread

from .auth import ActivityToken, Caller, person, person_or_source
from .flows import open_flow, open_flow_by_id
from .params import Merged
from .shapes import MessageShape, ThreadShape, message_shape, thread_shape

router = Router(tags=["messages"])

OF_FLOW = "/flows/{organization}/{flow}/messages"
OF_THREAD = "/flows/{organization}/{flow}/threads/{thread_id}/messages"
POSTED = {201: MessageShape, 200: MessageShape, 202: None}


class DraftToFlow(Draft):
    flow: Annotated[str, Field(max_length=255)] = ""


class DraftComment(DraftToFlow):
    event: Literal["comment"] = "comment"


class Selection(BaseModel):
    """Which messages a list shows, and how it is paged."""

    event: str = ""
    limit: Annotated[int, Field(ge=1, le=100)] = 30
    sort: Literal["asc", "desc"] = "desc"
    since_id: Annotated[int | None, Field(ge=0, le=2**62)] = None
    until_id: Annotated[int | None, Field(ge=0, le=2**62)] = None
    skip: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    tags: Annotated[str, Field(max_length=1000)] = ""
    tag_mode: Literal["and", "or"] = "and"
    search: Annotated[str, Field(max_length=500)] = ""


def _post(request: HttpRequest, draft: Draft, flow: Flow, response: HttpResponse, thread: Thread | None = None):
    caller: Caller = request.auth
    message = messages.post(draft, flow=flow, source=caller.source, user=caller.user, thread=thread)
    response["Link"] = f'<{message.url}/comments>; rel="comments"'
    if "X-flowdock-wait-for-message" in request.headers:
        status = 200
    elif settings.ANSWER_POSTS_WITH_202:
        return Status(202, None)
    else:
        status = 201
    return Status(status, _shapes([message])[0])


def _flow_named(caller: Caller, flow_id: str) -> Flow:
    """The flow that a post at the root names; a flow token has its own."""
    if caller.source:
        flow = caller.source.flow
        if flow_id and flow_id != str(flow.pk) and open_flow_by_id(caller, flow_id) != flow:
            raise Http404
        return flow
    if not flow_id:
        raise Rejected({"flow": [BLANK]})
    return open_flow_by_id(caller, flow_id)


@router.post("/messages", auth=person_or_source("flow"), response=POSTED)
def post_message(request: HttpRequest, response: HttpResponse, draft: Annotated[DraftToFlow, Merged(...)]) -> Any:
    """Post to the flow that the flow token opens, or that `flow` names."""
    return _post(request, draft, _flow_named(request.auth, draft.flow), response)


@router.post("/activities", auth=[ActivityToken(), *person("flow")], response=POSTED, deprecated=True)
def post_activity(request: HttpRequest, response: HttpResponse, draft: Annotated[DraftToFlow, Merged(...)]) -> Any:
    """The same as it was in October 2014: activities and discussions only, `thread_id` is the poster's own key."""
    if not draft.belongs_in_inbox:
        raise Rejected({"event": [f"must be one of {' or '.join(INBOX_EVENTS)}"]})
    return _post(request, draft, _flow_named(request.auth, draft.flow), response)


@router.post("/comments", auth=person_or_source("flow"), response=POSTED)
def post_comment(request: HttpRequest, response: HttpResponse, draft: Annotated[DraftComment, Merged(...)]) -> Any:
    """Comment on the message whose number is `message`."""
    return _post(request, draft, _flow_named(request.auth, draft.flow), response)


@router.post(OF_FLOW, auth=person_or_source("flow"), response=POSTED)
def post_to_flow(
    request: HttpRequest, response: HttpResponse, organization: str, flow: str, draft: Annotated[Draft, Merged(...)]
) -> Any:
    """Post to a flow."""
    return _post(request, draft, open_flow(request.auth, organization, flow), response)


@router.post(OF_FLOW + "/{number}/comments", auth=person_or_source("flow"), response=POSTED)
def comment_on(
    request: HttpRequest,
    response: HttpResponse,
    organization: str,
    flow: str,
    number: int,
    draft: Annotated[DraftComment, Merged(...)],
) -> Any:
    """Comment on a message."""
    opened = open_flow(request.auth, organization, flow)
    get_object_or_404(opened.messages, number=_number(number))
    return _post(request, draft.model_copy(update={"message": number}), opened, response)


@router.post(OF_THREAD, auth=person_or_source("flow"), response=POSTED)
def post_to_thread(
    request: HttpRequest,
    response: HttpResponse,
    organization: str,
    flow: str,
    thread_id: str,
    draft: Annotated[Draft, Merged(...)],
) -> Any:
    """Post to a thread."""
    opened = open_flow(request.auth, organization, flow)
    return _post(request, draft, opened, response, thread=get_object_or_404(opened.threads, pk=thread_id))


@router.get(OF_FLOW, auth=person("flow"), response=list[MessageShape])
def flow_messages(
    request: HttpRequest, organization: str, flow: str, selection: Query[Selection]
) -> list[MessageShape]:
    """Messages of a flow, in the order of their ids."""
    return _listed(open_flow(request.auth, organization, flow).messages.all(), selection)


@router.get(OF_THREAD, auth=person("flow"), response=list[MessageShape])
def thread_messages(
    request: HttpRequest, organization: str, flow: str, thread_id: str, selection: Query[Selection]
) -> list[MessageShape]:
    """Messages of a thread, in the order of their ids."""
    opened = open_flow(request.auth, organization, flow)
    thread = get_object_or_404(opened.threads, pk=thread_id)
    return _listed(Message.objects.filter(thread=thread), selection)


@router.get(OF_FLOW + "/{number}", auth=person("flow"), response=MessageShape)
def one_message(request: HttpRequest, organization: str, flow: str, number: int) -> MessageShape:
    """One message."""
    opened = open_flow(request.auth, organization, flow)
    return _shapes([get_object_or_404(_loaded(opened.messages.all()), number=_number(number))])[0]


def _number(number: int) -> int:
    """A number that a database can compare."""
    if not 0 <= number < 2**62:
        raise Http404
    return number


def _loaded(found: QuerySet[Message]) -> QuerySet[Message]:
    return found.select_related(
        "flow__organization", "parent", "thread__source__application", "thread__source__creator"
    )


def _listed(found: QuerySet[Message], selection: Selection) -> list[MessageShape]:
    if events := [event for event in selection.event.split(",") if event]:
        found = found.filter(event__in=events)
    if tags := [tag.strip().removeprefix("#").lower() for tag in selection.tags.split(",") if tag.strip()]:
        found = _tagged(found, tags, selection.tag_mode)
    if words := selection.search.split():
        for word in words:
            found = found.filter(Q(content__icontains=word) | Q(title__icontains=word) | Q(body__icontains=word))
    else:
        # Ignored in a search, which is paged by `skip`.
        if selection.since_id is not None:
            found = found.filter(number__gt=selection.since_id)
        if selection.until_id is not None:
            found = found.filter(number__lt=selection.until_id)
    newest = selection.sort == "desc"
    page = _loaded(found).order_by("-number" if newest else "number")
    page = page[selection.skip : selection.skip + selection.limit]
    return _shapes(sorted(page, key=lambda message: message.number))


def _tagged(found: QuerySet[Message], tags: list[str], mode: str) -> QuerySet[Message]:
    if mode == "or":
        return found.filter(pk__in=Tag.objects.filter(name__in=tags).values("message"))
    for tag in tags:
        found = found.filter(pk__in=Tag.objects.filter(name=tag).values("message"))
    return found


def _shapes(found: list[Message]) -> list[MessageShape]:
    """A message in a thread carries the whole thread: its shape is made once for all of its messages."""
    threads: dict[str, ThreadShape] = {}
    for message in found:
        if (thread := message.thread) and thread.pk not in threads:
            thread.flow = message.flow
            threads[thread.pk] = thread_shape(thread)
    return [message_shape(message, threads.get(message.thread_id or "")) for message in found]
