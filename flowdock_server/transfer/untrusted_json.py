"""JSON from an untrusted file: parsed within limits of length and depth, and read as values of the expected type."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Any

from flowdock_server.parsing import strict_json
from flowdock_server.parsing.storable import is_storable

from . import InvalidArchive

MAX_LINE = 8 * 1024 * 1024  # bytes of one line, characters of one message in messages.json
MAX_DEPTH = 32  # lists and objects inside one another
TOO_DEEP = f"nested more than {MAX_DEPTH} levels deep"


def parse(text: str | bytes) -> Any:
    """The JSON value in `text`. Raises InvalidArchive if it is not JSON or nested deeper than MAX_DEPTH."""
    try:
        value = strict_json.loads(text)
    except RecursionError:
        raise InvalidArchive(TOO_DEEP) from None
    except strict_json.NotFinite as error:
        raise InvalidArchive(str(error)) from None
    except ValueError:
        raise InvalidArchive("this is not valid JSON") from None
    measure(value)
    return value


def measure(value: Any) -> int:
    """The approximate number of bytes of memory that `value` takes. Raises InvalidArchive if nested too deeply."""
    total = 0
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        inner: list[Any] = []
        for each in level:
            total += 64
            if isinstance(each, str):
                total += len(each)
            elif isinstance(each, dict):
                total += sum(64 + len(name) for name in each)
                inner.extend(each.values())
            elif isinstance(each, list):
                inner.extend(each)
        if not inner:
            return total
        level = inner
    raise InvalidArchive(TOO_DEEP)


def read_lines(file: IO[bytes]) -> Iterator[bytes]:
    """The lines of `file`. Raises InvalidArchive for one that is longer than MAX_LINE."""
    number = 0
    while line := file.readline(MAX_LINE + 1):
        number += 1
        if len(line) > MAX_LINE:
            raise InvalidArchive(f"line {number}: longer than {MAX_LINE} bytes")
        yield line


# These return `value` if it has the expected type, else they raise InvalidArchive with `name`, what the file calls it.
# Null is the empty value.


def text(value: Any, name: str) -> str:
    """A number counts as text, as it does in the API."""
    if value is None:
        return ""
    if not isinstance(value, str | int | float):
        raise InvalidArchive(f"{name} must be a string")
    if isinstance(value, str) and not is_storable(value):
        raise InvalidArchive(f"{name} contains a character that cannot be stored")
    return str(value)


def number(value: Any, name: str) -> int:
    """A whole number from 0 to what a database can store. Flowdock's archives write some as text."""
    if isinstance(value, str) and len(value) < 20 and value.isascii() and value.isdecimal():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**63:
        raise InvalidArchive(f"{name} must be a whole number")
    return value


def mapping(value: Any, name: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidArchive(f"{name} must be an object")
    return value


def sequence(value: Any, name: str) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise InvalidArchive(f"{name} must be a list")
    return value
