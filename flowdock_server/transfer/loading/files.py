"""Attachments of messages, and the content of their files, which comes in parts."""

from __future__ import annotations

import base64
import re
import tempfile
from typing import IO

from django.core.files.base import File
from django.core.files.storage import storages
from django.db import transaction

from flowdock_server.models import Attachment
from flowdock_server.posting import search
from flowdock_server.posting.files import THUMBNAIL_ENDING
from flowdock_server.transfer import InvalidArchive, untrusted_json
from flowdock_server.transfer.record_types import ATTACHMENT, Record

from .batches import Batch
from .context import ImportContext

_KEY = re.compile(r"\A[\w-]{16,64}\Z", re.ASCII)


@transaction.atomic
def load_attachment(record: Record, context: ImportContext) -> None:
    values = ATTACHMENT.values(record, {"message": context.optional_message, "uploaded_by": context.optional_user})
    key = context.storage_key(_checked_key(values.pop("key")))
    attachment, is_new = Attachment.objects.get_or_create(key=key, defaults=values | {"flow": context.flow})
    if attachment.flow_id != context.flow.pk:
        raise InvalidArchive(f"attachment {key} belongs to another flow")
    context.created[ATTACHMENT.name] += is_new
    if is_new and attachment.message:
        # People can search for its name.
        search.add([attachment.message])


class ContentBatch(Batch):
    """The parts of one file, in a temporary file until its last part was added. A thumbnail is a file of its own."""

    type_name = "bytes"

    def __init__(self, context: ImportContext) -> None:
        super().__init__(context)
        self._key = ""
        self._file: IO[bytes] | None = None

    @property
    def is_full(self) -> bool:
        return False  # it takes no memory

    def _parse(self, record: Record) -> None:
        name = untrusted_json.text(record.get("key"), "bytes.key")
        data = untrusted_json.text(record.get("data"), "bytes.data")
        attachment_name = _checked_key(name.removesuffix(THUMBNAIL_ENDING))
        key = self.context.storage_key(name)
        if self._file and key != self._key:
            self._store()
        if self._file is None:
            attachment = Attachment.objects.filter(flow=self.context.flow, key=key.removesuffix(THUMBNAIL_ENDING))
            if not attachment.exists():
                raise InvalidArchive(f"it is content of attachment {attachment_name}, which no earlier line defines")
            self._key, self._file = key, tempfile.TemporaryFile()  # noqa: SIM115  (close() closes it)
        self._file.write(_decoded(data))

    def _store(self) -> None:
        storage = storages["attachments"]
        if self._file and not storage.exists(self._key):
            self._file.seek(0)
            storage.save(self._key, File(self._file))
            self.context.created["file"] += 1
        self.close()

    def close(self) -> None:
        if self._file:
            self._file.close()
            self._file = None


def _checked_key(key: str) -> str:
    """`key`, if it can be the name of a file in the storage and not a path that leads elsewhere."""
    if not _KEY.match(key):
        raise InvalidArchive(f"{key!r} is not the key of a file")
    return key


def _decoded(data: str) -> bytes:
    try:
        return base64.b64decode(data, validate=True)
    except ValueError:  # binascii.Error is one, and so is the error for text that is not ASCII
        raise InvalidArchive("bytes.data is not valid Base64") from None
