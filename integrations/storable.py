"""Makes text from outside storable in any database. Called only where such text enters."""

from __future__ import annotations

from typing import Any


def storable(text: str) -> str:
    """`text` without NUL and without lone surrogates, which databases and UTF-8 cannot contain."""
    if not text.isascii():
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")


def storable_json(value: Any) -> Any:
    """The same for every text in a JSON value, including names. Raises RecursionError, as json.loads does."""
    match value:
        case str():
            return storable(value)
        case dict():
            return {storable(name): storable_json(item) for name, item in value.items()}
        case list() | tuple():
            return [storable_json(item) for item in value]
        case _:
            return value
