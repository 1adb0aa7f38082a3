"""Reads the output of a driver that prints a line of JSON for each message of a stream, while it runs."""

from __future__ import annotations

import json
import queue
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from .conftest import Flowdock

PATIENCE = 30.0  # seconds


class Heard:
    """The output of the driver so far."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self._lines: queue.Queue[Any] = queue.Queue()
        self._errors: list[str] = []
        for stream, take in ((process.stdout, self._take), (process.stderr, self._errors.append)):
            threading.Thread(
                target=lambda stream=stream, take=take: [take(line) for line in stream], daemon=True
            ).start()

    def _take(self, line: str) -> None:
        self._lines.put(json.loads(line))

    def until(self, wanted: Callable[[Any], bool], what: str, patience: float = PATIENCE) -> Any:
        """The first message that is `wanted`; earlier ones are dropped. Fails after the timeout."""
        deadline = time.monotonic() + patience
        seen = []
        while (left := deadline - time.monotonic()) > 0:
            try:
                said = self._lines.get(timeout=min(left, 0.5))
            except queue.Empty:
                if self.process.poll() is not None:
                    break
                continue
            if wanted(said):
                return said
            seen.append(said)
        raise AssertionError(f"waited in vain for {what}; heard {seen}; {''.join(self._errors)}")

    def say(self, line: Any) -> None:
        assert self.process.stdin
        self.process.stdin.write(json.dumps(line) + "\n")
        self.process.stdin.flush()


@contextmanager
def hearing(process: subprocess.Popen[str]) -> Iterator[Heard]:
    try:
        yield Heard(process)
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream:
                stream.close()


def said_until_heard(flowdock: Flowdock, heard: Heard, content: str) -> Any:
    """Post `content` repeatedly until the stream receives it, since some clients do not report an open stream."""
    for _ in range(10):
        flowdock.say(content)
        try:
            return heard.until(lambda line: content in str(line), "the message", patience=PATIENCE / 10)
        except AssertionError:
            if heard.process.poll() is not None:
                raise
    raise AssertionError(f"{content!r} was never heard")
