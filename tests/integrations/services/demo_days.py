"""The threads of a demonstration's day, with their state after each event, as ingest.py combines them."""

from __future__ import annotations

from collections import defaultdict

from integrations.activity import Activity, Thread
from integrations.services import SERVICES

from .recorded import CHECKOUT, recorded

Day = dict[str, list[tuple[Activity, Thread]]]


def threads_of(service: str) -> Day:
    """The activities of each thread in `demo/<service>`, with the thread's full state after each."""
    threads: Day = defaultdict(list)
    for each in recorded(SERVICES[service], CHECKOUT / "demo" / service):
        if activity := each.read().activity:
            activities = threads[activity.thread_id]
            activities.append((activity, activity.thread.over(activities[-1][1]) if activities else activity.thread))
    return threads


def statuses(day: Day, thread_id: str) -> list[str]:
    """The statuses in the order in which a reader sees them."""
    seen = [thread.status.value if thread.status else "" for _, thread in day[thread_id]]
    return [status for index, status in enumerate(seen) if index == 0 or status != seen[index - 1]]


def fields(thread: Thread) -> dict[str, str]:
    return {field.label: field.value for field in thread.fields}
