"""Ids and numbers of messages, as addresses, queries and forms spell them."""

# No id or number is larger. SQLite raises OverflowError on what exceeds 64 bits.
LARGEST = 2**62
_MAX_DIGITS = 18  # always below LARGEST


def whole_number(text: str) -> int | None:
    """The number in `text`; None where it is anything but ASCII digits, or too long for an id."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _MAX_DIGITS else None
