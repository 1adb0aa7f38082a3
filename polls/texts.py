"""What people type, as it is kept: no control characters, no overrides of the writing direction, blanks in order."""

from __future__ import annotations

import re
import unicodedata

# Left open, they turn the direction of whatever stands beside the text.
DIRECTIONS = "\u202a-\u202e\u2066-\u2069"
# Also what no database takes: NUL, and half of a surrogate pair.
UNWANTED = re.compile(f"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff{DIRECTIONS}]")


def clean_line(text: str) -> str:
    return " ".join(UNWANTED.sub("", text).split())


def clean_text(text: str) -> str:
    """Several lines: ends of lines as `\\n`, nothing blank at the ends of a line or of the text."""
    return "\n".join(line.rstrip() for line in UNWANTED.sub("", text).splitlines()).strip()


def normalized(text: str) -> str:
    """The key under which two texts are one to a reader: "Pizza", "PIZZA" and "pi\\u200bzza".

    Empty where there is nothing to see. Not left to the database: SQLite knows the case of ASCII only. Folding makes
    a character three at most.
    """
    seen = "".join(sign for sign in unicodedata.normalize("NFC", text) if unicodedata.category(sign) != "Cf")
    return unicodedata.normalize("NFC", clean_line(seen).casefold())
