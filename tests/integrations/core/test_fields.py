"""Secrets at rest: not to be read in the database, and still there after the keys have changed."""

from __future__ import annotations

import pytest
from cryptography.fernet import Fernet
from django.db import connection
from django.utils import timezone

from integrations.fields import UndecipherableSecret
from integrations.models import Integration, Origin


def stored(column: str, table: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {column} FROM {table}")  # noqa: S608  names of ours
        return cursor.fetchone()[0]


def test_tokens_and_secrets_are_encrypted_in_the_database(integration):
    token, secret = stored("flow_token", "integrations_integration"), stored("secret", "integrations_origin")

    assert integration.flow_token not in token
    assert integration.origin.secret not in secret
    assert Integration.objects.get().flow_token == integration.flow_token
    assert Origin.objects.get().secret == integration.origin.secret


def test_empty_secret_is_stored_as_empty_text(connect):
    connect(flow_token="", flowdock_id=None)

    assert stored("flow_token", "integrations_integration") == ""
    assert Integration.objects.filter(flow_token="").exists()


def test_secret_of_an_older_key_can_be_decrypted(integration, settings):
    settings.FIELD_KEYS = [Fernet.generate_key().decode(), *settings.FIELD_KEYS]
    assert Integration.objects.get().flow_token == integration.flow_token

    Integration.objects.get().save(update_fields=["flow_token"])
    settings.FIELD_KEYS = settings.FIELD_KEYS[:1]

    assert Integration.objects.get().flow_token == integration.flow_token


def test_undecipherable_secret_raises_an_error_that_does_not_contain_it(integration, settings):
    ciphertext = stored("flow_token", "integrations_integration")
    settings.FIELD_KEYS = [Fernet.generate_key().decode()]

    with pytest.raises(UndecipherableSecret, match="FIELD_KEYS") as raised:
        _ = Integration.objects.get().flow_token

    assert ciphertext not in str(raised.value)


def test_row_with_an_undecipherable_secret_can_be_listed_and_saved(integration, settings):
    keys, settings.FIELD_KEYS = settings.FIELD_KEYS, [Fernet.generate_key().decode()]
    locked = Integration.objects.get()

    assert locked.state == Integration.State.WAITING
    locked.name = "octo/renamed"
    locked.save()

    settings.FIELD_KEYS = keys
    again = Integration.objects.get()
    assert (again.name, again.flow_token) == ("octo/renamed", integration.flow_token)


def test_webhook_secret_that_cannot_be_decrypted_can_be_replaced(integration, settings):
    settings.FIELD_KEYS = [Fernet.generate_key().decode()]

    Origin.objects.get().rotate_secret()

    origin = Origin.objects.get()
    assert origin.secret not in {"", integration.origin.secret}
    assert origin.secrets(timezone.now()) == [origin.secret]
