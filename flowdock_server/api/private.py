"""Private conversations between the caller and one other person. A conversation's id is the other person's id."""

from typing import Annotated, Any, Literal

from django.shortcuts import get_object_or_404
from ninja import Query, Router, Status

from flowdock_server.models import Conversation, PrivateMessage, User
from flowdock_server.models.private import PrivateMessageQuerySet
from flowdock_server.parsing.params import Id, Merged
from flowdock_server.people import private
from flowdock_server.posting import files
from flowdock_server.posting.drafts import BLANK, Content, Name, Rejected, Shape, Tags

from .auth import Person, PersonRequest, person
from .messages import Change, Selection, posted
from .shapes import ConversationShape, PrivateMessageShape, conversation_shape, private_message_shape

router = Router(tags=["private conversations"])

ONE = "/private/{user_id}"
MESSAGES = ONE + "/messages"
ONE_MESSAGE = MESSAGES + "/{number}"
POSTED = {201: PrivateMessageShape, 200: PrivateMessageShape, 202: None}


class ConversationChange(Shape):
    open: bool | None = None


class PrivateDraft(Shape):
    """A message to one person: `content` is its text or, with the event `file`, the file."""

    event: Literal["message", "file"]
    content: Content = ""
    tags: Tags = []
    uuid: Name = ""


@router.get("/private", auth=person("private"), response=list[ConversationShape])
def conversations(request: PersonRequest) -> list[ConversationShape]:
    """List the private conversations of the caller, both open and closed ones."""
    user = request.auth.user
    found = Conversation.objects.of(user).select_related("first", "second")
    return [conversation_shape(conversation, user, request.auth.sees_email_of) for conversation in found]


@router.get(ONE, auth=person("private"), response=ConversationShape)
def conversation(request: PersonRequest, user_id: int) -> ConversationShape:
    """Retrieve the caller's private conversation with a user. It is created if there is none yet.

    404 if the caller cannot write to this user.
    """
    return conversation_shape(_with(request.auth, user_id), request.auth.user, request.auth.sees_email_of)


@router.api_operation(["PUT", "PATCH"], ONE, auth=person("private"), response=ConversationShape)
def change_conversation(
    request: PersonRequest, user_id: int, change: Annotated[ConversationChange, Merged(...)]
) -> ConversationShape:
    """Open or close a private conversation for the caller. A new message in it opens it again."""
    found, user = _with(request.auth, user_id), request.auth.user
    if change.open is not None:
        found.set_open(user, change.open)
    return conversation_shape(found, user, request.auth.sees_email_of)


@router.post(MESSAGES, auth=person("private"), response=POSTED)
def post_private_message(request: PersonRequest, user_id: int, draft: Annotated[PrivateDraft, Merged(...)]) -> Any:
    """Send a private message or a file to a user. 404 if the caller cannot write to this user."""
    other = _other(request.auth, user_id)
    content, upload = "", None
    if draft.event == "file":
        upload = files.Upload.read(draft.content, "content")
    elif not isinstance(draft.content, str):
        raise Rejected({"content": ["must be a string"]})
    elif not draft.content.strip():
        raise Rejected({"content": [BLANK]})
    else:
        content = draft.content
    message = private.post(content, upload=upload, tags=draft.tags, by=request.auth.user, to=other, uuid=draft.uuid)
    return posted(request, lambda: private_message_shape(message))


@router.get(MESSAGES, auth=person("private"), response=list[PrivateMessageShape])
def private_messages(request: PersonRequest, user_id: int, selection: Query[Selection]) -> list[PrivateMessageShape]:
    """List messages of the caller's private conversation with a user, ordered by id."""
    conversation = _with(request.auth, user_id)
    found = _of(conversation)
    if selection.events:
        found = found.filter(event__in=selection.events)
    for names in selection.tag_names(lambda: private.people_of(conversation)):
        found = found.with_one_of(names)
    if words := selection.search.split():
        return [private_message_shape(message) for message in selection.page(found.containing(words))]
    return [private_message_shape(message) for message in selection.page(selection.between(found))]


@router.get(ONE_MESSAGE, auth=person("private"), response=PrivateMessageShape)
def one_private_message(request: PersonRequest, user_id: int, number: Id) -> PrivateMessageShape:
    """Retrieve a private message by the id of the other person and its own id."""
    return private_message_shape(_one(request.auth, user_id, number))


@router.api_operation(["PUT", "PATCH"], ONE_MESSAGE, auth=person("private"), response=dict[str, Any])
def change_private_message(
    request: PersonRequest, user_id: int, number: Id, change: Annotated[Change, Merged(...)]
) -> dict[str, Any]:
    """Change the text of one of the caller's private messages, or the tags of any message of the conversation.

    403 for the text of the other person's message.
    """
    message = _one(request.auth, user_id, number)
    if change.content is not None and not isinstance(change.content, str):
        raise Rejected({"content": ["must be a string"]})
    private.edit(message, request.auth.user, content=change.content, tags=change.tags)
    return {}


@router.delete(ONE_MESSAGE, auth=person("private"), response={204: None, 200: dict[str, Any]})
def delete_private_message(request: PersonRequest, user_id: int, number: Id) -> Status[Any]:
    """Delete a file (204) or the content of a message (200) that the caller sent in a private conversation.

    403 for the other person's message or file.
    """
    message = _one(request.auth, user_id, number)
    return Status(204, None) if private.delete(message, request.auth.user) else Status(200, {})


def _other(caller: Person, user_id: int) -> User:
    return get_object_or_404(private.partners(caller.user), pk=user_id)


def _with(caller: Person, user_id: int) -> Conversation:
    return Conversation.between(caller.user, _other(caller, user_id))


def _one(caller: Person, user_id: int, number: int) -> PrivateMessage:
    return get_object_or_404(_of(_with(caller, user_id)), number=number)


def _of(conversation: Conversation) -> PrivateMessageQuerySet:
    return conversation.messages.select_related("conversation").prefetch_related("attachments")
