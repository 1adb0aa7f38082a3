"""The objects as the API shows them, and what they must have been loaded with.

Strangers' HTML leaves cleaned. Keys that are not required are absent where they say nothing.
"""

from datetime import UTC, datetime
from typing import Any, NotRequired

from django.conf import settings
from typing_extensions import TypedDict

from flowdock_server.models import Application, Flow, Message, Organization, Source, Thread, User


class ErrorShape(TypedDict):
    message: str
    errors: NotRequired[dict[str, list[str]]]


class UserShape(TypedDict):
    id: int
    nick: str
    name: str
    avatar: str
    website: str
    email: NotRequired[str]


class FlowUserShape(UserShape):
    status: str | None
    disabled: bool
    last_activity: int | None
    last_ping: int | None
    in_flow: bool


class OrganizationShape(TypedDict):
    id: int
    name: str
    parameterized_name: str
    user_limit: int
    user_count: int
    active: bool
    url: str
    users: NotRequired[list[dict[str, Any]]]


class LinkShape(TypedDict):
    href: str
    methods: list[str]


class FlowShape(TypedDict):
    id: str
    name: str
    parameterized_name: str
    organization: OrganizationShape
    unread_mentions: int
    open: bool
    joined: bool
    url: str
    web_url: str
    access_mode: str
    links: dict[str, LinkShape]
    join_url: NotRequired[str]
    users: NotRequired[list[FlowUserShape]]


class ApplicationShape(TypedDict):
    id: int
    name: str
    icon_url: str
    url: str
    published: bool
    configuration_uri: NotRequired[str]


class SourceShape(TypedDict):
    id: int
    name: str
    url: str
    external_url: str
    error_message: str
    configuration_url: str
    created_at: str
    updated_at: str
    application: ApplicationShape
    creator: UserShape | None
    _links: dict[str, Any]
    icon: NotRequired[str]
    flow_token: NotRequired[str]


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


def moment(value: datetime) -> str:
    """2014-10-29T12:00:00.000Z"""
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def user_shape(user: User, *, with_email: bool = True) -> UserShape:
    shape: UserShape = {
        "id": user.pk,
        "nick": user.nick,
        "name": user.name,
        "avatar": user.avatar,
        "website": user.website,
    }
    if with_email:
        shape["email"] = user.email
    return shape


def flow_user_shape(user: User) -> FlowUserShape:
    return {
        **user_shape(user),
        "status": None,
        "disabled": not user.is_active,
        "last_activity": None,
        "last_ping": None,
        "in_flow": True,
    }


def organization_shape(organization: Organization, user_count: int) -> OrganizationShape:
    return {
        "id": organization.pk,
        "name": organization.name,
        "parameterized_name": organization.parameterized_name,
        "user_limit": 0,  # without a limit
        "user_count": user_count,
        "active": True,
        "url": f"{settings.SERVER_URL}/organizations/{organization.parameterized_name}",
    }


def flow_shape(flow: Flow, *, user_count: int, joined: bool, may_connect: bool) -> FlowShape:
    """`flow.organization` is loaded. `links` says what this caller may do: `may_connect` is about sources."""
    return {
        "id": str(flow.pk),
        "name": flow.name,
        "parameterized_name": flow.parameterized_name,
        "organization": organization_shape(flow.organization, user_count),
        "unread_mentions": 0,
        "open": joined,
        "joined": joined,
        "url": flow.url,
        "web_url": flow.web_url,
        "access_mode": flow.access_mode,
        "links": {
            "self": {"href": flow.url, "methods": ["GET"]},
            "sources": {"href": f"{flow.url}/sources", "methods": ["GET", "POST"] if may_connect else ["GET"]},
            "messages": {"href": f"{flow.url}/messages", "methods": ["GET", "POST"]},
            "threads": {"href": f"{flow.url}/threads", "methods": ["GET"]},
        },
    }


def application_shape(application: Application) -> ApplicationShape:
    return {
        "id": application.pk,
        "name": application.name,
        "icon_url": application.icon_url,
        "url": application.url,
        "published": application.published,
    }


def source_shape(source: Source) -> SourceShape:
    """`application`, `creator` and `flow.organization` are loaded."""
    return {
        "id": source.pk,
        "name": source.name,
        "url": source.url,
        "external_url": source.external_url,
        "error_message": source.error_message,
        "configuration_url": source.configuration_url,
        "created_at": moment(source.created_at),
        "updated_at": moment(source.updated_at),
        "application": application_shape(source.application),
        "creator": user_shape(source.creator) if source.creator else None,
        "_links": {},
    }


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
        "attachments": message.attachments,
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
