"""Organizations and the people in them. Only their admins can change either."""

from collections import defaultdict
from typing import Annotated

from django.db.models import Count, QuerySet
from django.shortcuts import get_object_or_404
from ninja import Router, Status
from pydantic import Field

from flowdock_server.models import Membership, Organization
from flowdock_server.parsing.params import Id, Merged
from flowdock_server.people import members
from flowdock_server.people.organizations import LastAdmin, is_admin, members_visible_to, remove_member, rename
from flowdock_server.posting.drafts import Shape

from .auth import PersonRequest, person
from .errors import Forbidden
from .shapes import (
    OrganizationShape,
    OrganizationUserShape,
    user_shape,
    whole_organization_shape,
)

router = Router(tags=["organizations"])


class OrganizationChange(Shape):
    name: Annotated[str, Field(min_length=1, max_length=100, pattern=r"\S")]


@router.get("/organizations", auth=person("manage"), response=list[OrganizationShape])
def organizations(request: PersonRequest) -> list[OrganizationShape]:
    """List the organizations that the caller is in, each with the people whom the caller may see."""
    user = request.auth.user
    found = list(_organizations_of(request))
    visible = members.visible_to(user).order_by().values("pk")
    people = Membership.objects.filter(organization__in=[each.pk for each in found], user__in=visible)
    by_organization = defaultdict(list)
    for membership in people.select_related("user").order_by("user_id"):
        by_organization[membership.organization_id].append(membership)
    return [whole_organization_shape(each, by_organization[each.pk]) for each in found]


@router.get("/organizations/find", auth=person("manage"), response=OrganizationShape)
def find_organization(request: PersonRequest, id: int) -> OrganizationShape:
    """Retrieve an organization by its numeric `id`, with the people whom the caller may see.

    404 unless the caller is in the organization.
    """
    return _shape(request, get_object_or_404(_organizations_of(request), pk=id))


@router.get("/organizations/{organization}", auth=person("manage"), response=OrganizationShape)
def one_organization(request: PersonRequest, organization: str) -> OrganizationShape:
    """Retrieve an organization by its `parameterized_name`, with the people whom the caller may see.

    404 unless the caller is in the organization.
    """
    return _shape(request, _one(request, organization))


@router.api_operation(
    ["PUT", "PATCH"], "/organizations/{organization}", auth=person("manage"), response=OrganizationShape
)
def change_organization(
    request: PersonRequest, organization: str, change: Annotated[OrganizationChange, Merged(...)]
) -> OrganizationShape:
    """Rename an organization. Its `parameterized_name` stays the same. 403 unless the caller is one of its admins."""
    found = _managed(request, organization)
    rename(found, change.name)
    return _shape(request, found)


@router.get("/organizations/{organization}/users", auth=person("manage"), response=list[OrganizationUserShape])
def organization_users(request: PersonRequest, organization: str) -> list[OrganizationUserShape]:
    """List the users of an organization. Its admins see all of them, others those whom they share a flow with."""
    caller = request.auth
    found = members_visible_to(caller.user, _one(request, organization))
    return [
        {**user_shape(each.user, with_email=caller.sees_email_of(each.user)), "admin": each.admin} for each in found
    ]


@router.delete("/organizations/{organization}/users/{user_id}", auth=person("manage"), response={204: None})
def remove_user(request: PersonRequest, organization: str, user_id: Id) -> Status[None]:
    """Remove a user from an organization and all its flows.

    403 unless the caller is one of its admins, and for the last admin; 404 if the user is not in the organization.
    """
    found = _managed(request, organization)
    membership = get_object_or_404(found.memberships.select_related("user"), user_id=user_id)
    try:
        remove_member(found, membership.user)
    except LastAdmin as error:
        raise Forbidden("You cannot remove the last admin. Make somebody else an admin first.") from error
    return Status(204, None)


def _organizations_of(request: PersonRequest) -> QuerySet[Organization]:
    return Organization.objects.of(request.auth.user).annotate(user_count=Count("memberships")).order_by("id")


def _one(request: PersonRequest, organization: str) -> Organization:
    return get_object_or_404(_organizations_of(request), parameterized_name=organization)


def _managed(request: PersonRequest, organization: str) -> Organization:
    found = _one(request, organization)
    if not is_admin(request.auth.user, found):
        raise Forbidden("Only admins of the organization can do this")
    return found


def _shape(request: PersonRequest, organization: Organization) -> OrganizationShape:
    return whole_organization_shape(organization, members_visible_to(request.auth.user, organization))
