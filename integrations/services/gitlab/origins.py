"""From what a person types to the project, group or instance that it names, on gitlab.com or a server of their own."""

from __future__ import annotations

import re

from integrations.services.addresses import read_address
from integrations.services.base import InvalidOrigin

GITLAB = "gitlab.com"
# What begins like a host: with a name that ends like one, or with a port.
ITS_HOST = re.compile(r"(?:[a-z0-9-]+\.)+[a-z]{2,}(?::\d{1,5})?|[a-z0-9.-]+:\d{1,5}", re.IGNORECASE | re.ASCII)
# GitLab's own limits for the parts of a path.
PART = re.compile(r"[A-Za-z0-9_.](?:[A-Za-z0-9_.-]{0,253}[A-Za-z0-9_.])?", re.ASCII)
# First segments of GitLab's own pages, which are nobody's name; of gitlab.com's too.
PAGES = set(
    """
    admin api dashboard explore help import jwt oauth profile projects pricing search sitemap snippets users
    """.split()  # noqa: SIM905 - as in the list that it is taken from
)
# Before "/-/" came into addresses, a project's pages followed its path at once.
OLD_PAGES = set("blob commit commits compare issues jobs merge_requests pipelines raw tags tree wikis".split())  # noqa: SIM905
HOW = "Type the project as group/project, such as octo/website, or paste the address of a project or a group."
LONGEST = 255


def origin(typed: str) -> tuple[str, str]:
    """The name ("octo/website"; elsewhere than on gitlab.com with the host before it) and the web address.

    A group is taken by its address only: a single word is more often half of a project's name. So is a whole instance,
    for system hooks; gitlab.com has none for its users.
    """
    typed = typed.strip()
    if not typed:
        raise InvalidOrigin(HOW)
    address = read_address(typed, GITLAB, ITS_HOST, HOW)
    parts = _path(address.segments)
    if not parts and address.host == GITLAB:
        raise InvalidOrigin(f"That is all of gitlab.com, which sends nobody its system hooks. {HOW}")
    if len(parts) == 1 and typed.strip("/") == parts[0]:
        raise InvalidOrigin(f"“{parts[0]}” has no project in it. {HOW}")
    if parts and parts[0].lower() in PAGES:
        raise InvalidOrigin(f"That is a page of GitLab’s own. {HOW}")
    whole = "/".join(parts)
    title = whole if address.host == GITLAB else "/".join(filter(None, (address.host, whole)))
    if len(title) > LONGEST:
        raise InvalidOrigin(f"That is too long to be a project. {HOW}")
    return title, f"{address.scheme}://{address.host}{f'/{whole}' if whole else ''}"


def _path(segments: tuple[str, ...]) -> list[str]:
    """The path of a project or a group, of an address which may go on into it."""
    parts = list(segments)
    if parts[:1] == ["groups"]:
        del parts[0]
    if "-" in parts:
        del parts[parts.index("-") :]
    for index, part in enumerate(parts):
        if index >= 2 and part in OLD_PAGES:
            del parts[index:]
            break
    if len(parts) > 1:
        parts[-1] = parts[-1].removesuffix(".git")
    for part in parts:
        if not PART.fullmatch(part) or part in {".", ".."} or part.endswith((".git", ".atom")):
            raise InvalidOrigin(f"“{part[:100]}” cannot be part of a project’s path. {HOW}")
    return parts
