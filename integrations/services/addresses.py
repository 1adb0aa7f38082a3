"""Addresses of repositories as people type and paste them: a web address, a git remote, or the mere path."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from .base import InvalidOrigin

HOST = re.compile(r"(?=.{1,253}$)[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::\d{1,5})?", re.ASCII)
# The first is an address with the port that ssh uses, which is not the web's; the second what git and people write.
REMOTES = (
    re.compile(r"ssh://git@(?P<host>[^:/]+):\d{1,5}/(?P<path>.+)"),
    re.compile(r"(?:ssh://)?git@(?P<host>[^:/]+)[:/](?P<path>.+)"),
)


@dataclass(frozen=True, slots=True)
class Typed:
    """`host` in small letters and with its port where it has one, `segments` of the path without query and fragment."""

    scheme: str
    host: str
    segments: tuple[str, ...]


def read_address(typed: str, home: str, is_host: Callable[[str], object], how: str) -> Typed:
    """What `typed` names: on `home` unless it says where, or begins with what `is_host` takes for a host.

    Raises InvalidOrigin, with `how` to type it.
    """
    scheme, where, path = _parts(typed, home, is_host, how)
    where = where.lower().removeprefix("www.")
    if scheme not in {"http", "https"} or not HOST.fullmatch(where):
        raise InvalidOrigin(f"That is no web address. {how}")
    segments = path.partition("?")[0].partition("#")[0].split("/")
    return Typed("https" if where == home else scheme, where, tuple(filter(None, segments)))


def _parts(typed: str, home: str, is_host: Callable[[str], object], how: str) -> tuple[str, str, str]:
    if remote := next(filter(None, (pattern.fullmatch(typed) for pattern in REMOTES)), None):
        return "https", remote["host"], remote["path"]
    if "://" in typed:
        try:
            parts = urlsplit(typed)
        except ValueError as error:
            raise InvalidOrigin(f"That is no web address. {how}") from error
        return parts.scheme.lower(), parts.netloc.rpartition("@")[2], parts.path
    first, _, rest = typed.partition("/")
    return ("https", first, rest) if is_host(first) else ("https", home, typed)
