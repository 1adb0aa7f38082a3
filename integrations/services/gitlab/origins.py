"""From what a person types to the project, group or instance that it names, on gitlab.com or a server of their own."""

from __future__ import annotations

import re

from integrations.services.addresses import read_address
from integrations.services.base import InvalidOrigin

GITLAB = "gitlab.com"
GROUP = "groups"
# What begins like a host: a name with a dot, an address in numbers, or a port.
ITS_HOST = re.compile(
    r"(?:(?:[a-z0-9-]+\.)+[a-z]{2,}|(?:\d{1,3}\.){3}\d{1,3})(?::\d{1,5})?|[a-z0-9.-]+:\d{1,5}", re.IGNORECASE | re.ASCII
)
# GitLab's own limits for the parts of a path.
PART = re.compile(r"[A-Za-z0-9_.](?:[A-Za-z0-9_.-]{0,253}[A-Za-z0-9_.])?", re.ASCII)
# First segments of GitLab's own pages, which are nobody's name; of gitlab.com's too.
PAGES = set(
    """
    admin api dashboard explore help import jwt oauth profile projects pricing search sitemap snippets users
    """.split()  # noqa: SIM905 - a list of so many reads worse
)
# Before "/-/" came into addresses, a project's pages followed its path at once.
OLD_PAGES = set("blob commit commits compare issues jobs merge_requests pipelines raw tags tree wikis".split())  # noqa: SIM905
HOW = "Type the project as group/project, such as octo/website, or paste the address of a project or a group."
LONGEST = 255


def origin(typed: str) -> tuple[str, str]:
    """The name and the web address of a project, of a group, or of an instance for its system hooks.

    The name is "octo/website" or "groups/octo", and elsewhere than on gitlab.com the host comes before it; an
    instance's name is its host. A name that this gave may be typed again.
    """
    typed = typed.strip()
    if not typed:
        raise InvalidOrigin(HOW)
    address = read_address(typed, GITLAB, ITS_HOST.fullmatch, HOW)
    is_group = address.segments[:1] == (GROUP,)
    parts = _path(address.segments[1:] if is_group else address.segments)
    if not parts and (is_group or address.host == GITLAB):
        raise InvalidOrigin(HOW)
    if len(parts) == 1 and not is_group:
        if typed.strip("/") == parts[0]:
            raise InvalidOrigin(f"“{parts[0]}” has no project in it. {HOW}")
        is_group = True
    if parts and parts[0].lower() in PAGES:
        raise InvalidOrigin(f"That is a page of GitLab’s own. {HOW}")
    whole = "/".join([GROUP, *parts] if is_group else parts)
    title = "/".join(filter(None, ("" if address.host == GITLAB else address.host, whole)))
    if len(title) > LONGEST:
        raise InvalidOrigin(f"That is too long to be a project. {HOW}")
    return title, f"{address.scheme}://{address.host}{f'/{whole}' if whole else ''}"


def _path(segments: tuple[str, ...]) -> list[str]:
    """The path of a project or a group, of an address which may go on into it."""
    parts = list(segments)
    if "-" in parts:
        del parts[parts.index("-") :]
    if old := next((index for index, part in enumerate(parts) if index > 1 and part in OLD_PAGES), None):
        del parts[old:]
    if len(parts) > 1:
        parts[-1] = parts[-1].removesuffix(".git")
    for part in parts:
        if not PART.fullmatch(part) or part in {".", ".."}:
            raise InvalidOrigin(f"“{part[:100]}” cannot be part of a project’s path. {HOW}")
    return parts
