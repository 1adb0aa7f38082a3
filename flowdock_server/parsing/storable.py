"""Text that a database can store: without NUL, which PostgreSQL refuses, and surrogates, which UTF-8 cannot encode.

JSON can contain both, as escapes.
"""

import re
from typing import Any

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def is_storable(text: str) -> bool:
    return not _UNSTORABLE.search(text)


def is_storable_json(value: Any) -> bool:
    """Whether every text in `value`, as json.loads() returns it, can be stored."""
    if isinstance(value, str):
        return is_storable(value)
    if isinstance(value, dict):
        return all(is_storable(name) and is_storable_json(item) for name, item in value.items())
    return all(map(is_storable_json, value)) if isinstance(value, list) else True


def replace_unstorable(value: Any) -> Any:
    """`value`, as json.loads() returns it, with a question mark for each character that cannot be stored."""
    if isinstance(value, str):
        return _UNSTORABLE.sub("?", value)
    if isinstance(value, dict):
        return {replace_unstorable(name): replace_unstorable(item) for name, item in value.items()}
    return [replace_unstorable(item) for item in value] if isinstance(value, list) else value
