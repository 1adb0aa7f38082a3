"""System checks: they find mistakes in the settings at the start."""

from __future__ import annotations

import ssl
from typing import Any

from cryptography.fernet import Fernet
from django.conf import settings
from django.core.checks import CheckMessage, Error, Info, Tags, Warning, register
from django.db import DatabaseError

from . import encryption
from .activity import is_web_address
from .outages import is_unmigrated

# The checks that commands run when they start. Django's own are about code; `check` and `migrate` run them.
OF_SETTINGS = "settings"


@register(Tags.security, OF_SETTINGS)
def field_keys_are_fernet_keys(**kwargs: Any) -> list[CheckMessage]:
    for position, key in enumerate(settings.FIELD_KEYS, start=1):
        try:
            Fernet(key)
        except ValueError:
            return [
                Error(
                    f"Key {position} of FIELD_KEYS is not a Fernet key.",
                    hint="A Fernet key is 32 random bytes in URL-safe base64. Separate several keys with commas.",
                    id="integrations.E001",
                )
            ]
    return []


@register(OF_SETTINGS)
def flowdock_is_reachable_by_address(**kwargs: Any) -> list[CheckMessage]:
    return [
        Error(f"{name} is not an http(s) address.", id="integrations.E002")
        for name in ("FLOWDOCK_API_URL", "FLOWDOCK_WEB_URL", "BRIDGE_URL")
        if not is_web_address(getattr(settings, name))
    ]


@register(OF_SETTINGS)
def certificate_authorities_can_be_loaded(**kwargs: Any) -> list[CheckMessage]:
    if not settings.FLOWDOCK_CA_FILE:
        return []
    try:
        ssl.create_default_context(cafile=settings.FLOWDOCK_CA_FILE)
    except OSError as error:
        return [
            Error(
                f"The certificates in FLOWDOCK_CA_FILE cannot be loaded: {error.strerror or error}.",
                hint="Set it to the path of a PEM file with one or more certificates that the bridge can read.",
                id="integrations.E005",
            )
        ]
    return []


@register(OF_SETTINGS)
def api_version_is_known(**kwargs: Any) -> list[CheckMessage]:
    if settings.FLOWDOCK_API_VERSION in {"activities", "messages"}:
        return []
    return [
        Error(
            "FLOWDOCK_API_VERSION must be activities or messages.",
            hint="activities: the API of October 2014 (POST /activities); messages: the later API (POST /messages).",
            id="integrations.E003",
        )
    ]


@register(OF_SETTINGS)
def flowdock_knows_this_bridge(**kwargs: Any) -> list[CheckMessage]:
    if settings.FLOWDOCK_CLIENT_ID and settings.FLOWDOCK_CLIENT_SECRET:
        return []
    return [
        Warning(
            "FLOWDOCK_CLIENT_ID or FLOWDOCK_CLIENT_SECRET is not set, so nobody can sign in.",
            hint="Register the bridge as an application in Flowdock, with the redirect URI "
            f"{settings.BRIDGE_URL}/complete/flowdock/.",
            id="integrations.W001",
        )
    ]


@register(Tags.security, deploy=True)
def addresses_are_encrypted_in_transit(**kwargs: Any) -> list[CheckMessage]:
    return [
        Warning(f"{name} does not use https, so tokens and secrets are sent unencrypted.", id="integrations.W002")
        for name in ("FLOWDOCK_API_URL", "BRIDGE_URL")
        if not getattr(settings, name).startswith("https://")
    ]


@register(Tags.security, deploy=True)
def stored_secrets_open(**kwargs: Any) -> list[CheckMessage]:
    # Not tagged as a database check: `migrate` runs those, and a lost secret must not prevent it.
    if field_keys_are_fernet_keys():
        return []
    try:
        tally = encryption.count_keys()
    except DatabaseError as error:
        if is_unmigrated(error):
            return []  # then there are no secrets
        return [
            Warning(
                f"The stored secrets could not be checked, because the database is not available: {error}",
                id="integrations.W003",
            )
        ]
    found: list[CheckMessage] = []
    if tally.lost:
        some = "; ".join(str(secret) for secret in tally.lost[:3]) + ("; ..." if len(tally.lost) > 3 else "")
        found.append(
            Error(
                f"No key of FIELD_KEYS decrypts {len(tally.lost)} stored secrets ({some}).",
                hint="Add the key that they were encrypted with to FIELD_KEYS. `manage.py reencrypt_secrets --dry-run` "
                "lists them.",
                id="integrations.E006",
            )
        )
    if older := tally.count[encryption.Key.OLDER]:
        found.append(
            Info(
                f"Only an older key of FIELD_KEYS decrypts {older} of {tally.count.total()} stored secrets.",
                hint="Run `manage.py reencrypt_secrets` before you remove the older keys.",
                id="integrations.I001",
            )
        )
    return found
