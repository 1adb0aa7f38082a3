"""Ids and message numbers in paths, queries and forms."""

# No id or number is larger. SQLite raises OverflowError for numbers of more than 64 bits.
LARGEST = 2**62
_MAX_DIGITS = 18  # always below LARGEST


def whole_number(text: str) -> int | None:
    """The number in `text`; None if it has other characters than ASCII digits or is too long for an id."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _MAX_DIGITS else None
