"""Bytes that are sent as chunks of their own, but in one write."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property


class Parts:
    """Parts of a body. Many responses can share them, and what is made of them is made once."""

    def __init__(self, parts: Iterable[bytes]) -> None:
        self.parts = tuple(parts)

    @cached_property
    def body(self) -> bytes:
        return self.parts[0] if len(self.parts) == 1 else b"".join(self.parts)

    @cached_property
    def chunks(self) -> bytes:
        """Each part as a chunk of HTTP/1.1. Empty parts are left out, since an empty chunk ends a body."""
        pieces = [piece for part in self.parts if part for piece in (b"%x\r\n" % len(part), part, b"\r\n")]
        return b"".join(pieces)
