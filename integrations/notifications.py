"""The bell: whoever writes to the outbox rings it, and workers that wait for it wake at once instead of polling.

On PostgreSQL it is NOTIFY, heard on any machine and only if the transaction commits. On SQLite everything is on one
machine, and each worker has a named pipe in DATA_DIR. A ring that gets lost delays a delivery until the worker's next
look at the outbox, and loses nothing.
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

CHANNEL = "flowdock_bridge_outbox"
PATIENCE = 0.5  # seconds between two looks at whether to stop listening
_numbers = itertools.count()


def ring() -> None:
    """Wake the workers once the present transaction has committed."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_notify(%s, '')", [CHANNEL])
    else:
        # What is to be told is kept by now: nothing that fails here may fail the one who kept it.
        transaction.on_commit(_write_to_pipes, robust=True)


def _pipes() -> Path:
    return Path(settings.DATA_DIR) / "bells"


def _write_to_pipes() -> None:
    try:
        names = [entry.path for entry in os.scandir(_pipes()) if entry.name.endswith(".bell")]
    except FileNotFoundError:
        return  # no worker has ever waited here
    except OSError as error:
        _warn(f"{error.strerror}: {_pipes()}")
        return
    for name in names:
        try:
            pipe = os.open(name, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno == errno.ENXIO:
                # Nobody reads: its worker was killed. Another may have been as quick to notice.
                with contextlib.suppress(OSError):
                    os.unlink(name)
            elif error.errno != errno.ENOENT:
                _warn(f"{error.strerror}: {name}")
            continue
        try:
            # A full pipe (EAGAIN) has rung often enough.
            with contextlib.suppress(BlockingIOError, BrokenPipeError):
                os.write(pipe, b"!")
        finally:
            os.close(pipe)


@functools.cache
def _warn(reason: str) -> None:
    """Once for each reason and process: every webhook would say it again."""
    logger.warning(
        "workers cannot be woken (%s); they look at the outbox by themselves within seconds. Run web and workers as the"
        " same user",
        reason,
    )


@contextlib.contextmanager
def listening(wake: Callable[[], None]) -> Iterator[None]:
    """Have `wake` called, in a thread of its own, whenever the bell rings."""
    stop = threading.Event()
    with contextlib.ExitStack() as stack:
        if connection.vendor == "postgresql":
            thread = threading.Thread(target=_listen, args=(wake, stop), name="bell")
        else:
            thread = threading.Thread(target=_read_pipe, args=(stack.enter_context(_pipe()), wake, stop), name="bell")
        stack.callback(thread.join)
        stack.callback(stop.set)
        thread.start()
        yield


@contextlib.contextmanager
def _pipe() -> Iterator[int]:
    folder = _pipes()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = folder / f"{os.getpid()}-{next(_numbers)}"
    with contextlib.suppress(FileNotFoundError):
        name.unlink()
    os.mkfifo(name, 0o660)  # the umask decides about the group: DATA_DIR_GROUP
    # Open for writing too, so that it stays open when the last ringer closes it.
    pipe = os.open(name, os.O_RDWR | os.O_NONBLOCK)
    # Rung under this name only: one that nobody reads yet would be taken for a dead worker's.
    ready = name.with_suffix(".bell")
    name.rename(ready)
    try:
        yield pipe
    finally:
        ready.unlink(missing_ok=True)
        os.close(pipe)


def _read_pipe(pipe: int, wake: Callable[[], None], stop: threading.Event) -> None:
    while not stop.is_set():
        if select.select([pipe], [], [], PATIENCE)[0]:
            os.read(pipe, 4096)
            wake()


def _listen(wake: Callable[[], None], stop: threading.Event) -> None:
    """LISTEN on a connection of this thread's own, through outages of the database."""
    try:
        while not stop.is_set():
            try:
                with connection.cursor() as cursor:
                    cursor.execute(f"LISTEN {CHANNEL}")
                raw: Any = connection.connection
                # What was written between the last look and LISTEN has rung unheard.
                wake()
                while not stop.is_set():
                    if any(True for _ in raw.notifies(timeout=PATIENCE, stop_after=1)):
                        wake()
            except _database_errors() as error:
                logger.warning("the bell is not heard while the database is away: %s", type(error).__name__)
                connection.close()
                stop.wait(PATIENCE)
    finally:
        connection.close()


def _database_errors() -> tuple[type[Exception], ...]:
    # notifies() is psycopg's own, and so are its errors; Django wraps those of its cursors only.
    import psycopg

    return (DatabaseError, psycopg.Error)
