"""Limits of each address: connections, and space for request bodies."""

import contextlib
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hosting.bodies import IN_MEMORY

from .conftest import LARGEST, PATIENCE, Served, everything, serving

GET = b"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\nContent-Length: %d\r\n%b\r\n"
PATIENT = {"head_seconds": PATIENCE, "body_seconds": PATIENCE}


@contextlib.contextmanager
def many(served: Served, count: int, source: str, request: bytes = b"") -> Iterator[list[socket.socket]]:
    """So many connections from one address, each with the beginning of a request."""
    with contextlib.ExitStack() as stack:
        links = [stack.enter_context(served.connect(source)) for _ in range(count)]
        for link in links:
            link.sendall(request)
        yield links


def wait_for(served: Served, connections: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while len(served.gate.connections) != connections:
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serving(tmp_path, **PATIENT) as served:
        yield served


def test_connections_of_one_address_are_limited(served: Served) -> None:
    with many(served, 10, "127.0.0.2"):
        wait_for(served, 10)
        refused = served.ask(b"", "127.0.0.2")
        assert refused.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nretry-after: 10\r\n" in refused
        assert served.ask(GET, "127.0.0.3").startswith(b"HTTP/1.1 200 ")
    wait_for(served, 0)
    assert served.ask(GET, "127.0.0.2").startswith(b"HTTP/1.1 200 "), "its connections are given back"


def test_connections_of_all_addresses_together_are_limited(served: Served) -> None:
    with contextlib.ExitStack() as stack:
        for number in range(2, 5):
            stack.enter_context(many(served, 10, f"127.0.0.{number}"))
        wait_for(served, 30)
        assert served.ask(b"", "127.0.0.9").startswith(b"HTTP/1.1 503 ")


def test_requests_behind_a_trusted_proxy_are_counted_by_forwarded_address(tmp_path: Path) -> None:
    one, other = b"X-Forwarded-For: 203.0.113.7\r\n", b"X-Forwarded-For: 203.0.113.7, 203.0.113.8\r\n"
    with serving(tmp_path, trusts_forwarded_for=True, **PATIENT) as served:
        with many(served, 10, "127.0.0.1", POST % (100, one)):
            deadline = time.monotonic() + PATIENCE
            while not (refused := served.ask(POST % (0, one))).startswith(b"HTTP/1.1 503 "):
                assert time.monotonic() < deadline
            assert b"\r\nretry-after: 10\r\n" in refused
            assert served.ask(POST % (0, other)).startswith(b"HTTP/1.1 200 ")
        wait_for(served, 0)
        assert served.ask(POST % (0, one)).startswith(b"HTTP/1.1 200 ")


def test_unfinished_large_bodies_leave_room_for_other_addresses(served: Served, tmp_path: Path) -> None:
    """The budget is four bodies of the maximum size, and one address may use one."""
    large = POST % (LARGEST, b"") + b"x" * (LARGEST - 1)
    with many(served, 1, "127.0.0.2", large):
        wait_for_bytes(tmp_path, LARGEST - IN_MEMORY)
        refused = served.ask(large + b"x", "127.0.0.2")
        assert refused.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nretry-after: 10\r\n" in refused
        assert served.ask(large + b"x", "127.0.0.3").startswith(b"HTTP/1.1 200 ")
        small = served.ask(POST % (IN_MEMORY, b"") + b"x" * IN_MEMORY, "127.0.0.2")
        assert json.loads(small.partition(b"\r\n\r\n")[2])["size"] == str(IN_MEMORY)
    wait_for(served, 0)
    assert served.ask(large + b"x", "127.0.0.2").startswith(b"HTTP/1.1 200 "), "the room is given back"


def test_bodies_in_memory_are_small(served: Served, tmp_path: Path) -> None:
    """A large body is in a file without a name, in the given folder."""
    with many(served, 1, "127.0.0.2", POST % (LARGEST, b"") + b"x" * (LARGEST - 1)) as (link,):
        wait_for_bytes(tmp_path, LARGEST - IN_MEMORY)
        assert list(tmp_path.iterdir()) == []
        link.sendall(b"x")
        assert json.loads(everything(link).partition(b"\r\n\r\n")[2])["size"] == str(LARGEST)
    assert bytes_in_open_files(tmp_path) == 0


def wait_for_bytes(folder: Path, count: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while bytes_in_open_files(folder) < count:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def bytes_in_open_files(folder: Path) -> int:
    """The memory of this process; the server is one of its threads."""
    size = 0
    for each in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            if str(each.readlink()).startswith(f"{folder}/"):
                size += each.stat().st_size
    return size


CHUNKED = b"POST / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"


def test_trailers_are_not_headers(served: Served) -> None:
    answer = served.ask(CHUNKED + b"3\r\nabc\r\n0\r\nX-Forwarded-For: 203.0.113.7\r\nAuthorization: Bearer x\r\n\r\n")
    environ = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert environ["size"] == "3"
    assert not {"HTTP_X_FORWARDED_FOR", "HTTP_AUTHORIZATION"} & environ.keys()


@pytest.mark.parametrize("start", [b"0\r\nX-Long: ", b"3;extension="])
def test_endless_trailers_or_chunk_extensions_are_closed(served: Served, start: bytes) -> None:
    with served.connect() as link:
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            link.sendall(CHUNKED + b"3\r\nabc\r\n" + start + b"x" * 1_000_000)
        assert everything(link) == b"", "closed at once, rather than answered 408 at the deadline"


def test_body_in_small_chunks_arrives_completely(served: Served) -> None:
    answer = served.ask(CHUNKED + b"1\r\nx\r\n" * 40_000 + b"0\r\n\r\n")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["size"] == "40000"
