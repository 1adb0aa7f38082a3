"""Posting activities over real connections: what is sent, how each answer is understood, and what is never done."""

from __future__ import annotations

import contextlib
import json
import logging
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from integrations.activity import Activity, Author, Thread
from integrations.flowdock import posting
from integrations.flowdock.answers import Posted
from integrations.flowdock.errors import (
    ActivityRejected,
    FlowdockError,
    FlowdockUnavailable,
    FlowdockUnreachable,
    FlowNotAccessible,
    SourceGone,
    TokenRefused,
)
from integrations.flowdock.posting import Posts, write_body

from .servers import HEAD, serving, trickle

TOKEN = "0f3b6a0f3b6a0f3b6a0f3b6a0f3b6a0f"
UUID = uuid.UUID("12345678-1234-5678-1234-567812345678")


def body(text: str = "") -> bytes:
    activity = Activity(Author("Lea"), title="opened issue", thread_id="issue:7", thread=Thread("Emoji"), body=text)
    return write_body(TOKEN, activity, UUID)


def post(posts: Posts[Any], times: int = 1, text: str = "") -> list[Posted | FlowdockError]:
    """What comes of so many posts at the same time."""
    for number in range(times):
        posts.start(number, TOKEN, body(text))
    results: list[Posted | FlowdockError] = []
    deadline = time.monotonic() + 20
    while len(results) < times:
        assert time.monotonic() < deadline, "a post has not ended"
        results += [result for _, result in posts.wait(1.0)]
    return results


@contextlib.contextmanager
def posting_to(answer: Callable[[socket.socket], None], settings: Any, tls: Any = None) -> Iterator[Posts[Any]]:
    with serving(answer, tls) as settings.FLOWDOCK_API_URL, contextlib.closing(Posts(4, timeout=5)) as posts:
        yield posts


def say(status: int, text: bytes = b"{}", head: bytes = b"") -> Callable[[socket.socket], None]:
    def answer(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 %d Odd\r\nContent-Length: %d\r\n%s\r\n%s" % (status, len(text), head, text))

    return answer


@pytest.mark.parametrize(
    ("status", "text"), [(200, b"{}"), (200, b"not json"), (201, b'{"id": null}'), (201, b"[]"), (202, b""), (204, b"")]
)
def test_message_is_posted_after_any_2xx(settings, status, text):
    with posting_to(say(status, text), settings) as posts:
        assert post(posts) == [Posted("", "", status)]


@pytest.mark.parametrize(
    ("said", "thread"),
    [
        ({"thread_id": "Thr34d"}, "Thr34d"),
        ({"thread_id": "issue:7", "thread": {"id": "Thr34d"}}, "Thr34d"),
        ({"thread": "x"}, ""),
        ({"thread": {"id": "T\0"}}, "T\N{REPLACEMENT CHARACTER}"),
        ({"thread": {"id": "\ud800"}}, "\N{REPLACEMENT CHARACTER}"),
    ],
)
def test_posted_message_has_its_thread(settings, said, thread):
    with posting_to(say(201, json.dumps({"id": 88412} | said).encode()), settings) as posts:
        assert post(posts) == [Posted("88412", thread, 201)]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, ActivityRejected),
        (401, TokenRefused),
        (403, FlowNotAccessible),
        (404, FlowNotAccessible),
        (405, FlowdockUnavailable),
        (410, SourceGone),
        (413, ActivityRejected),
        (422, ActivityRejected),
        (429, FlowdockUnavailable),
        (500, FlowdockUnavailable),
        (502, FlowdockUnreachable),
        (503, FlowdockUnreachable),
        (504, FlowdockUnreachable),
    ],
)
def test_each_status_is_an_error_without_the_token(settings, status, error):
    with posting_to(say(status, json.dumps({"message": f"no, {TOKEN}"}).encode()), settings) as posts:
        (result,) = post(posts)

    assert type(result) is error
    assert result.status == status
    assert "no, hidden" in str(result)


def test_retry_after_is_read_from_the_last_answer(settings):
    interim = b"HTTP/1.1 103 Early Hints\r\nRetry-After: 7\r\n\r\n"

    def answer(connection: socket.socket) -> None:
        connection.sendall(interim)
        say(429, head=b"retry-after: 30\r\n")(connection)

    with posting_to(answer, settings) as posts:
        (result,) = post(posts)

    assert isinstance(result, FlowdockUnavailable)
    assert result.retry_after == 30


def test_redirect_is_not_followed(settings):
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        elsewhere.setblocking(False)
        target = f"Location: http://127.0.0.1:{elsewhere.getsockname()[1]}/\r\n".encode()
        with posting_to(say(307, head=target), settings) as posts:
            (result,) = post(posts)
        with pytest.raises(BlockingIOError):
            elsewhere.accept()

    assert type(result) is FlowdockUnavailable
    assert result.status == 307


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (rb'{"message": "a\u0000b\ud800c"}', "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}c"),
        (rb'{"errors": {"ti\u0000tle": ["\udfff"]}}', "ti\N{REPLACEMENT CHARACTER}tle \N{REPLACEMENT CHARACTER}"),
        (b'{"message": ' + b"[" * 5000 + b"]" * 5000 + b"}", "Flowdock answered 400"),
        (b'{"message": ' + b"7" * 5000 + b"}", "Flowdock answered 400"),
    ],
)
def test_texts_of_flowdock_are_storable(settings, text, words):
    with posting_to(say(400, text), settings) as posts:
        (result,) = post(posts)

    assert type(result) is ActivityRejected
    assert str(result) == words


class Requests:
    """Reads requests from a connection and answers each; what was sent."""

    def __init__(self, head: bytes = b"") -> None:
        self.head = head
        self.connections = 0
        self.got: list[bytes] = []

    @contextlib.contextmanager
    def posting(self, settings: Any) -> Iterator[Posts[Any]]:
        with socket.create_server(("127.0.0.1", 0)) as server:
            threading.Thread(target=self._serve, args=(server,), daemon=True).start()
            settings.FLOWDOCK_API_URL = f"http://127.0.0.1:{server.getsockname()[1]}"
            with contextlib.closing(Posts(4, timeout=5)) as posts:
                yield posts
            server.shutdown(socket.SHUT_RDWR)

    def _serve(self, server: socket.socket) -> None:
        with contextlib.suppress(OSError):  # the test is over
            while True:
                connection, _ = server.accept()
                self.connections += 1
                threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as file:
            while head := self._read_head(file):
                length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
                self.got.append(head + file.read(int(length.partition(b":")[2])))
                say(201, head=self.head)(connection)

    @staticmethod
    def _read_head(file: Any) -> bytes:
        head = b""
        while not head.endswith(b"\r\n\r\n") and (line := file.readline()):
            head += line
        return head


def test_connections_are_reused_and_no_cookie_is_kept(settings):
    server = Requests(head=b"Set-Cookie: left=behind; Path=/\r\n")
    with server.posting(settings) as posts:
        for _ in range(3):
            post(posts, times=2)

    assert server.connections == 2
    assert len(server.got) == 6
    assert not any(b"cookie" in request.lower() for request in server.got)


def test_large_body_is_sent_without_asking_first(settings):
    server = Requests()
    with server.posting(settings) as posts:
        post(posts, text="<p>x</p>" * 20_000)

    head, _, sent = server.got[0].partition(b"\r\n\r\n")
    assert b"expect" not in head.lower()
    assert b"x-flowdock-wait-for-message: true" in head.lower()
    assert json.loads(sent)["uuid"] == str(UUID)


def test_proxy_settings_and_passwords_of_the_machine_are_ignored(settings, monkeypatch, tmp_path):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login lea password secret\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("http_proxy", "https_proxy", "all_proxy", "ALL_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    server = Requests()
    with server.posting(settings) as posts:
        (result,) = post(posts)

    assert isinstance(result, Posted)
    assert b"authorization" not in server.got[0].lower()


def test_connection_that_was_closed_meanwhile_is_replaced(settings):
    with posting_to(say(201), settings) as posts:  # it closes each connection after its answer
        for _ in range(3):
            (result,) = post(posts)
            assert isinstance(result, Posted)


@pytest.mark.parametrize("encrypted", [False, True])
@pytest.mark.parametrize(
    ("before", "byte"),
    [(b"HTTP/1.1 200 ", b"x"), (HEAD + b"X-Long: ", b"x"), (HEAD + b"Content-Length: 1000\r\n\r\n", b" ")],
    ids=["status line", "head", "body"],
)
def test_slow_answer_ends_with_the_timeout(before, byte, encrypted, tls, authority, settings):
    settings.FLOWDOCK_CA_FILE = str(authority)
    with serving(trickle(before, byte), tls if encrypted else None) as settings.FLOWDOCK_API_URL:
        began = time.monotonic()
        with contextlib.closing(Posts(4, timeout=0.5)) as posts:
            (result,) = post(posts)

    assert type(result) is FlowdockUnavailable
    assert "within 0.5 s" in str(result)
    assert time.monotonic() - began < 5


def test_endless_tls_handshake_ends_with_the_timeout(settings):
    with socket.create_server(("127.0.0.1", 0)) as server:
        settings.FLOWDOCK_API_URL = f"https://127.0.0.1:{server.getsockname()[1]}"
        with contextlib.closing(Posts(4, timeout=0.3)) as posts:
            (result,) = post(posts)

    assert type(result) is FlowdockUnreachable
    assert "within 0.3 s" in str(result)


def test_slow_answer_does_not_delay_others(settings):
    slow = trickle(HEAD + b"Content-Length: 1000\r\n\r\n", b" ")
    answers = [slow, say(201)]

    def reply(connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:  # the test is over
            answers.pop(0)(connection)

    def answer(connection: socket.socket) -> None:
        threading.Thread(target=reply, args=(connection.dup(),), daemon=True).start()

    with serving(answer) as settings.FLOWDOCK_API_URL, contextlib.closing(Posts(4, timeout=3)) as posts:
        posts.start("slow", TOKEN, body())
        posts.wait(0.3)
        posts.start("quick", TOKEN, body())
        ended: list[str] = []
        while not ended:
            ended += [key for key, _ in posts.wait(1.0)]

    assert ended == ["quick"]


def test_private_certificate_authority_is_trusted_if_configured(tls, authority, settings):
    with serving(say(201), tls) as settings.FLOWDOCK_API_URL:
        with contextlib.closing(Posts(4, timeout=5)) as posts:
            (refused,) = post(posts)

        settings.FLOWDOCK_CA_FILE = str(authority)
        with contextlib.closing(Posts(4, timeout=5)) as posts:
            (accepted,) = post(posts)

    assert type(refused) is FlowdockUnreachable
    assert "certificate" in str(refused)
    assert isinstance(accepted, Posted)


def test_certificate_of_another_host_is_refused(tls, authority, settings):
    settings.FLOWDOCK_CA_FILE = str(authority)
    with serving(say(201), tls) as address:
        settings.FLOWDOCK_API_URL = address.replace("127.0.0.1", "localhost")
        with contextlib.closing(Posts(4, timeout=5)) as posts:
            (result,) = post(posts)

    assert type(result) is FlowdockUnreachable
    assert "certificate" in str(result)


def test_missing_certificate_file_is_reported_as_unavailable(tls, settings, tmp_path):
    settings.FLOWDOCK_CA_FILE = str(tmp_path / "missing.pem")
    with posting_to(say(201), settings, tls) as posts:
        (result,) = post(posts)

    assert isinstance(result, FlowdockUnavailable)
    assert "could not be called" in str(result)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-OpenSSH\r\n",
        b"\x15\x03\x01\x00\x02\x02\x16" * 10,
        HEAD + b"Content-Length: 9\r\n\r\n[",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        HEAD + b"Content-Length: 1000000000\r\n\r\n" + b" " * 3_000_000,
        HEAD + b"X-Long: " + b"x" * 3_000_000,
    ],
    ids=["nothing", "another protocol", "garbage", "half", "odd chunk", "too large", "endless head"],
)
def test_broken_answer_is_told_apart_from_an_unreachable_server(answer, settings, monkeypatch):
    monkeypatch.setattr(posting, "MAX_ANSWER_BYTES", 2_000_000)
    with posting_to(lambda connection: connection.sendall(answer), settings) as posts:
        (result,) = post(posts)

    assert type(result) is FlowdockUnavailable
    assert len(str(result)) < 200


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "nowhere.invalid"])
def test_server_that_cannot_be_reached_is_unreachable(settings, host):
    with socket.create_server(("127.0.0.1", 0)) as server:
        settings.FLOWDOCK_API_URL = f"http://{host}:{server.getsockname()[1]}"

    with contextlib.closing(Posts(4, timeout=5)) as posts:
        (result,) = post(posts)

    assert type(result) is FlowdockUnreachable


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://127.0.0.1:9"])
def test_only_http_is_spoken(settings, url):
    settings.FLOWDOCK_API_URL = url

    with contextlib.closing(Posts(4, timeout=5)) as posts:
        (result,) = post(posts)

    assert type(result) is FlowdockUnavailable


def test_waiting_can_be_ended_by_another_thread(settings):
    with posting_to(say(201), settings) as posts:
        threading.Timer(0.1, posts.wake).start()
        began = time.monotonic()
        assert posts.wait(20.0) == []

    assert time.monotonic() - began < 10


def test_token_is_not_logged(settings, caplog):
    caplog.set_level(logging.DEBUG)
    with posting_to(say(500, json.dumps({"message": TOKEN}).encode()), settings) as posts:
        (result,) = post(posts)

    assert TOKEN not in f"{result}{caplog.text}"
