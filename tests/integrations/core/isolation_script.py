"""Run by test_isolation.py in a process of its own: posts for integrations in trouble, and for a healthy one."""

from __future__ import annotations

import contextlib
import json
import sys
import time

import django

django.setup()

# ruff: noqa: E402  models can be imported only now

from cryptography.fernet import Fernet
from django.db import connection, transaction

from integrations import ingest
from integrations.activity import Activity, Author, Thread
from integrations.deciding import decide_first
from integrations.models import Integration, Origin

HEALTHY = "healthy"
LOCKED = "a token that no key opens"
UNREADABLE = "an activity that cannot be read"


def post(name: str, title: str) -> None:
    origin = Origin.objects.get(name=name)
    with transaction.atomic():
        accepted = ingest.post(origin, Activity(Author("Lea"), title, f"thread {title}", Thread(title)))
        if name == UNREADABLE:
            decide_first([origin.pk], limit=1000)
            with connection.cursor() as cursor:
                # JSON allows such a number, and Python refuses to read it.
                cursor.execute(
                    "UPDATE integrations_event SET activity = %s WHERE id = %s", [f"[{'7' * 5000}]", accepted.event.pk]
                )


def connect(names: list[str]) -> None:
    for name in names:
        origin = Origin.objects.create(service="github", name=name)
        Integration.objects.create(origin=origin, name=name, flow_token=name)
    token = Fernet(Fernet.generate_key()).encrypt(LOCKED.encode()).decode()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE integrations_integration SET flow_token = %s WHERE name = %s", [token, LOCKED])


def fill(names: list[str], threads: int) -> None:
    for number in range(threads):
        for name in names:
            post(name, f"old {number}")


def drip(names: list[str], count: int, pause: float) -> dict[str, float]:
    """Post `count` activities of the healthy one, each with one of a troubled one before it: when each was posted."""
    posted = {}
    for number in range(count):
        with contextlib.suppress(ingest.NotConnected):  # removed meanwhile: its trouble is a 410
            post(names[number % len(names)], f"new {number}")
        title = str(number)
        posted[title] = time.time()
        post(HEALTHY, title)
        time.sleep(pause)
    return posted


def shown() -> dict[str, dict[str, object]]:
    return {
        integration.name: {
            "problem": integration.problem,
            "is_removed": integration.removed_at is not None,
            "states": sorted(set(integration.deliveries.values_list("state", flat=True))),
        }
        for integration in Integration.objects.all()
    }


def main(what: str, *arguments: str) -> object:
    names = arguments[0].split("|") if arguments else []
    match what:
        case "connect":
            connect(names)
            return None
        case "fill":
            fill(names, int(arguments[1]))
            return None
        case "drip":
            return drip(names, int(arguments[1]), float(arguments[2]))
        case "shown":
            return shown()
    raise SystemExit(f"unknown: {what}")


print(json.dumps(main(*sys.argv[1:])))
