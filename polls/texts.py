"""Cleaning of typed texts: no control characters, no direction overrides, normalized spaces."""

from __future__ import annotations

import re
import unicodedata

# Overrides of the text direction, which would also turn what follows.
DIRECTIONS = "\u202a-\u202e\u2066-\u2069"
# Control characters, NUL, which PostgreSQL rejects, and lone surrogates, which UTF-8 cannot encode.
UNWANTED = re.compile(f"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff{DIRECTIONS}]")


def clean_line(text: str) -> str:
    return " ".join(UNWANTED.sub("", text).split())


def clean_text(text: str) -> str:
    """A text of several lines, with `\\n` as line ends and without trailing spaces."""
    return "\n".join(line.rstrip() for line in UNWANTED.sub("", text).splitlines()).strip()


def normalized(text: str) -> str:
    """The same key for texts that look the same to a reader: "Pizza", "PIZZA" and "pi\\u200bzza".

    Empty if no character is visible. The database cannot do this, because SQLite only folds the case of ASCII.
    """
    visible = "".join(char for char in unicodedata.normalize("NFC", text) if unicodedata.category(char) != "Cf")
    return unicodedata.normalize("NFC", clean_line(visible).casefold())
