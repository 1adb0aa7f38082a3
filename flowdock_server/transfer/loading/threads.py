"""Threads, and what people marked in them as read or done."""

from __future__ import annotations

from django.db import transaction

from flowdock_server.models import Thread, ThreadMark
from flowdock_server.transfer import InvalidArchive
from flowdock_server.transfer.record_types import THREAD, THREAD_MARK, Record, is_action

from .batches import Batch
from .context import ImportContext, raise_undefined


class ThreadBatch(Batch):
    type_name = THREAD.name

    def __init__(self, context: ImportContext) -> None:
        super().__init__(context)
        self._threads: list[Thread] = []

    def _parse(self, record: Record) -> None:
        values = THREAD.values(record, {"id": self.context.thread_id, "source": self.context.optional_source})
        values["actions"] = [action for action in values.get("actions", []) if is_action(action)]
        self._threads.append(Thread(flow=self.context.flow, **values))

    @transaction.atomic
    def _store(self) -> None:
        threads, self._threads = self._threads, []
        existing = Thread.objects.in_bulk([thread.pk for thread in threads])
        for thread in existing.values():
            if thread.flow_id != self.context.flow.pk:
                raise InvalidArchive(f"thread {thread.pk} belongs to another flow")
        new = [thread for thread in threads if thread.pk not in existing]
        changed = [
            thread for thread in threads
            if thread.pk in existing and thread.updated_at > existing[thread.pk].updated_at
        ]  # fmt: skip
        Thread.objects.bulk_create(new)
        Thread.objects.bulk_update(changed, [each.name for each in THREAD.fields if each.name not in ("id", "source")])
        self.context.created[THREAD.name] += len(new)


def load_thread_mark(record: Record, context: ImportContext) -> None:
    values = THREAD_MARK.values(record, {"user": context.user, "thread": context.thread_id})
    lookup = {"user_id": values.pop("user_id"), "thread_id": values.pop("thread_id")}
    if not context.flow.threads.filter(pk=lookup["thread_id"]).exists():
        raise_undefined("thread", record["thread"])
    context.created[THREAD_MARK.name] += ThreadMark.objects.get_or_create(**lookup, defaults=values)[1]
