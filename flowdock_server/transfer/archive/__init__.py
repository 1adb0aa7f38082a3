"""An archive that Flowdock let people download, as the records that `loading.Loader` imports.

    files.py          the files in an archive: a zip, or a folder that links can lead out of
    messages_json.py  the messages, one after another, however long the file is
    survey.py         what has to come before the messages: users, sources, threads
    conversion.py     a message of Flowdock's as records

No description by Flowdock is left. What is known comes from converters that people published: there is one zip for each
flow. In it are `messages.json`, an array of messages in the API's form that names people only by number, and the files
that were posted. The names of people have to come from the API's list of an organization's users, saved while there was
one. Where a zip keeps the files is not known: a file is found by the end of its `path`, or by its name if only one file
has that.
"""

from __future__ import annotations

import base64
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from flowdock_server.parsing.storable import is_storable_json, replace_unstorable
from flowdock_server.transfer import FORMAT, InvalidArchive
from flowdock_server.transfer.export import PART
from flowdock_server.transfer.record_types import Record

from . import conversion
from .conversion import UUID_NAMESPACE, Original, error_location
from .files import ArchiveFiles, open_archive
from .messages_json import MESSAGES, read_objects
from .survey import Survey

# They tell a client that something has changed, and are not shown to people.
BOOKKEEPING = (
    "activity.user", "backend.user.block", "backend.user.join", "flow-add", "flow-change", "flow-remove", "presence",
    "user-edit",
)  # fmt: skip


class FlowdockArchive:
    """A zip, its unpacked folder, or a `messages.json` by itself.

    `users` are user objects of the API. An author who is not among them becomes "User 123", who cannot sign in.
    `skipped` counts the messages that are not imported, by event, and `links` the links in a folder.
    """

    def __init__(self, path: Path, into: tuple[str, str], users: list[Original], *, members: bool = False) -> None:
        self.path = path
        self.into = into
        self.users = {str(user["id"]): user for user in users}
        self.members = members
        self.skipped: Counter[str] = Counter()
        self.links = 0

    def records(self) -> Iterator[Record]:
        with open_archive(self.path, single_file_name=MESSAGES) as files, closing(Survey()) as survey:
            self.links = files.links
            found = files.find(MESSAGES)
            if found is None:
                raise InvalidArchive(f"it contains no {MESSAGES}")
            for original in self._messages(files, found):
                with error_location(original):
                    survey.add(original)
            yield from self._records_before_messages(survey)
            messages = self._messages(files, found)
            for original in messages if survey.is_ascending else survey.sort(messages):
                with error_location(original):
                    record = conversion.message(original, survey.thread, survey.users)
                yield record
            # Attachments refer to their messages.
            for original in self._messages(files, found):
                yield from _attachments(original, files)
            yield {"type": "end"}

    def _messages(self, files: ArchiveFiles, name: str) -> Iterator[Original]:
        self.skipped.clear()
        with files.open(name) as file:
            for original in read_objects(file):
                event = original.get("event")
                if not isinstance(event, str) or not conversion.is_number(original.get("id")):
                    raise InvalidArchive(f"{MESSAGES}: this is not a message with id and event: {str(original)[:100]}")
                if event in BOOKKEEPING or original.get("to"):
                    self.skipped[event] += 1
                else:
                    yield original if is_storable_json(original) else replace_unstorable(original)

    def _records_before_messages(self, survey: Survey) -> Iterator[Record]:
        organization, flow = self.into
        yield {"type": "export", "format": FORMAT}
        yield {"type": "organization", "name": organization, "parameterized_name": organization}
        yield {
            "type": "flow",
            "id": survey.flow_id or str(uuid.uuid5(UUID_NAMESPACE, "/".join(self.into))),
            "name": flow,
            "parameterized_name": flow,
            "last_number": survey.last_number,
        }
        for user in sorted(survey.users, key=int):
            yield conversion.user(user, self.users.get(user))
            if self.members and user in self.users:
                yield {"type": "colleague", "user": int(user)}
                read = survey.last_number
                yield {"type": "member", "user": int(user), "last_read_number": read, "inbox_read_number": read}
        for source in survey.sources.values():
            yield source.application
            yield source.record
        yield from survey.threads()


def _attachments(original: Original, files: ArchiveFiles) -> Iterator[Record]:
    """The records of the attachments of a message, each followed by those of its content."""
    with error_location(original):
        attachments = conversion.attachments(original)
    for record, file_name, path in attachments:
        yield record
        if found := files.find_attachment(file_name, path):
            with files.open(found) as file:
                while part := file.read(PART):
                    yield {"type": "bytes", "key": record["key"], "data": base64.b64encode(part).decode()}
