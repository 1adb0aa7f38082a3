"""Bridges to be measured, each with a database, addresses and secrets of its own, and the databases that they use."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import sqlite3
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from honcho.environ import parse_procfile

from bench.processes import call, cpu_seconds, free_port, python
from launcher.environment import ROOT, SECRETS, for_one_machine

INHERITED = {"PATH", "HOME", "LANG", "TMPDIR"}


class Databases(Protocol):
    """Creates databases of one kind."""

    name: str

    def create(self, name: str) -> str:
        """Create an empty database and return its URL."""

    def cpu(self, url: str) -> float:
        """CPU seconds that the server's processes for this database have used: 0 without a server."""

    def size(self, url: str) -> int:
        """Bytes on disk."""

    def count(self, url: str, table: str, condition: str = "true") -> int:
        """The rows of the table that meet the condition, which is SQL."""


class SQLite:
    name = "SQLite"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def create(self, name: str) -> str:
        return f"sqlite:///{self._folder / f'{name}-{uuid.uuid4().hex[:8]}.sqlite3'}"

    def cpu(self, url: str) -> float:
        return 0.0

    def size(self, url: str) -> int:
        file = url.removeprefix("sqlite:///")
        with contextlib.closing(sqlite3.connect(file, timeout=30)) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return Path(file).stat().st_size

    def count(self, url: str, table: str, condition: str = "true") -> int:
        with contextlib.closing(sqlite3.connect(url.removeprefix("sqlite:///"), timeout=30)) as database:
            return int(database.execute(f"SELECT count(*) FROM {table} WHERE {condition}").fetchone()[0])


class PostgreSQL:
    name = "PostgreSQL"

    def __init__(self, url: str) -> None:
        """Raises OSError if the server cannot be reached."""
        import psycopg

        self._url = url
        self._created: list[str] = []
        try:
            self._server = psycopg.connect(url, autocommit=True, connect_timeout=5)
        except psycopg.Error as error:
            raise OSError(f"PostgreSQL cannot be reached: {error}") from error

    def create(self, name: str) -> str:
        self._created.append(f"bench_{name}_{uuid.uuid4().hex[:8]}")
        self._server.execute(f"CREATE DATABASE {self._created[-1]}")
        return f"{self._url.rpartition('/')[0]}/{self._created[-1]}"

    def cpu(self, url: str) -> float:
        """Of the processes that serve connections. Writing to disk in the background is not in it."""
        found = self._server.execute("SELECT pid FROM pg_stat_activity WHERE datname = %s", [url.rpartition("/")[2]])
        return cpu_seconds(pid for (pid,) in found)

    def size(self, url: str) -> int:
        found = self._server.execute("SELECT pg_database_size(%s)", [url.rpartition("/")[2]]).fetchone()
        return int(found[0]) if found else 0

    def count(self, url: str, table: str, condition: str = "true") -> int:
        import psycopg

        with psycopg.connect(url, autocommit=True) as database:
            return int(database.execute(f"SELECT count(*) FROM {table} WHERE {condition}").fetchone()[0])

    def span(self, url: str, table: str, column: str, condition: str = "true") -> float:
        """Seconds from the first to the last time in the column, of the rows that meet the condition."""
        import psycopg

        with psycopg.connect(url, autocommit=True) as database:
            query = f"SELECT extract(epoch FROM max({column}) - min({column})) FROM {table} WHERE {condition}"
            return float(database.execute(query).fetchone()[0])

    def drop_created(self) -> None:
        for name in self._created:
            self._server.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        self._server.close()


@contextlib.contextmanager
def postgresql(url: str) -> Iterator[PostgreSQL]:
    """The server at `url`; the databases that are created on it are dropped at the end. Raises OSError."""
    server = PostgreSQL(url)
    try:
        yield server
    finally:
        server.drop_created()


@dataclass
class Origin:
    """An origin of a bridge: where its webhook requests go, and their secret."""

    pk: int
    hook_id: str
    secret: str


class Bridge:
    """A bridge whose processes are started as a measurement needs them."""

    def __init__(self, folder: Path, database: str, **settings: str) -> None:
        self.database = database
        bridge, flowdock, streams = (str(free_port()) for _ in range(3))
        self.port = int(bridge)
        data = folder / f"data-{uuid.uuid4().hex[:8]}"
        given = {name: make() for name, make in SECRETS.items()} | {
            "BRIDGE_PORT": bridge,
            "FLOWDOCK_PORT": flowdock,
            "STREAM_PORT": streams,
            "BRIDGE_URL": f"http://127.0.0.1:{bridge}",
            "FLOWDOCK_SERVER_URL": f"http://127.0.0.1:{flowdock}",
            "FLOWDOCK_API_URL": f"http://127.0.0.1:{flowdock}",
            "FLOWDOCK_STREAM_URL": f"http://127.0.0.1:{streams}",
            "DATA_DIR": str(data),
            "DATABASE_URL": database,
            "FLOWDOCK_SERVER_DATABASE_URL": f"sqlite:///{data}/flowdock.sqlite3",
            "LOG_LEVEL": "WARNING",
            "FLOWDOCK_SERVER_LOG_LEVEL": "WARNING",
        }
        # What .env or the caller's environment has for another bridge must not change this one.
        inherited = {name: value for name, value in os.environ.items() if name in INHERITED}
        self.env = for_one_machine({}) | given | inherited | settings
        self.env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{self.env['PATH']}"
        data.mkdir()
        self.manage("migrate", "--verbosity", "0")

    def manage(self, *arguments: str) -> str:
        return call(python("manage.py", *arguments), self.env)

    def serve(self, processes: int) -> list[str]:
        """The command that serves pages and webhooks."""
        return python("manage.py", "serve", "--port", str(self.port), "--workers", str(processes))

    def command(self, name: str) -> list[str]:
        """The command of the Procfile, as `make run` starts it."""
        command = parse_procfile((ROOT / "Procfile").read_text()).processes[name].removeprefix("exec ")
        for variable in ("BIND", "BRIDGE_PORT", "FLOWDOCK_PORT", "STREAM_PORT"):
            command = command.replace(f'"${variable}"', self.env[variable])
        first, *others = shlex.split(command)
        return [sys.executable if first == "python" else first, *others]

    def connect(self, name: str = "octo/hello", integrations: int = 1) -> Origin:
        """Create an origin with so many integrations."""
        return Origin(**self.run("bench.seed", name, str(integrations)))

    def run(self, module: str, *arguments: str) -> dict[str, Any]:
        """Run one of the bench's modules with this bridge's settings. Returns the JSON of its last line."""
        printed = call(python("-m", module, *arguments), self.env)
        return dict(json.loads(printed.splitlines()[-1]))
