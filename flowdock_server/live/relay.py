"""From process to process: what one publishes, those who listen in the others hear as well.

`settings.LIVE_URL` says by what: PostgreSQL's LISTEN and NOTIFY on the server's own database ("postgres"), or a channel
of Redis ("redis://..."). Empty: there is one process only. Two threads do the work, so that neither a post nor a stream
waits for it. While the connection is lost notes are lost; once it is back everybody is told to read what is new.
"""

import atexit
import contextlib
import logging
import os
import queue
import secrets
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

import psycopg
import redis
from django.conf import settings
from django.db import connection

from .broadcasts import Note

if TYPE_CHECKING:
    from .hub import Hub

log = logging.getLogger(__name__)

# Notes on their way out. Beyond it they are dropped: what they tell of is read a few seconds later.
BACKLOG = 10_000
SILENCE = 5.0  # seconds after which the connection is asked whether it is still there
PATIENCE = 3.0  # seconds that an answer may take
FIRST_RETRY, LAST_RETRY = 0.1, 5.0  # seconds before the next attempt to connect, more each time
FAREWELL = 2.0  # seconds in which a process that ends sends what it has

Publish = Callable[[str], object]


class Lost(Exception):
    """The connection failed: try again."""


class Relay(ABC):
    """One process's part. `listen` and `send` may be called from any thread, and never wait."""

    def __init__(self, hub: "Hub") -> None:
        self._hub = hub
        self._origin = f"{os.getpid()}.{secrets.token_hex(4)}"
        self._outgoing: queue.Queue[str | None] = queue.Queue(BACKLOG)
        self._unsent: str | None = None
        self._lock = threading.Lock()
        self._listener: threading.Thread | None = None
        self._sender: threading.Thread | None = None

    def listen(self) -> None:
        """From now on, hear what the others publish."""
        with self._lock:
            if self._listener is None:
                self._listener = threading.Thread(target=self._listen, name="live-in", daemon=True)
                self._listener.start()

    def send(self, note: Note) -> None:
        with self._lock:
            if self._sender is None:
                self._sender = threading.Thread(target=self._send, name="live-out", daemon=True)
                self._sender.start()
                atexit.register(self._finish)
        with contextlib.suppress(queue.Full):
            self._outgoing.put_nowait(f"{self._origin} {note.as_text()}")

    def _finish(self) -> None:
        with contextlib.suppress(queue.Full):
            self._outgoing.put_nowait(None)
        if self._sender:
            self._sender.join(FAREWELL)

    def _listen(self) -> None:
        def hear() -> None:
            for text in self.incoming():
                if text is None:
                    self._hub.catch_up()
                else:
                    self._hear(text)

        self._persist(hear)

    def _hear(self, text: str) -> None:
        origin, _, told = text.partition(" ")
        if origin == self._origin:
            return
        try:
            note = Note.from_text(told)
        except ValueError:
            log.warning("Somebody else writes to the channel of live updates")
            return
        self._hub.hand_out(note)

    def _send(self) -> None:
        def send() -> None:
            with self.outgoing() as publish:
                while (text := self._unsent or self._outgoing.get()) is not None:
                    self._unsent = text
                    publish(text)
                    self._unsent = None

        self._persist(send)

    def _persist(self, work: Callable[[], None]) -> None:
        """Do `work` to its end, again and again as long as it raises Lost."""
        delay = FIRST_RETRY
        while True:
            began = time.monotonic()
            try:
                return work()
            except Lost as error:
                log.warning("Live updates between processes are interrupted: %s", error)
            if time.monotonic() - began > LAST_RETRY:
                delay = FIRST_RETRY
            time.sleep(delay)
            delay = min(delay * 2, LAST_RETRY)

    @abstractmethod
    def incoming(self) -> Iterator[str | None]:
        """What the channel says; None first of all, once nothing that is said is missed. Raises Lost."""

    @abstractmethod
    def outgoing(self) -> AbstractContextManager[Publish]:
        """A way to say something to the channel. It raises Lost."""


class Postgres(Relay):
    """LISTEN and NOTIFY on the server's own database, over two connections of its own."""

    CHANNEL = "flowdock_live"

    def _connect(self) -> "psycopg.Connection[tuple[object, ...]]":
        given = connection.get_connection_params()
        known = {name: given[name] for name in given if name not in ("context", "cursor_factory", "prepare_threshold")}
        return psycopg.connect(
            **known
            | {
                "application_name": "flowdock live",
                "connect_timeout": 5,
                "keepalives_idle": 10,
                "keepalives_interval": 5,
                "keepalives_count": 3,
                "tcp_user_timeout": 20_000,
            },
            autocommit=True,
        )

    def incoming(self) -> Iterator[str | None]:
        try:
            with self._connect() as link:
                link.execute(f"LISTEN {self.CHANNEL}")
                yield None
                while True:
                    for said in link.notifies(timeout=SILENCE):
                        yield said.payload
                    link.execute("SELECT 1")
        except psycopg.Error as error:
            raise Lost(error) from error

    @contextmanager
    def outgoing(self) -> Iterator[Publish]:
        try:
            with self._connect() as link:
                yield lambda text: link.execute("SELECT pg_notify(%s, %s)", (self.CHANNEL, text))
        except psycopg.Error as error:
            raise Lost(error) from error


class Redis(Relay):
    """A channel of Redis. It is named after this server, since several may share one Redis."""

    @property
    def _channel(self) -> str:
        return f"flowdock-live:{settings.SERVER_URL}"

    def _connect(self) -> "redis.Redis":
        return redis.Redis.from_url(
            settings.LIVE_URL,
            socket_connect_timeout=5,
            socket_timeout=PATIENCE,
            socket_keepalive=True,
        )

    def incoming(self) -> Iterator[str | None]:
        try:
            with self._connect() as link, link.pubsub() as channel:
                channel.subscribe(self._channel)
                asked = False
                while True:
                    said = channel.get_message(timeout=SILENCE)
                    if said is None:
                        if asked:
                            raise Lost("Redis does not answer")
                        channel.ping()
                    asked = said is None
                    if said is None:
                        continue
                    if said["type"] == "subscribe":
                        yield None
                    elif said["type"] == "message":
                        yield said["data"].decode(errors="replace")
        except redis.RedisError as error:
            raise Lost(error) from error

    @contextmanager
    def outgoing(self) -> Iterator[Publish]:
        try:
            with self._connect() as link:
                yield lambda text: link.publish(self._channel, text)
        except redis.RedisError as error:
            raise Lost(error) from error


def relay_for(hub: "Hub") -> Relay | None:
    """What `settings.LIVE_URL` asks for."""
    if not settings.LIVE_URL:
        return None
    return Postgres(hub) if settings.LIVE_URL == "postgres" else Redis(hub)
