"""What has to come before the messages of an archive: who posted, and each thread in its last state."""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Iterator
from typing import Any

from flowdock_server.secrets.tokens import digest
from flowdock_server.transfer import InvalidArchive
from flowdock_server.transfer.record_types import Record
from flowdock_server.transfer.untrusted_json import number, text

from . import conversion
from .conversion import Original

MAX_NAMES = 100_000  # users, and sources: these are kept in memory
FORMER_INTEGRATION = "Former integration"


class FormerSource:
    """The records of a source that posted to the flow: its threads refer to it, and it cannot post any more."""

    def __init__(self, id_: int, original: Original, created_at: str) -> None:
        application = original.get("application")
        if isinstance(application, dict):
            application = application.get("name")
        application = text(application, "source.application")
        client_id = f"flowdock-archive-{application or 'unknown'}"[:100]
        self.application: Record = {
            "type": "application", "client_id": client_id, "name": (application or FORMER_INTEGRATION)[:255],
            "redirect_uris": "", "client_type": "confidential", "authorization_grant_type": "authorization-code",
            "client_secret": "!", "user": None,
        }  # fmt: skip
        self.record: Record = {
            "type": "source", "id": id_, "application": client_id, "creator": None,
            "name": (text(original.get("name"), "source.name") or application or FORMER_INTEGRATION)[:255],
            "external_url": text(original.get("external_url"), "source.external_url")[:2000],
            "created_at": created_at, "updated_at": created_at,
            "removed_at": created_at, "token_digest": digest(uuid.uuid4().hex),
        }  # fmt: skip


class Survey:
    """Users, sources and threads of an archive, collected from its messages.

    There can be as many threads as messages, so they are kept in a temporary database on disk until it is closed.
    """

    def __init__(self) -> None:
        self.users: set[str] = set()
        self.sources: dict[str, FormerSource] = {}
        self.flow_id = ""
        self.last_number = 0
        self.is_ascending = True
        # Without a name: SQLite moves it to a temporary file once it is large.
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.execute("CREATE TABLE thread (id TEXT PRIMARY KEY, record TEXT)")
        self._database.execute("CREATE TABLE message (number INTEGER, original TEXT)")
        self._database.execute("BEGIN")

    def close(self) -> None:
        self._database.close()

    def thread(self, id_: str) -> Record | None:
        row = self._database.execute("SELECT record FROM thread WHERE id = ?", [id_]).fetchone()
        return json.loads(row[0]) if row else None

    def threads(self) -> Iterator[Record]:
        """The threads, in the order of their first messages."""
        for (record,) in self._database.execute("SELECT record FROM thread ORDER BY rowid"):
            yield json.loads(record)

    def sort(self, originals: Iterator[Original]) -> Iterator[Original]:
        """`originals` by number, with no more than one in memory."""
        rows = ((number(original["id"], "id"), json.dumps(original)) for original in originals)
        self._database.executemany("INSERT INTO message VALUES (?, ?)", rows)
        for (original,) in self._database.execute("SELECT original FROM message ORDER BY number, rowid"):
            yield json.loads(original)

    def add(self, original: Original) -> None:
        message_number = number(original["id"], "id")
        self.is_ascending &= message_number > self.last_number
        self.last_number = max(self.last_number, message_number)
        if not self.flow_id:
            self.flow_id = conversion.flow_id(original)
        if author := conversion.user_number(original):
            self.users.add(author)
            if len(self.users) > MAX_NAMES:
                raise InvalidArchive(f"there are more than {MAX_NAMES} users")
        if key := conversion.thread_key(original):
            self._add_to_thread(key, message_number, original)

    def _add_to_thread(self, key: str, message_number: int, original: Original) -> None:
        sent_at = conversion.sent_at(original)
        thread = self.thread(key) or {
            "type": "thread", "id": key, "source": None, "title": "", "initial_number": message_number, "activities": 0,
            "internal_comments": 0, "external_comments": 0, "created_at": sent_at, "updated_at": sent_at,
        }  # fmt: skip
        state = original.get("thread")
        if isinstance(state, dict):
            thread |= conversion.thread_state(state)
            thread["source"] = self._source_id(state.get("source"), sent_at)
        elif not thread["title"]:
            thread["title"] = conversion.title(original)
        counters = {"activity": "activities", "discussion": "external_comments"}
        thread[counters.get(original["event"], "internal_comments")] += 1
        if sent_at >= thread["updated_at"]:
            thread |= conversion.last_message(original)
        # An upsert keeps the row's place in the order of first messages.
        upsert = "INSERT INTO thread VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET record = excluded.record"
        self._database.execute(upsert, [key, json.dumps(thread)])

    def _source_id(self, original: Any, created_at: str) -> int | None:
        if not isinstance(original, dict):
            return None
        key = digest(
            json.dumps([original.get("id"), original.get("name"), original.get("application")], sort_keys=True)
        )
        if key not in self.sources:
            if len(self.sources) >= MAX_NAMES:
                raise InvalidArchive(f"there are more than {MAX_NAMES} sources")
            self.sources[key] = FormerSource(len(self.sources) + 1, original, created_at)
        return int(self.sources[key].record["id"])
