"""What is wrong with this installation, and what to do about it: for `manage.py doctor`."""

from __future__ import annotations

import datetime as dt
import enum
import os
import shutil
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.staticfiles.storage import staticfiles_storage
from django.core import checks
from django.db import DatabaseError, InterfaceError, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models.functions import Now

from . import encryption, notifications
from .flowdock.client import Flowdock
from .flowdock.errors import FlowdockError, TokenRefused
from .models import Delivery, Event, Worker
from .outages import outage_reason

CLOCK_TOLERANCE = 5.0  # seconds
SLOW_ANSWER = 0.1  # seconds for a query that reads nothing
LATE_AFTER = dt.timedelta(minutes=5)
FREE_SPACE = 1024**3  # bytes
FREE_CONNECTIONS = 10
# What `check --deploy` says about stored secrets is said here in more detail.
REPEATED_CHECKS = {"integrations.E006", "integrations.I001", "integrations.W003"}


class Level(enum.StrEnum):
    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """`advice` says what to do; it is empty if nothing has to be done."""

    level: Level
    subject: str
    text: str
    advice: str = ""


def diagnose() -> Iterator[Finding]:
    """Look at everything, one part after the other. No error of one part prevents the others."""
    yield from check_settings()
    yield from check_data_folder()
    yield from check_static_files()
    try:
        yield from check_database()
        migrations = check_migrations()
        yield migrations
        if migrations.level is not Level.PROBLEM:
            yield from check_secrets()
            yield check_workers()
            yield check_outbox()
    except (DatabaseError, InterfaceError) as error:
        yield Finding(
            Level.PROBLEM,
            "database",
            outage_reason(error) or f"{type(error).__name__}: {str(error).partition(chr(10))[0]}",
            "Check DATABASE_URL, and that the database runs and accepts connections from this machine.",
        )
    yield check_flowdock()


def check_settings() -> Iterator[Finding]:
    messages = [
        message
        for message in checks.run_checks(include_deployment_checks=True)
        if message.id not in REPEATED_CHECKS and not message.is_silenced() and message.level >= checks.WARNING
    ]
    for message in messages:
        level = Level.PROBLEM if message.level >= checks.ERROR else Level.WARNING
        yield Finding(level, "settings", f"{message.msg} ({message.id})", message.hint or "")
    if not messages:
        yield Finding(Level.OK, "settings", f"the bridge is at {settings.BRIDGE_URL}")


def check_data_folder() -> Iterator[Finding]:
    """Who can access DATA_DIR, whether this user can write to it, and whether there is room."""
    folder = Path(settings.DATA_DIR)
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        yield Finding(Level.PROBLEM, "files", f"this user cannot read and write {folder}", _CHOWN)
        return
    found: list[Finding] = []
    mode = stat.S_IMODE(folder.stat().st_mode)
    others = [path.name for path in folder.iterdir() if path.lstat().st_uid != os.geteuid()]
    if others and not mode & stat.S_IWGRP:  # with DATA_DIR_GROUP several users own files
        names = ", ".join(sorted(others)[:3])
        found.append(Finding(Level.WARNING, "files", f"of another user in {folder}: {names}", _CHOWN))
    if mode & stat.S_IRWXO:
        found.append(Finding(Level.PROBLEM, "files", f"everybody can access {folder}", f"Run chmod o= {folder}."))
    free = shutil.disk_usage(folder).free
    if free < FREE_SPACE:
        advice = "Free space, or lower EVENT_RETENTION_DAYS and run `manage.py prune_events`."
        found.append(Finding(Level.WARNING, "files", f"only {free // 1024**2} MB are free in {folder}", advice))
    yield from found or [Finding(Level.OK, "files", f"{folder} belongs to this user, {free // 1024**3} GB are free")]


_CHOWN = "Run web servers, workers, cron and commands as the same user, who owns DATA_DIR and everything in it."


def check_static_files() -> Iterator[Finding]:
    if getattr(staticfiles_storage, "is_current", True):
        yield Finding(Level.OK, "static files", "collected, of the installed version")
    else:
        yield Finding(
            Level.WARNING,
            "static files",
            "not collected, or of another version: pages use the originals, uncompressed and cached for a minute",
            "Run `manage.py collectstatic --noinput` and restart the web servers.",
        )


def check_database() -> Iterator[Finding]:
    """Whether it answers, how fast, and whether its clock is ours. Raises DatabaseError or InterfaceError."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        started = time.perf_counter()
        cursor.execute("SELECT 1")
        took = time.perf_counter() - started
    version = ".".join(map(str, connection.get_database_version()))
    found = f"{connection.display_name} {version} answers in {took * 1000:.1f} ms"
    if took > SLOW_ANSWER:
        yield Finding(Level.WARNING, "database", found, "Every webhook request waits for it: move the two closer.")
    else:
        yield Finding(Level.OK, "database", found)
    if connection.vendor == "postgresql":
        yield from _check_postgresql()
    else:
        yield from _check_sqlite()


def _check_postgresql() -> Iterator[Finding]:
    before = time.time()
    clock, limit, used, reserved = _row(
        "SELECT extract(epoch FROM clock_timestamp()), current_setting('max_connections')::int,"
        " (SELECT sum(numbackends) FROM pg_stat_database), current_setting('superuser_reserved_connections')::int"
    )
    difference = (before + time.time()) / 2 - float(clock)
    if abs(difference) > CLOCK_TOLERANCE:
        direction = "ahead of" if difference > 0 else "behind"
        yield Finding(
            Level.PROBLEM,
            "clock",
            f"this machine's clock is {abs(difference):.0f} s {direction} the database's",
            "Run an NTP service on both machines. Signatures of webhook requests are valid for a few minutes only.",
        )
    else:
        yield Finding(Level.OK, "clock", f"within {CLOCK_TOLERANCE:.0f} s of the database's")
    if (free := int(limit) - int(reserved) - int(used)) < FREE_CONNECTIONS:
        yield Finding(
            Level.WARNING, "connections", f"only {free} of PostgreSQL's {limit} connections are free",
            "Raise max_connections, or start fewer processes: docs/deploying.md, \"Sizes\".",
        )  # fmt: skip
    if notifications.reach_listeners(within=2.0):
        yield Finding(Level.OK, "notifications", "reach the workers")
    else:
        yield Finding(
            Level.WARNING,
            "notifications",
            "do not reach the workers, which find new deliveries by polling, up to 5 seconds later",
            "Connect workers to PostgreSQL itself, or to a pooler with session pooling: LISTEN does not work through "
            "transaction pooling.",
        )


def _check_sqlite() -> Iterator[Finding]:
    database: Any = connection
    if database.is_in_memory_db():
        return
    (journal,), (synchronous,) = _row("PRAGMA journal_mode"), _row("PRAGMA synchronous")
    if journal != "wal" or synchronous < 2:
        yield Finding(
            Level.PROBLEM, "database", f"journal_mode is {journal} and synchronous {synchronous}, instead of wal and 2",
            "Keep the database on a local disk: a network file system does not support WAL.",
        )  # fmt: skip


def _row(query: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchone()


def check_migrations() -> Finding:
    executor = MigrationExecutor(connection)
    missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if missing:
        names = ", ".join(f"{migration.app_label}.{migration.name}" for migration, _ in missing[:3])
        more = ", ..." if len(missing) > 3 else ""
        return Finding(
            Level.PROBLEM, "migrations", f"{len(missing)} were not applied: {names}{more}", "Run `manage.py migrate`."
        )
    known, applied = set(executor.loader.disk_migrations), set(executor.loader.applied_migrations)
    if newer := sorted(name for app, name in applied - known if app in {"integrations", "polls"}):
        return Finding(
            Level.WARNING, "migrations", f"the database has {len(newer)} of a newer version: {', '.join(newer[:3])}",
            "Install that version, or go back as docs/deploying.md says: \"Going back\".",
        )  # fmt: skip
    return Finding(Level.OK, "migrations", "all applied")


def check_secrets() -> Iterator[Finding]:
    """Whether the keys decrypt each stored secret."""
    try:
        tally = encryption.count_keys()
    except ValueError:
        return  # a key is not a Fernet key, which is reported with the settings
    total, older = tally.count.total(), tally.count[encryption.Key.OLDER]
    if tally.lost:
        some = "; ".join(str(secret) for secret in tally.lost[:3]) + ("; ..." if len(tally.lost) > 3 else "")
        yield Finding(
            Level.PROBLEM, "keys", f"no key of FIELD_KEYS decrypts {len(tally.lost)} of {total} secrets ({some})",
            "Add the key that they were encrypted with to FIELD_KEYS, or connect these integrations again.",
        )  # fmt: skip
    elif older:
        yield Finding(
            Level.OK, "keys", f"decrypt all {total} secrets, {older} of them with an older key",
            "Before you remove the older keys, run `manage.py reencrypt_secrets`.",
        )  # fmt: skip
    else:
        yield Finding(Level.OK, "keys", f"the first key of FIELD_KEYS decrypts all {total} secrets")


def check_workers() -> Finding:
    """Whether a worker has sent a heartbeat lately."""
    latest: Any = Worker.objects.with_presence()
    present = [worker for worker in latest if worker.is_present]
    names = sorted(worker.name for worker in present)
    if not names:
        return Finding(
            Level.WARNING, "workers", "none has sent a heartbeat lately",
            "Start one (`manage.py worker`), unless cron runs `deliver_activities` in its place.",
        )  # fmt: skip
    if probing := [worker.name for worker in present if worker.is_breaker_open]:
        return Finding(
            Level.WARNING, "workers", f"{probing[0]} sends only probes, because Flowdock does not respond",
            "Check that Flowdock runs. The worker goes on by itself when it answers.",
        )  # fmt: skip
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return Finding(Level.OK, "workers", f"running: {', '.join(names[:3])}{more}")


def check_outbox() -> Finding:
    """Whether events and deliveries are dealt with in time."""
    late = Now() - LATE_AFTER
    undecided = Event.objects.awaiting_decision().filter(received_at__lt=late).exists()
    if undecided or Delivery.objects.due().filter(next_attempt_at__lt=late).exists():
        what = "events wait" if undecided else "deliveries are due"
        return Finding(
            Level.PROBLEM, "deliveries", f"some {what} for more than {LATE_AFTER.seconds // 60} minutes",
            "Check that a worker runs (`manage.py worker`), and its log.",
        )  # fmt: skip
    return Finding(Level.OK, "deliveries", "none is late")


def check_flowdock() -> Finding:
    address = settings.FLOWDOCK_API_URL
    try:
        with Flowdock() as flowdock:
            flowdock.check_application()
    except TokenRefused as error:
        return Finding(
            Level.PROBLEM, "Flowdock", f"{address} does not know this bridge: {error}",
            "Register it as an application in Flowdock, and set FLOWDOCK_CLIENT_ID and FLOWDOCK_CLIENT_SECRET.",
        )  # fmt: skip
    except FlowdockError as error:
        return Finding(
            Level.PROBLEM, "Flowdock", f"{address}: {error}",
            "Check FLOWDOCK_API_URL, and that this machine can reach it. FLOWDOCK_CA_FILE is for a private authority.",
        )  # fmt: skip
    return Finding(Level.OK, "Flowdock", f"{address} knows this bridge")
