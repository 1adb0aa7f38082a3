"""The organization and the flow that a file is imported into."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from flowdock_server.models import Flow, Organization
from flowdock_server.parsing.slugs import RESERVED
from flowdock_server.transfer import InvalidArchive
from flowdock_server.transfer.record_types import FLOW, ORGANIZATION, Record

from .context import ImportContext
from .rows import get_or_create_row


@transaction.atomic
def load_organization(record: Record, context: ImportContext) -> None:
    if context.organization is not None:
        raise InvalidArchive("the file has a second organization; a file holds one flow of one organization")
    values = ORGANIZATION.values(record, {})
    if context.into and context.into[0] != values["parameterized_name"]:
        # It is another organization than the file's: nothing but its name is known.
        values = {"parameterized_name": context.into[0], "name": context.into[0]}
    name = values.pop("parameterized_name")
    if name in RESERVED:
        raise InvalidArchive(f"{name} is the address of a page of this server. Choose another organization with --into")
    context.organization, is_new = get_or_create_row(Organization, {"parameterized_name": name}, values)
    context.created_organization = is_new
    context.created[ORGANIZATION.name] += is_new


@transaction.atomic
def load_flow(record: Record, context: ImportContext) -> None:
    if context.has_flow:
        raise InvalidArchive("the file has a second flow; a file holds one flow")
    values = FLOW.values(record, {})
    organization = context.organization
    if organization is None:
        raise InvalidArchive("the organization's record must come first")
    address = context.into[1] if context.into else values["parameterized_name"]
    at_address = Flow.objects.filter(organization=organization, parameterized_name=address).first()
    same_id = Flow.objects.select_related("organization").filter(pk=values["id"]).first()
    if context.into is None:
        _check_address(values, organization, at_address, same_id)
    if at_address is None:
        if same_id is not None:
            del values["id"]
        flow = _create_flow(values | {"organization": organization, "parameterized_name": address}, context)
    else:
        flow = at_address
        # Messages that are posted during the import get numbers after those of the file.
        last_number = values.get("last_number", 0)
        Flow.objects.filter(pk=flow.pk, last_number__lt=last_number).update(last_number=last_number)
    flow.organization = organization
    context.flow = flow
    context.is_copy = str(flow.pk) != record["id"]


def _check_address(
    values: dict[str, Any], organization: Organization, at_address: Flow | None, same_id: Flow | None
) -> None:
    """Raises InvalidArchive unless the flow is at its address in the file, or nowhere."""
    if at_address is None and same_id is not None:
        raise InvalidArchive(
            f"the flow has another address on this server: {same_id.organization.parameterized_name}/"
            f"{same_id.parameterized_name}. Choose that address, or one for a copy, with --into"
        )
    if at_address is not None and at_address.pk != values["id"]:
        address = f"{organization.parameterized_name}/{at_address.parameterized_name}"
        raise InvalidArchive(f"{address} is another flow. Choose a different address with --into")


def _create_flow(values: dict[str, Any], context: ImportContext) -> Flow:
    if Flow.objects.filter(api_token_digest=values.get("api_token_digest") or "-").exists():
        values["api_token_digest"] = None
    if not context.grants_access:
        values["access_mode"] = Flow.AccessMode.INVITATION
    context.created_flow = True
    context.created[FLOW.name] += 1
    return Flow.objects.create(**values)
