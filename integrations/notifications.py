"""Notifications for workers: whoever writes to the outbox notifies them, so that they need not poll.

On PostgreSQL this is NOTIFY, which reaches workers on any machine, and only if the transaction commits. On SQLite
everything runs on one machine, and each worker has a named pipe in DATA_DIR. A notification that gets lost delays a
delivery until the worker polls the outbox, and loses nothing.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import itertools
import logging
import os
import select
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connection, transaction

logger = logging.getLogger(__name__)

CHANNEL, TEST_CHANNEL = "flowdock_bridge_outbox", "flowdock_bridge_test"
STOP_CHECK_INTERVAL = 0.5  # seconds
_numbers = itertools.count()


def notify_workers() -> None:
    """Wake the workers once the current transaction has committed."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_notify(%s, '')", [CHANNEL])
    else:
        # Robust: what the workers are notified of is stored by now, so an error here must not fail the caller.
        transaction.on_commit(_write_to_pipes, robust=True)


def _pipes() -> Path:
    return Path(settings.DATA_DIR) / "notifications"


def _write_to_pipes() -> None:
    try:
        names = [entry.path for entry in os.scandir(_pipes()) if entry.name.endswith(".pipe")]
    except FileNotFoundError:
        return  # no worker has run here yet
    except OSError as error:
        _warn(f"{error.strerror}: {_pipes()}")
        return
    for name in names:
        try:
            pipe = os.open(name, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno == errno.ENXIO:
                # Nobody reads it: its worker was killed. Another process may have deleted it already.
                with contextlib.suppress(OSError):
                    os.unlink(name)
            elif error.errno != errno.ENOENT:
                _warn(f"{error.strerror}: {name}")
            continue
        try:
            # A full pipe (EAGAIN) holds enough notifications.
            with contextlib.suppress(BlockingIOError, BrokenPipeError):
                os.write(pipe, b"!")
        finally:
            os.close(pipe)


@functools.cache
def _warn(reason: str) -> None:
    """Log it once for each reason and process, not for every webhook request."""
    logger.warning(
        "workers cannot be notified (%s); they find new deliveries within seconds by polling. Run web and workers as"
        " the same user",
        reason,
    )


@contextlib.contextmanager
def listen(wake: Callable[[], None]) -> Iterator[None]:
    """Have `wake` called, in a thread of its own, at each notification."""
    stop = threading.Event()
    with contextlib.ExitStack() as stack:
        if connection.vendor == "postgresql":
            thread = threading.Thread(target=_listen, args=(wake, stop), name="notifications")
        else:
            pipe = stack.enter_context(_pipe())
            thread = threading.Thread(target=_read_pipe, args=(pipe, wake, stop), name="notifications")
        stack.callback(thread.join)
        stack.callback(stop.set)
        thread.start()
        yield


def reach_listeners(within: float) -> bool:
    """Whether a notification reaches a listener within so many seconds; on SQLite always.

    It does not if the connections go through a pooler that gives each transaction another one, such as PgBouncer's
    transaction pooling. Raises DatabaseError.
    """
    if connection.vendor != "postgresql":
        return True
    with contextlib.closing(connection.copy()) as listener, contextlib.closing(connection.copy()) as sender:
        with listener.cursor() as cursor:
            cursor.execute(f"LISTEN {TEST_CHANNEL}")
        with sender.cursor() as cursor:
            cursor.execute("SELECT pg_notify(%s, '')", [TEST_CHANNEL])
        raw: Any = listener.connection
        try:
            return any(True for _ in raw.notifies(timeout=within, stop_after=1))
        except _database_errors():
            return False


@contextlib.contextmanager
def _pipe() -> Iterator[int]:
    folder = _pipes()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = folder / f"{os.getpid()}-{next(_numbers)}"
    with contextlib.suppress(FileNotFoundError):
        name.unlink()
    os.mkfifo(name, 0o660)  # the umask decides about the group: DATA_DIR_GROUP
    # Opened for writing too, so that it stays open when the last writer closes it.
    pipe = os.open(name, os.O_RDWR | os.O_NONBLOCK)
    # Renamed only now, because a pipe that nobody reads yet would be taken for that of a dead worker.
    ready = name.with_suffix(".pipe")
    name.rename(ready)
    try:
        yield pipe
    finally:
        ready.unlink(missing_ok=True)
        os.close(pipe)


def _read_pipe(pipe: int, wake: Callable[[], None], stop: threading.Event) -> None:
    while not stop.is_set():
        if select.select([pipe], [], [], STOP_CHECK_INTERVAL)[0]:
            os.read(pipe, 4096)
            wake()


def _listen(wake: Callable[[], None], stop: threading.Event) -> None:
    """LISTEN on a connection of this thread's own, and reconnect after outages of the database."""
    try:
        while not stop.is_set():
            try:
                with connection.cursor() as cursor:
                    cursor.execute(f"LISTEN {CHANNEL}")
                raw: Any = connection.connection
                # Nobody has heard the notifications between the worker's last look at the outbox and LISTEN.
                wake()
                while not stop.is_set():
                    if any(True for _ in raw.notifies(timeout=STOP_CHECK_INTERVAL, stop_after=1)):
                        wake()
            except _database_errors() as error:
                logger.warning("no notifications arrive while the database is not available: %s", type(error).__name__)
                connection.close()
                stop.wait(STOP_CHECK_INTERVAL)
    finally:
        connection.close()


def _database_errors() -> tuple[type[Exception], ...]:
    # notifies() is psycopg's own and raises psycopg's errors; Django wraps only those of its cursors.
    import psycopg

    return (DatabaseError, psycopg.Error)
