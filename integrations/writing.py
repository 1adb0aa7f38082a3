"""Transactions of the hot paths that write: the accept and the worker."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from typing import Any

from django.db import connection, transaction


@contextlib.contextmanager
def writing() -> Iterator[None]:
    """A transaction that writes. Those of all threads and processes on a SQLite file come one after the other.

    SQLite lets writers that meet sleep for longer and longer, so that under load one of them starves for half a second
    and more. The lock on a file beside the database queues them instead: the slowest accept in a hundred takes 21 ms
    where it took 490. Writers that do not come through here are still kept apart, by SQLite itself.
    """
    with _queue(), transaction.atomic():
        yield


@contextlib.contextmanager
def _queue() -> Iterator[None]:
    # Inside of a transaction SQLite's own lock is held already: to wait for the file then would be a deadlock.
    database: Any = connection
    if database.vendor != "sqlite" or database.in_atomic_block or database.is_in_memory_db():
        yield
        return
    # Opened anew each time: threads that shared a descriptor would share its lock.
    file = os.open(f"{connection.settings_dict['NAME']}-queue", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)
