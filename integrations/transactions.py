"""Transactions that write on the hot paths: accepting webhook requests, and the worker."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from typing import Any

from django.db import connection, transaction

# PostgreSQL's. Services wait 10 seconds for the answer to a webhook request: better an error than no answer.
LOCK_TIMEOUT = "8s"
STATEMENT_TIMEOUT = "30s"


@contextlib.contextmanager
def write_transaction() -> Iterator[None]:
    """A transaction that writes. On a SQLite file, those of all threads and processes run one after the other.

    SQLite lets competing writers sleep for longer and longer, so that under load one of them waits for half a second
    and more. The lock on a file beside the database queues them instead: the slowest accept in a hundred takes 21 ms
    where it took 490. Writers that do not use this function are still kept apart, by SQLite itself.

    On PostgreSQL a statement that waits for a lock longer than LOCK_TIMEOUT, or runs longer than STATEMENT_TIMEOUT,
    raises OperationalError: one transaction that hangs must not occupy all threads.
    """
    with _queue(), transaction.atomic():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT set_config('lock_timeout', %s, true), set_config('statement_timeout', %s, true)",
                    [LOCK_TIMEOUT, STATEMENT_TIMEOUT],
                )
        yield


@contextlib.contextmanager
def write_statement() -> Iterator[None]:
    """The same for a single statement, which needs no transaction of its own.

    On PostgreSQL its limits are those of the connection: see `limit_statements`.
    """
    with _queue():
        yield


def limit_statements(sender: object, *, connection: Any, **_: object) -> None:
    """A receiver of `connection_created`, for web processes: no statement occupies a thread for longer."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT set_config('lock_timeout', %s, false), set_config('statement_timeout', %s, false)",
                [LOCK_TIMEOUT, STATEMENT_TIMEOUT],
            )


@contextlib.contextmanager
def _queue() -> Iterator[None]:
    # Inside a transaction SQLite's own lock is already held: waiting for the file could then be a deadlock.
    database: Any = connection
    if database.vendor != "sqlite" or database.in_atomic_block or database.is_in_memory_db():
        yield
        return
    # Opened again each time: threads that shared a descriptor would share its lock.
    file = os.open(f"{connection.settings_dict['NAME']}-queue", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)
