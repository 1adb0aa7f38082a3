"""Users, and who of them is let into the organization and the flow."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from flowdock_server.models import FlowMembership, Invitation, Membership, User
from flowdock_server.secrets.tokens import digest, new_token
from flowdock_server.transfer import InvalidArchive
from flowdock_server.transfer.record_types import (
    FLOW_MEMBER,
    INVITATION,
    ORGANIZATION_MEMBER,
    USER,
    Record,
    RecordType,
)

from .context import ImportContext
from .rows import get_or_create_row

UNUSABLE_PASSWORD = "!"  # noqa: S105  (no password has this digest)


@transaction.atomic
def load_user(record: Record, context: ImportContext) -> None:
    """Users are recognized by their e-mail addresses, and those that exist are not changed."""
    values = USER.values(record, {})
    email = values.pop("email").strip().lower()
    password = _password(record) if context.passwords else None
    user, is_new = get_or_create_row(User, {"email": email}, values | {"password": password or UNUSABLE_PASSWORD})
    context.users[record["id"]] = user.pk
    context.created[USER.name] += is_new
    if is_new and password is None and "password" in record:
        context.withheld["password"] += 1


def _password(record: Record) -> str | None:
    """The digest of the user's password, if the file has it."""
    password = record.get("password")
    if password is not None and (not isinstance(password, str) or len(password) > 128):
        raise InvalidArchive("user.password must be the digest of a password, of at most 128 characters")
    return password


def load_organization_member(record: Record, context: ImportContext) -> None:
    values = ORGANIZATION_MEMBER.values(record, {"user": context.user})
    if not context.created_organization:
        values["admin"] = False
    lookup = {"organization": context.organization, "user_id": values.pop("user_id")}
    _grant(context, ORGANIZATION_MEMBER, Membership, lookup, values)


def load_flow_member(record: Record, context: ImportContext) -> None:
    values = FLOW_MEMBER.values(record, {"user": context.user})
    lookup = {"flow": context.flow, "user_id": values.pop("user_id")}
    _grant(context, FLOW_MEMBER, FlowMembership, lookup, values)


def _grant(
    context: ImportContext, kind: RecordType, model: type[Any], lookup: dict[str, Any], values: dict[str, Any]
) -> None:
    if context.grants_access:
        context.created[kind.name] += model.objects.get_or_create(**lookup, defaults=values)[1]
    else:
        context.withheld[kind.name] += not model.objects.filter(**lookup).exists()


@transaction.atomic
def load_invitation(record: Record, context: ImportContext) -> None:
    values = INVITATION.values(record, {"invited_by": context.optional_user})
    lookup = {"flow_id": context.flow.pk, "email": values.pop("email"), "created_at": values.pop("created_at")}
    if not context.grants_access:
        context.withheld[INVITATION.name] += not Invitation.objects.filter(**lookup).exists()
        return
    if Invitation.objects.filter(token_digest=values["token_digest"]).exclude(**lookup).exists():
        values["token_digest"] = digest(new_token())
    context.created[INVITATION.name] += get_or_create_row(Invitation, lookup, values)[1]
