"""Probes of load balancers, request ids and logs of the running server."""

import http.client
import json
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from django.urls import Resolver404, resolve

from .serving import PATIENCE, Server, listens, migrated


def ask(port: int, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], str]:
    """The response to a request as a load balancer sends it: by address and http."""
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    sent = {"Host": "192.0.2.77", **{name.replace("_", "-"): value for name, value in headers.items()}}
    link.request(method, path, headers=sent)
    response = link.getresponse()
    found = {name.lower(): value for name, value in response.getheaders()}
    text = response.read().decode()
    link.close()
    return response.status, found, text


def test_probes_are_answered_by_address_and_http_on_both_ports(tmp_path: Path) -> None:
    migrated(tmp_path)
    server = Server(tmp_path, FLOWDOCK_SERVER_URL="https://flowdock.example")
    with server.running():
        for port in (server.port, server.stream_port):
            alive, ready = ask(port, "/healthz"), ask(port, "/readyz")
            assert (alive[0], json.loads(alive[2])) == (200, {"status": "alive"})
            assert ready[0] == 200
            assert json.loads(ready[2]) == {"status": "ready", "checks": {"database": "ok", "migrations": "ok"}}
            assert alive[1]["content-type"] == ready[1]["content-type"] == "application/json"
        heads = [ask(server.port, path, "HEAD") for path in ("/healthz", "/readyz")]
        posts = [ask(server.port, path, "POST") for path in ("/healthz", "/readyz")]
        others = [ask(server.port, path) for path in ("/login", "/v1/healthz", "/healthz/x", "/app/readyz")]

    assert [(status, text) for status, _, text in heads] == [(200, "")] * 2
    assert [status for status, _, _ in posts] == [405, 405]
    assert {status for status, _, _ in others} <= {301, 400}, "other paths keep the checks of host and https"


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_no_page_and_no_call_has_the_path_of_a_probe(path: str) -> None:
    for urls in ("flowdock_server.urls", "flowdock_server.streaming.urls"):
        with pytest.raises(Resolver404):
            resolve(path, urls)


def test_unmigrated_database_is_not_ready(tmp_path: Path) -> None:
    server = Server(tmp_path)
    with server.running():
        before = ask(server.port, "/readyz")
        server.manage("migrate")
        time.sleep(1.1)  # a result is used for a second
        after = ask(server.port, "/readyz")

    assert before[0] == 503
    assert json.loads(before[2])["checks"]["migrations"] == "not applied: run `python -m flowdock_server migrate`"
    assert after[0] == 200


def test_server_is_alive_but_not_ready_while_the_database_hangs(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"postgres://flowdock:hidden@127.0.0.1:{silent.getsockname()[1]}/flowdock"
        server = Server(tmp_path, FLOWDOCK_SERVER_DATABASE_URL=address)
        with started(server, tmp_path / "log") as log:
            began = time.monotonic()
            ready = ask(server.port, "/readyz")
            took = time.monotonic() - began
            alive = ask(server.port, "/healthz")

    assert ready[0] == 503
    assert json.loads(ready[2])["checks"]["database"] == "did not answer within 1 s"
    assert took < 5
    assert alive[0] == 200
    assert "hidden" not in log.read_text()
    assert "hidden" not in ready[2]


def test_request_id_of_a_proxy_is_used_if_it_is_well_formed(tmp_path: Path) -> None:
    migrated(tmp_path)
    server = Server(tmp_path, FLOWDOCK_SERVER_LOG_FORMAT="json")
    with started(server, tmp_path / "log") as log:
        given = ask(server.port, "/login", Host="127.0.0.1", X_Request_ID="from-the-proxy.1")
        chosen = [
            ask(server.port, "/login", Host="127.0.0.1", X_Request_ID=text)[1]["x-request-id"]
            for text in ("", "a b", "x" * 65, "a;b")
        ]
        ask(server.port, "/login", Host="elsewhere.example", X_Request_ID="wrong-host")

    assert given[1]["x-request-id"] == "from-the-proxy.1"
    assert all(re.fullmatch("[0-9a-f]{16}", each) for each in chosen)
    assert len(set(chosen)) == len(chosen)
    records = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    assert [each["logger"] for each in records if each.get("request_id") == "wrong-host"] == [
        "django.security.DisallowedHost"
    ]


class started:
    """The server as a process, with its log in a file."""

    def __init__(self, server: Server, log: Path) -> None:
        self.server, self.log = server, log

    def __enter__(self) -> Path:
        command = [sys.executable, "-m", "flowdock_server", "serve", "--port", str(self.server.port)]
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(command, env=self.server.env, stdout=subprocess.DEVNULL, stderr=output)
        deadline = time.monotonic() + PATIENCE
        while not listens(self.server.port):
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        return self.log

    def __exit__(self, *error: object) -> None:
        self.process.terminate()
        self.process.wait(PATIENCE)
