"""Threads and messages."""

from typing import Any, NotRequired

from typing_extensions import TypedDict

from flowdock_server.models import Message, Thread

from .common import moment
from .flows import SourceShape, source_shape


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


class CommentShape(TypedDict):
    title: str
    text: str


class MessageShape(TypedDict):
    id: int
    event: str
    content: str | CommentShape | None
    tags: list[str]
    uuid: str | None
    user: str
    sent: int
    created_at: str
    flow: str
    attachments: list[dict[str, Any]]
    app: str | None
    edited: NotRequired[int]
    external_user_name: NotRequired[str]
    title: NotRequired[str]
    body: NotRequired[str]
    author: NotRequired[AuthorShape]
    thread_id: NotRequired[str]
    thread: NotRequired[ThreadShape]


def thread_shape(thread: Thread) -> ThreadShape:
    """`source.application`, `source.creator` and `flow.organization` are loaded."""
    source = None
    if thread.source:
        # One flow for all, so that none is loaded for its address.
        thread.source.flow = thread.flow
        source = source_shape(thread.source)
        source["icon"] = thread.source.application.icon_url
    has_status = thread.status_value or thread.status_color
    return {
        "id": thread.pk,
        "flow": str(thread.flow_id),
        "title": thread.safe_title,
        "body": thread.safe_body,
        "external_url": thread.external_url,
        "status": {"value": thread.status_value, "color": thread.status_color} if has_status else None,
        "fields": thread.safe_fields,
        "actions": thread.actions,
        "source": source,
        "activities": thread.activities,
        "internal_comments": thread.internal_comments,
        "external_comments": thread.external_comments,
        "initial_message": thread.initial_number,
        "created_at": moment(thread.created_at),
        "updated_at": moment(thread.updated_at),
    }


def message_shape(message: Message, thread: ThreadShape | None) -> MessageShape:
    """`thread` is the shape of the message's thread; `parent` is loaded for comments."""
    in_inbox = message.by_integration
    shape: MessageShape = {
        "id": message.number,
        "event": message.event,
        "content": None if in_inbox else _content(message),
        "tags": message.tags,
        "uuid": message.uuid,
        # The author of an activity is somebody at the outside service.
        "user": "0" if in_inbox or not message.user_id else str(message.user_id),
        "sent": message.sent,
        "created_at": moment(message.created_at),
        "flow": str(message.flow_id),
        "attachments": [],
        "app": "influx" if in_inbox else "chat",
    }
    if message.edited_at:
        shape["edited"] = round(message.edited_at.timestamp() * 1000)
    if message.external_user_name:
        shape["external_user_name"] = message.external_user_name
    if in_inbox:
        shape["title"], shape["body"] = message.safe_title, message.safe_body
    if message.author_name:
        shape["author"] = {
            "name": message.author_name,
            "email": message.author_email or None,
            "avatar": message.author_avatar or None,
        }
    if thread:
        shape["thread_id"], shape["thread"] = thread["id"], thread
    return shape


def _content(message: Message) -> str | CommentShape:
    if message.event != Message.Event.COMMENT:
        return message.content
    parent = message.parent
    return {"title": (parent.title or parent.content) if parent else "", "text": message.content}
