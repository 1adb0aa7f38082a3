"""An archive that Flowdock let people download, as the lines that `load.Loader` reads.

What is known of archives, from those who wrote converters: one zip for each flow; in it `messages.json`, an array of
messages in the API's form with people as numbers only, and the files that were posted. Names of people have to come
from elsewhere: the API's list of an organization's users, saved while there was one. Where a zip keeps the files is
not known: they are found by the end of their `path`, else by a name that only one of them has.
"""

from __future__ import annotations

import base64
import json
import uuid
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote

from flowdock_server.drafts import COLORS
from flowdock_server.models import Message
from flowdock_server.tokens import digest

from . import FORMAT, Unfit
from .export import PART
from .kinds import Record, is_storable

MESSAGES = "messages.json"
NOBODY = "0"
CHUNK = 256 * 1024  # characters
# They tell a client that something has changed, and nothing to those who read on.
BOOKKEEPING = (
    "activity.user", "backend.user.block", "backend.user.join", "flow-add", "flow-change", "flow-remove", "presence",
    "user-edit",
)  # fmt: skip
_CHAT = ("message", "comment", "status", "file", "action")
_NAMESPACE = uuid.UUID("3f0c6a52-2f2b-5d0e-9f0e-6d1a3c0e7b11")

Original = dict[str, Any]


class Archive:
    """A zip, its unpacked folder, or a `messages.json` by itself.

    `people` are user objects of the API; who is not among them becomes "User 123", whom nobody can sign in as.
    `left_out` counts the messages that were not taken, by event.
    """

    def __init__(self, path: Path, into: tuple[str, str], people: list[Original], *, members: bool = False) -> None:
        self.path = path
        self.into = into
        self.people = {str(person["id"]): person for person in people}
        self.members = members
        self.left_out: Counter[str] = Counter()

    def records(self) -> Iterator[Record]:
        with _opened(self.path) as files:
            found = next((name for name in files.names if Path(name).name == MESSAGES), None)
            if found is None:
                raise Unfit(f"{self.path} holds no {MESSAGES}")
            survey = _Survey()
            for original in self._messages(files, found):
                with _told_of(original):
                    survey.see(original)
            yield from self._head(survey)
            messages = self._messages(files, found)
            for original in messages if survey.ascending else sorted(messages, key=lambda each: int(each["id"])):
                with _told_of(original):
                    record = _message(original, survey)
                yield record
            # Files come last: their lines name their messages.
            for original in self._messages(files, found):
                with _told_of(original):
                    yield from _files(original, files)
            yield {"type": "end"}

    def _messages(self, files: _Files, name: str) -> Iterator[Original]:
        self.left_out.clear()
        with files.open(name) as file:
            for original in objects(file):
                event = original.get("event")
                if not isinstance(event, str) or not str(original.get("id")).isdecimal():
                    raise Unfit(f"{MESSAGES}: this is no message: {str(original)[:100]}")
                if event in BOOKKEEPING or original.get("to"):
                    self.left_out[event] += 1
                else:
                    yield original if is_storable(original) else _storable(original)

    def _head(self, survey: _Survey) -> Iterator[Record]:
        organization, flow = self.into
        yield {"type": "export", "format": FORMAT}
        yield {"type": "organization", "name": organization, "parameterized_name": organization}
        yield {
            "type": "flow",
            "id": survey.flow_id or str(uuid.uuid5(_NAMESPACE, "/".join(self.into))),
            "name": flow,
            "parameterized_name": flow,
            "last_number": survey.last_number,
        }
        for number in sorted(survey.people, key=int):
            yield self._person(number)
            if self.members and number in self.people:
                yield {"type": "colleague", "user": int(number)}
                read = survey.last_number
                yield {"type": "member", "user": int(number), "last_read_number": read, "inbox_read_number": read}
        for source in survey.sources.values():
            yield source.application
            yield source.record
        yield from survey.threads.values()

    def _person(self, number: str) -> Record:
        known = self.people.get(number)
        if known is None:
            return {
                "type": "user", "id": int(number), "email": f"user-{number}@flowdock.invalid",
                "name": f"User {number}", "nick": f"user-{number}", "is_active": False,
            }  # fmt: skip
        return {
            "type": "user",
            "id": int(number),
            "email": known.get("email") or f"user-{number}@flowdock.invalid",
            "name": known.get("name") or known.get("nick") or f"User {number}",
            "nick": known.get("nick") or f"user-{number}",
            "avatar": known.get("avatar") or "",
            "website": known.get("website") or "",
        }


def _storable(value: Any) -> Any:
    """`value` with a question mark in the place of what no text here can have."""
    if isinstance(value, str):
        return value.replace("\0", "?").encode(errors="replace").decode()
    if isinstance(value, dict):
        return {_storable(name): _storable(part) for name, part in value.items()}
    return [_storable(part) for part in value] if isinstance(value, list) else value


@contextmanager
def _told_of(original: Original) -> Iterator[None]:
    """Says which message is of no form that is known."""
    try:
        yield
    except (TypeError, ValueError, AttributeError, KeyError, OverflowError) as error:
        raise Unfit(f"{MESSAGES}: message {original['id']} cannot be read: {error}") from error


class _Source:
    """An integration that once posted: its threads name it, and it can post no more."""

    def __init__(self, number: int, original: Original, created_at: str) -> None:
        application = original.get("application")
        name = application.get("name", "") if isinstance(application, dict) else str(application or "")
        client_id = f"flowdock-archive-{name or 'unknown'}"[:100]
        self.application: Record = {
            "type": "application", "client_id": client_id, "name": name or "An integration of old",
            "redirect_uris": "", "client_type": "confidential", "authorization_grant_type": "authorization-code",
            "client_secret": "!", "user": None,
        }  # fmt: skip
        self.record: Record = {
            "type": "source", "id": number, "application": client_id, "creator": None,
            "name": (original.get("name") or name or "An integration of old")[:255],
            "external_url": original.get("external_url") or "", "created_at": created_at, "updated_at": created_at,
            "removed_at": created_at, "token_digest": digest(uuid.uuid4().hex),
        }  # fmt: skip


class _Survey:
    """What has to stand above the messages: who spoke, and every thread as it was in the end."""

    def __init__(self) -> None:
        self.people: set[str] = set()
        self.sources: dict[str, _Source] = {}
        self.threads: dict[str, Record] = {}
        self.flow_id = ""
        self.last_number = 0
        self.ascending = True

    def see(self, original: Original) -> None:
        number = int(original["id"])
        self.ascending &= number > self.last_number
        self.last_number = max(self.last_number, number)
        if not self.flow_id:
            self.flow_id = _uuid(original.get("flow"))
        if (person := str(original.get("user") or NOBODY)) != NOBODY and person.isdigit():
            self.people.add(person)
        if key := thread_of(original):
            self._thread(key, number, original)

    def _thread(self, key: str, number: int, original: Original) -> None:
        now, event = _moment(original), original["event"]
        if key not in self.threads:
            self.threads[key] = {
                "type": "thread", "id": key, "source": None, "title": "", "initial_number": number,
                "activities": 0, "internal_comments": 0, "external_comments": 0, "created_at": now, "updated_at": now,
            }  # fmt: skip
        thread = self.threads[key]
        state = original.get("thread")
        if isinstance(state, dict):
            thread |= _state(state)
            thread["source"] = self._source(state.get("source"), now)
        elif not thread["title"]:
            thread["title"] = _title(original)
        counter = {"activity": "activities", "discussion": "external_comments"}.get(event, "internal_comments")
        thread[counter] += 1
        if now >= thread["updated_at"]:
            thread |= {
                "updated_at": now, "last_event": event if event in Message.Event.values else "mail",
                "last_title": _title(original), "last_author": _author(original)["author_name"],
            }  # fmt: skip

    def _source(self, original: Any, now: str) -> int | None:
        if not isinstance(original, dict):
            return None
        key = json.dumps([original.get("id"), original.get("name"), original.get("application")], sort_keys=True)
        if key not in self.sources:
            self.sources[key] = _Source(len(self.sources) + 1, original, now)
        return int(self.sources[key].record["id"])


def _message(original: Original, survey: _Survey) -> Record:
    event, content = original["event"], original.get("content")
    key = thread_of(original)
    user = str(original.get("user") or NOBODY)
    record: Record = {
        "type": "message",
        "number": int(original["id"]),
        "event": event,
        "thread": key,
        "source": survey.threads[key]["source"] if key and event in ("activity", "discussion") else None,
        "user": int(user) if user in survey.people else None,
        "external_user_name": (original.get("external_user_name") or "")[:255],
        "tags": [str(tag) for tag in original.get("tags") or []],
        "created_at": _moment(original),
        "edited_at": _time(original["edited"]) if original.get("edited") else None,
    }
    if event in ("activity", "discussion"):
        return record | _author(original) | {"title": original.get("title") or "", "body": original.get("body") or ""}
    if event == "comment":
        text = content.get("text") if isinstance(content, dict) else content
        return record | {"content": str(text or ""), "parent": _parent(original)}
    if event in Message.Event.values and event != "mail":
        return record | ({"content": content} if isinstance(content, str) else {"data": content})
    # The team inbox's kinds of old, each in a form of its own: read as mail, and kept whole.
    body = content.get("content") if isinstance(content, dict) else ""
    return record | _author(original) | {
        "event": "mail",
        "title": _title(original),
        "body": body if isinstance(body, str) else "",
        "data": _mail(event, content),
    }  # fmt: skip


def _mail(event: str, content: Any) -> Original:
    """What a mail of this server's has beside its text, and the original as it was."""
    told = content if isinstance(content, dict) else {}
    replies = told.get("reply_to")
    reply_to = replies[0].get("address") if isinstance(replies, list) and replies else ""
    return {
        "source": str(told.get("source") or event),
        "project": str(told.get("project") or ""),
        "link": str(told.get("link") or ""),
        "reply_to": str(reply_to or ""),
        "original_event": event,
        "original_content": content,
    }


def thread_of(original: Original) -> str | None:
    """The thread that a message is in. In the inbox each stands in one, if only in its own."""
    if original.get("thread_id"):
        return str(original["thread_id"])
    return None if original["event"] in _CHAT or original.get("app") == "chat" else f"message {original['id']}"


def _state(state: Original) -> Record:
    status = state.get("status") or {}
    return {
        "title": state.get("title") or "",
        "body": state.get("body") or "",
        "external_url": state.get("external_url") or "",
        "status_value": str(status.get("value") or "")[:255],
        "status_color": status.get("color") if status.get("color") in COLORS else "",
        "fields": [
            {"label": str(field.get("label") or ""), "value": str(field.get("value") or "")}
            for field in state.get("fields") or []
        ],
        "actions": [action for action in state.get("actions") or [] if isinstance(action, dict)],
    }


def _title(original: Original) -> str:
    """A line that says what it is about."""
    content = original.get("content")
    if isinstance(content, dict):
        for name in ("subject", "title", "text", "summary", "description", "event", "file_name"):
            if isinstance(content.get(name), str) and content[name]:
                return content[name]
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


def _parent(original: Original) -> int | None:
    tags = [str(tag) for tag in original.get("tags") or []]
    return next((int(tag[7:]) for tag in tags if tag.startswith("influx:") and tag[7:].isdigit()), None)


def _uuid(value: Any) -> str:
    try:
        return str(uuid.UUID(value))
    except (TypeError, ValueError, AttributeError):
        return ""


def _moment(original: Original) -> str:
    return original.get("created_at") or _time(original.get("sent") or 0)


def _time(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat()


# The files of an archive.


class _Files:
    """The names in a zip or a folder, and their contents."""

    def __init__(self, names: list[str], open_: Callable[[str], IO[bytes]]) -> None:
        self.names = names
        self.open = open_
        self._by_name: dict[str, list[str]] = {}
        for name in names:
            self._by_name.setdefault(Path(name).name, []).append(name)

    def of(self, attachment: Original) -> str | None:
        """Where the file of an attachment lies: a name that ends as its path does, else the only one of its name."""
        candidates = self._by_name.get(str(attachment.get("file_name")), [])
        tail = "/".join(unquote(str(attachment.get("path") or "")).split("/")[-2:])
        for candidate in candidates:
            if tail and candidate.endswith(tail):
                return candidate
        return candidates[0] if len(candidates) == 1 else None


@contextmanager
def _opened(path: Path) -> Iterator[_Files]:
    if path.is_dir():
        names = [str(each.relative_to(path)) for each in sorted(path.rglob("*")) if each.is_file()]
        yield _Files(names, lambda name: (path / name).open("rb"))
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            names = [each.filename for each in archive.infolist() if not each.is_dir()]
            yield _Files(names, archive.open)
    else:
        yield _Files([MESSAGES], lambda name: path.open("rb"))


def _files(original: Original, files: _Files) -> Iterator[Record]:
    for place, attachment in enumerate(original.get("attachments") or []):
        if not isinstance(attachment, dict) or not attachment.get("file_name"):
            continue
        key = base64.urlsafe_b64encode(
            uuid.uuid5(_NAMESPACE, f"{original.get('flow')} {original['id']} {place}").bytes
        ).decode().rstrip("=")  # fmt: skip
        image = attachment.get("image") or {}
        user = str(original.get("user") or NOBODY)
        yield {
            "type": "attachment", "key": key, "message": int(original["id"]),
            "uploaded_by": int(user) if user != NOBODY and user.isdigit() else None,
            "content_id": str(attachment.get("content_id") or "")[:255],
            "file_name": str(attachment["file_name"])[:255],
            "content_type": str(attachment.get("content_type") or "application/octet-stream")[:255],
            "size": attachment.get("file_size") or 0, "created_at": _moment(original),
            "width": image.get("width"), "height": image.get("height"),
        }  # fmt: skip
        if name := files.of(attachment):
            with files.open(name) as file:
                while part := file.read(PART):
                    yield {"type": "bytes", "key": key, "data": base64.b64encode(part).decode()}


def objects(file: IO[bytes]) -> Iterator[Original]:
    """The objects of a JSON array, one after the other, however long it is. Raises Unfit."""
    decoder = json.JSONDecoder()
    text, begun, more = "", False, True
    while True:
        text = text.lstrip(" \t\r\n,")
        if not begun and text:
            text = text.removeprefix("﻿").lstrip()
            if not text.startswith("["):
                raise Unfit(f"{MESSAGES} is no array of messages")
            text, begun = text[1:], True
            continue
        if text.startswith("]"):
            return
        if text:
            try:
                value, end = decoder.raw_decode(text)
            except ValueError:
                if not more:
                    raise Unfit(f"{MESSAGES} breaks off, or is no JSON: {text[:100]}") from None
            else:
                if not isinstance(value, dict):
                    raise Unfit(f"{MESSAGES} is no array of messages: {str(value)[:100]}")
                yield value
                text = text[end:]
                continue
        elif not more:
            raise Unfit(f"{MESSAGES} breaks off")
        text, more = _read_on(file, text)


def _read_on(file: IO[bytes], text: str) -> tuple[str, bool]:
    """`text` and what follows it, at least as much again: one object may be long."""
    chunk = file.read(max(CHUNK, len(text)))
    while chunk and (missing := _cut_character(chunk)):
        chunk += file.read(missing)
    try:
        return text + chunk.decode("utf-8"), bool(chunk)
    except UnicodeDecodeError:
        raise Unfit(f"{MESSAGES} is not UTF-8") from None


def _cut_character(chunk: bytes) -> int:
    """How many bytes the last character lacks."""
    for back in range(1, min(4, len(chunk)) + 1):
        byte = chunk[-back]
        if byte & 0b1100_0000 != 0b1000_0000:
            length = 1 if byte < 0x80 else 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return max(0, length - back)
    return 0
