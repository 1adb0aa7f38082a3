"""What `manage.py check` finds wrong with the settings."""

from __future__ import annotations

import pytest
from django.core.checks import run_checks


def found(*, deploy: bool = False) -> set[str]:
    return {message.id for message in run_checks(include_deployment_checks=deploy) if message.id.startswith("integr")}


def test_settings_that_are_right_are_not_complained_about():
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
def test_a_setting_that_is_wrong_is_named(settings, name, value, finding):
    setattr(settings, name, value)

    assert found() == {finding}


def test_a_wrong_key_is_told_by_its_place_and_not_shown(settings):
    settings.FIELD_KEYS = [*settings.FIELD_KEYS, "a-key-with-a-typing-error"]

    (message,) = [each for each in run_checks() if each.id == "integrations.E001"]

    assert "Key 2" in message.msg
    assert "typing" not in str(message)


def test_addresses_in_clear_are_for_development_only(settings):
    settings.BRIDGE_URL = "http://bridge.example"

    assert "integrations.W002" not in found()
    assert "integrations.W002" in found(deploy=True)
