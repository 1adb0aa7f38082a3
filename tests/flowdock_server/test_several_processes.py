"""Several server processes with one database: streams of one receive what is posted in another."""

from __future__ import annotations

import os
import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
import redis

from .serving import Server, free_port

# One process of pytest-xdist runs the whole module, so that its servers start once.
pytestmark = pytest.mark.xdist_group("several_processes")

POSTGRESQL = os.environ.get("TEST_POSTGRESQL_URL", "postgres://postgres@127.0.0.1:5432/postgres")
REDIS = os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/0")
MAIN = "/flows/acme/main"
AT_ONCE = 2.0  # seconds; less than the interval at which the database is polled


def missing(what: str, error: Exception) -> None:
    """Skip if there is no such server; in CI there has to be one."""
    if os.environ.get("CI") == "true":
        raise error
    pytest.skip(f"there is no {what}: {error}")


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    """A new database on the PostgreSQL server."""
    name = f"live_{secrets.token_hex(6)}"
    try:
        administrator = psycopg.connect(POSTGRESQL, autocommit=True, connect_timeout=5)
    except psycopg.OperationalError as error:
        missing("PostgreSQL", error)
    with administrator:
        administrator.execute(f"CREATE DATABASE {name}")
        yield urlsplit(POSTGRESQL)._replace(path=f"/{name}").geturl()
        administrator.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module")
def with_redis() -> str:
    try:
        with closing(redis.Redis.from_url(REDIS, socket_connect_timeout=5)) as server:
            server.ping()
    except redis.RedisError as error:
        missing("Redis", error)
    return REDIS


class Gate:
    """A proxy to a server that can be closed: all its connections break, and it accepts no new ones."""

    def __init__(self, host: str, port: int) -> None:
        self.goal = host, port
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.pairs: list[socket.socket] = []
        self.is_open = True
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        while True:
            try:
                visitor, _ = self.listener.accept()
            except OSError:
                return
            if not self.is_open:
                visitor.close()
                continue
            host = socket.create_connection(self.goal)
            self.pairs += [visitor, host]
            for source, target in ((visitor, host), (host, visitor)):
                threading.Thread(target=self.carry, args=(source, target), daemon=True).start()

    @staticmethod
    def carry(source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                target.sendall(data)
        except OSError:
            pass
        for each in (source, target):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.is_open = False
        for each in self.pairs:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def open(self) -> None:
        self.is_open = True

    def remove(self) -> None:
        self.close()
        self.listener.close()
        for each in self.pairs:
            each.close()


class Two:
    """Two processes, as behind one URL; `gate` is a proxy for their live updates, if these can be interrupted."""

    def __init__(self, one: Server, other: Server, token: str, gate: Gate | None) -> None:
        self.one, self.other, self.token, self.gate = one, other, token, gate


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory, database: str) -> str:
    """Set up Ines, a member of Main, in the database."""
    return Server(tmp_path_factory.mktemp("seed"), FLOWDOCK_SERVER_DATABASE_URL=database).seed()["ines"]


@pytest.fixture(scope="module", params=["postgres", "redis"])
def two(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, database: str, token: str
) -> Iterator[Two]:
    gate = None
    live = "postgres"
    if request.param == "redis":
        address = urlsplit(request.getfixturevalue("with_redis"))
        gate = Gate(address.hostname or "", address.port or 6379)
        live = f"redis://127.0.0.1:{gate.port}{address.path}"
    base = f"http://127.0.0.1:{free_port()}"
    settings = {
        "FLOWDOCK_SERVER_DATABASE_URL": database,
        "FLOWDOCK_SERVER_LIVE_URL": live,
        "FLOWDOCK_SERVER_URL": base,
    }
    one, other = (Server(tmp_path_factory.mktemp("server"), **settings) for _ in range(2))
    with one.running(), other.running():
        yield Two(one, other, token, gate)
    if gate:
        gate.remove()


def test_message_posted_in_one_process_arrives_in_the_other(two: Two) -> None:
    with two.one.stream(MAIN, two.token) as here, two.other.stream(MAIN, two.token) as there:
        for number in range(20):
            said = (two.one, two.other)[number % 2].say(f"{number}", two.token)
            for stream in (here, there):
                stream.socket.settimeout(AT_ONCE)
                assert stream.next() == said
        assert here.is_silent()
        assert there.is_silent()


def test_presence_is_relayed_between_processes(two: Two) -> None:
    with two.one.stream(f"{MAIN}?presence=1", two.token) as curious, two.other.stream(f"{MAIN}?active=true", two.token):
        curious.socket.settimeout(AT_ONCE)
        assert curious.next()["event"] == "activity.user"


def test_messages_posted_during_a_lost_connection_arrive_later(two: Two, database: str) -> None:
    with two.other.stream(MAIN, two.token) as stream:
        stream.socket.settimeout(AT_ONCE)
        assert two.one.say("before", two.token) == stream.next()
        if two.gate:
            two.gate.close()
        else:
            cut_off(database)
        said = [two.one.say(f"meanwhile {number}", two.token) for number in range(3)]
        if two.gate:
            two.gate.open()
        stream.socket.settimeout(30)
        assert [stream.next() for _ in said] == said
        # The connection is back. In the other process it may take a moment longer.
        later = two.one.say("later", two.token)
        assert stream.next() == later
        assert stream.is_silent()


STRANGE = [
    "", "x", "x 5", "x []", "x " + "[" * 5000, 'x {"kind": "message"}', 'x {"flow_id": 5, "kind": "message"}',
    'x {"flow_id": null, "user_id": [1], "kind": "private"}', 'x {"user_id": 1, "kind": "odd", "more": 2}',
]  # fmt: skip


def test_foreign_messages_in_the_channel_are_ignored(two: Two, database: str, with_redis: str) -> None:
    with two.other.stream(MAIN, two.token) as stream:
        stream.socket.settimeout(AT_ONCE)
        assert two.one.say("before", two.token) == stream.next()
        if two.gate:
            channel = f"flowdock-live:{two.one.env['FLOWDOCK_SERVER_URL']}"
            with closing(redis.Redis.from_url(with_redis)) as server:
                for text in [*STRANGE, b"\xff\xfe"]:
                    assert server.publish(channel, text) >= 1
        else:
            with closing(psycopg.connect(database, autocommit=True)) as link:
                for text in STRANGE:
                    link.execute("SELECT pg_notify('flowdock_live', %s)", (text,))
        for number in range(3):
            assert two.one.say(f"{number}", two.token) == stream.next()


def cut_off(database: str) -> None:
    """Terminate the connections that listen or notify, in the database."""
    with psycopg.connect(database, autocommit=True) as administrator:
        ended = administrator.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = 'flowdock live'"
        ).fetchone()
    assert ended
    assert ended[0] >= 2


def test_server_keeps_serving_without_the_channel(tmp_path: Path, database: str, token: str) -> None:
    nowhere = f"redis://127.0.0.1:{free_port()}/0"
    server = Server(tmp_path, FLOWDOCK_SERVER_DATABASE_URL=database, FLOWDOCK_SERVER_LIVE_URL=nowhere)
    with server.running(), server.stream(MAIN, token) as stream:
        said = server.say("hello", token)
        assert stream.next() == said
        code, took = server.stop()
        assert code == 0
        assert took < 5


@pytest.mark.parametrize("live", ["postgres", "amqp://somewhere"])
def test_invalid_setting_stops_the_start_with_an_explanation(tmp_path: Path, live: str) -> None:
    server = Server(tmp_path, FLOWDOCK_SERVER_LIVE_URL=live)
    with pytest.raises(AssertionError, match="FLOWDOCK_SERVER_LIVE_URL"):
        server.manage("check")
