"""Storing, changing and deleting messages of flows. Except for imports, no other module stores messages."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.utils import timezone

from flowdock_server.live import Broadcast, hub
from flowdock_server.models import Attachment, Flow, Message, PrivateMessage, Source, Thread, User
from flowdock_server.posting import chat_threads, files, search, tagging
from flowdock_server.posting.chat_threads import WITHOUT_THREAD
from flowdock_server.posting.drafts import BLANK, Draft, Refused, Rejected, check_content
from flowdock_server.posting.tagging import People
from flowdock_server.secrets.tokens import THREAD_ID_LENGTH

Event = Message.Event

NO_THREAD = "is not a thread of this flow"
# Tags that state a fact: nobody can add or remove one.
_FACTS = (":file", ":source:", "influx:")


def post(
    draft: Draft, *, flow: Flow, source: Source | None = None, user: User | None = None, thread: Thread | None = None
) -> Message:
    """Store `draft`, update its thread, and notify the open pages and streams of the flow.

    The author is a `source` or a `user`, or neither if the flow's API token was used. `thread` is given if the URL
    names it; otherwise the draft's thread ids decide, and an unknown key of a source creates a thread. A message
    without a thread starts one of its own, which its first reply stores (`flowdock_server.posting.chat_threads`). If
    the same source or user has already posted the same `uuid`, that message is returned and nothing changes. Numbers
    increase in the order of commits. Raises Rejected, and Refused if the flow is archived.
    """
    draft.check()
    if draft.event == "status" and (user is None or draft.external_user_name):
        raise Rejected({"event": ["can only be posted by a person"]})
    with files.stored(_uploads(draft), flow, user) as attachments, one_at_a_time(), transaction.atomic():
        number = _next_number(flow)
        if draft.uuid and (first := _posted_before(draft.uuid, flow, source, user)):
            return first
        moment = now()
        parent = _parent(draft, flow)
        if thread:
            # Loaded again, since other posts may have changed it before this one's turn.
            thread = chat_threads.find_or_store(flow, thread.pk)
            if thread is None:
                raise Rejected({"thread_id": [NO_THREAD]})
        elif draft.event != "status":
            thread = chat_threads.store_thread_of(parent) if parent else _find_thread(draft, flow, source)
        names_thread = draft.thread or draft.belongs_in_inbox or draft.external_thread_id
        if names_thread and draft.event != "status":
            thread = _updated_thread(thread, draft, flow, source, number, moment)
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
            content=draft.content if draft.is_spoken else "",
            data=draft.data,
            author_name=draft.author.name if draft.author else "",
            author_email=draft.author.email if draft.author else "",
            author_avatar=draft.author.avatar if draft.author else "",
            external_user_name=draft.external_user_name or _name_of(source, draft),
            tags=_tags(draft, flow, user, parent, attachments),
            uuid=draft.uuid or None,
            created_at=moment,
        )
        if thread:
            _count_message(thread, message, attachments)
        _store(message, attachments)
        if draft.event == "status" and user:
            User.objects.filter(pk=user.pk).update(status=message.content)
    return message


def set_status(content: str, *, flow: Flow, user: User) -> None:
    """Post what `user` is up to, which is shown beside their name; an empty text clears it. Raises as `post` does."""
    if not content:
        User.objects.filter(pk=user.pk).update(status="")
    elif content != user.status:
        post(Draft(event="status", content=content), flow=flow, user=user)


def record(flow: Flow, event: str, data: dict[str, Any], user: User | None) -> Message:
    """Store an event of the flow: an "action" {"type", "description"}, a "tag-change" or a "message-edit"."""
    with one_at_a_time(), transaction.atomic():
        message = Message(
            flow=flow,
            number=_next_number(flow, also_archived=True),
            event=event,
            data=data,
            user=user,
            created_at=now(),
        )
        _store(message)
    return message


def edit(message: Message, user: User, *, content: str | None = None, tags: Iterable[str] | None = None) -> None:
    """Change the content of `message`, as only its author may, and its tags, as any member of the flow may.

    `tags` is the whole new list. The former content is not kept; the events "message-edit" and "tag-change" record
    the change. Raises Rejected, Refused, and Http404 if the message was deleted in the meantime.
    """
    with one_at_a_time(), transaction.atomic():
        _next_number(message.flow)  # waits for other changes to the flow
        message = get_object_or_404(_reloaded(message))
        new_tags = message.tags
        people = People.of(message.flow)
        if content is not None:
            if not message.may_be_edited_by(user):
                raise Refused("You can only edit your own chat messages and comments")
            check_content(content)
            new_tags = tags_after_edit(message, content, people)
        if tags is not None:
            facts = [tag for tag in message.tags if is_fact(tag)]
            new_tags = tagging.unique([*editable(tagging.stored_form(tags, people, user.pk)), *facts])
        if content is not None and content != message.content:
            _change_content(message, content, user)
        if new_tags != message.tags:
            _change_tags(message, new_tags, user)


def delete(message: Message, user: User) -> bool:
    """Remove `message`; a user's own chat message, which may have replies, is emptied. Returns whether it was removed.

    Any member of the flow may remove messages of the inbox. Raises Refused.
    """
    with one_at_a_time(), transaction.atomic():
        _next_number(message.flow)
        present = _reloaded(message).first()
        if present is None:  # an identical request was faster
            return True
        message = present
        if message.may_be_removed_by(user):
            _remove(message)
            return True
        if not message.may_be_edited_by(user):
            raise Refused("You can only delete your own messages and files, and messages in the inbox")
        tags = tags_after_edit(message, "", People.of(message.flow))
        if message.content:
            _change_content(message, "", user)
        if tags != message.tags:
            _change_tags(message, tags, user)
        return False


def _reloaded(message: Message) -> QuerySet[Message]:
    """The message as it is stored now; empty if it was deleted since it was loaded."""
    return Message.objects.select_related("flow", "thread").filter(pk=message.pk)


_sqlite_turn = threading.Lock()


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Lets one thread post at a time on SQLite, which has a single writer.

    Threads that wait for SQLite's own lock poll it at growing intervals, while others overtake them; threads that wait
    for this lock are woken in turn. A transaction that already has SQLite's lock must not wait for this one, since
    that would be a deadlock.
    """
    if connection.vendor != "sqlite" or connection.in_atomic_block:
        yield
    else:
        with _sqlite_turn:
            yield


def _next_number(flow: Flow, *, also_archived: bool = False) -> int:
    """The next number of the flow. Until the commit, no other post can take it, or a thread's key or a uuid."""
    last, archived = Flow.objects.select_for_update().values_list("last_number", "disabled").get(pk=flow.pk)
    if archived and not also_archived:
        raise Refused("This flow is archived and read-only")
    return last + 1


def now() -> datetime:
    """The current time in milliseconds, the precision of the API."""
    moment = timezone.now()
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _uploads(draft: Draft) -> list[files.Upload]:
    if draft.event == "file":
        return [files.Upload.read(draft.content, "content")]
    return files.parse_attachments(draft.attachments)


def _posted_before(uuid: str, flow: Flow, source: Source | None, user: User | None) -> Message | None:
    poster = {"source": source} if source else {"source": None, "user": user}
    return flow.messages.filter(uuid=uuid, **poster).first()


def _name_of(source: Source | None, draft: Draft) -> str:
    """The name that a message of a source has in the chat."""
    return source.name if source and not draft.belongs_in_inbox else ""


def _parent(draft: Draft, flow: Flow) -> Message | None:
    """The message that a comment belongs to."""
    if draft.event != "comment":
        return None
    messages = flow.messages.select_related("thread", "user")
    parent = None if draft.message is None else messages.filter(number=draft.message).first()
    if parent is None or parent.event in (Event.COMMENT, *WITHOUT_THREAD):
        raise Rejected({"message": ["must be the id of a message in this flow that is not a comment"]})
    return parent


def _find_thread(draft: Draft, flow: Flow, source: Source | None) -> Thread | None:
    """The thread with the draft's id or the source's own key, which clients of October 2014 send as `thread_id`."""
    thread = None
    if len(draft.thread_id) == THREAD_ID_LENGTH:
        thread = chat_threads.find_or_store(flow, draft.thread_id)
    if thread is None:
        key = draft.external_thread_id or draft.thread_id
        if key and not (draft.external_thread_id or draft.belongs_in_inbox):
            raise Rejected({"thread_id": [NO_THREAD]})
        thread = flow.threads.filter(source=source, external_thread_id=key).first() if key else None
    if thread and source and thread.source_id == source.pk:
        thread.source = source
    return thread


def _updated_thread(
    thread: Thread | None, draft: Draft, flow: Flow, source: Source | None, number: int, moment: datetime
) -> Thread:
    """The thread with the draft's state; a new thread if its key is unknown."""
    state = draft.thread
    if thread is None:
        key = draft.external_thread_id or draft.thread_id
        if not draft.opens_thread:
            errors = {name: [BLANK] for name, value in (("external_thread_id", key), ("thread", state)) if not value}
            if errors:
                raise Rejected(errors)
        thread = Thread(
            flow=flow,
            source=source,
            external_thread_id=key or None,
            initial_number=number,
            created_at=moment,
        )
    elif state and thread.source_id != (source.pk if source else None):
        raise Rejected({"thread": ["belongs to another source, and only that source can change it"]})
    if state:
        thread.title, thread.body, thread.external_url = state.title, state.body, state.external_url
        thread.status_value = state.status.value if state.status else ""
        thread.status_color = state.status.color if state.status else ""
        thread.fields = [field.model_dump() for field in state.fields]
        thread.actions = state.actions
    return thread


def _tags(
    draft: Draft, flow: Flow, user: User | None, parent: Message | None, attachments: list[Attachment]
) -> list[str]:
    text = draft.content if draft.is_spoken else ""
    mentions = text or any(tag.startswith("@") for tag in draft.tags)
    people = People.of(flow) if mentions else People()
    author_id = user.pk if user and not draft.external_user_name else None
    return tagging.unique(
        [
            *editable(tagging.stored_form(draft.tags, people, author_id)),
            *(tagging.tags_in(text, people, author_id) if text else []),
            *([":file"] if attachments else []),
            *draft.own_tags,
            *([f"influx:{parent.number}"] if parent else []),
        ]
    )


def is_fact(tag: str) -> bool:
    return tag.lower().startswith(_FACTS)


def editable(tags: Iterable[str]) -> list[str]:
    """The tags among `tags` that people can add and remove."""
    return [tag for tag in tags if not is_fact(tag)]


def _store(message: Message, attachments: Iterable[Attachment] = ()) -> None:
    """Save a new message with its attachments, tags and search index, and publish it."""
    message.save(force_insert=True)
    for attachment in attachments:
        attachment.message = message
        attachment.save(force_insert=True)
    tagging.store(message)
    if message.event not in WITHOUT_THREAD:
        search.add([message])
    Flow.objects.filter(pk=message.flow_id).update(last_number=message.number)
    _publish("message", message)


def _publish(kind: str, message: Message) -> None:
    broadcast = Broadcast(message.flow_id, kind, message.number, message.thread_id)
    transaction.on_commit(lambda: hub.publish(broadcast))


def tags_after_edit(message: Message | PrivateMessage, content: str, people: People) -> list[str]:
    """The message's tags with those of its former text replaced by those of `content`."""
    before, after = (
        {tag.lower(): tag for tag in tagging.tags_in(text, people, message.user_id)} if text else {}
        for text in (message.content, content)
    )
    stay = [tag for tag in message.tags if tag.lower() not in before or tag.lower() in after]
    # Tags of both texts are not added again: a user who has read the message has removed their :unread: tag.
    return tagging.unique([*stay, *(tag for name, tag in after.items() if name not in before)])


def _change_content(message: Message, content: str, user: User) -> None:
    title = chat_threads.title_of(message)
    message.content, message.edited_at = content, now()
    message.save(update_fields=["content", "edited_at"])
    search.add([message])
    if thread := message.thread:
        if thread.initial_number == message.number and thread.source_id is None and thread.title == title:
            thread.title = chat_threads.title_of(message)
        if thread.last_number == message.number:
            thread.last_title = content
        thread.save(update_fields=["title", "last_title"])
    record(message.flow, Event.MESSAGE_EDIT, {"message": message.number, "updated_content": content}, user)
    _publish("edit", message)


def _change_tags(message: Message, tags: list[str], user: User) -> None:
    change = tag_change(message.number, message.tags, tags)
    tagging.replace(message, tags)
    if change["add"] or change["remove"]:
        record(message.flow, Event.TAG_CHANGE, change, user)
        _publish("edit", message)


def tag_change(number: int, before: list[str], after: list[str]) -> dict[str, Any]:
    """The content of a "tag-change" for the message `number`."""
    old, new = ({tag.lower(): tag for tag in spelled} for spelled in (before, after))
    return {
        "message": number,
        "add": [tag for name, tag in new.items() if name not in old],
        "remove": [tag for name, tag in old.items() if name not in new],
    }


def _remove(message: Message) -> None:
    thread = message.thread
    title = chat_threads.title_of(message)
    _publish("delete", message)
    message.delete()
    if thread:
        counter = _counter(message)
        setattr(thread, counter, max(getattr(thread, counter) - 1, 0))
        left = Message.objects.filter(thread=thread).select_related("user").order_by("number")
        first, latest = left.first(), left.last()
        thread.empty = latest is None
        if first and thread.initial_number == message.number:
            thread.initial_number = first.number
            if thread.source_id is None and thread.title == title:
                thread.title = chat_threads.title_of(first)
        if latest:
            _set_last_line(thread, latest, list(latest.attachments.all()))
        thread.save()


def _counter(message: Message) -> str:
    if message.event == Event.DISCUSSION:
        return "external_comments"
    return "activities" if message.belongs_in_inbox else "internal_comments"


def _count_message(thread: Thread, message: Message, attachments: list[Attachment]) -> None:
    """Update the counters and the last line of the thread, so that lists need to load no messages."""
    counter = _counter(message)
    setattr(thread, counter, getattr(thread, counter) + 1)
    thread.empty = False
    _set_last_line(thread, message, attachments)
    thread.updated_at = message.created_at
    thread.save()


def _set_last_line(thread: Thread, message: Message, attachments: list[Attachment]) -> None:
    thread.last_number = message.number
    thread.last_event = message.event
    thread.last_author = message.speaker[:255]
    names = ", ".join(attachment.file_name for attachment in attachments)
    thread.last_title = message.title if message.belongs_in_inbox else message.content or names
