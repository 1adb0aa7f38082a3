"""What `manage.py check` finds wrong with the settings."""

from __future__ import annotations

import pytest
from cryptography.fernet import Fernet
from django.core.checks import run_checks
from django.core.management import get_commands, load_command_class
from django.core.management.base import SystemCheckError


def found(*, deploy: bool = False) -> set[str]:
    return {message.id for message in run_checks(include_deployment_checks=deploy) if message.id.startswith("integr")}


def test_valid_settings_pass_the_checks():
    assert found() == set()


@pytest.mark.parametrize(
    ("name", "value", "finding"),
    [
        ("FIELD_KEYS", ["dGVzdHMgb25seSwgdGVzdHMgb25seSwgdGVzdHMgISE=", "too short"], "integrations.E001"),
        ("FLOWDOCK_API_URL", "flowdock.test", "integrations.E002"),
        ("BRIDGE_URL", "ftp://bridge.test", "integrations.E002"),
        ("FLOWDOCK_API_VERSION", "3", "integrations.E003"),
        ("FLOWDOCK_CA_FILE", "/nowhere/authority.pem", "integrations.E005"),
        ("FLOWDOCK_CA_FILE", __file__, "integrations.E005"),
        ("FLOWDOCK_CLIENT_SECRET", "", "integrations.W001"),
    ],
)
def test_invalid_setting_is_named(settings, name, value, finding):
    setattr(settings, name, value)

    assert found() == {finding}


COMMANDS = {name for name, app in get_commands().items() if app == "integrations"} - {"doctor"}  # it prints them itself


@pytest.mark.parametrize("command", sorted(COMMANDS))
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FIELD_KEYS", ["too short"]),
        ("BRIDGE_URL", "ftp://bridge.test"),
        ("FLOWDOCK_API_VERSION", "3"),
        ("FLOWDOCK_CA_FILE", "/nowhere/authority.pem"),
    ],
)
def test_command_does_not_start_with_an_invalid_setting(settings, command, name, value):
    setattr(settings, name, value)

    with pytest.raises(SystemCheckError):
        load_command_class("integrations", command).execute(skip_checks=False, force_color=False, no_color=True)


def test_invalid_key_is_named_by_its_position_and_not_shown(settings):
    settings.FIELD_KEYS = [*settings.FIELD_KEYS, "a-key-with-a-typing-error"]

    (message,) = [each for each in run_checks() if each.id == "integrations.E001"]

    assert "Key 2" in message.msg
    assert "typing" not in str(message)


def test_unencrypted_addresses_are_for_development_only(db, settings):
    settings.BRIDGE_URL = "http://bridge.example"

    assert "integrations.W002" not in found()
    assert "integrations.W002" in found(deploy=True)


@pytest.fixture
def rotated(settings):
    """A function that puts a new key first; the older ones stay unless they are dropped."""

    def rotate(*, drop: bool = False) -> None:
        settings.FIELD_KEYS = [Fernet.generate_key().decode(), *([] if drop else settings.FIELD_KEYS)]

    return rotate


def of_secrets() -> dict[str, str]:
    return {
        message.id: message.msg
        for message in run_checks(include_deployment_checks=True)
        if message.id in {"integrations.E006", "integrations.I001", "integrations.W003"}
    }


def test_deployment_check_passes_if_the_first_key_decrypts_all_secrets(integration):
    assert of_secrets() == {}


def test_deployment_check_counts_the_secrets_that_need_an_older_key(integration, rotated):
    rotated()

    assert of_secrets() == {"integrations.I001": "Only an older key of FIELD_KEYS decrypts 2 of 2 stored secrets."}


def test_deployment_check_fails_if_a_secret_cannot_be_decrypted(integration, rotated):
    rotated(drop=True)

    assert set(of_secrets()) == {"integrations.E006"}
    assert of_secrets()["integrations.E006"].startswith("No key of FIELD_KEYS decrypts 2 stored secrets")
    assert f"integration {integration.pk}, flow_token" in of_secrets()["integrations.E006"]
