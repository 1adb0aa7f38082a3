"""The shipped configuration of nginx, in front of the real servers."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.stack import until

from .conftest import BRIDGE, FLOWDOCK, STREAMS, Nginx, Response, Site, required

pytestmark = pytest.mark.loop
PAYLOAD = json.dumps(
    {
        "action": "opened",
        "issue": {"number": 7, "title": "Behind a proxy", "html_url": "https://github.com/octo/hello/issues/7"},
        "repository": {"full_name": "octo/hello", "html_url": "https://github.com/octo/hello"},
        "sender": {"login": "octo", "avatar_url": "https://github.com/octo.png", "html_url": "https://github.com/octo"},
    }
).encode()
HOOK_MAX_BYTES = 25 * 1024 * 1024


@pytest.fixture(scope="module")
def connected(site: Site) -> dict[str, str]:
    """What `connect` prints: the webhook's address and secret."""
    printed = site.stack.manage("connect", "github", "octo/hello", "--json", input=site.flow_token())
    return dict(json.loads(printed.stdout))


def send(site: Site, connected: dict[str, str], body: bytes, *arguments: str) -> Response:
    signature = hmac.new(connected["secret"].encode(), body, hashlib.sha256).hexdigest()
    return site.nginx.curl(
        connected["hook_url"], *arguments, "--data-binary", "@-", "--header", "Content-Type: application/json",
        "--header", f"X-Hub-Signature-256: sha256={signature}", "--header", "X-GitHub-Event: issues",
        "--header", f"X-GitHub-Delivery: {hashlib.sha256(body).hexdigest()[:32]}", input=body,
    )  # fmt: skip


def padded(size: int) -> bytes:
    start, end = PAYLOAD[:-1] + b', "padding": "', b'"}'
    return start + b"x" * (size - len(start) - len(end)) + end


@pytest.mark.parametrize("host", [BRIDGE, FLOWDOCK, STREAMS])
def test_http_is_redirected_to_https_and_keeps_the_method(site: Site, host: str) -> None:
    response = site.nginx.curl("--request", "POST", f"http://{host}/hooks/x/?y=1")

    assert response.status == 308
    assert response.all("Location") == [f"https://{host}/hooks/x/?y=1"]


def test_webhook_request_is_accepted_and_arrives_in_the_flow(site: Site, connected: dict[str, str]) -> None:
    assert connected["hook_url"].startswith(f"https://{BRIDGE}/hooks/")

    assert send(site, connected, PAYLOAD).status == 202

    def titles() -> list[str]:
        threads = site.json(f"https://{FLOWDOCK}/flows/acme/main/threads", "--user", "demo@example.com:demo")
        return [thread["title"] for thread in threads]

    until(lambda: "Behind a proxy" in titles(), "the activity to arrive")


@pytest.mark.parametrize("front", ["nginx", "bridge"])
def test_proxy_and_bridge_agree_on_the_largest_webhook_request(
    site: Site, connected: dict[str, str], front: str
) -> None:
    direct = ["--connect-to", f"{BRIDGE}:443:127.0.0.1:{site.stack.env['BRIDGE_PORT']}"]
    proto = ["--header", "X-Forwarded-Proto: https"]

    def status(size: int) -> int:
        if front == "nginx":
            return send(site, connected, padded(size)).status
        plain = {**connected, "hook_url": connected["hook_url"].replace("https://bridge.test", site.stack.bridge)}
        return send(site, plain, padded(size), *direct, *proto).status

    assert status(HOOK_MAX_BYTES) in (200, 202)
    assert status(HOOK_MAX_BYTES + 1) == 413


def test_servers_themselves_refuse_what_is_too_large_for_a_page_or_the_api(site: Site) -> None:
    body = b"x" * (15_029_589 + 1)
    api = site.nginx.curl(
        f"https://{FLOWDOCK}/flows/acme/main/messages", "--user", "demo@example.com:demo", "--data-binary", "@-",
        input=body,
    )  # fmt: skip
    assert api.status == 413
    assert "message" in json.loads(api.body)

    page = site.nginx.curl(f"https://{BRIDGE}/sign-in/", "--data-binary", "@-", input=b"x" * 2_700_000)
    assert page.status == 413
    assert "nginx" not in page.body


@pytest.mark.parametrize("host", [BRIDGE, FLOWDOCK, STREAMS])
def test_http_2_is_spoken(site: Site, host: str) -> None:
    assert site.nginx.curl("--http2", f"https://{host}/").version == "HTTP/2"


@pytest.mark.parametrize("address", [f"https://{BRIDGE}/", f"https://{FLOWDOCK}/login"])
def test_each_header_is_sent_once_and_hsts_leaves_the_domain_to_its_owner(site: Site, address: str) -> None:
    response = site.nginx.curl(address)

    names = [name.lower() for name, _ in response.headers if name.lower() != "set-cookie"]
    assert sorted(names) == sorted(set(names))
    assert response.status == 200
    assert response.all("Strict-Transport-Security") == ["max-age=31536000"]
    assert response.all("Server") == ["nginx"]
    assert all("secure" in cookie.lower() for cookie in response.all("Set-Cookie"))


@pytest.mark.parametrize("address", [f"https://{BRIDGE}/", f"https://{FLOWDOCK}/login"])
def test_static_files_are_compressed_and_cached_for_good(site: Site, address: str) -> None:
    page = site.nginx.curl(address).body
    files = re.findall(r'(?:href|src)="(/static/[^"#]+\.(?:css|js))"', page)
    assert files

    for path in files:
        plain = site.nginx.curl(f"https://{address.split('/')[2]}{path}")
        packed = site.nginx.curl(f"https://{address.split('/')[2]}{path}", "--header", "Accept-Encoding: gzip")
        assert plain.all("Cache-Control") == ["max-age=315360000, public, immutable"], path
        assert packed.all("Content-Encoding") == ["gzip"], path
        assert packed.all("Vary") == ["Accept-Encoding"]
        assert int(packed.all("Content-Length")[0]) < int(plain.all("Content-Length")[0])


def test_stream_gets_a_message_at_once(site: Site) -> None:
    account = ("--user", "demo@example.com:demo")
    stream = subprocess.Popen(
        site.nginx.command("--no-buffer", *account, f"https://{STREAMS}/flows/acme/main"), stdout=subprocess.PIPE
    )
    assert stream.stdout
    lines = stream.stdout
    found: list[tuple[float, Any]] = []

    def read() -> None:
        for line in lines:
            if line.strip():
                found.append((time.monotonic(), json.loads(line)))
                return

    reading = threading.Thread(target=read)
    reading.start()
    try:
        time.sleep(1)  # until the stream is open
        posted = time.monotonic()
        message = ("--data", "event=message", "--data", "content=Through nginx")
        site.json(f"https://{FLOWDOCK}/flows/acme/main/messages", *account, *message)
        reading.join(timeout=10)
    finally:
        stream.kill()
        stream.wait()
        reading.join()
        lines.close()

    assert [event["content"] for _, event in found] == ["Through nginx"]
    assert found[0][0] - posted < 5, "a keep-alive would only push it out after 30 seconds"


def test_page_for_people_and_retry_after_for_programs_while_a_server_is_down(site: Site) -> None:
    site.stack.stop("bridge", "flowdock")
    try:
        page = site.nginx.curl(f"https://{BRIDGE}/")
        api = site.nginx.curl(f"https://{FLOWDOCK}/flows")
    finally:
        site.stack.start("flowdock", "bridge")

    assert (page.status, api.status) == (503, 503)
    assert page.all("Retry-After") == api.all("Retry-After") == ["10"]
    assert page.all("Content-Type") == ["text/html"]
    assert "<h1>Flowdock Bridge is not available</h1>" in page.body
    assert "message" in json.loads(api.body)
    assert site.nginx.curl(f"https://{BRIDGE}/").status == 200


def test_no_request_fails_while_the_web_processes_are_replaced(site: Site) -> None:
    statuses: Counter[int] = Counter()
    stop = threading.Event()

    def ask() -> None:
        with requests.Session() as session:
            session.trust_env = False
            session.verify = str(site.nginx.authority)
            while not stop.is_set():
                for method, path in (("GET", "/polls/"), ("POST", "/hooks/unknown/")):
                    address = f"https://127.0.0.1:{site.nginx.https}{path}"
                    response = session.request(
                        method, address, headers={"Host": BRIDGE}, timeout=30, allow_redirects=False
                    )
                    statuses[response.status_code] += 1

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(2):
            before = web_processes(site)
            os.kill(site.stack.processes["bridge"].pid, signal.SIGHUP)
            until(lambda before=before: not before & web_processes(site), "new processes")
            served = sum(statuses.values())
            until(lambda served=served: sum(statuses.values()) > served + 40, "answers of the new processes")
    finally:
        stop.set()
        for thread in threads:
            thread.join()

    assert set(statuses) == {302, 404}, statuses


def web_processes(site: Site) -> set[int]:
    """The processes that `serve` has started and that serve requests."""
    supervisor = site.stack.processes["bridge"].pid
    found = subprocess.run(
        [required("pgrep"), "-P", str(supervisor), "-f", "spawn_main"], capture_output=True, check=False
    )
    return set(map(int, found.stdout.split()))


@pytest.mark.parametrize("host", [BRIDGE, FLOWDOCK])
def test_probes_are_answered_and_metrics_stay_inside(site: Site, host: str) -> None:
    assert site.nginx.curl(f"https://{host}/healthz").status == 200
    ready = site.nginx.curl(f"https://{host}/readyz")
    assert ready.status == 200, ready.body
    assert site.nginx.curl(f"https://{host}/metrics").status == 403


class Recorder:
    """An upstream that records what it receives, and answers each request."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.received = b""
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def port(self) -> int:
        return int(self.listener.getsockname()[1])

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                self.received += connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Nginx, Recorder]]:
    recorder = Recorder()
    nginx = Nginx(tmp_path_factory.mktemp("recorded"), (recorder.port, recorder.port))
    nginx.start()
    yield nginx, recorder
    nginx.stop()
    recorder.listener.close()


@pytest.mark.parametrize("host", [BRIDGE, FLOWDOCK])
def test_forwarded_headers_are_the_proxys_own(recorded: tuple[Nginx, Recorder], host: str) -> None:
    nginx, recorder = recorded
    recorder.received = b""

    nginx.curl(
        f"https://{host}/", "--header", "X-Forwarded-For: 203.0.113.9", "--header", "X-Forwarded-Proto: http",
        "--header", "X_Forwarded_For: 203.0.113.9",
    )  # fmt: skip

    headers = recorder.received.decode().lower().split("\r\n")
    assert [line for line in headers if "forwarded" in line] == [
        "x-forwarded-proto: https",
        "x-forwarded-for: 127.0.0.1",
    ]
    assert f"host: {host}" in headers


def test_request_is_passed_on_when_it_is_complete(recorded: tuple[Nginx, Recorder]) -> None:
    nginx, recorder = recorded
    recorder.received = b""
    context = ssl.create_default_context(cafile=nginx.authority)
    with (
        socket.create_connection(("127.0.0.1", nginx.https), timeout=30) as plain,
        context.wrap_socket(plain, server_hostname=BRIDGE) as connection,
    ):
        connection.sendall(b"POST /hooks/x/ HTTP/1.1\r\nHost: bridge.test\r\nContent-Length: 8\r\n\r\n1234")
        time.sleep(0.5)
        assert recorder.received == b""
        connection.sendall(b"5678")
        assert connection.recv(1000).startswith(b"HTTP/1.1 200")

    assert recorder.received.endswith(b"\r\n\r\n12345678")
