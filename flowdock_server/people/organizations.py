"""Organizations: creating and renaming them, their admins, and removing members."""

from django.db import transaction

from flowdock_server.models import FlowMembership, Membership, Organization, User
from flowdock_server.models.people import MembershipQuerySet
from flowdock_server.parsing.slugs import RESERVED, parameterized
from flowdock_server.people import members


class LastAdmin(Exception):
    """The organization would be left without an admin."""


def is_admin(user: User, organization: Organization) -> bool:
    return Membership.objects.filter(organization=organization, user=user, admin=True).exists()


def members_visible_to(user: User, organization: Organization) -> MembershipQuerySet:
    """All members for admins; for others themselves and those who share a flow with them. Ordered by their ids."""
    memberships = Membership.objects.filter(organization=organization).select_related("user").order_by("user_id")
    return memberships.filter(user__in=members.visible_to(user).order_by().values("pk"))


@transaction.atomic
def create(name: str, *, admin: User) -> Organization:
    """Create an organization at the first free address: acme, acme-2."""
    address = parameterized(name)[:90] or "team"
    taken = set(
        Organization.objects.filter(parameterized_name__startswith=address).values_list("parameterized_name", flat=True)
    )
    addresses = (address if number == 1 else f"{address}-{number}" for number in range(1, len(taken) + 3))
    free = next(each for each in addresses if each not in taken | RESERVED)
    organization = Organization.objects.create(name=name, parameterized_name=free)
    add_admin(organization, admin)
    return organization


def rename(organization: Organization, name: str) -> None:
    """Its address stays the same."""
    organization.name = name
    organization.save(update_fields=["name"])


def add_admin(organization: Organization, user: User) -> None:
    """Make a user an admin, and a member if they are not one yet."""
    Membership.objects.update_or_create(organization=organization, user=user, defaults={"admin": True})


def make_admin(membership: Membership) -> None:
    _set_admin(membership, True)


def remove_admin(membership: Membership) -> None:
    """The user stays a member."""
    _set_admin(membership, False)


def _set_admin(membership: Membership, is_admin: bool) -> None:
    membership.admin = is_admin
    membership.save(update_fields=["admin"])


@transaction.atomic
def remove_member(organization: Organization, user: User) -> None:
    """Remove a user from the organization and all its flows. Their messages stay. Raises LastAdmin."""
    # Locked, so that the last two admins cannot both leave at the same time.
    Organization.objects.select_for_update().get(pk=organization.pk)
    if not organization.memberships.filter(admin=True).exclude(user=user).exists():
        raise LastAdmin
    FlowMembership.objects.filter(flow__organization=organization, user=user).delete()
    organization.memberships.filter(user=user).delete()
    members.revoke_ways_back(organization.flows.all(), user)
