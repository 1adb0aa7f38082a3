"""A past that could slow the bridge down: ended deliveries of many integrations, written by the database itself.

`python -m bench.past DELIVERIES INTEGRATIONS`
"""

from __future__ import annotations

import json
import os
import sys

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flowdock_bridge.settings")
django.setup()

# ruff: noqa: E402  models can be imported only now

from django.db import connection
from django.utils import timezone

from integrations.activity import Activity, Author, Thread
from integrations.models import Delivery, Event, Integration, Origin

DAYS = 29


def make_past(count: int, integrations: int) -> None:
    Origin.objects.bulk_create(Origin(service="github", name=f"past/{number}") for number in range(integrations))
    origins = Origin.objects.filter(name__startswith="past/").order_by("pk")
    Integration.objects.bulk_create(
        Integration(
            origin=origin,
            name=origin.name,
            flow_token="past",
            flowdock_id=10_000_000 + origin.pk,
            flow_id=f"past:{origin.pk}",
            first_event_at=timezone.now(),
        )
        for origin in origins
    )
    first_origin = origins.values_list("pk", flat=True)[0]
    first_integration = Integration.objects.filter(origin=first_origin).values_list("pk", flat=True)[0]
    last = Event.objects.order_by("pk").values_list("pk", flat=True).last() or 0
    # Evenly over the time for which events are kept, so that the last day has its share only.
    ago = f"({count} - i) * {DAYS * 24 * 3600 / count}"
    if connection.vendor == "postgresql":
        random, identifier, empty = "md5(random()::text)", "gen_random_uuid()", "''"
        then = f"now() - make_interval(secs => {ago})"
    else:
        random = identifier = "lower(hex(randomblob(16)))"
        then, empty = f"datetime('now', '-' || ({ago}) || ' seconds')", "x''"
    activity = Activity(Author("Lea Cohen"), "opened issue", "issue:1", Thread("It breaks"))
    numbers = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {int(count)})"
    events, deliveries = Event._meta.db_table, Delivery._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {events} (id, origin_id, request_id, received_at, headers, body, kind, action, actor,"
            f" summary, subject, activity, why_not, thread_id) {numbers} SELECT {last} + i,"
            f" {first_origin} + i %% {integrations}, {random}, {then}, '{{}}', {empty}, 'issues', 'opened',"
            f" 'lea', 'Lea Cohen opened issue', 'It breaks', %s, '', 'issue:' || (i %% 1000) FROM n",
            [json.dumps(activity.as_json())],
        )
        last_delivery = Delivery.objects.order_by("pk").values_list("pk", flat=True).last() or 0
        cursor.execute(
            f"INSERT INTO {deliveries} (id, event_id, integration_id, state, reason, rule, thread_id, uuid, created_at,"
            f" next_attempt_at, attempts, delivered_at, flowdock_thread_id) {numbers} SELECT {last_delivery} + i,"
            f" {last} + i, {first_integration} + i % {integrations}, 'delivered', '', '', 'issue:' || (i % 1000),"
            f" {identifier}, {then}, NULL, '[]', {then}, '' FROM n"
        )
        if connection.vendor == "postgresql":
            for table in (events, deliveries):
                # The ids above are not the sequences', and the statistics are those of the past.
                cursor.execute(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT max(id) FROM {table}))")
            cursor.execute("ANALYZE")


make_past(int(sys.argv[1]), int(sys.argv[2]))
