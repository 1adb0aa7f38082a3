"""Text from outside as a database can hold it: called where such text enters, and nowhere else."""

from __future__ import annotations

from typing import Any


def storable(text: str) -> str:
    """`text` without NUL and without halves of surrogate pairs, which no database and no UTF-8 can hold."""
    if not text.isascii():
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")


def storable_json(value: Any) -> Any:
    """The same for every text in a JSON value, names included. Raises RecursionError as json.loads does."""
    match value:
        case str():
            return storable(value)
        case dict():
            return {storable(name): storable_json(item) for name, item in value.items()}
        case list() | tuple():
            return [storable_json(item) for item in value]
        case _:
            return value
