"""The objects of a JSON array, read one at a time: the file may be larger than memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Any

from flowdock_server.parsing import strict_json
from flowdock_server.transfer import InvalidArchive
from flowdock_server.transfer.untrusted_json import MAX_LINE, TOO_DEEP, measure

MESSAGES = "messages.json"
CHUNK = 256 * 1024  # characters


def read_objects(file: IO[bytes]) -> Iterator[dict[str, Any]]:
    """The objects of the array in `file`. Raises InvalidArchive."""
    buffer = ""
    has_begun = False
    has_more = True
    count = 0
    while True:
        buffer = buffer.lstrip(" \t\r\n,")
        if not has_begun and buffer:
            buffer = buffer.removeprefix("\ufeff").lstrip()
            if not buffer.startswith("["):
                raise InvalidArchive(f"{MESSAGES} is not an array of messages")
            buffer, has_begun = buffer[1:], True
            continue
        if buffer.startswith("]"):
            return
        if buffer and (parsed := _parse_object(buffer, count + 1, has_more=has_more)):
            value, end = parsed
            count += 1
            yield value
            buffer = buffer[end:]
            continue
        if not has_more:
            raise InvalidArchive(f"{MESSAGES} ends before the end of its array")
        buffer, has_more = _read_more(file, buffer)


def _parse_object(buffer: str, position: int, *, has_more: bool) -> tuple[dict[str, Any], int] | None:
    """The object that `buffer` starts with, and where it ends; None if it goes on in what is still to be read."""
    try:
        value, end = strict_json.decode_first(buffer)
    except RecursionError:
        raise InvalidArchive(f"{MESSAGES}: message {position} in it is {TOO_DEEP}") from None
    except strict_json.NotFinite as error:
        raise InvalidArchive(f"{MESSAGES}: message {position} in it: {error}") from None
    except ValueError:
        if not has_more:
            raise InvalidArchive(f"{MESSAGES} ends inside a message, or is not valid JSON: {buffer[:100]}") from None
        if len(buffer) > MAX_LINE:
            raise InvalidArchive(
                f"{MESSAGES}: message {position} in it is longer than {MAX_LINE} characters, or not valid JSON"
            ) from None
        return None
    if not isinstance(value, dict):
        raise InvalidArchive(f"{MESSAGES} is not an array of messages: {str(value)[:100]}")
    try:
        measure(value)
    except InvalidArchive as error:
        raise InvalidArchive(f"{MESSAGES}: message {position} in it is {error}") from None
    return value, end


def _read_more(file: IO[bytes], buffer: str) -> tuple[str, bool]:
    """`buffer` and what follows it, and whether more may follow. It reads as much again: one object may be long."""
    chunk = file.read(max(CHUNK, len(buffer)))
    while chunk and (missing := _missing_bytes(chunk)) and (rest := file.read(missing)):
        chunk += rest
    try:
        return buffer + chunk.decode("utf-8"), bool(chunk)
    except UnicodeDecodeError:
        raise InvalidArchive(f"{MESSAGES} is not UTF-8") from None


def _missing_bytes(chunk: bytes) -> int:
    """How many bytes are missing of the last character."""
    for back in range(1, min(4, len(chunk)) + 1):
        byte = chunk[-back]
        if byte & 0b1100_0000 != 0b1000_0000:
            length = 1 if byte < 0x80 else 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return max(0, length - back)
    return 0
