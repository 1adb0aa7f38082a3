"""Names of organizations and flows as addresses spell them."""

from django.utils.text import slugify

# What stands in addresses, of pages and of the API, where others have an organization.
RESERVED = frozenset({"private", "all", "find"})


def parameterized(name: str) -> str:
    """ "Böring & Söns" gives "boring-sons": lower case, accents dropped, hyphens for what no address should hold.

    Empty where nothing is left, as of a name in Chinese.
    """
    return slugify(name)[:100].strip("-")
