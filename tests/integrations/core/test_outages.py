"""A database that does not answer: what waits for it comes back, and says so."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from django.db import connection

from integrations import transactions
from integrations.models import Event

from .conftest import issue

ROOT = Path(__file__).resolve().parents[3]
POST_A_WEBHOOK = """
import django
django.setup()
from django.test import Client
answer = Client(headers={"host": "127.0.0.1"}).post("/hooks/aaaa-bbbb-cccc/", b"{}", content_type="application/json")
print(answer.status_code)
"""


@pytest.fixture
def silent_server() -> Iterator[int]:
    """The port of a server that takes connections and says nothing, as a database machine whose disk hangs."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def run_with(database_url: str, code: str, data_dir: Path) -> subprocess.CompletedProcess[str]:
    """Run Python code under the bridge's own settings."""
    env = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "flowdock_bridge.settings",
        "SECRET_KEY": "tests-only",
        "FIELD_KEYS": "dGVzdHMgb25seSwgdGVzdHMgb25seSwgdGVzdHMgISE=",
        "DATA_DIR": str(data_dir),
        "DATABASE_URL": database_url,
    }
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False)


def test_webhook_request_is_answered_503_while_the_database_does_not_answer(silent_server, tmp_path):
    posted = run_with(f"postgres://bridge@127.0.0.1:{silent_server}/bridge", POST_A_WEBHOOK, tmp_path)

    assert posted.stdout == "503\n", posted.stderr
    (line,) = posted.stderr.splitlines()
    assert "the database is not available" in line


def test_timeouts_in_the_database_url_take_precedence(tmp_path):
    ask = "from django.conf import settings; print(settings.DATABASES['default']['OPTIONS'])"

    said = run_with("postgres://bridge@127.0.0.1/bridge?connect_timeout=2&sslmode=require", ask, tmp_path).stdout

    assert "'connect_timeout': 2" in said
    assert "'sslmode': 'require'" in said
    assert "'tcp_user_timeout': 10000" in said


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer, and a timeout for the others")
@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_webhook_request_is_answered_503_while_its_origin_stays_locked(send, integration, monkeypatch, caplog):
    monkeypatch.setattr(transactions, "LOCK_TIMEOUT", "300ms")
    told = connection.get_connection_params()
    address = {name: told[name] for name in ("host", "port", "user", "password", "dbname") if told.get(name)}

    transactions.limit_statements(None, connection=connection)  # as web processes do when they connect
    with psycopg.connect(**address) as other:
        other.execute("SELECT 1 FROM integrations_origin FOR UPDATE")
        # So that the test ends also where nothing else does.
        other.execute("SET idle_in_transaction_session_timeout = '20s'")
        began = time.monotonic()
        answer = send(integration.origin, issue())
        took = time.monotonic() - began

    assert answer.status_code == 503
    assert took < 10
    assert "lock timeout" in caplog.text
    assert not Event.objects.exists()
    with connection.cursor() as cursor:
        cursor.execute("RESET lock_timeout")
        cursor.execute("RESET statement_timeout")
    assert send(integration.origin, issue()).status_code == 202
