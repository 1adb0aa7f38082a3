"""What a command is told by name, or the sentence that says there is no such thing."""

from __future__ import annotations

import argparse

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError
from django.core.validators import validate_email

from flowdock_server.models import Flow, Organization, User
from flowdock_server.models.people import PARAMETERIZED


def email(text: str) -> str:
    """An argument that has to be an e-mail address; in lower case, as the server keeps them."""
    try:
        validate_email(text)
    except ValidationError:
        raise argparse.ArgumentTypeError(f"{text!r} is no e-mail address") from None
    return text.lower()


def address_part(text: str) -> str:
    """An argument that names an organization or a flow in addresses."""
    try:
        PARAMETERIZED(text)
    except ValidationError:
        raise argparse.ArgumentTypeError(f"{text!r} may hold a-z, 0-9, hyphen and underscore only") from None
    return text


def flow_address(text: str) -> tuple[str, str]:
    """An argument of the form organization/flow, as in the flow's address."""
    organization, slash, flow = text.partition("/")
    if not slash:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form organization/flow")
    return address_part(organization), address_part(flow)


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
