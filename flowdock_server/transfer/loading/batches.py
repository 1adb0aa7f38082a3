"""Records that are stored many at a time. Each is parsed when it is added, so that an error names its own line."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from flowdock_server.transfer import untrusted_json
from flowdock_server.transfer.record_types import Record

from .context import ImportContext

MAX_RECORDS = 500
MAX_MEMORY = 4 * 1024 * 1024  # bytes, approximately


class Batch(ABC):
    type_name: ClassVar[str]

    def __init__(self, context: ImportContext) -> None:
        self.context = context
        self._count = 0
        self._memory = 0

    @property
    def is_full(self) -> bool:
        return self._count >= MAX_RECORDS or self._memory > MAX_MEMORY

    def add(self, record: Record) -> None:
        self._memory += untrusted_json.measure(record)
        self._count += 1
        self._parse(record)

    def flush(self) -> None:
        """Store the records that were added."""
        if self._count:
            self._store()
            self._count = self._memory = 0

    def close(self) -> None:  # noqa: B027  (most batches hold nothing that needs closing)
        """Release what an import that failed has left open."""

    @abstractmethod
    def _parse(self, record: Record) -> None:
        """Keep what will be stored of `record`. Raises InvalidArchive."""

    @abstractmethod
    def _store(self) -> None:
        """Store what was kept, and forget it."""
