"""Who the caller is, and who their colleagues are."""

from django.db.models import Count, Q
from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Router

from flowdock_server.models import Membership, Organization, User

from .auth import person
from .shapes import OrganizationShape, UserShape, organization_shape, user_shape

router = Router(tags=["users"])


@router.get("/user", auth=person(), response=UserShape)
def current_user(request: HttpRequest) -> UserShape:
    """Who the caller is. The e-mail address is told with the scope `profile` only."""
    return user_shape(request.auth.user, with_email=request.auth.may("profile"))


@router.get("/users", auth=person("flow", "manage"), response=list[UserShape])
def flow_mates(request: HttpRequest) -> list[UserShape]:
    """Everybody who is in one of the caller's flows."""
    return [user_shape(user) for user in _mates_of(request.auth.user).order_by("id")]


@router.get("/users/{user_id}", auth=person("flow", "manage"), response=UserShape)
def user(request: HttpRequest, user_id: int) -> UserShape:
    """One of them."""
    return user_shape(get_object_or_404(_mates_of(request.auth.user), pk=user_id))


def _mates_of(user: User):
    return User.objects.filter(
        Q(pk=user.pk) | Q(pk__in=User.objects.filter(flow_memberships__flow__memberships__user=user).values("pk"))
    )


@router.get("/organizations", auth=person("manage"), response=list[OrganizationShape])
def organizations(request: HttpRequest) -> list[OrganizationShape]:
    """The caller's organizations."""
    return [organization_shape(organization, organization.user_count) for organization in _organizations_of(request)]


@router.get("/organizations/find", auth=person("manage"), response=OrganizationShape)
def find_organization(request: HttpRequest, id: int) -> OrganizationShape:
    """One of them by its id."""
    return _with_users(get_object_or_404(_organizations_of(request), pk=id))


@router.get("/organizations/{organization}", auth=person("manage"), response=OrganizationShape)
def one_organization(request: HttpRequest, organization: str) -> OrganizationShape:
    """One of them by its name in addresses."""
    return _with_users(get_object_or_404(_organizations_of(request), parameterized_name=organization))


def _organizations_of(request: HttpRequest):
    mine = Organization.objects.of(request.auth.user).values("pk")
    return Organization.objects.filter(pk__in=mine).annotate(user_count=Count("memberships")).order_by("id")


def _with_users(organization: Organization) -> OrganizationShape:
    members = Membership.objects.filter(organization=organization).select_related("user").order_by("user_id")
    shape = organization_shape(organization, organization.user_count)
    shape["users"] = [
        {"id": member.user.pk, "name": member.user.name, "email": member.user.email, "admin": member.admin}
        for member in members
    ]
    return shape
