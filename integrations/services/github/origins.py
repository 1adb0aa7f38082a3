"""From what a person types to the repository or organisation that it names, on github.com or an Enterprise server."""

from __future__ import annotations

import re

from integrations.services.addresses import read_address
from integrations.services.base import InvalidOrigin

# GitHub's own limits; an underscore stands in the accounts that an Enterprise manages.
OWNER = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,38})", re.ASCII)
REPOSITORY = re.compile(r"[A-Za-z0-9._-]{1,100}", re.ASCII)
GITHUB = "github.com"
ITS_HOST = re.compile(r"(?:www\.)?github\.com", re.IGNORECASE)
# First segments of GitHub's own pages, which are nobody's name.
PAGES = set(
    """
    about apps collections customer-stories dashboard enterprise events explore features issues join login marketplace
    new notifications pricing pulls search security sessions settings signup sponsors stars team topics trending
    """.split()  # noqa: SIM905 - a list of fifty lines reads worse
)
HOW = "Type the repository as owner/name, such as octo/hello, or paste its address."
LONGEST = 255


def origin(typed: str) -> tuple[str, str]:
    """The name ("octo/hello"; elsewhere than on github.com with the host before it) and the web address.

    A whole organisation is taken by its address only: a single word is more often half of a repository's name.
    """
    typed = typed.strip()
    if not typed:
        raise InvalidOrigin(HOW)
    address = read_address(typed, GITHUB, ITS_HOST.fullmatch, HOW)
    owner, name = _owner_and_name(address.segments, typed)
    if address.host == GITHUB and owner.lower() in PAGES:
        raise InvalidOrigin(f"That is a page of GitHub’s own. {HOW}")
    whole = "/".join(filter(None, (owner, name)))
    title = whole if address.host == GITHUB else f"{address.host}/{whole}"
    if len(title) > LONGEST:
        raise InvalidOrigin(f"That is too long to be a repository. {HOW}")
    return title, f"{address.scheme}://{address.host}/{whole}"


def _owner_and_name(parts: tuple[str, ...], typed: str) -> tuple[str, str]:
    """Owner and repository of a path, which may go on into the repository; without a repository, of an organisation."""
    if parts[:1] == ("orgs",):
        parts = parts[1:2]
    if not parts or not OWNER.fullmatch(parts[0]):
        raise InvalidOrigin(HOW)
    if len(parts) == 1:
        if typed.rstrip("/") == parts[0]:
            raise InvalidOrigin(
                f"“{parts[0]}” has no repository in it. {HOW} For a whole organisation, paste its address."
            )
        return parts[0], ""
    name = parts[1].removesuffix(".git")
    if not REPOSITORY.fullmatch(name) or name in {".", ".."}:
        raise InvalidOrigin(f"“{parts[1][:100]}” cannot be a repository’s name. {HOW}")
    return parts[0], name
