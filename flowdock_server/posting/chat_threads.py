"""The threads of the chat. Every message belongs to one, but a message without replies needs no row for its thread.

The id of a chat thread is derived from the flow and the number of its first message, so starting a
thread costs no query, and older messages have threads too. The first reply stores the thread with this id. So a message
without a stored thread either belongs to none (an action, a tag-change or a message-edit) or is alone in its own.
"""

from __future__ import annotations

import binascii
import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from functools import lru_cache
from html import escape
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Count, Max, QuerySet

from flowdock_server.models import Flow, Message, Thread
from flowdock_server.models.messages import MessageQuerySet
from flowdock_server.parsing.numbers import LARGEST
from flowdock_server.secrets.tokens import THREAD_ID_LENGTH

# What happened, rather than what somebody said: it belongs to no thread, and nobody can reply to it.
WITHOUT_THREAD = (Message.Event.ACTION, Message.Event.TAG_CHANGE, Message.Event.MESSAGE_EDIT)
TITLE = 200  # characters of its first message that a thread is called by
BATCH = 1000


def thread_id(flow_id: UUID, number: int) -> str:
    """The id of the thread that the flow's message `number` starts."""
    return urlsafe_b64encode(_prefix(flow_id) + number.to_bytes(8)).decode().rstrip("=")


def first_number_of(thread_id_: str, flow_id: UUID) -> int | None:
    """The number of the message that starts the thread; None if `thread_id` did not create the id for this flow."""
    try:
        decoded = urlsafe_b64decode(thread_id_ + "=")
    except (binascii.Error, ValueError):
        return None
    number = int.from_bytes(decoded[12:])
    # 27 characters have two bits more than 20 bytes.
    return number if number < LARGEST and thread_id(flow_id, number) == thread_id_ else None


@lru_cache(maxsize=1000)
def _prefix(flow_id: UUID) -> bytes:
    return hashlib.sha256(b"conversation " + flow_id.bytes).digest()[:12]


def title_of(message: Message) -> str:
    """The title of the thread that `message` starts, as HTML. For a file it needs the message's `attachments`."""
    text = message.content
    if message.event == Message.Event.FILE:
        text = ", ".join(attachment.file_name for attachment in message.attachments.all())
    return escape(text[: TITLE - 1] + "…" if len(text) > TITLE else text, quote=False)


def thread_of_one(message: Message) -> Thread:
    """The thread of a message that nobody has replied to, as the API shows it. It is not stored."""
    return Thread(
        id=thread_id(message.flow_id, message.number),
        flow_id=message.flow_id,
        title=title_of(message),
        initial_number=message.number,
        last_number=message.number,
        internal_comments=1,
        created_at=message.created_at,
        updated_at=message.created_at,
    )


def without_replies(flow: Flow) -> MessageQuerySet:
    """The flow's messages that are alone in their thread."""
    # NOT IN, since SQLite would begin from an index by the event, and then sort what it finds.
    return Message.objects.filter(flow=flow, thread=None).exclude(event__in=WITHOUT_THREAD)


def find(flow: Flow, thread_id_: str, stored: QuerySet[Thread] | None = None) -> Thread | None:
    """A thread of `flow`, from `stored` (by default all its threads), or the thread of a message without replies."""
    stored = flow.threads.all() if stored is None else stored.filter(flow=flow)
    if thread := stored.filter(pk=thread_id_).first():
        return thread
    if (message := _first_message(flow, thread_id_)) is None:
        return None
    return stored.filter(pk=message.thread_id).first() if message.thread_id else thread_of_one(message)


def find_or_store(flow: Flow, thread_id_: str) -> Thread | None:
    """Like `find`, for a reply: stores the thread if this is its first reply. Call it after `_next_number`."""
    if thread := flow.threads.filter(pk=thread_id_).first():
        return thread
    message = _first_message(flow, thread_id_)
    return store_thread_of(message) if message else None


def store_thread_of(message: Message) -> Thread:
    """The thread of `message`, stored for a reply. Load `thread` before, and call it after `_next_number`."""
    if message.thread is None:
        thread = thread_of_one(message)
        thread.last_event, thread.last_author, thread.last_title = message.event, message.speaker[:255], thread.title
        thread.save(force_insert=True)
        message.thread = thread
        message.save(update_fields=["thread"])
    return message.thread


def _first_message(flow: Flow, thread_id_: str) -> Message | None:
    number = first_number_of(thread_id_, flow.pk) if len(thread_id_) == THREAD_ID_LENGTH else None
    if number is None:
        return None
    found = flow.messages.exclude(event__in=WITHOUT_THREAD).select_related("thread", "user")
    return found.filter(number=number).first()


def store_threads_of_comments(flow: Flow) -> int:
    """Store the threads of messages that have comments but no thread, as in a file of an older version.

    Returns how many threads were stored.
    """
    comments = Message.objects.filter(flow=flow, event="comment", thread=None, parent__thread=None)
    found = comments.exclude(parent=None).order_by().values_list("parent", flat=True).distinct()
    parents = [key for key in found if key is not None]
    table = connection.ops.quote_name(Message._meta.db_table)
    for start in range(0, len(parents), BATCH):
        with transaction.atomic():
            threads = dict(_threads_of(parents[start : start + BATCH]))
            Thread.objects.bulk_create(threads.values())
            with connection.cursor() as cursor:
                ids = [(thread.id, key) for key, thread in threads.items()]
                for column in ("id", "parent_id"):
                    # One statement with many parameters: bulk_update writes a CASE with a branch for each row. An
                    # expression, so that SQLite does not look for the comments among all that are in no thread.
                    cursor.executemany(
                        f"UPDATE {table} SET thread_id = %s WHERE {column} = %s AND COALESCE(thread_id, '') = ''",  # noqa: S608
                        ids,
                    )
    return len(parents)


def _threads_of(keys: list[int]) -> Iterator[tuple[int, Thread]]:
    """For each of the messages `keys`, its key and its thread, whose counters include the comments."""
    counted = Message.objects.filter(parent__in=keys, event="comment", thread=None).order_by().values("parent")
    by_parent = {row["parent"]: row for row in counted.annotate(count=Count("pk"), last=Max("number"))}
    last_ones = Message.objects.filter(parent__in=keys, number__in={row["last"] for row in by_parent.values()})
    last_of = {(last.parent_id, last.number): last for last in last_ones.select_related("user")}
    for message in Message.objects.filter(pk__in=keys).prefetch_related("attachments"):
        counts = by_parent[message.pk]
        last = last_of[message.pk, counts["last"]]
        thread = Thread(
            id=thread_id(message.flow_id, message.number),
            flow_id=message.flow_id,
            title=title_of(message),
            initial_number=message.number,
            last_number=last.number,
            internal_comments=1 + counts["count"],
            last_event=last.event,
            last_author=(last.external_user_name or (last.user.name if last.user else ""))[:255],
            last_title=last.content,
            created_at=message.created_at,
            updated_at=last.created_at,
        )
        yield message.pk, thread
