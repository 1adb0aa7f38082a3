"""Empty values as clients send them, converted before pydantic validates a field."""

from typing import Any


def none_is_empty(value: Any) -> Any:
    """JSON's null, which clients send for a text that they do not have, as an empty text."""
    return "" if value is None else value


def none_is_no_entry(value: Any) -> Any:
    """JSON's null as an empty list."""
    return [] if value is None else value


def empty_is_none(value: Any) -> Any:
    """An empty text, which a form sends for a field that was not filled in, as an absent value."""
    return None if value == "" else value
