"""Ids of rows, as people and other programs write them in addresses."""

from __future__ import annotations

MAX_DIGITS = 18  # every database can store as many


def parse_id(text: str) -> int | None:
    """The id that `text` writes in plain decimal digits, or None."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS else None
