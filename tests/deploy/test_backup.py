"""Back-up and restore by the commands in docs/deploying.md, while webhook requests arrive."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import requests

from launcher.environment import ROOT
from tests.loop.flow import Flow
from tests.stack import Stack, until

from .conftest import required

pytestmark = pytest.mark.loop
SERVER = os.environ.get("TEST_POSTGRESQL_URL", "postgres://postgres@127.0.0.1:5432/postgres")
SECTION = (ROOT / "docs" / "deploying.md").read_text().split("\n## Back up and restore\n")[1].split("\n## ")[0]


def documented(start: str) -> str:
    """The line of the documentation's section that begins with these words."""
    lines = [line.split("  #")[0].strip() for line in SECTION.splitlines()]
    return next(line for line in lines if line.startswith(start))


def shell(command: str, **variables: str) -> None:
    done = subprocess.run(
        ["/bin/sh", "-ec", command], env={"PATH": os.environ["PATH"], **variables}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{command}\n{done.stderr}"


@contextlib.contextmanager
def postgresql() -> Iterator[str]:
    """The address of a new database."""
    required("pg_dump")
    name = f"backup_{os.getpid()}"
    try:
        with psycopg.connect(SERVER, autocommit=True, connect_timeout=5) as link:
            link.execute(f"CREATE DATABASE {name}")
    except psycopg.OperationalError:
        if os.environ.get("CI"):
            raise
        pytest.skip("no PostgreSQL server is running")
    try:
        yield SERVER.rpartition("/")[0] + f"/{name}"
    finally:
        with psycopg.connect(SERVER, autocommit=True) as link:
            link.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


class Origin:
    """octo/hello at GitHub: sends numbered issues until it is stopped, and keeps those that were accepted."""

    def __init__(self, stack: Stack) -> None:
        connected = stack.manage("connect", "github", "octo/hello", "--json", input=flow_token(stack))
        self.hook = json.loads(connected.stdout)
        self.accepted: list[int] = []
        self.session = requests.Session()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def send(self, number: int) -> int:
        body = json.dumps(
            {
                "action": "opened",
                "issue": {"number": number, "title": f"Issue {number}", "html_url": "https://github.com/octo/hello"},
                "repository": {"full_name": "octo/hello", "html_url": "https://github.com/octo/hello"},
                "sender": {"login": "octo", "html_url": "https://github.com/octo"},
            }
        ).encode()
        signature = hmac.new(self.hook["secret"].encode(), body, hashlib.sha256).hexdigest()
        headers = {
            "Content-Type": "application/json",
            "X-Hub-Signature-256": f"sha256={signature}",
            "X-GitHub-Event": "issues",
            "X-GitHub-Delivery": f"issue-{number}",
        }
        return self.session.post(self.hook["hook_url"], data=body, headers=headers, timeout=30).status_code

    def _run(self) -> None:
        while not self._stop.is_set():
            number = len(self.accepted) + 1
            assert self.send(number) == 202
            self.accepted.append(number)
            time.sleep(0.01)

    @contextlib.contextmanager
    def sending(self) -> Iterator[None]:
        self._thread.start()
        try:
            yield
        finally:
            self._stop.set()
            self._thread.join()


def flow_token(stack: Stack) -> str:
    granted = requests.post(
        f"{stack.flowdock}/oauth/token",
        data={
            "grant_type": "password", "username": "demo@example.com", "password": "demo", "scope": "integration",
            "client_id": stack.env["FLOWDOCK_CLIENT_ID"], "client_secret": stack.env["FLOWDOCK_CLIENT_SECRET"],
        },
        headers={"Accept": "application/json"},
        timeout=30,
    )  # fmt: skip
    source = requests.post(
        f"{stack.flowdock}/flows/acme/main/sources",
        data={"name": "octo/hello"},
        headers={"Authorization": f"Bearer {granted.json()['access_token']}"},
        timeout=30,
    )
    return str(source.json()["flow_token"])


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_restored_bridge_posts_what_was_waiting_and_nothing_twice(database: str, tmp_path: Path) -> None:
    data, backup = tmp_path / "data", tmp_path / "backup"
    backup.mkdir()
    with contextlib.ExitStack() as stack_of_contexts:
        url = stack_of_contexts.enter_context(postgresql()) if database == "postgresql" else ""
        stack = Stack(data, **({"DATABASE_URL": url} if url else {}))
        stack.prepare()
        if url:
            stack.manage("migrate", "--verbosity", "0")
        stack_of_contexts.callback(stack.stop)
        stack.start()
        origin, flow = Origin(stack), Flow(stack)

        with origin.sending():
            until(lambda: len(origin.accepted) >= 10, "some requests")
            stack.stop("worker", by=signal.SIGKILL)  # what comes now waits, and is in the back-up as waiting
            until(lambda: len(origin.accepted) >= 30, "some more requests")
            before = len(origin.accepted)
            if url:
                shell(documented("pg_dump"), backup=str(backup), DATABASE_URL=url)
            else:
                required("sqlite3")
                shell(
                    documented("sqlite3 /var/lib/flowdock-bridge/").replace("/var/lib/flowdock-bridge", str(data)),
                    backup=str(backup),
                )
            until(lambda: len(origin.accepted) >= before + 10, "requests after the back-up")
        stack.start("worker")
        until(lambda: len(titles(flow)) == len(origin.accepted), "everything to be posted")
        posted = titles(flow)
        assert sorted(posted) == sorted(set(posted))

        stack.stop("bridge", "worker", by=signal.SIGKILL)
        if url:
            with psycopg.connect(SERVER, autocommit=True) as link:
                name = url.rpartition("/")[2]
                link.execute(f"DROP DATABASE {name} WITH (FORCE)")
                link.execute(f"CREATE DATABASE {name}")
            shell(documented("pg_restore"), backup=str(backup), DATABASE_URL=url)
        else:
            for path in data.glob("bridge.sqlite3*"):
                path.unlink()
            (backup / "bridge.sqlite3").rename(data / "bridge.sqlite3")
        stack.manage("migrate", "--check")
        stack.start("bridge", "worker")

        # What the back-up does not have is sent again: GitHub's "Redeliver".
        lost = origin.accepted[-1]
        assert [origin.send(number) for number in (1, lost)] == [200, 202]
        until(lambda: stack.manage("deliver_activities", "--dry-run").stdout.startswith("0 "), "an empty outbox")
        shown = stack.manage("explain", f"issue-{lost}", check=False).stdout
        assert "posted" in shown.lower(), shown
        assert sorted(titles(flow)) == sorted(posted), "nothing is there twice, and nothing is missing"


def titles(flow: Flow) -> list[str]:
    """The title of each activity's thread, once for each activity."""
    messages: list[dict[str, Any]] = []
    while page := flow.get("/messages", event="activity", sort="asc", limit=100, since_id=last_id(messages)):
        messages += page
    return [message["thread"]["title"] for message in messages]


def last_id(messages: list[dict[str, Any]]) -> int:
    return int(messages[-1]["id"]) if messages else 0
