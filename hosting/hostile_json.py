"""Parses JSON from outside, which may be nested so deeply that the parser gives up with RecursionError.

In Python 3.11 the garbage collector may run inside the parser. Where that is about to give up, the callbacks of
`weakref.finalize` fail with RecursionError as well, and are lost. So no garbage is collected meanwhile.
"""

from __future__ import annotations

import contextlib
import gc
import json
import threading
from collections.abc import Iterator
from typing import Any


class _Pause:
    """Keeps the garbage collector disabled while any thread needs that, unless it was disabled before."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.users = 0
        self.was_enabled = False

    def begin(self) -> None:
        with self.lock:
            if not self.users:
                self.was_enabled = gc.isenabled()
                gc.disable()
            self.users += 1

    def end(self) -> None:
        with self.lock:
            self.users -= 1
            if not self.users and self.was_enabled:
                gc.enable()


_pause = _Pause()


@contextlib.contextmanager
def collection_paused() -> Iterator[None]:
    """Collect no garbage in the block, which parses JSON. It takes a microsecond."""
    _pause.begin()
    try:
        yield
    finally:
        _pause.end()


def loads(text: str | bytes, **options: Any) -> Any:
    """Parse `text`. Raises ValueError if it is not JSON, and RecursionError if it is nested too deeply."""
    with collection_paused():
        return json.loads(text, **options)
