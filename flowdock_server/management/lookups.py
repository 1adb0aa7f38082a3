"""Arguments of commands: their types, and the objects that they name."""

from __future__ import annotations

import argparse

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError
from django.core.validators import validate_email

from flowdock_server.models import Flow, Organization, User
from flowdock_server.models.people import PARAMETERIZED
from flowdock_server.parsing.slugs import parameterized


def email(text: str) -> str:
    """Argument type: an e-mail address, in lower case as the server stores them."""
    try:
        validate_email(text)
    except ValidationError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a valid e-mail address") from None
    return text.lower()


def address_part(text: str) -> str:
    """Argument type: the name of an organization or a flow in URLs."""
    try:
        PARAMETERIZED(text)
    except ValidationError:
        raise argparse.ArgumentTypeError(
            f"{text!r} has other characters than a-z, 0-9, hyphen and underscore"
        ) from None
    return text


def flow_address(text: str) -> tuple[str, str]:
    """Argument type: organization/flow, as in the flow's URL."""
    organization, slash, flow = text.partition("/")
    if not slash:
        raise argparse.ArgumentTypeError(f"{text!r} does not have the form ORGANIZATION/FLOW, such as acme/main")
    return address_part(organization), address_part(flow)


def name_in_urls(name: str, given: str | None) -> str:
    """The name in URLs: `given`, or made from `name`. Raises CommandError if `name` is too long or nothing is left."""
    if len(name) > 100:
        raise CommandError("The name has more than 100 characters", returncode=2)
    if not (result := given or parameterized(name)):
        raise CommandError(
            "The name has no letters or digits that URLs can have. Set its name in URLs with --parameterized-name",
            returncode=2,
        )
    return result


def organization(parameterized_name: str) -> Organization:
    try:
        return Organization.objects.get(parameterized_name=parameterized_name)
    except Organization.DoesNotExist:
        raise CommandError(f"There is no organization {parameterized_name}") from None


def flow(organization: str, parameterized_name: str) -> Flow:
    try:
        return Flow.objects.select_related("organization").get(
            organization__parameterized_name=organization, parameterized_name=parameterized_name
        )
    except Flow.DoesNotExist:
        raise CommandError(f"There is no flow {organization}/{parameterized_name}") from None


def user(address: str) -> User:
    try:
        return User.objects.get(email=address)
    except User.DoesNotExist:
        raise CommandError(f"There is no user {address}") from None
