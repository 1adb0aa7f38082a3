"""A demonstration's day as ingest tells it: event laid over event, thread by thread."""

from __future__ import annotations

from collections import defaultdict

from integrations.activity import Activity, Thread
from integrations.services import SERVICES

from .recorded import CHECKOUT, recorded

Day = dict[str, list[tuple[Activity, Thread]]]


def laid(service: str) -> Day:
    """The activities of each thread in `demo/<service>`, with the thread's whole state after each."""
    threads: Day = defaultdict(list)
    for each in recorded(SERVICES[service], CHECKOUT / "demo" / service):
        if activity := each.read().activity:
            told = threads[activity.thread_id]
            told.append((activity, activity.thread.over(told[-1][1]) if told else activity.thread))
    return threads


def statuses(day: Day, thread_id: str) -> list[str]:
    """The statuses that a reader sees one after the other."""
    seen = [thread.status.value if thread.status else "" for _, thread in day[thread_id]]
    return [status for index, status in enumerate(seen) if index == 0 or status != seen[index - 1]]


def fields(thread: Thread) -> dict[str, str]:
    return {field.label: field.value for field in thread.fields}
