"""Threads, messages, attachments and private conversations."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NotRequired

from django.conf import settings
from django.db.models import QuerySet, prefetch_related_objects
from typing_extensions import TypedDict

from flowdock_server.models import Attachment, Conversation, Message, PrivateMessage, Thread, User
from flowdock_server.parsing.html import clean_body, clean_line
from flowdock_server.posting import chat_threads
from flowdock_server.posting.actions import offered

from .common import moment
from .flows import SourceShape, source_shape
from .people import UserShape, user_shape


class StatusShape(TypedDict):
    value: str
    color: str


class ThreadShape(TypedDict):
    id: str
    flow: str
    title: str
    body: str
    external_url: str
    status: StatusShape | None
    fields: list[dict[str, str]]
    actions: list[dict[str, Any]]
    source: SourceShape | None
    activities: int
    internal_comments: int
    external_comments: int
    initial_message: int
    created_at: str
    updated_at: str


class AuthorShape(TypedDict):
    name: str
    email: str | None
    avatar: str | None


class SizeShape(TypedDict):
    width: int
    height: int


class ThumbnailShape(SizeShape):
    path: str


class AttachmentShape(TypedDict):
    content_type: str
    file_name: str
    file_size: int
    path: str
    content_id: NotRequired[str]
    image: NotRequired[SizeShape]
    thumbnail: NotRequired[ThumbnailShape]


class MessageShape(TypedDict):
    id: int
    event: str
    # A string; an object for a file, a comment, a mail and an action; null for an activity and a discussion.
    content: str | dict[str, Any] | None
    tags: list[str]
    uuid: str | None
    user: str
    sent: int
    created_at: str
    flow: str
    attachments: list[AttachmentShape]
    app: str | None
    edited: NotRequired[int]
    external_user_name: NotRequired[str]
    title: NotRequired[str]
    body: NotRequired[str]
    author: NotRequired[AuthorShape]
    thread_id: NotRequired[str]
    thread: NotRequired[ThreadShape]


def thread_shape(thread: Thread, *, with_email: bool = True) -> ThreadShape:
    """`source.application`, `source.creator` and `flow.organization` are loaded.

    `with_email` includes the address of the person who connected the source.
    """
    source = None
    if thread.source:
        # The same flow object for all, so that `source_shape` needs no query for it.
        thread.source.flow = thread.flow
        source = source_shape(thread.source, with_email=with_email)
        source["icon"] = thread.source.application.icon_url
    has_status = thread.status_value or thread.status_color
    return {
        "id": thread.pk,
        "flow": str(thread.flow_id),
        "title": thread.safe_title,
        "body": clean_body(thread.body, _BY_NAME),
        "external_url": thread.external_url,
        "status": {"value": thread.status_value, "color": thread.status_color} if has_status else None,
        "fields": thread.safe_fields,
        "actions": offered(thread),
        "source": source,
        "activities": thread.activities,
        "internal_comments": thread.internal_comments,
        "external_comments": thread.external_comments,
        "initial_message": thread.initial_number,
        "created_at": moment(thread.created_at),
        "updated_at": moment(thread.updated_at),
    }


def _thread_of_one(message: Message) -> ThreadShape:
    """The same as `thread_shape(chat_threads.thread_of_one(message))`, but ten times faster."""
    posted_at = moment(message.created_at)
    return {
        "id": chat_threads.thread_id(message.flow_id, message.number),
        "flow": str(message.flow_id),
        "title": chat_threads.title_of(message),
        "body": "",
        "external_url": "",
        "status": None,
        "fields": [],
        "actions": [],
        "source": None,
        "activities": 0,
        "internal_comments": 1,
        "external_comments": 0,
        "initial_message": message.number,
        "created_at": posted_at,
        "updated_at": posted_at,
    }


class PrivateMessageShape(TypedDict):
    id: int
    event: str
    # A string; an object for a file, an edit and a change of tags.
    content: str | dict[str, Any] | None
    tags: list[str]
    uuid: str | None
    user: str
    to: str
    sent: int
    created_at: str
    attachments: list[AttachmentShape]
    app: str | None
    edited: NotRequired[int]


class ActivityShape(TypedDict):
    inbox: bool
    mentions: int
    chat: bool


class ConversationShape(TypedDict):
    id: int
    url: str
    name: str
    open: bool
    activity: ActivityShape
    users: list[UserShape]


class _ByName(Mapping[str, str]):
    """Leaves images in a body as cid:NAME: API clients find them among the attachments by `content_id`."""

    def __getitem__(self, name: str) -> str:
        return f"cid:{name}"

    def __iter__(self) -> Any:
        return iter(())

    def __len__(self) -> int:
        return 0

    def __bool__(self) -> bool:
        return True


_BY_NAME = _ByName()
_BOOKKEEPING = (Message.Event.TAG_CHANGE, Message.Event.MESSAGE_EDIT)


def loaded(found: QuerySet[Message]) -> QuerySet[Message]:
    """Load what `message_shapes` needs, with the same number of queries for many messages as for one."""
    return found.select_related(
        "flow__organization", "parent", "thread__source__application", "thread__source__creator"
    )


def message_shapes(found: Iterable[Message], *, with_email: bool = True) -> list[MessageShape]:
    """The shapes of messages from `loaded`. Each includes its thread, whose shape is made once."""
    messages = list(found)
    prefetch_related_objects([message for message in messages if ":file" in message.tags], "attachments")
    threads: dict[str, ThreadShape] = {}
    shapes: list[MessageShape] = []
    for message in messages:
        thread: ThreadShape | None = None
        if message.thread:
            if message.thread.pk not in threads:
                message.thread.flow = message.flow
                threads[message.thread.pk] = thread_shape(message.thread, with_email=with_email)
            thread = threads[message.thread.pk]
        elif message.event not in chat_threads.WITHOUT_THREAD:
            thread = _thread_of_one(message)
        shapes.append(message_shape(message, thread))
    return shapes


def message_shape(message: Message, thread: ThreadShape | None) -> MessageShape:
    """`thread` is the shape of the message's thread. For comments, `parent` is loaded."""
    in_inbox = message.belongs_in_inbox
    attachments = [attachment_shape(one) for one in message.attachments.all()] if ":file" in message.tags else []
    is_anonymous = in_inbox or not message.user_id or message.external_user_name
    shape: MessageShape = {
        "id": message.number,
        "event": message.event,
        "content": _content(message, attachments),
        "tags": message.tags,
        "uuid": message.uuid,
        # The author of an activity is a person at the external service.
        "user": "0" if is_anonymous else str(message.user_id),
        "sent": message.sent,
        "created_at": moment(message.created_at),
        "flow": str(message.flow_id),
        "attachments": attachments,
        "app": None if message.event in _BOOKKEEPING else "influx" if in_inbox else "chat",
    }
    if message.edited_at:
        shape["edited"] = round(message.edited_at.timestamp() * 1000)
    if message.external_user_name:
        shape["external_user_name"] = message.external_user_name
    if in_inbox:
        shape["title"], shape["body"] = message.safe_title, clean_body(message.body, _BY_NAME)
    if message.author_name:
        shape["author"] = {
            "name": message.author_name,
            "email": message.author_email or None,
            "avatar": message.author_avatar or None,
        }
    if thread:
        shape["thread_id"], shape["thread"] = thread["id"], thread
    return shape


def conversation_shape(
    conversation: Conversation, user: User, sees_email_of: Callable[[User], bool]
) -> ConversationShape:
    """The conversation as `user`, one of the two, sees it. Both users are loaded."""
    other = conversation.other(user)
    return {
        "id": other.pk,
        "url": f"{settings.SERVER_URL}/private/{other.pk}",
        "name": f"@{other.nick}",
        "open": conversation.is_open_for(user),
        "activity": {
            "inbox": False,
            "mentions": 0,
            "chat": conversation.last_number > conversation.read_number_of(user),
        },
        "users": [user_shape(each, with_email=sees_email_of(each)) for each in (user, other)],
    }


def private_message_shape(message: PrivateMessage) -> PrivateMessageShape:
    """`conversation` is loaded; for lists, `attachments` are prefetched too."""
    conversation = message.conversation
    attachments = [attachment_shape(one) for one in message.attachments.all()] if ":file" in message.tags else []
    is_bookkeeping = message.event in _BOOKKEEPING
    content: str | dict[str, Any] | None = message.content
    if message.event == PrivateMessage.Event.FILE:
        content = {**attachments[0]} if attachments else None
    elif is_bookkeeping:
        content = message.data
    to = conversation.second_id if message.user_id == conversation.first_id else conversation.first_id
    shape: PrivateMessageShape = {
        "id": message.number,
        "event": message.event,
        "content": content,
        "tags": message.tags,
        "uuid": message.uuid,
        "user": str(message.user_id),
        "to": str(to),
        "sent": message.sent,
        "created_at": moment(message.created_at),
        "attachments": attachments,
        "app": None if is_bookkeeping else "chat",
    }
    if message.edited_at:
        shape["edited"] = round(message.edited_at.timestamp() * 1000)
    return shape


def attachment_shape(attachment: Attachment) -> AttachmentShape:
    shape: AttachmentShape = {
        "content_type": attachment.content_type,
        "file_name": attachment.file_name,
        "file_size": attachment.size,
        "path": attachment.path,
    }
    if attachment.content_id:
        shape["content_id"] = attachment.content_id
    if attachment.width is not None and attachment.height is not None:
        shape["image"] = {"width": attachment.width, "height": attachment.height}
    if attachment.thumbnail_width is not None and attachment.thumbnail_height is not None:
        shape["thumbnail"] = {
            "path": attachment.thumbnail_path,
            "width": attachment.thumbnail_width,
            "height": attachment.thumbnail_height,
        }
    return shape


def _content(message: Message, attachments: list[AttachmentShape]) -> str | dict[str, Any] | None:
    match message.event:
        case Message.Event.ACTIVITY | Message.Event.DISCUSSION:
            return None
        case Message.Event.COMMENT:
            return {"title": _what_is_said(message.parent) if message.parent else "", "text": message.content}
        case Message.Event.FILE:
            return {**attachments[0]} if attachments else None
        case Message.Event.MAIL:
            return _mail(message)
        case Message.Event.ACTION | Message.Event.TAG_CHANGE | Message.Event.MESSAGE_EDIT:
            return message.data
    return message.content


def _what_is_said(message: Message) -> str:
    return clean_line(message.title) if message.belongs_in_inbox else message.content


def _mail(message: Message) -> dict[str, Any]:
    data = message.data or {}
    return {
        "subject": message.safe_title,
        "content": clean_body(message.body),
        "from": [{"name": message.author_name, "address": message.author_email}],
        "to": [],
        "cc": [],
        "bcc": [],
        "reply_to": [{"name": "", "address": data["reply_to"]}] if data.get("reply_to") else [],
        "source": data.get("source", ""),
        "project": data.get("project", ""),
        "link": data.get("link", ""),
    }
