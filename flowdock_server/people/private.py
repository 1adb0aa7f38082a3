"""Private messages between two people: who can write to whom, and storing, changing and deleting messages.

A conversation numbers its messages like a flow. An edit or a change of tags is a separate message, "message-edit" or
"tag-change", so that streams send it and can be resumed after it.
"""

from collections.abc import Iterable
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet
from django.shortcuts import get_object_or_404

from flowdock_server.live import Broadcast, hub
from flowdock_server.models import Conversation, PrivateMessage, User
from flowdock_server.people import members
from flowdock_server.posting import files, messages, tagging
from flowdock_server.posting.drafts import Refused, check_content
from flowdock_server.posting.messages import now, one_at_a_time
from flowdock_server.posting.tagging import People

Event = PrivateMessage.Event


def partners(user: User) -> QuerySet[User]:
    """Users whom `user` can write to: those in a common flow, and those with whom there is a conversation."""
    met = Q(pk__in=members.visible_to(user).values("pk"))
    first = Q(pk__in=Conversation.objects.filter(second=user).values("first"))
    second = Q(pk__in=Conversation.objects.filter(first=user).values("second"))
    return User.objects.filter(met | first | second).exclude(pk=user.pk)


def post(
    content: str = "",
    *,
    by: User,
    to: User,
    upload: files.Upload | None = None,
    tags: Iterable[str] = (),
    uuid: str = "",
) -> PrivateMessage:
    """Store a message from `by` to `to`, a text or the file `upload`, and open the conversation for both.

    If `by` has already sent a message with this `uuid`, it is returned. Raises Refused if the account of `to` is
    closed, and Rejected for an image with too many pixels.
    """
    if not to.is_active:
        raise Refused(f"You cannot write to {to.name}, because their account is closed")
    conversation = Conversation.between(by, to)
    uploads = [upload] if upload else []
    with files.stored(uploads, None, by) as attachments, one_at_a_time(), transaction.atomic():
        conversation = _locked(conversation.pk)
        if uuid and (first := PrivateMessage.objects.filter(user=by, uuid=uuid).select_related("conversation").first()):
            return first
        people = people_of(conversation)
        in_text = tagging.tags_in(content, people, by.pk) if content else []
        found = tagging.unique([*messages.editable(tagging.stored_form(tags, people, by.pk)), *in_text])
        message = _store(
            conversation,
            by,
            event=Event.FILE if upload else Event.MESSAGE,
            content=content,
            tags=[*found, ":file"] if upload else found,
            uuid=uuid or None,
        )
        for attachment in attachments:
            attachment.private_message = message
            attachment.save(force_insert=True)
        tagging.store([message])
        conversation.first_open = conversation.second_open = True
        conversation.save(update_fields=["first_open", "second_open"])
        conversation.mark_read(by)
    return message


def edit(message: PrivateMessage, user: User, *, content: str | None = None, tags: Iterable[str] | None = None) -> None:
    """Change the text of `message`, as only its author can, or its tags, as both people can.

    `tags` is the whole new list. Raises Rejected, Refused, and Http404 if it was deleted in the meantime.
    """
    with one_at_a_time(), transaction.atomic():
        conversation = _locked(message.conversation_id)
        message = get_object_or_404(PrivateMessage, pk=message.pk)
        new_tags, people = message.tags, people_of(conversation)
        if content is not None:
            if not message.may_be_edited_by(user):
                raise Refused("You can only edit your own messages")
            check_content(content)
            new_tags = messages.tags_after_edit(message, content, people)
        if tags is not None:
            if message.event not in (Event.MESSAGE, Event.FILE):
                raise Refused("Only messages and files can have tags")
            facts = [tag for tag in message.tags if messages.is_fact(tag)]
            given = messages.editable(tagging.stored_form(tags, people, user.pk))
            new_tags = tagging.unique([*given, *facts])
        _change(conversation, message, user, message.content if content is None else content, new_tags)


def delete(message: PrivateMessage, user: User) -> bool:
    """Delete a file of `user`, or empty a message of theirs. Returns whether it was deleted. Raises Refused."""
    with one_at_a_time(), transaction.atomic():
        conversation = _locked(message.conversation_id)
        present = PrivateMessage.objects.filter(pk=message.pk).first()
        if present is None:  # the same request was sent twice at the same time
            return True
        message = present
        if not (message.is_by(user) and message.event in (Event.MESSAGE, Event.FILE)):
            raise Refused("You can only delete your own messages")
        if message.event == Event.FILE:
            _publish(conversation, "private-edit", message.number)
            message.delete()
            return True
        _change(conversation, message, user, "", messages.tags_after_edit(message, "", people_of(conversation)))
        return False


def _change(conversation: Conversation, message: PrivateMessage, user: User, content: str, tags: list[str]) -> None:
    if content != message.content:
        message.content, message.edited_at = content, now()
        message.save(update_fields=["content", "edited_at"])
        data: dict[str, Any] = {"message": message.number, "updated_content": content}
        _store(conversation, user, event=Event.MESSAGE_EDIT, data=data)
    if tags != message.tags:
        changed = messages.tag_change(message.number, message.tags, tags)
        tagging.replace(message, tags)
        if changed["add"] or changed["remove"]:
            _store(conversation, user, event=Event.TAG_CHANGE, data=changed)
    _publish(conversation, "private-edit", message.number)


def _locked(conversation_id: int) -> Conversation:
    """The conversation, reloaded and locked, so that its messages are stored one after the other."""
    return Conversation.objects.select_for_update().get(pk=conversation_id)


def people_of(conversation: Conversation) -> People:
    """The two people, who can be mentioned."""
    by_nick: dict[str, list[int]] = {}
    for user in (conversation.first, conversation.second):
        by_nick.setdefault(user.nick.lower(), []).append(user.pk)
    return People(by_nick)


def _store(conversation: Conversation, by: User, **fields: Any) -> PrivateMessage:
    """Store a message with the next number. Edits and changes of tags do not make a conversation unread."""
    number = conversation.last_number + 1
    message = PrivateMessage.objects.create(
        conversation=conversation, number=number, user=by, created_at=now(), **fields
    )
    if message.event in (Event.MESSAGE_EDIT, Event.TAG_CHANGE):
        for side in ("first", "second"):
            if getattr(conversation, f"{side}_read_number") == conversation.last_number:
                setattr(conversation, f"{side}_read_number", number)
    conversation.last_number = number
    conversation.save(update_fields=["last_number", "first_read_number", "second_read_number"])
    _publish(conversation, "private", number)
    return message


def _publish(conversation: Conversation, kind: str, number: int) -> None:
    for user_id in (conversation.first_id, conversation.second_id):
        broadcast = Broadcast(None, kind, number, conversation_id=conversation.pk, user_id=user_id)
        transaction.on_commit(lambda broadcast=broadcast: hub.publish(broadcast))  # type: ignore[misc]
