"""Parse what a person types into a repository or organization, on github.com or an Enterprise server."""

from __future__ import annotations

import re

from integrations.services.addresses import parse_address
from integrations.services.base import InvalidOrigin

# GitHub's own limits. Accounts managed by an Enterprise contain an underscore.
OWNER = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,38})", re.ASCII)
REPOSITORY = re.compile(r"[A-Za-z0-9._-]{1,100}", re.ASCII)
GITHUB = "github.com"
ITS_HOST = re.compile(r"(?:www\.)?github\.com", re.IGNORECASE)
# First segments of GitHub's own pages, which cannot be account names.
PAGES = set(
    """
    about apps collections customer-stories dashboard enterprise events explore features issues join login marketplace
    new notifications pricing pulls search security sessions settings signup sponsors stars team topics trending
    """.split()  # noqa: SIM905 - a list of fifty lines reads worse
)
HINT = "Enter the repository as owner/name, such as octo/hello, or paste its address."
LONGEST = 255


def parse_origin(typed: str) -> tuple[str, str]:
    """Return the name, "octo/hello" (on other servers prefixed with the host), and the web address.

    An organization must be given by its address: a single word is more often half of a repository's name.
    """
    typed = typed.strip()
    if not typed:
        raise InvalidOrigin(HINT)
    address = parse_address(typed, GITHUB, ITS_HOST.fullmatch, HINT)
    owner, name = _owner_and_name(address.segments, typed)
    if address.host == GITHUB and owner.lower() in PAGES:
        raise InvalidOrigin(f"This is one of GitHub’s own pages, not a repository. {HINT}")
    path = "/".join(filter(None, (owner, name)))
    title = path if address.host == GITHUB else f"{address.host}/{path}"
    if len(title) > LONGEST:
        raise InvalidOrigin(f"This is too long for a repository. {HINT}")
    return title, f"{address.scheme}://{address.host}/{path}"


def _owner_and_name(parts: tuple[str, ...], typed: str) -> tuple[str, str]:
    """Owner and repository of a path, which may continue into the repository; no repository for an organization."""
    if parts[:1] == ("orgs",):
        parts = parts[1:2]
    if not parts or not OWNER.fullmatch(parts[0]):
        raise InvalidOrigin(HINT)
    if len(parts) == 1:
        if typed.rstrip("/") == parts[0]:
            raise InvalidOrigin(
                f"“{parts[0]}” names no repository. {HINT} For a whole organization, paste its address."
            )
        return parts[0], ""
    name = parts[1].removesuffix(".git")
    if not REPOSITORY.fullmatch(name) or name in {".", ".."}:
        raise InvalidOrigin(f"“{parts[1][:100]}” is not a valid repository name. {HINT}")
    return parts[0], name
