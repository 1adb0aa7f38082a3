"""The bridge's commands as processes of their own, over a database of their own: SQLite's, and PostgreSQL's."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests import databases

ROOT = Path(__file__).resolve().parents[3]
RACE = Path(__file__).with_name("race.py")
RUN_WITH_CLOCK_SKEW = Path(__file__).with_name("run_with_clock_skew.py")
PATIENCE = 30.0
POSTGRESQL = os.environ.get("TEST_DATABASE_URL", "")


class Bridge:
    """The bridge's commands over a database of their own."""

    def __init__(self, data_dir: Path, database_url: str, flowdock_url: str) -> None:
        self.env = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "flowdock_bridge.settings",
            "PYTHONPATH": str(ROOT),
            "SECRET_KEY": "tests-only",
            "FIELD_KEYS": "dGVzdHMgb25seSwgdGVzdHMgb25seSwgdGVzdHMgISE=",
            "DATA_DIR": str(data_dir),
            "DATABASE_URL": database_url,
            "FLOWDOCK_API_URL": flowdock_url,
            "FLOWDOCK_API_VERSION": "activities",
            "FLOWDOCK_TIMEOUT": "0.5",
        }
        self.workers: list[subprocess.Popen[bytes]] = []
        self.database_url = database_url

    def manage(self, *arguments: str) -> str:
        return self._run("manage.py", *arguments)

    def race(self, *arguments: str, clock: int = 0) -> Any:
        """What race.py prints, run on a machine whose clock is ahead by so many seconds."""
        return self.script(*with_clock(clock, str(RACE), *arguments))

    def script(self, path: Path | str, *arguments: str) -> Any:
        """What a script prints as JSON."""
        return json.loads(self._run(str(path), *arguments))

    def _run(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, *arguments], cwd=ROOT, env=self.env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start_worker(self, clock: int = 0, **settings: str) -> subprocess.Popen[bytes]:
        worker = subprocess.Popen(
            [sys.executable, *with_clock(clock, "manage.py", "worker")],
            cwd=ROOT,
            env=self.env | settings,
            stdout=subprocess.PIPE,
        )
        self.workers.append(worker)
        assert worker.stdout
        assert worker.stdout.readline().startswith(b"Delivering to ")
        return worker

    def deliveries(self) -> list[dict[str, Any]]:
        """All of them, oldest first; read without a process of the bridge's, since tests look often."""
        with self._connected() as link:
            rows = link.execute(
                "SELECT id, state, thread_id, next_attempt_at, created_at, delivered_at"
                " FROM integrations_delivery ORDER BY id"
            ).fetchall()
        return [
            {
                "id": pk,
                "state": state,
                "thread_id": thread_id,
                "is_scheduled": next_attempt_at is not None,
                "took": (at(delivered_at) - at(created_at)).total_seconds() if delivered_at else None,
            }
            for pk, state, thread_id, next_attempt_at, created_at, delivered_at in rows
        ]

    def _connected(self) -> Any:
        if self.database_url.startswith("sqlite:///"):
            return contextlib.closing(sqlite3.connect(self.database_url.removeprefix("sqlite:///"), timeout=PATIENCE))
        return psycopg.connect(self.database_url)


def at(moment: datetime | str) -> datetime:
    """PostgreSQL's moment, or SQLite's text of one."""
    return datetime.fromisoformat(moment) if isinstance(moment, str) else moment


def with_clock(seconds: int, *arguments: str) -> tuple[str, ...]:
    """Arguments for Python, to run a script on a machine whose clock is ahead by so many seconds."""
    return (str(RUN_WITH_CLOCK_SKEW), str(seconds), *arguments) if seconds else arguments


DATABASES = [
    "sqlite",
    pytest.param(
        "postgresql",
        marks=[
            pytest.mark.postgresql,
            pytest.mark.skipif(not POSTGRESQL.startswith("postgres"), reason="TEST_DATABASE_URL is not PostgreSQL's"),
        ],
    ),
]


@contextlib.contextmanager
def bridge_over(database: str, data_dir: Path, flowdock_url: str) -> Iterator[Bridge]:
    """A bridge with one connected integration over one of DATABASES; its workers are killed at the end."""
    if database == "sqlite":
        path = data_dir / "bridge.sqlite3"
        shutil.copyfile(databases.shared("connected", _make_connected) / path.name, path)
        yield from stopping(Bridge(data_dir, f"sqlite:///{path}", flowdock_url))
        return
    name = f"bridge_{uuid.uuid4().hex}"
    with psycopg.connect(POSTGRESQL, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}")
        try:
            bridge = Bridge(data_dir, f"{POSTGRESQL.rpartition('/')[0]}/{name}", flowdock_url)
            bridge.manage("migrate", "--verbosity", "0")
            bridge.race("connect")
            yield from stopping(bridge)
        finally:
            server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _make_connected(folder: Path) -> None:
    path = databases.migrated("bridge", folder / "bridge.sqlite3")
    Bridge(folder, f"sqlite:///{path}", "http://127.0.0.1:1").race("connect")
    databases.complete(path)


def stopping(bridge: Bridge) -> Iterator[Bridge]:
    try:
        yield bridge
    finally:
        for worker in bridge.workers:
            worker.kill()
            worker.communicate()


def until(condition: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)
