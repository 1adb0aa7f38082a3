"""Connections that miss a deadline are closed, and slow ones within the limits are not."""

import contextlib
import http.client
import json
import socket
import time

import pytest

from .conftest import LARGEST, PATIENCE, Served, everything

HEAD = b"POST / HTTP/1.1\r\nHost: a.test\r\n"


def test_unfinished_head_is_answered_408_and_closed(served: Served) -> None:
    assert served.ask(b"GET / HTTP/1.1\r\nHost: a.te").startswith(b"HTTP/1.1 408 Request Timeout\r\n")


class Broken:
    """A connection whose deadlines cannot be checked."""

    def __init__(self) -> None:
        self.transport = self
        self.is_aborted = False

    def end_if_overdue(self, now: float) -> None:
        raise ZeroDivisionError

    def abort(self) -> None:
        self.is_aborted = True


def test_error_at_one_connection_does_not_stop_deadlines_of_others(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    broken = Broken()
    served.gate.connections.add(broken)
    try:
        for _ in range(2):
            assert served.ask(b"GET / HTTP/1.1\r\nHost: a.te").startswith(b"HTTP/1.1 408 ")
    finally:
        served.gate.connections.discard(broken)

    assert broken.is_aborted
    assert "its deadlines could not be checked" in caplog.text


def test_connection_that_sends_nothing_is_closed(served: Served) -> None:
    assert served.ask(b"").startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("part", [b"x", b"\r\n"], ids=["of a header", "empty lines"])
def test_slow_head_has_the_same_deadline(served: Served, part: bytes) -> None:
    with served.connect() as link:
        link.sendall(b"" if part == b"\r\n" else b"GET / HTTP/1.1\r\nX-Long: ")
        assert seconds_until_closed(link, part) < PATIENCE


def test_empty_lines_do_not_keep_an_idle_connection_open(served: Served) -> None:
    with served.connect() as link:
        link.sendall(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
        link.recv(65536)
        assert seconds_until_closed(link, b"\r\n") < PATIENCE


def test_slow_body_is_answered_408_and_closed(served: Served) -> None:
    with served.connect() as link:
        link.sendall(HEAD + b"Content-Length: 1000\r\n\r\n")
        began = time.monotonic()
        link.settimeout(0.2)
        answer = b""
        while not answer:
            assert time.monotonic() - began < PATIENCE
            link.sendall(b"x")
            try:
                answer = link.recv(65536)
            except TimeoutError:
                continue
        link.settimeout(PATIENCE)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert everything(link) == b""


def test_chunked_body_has_the_same_deadline(served: Served) -> None:
    assert served.ask(HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhel").startswith(b"HTTP/1.1 408 ")


def test_slow_upload_within_the_limits_is_accepted(served: Served) -> None:
    """It takes three times the limit for a body that sends nothing."""
    part, count = b"x" * 10_000, 30
    with served.connect() as link:
        link.sendall(HEAD + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % (len(part) * count))
        for _ in range(count):
            link.sendall(part)
            time.sleep(0.1)
        head, _, body = everything(link).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert json.loads(body)["size"] == "300000"


def test_client_that_does_not_read_is_cut_off(served: Served) -> None:
    with served.connect() as link:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        link.sendall(b"GET /large HTTP/1.1\r\nHost: a.test\r\n\r\n")
        link.recv(1)
        wait_until_gone(served, link)


def test_client_that_reads_too_slowly_is_cut_off(served: Served) -> None:
    with served.connect() as link:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        link.sendall(b"GET /large HTTP/1.1\r\nHost: a.test\r\n\r\n")
        link.recv(1)
        wait_until_gone(served, link, meanwhile=lambda: link.recv(1))


def test_large_response_arrives_completely(served: Served) -> None:
    answer = served.ask(b"GET /large HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n")
    assert len(answer.partition(b"\r\n\r\n")[2]) == 40 * 1024 * 1024


def test_stream_continues_past_all_deadlines(served: Served) -> None:
    answer = served.ask(b"GET /stream HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n")
    assert answer.endswith(b"\r\n7\n\r\n0\r\n\r\n")


def test_idle_connection_is_closed_after_a_while(served: Served) -> None:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", served.port, timeout=PATIENCE)) as client:
        client.connect()
        link = client.sock
        for _ in range(2):
            client.request("GET", "/")
            assert client.getresponse().read()
            time.sleep(1.5)  # longer than the limit for a head
        assert client.sock is link
        assert everything(link) == b""


def test_body_that_is_announced_as_too_large_is_refused_at_once(served: Served) -> None:
    answer = served.ask(HEAD + b"Content-Length: %d\r\n\r\n" % (LARGEST + 1))
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"\r\nconnection: close\r\n" in answer


@pytest.mark.parametrize("chunked", [False, True])
def test_client_that_sends_too_large_a_body_can_read_the_response(served: Served, chunked: bool) -> None:
    body = b"x" * (LARGEST + 1)
    if chunked:
        request = HEAD + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    else:
        request = HEAD + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    assert served.ask(request).startswith(b"HTTP/1.1 413 ")


def test_headers_with_underscores_are_ignored(served: Served) -> None:
    request = b"GET / HTTP/1.1\r\nHost: a.test\r\nX_Forwarded_For: 1.2.3.4\r\nX-Real: yes\r\nConnection: close\r\n\r\n"
    environ = json.loads(served.ask(request).partition(b"\r\n\r\n")[2])
    assert environ["HTTP_X_REAL"] == "yes"
    assert "HTTP_X_FORWARDED_FOR" not in environ


def seconds_until_closed(link: socket.socket, part: bytes) -> float:
    """How long the connection stays open while `part` is sent repeatedly."""
    began = time.monotonic()
    link.settimeout(0.2)
    while time.monotonic() - began < PATIENCE:
        try:
            link.sendall(part)
            if not link.recv(65536):
                break
        except TimeoutError:
            continue
        except ConnectionError:
            break
    return time.monotonic() - began


def wait_until_gone(served: Served, link: socket.socket, meanwhile=lambda: None) -> None:  # type: ignore[no-untyped-def]
    """Wait until the server has closed the connection, although the client has not."""
    own = link.getsockname()
    deadline = time.monotonic() + PATIENCE
    while any(each.client == own for each in tuple(served.gate.connections)):
        assert time.monotonic() < deadline
        meanwhile()
        time.sleep(0.1)
