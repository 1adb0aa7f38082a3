"""Addresses of repositories as people type and paste them: a web address, a git remote or only the path."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from .base import InvalidOrigin

HOST = re.compile(r"(?=.{1,253}$)[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::\d{1,5})?", re.ASCII)
# The first has ssh's port, which is not the web server's; the second is what git prints and people write.
REMOTES = (
    re.compile(r"ssh://git@(?P<host>[^:/]+):\d{1,5}/(?P<path>.+)"),
    re.compile(r"(?:ssh://)?git@(?P<host>[^:/]+)[:/](?P<path>.+)"),
)


@dataclass(frozen=True, slots=True)
class Address:
    """`host` is in lower case and has its port, if any; `segments` are the path's, without query and fragment."""

    scheme: str
    host: str
    segments: tuple[str, ...]


def parse_address(typed: str, home: str, is_host: Callable[[str], object], hint: str) -> Address:
    """Parse what a person typed. A path without a host is on `home`; `is_host` decides whether it begins with a host.

    Raises InvalidOrigin, with `hint` as the advice.
    """
    scheme, host, path = _parts(typed, home, is_host, hint)
    host = host.lower().removeprefix("www.")
    if scheme not in {"http", "https"} or not HOST.fullmatch(host):
        raise InvalidOrigin(f"This is not a web address. {hint}")
    segments = path.partition("?")[0].partition("#")[0].split("/")
    return Address("https" if host == home else scheme, host, tuple(filter(None, segments)))


def _parts(typed: str, home: str, is_host: Callable[[str], object], hint: str) -> tuple[str, str, str]:
    if remote := next(filter(None, (pattern.fullmatch(typed) for pattern in REMOTES)), None):
        return "https", remote["host"], remote["path"]
    if "://" in typed:
        try:
            parts = urlsplit(typed)
        except ValueError as error:
            raise InvalidOrigin(f"This is not a web address. {hint}") from error
        return parts.scheme.lower(), parts.netloc.rpartition("@")[2], parts.path
    first, _, rest = typed.partition("/")
    return ("https", first, rest) if is_host(first) else ("https", home, typed)
