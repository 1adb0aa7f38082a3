"""Empty values as clients send them, converted before pydantic validates a field."""

from typing import Any


def none_is_empty(value: Any) -> Any:
    """Convert null, which clients send for a missing string, to an empty string."""
    return "" if value is None else value


def none_is_no_entry(value: Any) -> Any:
    """Convert null to an empty list."""
    return [] if value is None else value


def empty_is_none(value: Any) -> Any:
    """Convert an empty string, which forms send for an empty field, to None."""
    return None if value == "" else value
