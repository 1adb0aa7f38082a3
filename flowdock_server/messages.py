"""The one way a message enters a flow."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from django.db import connection, transaction
from django.utils import timezone

from flowdock_server.drafts import BLANK, Draft, Rejected
from flowdock_server.live import Note, hub
from flowdock_server.models import Flow, Message, Source, Tag, Thread, User
from flowdock_server.tokens import THREAD_ID_LENGTH


def post(
    draft: Draft, *, flow: Flow, source: Source | None = None, user: User | None = None, thread: Thread | None = None
) -> Message:
    """Store `draft`, bring its thread to the new state, and tell the pages that are open on the flow.

    A message is said by a `source` or by a `user`. `thread` is the one it goes to where the caller knows it (the
    thread's own page or address); else the draft's thread ids decide, and a new key of an integration makes a thread.
    The same `uuid` from the same source or user again is the same message: the first is returned and nothing
    changes. Numbers grow in the order of commits. Raises Rejected.
    """
    draft.check()
    with _turn(), transaction.atomic():
        # Posts to one flow take turns from here on, so nobody else can take the number, the thread's key or the uuid.
        number = 1 + Flow.objects.select_for_update().values_list("last_number", flat=True).get(pk=flow.pk)
        if draft.uuid and (first := _posted_before(draft.uuid, flow, source, user)):
            return first
        now = _now()
        parent = _parent(draft, flow)
        if thread:
            # As it is now that it is our turn, and not as the caller saw it.
            thread = flow.threads.get(pk=thread.pk)
        else:
            thread = parent.thread if parent and parent.thread else _find_thread(draft, flow, source)
        if draft.thread or draft.belongs_in_inbox or draft.external_thread_id:
            thread = _bring_up_to_date(thread, draft, flow, source, number, now)
        message = Message(
            flow=flow,
            number=number,
            thread=thread,
            parent=parent,
            source=source,
            user=user,
            event=draft.event,
            title=draft.title,
            body=draft.body,
            content=draft.content,
            author_name=draft.author.name if draft.author else "",
            author_email=draft.author.email if draft.author else "",
            author_avatar=draft.author.avatar if draft.author else "",
            external_user_name=draft.external_user_name,
            tags=[*draft.tags, *([f"influx:{parent.number}"] if parent else [])],
            uuid=draft.uuid or None,
            created_at=now,
        )
        if thread:
            _count(thread, message)
        message.save(force_insert=True)
        if names := {tag.lower() for tag in message.tags}:
            Tag.objects.bulk_create(Tag(message=message, name=name) for name in sorted(names))
        Flow.objects.filter(pk=flow.pk).update(last_number=number)
        note = Note(flow.pk, "message", number, thread.pk if thread else None)
        transaction.on_commit(lambda: hub.publish(note))
    return message


_waiting = threading.Lock()


@contextmanager
def _turn() -> Iterator[None]:
    """One post at a time on SQLite, which has one writer anyhow.

    Those who wait for its lock sleep longer and longer while others go first; those who wait for ours are woken.
    Inside a transaction that has SQLite's lock already, waiting for ours would be waiting for each other.
    """
    if connection.vendor != "sqlite" or connection.in_atomic_block:
        yield
    else:
        with _waiting:
            yield


def _now() -> datetime:
    """To the millisecond, which is all that the API can say."""
    now = timezone.now()
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def _posted_before(uuid: str, flow: Flow, source: Source | None, user: User | None) -> Message | None:
    poster = {"source": source} if source else {"source": None, "user": user}
    return flow.messages.filter(uuid=uuid, **poster).first()


def _parent(draft: Draft, flow: Flow) -> Message | None:
    """The message that a comment is about."""
    if draft.event != "comment":
        return None
    parent = flow.messages.select_related("thread").filter(number=draft.message).first()
    if parent is None or parent.event == Message.Event.COMMENT:
        raise Rejected({"message": ["must be a message of this flow and no comment"]})
    return parent


def _find_thread(draft: Draft, flow: Flow, source: Source | None) -> Thread | None:
    """By Flowdock's id, else by the poster's own key, for which October 2014's clients said `thread_id` too."""
    thread = None
    if len(draft.thread_id) == THREAD_ID_LENGTH:
        thread = flow.threads.filter(pk=draft.thread_id).first()
    if thread is None:
        key = draft.external_thread_id or draft.thread_id
        if key and not (draft.external_thread_id or draft.belongs_in_inbox):
            raise Rejected({"thread_id": ["is no thread of this flow"]})
        thread = flow.threads.filter(source=source, external_thread_id=key).first() if key else None
    if thread and source and thread.source_id == source.pk:
        thread.source = source
    return thread


def _bring_up_to_date(
    thread: Thread | None, draft: Draft, flow: Flow, source: Source | None, number: int, now: datetime
) -> Thread:
    """The thread in the state that the draft tells; a new one for a key that was not seen before."""
    state = draft.thread
    if thread is None:
        key = draft.external_thread_id or draft.thread_id
        errors = {name: [BLANK] for name, value in (("external_thread_id", key), ("thread", state)) if not value}
        if errors:
            raise Rejected(errors)
        thread = Thread(
            flow=flow,
            source=source,
            external_thread_id=key,
            initial_number=number,
            created_at=now,
        )
    elif state and thread.source_id != (source.pk if source else None):
        raise Rejected({"thread": ["belongs to another source, which alone may change it"]})
    if state:
        thread.title, thread.body, thread.external_url = state.title, state.body, state.external_url
        thread.status_value = state.status.value if state.status else ""
        thread.status_color = state.status.color if state.status else ""
        thread.fields = [field.model_dump() for field in state.fields]
        thread.actions = state.actions
    return thread


def _count(thread: Thread, message: Message) -> None:
    """What the inbox's list says of the thread, which it reads from the thread alone."""
    if message.event == Message.Event.ACTIVITY:
        thread.activities += 1
    elif message.event == Message.Event.DISCUSSION:
        thread.external_comments += 1
    else:
        thread.internal_comments += 1
    thread.empty = False
    thread.last_number = message.number
    thread.last_event = message.event
    thread.last_author = message.speaker[:255]
    thread.last_title = message.title if message.by_integration else message.content
    thread.updated_at = message.created_at
    thread.save()
