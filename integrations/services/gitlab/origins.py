"""Parse what a person types into a project, group or instance, on gitlab.com or a self-managed server."""

from __future__ import annotations

import re

from integrations.services.addresses import parse_address
from integrations.services.base import InvalidOrigin

GITLAB = "gitlab.com"
GROUP = "groups"
# What looks like a host: a name with a dot, an IP address, or anything with a port.
ITS_HOST = re.compile(
    r"(?:(?:[a-z0-9-]+\.)+[a-z]{2,}|(?:\d{1,3}\.){3}\d{1,3})(?::\d{1,5})?|[a-z0-9.-]+:\d{1,5}", re.IGNORECASE | re.ASCII
)
# GitLab's own limits for the parts of a path.
PART = re.compile(r"[A-Za-z0-9_.](?:[A-Za-z0-9_.-]{0,253}[A-Za-z0-9_.])?", re.ASCII)
# First segments of GitLab's own pages and of gitlab.com's, which cannot be names.
PAGES = set(
    """
    admin api dashboard explore help import jwt oauth profile projects pricing search sitemap snippets users
    """.split()  # noqa: SIM905 - a list of so many reads worse
)
# Older addresses have no "/-/" between a project's path and its pages.
OLD_PAGES = set("blob commit commits compare issues jobs merge_requests pipelines raw tags tree wikis".split())  # noqa: SIM905
HINT = "Enter the project as group/project, such as octo/website, or paste the address of a project or a group."
LONGEST = 255


def parse_origin(typed: str) -> tuple[str, str]:
    """Return the name and the web address of a project, of a group, or of an instance for its system hooks.

    The name is "octo/website" or "groups/octo", on other servers than gitlab.com prefixed with the host. The name of an
    instance is its host. A returned name can be parsed again.
    """
    typed = typed.strip()
    if not typed:
        raise InvalidOrigin(HINT)
    address = parse_address(typed, GITLAB, ITS_HOST.fullmatch, HINT)
    is_group = address.segments[:1] == (GROUP,)
    parts = _path(address.segments[1:] if is_group else address.segments)
    if not parts and (is_group or address.host == GITLAB):
        raise InvalidOrigin(HINT)
    if len(parts) == 1 and not is_group:
        if typed.strip("/") == parts[0]:
            raise InvalidOrigin(f"“{parts[0]}” names no project. {HINT}")
        is_group = True
    if parts and parts[0].lower() in PAGES:
        raise InvalidOrigin(f"This is one of GitLab’s own pages, not a project. {HINT}")
    path = "/".join([GROUP, *parts] if is_group else parts)
    title = "/".join(filter(None, ("" if address.host == GITLAB else address.host, path)))
    if len(title) > LONGEST:
        raise InvalidOrigin(f"This is too long for a project. {HINT}")
    return title, f"{address.scheme}://{address.host}{f'/{path}' if path else ''}"


def _path(segments: tuple[str, ...]) -> list[str]:
    """The path of the project or group in an address that may continue into it."""
    parts = list(segments)
    if "-" in parts:
        del parts[parts.index("-") :]
    if old := next((index for index, part in enumerate(parts) if index > 1 and part in OLD_PAGES), None):
        del parts[old:]
    if len(parts) > 1:
        parts[-1] = parts[-1].removesuffix(".git")
    for part in parts:
        if not PART.fullmatch(part) or part in {".", ".."}:
            raise InvalidOrigin(f"“{part[:100]}” is not valid in a project’s path. {HINT}")
    return parts
