"""`manage.py doctor`: what it finds, and the code that it ends with."""

from __future__ import annotations

import datetime as dt
import io
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
import responses
import time_machine
from cryptography.fernet import Fernet
from django.core.management import call_command
from django.db import OperationalError, connection
from django.utils import timezone

from integrations.models import Delivery, Event, Integration, Worker
from integrations.workers import Heartbeat

from .test_webhooks import failing

TOKENS = "https://flowdock.test/oauth/token"
HEALTHY = {
    "BRIDGE_URL": "https://bridge.test",
    "SECRET_KEY": "only-for-this-test-0123456789-abcdefghijklmnopqrstuvwxyz",
    "SECURE_SSL_REDIRECT": True,
    "SECURE_HSTS_SECONDS": 3600,
    "SESSION_COOKIE_SECURE": True,
    "CSRF_COOKIE_SECURE": True,
}


@pytest.fixture
def flowdock() -> Iterator[responses.RequestsMock]:
    """Flowdock knows the bridge."""
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        mock.post(TOKENS, status=400, json={"error": "invalid_grant"})
        yield mock


@pytest.fixture
def installation(db, flowdock, settings, tmp_path) -> Path:
    """An installation without problems; its DATA_DIR."""
    for name, value in HEALTHY.items():
        setattr(settings, name, value)
    settings.DATA_DIR = tmp_path / "data"
    settings.DATA_DIR.mkdir(mode=0o700)
    Heartbeat("machine:1").beat(is_breaker_open=False)
    return Path(settings.DATA_DIR)


def doctor(*arguments: str, code: int = 0) -> dict[str, tuple[str, str]]:
    """Level and text by subject. If there are several findings about a subject, the first that is not ok."""
    out, ended = io.StringIO(), 0
    try:
        call_command("doctor", "--json", *arguments, stdout=out)
    except SystemExit as error:
        ended = int(error.code or 0)
    assert ended == code, out.getvalue()
    found: dict[str, tuple[str, str]] = {}
    for finding in map(json.loads, out.getvalue().splitlines()):
        if found.get(finding["subject"], ("ok", ""))[0] == "ok":
            found[finding["subject"]] = finding["level"], f"{finding['text']} {finding['advice']}"
    return found


def test_installation_without_problems_is_ok(installation, integration):
    found = doctor()

    assert {subject: level for subject, (level, _) in found.items()} == {
        **dict.fromkeys(
            ["settings", "files", "database", "migrations", "keys", "workers", "deliveries", "Flowdock"], "ok"
        ),
        **(dict.fromkeys(["clock", "notifications"], "ok") if connection.vendor == "postgresql" else {}),
        "static files": "warning",  # nothing is collected for tests
    }


def test_strict_also_fails_for_warnings(installation):
    doctor("--strict", code=1)


def test_lines_for_people_say_what_to_do(installation, capsys):
    call_command("doctor")

    lines = capsys.readouterr().out.splitlines()
    assert "ok       migrations: all applied" in lines
    assert any(line.startswith("warning  static files: not collected") and "collectstatic" in line for line in lines)


def test_lost_key_is_found_and_the_integration_is_named(installation, integration, settings):
    settings.FIELD_KEYS = [Fernet.generate_key().decode()]

    level, text = doctor(code=1)["keys"]

    assert level == "problem"
    assert "no key of FIELD_KEYS decrypts 2 of 2 secrets" in text
    assert f"integration {integration.pk}, flow_token" in text


def test_key_that_is_no_fernet_key_is_reported_once(installation, integration, settings):
    settings.FIELD_KEYS = ["short"]

    found = doctor(code=1)

    assert "integrations.E001" in found["settings"][1]
    assert "keys" not in found


def test_database_that_is_away_is_one_problem_and_flowdock_is_still_checked(installation):
    with failing(OperationalError("connection refused\nIs it running?")):
        found = doctor(code=1)

    assert found["database"][0] == "problem"
    assert "connection refused Check DATABASE_URL" in found["database"][1]
    assert found["Flowdock"][0] == "ok"
    assert "keys" not in found


def test_missing_migration_is_named(installation):
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'polls'")

    level, text = doctor(code=1)["migrations"]

    assert (level, "polls.0001_initial" in text, "manage.py migrate" in text) == ("problem", True, True)


def test_database_of_a_newer_version_is_a_warning(installation):
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO django_migrations (app, name, applied) VALUES ('integrations', '9999_future', %s)",
            [timezone.now()],
        )

    assert "9999_future" in doctor()["migrations"][1]


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ((401, {"error": "invalid_client"}), "does not know this bridge"),
        ((503, {}), "Flowdock answered 503"),
        ((200, {}), "token request with no error"),
    ],
)
def test_flowdock_that_does_not_know_the_bridge_or_does_not_answer_is_a_problem(installation, flowdock, answer, says):
    flowdock.upsert("POST", TOKENS, status=answer[0], json=answer[1])

    level, text = doctor(code=1)["Flowdock"]

    assert level == "problem"
    assert says in text


def test_flowdock_that_cannot_be_reached_is_a_problem(installation, flowdock):
    flowdock.upsert("POST", TOKENS, body=requests.ConnectTimeout())

    assert "could not be reached" in doctor(code=1)["Flowdock"][1]


def test_folder_that_everybody_can_open_is_a_problem(installation):
    installation.chmod(0o755)

    assert doctor(code=1)["files"] == ("problem", f"everybody can access {installation} Run chmod o= {installation}.")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
def test_file_of_another_user_is_a_warning(installation):
    (installation / "bridge.sqlite3").touch()
    os.chown(installation / "bridge.sqlite3", 12345, 12345)

    level, text = doctor()["files"]

    assert (level, "bridge.sqlite3" in text) == ("warning", True)


def test_delivery_that_nobody_makes_is_a_problem(installation, integration: Integration):
    event = Event.objects.create(origin=integration.origin, request_id="1", kind="issues", headers={}, body=b"{}")
    due = timezone.now() - dt.timedelta(minutes=6)
    Delivery.objects.create(integration=integration, event=event, state="pending", next_attempt_at=due, thread_id="x")

    level, text = doctor(code=1)["deliveries"]

    assert level == "problem"
    assert "Check that a worker runs" in text


def test_no_heartbeat_of_a_worker_is_a_warning(installation):
    Worker.objects.all().delete()

    level, text = doctor()["workers"]

    assert (level, "manage.py worker" in text) == ("warning", True)


def test_worker_that_waits_for_flowdock_is_a_warning(installation):
    Heartbeat("machine:2").beat(is_breaker_open=True)

    level, text = doctor()["workers"]

    assert (level, text.startswith("machine:2 sends only probes")) == ("warning", True)


def test_event_that_nobody_decides_is_a_problem(installation, integration: Integration):
    received = timezone.now() - dt.timedelta(minutes=6)
    Event.objects.create(
        origin=integration.origin, request_id="1", kind="issues", headers={}, body=b"{}", awaits_decision=True,
        received_at=received,
    )  # fmt: skip

    assert "some events wait for more than 5 minutes" in doctor(code=1)["deliveries"][1]


def test_clock_that_differs_from_the_databases_is_a_problem(installation):
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has no clock of its own")
    with time_machine.travel(time.time() + 60, tick=True):
        level, text = doctor(code=1)["clock"]

    assert level == "problem"
    assert "60 s ahead of the database's" in text
