"""System checks of a deployment."""

from __future__ import annotations

from typing import Any

from django.core.checks import CheckMessage, Error, Info, Tags, Warning, register
from django.db import OperationalError, connection

from flowdock_server.models import Application
from flowdock_server.secrets.encryption import CannotDecrypt, reencrypt


@register(Tags.security, deploy=True)
def client_secrets_open(**kwargs: Any) -> list[CheckMessage]:
    """Check that the client secrets of applications can be decrypted, and with which key."""
    try:
        with connection.cursor() as cursor:
            if Application._meta.db_table not in connection.introspection.table_names(cursor):
                return []  # not migrated yet
    except OperationalError as error:
        return [
            Warning(
                f"The client secrets could not be checked, because the database is not available: {error}",
                id="flowdock_server.W001",
            )
        ]
    old, lost = 0, []
    secrets = list(Application.objects.exclude(sealed_secret="").order_by("pk").values_list("name", "sealed_secret"))
    for name, encrypted in secrets:
        try:
            old += reencrypt(encrypted) != encrypted
        except CannotDecrypt:
            lost.append(name)
    found: list[CheckMessage] = []
    if lost:
        found.append(
            Error(
                f"The client secrets of {len(lost)} applications cannot be decrypted with any of the keys: "
                f"{', '.join(lost[:3])}{', ...' if len(lost) > 3 else ''}.",
                hint="Add the key that they were encrypted with to FLOWDOCK_SERVER_SECRET_KEY_FALLBACKS, or create new "
                "secrets for these applications.",
                id="flowdock_server.E001",
            )
        )
    if old:
        found.append(
            Info(
                f"{old} of {len(secrets)} client secrets are encrypted with an older key.",
                hint="Run `python -m flowdock_server reencrypt_secrets` before you remove the older keys from "
                "FLOWDOCK_SERVER_SECRET_KEY_FALLBACKS.",
                id="flowdock_server.I001",
            )
        )
    return found
