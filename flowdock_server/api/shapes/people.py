"""Users and organizations."""

from typing import Any, NotRequired

from django.conf import settings
from typing_extensions import TypedDict

from flowdock_server.models import Organization, User


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
