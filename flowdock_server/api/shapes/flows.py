"""Flows, and the applications and sources that are connected to them."""

from typing import Any, NotRequired

from typing_extensions import TypedDict

from flowdock_server.models import Application, Flow, Source

from .common import moment
from .people import FlowUserShape, OrganizationShape, UserShape, organization_shape, user_shape


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
