"""JSON of strangers: how much of it is read at a time, how deep it may be nested, and values of the expected type."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Any

from flowdock_server.parsing import strict_json

from . import Unfit

MAX_LINE = 8 * 1024 * 1024  # bytes of one line, characters of one message in messages.json
MAX_DEPTH = 32  # lists and objects inside one another
TOO_DEEP = "nested too deeply"


def parse(text: str | bytes) -> Any:
    """The JSON value in `text`, at most MAX_DEPTH deep. Raises Unfit."""
    try:
        value = strict_json.loads(text)
    except RecursionError:
        raise Unfit(TOO_DEEP) from None
    except strict_json.NotFinite as error:
        raise Unfit(str(error)) from None
    except ValueError:
        raise Unfit("this is not valid JSON") from None
    weigh(value)
    return value


def weigh(value: Any) -> int:
    """About how many bytes of memory `value` takes. Raises Unfit if it is nested too deeply."""
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
    raise Unfit(TOO_DEEP)


def lines(file: IO[bytes]) -> Iterator[bytes]:
    """The lines of `file`, none of them longer than MAX_LINE. Raises Unfit."""
    number = 0
    while line := file.readline(MAX_LINE + 1):
        number += 1
        if len(line) > MAX_LINE:
            raise Unfit(f"line {number}: longer than {MAX_LINE} bytes")
        yield line


def is_storable(value: Any) -> bool:
    """Whether all its texts can be stored: PostgreSQL takes no NUL, and nothing takes half of a character."""
    if isinstance(value, str):
        try:
            return b"\0" not in value.encode()
        except UnicodeEncodeError:
            return False
    if isinstance(value, dict):
        return all(is_storable(name) and is_storable(part) for name, part in value.items())
    return all(map(is_storable, value)) if isinstance(value, list) else True


# Each raises Unfit, with `name` in its text, for a value of another type. Null is the empty value.


def text(value: Any, name: str) -> str:
    """Numbers count as texts, as they do in the API."""
    if value is None:
        return ""
    if not isinstance(value, str | int | float):
        raise Unfit(f"{name} must be a string")
    if not is_storable(value):
        raise Unfit(f"{name} contains a character that cannot be stored")
    return str(value)


def number(value: Any, name: str) -> int:
    """A whole number from 0 up to what a database can store; in an archive it may be written as a text."""
    if isinstance(value, str) and len(value) < 20 and value.isascii() and value.isdecimal():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**63:
        raise Unfit(f"{name} must be a whole number")
    return value


def mapping(value: Any, name: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Unfit(f"{name} must be an object")
    return value


def sequence(value: Any, name: str) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise Unfit(f"{name} must be a list")
    return value
