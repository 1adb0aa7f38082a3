"""Heartbeats: each worker says in the database that it works, for the probes, the metrics and the admin."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import socket
import time

from django.db import DatabaseError, InterfaceError
from django.db.models.functions import Now

from .models import Worker
from .transactions import write_transaction

BEAT_INTERVAL = 10.0  # seconds
FORGOTTEN_AFTER = dt.timedelta(hours=1)


class Heartbeat:
    """The heartbeat of one process. The thread that delivers calls `beat`, so a heartbeat shows that it is not stuck.

    Times are those of the database's clock.
    """

    def __init__(self, name: str = "") -> None:
        self.name = name or f"{socket.gethostname()}:{os.getpid()}"
        self._next = 0.0  # time.monotonic()
        self._is_breaker_open = False

    def beat(self, *, is_breaker_open: bool) -> None:
        """Store it if the last time is BEAT_INTERVAL ago, or if the circuit breaker has changed."""
        now = time.monotonic()
        if now < self._next and is_breaker_open == self._is_breaker_open:
            return
        with write_transaction():
            Worker.objects.update_or_create(
                name=self.name,
                defaults={"seen_at": Now(), "is_breaker_open": is_breaker_open},
                create_defaults={"started_at": Now(), "seen_at": Now(), "is_breaker_open": is_breaker_open},
            )
            # Those of workers that were killed: the others remove their rows themselves.
            Worker.objects.filter(seen_at__lt=Now() - FORGOTTEN_AFTER).delete()
        self._next, self._is_breaker_open = now + BEAT_INTERVAL, is_breaker_open

    def end(self) -> None:
        """The worker ends as intended. If the database does not answer, its row stays for an hour."""
        with contextlib.suppress(DatabaseError, InterfaceError):
            Worker.objects.filter(name=self.name).delete()
