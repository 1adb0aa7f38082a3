"""Runs the server as a process, with a separate database and real connections."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests import databases

PATIENCE = 30.0  # seconds; an idle machine needs a fraction of one

# Ines is in acme/main and acme/lobby, Otto in acme/lobby, Sam in other/elsewhere.
SEED = """
import json
from datetime import timedelta
from django.utils import timezone
from oauth2_provider.models import get_access_token_model, set_token_value
from flowdock_server.models import *
def person(name):
    return User.objects.create_user(f"{name}@example.com", name.title(), "a password" if name == "ines" else None)
ines, otto, sam = person("ines"), person("otto"), person("sam")
acme = Organization.objects.create(name="Acme", parameterized_name="acme")
other = Organization.objects.create(name="Other", parameterized_name="other")
flows = {}
for organization, name, people in ((acme, "main", [ines]), (acme, "lobby", [ines, otto]), (other, "elsewhere", [sam])):
    flow = Flow.objects.create(organization=organization, name=name.title(), parameterized_name=name)
    flows[name] = str(flow.pk)
    for each in people:
        Membership.objects.get_or_create(organization=organization, user=each)
        FlowMembership.objects.create(flow=flow, user=each)
lights = Application.objects.create(name="Lights", client_id="lights", user=ines, redirect_uris="https://l.test/",
    client_type="confidential", authorization_grant_type="authorization-code")
def access(raw, scope, lasts):
    token = get_access_token_model()(user=ines, application=lights, scope=scope, expires=timezone.now() + lasts)
    set_token_value(token, raw)
    token.save()
    return raw
hour = timedelta(hours=1)
source = Source.connect(flow=Flow.objects.get(parameterized_name="main"), application=lights, creator=ines, name="o/h")
print(json.dumps({
    "ids": {"ines": ines.pk, "otto": otto.pk, "sam": sam.pk}, "flows": flows, "flow_token": source[1],
    "ines": ApiToken.issue(ines, "t")[1], "otto": ApiToken.issue(otto, "t")[1], "sam": ApiToken.issue(sam, "t")[1],
    "flow": access("flow", "flow", hour), "private": access("private", "private", hour),
    "profile": access("profile", "profile", hour), "expired": access("expired", "flow", -hour),
}))
"""


def migrated(folder: Path) -> Path:
    """A new SQLite database in `folder`, as `migrate` makes it."""
    return databases.migrated("flowdock", folder / "flowdock.sqlite3")


def _make_seeded(folder: Path) -> None:
    path = migrated(folder)
    (folder / "seeded.json").write_text(Server(folder).manage("shell", "-v0", program=SEED))
    databases.complete(path)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """`python -m flowdock_server serve`, on free ports."""

    def __init__(self, folder: Path, **settings: str) -> None:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("FLOWDOCK_", "DJANGO_"))}
        self.port, self.stream_port = free_port(), free_port()
        self.env = clean | {
            "FLOWDOCK_SERVER_SECRET_KEY": "only for tests",
            "FLOWDOCK_SERVER_DATABASE_URL": "",
            "FLOWDOCK_SERVER_URL": f"http://127.0.0.1:{self.port}",
            "FLOWDOCK_STREAM_URL": f"http://127.0.0.1:{self.stream_port}",
            "STREAM_PORT": str(self.stream_port),
            "FLOWDOCK_SERVER_ALLOWED_HOSTS": "127.0.0.1",
            "DATA_DIR": str(folder),
            **settings,
        }
        self.process: subprocess.Popen[bytes] | None = None

    def manage(self, *arguments: str, program: str = "") -> str:
        command = [sys.executable, "-m", "flowdock_server", *arguments]
        done = subprocess.run(
            command, env=self.env, input=program, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    @property
    def database(self) -> Path:
        """Where it is SQLite's."""
        return Path(self.env["DATA_DIR"]) / "flowdock.sqlite3"

    def seed(self) -> dict[str, Any]:
        if self.env["FLOWDOCK_SERVER_DATABASE_URL"]:
            self.manage("migrate")
            output = self.manage("shell", "-v0", program=SEED)
        else:
            ready = databases.shared("seeded", _make_seeded)
            shutil.copyfile(ready / "flowdock.sqlite3", self.database)
            output = (ready / "seeded.json").read_text()
        seeded: dict[str, Any] = json.loads(output)
        return seeded

    @contextlib.contextmanager
    def running(self) -> Iterator[Server]:
        command = [sys.executable, "-m", "flowdock_server", "serve", "--port", str(self.port)]
        self.process = subprocess.Popen(command, env=self.env, stdout=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + PATIENCE
            while not (listens(self.port) and listens(self.stream_port)):
                assert self.process.poll() is None, "the server has ended"
                assert time.monotonic() < deadline
                time.sleep(0.05)
            yield self
        finally:
            if self.process.poll() is None:
                self.process.kill()
            self.process.wait()

    def stop(self) -> tuple[int, float]:
        """Stop the server. Returns its exit code and the seconds that it took."""
        assert self.process
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=PATIENCE), time.monotonic() - began

    def call(
        self, method: str, path: str, token: str = "", body: object = None, port: int = 0, **headers: str
    ) -> tuple[int, dict[str, str], Any]:
        """Status, headers by lower-case name, and the parsed JSON of the response."""
        link = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=PATIENCE)
        given = {"Authorization": basic(token)} if token else {}
        if body is not None:
            given["Content-Type"] = "application/json"
        sent = given | {name.replace("_", "-"): value for name, value in headers.items()}
        link.request(method, path, None if body is None else json.dumps(body), sent)
        response = link.getresponse()
        text = response.read()
        link.close()
        found = {name.lower(): value for name, value in response.getheaders()}
        return response.status, found, json.loads(text) if text else None

    def say(self, content: str, token: str, flow: str = "acme/main") -> dict[str, Any]:
        status, _, message = self.call(
            "POST", f"/flows/{flow}/messages", token, {"event": "message", "content": content}
        )
        assert status == 201, message
        return message

    def stream(self, path: str, token: str = "", **headers: str) -> Stream:
        return Stream(self.stream_port, path, token, headers)


class Stream:
    """A client of a stream, which reads it chunk by chunk."""

    def __init__(self, port: int, path: str, token: str, headers: dict[str, str]) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        lines = [f"GET {path} HTTP/1.1", "Host: 127.0.0.1"]
        if token:
            lines.append(f"Authorization: {basic(token)}")
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode())
        self.file = self.socket.makefile("rb")
        self.status = int(self.file.readline().split()[1])
        self.headers = {}
        while line := self.file.readline().decode().strip():
            name, _, value = line.partition(": ")
            self.headers[name.lower()] = value
        if self.status == 200:
            self.first = self.chunk()

    def chunk(self) -> bytes:
        """The next chunk; empty for the last."""
        size = int(self.file.readline(), 16)
        data = self.file.read(size)
        self.file.readline()
        return data

    def next(self) -> Any:
        """The next message, without keep-alives; for an event stream, its id and the message."""
        while (chunk := self.chunk()) in (b"\n", b":\n\n"):
            pass
        assert chunk, "the stream has ended"
        if not chunk.startswith((b"id: ", b"data: ")):
            assert chunk.endswith(b"\r\n")
            assert chunk.count(b"\n") == 1
            return json.loads(chunk)
        assert chunk.endswith(b"\n\n")
        event = dict(line.split(": ", 1) for line in chunk.decode().strip().split("\n"))
        return event.get("id"), json.loads(event["data"])

    def is_silent(self, seconds: float = 0.7) -> bool:
        """Whether no message arrives for so long, ignoring keep-alives. A message that arrives is printed."""
        end = time.monotonic() + seconds
        while self._has_more(end - time.monotonic()):
            chunk = self.chunk()
            if chunk not in (b"\n", b":\n\n"):
                print("not silent:", chunk)
                return not chunk
        return True

    def _has_more(self, seconds: float) -> bool:
        """Whether something arrives within `seconds`. It is not read, since a read that times out closes the file."""
        try:
            self.socket.setblocking(False)
            if self.file.peek():  # read together with the previous message
                return True
            self.socket.settimeout(max(seconds, 0.001))
            self.socket.recv(1, socket.MSG_PEEK)
        except TimeoutError:
            return False
        finally:
            self.socket.settimeout(PATIENCE)
        return True

    def close(self) -> None:
        self.file.close()
        self.socket.close()

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def basic(token: str) -> str:
    name, _, password = token.partition("\n")
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()
