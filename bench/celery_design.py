"""What many would build instead: a Django view that stores the event and queues a Celery task, which posts it.

The view is the bare view, with a task for each event. The task posts with `requests`, one session for each process, and
stores the outcome. The worker is `celery -A bench.celery_design worker`. CELERY_BROKER is the broker's address,
FLOWDOCK_API_URL that of the receiver.
"""

from __future__ import annotations

import functools
import os

import requests
from celery import Celery
from django.db import transaction
from django.utils import timezone

from bench import bare

app = Celery("celery_design", broker=os.environ["CELERY_BROKER"])
# A task is lost neither with its worker nor in what a process has prefetched.
app.conf.update(task_acks_late=True, task_ignore_result=True, broker_connection_retry_on_startup=True)


@functools.cache
def session() -> requests.Session:
    made = requests.Session()
    made.trust_env = False
    return made


@app.task(autoretry_for=(requests.RequestException,), retry_backoff=True, max_retries=10)
def deliver(pk: int) -> None:
    delivery = bare.Delivery.objects.select_related("event").get(pk=pk)
    activity = {
        "event": "activity",
        "author": {"name": "Lea Cohen"},
        "title": "opened the issue",
        "external_thread_id": f"issue:{delivery.event_id}",
        "thread": {"title": delivery.event.title, "status": {"value": "open", "color": "green"}},
    }
    address = f"{os.environ['FLOWDOCK_API_URL']}/activities"
    session().post(address, json=activity, timeout=10).raise_for_status()
    delivery.state, delivery.next_attempt_at = "delivered", timezone.now()
    delivery.save(update_fields=["state", "next_attempt_at"])


def queue(delivery: bare.Delivery) -> None:
    transaction.on_commit(functools.partial(deliver.delay, delivery.pk))


bare.on_stored = queue
application = bare.application
