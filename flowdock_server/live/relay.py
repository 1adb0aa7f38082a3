"""Relays broadcasts between processes.

`settings.LIVE_URL` chooses how: through LISTEN and NOTIFY on the server's own PostgreSQL database ("postgres"), or
through a Redis channel ("redis://..."). If it is empty, there is only one process. Two threads do the work, so that
neither posts nor streams wait for it. Broadcasts are lost while the connection is down; when it is back, all
subscribers catch up from the database.
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

from .broadcasts import Broadcast

if TYPE_CHECKING:
    from .hub import Hub

log = logging.getLogger(__name__)

# Broadcasts that may wait to be sent. More are dropped: other processes find what they are about a few seconds later.
QUEUE_SIZE = 10_000
CHECK_AFTER = 5.0  # seconds without a message after which the connection is checked
ANSWER_TIMEOUT = 3.0  # seconds
FIRST_DELAY, LAST_DELAY = 0.1, 5.0  # seconds between attempts to connect: doubled each time
SHUTDOWN_TIMEOUT = 2.0  # seconds for sending what is queued when the process ends

Publish = Callable[[str], object]


class ConnectionLost(Exception):
    """The connection failed. Connect again."""


class Relay(ABC):
    """The relay of one process. `listen` and `send` can be called from any thread and do not block."""

    def __init__(self, hub: "Hub") -> None:
        self._hub = hub
        self._origin = f"{os.getpid()}.{secrets.token_hex(4)}"
        self._outgoing: queue.Queue[str | None] = queue.Queue(QUEUE_SIZE)
        self._unsent: str | None = None
        self._lock = threading.Lock()
        self._listener: threading.Thread | None = None
        self._sender: threading.Thread | None = None

    def listen(self) -> None:
        """Receive what the other processes publish from now on."""
        with self._lock:
            if self._listener is None:
                self._listener = threading.Thread(target=self._listen, name="live-in", daemon=True)
                self._listener.start()

    def send(self, broadcast: Broadcast) -> None:
        with self._lock:
            if self._sender is None:
                self._sender = threading.Thread(target=self._send, name="live-out", daemon=True)
                self._sender.start()
                atexit.register(self._finish)
        with contextlib.suppress(queue.Full):
            self._outgoing.put_nowait(f"{self._origin} {broadcast.to_json()}")

    def _finish(self) -> None:
        with contextlib.suppress(queue.Full):
            self._outgoing.put_nowait(None)
        if self._sender:
            self._sender.join(SHUTDOWN_TIMEOUT)

    def _listen(self) -> None:
        def receive() -> None:
            for text in self.incoming():
                if text is None:
                    self._hub.catch_up()
                else:
                    self._receive(text)

        self._keep_trying(receive)

    def _receive(self, text: str) -> None:
        origin, _, payload = text.partition(" ")
        if origin == self._origin:
            return
        try:
            broadcast = Broadcast.from_json(payload)
        except ValueError:
            log.warning("Ignored a message in the channel of live updates that this server did not send")
            return
        self._hub.deliver(broadcast)

    def _send(self) -> None:
        def send() -> None:
            with self.outgoing() as publish:
                while (text := self._unsent or self._outgoing.get()) is not None:
                    self._unsent = text
                    publish(text)
                    self._unsent = None

        self._keep_trying(send)

    def _keep_trying(self, work: Callable[[], None]) -> None:
        """Call `work` until it returns; when it raises ConnectionLost, call it again after a delay."""
        delay = FIRST_DELAY
        while True:
            began = time.monotonic()
            try:
                return work()
            except ConnectionLost as error:
                log.warning("Live updates between processes are interrupted: %s", error)
            if time.monotonic() - began > LAST_DELAY:
                delay = FIRST_DELAY
            time.sleep(delay)
            delay = min(delay * 2, LAST_DELAY)

    @abstractmethod
    def incoming(self) -> Iterator[str | None]:
        """Yield None once the channel is subscribed to, then its messages. Raises ConnectionLost."""

    @abstractmethod
    def outgoing(self) -> AbstractContextManager[Publish]:
        """Return a context manager with a function that publishes to the channel. Raises ConnectionLost."""


class Postgres(Relay):
    """LISTEN and NOTIFY on the server's own database, over two separate connections."""

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
                    for message in link.notifies(timeout=CHECK_AFTER):
                        yield message.payload
                    link.execute("SELECT 1")
        except psycopg.Error as error:
            raise ConnectionLost(error) from error

    @contextmanager
    def outgoing(self) -> Iterator[Publish]:
        try:
            with self._connect() as link:
                yield lambda text: link.execute("SELECT pg_notify(%s, %s)", (self.CHANNEL, text))
        except psycopg.Error as error:
            raise ConnectionLost(error) from error


class Redis(Relay):
    """A Redis channel, named after this server because several servers may share one Redis."""

    @property
    def _channel(self) -> str:
        return f"flowdock-live:{settings.SERVER_URL}"

    def _connect(self) -> "redis.Redis":
        return redis.Redis.from_url(
            settings.LIVE_URL,
            socket_connect_timeout=5,
            socket_timeout=ANSWER_TIMEOUT,
            socket_keepalive=True,
        )

    def incoming(self) -> Iterator[str | None]:
        try:
            with self._connect() as link, link.pubsub() as channel:
                channel.subscribe(self._channel)
                is_pinged = False
                while True:
                    message = channel.get_message(timeout=CHECK_AFTER)
                    if message is None:
                        if is_pinged:
                            raise ConnectionLost("Redis does not answer")
                        channel.ping()
                    is_pinged = message is None
                    if message is None:
                        continue
                    if message["type"] == "subscribe":
                        yield None
                    elif message["type"] == "message":
                        yield message["data"].decode(errors="replace")
        except redis.RedisError as error:
            raise ConnectionLost(error) from error

    @contextmanager
    def outgoing(self) -> Iterator[Publish]:
        try:
            with self._connect() as link:
                yield lambda text: link.publish(self._channel, text)
        except redis.RedisError as error:
            raise ConnectionLost(error) from error


def relay_for(hub: "Hub") -> Relay | None:
    """The relay that `settings.LIVE_URL` asks for, or None."""
    if not settings.LIVE_URL:
        return None
    return Postgres(hub) if settings.LIVE_URL == "postgres" else Redis(hub)
