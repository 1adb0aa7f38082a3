"""Messages: posting them in all versions of the API, listing, changing and deleting them."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from django.conf import settings
from django.db import connection
from django.db.models import Exists, F, OuterRef, QuerySet, UUIDField
from django.db.models.functions import Coalesce
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404
from ninja import Query, Router, Status
from pydantic import BaseModel, BeforeValidator, Field

from flowdock_server.models import Flow, Message, Tag, Thread
from flowdock_server.parsing.params import DEFAULT_LIMIT, Limit, Merged
from flowdock_server.posting import chat_threads, messages, search, tagging
from flowdock_server.posting.drafts import BLANK, INBOX_EVENTS, Content, Draft, Rejected, Shape, Tags

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


def _blank_is_absent(value: Any) -> Any:
    return None if value == "" else value


Number = Annotated[int | None, Field(ge=0, le=2**62), BeforeValidator(_blank_is_absent)]


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
    """Post a message, comment, status, file or activity to a flow.

    The flow is that of the flow token, or `flow`: its id. 404 if the caller is not a member of the flow.
    """
    return _post(request, draft, _flow_named(request.auth, draft.flow), response)


@router.post("/activities", auth=[ActivityToken(), *person("flow")], response=POSTED, deprecated=True)
def post_activity(request: ApiRequest, response: HttpResponse, draft: Annotated[DraftToFlow, Merged(...)]) -> Any:
    """Post an activity or a discussion in the format of October 2014, in which `thread_id` is the source's own key.

    Deprecated: use `/messages` with `external_thread_id`. 400 for other events.
    """
    if not draft.belongs_in_inbox:
        raise Rejected({"event": [f"must be {' or '.join(INBOX_EVENTS)}"]})
    return _post(request, draft, _flow_named(request.auth, draft.flow), response)


@router.post("/comments", auth=person_or_source("flow"), response=POSTED)
def post_comment(request: ApiRequest, response: HttpResponse, draft: Annotated[DraftComment, Merged(...)]) -> Any:
    """Post a comment on the message whose id is `message`. `flow` is the id of the flow; a flow token implies it."""
    return _post(request, draft, _flow_named(request.auth, draft.flow), response)


@router.post(OF_FLOW, auth=person_or_source("flow"), response=POSTED)
def post_to_flow(
    request: ApiRequest, response: HttpResponse, organization: str, flow: str, draft: Annotated[Draft, Merged(...)]
) -> Any:
    """Post a message, comment, status or file to a flow. Activities and discussions require a source's flow token.

    404 if the caller is not a member of the flow.
    """
    return _post(request, draft, open_flow(request.auth, organization, flow), response)


@router.post(OF_FLOW + "/{number}/comments", auth=person_or_source("flow"), response=POSTED)
def comment_on(
    request: ApiRequest,
    response: HttpResponse,
    organization: str,
    flow: str,
    number: int,
    draft: Annotated[DraftComment, Merged(...)],
) -> Any:
    """Post a comment on the message whose id is `number`. 404 if the flow does not have this message."""
    opened = open_flow(request.auth, organization, flow)
    get_object_or_404(opened.messages, number=as_number(number))
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
    """List messages of a flow, ordered by id: the newest ones, unless `sort` or `since_id` say otherwise."""
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
def one_message(request: PersonRequest, organization: str, flow: str, number: int) -> MessageShape:
    """Retrieve a message of a flow by its id, with its thread and attachments."""
    return message_shapes([_one(request.auth, organization, flow, number)])[0]


@router.api_operation(["PUT", "PATCH"], ONE, auth=person("flow"), response=dict[str, Any])
def change_message(
    request: PersonRequest, organization: str, flow: str, number: int, change: Annotated[Change, Merged(...)]
) -> dict[str, Any]:
    """Change the content of one of the caller's messages or comments, or the tags of any message of the flow.

    403 for the content of another person's message.
    """
    message = _one(request.auth, organization, flow, number)
    if change.content is not None and not isinstance(change.content, str):
        raise Rejected({"content": ["must be a text"]})
    messages.edit(message, request.auth.user, content=change.content, tags=change.tags)
    return {}


@router.delete(ONE, auth=person("flow"), response={204: None, 200: dict[str, Any]})
def delete_message(request: PersonRequest, organization: str, flow: str, number: int) -> Status[Any]:
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
    return get_object_or_404(loaded(opened.messages.all()), number=as_number(number))


def as_number(number: int) -> int:
    """`number` itself. Raises Http404 if it is outside of what a database can compare."""
    if not 0 <= number < 2**62:
        raise Http404
    return number


# A condition that at most so many messages meet is looked up first, and the rest of the query runs on these messages.
# Other conditions are checked while going back from the newest message.
FEW = 2000


def _listed(found: QuerySet[Message], flow: Flow, selection: Selection) -> list[MessageShape]:
    """List what `selection` asks for.

    The query is planned here and not by the database, whose statistics do not cover single tags and words, so that
    its own plan is often slow.
    """
    tags = _tags(flow, selection)
    is_search = bool(selection.search.strip())
    scarce: list[list[int] | None] = [_with_tag(flow, names) for names in tags]
    if is_search:
        alone = not tags and not selection.events
        scarce.append(search.few(flow.pk, selection.search, FEW, alone=alone))
    if selection.events and (scarce or len(selection.events) > 1):
        scarce.append(_few(Message.objects.filter(flow=flow, event__in=selection.events)))
    keys = min((some for some in scarce if some is not None), key=len, default=None)
    if selection.events:
        found = found.filter(event__in=selection.events)
    if keys is not None:
        found = found.filter(pk__in=keys)
    for names in tags:
        found = found.filter(_has_tag(names))
    found = loaded(found)
    if is_search:
        found = search.matching(found, flow.pk, selection.search)
        return message_shapes(selection.page(found, "number" if keys is not None else "indexed"))
    return message_shapes(selection.page(selection.between(found)))


def _tags(flow: Flow, selection: Selection) -> list[list[str]]:
    """Lists of tag names: a message matches if it has one tag of each list."""
    tags = [tag for tag in selection.tags.split(",") if tag.strip()]
    if not tags:
        return []
    people = tagging.People.of(flow) if "@" in selection.tags else tagging.People()
    names = list(tagging.searched(tags, people))
    return [[name for some in names for name in some]] if selection.tag_mode == "or" else names


def _with_tag(flow: Flow, names: list[str]) -> list[int] | None:
    tagged = Tag.objects.filter(name__in=names)
    if connection.vendor == "sqlite":
        # An expression, which no index covers: without statistics SQLite would use the index of the flow and go through
        # all its messages instead of those with the tag.
        of_flow = Coalesce(F("message__flow"), None, output_field=UUIDField())
        return _few(tagged.alias(of_flow=of_flow).filter(of_flow=flow.pk), key="message")
    return _few(tagged.filter(message__flow=flow), key="message")


def _few(found: QuerySet[Any], key: str = "pk") -> list[int] | None:
    """Their keys, or None if there are more than FEW."""
    keys = list(found.order_by().values_list(key, flat=True)[: FEW + 1])
    return keys if len(keys) <= FEW else None


def _has_tag(names: list[str]) -> Exists:
    # A subquery for each message instead of a list of all messages with the tag, which may be half of them.
    return Exists(Tag.objects.filter(name__in=names, message=OuterRef("pk")))
