"""What PEP 3333 guarantees to a WSGI application."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hosting.bodies import Bodies
from hosting.wsgi import Front

SCOPE = {
    "type": "http",
    "method": "GET",
    "path": "/",
    "query_string": b"",
    "http_version": "1.1",
    "scheme": "http",
    "headers": [],
}


class BreaksOff:
    """A response that fails before its first byte, like a file on a failed disk."""

    is_closed = False

    def __iter__(self) -> Iterator[bytes]:
        raise OSError("the disk is gone")

    def close(self) -> None:
        self.is_closed = True


class BreaksOffLater(BreaksOff):
    def __iter__(self) -> Iterator[bytes]:
        yield b"the beginning"
        raise OSError("the disk is gone")


@pytest.mark.parametrize("answer", [BreaksOffLater(), BreaksOff()], ids=["later", "at once"])
def test_response_that_fails_is_closed(tmp_path: Path, answer: BreaksOff) -> None:
    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> BreaksOff:
        start_response("200 OK", [])
        return answer

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        raise AssertionError("nothing was answered")

    front = Front(application, threads=1, bodies=Bodies(tmp_path, 1000), largest_body=lambda scope: 1000)
    with pytest.raises(OSError, match="the disk is gone"):
        asyncio.run(front(dict(SCOPE), receive, send))
    assert answer.is_closed
