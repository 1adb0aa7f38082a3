"""Clients that are slow on purpose do not slow down others, on both servers as they are deployed."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import http.client
import json
import os
import signal
import socket
import statistics
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from demo.connect import connect
from tests.stack import PATIENCE, Stack, until

pytestmark = pytest.mark.loop

HEADS, DRIPS, READERS, IDLE = 200, 50, 50, 20
# The addresses of the slow clients: together they have more connections than one address may have.
SLOW = {"heads": "127.0.0.2", "bodies": "127.0.0.3", "readers": "127.0.0.4", "idle": "127.0.0.5"}
ATTACK = 28.0  # seconds: longer than the limits for a head, a body that sends nothing and an unread response
P99 = 0.25  # seconds that a normal client may wait for a page
LARGE_FILE = "/static/vendor/htmx.min.js"
CSRF = "a" * 32  # well-formed, since the body is not read otherwise
DEMO = ("demo@example.com", "demo")


@pytest.fixture(scope="module")
def hook(stack: Stack) -> str:
    """The path of a webhook that exists."""
    return f"/hooks/{connect(stack.env)}/"


def ports(stack: Stack) -> tuple[int, int]:
    return int(stack.env["BRIDGE_PORT"]), int(stack.env["FLOWDOCK_PORT"])


class SlowClients(contextlib.ExitStack):
    """Incomplete heads, bodies that arrive byte by byte, clients that do not read, and idle connections."""

    def __init__(self, port: int, bodies: list[str]) -> None:
        super().__init__()
        self.port = port
        self.dripping = [self.send("heads", "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Long: ") for _ in range(HEADS)]
        for number in range(DRIPS):
            head = (
                f"POST {bodies[number % len(bodies)]} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 20000\r\n"
                f"Cookie: bridge_session=x; bridge_csrf={CSRF}; flowdock_session=x; flowdock_csrf={CSRF}\r\n"
                "Content-Type: application/x-www-form-urlencoded\r\n\r\nab"
            )
            self.dripping.append(self.send("bodies", head))
        for _ in range(READERS):
            # A file many times: more than the buffers between server and client hold.
            asked = f"GET {LARGE_FILE} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 200
            self.send("readers", asked, receive_buffer=4096)
        for _ in range(IDLE):
            self.send("idle", f"GET {LARGE_FILE} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")

    def send(self, kind: str, text: str, receive_buffer: int = 0) -> socket.socket:
        link = self.enter_context(socket.socket())
        if receive_buffer:
            link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        link.settimeout(PATIENCE)
        link.bind((SLOW[kind], 0))
        link.connect(("127.0.0.1", self.port))
        link.sendall(text.encode())
        return link

    def drip(self) -> None:
        for link in self.dripping:
            with contextlib.suppress(OSError):
                link.sendall(b"x")


def connections(port: int) -> int:
    """The number of established connections of slow clients, from the kernel."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    slow = {socket.inet_aton(each)[::-1].hex().upper() for each in SLOW.values()}
    return sum(
        local.endswith(f":{port:04X}") and remote.split(":")[0] in slow and state == "01"
        for _, local, remote, state, *_ in rows
    )


def pages(address: str, until_done: threading.Event) -> list[float]:
    """Seconds for each page, one after the other on one connection."""
    parts, taken = urlsplit(address), []
    client = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=PATIENCE)
    while not until_done.is_set():
        began = time.perf_counter()
        client.request("GET", parts.path)
        answer = client.getresponse()
        answer.read()
        taken.append(time.perf_counter() - began)
        assert answer.status < 400
        time.sleep(0.03)
    client.close()
    return taken


@contextlib.contextmanager
def measured(addresses: list[str]) -> Iterator[dict[str, list[float]]]:
    """How long normal clients of all addresses wait for pages while the block runs."""
    done, taken = threading.Event(), {}
    threads = [threading.Thread(target=lambda each=each: taken.update({each: pages(each, done)})) for each in addresses]
    for thread in threads:
        thread.start()
    try:
        yield taken
    finally:
        done.set()
        for thread in threads:
            thread.join()


def p99(taken: list[float]) -> float:
    return statistics.quantiles(taken, n=100)[98]


def test_slow_clients_block_nobody_and_are_closed_after_their_deadlines(
    stack: Stack, hook: str, capsys: pytest.CaptureFixture[str]
) -> None:
    bridge, flowdock = ports(stack)
    addresses = [f"{stack.bridge}/sign-in/", f"{stack.flowdock}/login"]
    with measured(addresses) as alone:
        time.sleep(8)
    with streams(stack) as (stream, page_stream):
        with (
            measured(addresses) as attacked,
            SlowClients(bridge, [hook, "/sign-out/"]) as at_bridge,
            SlowClients(flowdock, ["/activities", "/account/sign-out"]) as at_flowdock,
        ):
            assert min(connections(bridge), connections(flowdock)) >= HEADS + DRIPS
            began = time.monotonic()
            while time.monotonic() - began < ATTACK:
                at_bridge.drip()
                at_flowdock.drip()
                time.sleep(0.5)
            for port in (bridge, flowdock):
                until(lambda port=port: connections(port) <= IDLE, f"port {port} to have ended slow connections")
        say(stack, "Are the streams still open?")
        assert any("still open" in line for line in stream)
        assert any("event: change" in line for line in page_stream)

    with capsys.disabled():
        for address in addresses:
            taken, before = attacked[address], alone[address]
            print(
                f"\n{address} with {HEADS} half heads, {DRIPS} slow bodies, {READERS} readers that do not read and "
                f"{IDLE} idle connections: p99 {p99(taken) * 1000:.0f} ms of {len(taken)} pages, "
                f"without them {p99(before) * 1000:.0f} ms",
                end="",
            )
    for address in addresses:
        # Compared with the time that this machine takes without slow clients.
        assert p99(attacked[address]) < P99 + p99(alone[address]), address


@contextlib.contextmanager
def streams(stack: Stack) -> Iterator[tuple[Iterator[str], Iterator[str]]]:
    """The lines of a stream of the streaming API and of an open page's stream."""
    with requests.Session() as session:
        session.trust_env = False
        login = session.get(f"{stack.flowdock}/login", timeout=PATIENCE)
        token = login.text.partition('name="csrfmiddlewaretoken" value="')[2].partition('"')[0]
        given = {"csrfmiddlewaretoken": token, "username": DEMO[0], "password": DEMO[1]}
        session.post(f"{stack.flowdock}/login", data=given, timeout=PATIENCE).raise_for_status()
        addresses = f"{stack.env['FLOWDOCK_STREAM_URL']}/flows/acme/main", f"{stack.flowdock}/app/acme/main/events"
        opened = [
            session.get(addresses[0], auth=DEMO, stream=True, timeout=PATIENCE),
            session.get(addresses[1], stream=True, timeout=PATIENCE),
        ]
        for each in opened:
            each.raise_for_status()
        yield opened[0].iter_lines(1, decode_unicode=True), opened[1].iter_lines(1, decode_unicode=True)
        for each in opened:
            each.close()


def say(stack: Stack, content: str) -> None:
    said = {"event": "message", "content": content}
    address = f"{stack.flowdock}/flows/acme/main/messages"
    requests.post(address, json=said, auth=DEMO, timeout=PATIENCE).raise_for_status()


def test_slow_upload_within_the_limits_is_accepted_by_both(stack: Stack, hook: str) -> None:
    """Upload for 26 seconds, which is more than the limit for a body that sends nothing."""
    secret = stack.manage(
        "shell",
        "-c",
        f"from integrations.models import Origin; print(Origin.objects.get(hook_id={hook.split('/')[2]!r}).secret)",
    )
    pushed = json.dumps({"zen": "x" * 300_000, "hook_id": 1}).encode()
    signature = "sha256=" + hmac.new(secret.stdout.split()[-1].encode(), pushed, hashlib.sha256).hexdigest()
    said = json.dumps({"event": "message", "content": "y" * 1000, "padding": "x" * 300_000}).encode()
    credentials = requests.auth._basic_auth_str(*DEMO)
    answers: dict[str, bytes] = {}
    uploads = [
        threading.Thread(target=lambda args=args: answers.update({args[0]: upload(*args)}))
        for args in (
            ("bridge", ports(stack)[0], hook, pushed, {
                "X-GitHub-Event": "ping", "X-GitHub-Delivery": str(uuid.uuid4()), "X-Hub-Signature-256": signature,
                "Content-Type": "application/json",
            }),
            ("flowdock", ports(stack)[1], "/flows/acme/main/messages", said, {
                "Authorization": credentials, "Content-Type": "application/json",
            }),
        )
    ]  # fmt: skip
    for each in uploads:
        each.start()
    for each in uploads:
        each.join()

    assert answers["bridge"].split()[1] in (b"200", b"202"), answers["bridge"]
    assert answers["flowdock"].split()[1] == b"201", answers["flowdock"]


def upload(name: str, port: int, path: str, body: bytes, headers: dict[str, str]) -> bytes:
    given = "".join(f"{key}: {value}\r\n" for key, value in headers.items())
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as link:
        link.sendall(f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{given}Content-Length: {len(body)}\r\n\r\n".encode())
        for start in range(0, len(body), len(body) // 52):
            link.sendall(body[start : start + len(body) // 52])
            time.sleep(0.5)
        return link.recv(65536)


@pytest.mark.parametrize("server", ["bridge", "flowdock"])
def test_body_that_is_announced_as_too_large_is_refused_at_once(stack: Stack, hook: str, server: str) -> None:
    port, path = (ports(stack)[0], hook) if server == "bridge" else (ports(stack)[1], "/messages")
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as link:
        link.sendall(f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {10**9}\r\n\r\n".encode())
        answer = b""
        while part := link.recv(65536):
            answer += part
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_memory_of_large_bodies_with_a_wrong_signature_is_released(
    stack: Stack, hook: str, capsys: pytest.CaptureFixture[str]
) -> None:
    body = os.urandom(1024) * (24 * 1024)
    headers = {"X-GitHub-Event": "push", "X-GitHub-Delivery": "1", "X-Hub-Signature-256": "sha256=" + "0" * 64}

    def send() -> None:
        for _ in range(4):
            answer = requests.post(f"{stack.bridge}{hook}", data=body, headers=headers, timeout=PATIENCE)
            assert answer.status_code == 403

    before = memory(stack)
    senders = [threading.Thread(target=send) for _ in range(4)]
    for each in senders:
        each.start()
    for each in senders:
        each.join()
    grown = memory(stack) - before
    with capsys.disabled():
        print(
            f"\nMemory of the bridge after 16 bodies of 24 MB with a wrong signature: {grown / 2**20:+.0f} MB", end=""
        )
    assert grown < 48 * 2**20


def memory(stack: Stack) -> int:
    """Memory of the bridge's processes in bytes."""
    group = stack.processes["bridge"].pid
    found = 0
    for each in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.getpgid(int(each.name)) == group:
                found += int((each / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return found


def test_killed_web_process_is_replaced(stack: Stack) -> None:
    """A web process of the bridge, a child of the process that was started."""
    parent = stack.processes["bridge"].pid

    def answering() -> set[int]:
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        return {int(child) for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()}

    (killed,) = answering()
    os.kill(killed, signal.SIGKILL)

    until(lambda: answering() - {killed}, "another process")
    assert requests.get(f"{stack.bridge}/sign-in/", timeout=PATIENCE).status_code == 200
