"""Applications, and the sources through which they post."""

from __future__ import annotations

from django.db import transaction

from flowdock_server.models import Application, Source
from flowdock_server.secrets.tokens import digest, new_token
from flowdock_server.transfer.record_types import APPLICATION, SOURCE, Record

from .context import ImportContext
from .rows import get_or_create_row


@transaction.atomic
def load_application(record: Record, context: ImportContext) -> None:
    """Applications are recognized by their client ids, and those that exist are not changed."""
    values = APPLICATION.values(record, {"user": context.optional_user})
    client_id = values.pop("client_id")
    # Until somebody here decides otherwise, it asks each user for consent and is not listed.
    values |= {
        "skip_authorization": False,
        "published": False,
        "client_type": Application.CLIENT_CONFIDENTIAL,
        "authorization_grant_type": Application.GRANT_AUTHORIZATION_CODE,
    }
    application, is_new = get_or_create_row(Application, {"client_id": client_id}, values)
    context.applications[client_id] = application.pk
    context.created[APPLICATION.name] += is_new


@transaction.atomic
def load_source(record: Record, context: ImportContext) -> None:
    values = SOURCE.values(record, {"application": context.application, "creator": context.optional_user})
    lookup = {"flow_id": context.flow.pk, "name": values.pop("name"), "created_at": values.pop("created_at")}
    is_withheld = not (context.created_flow or context.grants_access or values.get("removed_at"))
    # A token that another source here has goes on posting to that source's flow.
    is_taken = Source.objects.filter(token_digest=values["token_digest"]).exclude(**lookup).exists()
    if is_withheld or is_taken:
        values["token_digest"] = digest(new_token())
    source, is_new = get_or_create_row(Source, lookup, values)
    context.sources[record["id"]] = source.pk
    context.created[SOURCE.name] += is_new
    context.withheld["flow token"] += is_new and is_withheld
