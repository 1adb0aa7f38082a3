"""Request bodies while they arrive: small ones in memory, large ones in files, within a budget."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path
from typing import IO

IN_MEMORY = 64 * 1024  # bytes; a larger body goes to a file


class NoRoom(Exception):
    """The budget is used up, or the disk is full. Large bodies are accepted again when others are done."""


class Bodies:
    """All bodies that a process is receiving, from clients that are not authenticated yet.

    `budget` is the number of bytes in files; each address may use a quarter of it. Small bodies are always accepted:
    the number of connections limits them. Files are created in `folder`, without a name.
    """

    def __init__(self, folder: Path, budget: int) -> None:
        self.folder = folder
        self.budget = budget
        self._held = 0
        self._by_address: Counter[str] = Counter()

    def open(self, address: str) -> Body:
        return Body(self, address)

    def reserve(self, address: str, size: int) -> None:
        """Raises NoRoom."""
        if self._held + size > self.budget or self._by_address[address] + size > self.budget // 4:
            raise NoRoom
        self._held += size
        self._by_address[address] += size

    def release(self, address: str, size: int) -> None:
        self._held -= size
        self._by_address[address] -= size
        if not self._by_address[address]:
            del self._by_address[address]


class Body:
    """One body. Call `rewind` before reading `file`, and `close` to release its part of the budget."""

    def __init__(self, bodies: Bodies, address: str) -> None:
        self.size = 0
        self.file: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY, dir=str(bodies.folder))  # noqa: SIM115
        self._bodies, self._address = bodies, address
        self._reserved = 0

    def write(self, data: bytes) -> None:
        """Raises NoRoom."""
        size = self.size + len(data)
        if size > IN_MEMORY:
            self._bodies.reserve(self._address, size - self._reserved)
            self._reserved = size
        try:
            self.file.write(data)
        except OSError as error:
            raise NoRoom from error
        self.size = size

    def rewind(self) -> None:
        self.file.seek(0)

    def close(self) -> None:
        self.file.close()
        self._bodies.release(self._address, self._reserved)
        self._reserved = 0
