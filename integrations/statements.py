"""The SQL statements of the hot paths, by hand: the ORM takes longer to make them than the database to run them.

They take and return plain values, and run in the transaction of the caller.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db import connection

from .notifications import CHANNEL

# An origin by its webhook address: its secrets, and whether it is connected to a flow.
ORIGIN_AT = """
    SELECT id, service, name, secret, previous_secret, previous_secret_until, EXISTS (
        SELECT 1 FROM integrations_integration
        WHERE origin_id = integrations_origin.id AND removed_at IS NULL AND flow_token <> ''
    ) AS is_connected
    FROM integrations_origin WHERE hook_id = %s
"""

# One step from an origin to the next, so that this reads one row of each origin and not all that waits.
ORIGINS_AWAITING = """
    WITH RECURSIVE waiting(origin_id) AS (
        SELECT * FROM (
            SELECT origin_id FROM integrations_event
            WHERE awaits_decision AND origin_id > %s ORDER BY origin_id LIMIT 1
        ) AS first_one
        UNION ALL
        SELECT (
            SELECT origin_id FROM integrations_event
            WHERE awaits_decision AND origin_id > waiting.origin_id ORDER BY origin_id LIMIT 1
        ) FROM waiting WHERE waiting.origin_id IS NOT NULL
    )
    SELECT origin_id FROM waiting WHERE origin_id IS NOT NULL LIMIT %s
"""

FIRST_OF_ORIGIN = """
    SELECT * FROM (
        SELECT id, body_size FROM integrations_event WHERE awaits_decision AND origin_id = %s ORDER BY id LIMIT %s
    ) AS of_origin
"""

# A subquery for each thread, not EXISTS: see DeliveryQuerySet.schedule_next.
THREADS_THAT_WAIT = """
    WITH thread(integration_id, thread_id) AS (VALUES {rows})
    SELECT integration_id, thread_id FROM thread WHERE (
        SELECT id FROM integrations_delivery AS delivery WHERE state = 'pending'
        AND delivery.integration_id = thread.integration_id AND delivery.thread_id = thread.thread_id LIMIT 1
    ) IS NOT NULL
"""

MARK_DECIDED = """
    WITH decided(id, activity, why_not) AS (VALUES {rows})
    UPDATE integrations_event AS event
    SET activity = decided.activity, why_not = decided.why_not, awaits_decision = false
    FROM decided WHERE event.id = decided.id
"""


def origins_awaiting_decision(after: int, limit: int) -> list[int]:
    """The ids of origins with events to decide: of those with a higher id than `after`, the first `limit`."""
    return [origin for (origin,) in _rows(ORIGINS_AWAITING, [after, limit])]


def first_awaiting_decision(limits: Mapping[int, int]) -> list[tuple[int, int]]:
    """The id and the body size, in bytes, of the events to decide first, by id.

    `limits` has the id of each origin, and how many of its events are wanted.
    """
    statement = " UNION ALL ".join([FIRST_OF_ORIGIN] * len(limits))
    return sorted(_rows(statement, [each for limit in limits.items() for each in limit])) if limits else []


def threads_that_wait(threads: Sequence[tuple[int, str]]) -> list[tuple[int, str]]:
    """Those of these threads, as integration id and thread id, that have a pending delivery, scheduled or not."""
    return _rows(*_with_rows(THREADS_THAT_WAIT, threads, ("bigint", "text"))) if threads else []


def mark_decided(decided: Sequence[tuple[int, Any, str]]) -> None:
    """Store what was decided: the id of each event, its activity as a JSONField stores it, and why it is not posted."""
    with connection.cursor() as cursor:
        cursor.execute(*_with_rows(MARK_DECIDED, decided, ("bigint", "jsonb", "text")))


def insert_event(values: Mapping[str, Any]) -> int | None:
    """Insert an event with these values of its columns; the id. None if a unique constraint has it stored already.

    On PostgreSQL the statement also notifies the workers.
    """
    rows = _rows(_insert_event(tuple(values), connection.vendor), list(values.values()))
    return rows[0][0] if rows else None


@functools.cache
def _insert_event(columns: Iterable[str], vendor: str) -> str:
    columns = list(columns)
    insert = (
        f"INSERT INTO integrations_event ({', '.join(columns)}) VALUES ({', '.join(['%s'] * len(columns))})"
        " ON CONFLICT DO NOTHING RETURNING id"
    )
    if vendor != "postgresql":
        return insert
    return f"WITH stored AS ({insert}) SELECT id, pg_notify('{CHANNEL}', '') FROM stored"


def _with_rows(statement: str, rows: Sequence[tuple[Any, ...]], types: Sequence[str]) -> tuple[str, list[Any]]:
    """The statement with a list of VALUES, and its parameters. Only PostgreSQL has to be told their types."""
    typed = connection.vendor == "postgresql"
    row = ", ".join(f"CAST(%s AS {each})" if typed else "%s" for each in types)
    values = ", ".join([f"({row})"] * len(rows))
    return statement.format(rows=values), [value for each in rows for value in each]


def _rows(statement: str, parameters: Sequence[Any]) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return list(cursor.fetchall())
