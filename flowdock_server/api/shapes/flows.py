"""Flows, their invitations, and the applications and sources that are connected to them."""

from dataclasses import dataclass
from typing import Any, NotRequired

from typing_extensions import TypedDict

from flowdock_server.models import Application, Flow, FlowMembership, Invitation, Source
from flowdock_server.people.invite_links import join_url

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
    disabled: bool
    links: dict[str, LinkShape]
    join_url: NotRequired[str]
    users: NotRequired[list[FlowUserShape]]


@dataclass(frozen=True)
class Offers:
    """What the caller's key allows them to do with a flow."""

    manage: bool
    connect: bool
    invite: bool


class InvitationShape(TypedDict):
    id: int
    state: str
    email: str
    flow: str
    url: str


class ImportedShape(TypedDict):
    invitations: list[InvitationShape]
    added_users: list[UserShape]
    erroneous_emails: dict[str, str]


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


def flow_shape(
    flow: Flow, *, user_count: int, membership: FlowMembership | None, unread_mentions: int, offers: Offers
) -> FlowShape:
    """`flow.organization` is loaded. `membership` is the caller's; `offers` decides which methods `links` lists."""
    joined = membership is not None
    shape: FlowShape = {
        "id": str(flow.pk),
        "name": flow.name,
        "parameterized_name": flow.parameterized_name,
        "organization": organization_shape(flow.organization, user_count),
        "unread_mentions": unread_mentions,
        "open": membership is not None and membership.open,
        "joined": joined,
        "url": flow.url,
        "web_url": flow.web_url,
        "access_mode": flow.access_mode,
        "disabled": flow.disabled,
        "links": {
            "self": {"href": flow.url, "methods": ["GET", "PUT"] if offers.manage else ["GET"]},
            "sources": {
                "href": f"{flow.url}/sources",
                "methods": ["GET", "POST"] if offers.connect and not flow.disabled else ["GET"],
            },
            "messages": {"href": f"{flow.url}/messages", "methods": ["GET"] if flow.disabled else ["GET", "POST"]},
            "threads": {"href": f"{flow.url}/threads", "methods": ["GET"]},
        },
    }
    if offers.invite and (address := join_url(flow)):
        shape["join_url"] = address
    return shape


def invitation_shape(invitation: Invitation, flow: Flow) -> InvitationShape:
    return {
        "id": invitation.pk,
        "state": invitation.state,
        "email": invitation.email,
        "flow": str(flow.pk),
        "url": f"{flow.url}/invitations/{invitation.pk}",
    }


def application_shape(application: Application) -> ApplicationShape:
    return {
        "id": application.pk,
        "name": application.name,
        "icon_url": application.icon_url,
        "url": application.url,
        "published": application.published,
    }


def source_shape(source: Source, *, with_email: bool) -> SourceShape:
    """`application`, `creator` and `flow.organization` are loaded. `with_email` includes the creator's address."""
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
        "creator": user_shape(source.creator, with_email=with_email) if source.creator else None,
        "_links": {},
    }
