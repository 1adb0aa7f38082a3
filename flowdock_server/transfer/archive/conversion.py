"""A message of Flowdock's, as the API had it, and the records that are made of it.

Flowdock's forms are known from its API's documentation only, so what is missing or of another type has a default where
the message can still be read. Raises InvalidArchive where it cannot.
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from flowdock_server.models import Message
from flowdock_server.posting.drafts import COLORS
from flowdock_server.transfer import InvalidArchive
from flowdock_server.transfer.record_types import Record
from flowdock_server.transfer.untrusted_json import mapping, number, sequence, text

from .messages_json import MESSAGES

Original = dict[str, Any]

UUID_NAMESPACE = uuid.UUID("3f0c6a52-2f2b-5d0e-9f0e-6d1a3c0e7b11")
_NO_USER = "0"  # the user of a message that an integration posted
_CHAT = ("message", "comment", "status", "file", "action")
_TITLES = ("subject", "title", "text", "summary", "description", "event", "file_name")


@contextmanager
def error_location(original: Original) -> Iterator[None]:
    """Adds the message's number to an error."""
    try:
        yield
    except InvalidArchive as error:
        raise InvalidArchive(f"{MESSAGES}: message {original['id']} cannot be read: {error}") from error


# Records


def user(number_: str, known: Original | None) -> Record:
    """The record of a user; `known` is the user's object in the API. A user without one cannot sign in."""
    if known is None:
        return {
            "type": "user", "id": int(number_), "email": f"user-{number_}@flowdock.invalid",
            "name": f"User {number_}", "nick": f"user-{number_}", "is_active": False,
        }  # fmt: skip
    fields = {
        name: text(known.get(name), f"{name} of user {number_}")
        for name in ("email", "name", "nick", "avatar", "website")
    }
    return {
        "type": "user",
        "id": int(number_),
        "email": fields["email"] or f"user-{number_}@flowdock.invalid",
        "name": fields["name"] or fields["nick"] or f"User {number_}",
        "nick": fields["nick"] or f"user-{number_}",
        "avatar": fields["avatar"],
        "website": fields["website"],
    }


def message(original: Original, find_thread: Callable[[str], Record | None], users: set[str]) -> Record:
    event, content = original["event"], original.get("content")
    key = thread_key(original)
    author = user_number(original)
    thread = find_thread(key) if key and event in ("activity", "discussion") else None
    record: Record = {
        "type": "message",
        "number": number(original["id"], "id"),
        "event": event,
        "thread": key,
        "source": thread["source"] if thread else None,
        "user": int(author) if author in users else None,
        "external_user_name": text(original.get("external_user_name"), "external_user_name")[:255],
        "tags": [text(tag, "a tag") for tag in sequence(original.get("tags"), "tags")],
        "created_at": sent_at(original),
        "edited_at": _time(original["edited"], "edited") if original.get("edited") else None,
    }
    if event in ("activity", "discussion"):
        return record | _author(original) | {name: text(original.get(name), name) for name in ("title", "body")}
    if event == "comment":
        comment = content.get("text") if isinstance(content, dict) else content
        return record | {"content": text(comment, "content.text"), "parent": _parent(original)}
    if event in Message.Event.values and event != "mail":
        if isinstance(content, str):
            return record | {"content": content}
        return record | {"data": content if isinstance(content, dict) or content is None else {"content": content}}
    # The former kinds of team inbox messages each had a form of their own: read as mail, with the original as data.
    body = content.get("content") if isinstance(content, dict) else ""
    return record | _author(original) | {
        "event": "mail",
        "title": title(original),
        "body": body if isinstance(body, str) else "",
        "data": _mail_data(event, content),
    }  # fmt: skip


def attachments(original: Original) -> list[tuple[Record, str, str]]:
    """The record of each attachment, with the name and the path that its file had at Flowdock."""
    found = sequence(original.get("attachments"), "attachments")
    named = [each for each in found if isinstance(each, dict) and each.get("file_name")]
    return [
        (_attachment(original, each, place), text(each["file_name"], "file_name"), text(each.get("path"), "path"))
        for place, each in enumerate(named)
    ]


def _attachment(original: Original, attachment: Original, place: int) -> Record:
    image = attachment.get("image")
    image = image if isinstance(image, dict) else {}
    author = user_number(original)
    key = uuid.uuid5(UUID_NAMESPACE, f"{original.get('flow')} {original['id']} {place}").bytes
    return {
        "type": "attachment",
        "key": base64.urlsafe_b64encode(key).decode().rstrip("="),
        "message": number(original["id"], "id"),
        "uploaded_by": int(author) if author else None,
        "content_id": text(attachment.get("content_id"), "content_id")[:255],
        "file_name": text(attachment["file_name"], "file_name")[:255],
        "content_type": (text(attachment.get("content_type"), "content_type") or "application/octet-stream")[:255],
        "size": number(attachment.get("file_size") or 0, "file_size"),
        "created_at": sent_at(original),
        "width": image.get("width"),
        "height": image.get("height"),
    }


# Parts of records


def thread_state(state: Original) -> Record:
    """The fields of a thread's record, from the `thread` of a message in it."""
    status = mapping(state.get("status"), "thread.status")
    color = status.get("color")
    fields = [mapping(field, "a field of the thread") for field in sequence(state.get("fields"), "thread.fields")]
    return {
        "title": text(state.get("title"), "thread.title"),
        "body": text(state.get("body"), "thread.body"),
        "external_url": text(state.get("external_url"), "thread.external_url"),
        "status_value": text(status.get("value"), "thread.status.value")[:255],
        "status_color": color if isinstance(color, str) and color in COLORS else "",
        "fields": [{name: text(field.get(name), name) for name in ("label", "value")} for field in fields],
        "actions": [each for each in sequence(state.get("actions"), "thread.actions") if isinstance(each, dict)],
    }


def last_message(original: Original) -> Record:
    """The fields of a thread's record that describe its last message."""
    event = original["event"]
    return {
        "updated_at": sent_at(original),
        "last_event": event if event in Message.Event.values else "mail",
        "last_title": title(original),
        "last_author": _author(original)["author_name"],
    }


def _mail_data(event: str, content: Any) -> Original:
    """The data of a mail on this server, and the original content."""
    mail = content if isinstance(content, dict) else {}
    replies = mail.get("reply_to")
    first = replies[0] if isinstance(replies, list) and replies else None
    reply_to = first.get("address") if isinstance(first, dict) else ""
    return {
        "source": str(mail.get("source") or event),
        "project": str(mail.get("project") or ""),
        "link": str(mail.get("link") or ""),
        "reply_to": str(reply_to or ""),
        "original_event": event,
        "original_content": content,
    }


def title(original: Original) -> str:
    """The first text in a message that says what it is about."""
    content = original.get("content")
    if isinstance(content, dict):
        for name in _TITLES:
            if (value := content.get(name)) and isinstance(value, str):
                return value
    return str(original.get("title") or (content if isinstance(content, str) else "") or original["event"])


def _author(original: Original) -> dict[str, str]:
    author = original.get("author")
    if not isinstance(author, dict):
        content = original.get("content")
        senders = content.get("from") if isinstance(content, dict) else None
        author = senders[0] if isinstance(senders, list) and senders and isinstance(senders[0], dict) else {}
    return {
        "author_name": str(author.get("name") or original.get("external_user_name") or "")[:255],
        "author_email": str(author.get("email") or author.get("address") or "")[:255],
        "author_avatar": str(author.get("avatar") or "")[:2000],
    }


# Single values


def is_number(value: Any) -> bool:
    """Whether `value` is the number of a message or a user, as a number or as text."""
    try:
        number(value, "")
    except InvalidArchive:
        return False
    return True


def user_number(original: Original) -> str:
    """The number of the user who posted the message, as text; empty if no user did."""
    value = original.get("user")
    author = str(number(value, "user")) if is_number(value) else _NO_USER
    return "" if author == _NO_USER else author


def thread_key(original: Original) -> str | None:
    """What identifies the message's thread. A message in the team inbox without `thread_id` is in one by itself."""
    if original.get("thread_id"):
        return text(original["thread_id"], "thread_id")
    return None if original["event"] in _CHAT or original.get("app") == "chat" else f"message {original['id']}"


def flow_id(original: Original) -> str:
    """The id of the message's flow; empty if it has none that is a UUID."""
    try:
        return str(uuid.UUID(text(original.get("flow"), "flow")))
    except ValueError:
        return ""


def sent_at(original: Original) -> str:
    return text(original.get("created_at"), "created_at") or _time(original.get("sent"), "sent")


def _parent(original: Original) -> int | None:
    """The number of the message that a comment is on, which its tag `influx:…` names."""
    tags = (text(tag, "a tag") for tag in sequence(original.get("tags"), "tags"))
    parents = (tag.removeprefix("influx:") for tag in tags if tag.startswith("influx:"))
    return next((number(each, "a tag") for each in parents if is_number(each)), None)


def _time(milliseconds: Any, name: str) -> str:
    try:
        return datetime.fromtimestamp(number(milliseconds or 0, name) / 1000, UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        raise InvalidArchive(f"{name} is not a time") from None
