"""Users and organizations."""

from collections.abc import Iterable
from datetime import datetime
from typing import NotRequired

from django.conf import settings
from typing_extensions import TypedDict

from flowdock_server.models import FlowMembership, Membership, Organization, User


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


class OrganizationUserShape(UserShape):
    admin: bool


class MemberShape(TypedDict):
    id: int
    nick: str
    name: str
    avatar: str
    email: str
    admin: bool


class SubscriptionShape(TypedDict):
    trial: bool
    billing_date: str | None


class OrganizationShape(TypedDict):
    id: int
    name: str
    parameterized_name: str
    user_limit: int
    user_count: int
    active: bool
    url: str
    subscription: NotRequired[SubscriptionShape]
    users: NotRequired[list[MemberShape]]


def user_shape(user: User, *, with_email: bool) -> UserShape:
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


def flow_user_shape(membership: FlowMembership, *, with_email: bool) -> FlowUserShape:
    """`user` is loaded. Times are in milliseconds since 1970."""
    user = membership.user
    return {
        **user_shape(user, with_email=with_email),
        "status": user.status or None,
        "disabled": membership.disabled or not user.is_active,
        "last_activity": _milliseconds(user.last_activity_at),
        "last_ping": _milliseconds(user.last_ping_at),
        "in_flow": not membership.disabled,
    }


def _milliseconds(moment: datetime | None) -> int | None:
    return round(moment.timestamp() * 1000) if moment else None


def organization_shape(organization: Organization, user_count: int) -> OrganizationShape:
    return {
        "id": organization.pk,
        "name": organization.name,
        "parameterized_name": organization.parameterized_name,
        "user_limit": 0,  # unlimited
        "user_count": user_count,
        "active": True,
        "url": f"{settings.SERVER_URL}/organizations/{organization.parameterized_name}",
    }


def whole_organization_shape(organization: Organization, members: Iterable[Membership]) -> OrganizationShape:
    """With `members`, the people whom the caller may see. `user_count` is annotated and counts everybody."""
    shape = organization_shape(organization, organization.user_count)  # type: ignore[attr-defined]
    # Clients expect the field. This server has no billing, so nothing is on trial and no payment is due.
    shape["subscription"] = {"trial": False, "billing_date": None}
    shape["users"] = [
        {
            "id": member.user.pk,
            "nick": member.user.nick,
            "name": member.user.name,
            "avatar": member.user.avatar,
            "email": member.user.email,
            "admin": member.admin,
        }
        for member in members
    ]
    return shape
