"""Names of organizations and flows in URLs."""

from django.utils.text import slugify

# Used by paths of pages and the API in the place of an organization's name.
RESERVED = frozenset({"private", "all", "find"})


def parameterized(name: str) -> str:
    """Convert "Böring & Söns" to "boring-sons": lower case, without accents, and hyphens in place of other characters.

    Empty if nothing is left, as for a name in Chinese.
    """
    return slugify(name)[:100].strip("-")
