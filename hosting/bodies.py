"""Bodies of requests while they arrive: small ones in memory, large ones in files, all of them within a budget."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path
from typing import IO

IN_MEMORY = 64 * 1024  # bytes of each body; the rest goes to a file


class NoRoom(Exception):
    """The budget is used up, or the disk is full. Large bodies can be taken again once others are done."""


class Bodies:
    """All bodies that a process holds, before it is known who sends them.

    `budget` is in bytes and counts what is in files; each address may use a quarter of it. Small bodies are always
    taken: their number is limited by that of the connections. Files lie in `folder`, without a name.
    """

    def __init__(self, folder: Path, budget: int) -> None:
        self.folder = folder
        self.budget = budget
        self._held = 0
        self._by_address: Counter[str] = Counter()

    def open(self, address: str) -> Body:
        return Body(self, address)

    def take(self, address: str, size: int) -> None:
        """Raises NoRoom."""
        if self._held + size > self.budget or self._by_address[address] + size > self.budget // 4:
            raise NoRoom
        self._held += size
        self._by_address[address] += size

    def give_back(self, address: str, size: int) -> None:
        self._held -= size
        self._by_address[address] -= size
        if not self._by_address[address]:
            del self._by_address[address]


class Body:
    """One body. `file` is at its start once `rewind` was called; `close` gives its room back."""

    def __init__(self, bodies: Bodies, address: str) -> None:
        self.size = 0
        self.file: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY, dir=str(bodies.folder))  # noqa: SIM115
        self._bodies, self._address = bodies, address
        self._taken = 0

    def write(self, data: bytes) -> None:
        """Raises NoRoom."""
        size = self.size + len(data)
        if size > IN_MEMORY:
            self._bodies.take(self._address, size - self._taken)
            self._taken = size
        try:
            self.file.write(data)
        except OSError as error:
            raise NoRoom from error
        self.size = size

    def rewind(self) -> None:
        self.file.seek(0)

    def close(self) -> None:
        self.file.close()
        self._bodies.give_back(self._address, self._taken)
        self._taken = 0
