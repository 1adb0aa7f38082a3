"""Private conversations: between the caller and one other person, by whose id they go."""

from typing import Annotated, Any, Literal

from django.db.models import QuerySet
from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Query, Router

from flowdock_server import private
from flowdock_server.drafts import BLANK, Content, Name, Rejected, Shape
from flowdock_server.models import Conversation, PrivateMessage, User

from .auth import Caller, person
from .messages import Paging, as_number
from .params import Merged
from .shapes import ConversationShape, PrivateMessageShape, conversation_shape, private_message_shape

router = Router(tags=["private conversations"])

ONE = "/private/{user_id}"
MESSAGES = ONE + "/messages"


class ConversationChange(Shape):
    open: bool | None = None


class PrivateDraft(Shape):
    """What is said: only `message` is known in private. Tags are not kept."""

    event: Literal["message"]
    content: Content = ""
    uuid: Name = ""


@router.get("/private", auth=person("private"), response=list[ConversationShape])
def conversations(request: HttpRequest) -> list[ConversationShape]:
    """The caller's conversations."""
    user = request.auth.user
    found = Conversation.objects.of(user).select_related("first", "second")
    return [conversation_shape(conversation, user, request.auth.sees_email_of) for conversation in found]


@router.get(ONE, auth=person("private"), response=ConversationShape)
def conversation(request: HttpRequest, user_id: int) -> ConversationShape:
    """The caller's conversation with the user of that id; it begins when it is first asked for."""
    return conversation_shape(_with(request.auth, user_id), request.auth.user, request.auth.sees_email_of)


@router.api_operation(["PUT", "PATCH"], ONE, auth=person("private"), response=ConversationShape)
def change_conversation(
    request: HttpRequest, user_id: int, change: Annotated[ConversationChange, Merged(...)]
) -> ConversationShape:
    """Open or close it for the caller; it opens by itself when something is said."""
    found, user = _with(request.auth, user_id), request.auth.user
    if change.open is not None:
        field = f"{found.side(user)}_open"
        setattr(found, field, change.open)
        found.save(update_fields=[field])
    return conversation_shape(found, user, request.auth.sees_email_of)


@router.post(MESSAGES, auth=person("private"), response=PrivateMessageShape | dict[str, Any])
def post_private_message(request: HttpRequest, user_id: int, draft: Annotated[PrivateDraft, Merged(...)]) -> Any:
    """Say something to one person. Who waits for the message, by X-flowdock-wait-for-message, is answered it."""
    other = _other(request.auth, user_id)
    if not isinstance(draft.content, str):
        raise Rejected({"content": ["must be a text"]})
    if not draft.content.strip():
        raise Rejected({"content": [BLANK]})
    message = private.say(draft.content, by=request.auth.user, to=other, uuid=draft.uuid)
    return private_message_shape(message) if "X-flowdock-wait-for-message" in request.headers else {}


@router.get(MESSAGES, auth=person("private"), response=list[PrivateMessageShape])
def private_messages(request: HttpRequest, user_id: int, selection: Query[Paging]) -> list[PrivateMessageShape]:
    """What the two said, in the order of the ids."""
    found = _of(_with(request.auth, user_id))
    if selection.events and "message" not in selection.events:
        return []
    if words := selection.search.split():
        for word in words:
            found = found.filter(content__icontains=word)
        return [private_message_shape(message) for message in selection.page(found)]
    return [private_message_shape(message) for message in selection.page(selection.between(found))]


@router.get(MESSAGES + "/{number}", auth=person("private"), response=PrivateMessageShape)
def one_private_message(request: HttpRequest, user_id: int, number: int) -> PrivateMessageShape:
    """One message."""
    return private_message_shape(get_object_or_404(_of(_with(request.auth, user_id)), number=as_number(number)))


def _other(caller: Caller, user_id: int) -> User:
    return get_object_or_404(private.partners(caller.user), pk=user_id)


def _with(caller: Caller, user_id: int) -> Conversation:
    return Conversation.between(caller.user, _other(caller, user_id))


def _of(conversation: Conversation) -> QuerySet[PrivateMessage]:
    return conversation.messages.select_related("conversation")
