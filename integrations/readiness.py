"""Whether this process can serve: the database answers, is migrated, and its secrets can be decrypted.

The texts are shown to anybody who asks, so they contain no names, addresses or errors; those are in the log.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.db import DatabaseError, InterfaceError, connection
from django.db.migrations.executor import MigrationExecutor

from hosting.health import Timed

from . import fields
from .models import Origin, Worker
from .outages import outage_reason

logger = logging.getLogger(__name__)

PATIENCE = 1.0  # seconds
FRESH_FOR = 1.0  # seconds
NEWEST = 5  # webhook secrets that are tried: one of them alone may be damaged
OK = "ok"
NOT_CHECKED = "not checked"


@dataclass
class Readiness:
    """The result of each check: "ok", or what is wrong. `worker` is for information."""

    checks: dict[str, str] = field(
        default_factory=lambda: dict.fromkeys(("database", "migrations", "keys", "worker"), NOT_CHECKED)
    )

    @property
    def is_ready(self) -> bool:
        """Whether the process can accept webhook requests.

        It can without a worker: events wait in the database. Taking all web processes out of service because no worker
        runs would turn a delay into refused requests.
        """
        return all(result == OK for name, result in self.checks.items() if name != "worker")


def check() -> Readiness:
    """Check it now, within PATIENCE."""
    readiness = _checked()
    if readiness is None:
        readiness = Readiness()
        readiness.checks["database"] = f"did not answer within {PATIENCE:.0f} s"
    return readiness


def _check() -> Readiness:
    readiness = Readiness()
    checks: dict[str, Callable[[], str]] = {
        "database": _database, "migrations": _migrations, "keys": _keys, "worker": _worker,
    }  # fmt: skip
    try:
        for name, run in checks.items():
            readiness.checks[name] = run()
            if readiness.checks[name] != OK:
                break
    except (DatabaseError, InterfaceError) as error:
        logger.warning("not ready: %s", outage_reason(error) or f"{type(error).__name__}: {error}")
        readiness.checks["database"] = "not available"
    finally:
        connection.close()
    return readiness


_checked = Timed(_check, seconds=PATIENCE, fresh_for=FRESH_FOR)


def _database() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return OK


def _migrations() -> str:
    return OK if _are_migrations_applied() else "not applied: run `manage.py migrate`"


_applied = threading.Event()


def _are_migrations_applied() -> bool:
    """Whether all migrations of this version are applied. Once they are, it is not looked up again."""
    if not _applied.is_set():
        executor = MigrationExecutor(connection)
        if not executor.migration_plan(executor.loader.graph.leaf_nodes()):
            _applied.set()
    return _applied.is_set()


def _keys() -> str:
    try:
        fields.decrypt(fields.encrypt("readiness"))
    except ValueError:
        return "FIELD_KEYS are not Fernet keys"
    newest = list(Origin.objects.order_by("-pk").only("secret")[:NEWEST])
    if newest and not any(_opens(origin) for origin in newest):
        return "no key of FIELD_KEYS decrypts the newest webhook secrets"
    return OK


def _opens(origin: Origin) -> bool:
    try:
        return bool(origin.secret)
    except fields.UndecipherableSecret:
        return False


def _worker() -> str:
    latest: Any = Worker.objects.with_presence().order_by("-seen_at").first()
    if latest is None:
        return "none was seen in the last hour"
    return OK if latest.is_present else f"last seen {latest.age.total_seconds():.0f} s ago"
