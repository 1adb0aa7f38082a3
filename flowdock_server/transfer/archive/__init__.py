"""An archive that Flowdock let people download, as the lines that `load.Loader` reads.

What is known of archives, from those who wrote converters: one zip for each flow; in it `messages.json`, an array of
messages in the API's form with people as numbers only, and the files that were posted. Names of people have to come
from elsewhere: the API's list of an organization's users, saved while there was one. Where a zip keeps the files is
not known: they are found by the end of their `path`, else by a name that only one of them has.
"""

from __future__ import annotations

import base64
import json
import sqlite3
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from flowdock_server.models import Message
from flowdock_server.parsing import strict_json
from flowdock_server.posting.drafts import COLORS
from flowdock_server.secrets.tokens import digest
from flowdock_server.transfer import FORMAT, Unfit
from flowdock_server.transfer.export import PART
from flowdock_server.transfer.record_types import Record
from flowdock_server.transfer.untrusted_json import (
    MAX_LINE,
    TOO_DEEP,
    is_storable,
    mapping,
    number,
    sequence,
    text,
    weigh,
)

from . import files as packed

MESSAGES = "messages.json"
NOBODY = "0"
FORMER = "Former integration"
CHUNK = 256 * 1024  # characters
# They tell a client that something has changed, and nothing to those who read on.
BOOKKEEPING = (
    "activity.user", "backend.user.block", "backend.user.join", "flow-add", "flow-change", "flow-remove", "presence",
    "user-edit",
)  # fmt: skip
_CHAT = ("message", "comment", "status", "file", "action")
MAX_NAMES = 100_000  # people, and integrations: these are kept in memory
_NAMESPACE = uuid.UUID("3f0c6a52-2f2b-5d0e-9f0e-6d1a3c0e7b11")

Original = dict[str, Any]


class Archive:
    """A zip, its unpacked folder, or a `messages.json` by itself.

    `people` are user objects of the API; who is not among them becomes "User 123", whom nobody can sign in as.
    `left_out` counts the messages that were not taken, by event, `links` the links in a folder, which are not followed.
    """

    def __init__(self, path: Path, into: tuple[str, str], people: list[Original], *, members: bool = False) -> None:
        self.path = path
        self.into = into
        self.people = {str(person["id"]): person for person in people}
        self.members = members
        self.left_out: Counter[str] = Counter()
        self.links = 0

    def records(self) -> Iterator[Record]:
        with packed.opened(self.path, alone_as=MESSAGES) as files, closing(_Survey()) as survey:
            self.links = files.links
            found = files.named(MESSAGES)
            if found is None:
                raise Unfit(f"{self.path} does not contain {MESSAGES}")
            for original in self._messages(files, found):
                with _told_of(original):
                    survey.see(original)
            yield from self._head(survey)
            messages = self._messages(files, found)
            for original in messages if survey.ascending else survey.sort(messages):
                with _told_of(original):
                    record = _message(original, survey)
                yield record
            # Files come last: their lines name their messages.
            for original in self._messages(files, found):
                yield from _files(original, files)
            yield {"type": "end"}

    def _messages(self, files: packed.Files, name: str) -> Iterator[Original]:
        self.left_out.clear()
        with files.open(name) as file:
            for original in objects(file):
                event = original.get("event")
                if not isinstance(event, str) or not _is_number(original.get("id")):
                    raise Unfit(f"{MESSAGES}: this is not a message: {str(original)[:100]}")
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
        for each in sorted(survey.people, key=int):
            yield self._person(each)
            if self.members and each in self.people:
                yield {"type": "colleague", "user": int(each)}
                read = survey.last_number
                yield {"type": "member", "user": int(each), "last_read_number": read, "inbox_read_number": read}
        for source in survey.sources.values():
            yield source.application
            yield source.record
        yield from survey.threads()

    def _person(self, person: str) -> Record:
        known = self.people.get(person)
        if known is None:
            return {
                "type": "user", "id": int(person), "email": f"user-{person}@flowdock.invalid",
                "name": f"User {person}", "nick": f"user-{person}", "is_active": False,
            }  # fmt: skip
        told = {name: text(known.get(name), f"{name} of user {person}") for name in _OF_PEOPLE}
        return {
            "type": "user",
            "id": int(person),
            "email": told["email"] or f"user-{person}@flowdock.invalid",
            "name": told["name"] or told["nick"] or f"User {person}",
            "nick": told["nick"] or f"user-{person}",
            "avatar": told["avatar"],
            "website": told["website"],
        }


_OF_PEOPLE = ("email", "name", "nick", "avatar", "website")


def _is_number(value: Any) -> bool:
    """Whether it is a number of a message or a person, as a number or as a text."""
    try:
        number(value, "")
    except Unfit:
        return False
    return value is not None


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
    except Unfit as error:
        raise Unfit(f"{MESSAGES}: message {original['id']} cannot be read: {error}") from error


class _Source:
    """An integration that once posted: its threads name it, and it can post no more."""

    def __init__(self, id_: int, original: Original, created_at: str) -> None:
        application = original.get("application")
        if isinstance(application, dict):
            application = application.get("name")
        application = text(application, "source.application")
        client_id = f"flowdock-archive-{application or 'unknown'}"[:100]
        self.application: Record = {
            "type": "application", "client_id": client_id, "name": (application or FORMER)[:255],
            "redirect_uris": "", "client_type": "confidential", "authorization_grant_type": "authorization-code",
            "client_secret": "!", "user": None,
        }  # fmt: skip
        self.record: Record = {
            "type": "source", "id": id_, "application": client_id, "creator": None,
            "name": (text(original.get("name"), "source.name") or application or FORMER)[:255],
            "external_url": text(original.get("external_url"), "source.external_url")[:2000],
            "created_at": created_at, "updated_at": created_at,
            "removed_at": created_at, "token_digest": digest(uuid.uuid4().hex),
        }  # fmt: skip


class _Survey:
    """What has to stand above the messages: who spoke, and every thread as it was in the end.

    Threads can be as many as messages: they are in a database on disk, which goes when it is closed.
    """

    def __init__(self) -> None:
        self.people: set[str] = set()
        self.sources: dict[str, _Source] = {}
        self.flow_id = ""
        self.last_number = 0
        self.ascending = True
        # No name: SQLite keeps it in a temporary file as soon as it is large.
        self._rows = sqlite3.connect("", isolation_level=None)
        self._rows.execute("CREATE TABLE thread (id TEXT PRIMARY KEY, record TEXT)")
        self._rows.execute("CREATE TABLE message (number INTEGER, original TEXT)")
        self._rows.execute("BEGIN")

    def close(self) -> None:
        self._rows.close()

    def thread(self, id_: str) -> Record | None:
        row = self._rows.execute("SELECT record FROM thread WHERE id = ?", [id_]).fetchone()
        return json.loads(row[0]) if row else None

    def threads(self) -> Iterator[Record]:
        """In the order in which they began."""
        for (record,) in self._rows.execute("SELECT record FROM thread ORDER BY rowid"):
            yield json.loads(record)

    def sort(self, originals: Iterator[Original]) -> Iterator[Original]:
        """By number, in the memory that one takes."""
        rows = ((number(original["id"], "id"), json.dumps(original)) for original in originals)
        self._rows.executemany("INSERT INTO message VALUES (?, ?)", rows)
        for (original,) in self._rows.execute("SELECT original FROM message ORDER BY number, rowid"):
            yield json.loads(original)

    def see(self, original: Original) -> None:
        place = number(original["id"], "id")
        self.ascending &= place > self.last_number
        self.last_number = max(self.last_number, place)
        if not self.flow_id:
            self.flow_id = _uuid(original.get("flow"))
        if person := _person(original):
            self.people.add(person)
            if len(self.people) > MAX_NAMES:
                raise Unfit(f"it has more than {MAX_NAMES} people")
        if key := thread_of(original):
            self._see_thread(key, place, original)

    def _see_thread(self, key: str, place: int, original: Original) -> None:
        now, event = _moment(original), original["event"]
        thread = self.thread(key) or {
            "type": "thread", "id": key, "source": None, "title": "", "initial_number": place,
            "activities": 0, "internal_comments": 0, "external_comments": 0, "created_at": now, "updated_at": now,
        }  # fmt: skip
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
        # Their rows keep the order in which they began.
        upsert = "INSERT INTO thread VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET record = excluded.record"
        self._rows.execute(upsert, [key, json.dumps(thread)])

    def _source(self, original: Any, now: str) -> int | None:
        if not isinstance(original, dict):
            return None
        key = digest(
            json.dumps([original.get("id"), original.get("name"), original.get("application")], sort_keys=True)
        )
        if key not in self.sources:
            if len(self.sources) >= MAX_NAMES:
                raise Unfit(f"it has more than {MAX_NAMES} integrations")
            self.sources[key] = _Source(len(self.sources) + 1, original, now)
        return int(self.sources[key].record["id"])


def _person(original: Original) -> str:
    """The number of who said it, as a text; empty for nobody."""
    user = original.get("user")
    person = str(number(user, "user")) if _is_number(user) else NOBODY
    return "" if person == NOBODY else person


def _message(original: Original, survey: _Survey) -> Record:
    event, content = original["event"], original.get("content")
    key = thread_of(original)
    person = _person(original)
    thread = survey.thread(key) if key and event in ("activity", "discussion") else None
    record: Record = {
        "type": "message",
        "number": number(original["id"], "id"),
        "event": event,
        "thread": key,
        "source": thread["source"] if thread else None,
        "user": int(person) if person in survey.people else None,
        "external_user_name": text(original.get("external_user_name"), "external_user_name")[:255],
        "tags": [text(tag, "a tag") for tag in sequence(original.get("tags"), "tags")],
        "created_at": _moment(original),
        "edited_at": _time(original["edited"], "edited") if original.get("edited") else None,
    }
    if event in ("activity", "discussion"):
        said = {name: text(original.get(name), name) for name in ("title", "body")}
        return record | _author(original) | said
    if event == "comment":
        said = content.get("text") if isinstance(content, dict) else content
        return record | {"content": text(said, "content.text"), "parent": _parent(original)}
    if event in Message.Event.values and event != "mail":
        if isinstance(content, str):
            return record | {"content": content}
        return record | {"data": content if isinstance(content, dict) or content is None else {"content": content}}
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
    first = replies[0] if isinstance(replies, list) and replies else None
    reply_to = first.get("address") if isinstance(first, dict) else ""
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
        return text(original["thread_id"], "thread_id")
    return None if original["event"] in _CHAT or original.get("app") == "chat" else f"message {original['id']}"


def _state(state: Original) -> Record:
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
    tags = (text(tag, "a tag") for tag in sequence(original.get("tags"), "tags"))
    parents = (tag.removeprefix("influx:") for tag in tags if tag.startswith("influx:"))
    return next((number(each, "a tag") for each in parents if _is_number(each)), None)


def _uuid(value: Any) -> str:
    try:
        return str(uuid.UUID(text(value, "flow")))
    except ValueError:
        return ""


def _moment(original: Original) -> str:
    return text(original.get("created_at"), "created_at") or _time(original.get("sent"), "sent")


def _time(milliseconds: Any, name: str) -> str:
    try:
        return datetime.fromtimestamp(number(milliseconds or 0, name) / 1000, UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        raise Unfit(f"{name} is not a time") from None


def _files(original: Original, files: packed.Files) -> Iterator[Record]:
    for place, attachment in enumerate(_attachments(original)):
        key = base64.urlsafe_b64encode(
            uuid.uuid5(_NAMESPACE, f"{original.get('flow')} {original['id']} {place}").bytes
        ).decode().rstrip("=")  # fmt: skip
        with _told_of(original):
            record, found = _attachment(original, attachment, key, files)
        yield record
        if found:
            with files.open(found) as file:
                while part := file.read(PART):
                    yield {"type": "bytes", "key": key, "data": base64.b64encode(part).decode()}


def _attachments(original: Original) -> list[Original]:
    with _told_of(original):
        found = sequence(original.get("attachments"), "attachments")
    return [each for each in found if isinstance(each, dict) and each.get("file_name")]


def _attachment(original: Original, told: Original, key: str, files: packed.Files) -> tuple[Record, str | None]:
    """The line of an attachment, and the name of its file if there is one."""
    image = told.get("image")
    image = image if isinstance(image, dict) else {}
    person = _person(original)
    file_name = text(told["file_name"], "file_name")
    record: Record = {
        "type": "attachment", "key": key, "message": number(original["id"], "id"),
        "uploaded_by": int(person) if person else None,
        "content_id": text(told.get("content_id"), "content_id")[:255],
        "file_name": file_name[:255],
        "content_type": (text(told.get("content_type"), "content_type") or "application/octet-stream")[:255],
        "size": number(told.get("file_size") or 0, "file_size"), "created_at": _moment(original),
        "width": image.get("width"), "height": image.get("height"),
    }  # fmt: skip
    return record, files.of(file_name, text(told.get("path"), "path"))


def objects(file: IO[bytes]) -> Iterator[Original]:
    """The objects of a JSON array, one after the other, however long it is. Raises Unfit."""
    read, begun, more, count = "", False, True, 0
    while True:
        read = read.lstrip(" \t\r\n,")
        if not begun and read:
            read = read.removeprefix("\ufeff").lstrip()
            if not read.startswith("["):
                raise Unfit(f"{MESSAGES} is not an array of messages")
            read, begun = read[1:], True
            continue
        if read.startswith("]"):
            return
        if read:
            try:
                value, end = strict_json.DECODER.raw_decode(read)
            except RecursionError:
                raise Unfit(f"{MESSAGES}: message {count + 1} in it is {TOO_DEEP}") from None
            except strict_json.NotFinite as error:
                raise Unfit(f"{MESSAGES}: message {count + 1} in it: {error}") from None
            except ValueError:
                if not more:
                    raise Unfit(f"{MESSAGES} ends too early or is not valid JSON: {read[:100]}") from None
                if len(read) > MAX_LINE:
                    raise Unfit(f"{MESSAGES}: message {count + 1} in it is longer than {MAX_LINE} characters") from None
            else:
                count += 1
                if not isinstance(value, dict):
                    raise Unfit(f"{MESSAGES} is not an array of messages: {str(value)[:100]}")
                try:
                    weigh(value)
                except Unfit as error:
                    raise Unfit(f"{MESSAGES}: message {count} in it is {error}") from None
                yield value
                read = read[end:]
                continue
        elif not more:
            raise Unfit(f"{MESSAGES} ends too early")
        read, more = _read_on(file, read)


def _read_on(file: IO[bytes], read: str) -> tuple[str, bool]:
    """`read` and what follows it, at least as much again: one object may be long."""
    chunk = file.read(max(CHUNK, len(read)))
    while chunk and (missing := _cut_character(chunk)) and (rest := file.read(missing)):
        chunk += rest
    try:
        return read + chunk.decode("utf-8"), bool(chunk)
    except UnicodeDecodeError:
        raise Unfit(f"{MESSAGES} is not valid UTF-8") from None


def _cut_character(chunk: bytes) -> int:
    """How many bytes the last character lacks."""
    for back in range(1, min(4, len(chunk)) + 1):
        byte = chunk[-back]
        if byte & 0b1100_0000 != 0b1000_0000:
            length = 1 if byte < 0x80 else 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return max(0, length - back)
    return 0
