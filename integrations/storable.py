"""Makes text from outside storable in any database. Called only where such text enters."""

from __future__ import annotations

from typing import Any

MAX_DEPTH = 100  # lists and objects inside one another


def storable(text: str) -> str:
    """`text` without NUL and without lone surrogates, which databases and UTF-8 cannot contain."""
    if not text.isascii():
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")


def storable_json(value: Any, depth: int = 0) -> Any:
    """The same for every text in a JSON value, including names. Raises ValueError if it is nested too deeply."""
    if depth > MAX_DEPTH:
        raise ValueError(f"nested more than {MAX_DEPTH} levels deep")
    match value:
        case str():
            return storable(value)
        case dict():
            return {storable(name): storable_json(item, depth + 1) for name, item in value.items()}
        case list() | tuple():
            return [storable_json(item, depth + 1) for item in value]
        case _:
            return value
