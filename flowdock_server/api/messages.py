"""Messages: posting them in all versions of the API, listing, changing and deleting them."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from django.conf import settings
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404
from ninja import Query, Router, Status
from pydantic import BaseModel, BeforeValidator, Field

from flowdock_server.models import Flow, Message, Thread
from flowdock_server.models.messages import MessageQuerySet
from flowdock_server.parsing.empty_values import empty_is_none
from flowdock_server.parsing.numbers import LARGEST
from flowdock_server.parsing.params import DEFAULT_LIMIT, Id, Limit, Merged
from flowdock_server.posting import chat_threads, finding, messages, tagging
from flowdock_server.posting.drafts import ACTIVITY_EVENTS, BLANK, Content, Draft, Rejected, Shape, Tags

from .auth import ActivityToken, ApiRequest, Caller, PersonRequest, person, person_or_source
from .flows import open_flow, open_flow_by_id
from .shapes import MessageShape, loaded, message_shapes

router = Router(tags=["messages"])

OF_FLOW = "/flows/{organization}/{flow}/messages"
OF_THREAD = "/flows/{organization}/{flow}/threads/{thread_id}/messages"
ONE = OF_FLOW + "/{number}"
POSTED = {201: MessageShape, 200: MessageShape, 202: None}


class DraftToFlow(Draft):
    flow: Annotated[str, Field(max_length=255)] = ""


class DraftComment(DraftToFlow):
    event: Literal["comment"] = "comment"


class Change(Shape):
    """Fields that are absent do not change. `tags` is the whole new list."""

    content: Content | None = None
    tags: Tags | None = None


Number = Annotated[int | None, Field(ge=0, le=LARGEST), BeforeValidator(empty_is_none)]


class Paging(BaseModel):
    """Which messages a list shows, and how it is paged."""

    event: Annotated[str, Field(max_length=1000)] = ""
    limit: Limit = DEFAULT_LIMIT
    sort: Literal["asc", "desc"] = "desc"
    since_id: Number = None
    until_id: Number = None
    skip: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    search: Annotated[str, Field(max_length=500)] = ""

    @property
    def events(self) -> list[str]:
        return [event.strip() for event in self.event.split(",") if event.strip()]

    def between(self, found: QuerySet[Any]) -> QuerySet[Any]:
        """The messages after `since_id` and before `until_id`. A search ignores both and is paged by `skip`."""
        if self.since_id is not None:
            found = found.filter(number__gt=self.since_id)
        if self.until_id is not None:
            found = found.filter(number__lt=self.until_id)
        return found

    def page(self, found: QuerySet[Any], order: str = "number") -> list[Any]:
        """One page, of the newest or the oldest messages, in ascending order of their numbers."""
        found = found.order_by(f"-{order}" if self.sort == "desc" else order)
        return sorted(found[self.skip : self.skip + self.limit], key=lambda message: message.number)


class Selection(Paging):
    tags: Annotated[str, Field(max_length=1000)] = ""
    tag_mode: Literal["and", "or"] = "and"

    def tag_names(self, people: Callable[[], tagging.People]) -> list[list[str]]:
        """Lists of tag names: a message matches if it has one tag of each list. `people` is asked for mentions only."""
        tags = [tag for tag in self.tags.split(",") if tag.strip()]
        names = list(tagging.search_names(tags, people() if "@" in self.tags else tagging.People()))
        return [[name for some in names for name in some]] if names and self.tag_mode == "or" else names


def _post(request: ApiRequest, draft: Draft, flow: Flow, response: HttpResponse, thread: Thread | None = None) -> Any:
    caller = request.auth
    message = messages.post(draft, flow=flow, source=caller.source, user=caller.user, thread=thread)
    response["Link"] = f'<{message.url}/comments>; rel="comments"'
    return posted(request, lambda: message_shapes([message], with_email=caller.sees("email"))[0])


def posted(request: HttpRequest, shape: Callable[[], Any]) -> Status[Any] | JsonResponse:
    """The response to a new message: 201; 200 if the client asks to wait for it; 202 if the server is set up so."""
    if "X-flowdock-wait-for-message" in request.headers:
        return Status(200, shape())
    if settings.ANSWER_POSTS_WITH_202_AND_JSON:
        return JsonResponse({}, status=202, content_type="application/json; charset=utf-8")
    return Status(202, None) if settings.ANSWER_POSTS_WITH_202 else Status(201, shape())


def _flow_named(caller: Caller, flow_id: str) -> Flow:
    """The flow that a message posted to /messages belongs to: the flow token's, or the one that `flow` names."""
    if caller.source:
        flow = caller.source.flow
        if flow_id and flow_id != str(flow.pk) and open_flow_by_id(caller, flow_id) != flow:
            raise Http404
        return flow
    if not flow_id:
        raise Rejected({"flow": [BLANK]})
    return open_flow_by_id(caller, flow_id)


@router.post("/messages", auth=person_or_source("flow"), response=POSTED)
def post_message(request: ApiRequest, response: HttpResponse, draft: Annotated[DraftToFlow, Merged(...)]) -> Any:
    """Post a message, comment, status, file or activity to the flow of the flow token, or to that with the id `flow`.

    404 if the caller is not a member of the flow.
    """
    return _post(request, draft, _flow_named(request.auth, draft.flow), response)


@router.post("/activities", auth=[ActivityToken(), *person("flow")], response=POSTED, deprecated=True)
def post_activity(request: ApiRequest, response: HttpResponse, draft: Annotated[DraftToFlow, Merged(...)]) -> Any:
    """Post an activity or a discussion in the format of October 2014, in which `thread_id` is the source's own key.

    Deprecated: use `/messages` with `external_thread_id`. 400 for other events.
    """
    if not draft.belongs_in_inbox:
        raise Rejected({"event": [f"must be {' or '.join(ACTIVITY_EVENTS)}"]})
    return _post(request, draft, _flow_named(request.auth, draft.flow), response)


@router.post("/comments", auth=person_or_source("flow"), response=POSTED)
def post_comment(request: ApiRequest, response: HttpResponse, draft: Annotated[DraftComment, Merged(...)]) -> Any:
    """Post a comment on the message whose id is `message`. `flow` is the id of the flow; a flow token implies it."""
    return _post(request, draft, _flow_named(request.auth, draft.flow), response)


@router.post(OF_FLOW, auth=person_or_source("flow"), response=POSTED)
def post_to_flow(
    request: ApiRequest, response: HttpResponse, organization: str, flow: str, draft: Annotated[Draft, Merged(...)]
) -> Any:
    """Post a message, comment, status, file or activity to the flow in the path.

    404 if the caller is not a member of the flow.
    """
    return _post(request, draft, open_flow(request.auth, organization, flow), response)


@router.post(OF_FLOW + "/{number}/comments", auth=person_or_source("flow"), response=POSTED)
def comment_on(
    request: ApiRequest,
    response: HttpResponse,
    organization: str,
    flow: str,
    number: Id,
    draft: Annotated[DraftComment, Merged(...)],
) -> Any:
    """Post a comment on the message whose id is `number`. 404 if the flow does not have this message."""
    opened = open_flow(request.auth, organization, flow)
    get_object_or_404(opened.messages, number=number)
    return _post(request, draft.model_copy(update={"message": number}), opened, response)


@router.post(OF_THREAD, auth=person_or_source("flow"), response=POSTED)
def post_to_thread(
    request: ApiRequest,
    response: HttpResponse,
    organization: str,
    flow: str,
    thread_id: str,
    draft: Annotated[Draft, Merged(...)],
) -> Any:
    """Post a message or a file to an existing thread of a flow. 404 if the flow does not have this thread."""
    opened = open_flow(request.auth, organization, flow)
    return _post(request, draft, opened, response, thread=_thread(opened, thread_id))


@router.get(OF_FLOW, auth=person("flow"), response=list[MessageShape])
def flow_messages(
    request: PersonRequest, organization: str, flow: str, selection: Query[Selection]
) -> list[MessageShape]:
    """List messages of a flow, ordered by id.

    If there are more than `limit`, the newest are listed, or with `sort=asc` the oldest. 404 if the caller is not a
    member of the flow.
    """
    opened = open_flow(request.auth, organization, flow)
    return _listed(opened.messages.all(), opened, selection)


@router.get(OF_THREAD, auth=person("flow"), response=list[MessageShape])
def thread_messages(
    request: PersonRequest, organization: str, flow: str, thread_id: str, selection: Query[Selection]
) -> list[MessageShape]:
    """List messages of a thread, ordered by id. 404 if the flow does not have this thread."""
    opened = open_flow(request.auth, organization, flow)
    thread = _thread(opened, thread_id)
    if thread._state.adding:  # its only message gets a thread when somebody replies
        return _listed(opened.messages.filter(number=thread.initial_number), opened, selection)
    return _listed(Message.objects.filter(thread=thread), opened, selection)


@router.get(ONE, auth=person("flow"), response=MessageShape)
def one_message(request: PersonRequest, organization: str, flow: str, number: Id) -> MessageShape:
    """Retrieve a message of a flow by its id, with its thread and attachments."""
    return message_shapes([_one(request.auth, organization, flow, number)])[0]


@router.api_operation(["PUT", "PATCH"], ONE, auth=person("flow"), response=dict[str, Any])
def change_message(
    request: PersonRequest, organization: str, flow: str, number: Id, change: Annotated[Change, Merged(...)]
) -> dict[str, Any]:
    """Change the content of one of the caller's messages or comments, or the tags of any message of the flow.

    403 for the content of another person's message.
    """
    message = _one(request.auth, organization, flow, number)
    if change.content is not None and not isinstance(change.content, str):
        raise Rejected({"content": ["must be a string"]})
    messages.edit(message, request.auth.user, content=change.content, tags=change.tags)
    return {}


@router.delete(ONE, auth=person("flow"), response={204: None, 200: dict[str, Any]})
def delete_message(request: PersonRequest, organization: str, flow: str, number: Id) -> Status[Any]:
    """Delete an inbox message or one of the caller's files (204), or the content of their chat message (200).

    403 for another person's message or file.
    """
    message = _one(request.auth, organization, flow, number)
    return Status(204, None) if messages.delete(message, request.auth.user) else Status(200, {})


def _thread(flow: Flow, thread_id: str) -> Thread:
    """The thread, stored or not. Raises Http404 if the flow does not have it."""
    if (thread := chat_threads.find(flow, thread_id)) is None:
        raise Http404
    return thread


def _one(caller: Caller, organization: str, flow: str, number: int) -> Message:
    opened = open_flow(caller, organization, flow)
    return get_object_or_404(loaded(opened.messages.all()), number=number)


def _listed(found: MessageQuerySet, flow: Flow, selection: Selection) -> list[MessageShape]:
    tags = selection.tag_names(lambda: tagging.People.of(flow))
    matching = finding.find(found, flow, words=selection.search, tags=tags, events=selection.events)
    messages = loaded(matching.messages)
    if not selection.search.strip():
        messages = selection.between(messages)
    return message_shapes(selection.page(messages, matching.order))
