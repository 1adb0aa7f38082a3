"""Flows: creating, renaming and archiving them, and who can join."""

from django.db import IntegrityError, transaction

from flowdock_server.models import Flow, Organization, User
from flowdock_server.parsing.slugs import parameterized
from flowdock_server.people import members


class NoAddressLeft(Exception):
    """The organization has too many flows with this name."""


def create(organization: Organization, name: str, access_mode: str, *, by: User) -> Flow:
    """Create a flow with `by` as its first member, at the first free address: releases, releases-2.

    Raises NoAddressLeft.
    """
    address = parameterized(name)[:90] or "flow"
    for number in range(1, 1000):
        free = address if number == 1 else f"{address}-{number}"
        if organization.flows.filter(parameterized_name=free).exists():
            continue
        try:
            with transaction.atomic():
                flow = Flow.objects.create(
                    organization=organization, name=name.strip(), parameterized_name=free, access_mode=access_mode
                )
        except IntegrityError:  # another request created it in the meantime
            continue
        members.add(flow, by)
        return flow
    raise NoAddressLeft


def change(
    flow: Flow, *, name: str | None = None, access_mode: str | None = None, disabled: bool | None = None
) -> None:
    """Rename or archive a flow, or change who can join it. None leaves a field as it is, and its address never changes.

    Only these fields are saved, so that a message posted at the same time keeps its number.
    """
    given = {"name": name, "access_mode": access_mode, "disabled": disabled}
    changes = {field: value for field, value in given.items() if value is not None}
    for field, value in changes.items():
        setattr(flow, field, value)
    flow.save(update_fields=list(changes))


def archive(flow: Flow) -> None:
    """Members can still read it; nobody can post."""
    change(flow, disabled=True)


def unarchive(flow: Flow) -> None:
    change(flow, disabled=False)
