"""Storing, changing and deleting messages of flows. Except for imports, no other module stores messages."""

import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Q, QuerySet
from django.shortcuts import get_object_or_404
from django.utils import timezone

from flowdock_server.live import Broadcast, hub
from flowdock_server.models import Attachment, Flow, Message, PrivateMessage, Source, Thread, User, compiled
from flowdock_server.posting import chat_threads, files, search, tagging
from flowdock_server.posting.batches import Batches
from flowdock_server.posting.chat_threads import WITHOUT_THREAD
from flowdock_server.posting.drafts import BLANK, Draft, Refused, Rejected, check_content
from flowdock_server.posting.tagging import People
from flowdock_server.secrets.tokens import THREAD_ID_LENGTH

Event = Message.Event

NO_THREAD = "is not a thread of this flow"
MOST_TOGETHER = 50  # posts in one transaction
# The fields of a thread that a draft sets, and those that each message sets.
_STATE = ("title", "body", "external_url", "status_value", "status_color", "fields", "actions")
_COUNTED = (
    *("activities", "internal_comments", "external_comments", "empty"),
    *("last_number", "last_event", "last_author", "last_title", "updated_at"),
)
# Tags that state a fact: nobody can add or remove one.
_FACTS = (":file", ":source:", "influx:")


def _pairs(pairs: Iterable[tuple[int, str]]) -> list[int | str]:
    return [value for pair in pairs for value in pair]


def _either(second: str, pairs: list[int | str]) -> Q:
    """The condition that source and `second` are one of `pairs`, as `_pairs` returns them."""
    either = Q()
    for source, value in zip(pairs[::2], pairs[1::2], strict=True):
        either |= Q(**{"source": source, second: value})
    return either


_numbers = compiled.Lookup(
    lambda flow_id: (
        Flow.objects.select_for_update().filter(pk=flow_id).order_by().values_list("last_number", "disabled")
    )
)
_threads_of_sources = compiled.Lookup(
    lambda pairs: Thread.objects.filter(_either("external_thread_id", pairs)),
)
_messages_of_sources = compiled.Lookup(lambda pairs: Message.objects.filter(_either("uuid", pairs)).order_by())


@dataclass
class _Post:
    """A draft on its way, and then its message or why there is none."""

    draft: Draft
    flow: Flow
    source: Source | None = None
    user: User | None = None
    thread: Thread | None = None  # that the URL names
    attachments: list[Attachment] = field(default_factory=list)
    message: Message | None = None
    error: Rejected | Refused | None = None

    @property
    def may_be_rejected_late(self) -> bool:
        """Whether it may be rejected after something was written for it, or writes more than messages and threads."""
        return bool(
            self.attachments
            or self.thread
            or self.draft.event in ("comment", "status")
            or len(self.draft.thread_id) == THREAD_ID_LENGTH
        )

    @property
    def key(self) -> str | None:
        """Its thread's own key in the source."""
        return self.draft.external_thread_id or self.draft.thread_id or None


def post(
    draft: Draft, *, flow: Flow, source: Source | None = None, user: User | None = None, thread: Thread | None = None
) -> Message:
    """Store `draft`, update its thread, and notify the open pages and streams of the flow.

    The author is a `source` or a `user`, or neither if the flow's API token was used. `thread` is given if the URL
    names it; otherwise the draft's thread ids decide, and an unknown key of a source creates a thread. A message
    without a thread starts one of its own, which its first reply stores (`flowdock_server.posting.chat_threads`). If
    the same source or user has already posted the same `uuid`, that message is returned and nothing changes. Numbers
    increase in the order of commits. Posts that arrive while another one is stored are then stored together, in one
    transaction. Raises Rejected, and Refused if the flow is archived.
    """
    draft.check()
    if draft.event == "status" and (user is None or draft.external_user_name):
        raise Rejected({"event": ["can only be posted by a person"]})
    with files.stored(_uploads(draft), flow, user) as attachments:
        one = _Post(draft, flow, source, user, thread, attachments)
        if one.may_be_rejected_late or connection.in_atomic_block:
            _store_posts([one])
        else:
            # SQLite has one writer for all flows.
            _batches.add(None if connection.vendor == "sqlite" else flow.pk, one)
        if one.message is None:
            raise one.error or RuntimeError("the post was neither stored nor refused")
    return one.message


def _store_posts(posts: list[_Post]) -> None:
    """Store posts in one transaction. A post gets a message, or an `error` and is left out.

    Raises Rejected for a post that `may_be_rejected_late`, which has to be the only one.
    """
    by_flow: dict[UUID, list[_Post]] = {}
    for each in posts:
        by_flow.setdefault(each.flow.pk, []).append(each)
    with one_at_a_time(), transaction.atomic():
        for of_flow in by_flow.values():
            _Storing(of_flow[0].flow).store(of_flow)


_batches = Batches(_store_posts, MOST_TOGETHER)


class _Storing:
    """Stores posts to one flow, in a transaction: first all reads, then all writes."""

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self.messages: list[Message] = []
        self.threads: dict[str, Thread] = {}  # that are new or have changed, by id
        self._by_key: dict[tuple[int | None, str], Thread] = {}
        self._by_uuid: dict[tuple[int | None, int | None, str], Message] = {}
        self._people: People | None = None

    def store(self, posts: list[_Post]) -> None:
        try:
            self.number = _next_number(self.flow) - 1
        except Refused as error:
            for each in posts:
                each.error = Refused(str(error))
            return
        self._load(posts)
        for each in posts:
            try:
                each.message = self._message(each)
            except Rejected as error:
                if each.may_be_rejected_late:
                    raise
                each.error = error
        self._write(posts)

    def _load(self, posts: list[_Post]) -> None:
        """Find the threads and the earlier messages that the posts of sources name."""
        keys = {(each.source.pk, each.key) for each in posts if each.source and each.key}
        for thread in _threads_of_sources(_pairs(keys)) if keys else ():
            self._by_key[thread.source_id, thread.external_thread_id or ""] = thread
        uuids = {(each.source.pk, each.draft.uuid) for each in posts if each.source and each.draft.uuid}
        for message in _messages_of_sources(_pairs(uuids)) if uuids else ():
            message.flow = self.flow
            self._by_uuid[message.source_id, None, message.uuid or ""] = message

    def _message(self, post: _Post) -> Message:
        """The post's message, to be written, or the stored one with its uuid. Raises Rejected."""
        draft, source, user = post.draft, post.source, post.user
        poster = (source.pk if source else None, user.pk if user and not source else None, draft.uuid)
        if draft.uuid and (first := self._by_uuid.get(poster) or self._posted_before(post)):
            return first
        moment = now()
        parent = _parent(draft, self.flow)
        thread = self._thread(post, parent, moment)
        message = Message(
            flow=post.flow,
            number=self.number + 1,
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
            tags=self._tags(post, parent),
            uuid=draft.uuid or None,
            created_at=moment,
        )
        if thread:
            _count_message(thread, message, post.attachments)
            self.threads[thread.pk] = thread
            if post.key:
                self._by_key[thread.source_id, post.key] = thread
        if draft.uuid:
            self._by_uuid[poster] = message
        self.number += 1
        self.messages.append(message)
        return message

    def _posted_before(self, post: _Post) -> Message | None:
        if post.source:
            return None  # `_load` has looked for it
        return self.flow.messages.filter(uuid=post.draft.uuid, source=None, user=post.user).first()

    def _thread(self, post: _Post, parent: Message | None, moment: datetime) -> Thread | None:
        """The post's thread, with the draft's state. It is the message's own, since each shows it as it is then."""
        draft = post.draft
        if post.thread:
            # Loaded again, since other posts may have changed it before this one's turn.
            thread = chat_threads.find_or_store(self.flow, post.thread.pk)
            if thread is None:
                raise Rejected({"thread_id": [NO_THREAD]})
        elif draft.event == "status":
            return None
        else:
            thread = chat_threads.store_thread_of(parent) if parent else self._find_thread(post)
        if thread and thread.pk in self.threads:
            thread = copy(thread)
        names_thread = draft.thread or draft.belongs_in_inbox or draft.external_thread_id
        if names_thread and draft.event != "status":
            thread = _updated_thread(thread, draft, self.flow, post.source, self.number + 1, moment)
        return thread

    def _find_thread(self, post: _Post) -> Thread | None:
        """The thread with the draft's id or the source's own key, which clients of October 2014 send as `thread_id`."""
        draft, source, thread = post.draft, post.source, None
        if len(draft.thread_id) == THREAD_ID_LENGTH:
            thread = chat_threads.find_or_store(self.flow, draft.thread_id)
        if thread is None and post.key:
            if not (draft.external_thread_id or draft.belongs_in_inbox):
                raise Rejected({"thread_id": [NO_THREAD]})
            thread = self._by_key.get((source.pk if source else None, post.key))
            if thread is None and source is None:
                thread = self.flow.threads.filter(source=None, external_thread_id=post.key).first()
        if thread and source and thread.source_id == source.pk:
            thread.source = source
        return thread

    def _tags(self, post: _Post, parent: Message | None) -> list[str]:
        draft, user = post.draft, post.user
        text = draft.content if draft.is_spoken else ""
        if self._people is None and (text or any(tag.startswith("@") for tag in draft.tags)):
            self._people = People.of(self.flow)
        people = self._people or People()
        author_id = user.pk if user and not draft.external_user_name else None
        return tagging.unique(
            [
                *editable(tagging.stored_form(draft.tags, people, author_id)),
                *(tagging.tags_in(text, people, author_id) if text else []),
                *([":file"] if post.attachments else []),
                *draft.own_tags,
                *([f"influx:{parent.number}"] if parent else []),
            ]
        )

    def _write(self, posts: list[_Post]) -> None:
        new = [thread for thread in self.threads.values() if thread._state.adding]
        if changed := [thread for thread in self.threads.values() if not thread._state.adding]:
            compiled.update(changed, *_STATE, *_COUNTED)
        if new:
            compiled.insert(new)
        attachments = {id(each.message): each.attachments for each in posts if each.attachments}
        _store(self.messages, attachments)
        for each in posts:
            if each.draft.event == "status" and each.user and each.message in self.messages:
                User.objects.filter(pk=each.user.pk).update(status=each.message.content)


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
        _store([message])
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
    rows = _numbers(flow.pk)
    if not rows:
        raise Flow.DoesNotExist
    ((last, archived),) = rows
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


def is_fact(tag: str) -> bool:
    return tag.lower().startswith(_FACTS)


def editable(tags: Iterable[str]) -> list[str]:
    """The tags among `tags` that people can add and remove."""
    return [tag for tag in tags if not is_fact(tag)]


def _store(messages: list[Message], attachments: Mapping[int, Iterable[Attachment]] = MappingProxyType({})) -> None:
    """Store new messages of one flow with their tags and words, and publish them.

    `attachments` are to be saved with the message whose id() is their key.
    """
    if not messages:
        return
    compiled.insert(messages)
    for message in messages:
        for attachment in attachments.get(id(message), ()):
            attachment.message = message
            attachment.save(force_insert=True)
    tagging.store(messages)
    search.add([message for message in messages if message.event not in WITHOUT_THREAD])
    last = messages[-1]
    compiled.change(Flow, last.flow_id, last_number=last.number)
    for message in messages:
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


def _set_last_line(thread: Thread, message: Message, attachments: list[Attachment]) -> None:
    thread.last_number = message.number
    thread.last_event = message.event
    thread.last_author = message.speaker[:255]
    names = ", ".join(attachment.file_name for attachment in attachments)
    thread.last_title = message.title if message.belongs_in_inbox else message.content or names
