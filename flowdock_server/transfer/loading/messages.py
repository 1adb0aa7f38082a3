"""Messages, with their tags, the links between them, and their entries in the search index."""

from __future__ import annotations

from django.db import transaction

from flowdock_server.models import Flow, Message, Tag
from flowdock_server.posting import search
from flowdock_server.transfer import InvalidArchive, untrusted_json
from flowdock_server.transfer.record_types import MESSAGE, Record

from .batches import Batch
from .context import ImportContext


class MessageBatch(Batch):
    """Messages by their numbers; `_parents` maps those of comments to those of the messages they comment on."""

    type_name = MESSAGE.name

    def __init__(self, context: ImportContext) -> None:
        super().__init__(context)
        self._messages: dict[int, Message] = {}
        self._parents: dict[int, int] = {}

    def _parse(self, record: Record) -> None:
        values = MESSAGE.values(
            record,
            {
                "thread": self.context.optional_thread_id,
                "source": self.context.optional_source,
                "user": self.context.optional_user,
                "parent": lambda number: None,  # it may be in this batch: see _link_parents
            },
        )
        number = values["number"]
        if number < 1:
            raise InvalidArchive("message.number must be at least 1")
        values["tags"] = [self.context.tag(tag) for tag in values.get("tags", [])]
        self._parents.pop(number, None)
        if record.get("parent") is not None:
            self._parents[number] = untrusted_json.number(record["parent"], "message.parent")
        self._messages[number] = Message(flow=self.context.flow, **values)

    @transaction.atomic
    def _store(self) -> None:
        messages, parents = self._messages, self._parents
        self._messages, self._parents = {}, {}
        flow = self.context.flow
        # Posts to the flow wait until this is stored, and then get numbers after it.
        Flow.objects.select_for_update().get(pk=flow.pk)
        existing = {message.number: message for message in flow.messages.filter(number__in=messages)}
        self._check(messages, existing)
        new = [message for number, message in messages.items() if number not in existing]
        Message.objects.bulk_create(new)
        edited = _update_edited(messages, existing)
        _update_replied(messages, existing)
        self._link_parents(new, parents)
        _store_tags([*new, *edited])
        search.add([*new, *edited])
        highest = max(messages)
        Flow.objects.filter(pk=flow.pk, last_number__lt=highest).update(last_number=highest)
        self.context.created[MESSAGE.name] += len(new)

    def _check(self, messages: dict[int, Message], existing: dict[int, Message]) -> None:
        """Raises InvalidArchive for a thread that is not in the flow, and for another message of the same number."""
        threads = {message.thread_id for message in messages.values() if message.thread_id}
        known = set(self.context.flow.threads.filter(pk__in=threads).values_list("pk", flat=True))
        for number, message in messages.items():
            if message.thread_id and message.thread_id not in known:
                raise InvalidArchive(f"message {number} refers to a thread that no earlier line defines")
            here = existing.get(number)
            if here and (here.event, here.created_at) != (message.event, message.created_at):
                raise InvalidArchive(
                    f"message {number} differs from message {number} of the flow here. The file is of another flow: "
                    "choose a different address with --into"
                )

    def _link_parents(self, new: list[Message], parents: dict[int, int]) -> None:
        numbers = {parents[message.number] for message in new if message.number in parents}
        pks = dict(self.context.flow.messages.filter(number__in=numbers).values_list("number", "pk"))
        comments = [message for message in new if parents.get(message.number) in pks]
        for comment in comments:
            comment.parent_id = pks[parents[comment.number]]
        Message.objects.bulk_update(comments, ["parent"])


def _update_edited(messages: dict[int, Message], existing: dict[int, Message]) -> list[Message]:
    """Store the messages that were edited later in the file than here, and return them."""
    edited = []
    for number, here in existing.items():
        message = messages[number]
        if message.edited_at and (here.edited_at is None or message.edited_at > here.edited_at):
            message.pk = here.pk
            edited.append(message)
    Message.objects.bulk_update(edited, ["content", "data", "tags", "edited_at"])
    Tag.objects.filter(message__in=edited).delete()
    return edited


def _update_replied(messages: dict[int, Message], existing: dict[int, Message]) -> None:
    """Store the threads of messages that had no reply when they were imported, and so no thread."""
    replied = [here for number, here in existing.items() if here.thread_id is None and messages[number].thread_id]
    for here in replied:
        here.thread_id = messages[here.number].thread_id
    Message.objects.bulk_update(replied, ["thread"])


def _store_tags(messages: list[Message]) -> None:
    Tag.objects.bulk_create(
        Tag(message=message, name=name)
        for message in messages
        for name in sorted({tag.lower()[:100] for tag in message.tags})
    )
