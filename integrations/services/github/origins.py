"""From what a person types to the repository or organisation that it names, on github.com or an Enterprise server."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from integrations.services.base import InvalidOrigin

# GitHub's own limits; an underscore stands in the accounts that an Enterprise manages.
OWNER = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,38})", re.ASCII)
REPOSITORY = re.compile(r"[A-Za-z0-9._-]{1,100}", re.ASCII)
HOST = re.compile(r"(?=.{1,253}$)[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::\d{1,5})?", re.ASCII)
REMOTE = re.compile(r"(?:ssh://)?git@(?P<host>[^:/]+)[:/](?P<path>.+)")
GITHUB = "github.com"
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
    scheme, host, path = _address(typed)
    owner, name = _owner_and_name(path, typed)
    if host == GITHUB and owner.lower() in PAGES:
        raise InvalidOrigin(f"That is a page of GitHub’s own. {HOW}")
    whole = "/".join(filter(None, (owner, name)))
    title = whole if host == GITHUB else f"{host}/{whole}"
    if len(title) > LONGEST:
        raise InvalidOrigin(f"That is too long to be a repository. {HOW}")
    return title, f"{scheme}://{host}/{whole}"


def _address(typed: str) -> tuple[str, str, str]:
    """Scheme, host and path of what was typed; github.com where it names no host."""
    if remote := REMOTE.fullmatch(typed):
        scheme, host, path = "https", remote["host"], remote["path"]
    elif "://" in typed:
        try:
            parts = urlsplit(typed)
            scheme, host, path = parts.scheme.lower(), parts.netloc.rpartition("@")[2], parts.path
        except ValueError as error:
            raise InvalidOrigin(f"That is no web address. {HOW}") from error
    elif typed.lower().startswith((f"{GITHUB}/", f"www.{GITHUB}/")):
        scheme, (host, _, path) = "https", typed.partition("/")
    else:
        scheme, host, path = "https", GITHUB, f"{typed.removesuffix('/')}/" if typed.count("/") == 1 else typed
    host = host.lower().removeprefix("www.")
    if scheme not in {"http", "https"} or not HOST.fullmatch(host):
        raise InvalidOrigin(f"That is no web address. {HOW}")
    return ("https" if host == GITHUB else scheme), host, path


def _owner_and_name(path: str, typed: str) -> tuple[str, str]:
    """Owner and repository of a path, which may go on into the repository; without a repository, of an organisation."""
    parts = [part for part in path.partition("?")[0].partition("#")[0].split("/") if part]
    if parts[:1] == ["orgs"]:
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
