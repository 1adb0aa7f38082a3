"""Text that a database can store: not NUL, which PostgreSQL refuses, and no surrogates, which UTF-8 cannot encode."""

import re

# JSON can contain both, as escapes.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def is_storable(text: str) -> bool:
    return not _UNSTORABLE.search(text)
