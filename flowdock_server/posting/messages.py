"""The one way a message enters a flow, is changed there and leaves it."""

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
# Tags that tell a fact: nobody can add one, or take it away.
_FACTS = (":file", ":source:", "influx:")


def post(
    draft: Draft, *, flow: Flow, source: Source | None = None, user: User | None = None, thread: Thread | None = None
) -> Message:
    """Store `draft`, bring its thread to the new state, and tell the pages and streams that are open on the flow.

    A message is said by a `source` or by a `user`; by neither where the flow's own token was shown. `thread` is the
    one it goes to where the caller knows it (the thread's own page or address); else the draft's thread ids decide,
    and a new key of an integration makes a thread. What goes to none starts one of its own, which the first reply
    stores (`flowdock_server.posting.chat_threads`). The same `uuid` from the same source or user again is the same
    message: the first is returned and nothing changes. Numbers grow in the order of commits. Raises Rejected, and
    Refused in a flow that is archived.
    """
    draft.check()
    if draft.event == "status" and (user is None or draft.external_user_name):
        raise Rejected({"event": ["can only be posted by a person"]})
    with files.kept(_uploads(draft), flow, user) as attachments, turn(), transaction.atomic():
        number = _next_number(flow)
        if draft.uuid and (first := _posted_before(draft.uuid, flow, source, user)):
            return first
        moment = now()
        parent = _parent(draft, flow)
        if thread:
            # As it is now that it is our turn, and not as the caller saw it.
            thread = chat_threads.join(flow, thread.pk)
            if thread is None:
                raise Rejected({"thread_id": [NO_THREAD]})
        elif draft.event != "status":
            thread = chat_threads.join_message(parent) if parent else _find_thread(draft, flow, source)
        names_thread = draft.thread or draft.belongs_in_inbox or draft.external_thread_id
        if names_thread and draft.event != "status":
            thread = _bring_up_to_date(thread, draft, flow, source, number, moment)
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
            _count(thread, message, attachments)
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
    """Store what happened in the flow: an "action" {"type", "description"}, or a bookkeeping event of a message."""
    with turn(), transaction.atomic():
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
    """Change what `message` says, which its own author may, and its tags, which anybody in the flow may.

    `tags` is the whole new list. What was said before is gone; a "message-edit" and a "tag-change" tell of it. Raises
    Rejected, Refused, and Http404 where the message was deleted in the meantime.
    """
    with turn(), transaction.atomic():
        _next_number(message.flow)  # from here on it is our turn
        message = get_object_or_404(_as_it_is(message))
        new_tags = message.tags
        people = People.of(message.flow)
        if content is not None:
            if not message.may_be_edited_by(user):
                raise Refused("You can only edit your own chat messages and comments")
            check_content(content)
            new_tags = tags_after_edit(message, content, people)
        if tags is not None:
            facts = [tag for tag in message.tags if is_fact(tag)]
            new_tags = tagging.unique([*editable(tagging.given(tags, people, user.pk)), *facts])
        if content is not None and content != message.content:
            _say_anew(message, content, user)
        if new_tags != message.tags:
            _tag_anew(message, new_tags, user)


def delete(message: Message, user: User) -> bool:
    """Remove `message`, or empty it where it is the user's own and others may have answered it. True: it is gone.

    Anybody in the flow may remove what is in the inbox. Raises Refused.
    """
    with turn(), transaction.atomic():
        _next_number(message.flow)
        present = _as_it_is(message).first()
        if present is None:  # the same request came twice at once
            return True
        message = present
        if message.may_be_removed_by(user):
            _remove(message)
            return True
        if not message.may_be_edited_by(user):
            raise Refused("You can only delete your own messages and files, and messages in the inbox")
        tags = tags_after_edit(message, "", People.of(message.flow))
        if message.content:
            _say_anew(message, "", user)
        if tags != message.tags:
            _tag_anew(message, tags, user)
        return False


def _as_it_is(message: Message) -> QuerySet[Message]:
    """The message as it is stored now; nothing where it was deleted since it was read."""
    return Message.objects.select_related("flow", "thread").filter(pk=message.pk)


_waiting = threading.Lock()


@contextmanager
def turn() -> Iterator[None]:
    """One post at a time on SQLite, which has one writer anyhow.

    Those who wait for its lock sleep longer and longer while others go first; those who wait for ours are woken.
    Inside a transaction that has SQLite's lock already, waiting for ours would be waiting for each other.
    """
    if connection.vendor != "sqlite" or connection.in_atomic_block:
        yield
    else:
        with _waiting:
            yield


def _next_number(flow: Flow, *, also_archived: bool = False) -> int:
    """Posts to one flow take turns from here on, so nobody else can take the number, the thread's key or the uuid."""
    last, archived = Flow.objects.select_for_update().values_list("last_number", "disabled").get(pk=flow.pk)
    if archived and not also_archived:
        raise Refused("This flow is archived and read-only")
    return last + 1


def now() -> datetime:
    """To the millisecond, which is all that the API can say."""
    moment = timezone.now()
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _uploads(draft: Draft) -> list[files.Upload]:
    if draft.event == "file":
        return [files.Upload.read(draft.content, "content")]
    return files.attachments_of(draft.attachments)


def _posted_before(uuid: str, flow: Flow, source: Source | None, user: User | None) -> Message | None:
    poster = {"source": source} if source else {"source": None, "user": user}
    return flow.messages.filter(uuid=uuid, **poster).first()


def _name_of(source: Source | None, draft: Draft) -> str:
    """What a source is called when it speaks in the chat."""
    return source.name if source and not draft.belongs_in_inbox else ""


def _parent(draft: Draft, flow: Flow) -> Message | None:
    """The message that a comment is about."""
    if draft.event != "comment":
        return None
    messages = flow.messages.select_related("thread", "user")
    parent = None if draft.message is None else messages.filter(number=draft.message).first()
    if parent is None or parent.event in (Event.COMMENT, *WITHOUT_THREAD):
        raise Rejected({"message": ["must be the id of a message in this flow that is not a comment"]})
    return parent


def _find_thread(draft: Draft, flow: Flow, source: Source | None) -> Thread | None:
    """By Flowdock's id, else by the poster's own key, for which October 2014's clients said `thread_id` too."""
    thread = None
    if len(draft.thread_id) == THREAD_ID_LENGTH:
        thread = chat_threads.join(flow, draft.thread_id)
    if thread is None:
        key = draft.external_thread_id or draft.thread_id
        if key and not (draft.external_thread_id or draft.belongs_in_inbox):
            raise Rejected({"thread_id": [NO_THREAD]})
        thread = flow.threads.filter(source=source, external_thread_id=key).first() if key else None
    if thread and source and thread.source_id == source.pk:
        thread.source = source
    return thread


def _bring_up_to_date(
    thread: Thread | None, draft: Draft, flow: Flow, source: Source | None, number: int, moment: datetime
) -> Thread:
    """The thread in the state that the draft tells; a new one for a key that was not seen before."""
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
            *editable(tagging.given(draft.tags, people, author_id)),
            *(tagging.of_text(text, people, author_id) if text else []),
            *([":file"] if attachments else []),
            *draft.own_tags,
            *([f"influx:{parent.number}"] if parent else []),
        ]
    )


def is_fact(tag: str) -> bool:
    return tag.lower().startswith(_FACTS)


def editable(tags: Iterable[str]) -> list[str]:
    """Those of `tags` that people can add and remove."""
    return [tag for tag in tags if not is_fact(tag)]


def _store(message: Message, attachments: Iterable[Attachment] = ()) -> None:
    """Save a new message with all by which it is found, and tell of it."""
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
    """The tags once the text is `content`: what the old text said is taken away, what the new one says is added."""
    before, after = (
        {tag.lower(): tag for tag in tagging.of_text(text, people, message.user_id)} if text else {}
        for text in (message.content, content)
    )
    stay = [tag for tag in message.tags if tag.lower() not in before or tag.lower() in after]
    # Who has read the message stays one who has read it.
    return tagging.unique([*stay, *(tag for name, tag in after.items() if name not in before)])


def _say_anew(message: Message, content: str, user: User) -> None:
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


def _tag_anew(message: Message, tags: list[str], user: User) -> None:
    change = tag_change(message.number, message.tags, tags)
    tagging.replace(message, tags)
    if change["add"] or change["remove"]:
        record(message.flow, Event.TAG_CHANGE, change, user)
        _publish("edit", message)


def tag_change(number: int, before: list[str], after: list[str]) -> dict[str, Any]:
    """The content of the "tag-change" of the message with that number."""
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
            _show_as_last(thread, latest, list(latest.attachments.all()))
        thread.save()


def _counter(message: Message) -> str:
    if message.event == Event.DISCUSSION:
        return "external_comments"
    return "activities" if message.belongs_in_inbox else "internal_comments"


def _count(thread: Thread, message: Message, attachments: list[Attachment]) -> None:
    """What the inbox's list says of the thread, which it reads from the thread alone."""
    counter = _counter(message)
    setattr(thread, counter, getattr(thread, counter) + 1)
    thread.empty = False
    _show_as_last(thread, message, attachments)
    thread.updated_at = message.created_at
    thread.save()


def _show_as_last(thread: Thread, message: Message, attachments: list[Attachment]) -> None:
    thread.last_number = message.number
    thread.last_event = message.event
    thread.last_author = message.speaker[:255]
    names = ", ".join(attachment.file_name for attachment in attachments)
    thread.last_title = message.title if message.belongs_in_inbox else message.content or names
