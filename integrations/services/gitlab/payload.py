"""GitLab's payload, and the project or group that it is about.

Versions of GitLab and kinds of webhooks put the same values in different places.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import quote, urlsplit

from integrations.activity import is_web_address
from integrations.services.base import LONGEST_ADDRESS, Payload, shorten

LONGEST_NAME = 200
A_LONG_TIME = 10**9  # seconds
GROUPS = "/groups/"
# Where the id of the project is, the most likely first.
PROJECT_IDS = (
    "project.id",
    "project_id",
    "object_attributes.target_project_id",
    "object_attributes.project_id",
    "merge_request.target_project_id",
    "issue.project_id",
)


@dataclass(frozen=True, slots=True)
class Place:
    """A project, a group or the whole instance.

    `key` is the prefix of its thread ids. It contains GitLab's numeric id, so that threads survive renaming. `url` is
    empty if GitLab sends none.
    """

    key: str
    name: str
    url: str
    avatar: str = ""

    @property
    def noun(self) -> str:
        """ "project", "group" or "instance"."""
        return self.key.partition(":")[0]

    def page(self, path: str) -> str:
        """The address of one of its pages, or of the place itself if that is too long for an address."""
        url = f"{self.url}/-/{quote(path)}" if self.url else ""
        return url if len(url) <= LONGEST_ADDRESS else self.url


class GitLabPayload(Payload):
    """`instance` and `trigger` are the headers X-Gitlab-Instance and X-Gitlab-Event, or empty."""

    def __init__(self, data: Mapping[str, Any], instance: str = "", trigger: str = "") -> None:
        super().__init__({**data, "changes": _paired(data["changes"])} if "changes" in data else data)
        self._instance = instance
        self.trigger = trigger

    @cached_property
    def kind(self) -> str:
        """From object_kind, else event_name (system hooks, members, subgroups, projects), else the header."""
        return self.maybe_text("object_kind") or self.maybe_text("event_name") or _kind_of(self.trigger)

    @cached_property
    def attributes(self) -> Payload:
        return self.object("object_attributes")

    def seconds(self, path: str) -> float:
        """A duration; 0 if it is absent or not a sensible number."""
        value = self._typed(path, (int, float), "a number") or 0
        return value if math.isfinite(value) and 0 < value < A_LONG_TIME else 0

    @cached_property
    def instance(self) -> str:
        """The address of the GitLab instance: from the header, or else the project's host."""
        if self._instance:
            return self._instance.rstrip("/")
        url = self._project_url
        return "/".join(url.split("/")[:3])

    @cached_property
    def _project_url(self) -> str:
        paths = ("project.web_url", "project.homepage", "repository.homepage")
        return next(filter(None, map(self.maybe_url, paths)), "").rstrip("/")

    @cached_property
    def place(self) -> Place:
        return self.project or self.group or Place("instance", self.host or "GitLab", self.instance)

    @cached_property
    def host(self) -> str:
        return urlsplit(self.instance).netloc

    @cached_property
    def project(self) -> Place | None:
        number = next(filter(None, map(self.maybe_number, PROJECT_IDS)), None)
        name = self._project_name
        if not (number or name):
            return None
        url = self._project_url
        # "Octo / website" is a name, not a path.
        if not url and self.instance and "/" in name and " " not in name:
            url = f"{self.instance}/{quote(name)}"
        avatar = self.absolute(self.maybe_text("project.avatar_url"))
        return Place(f"project:{number or name}", name or f"project {number}", url, avatar)

    @cached_property
    def _project_name(self) -> str:
        """octo/website. Events of old jobs send "Octo / website" or only the name, but also the address."""
        for path in ("project.path_with_namespace", "project_path_with_namespace", "path_with_namespace"):
            if name := self.maybe_text(path):
                return shorten(name, LONGEST_NAME)
        if path := urlsplit(self._project_url).path.strip("/"):
            return shorten(path, LONGEST_NAME)
        names = ("project_name", "project.name", "repository.name")
        return shorten(next(filter(None, map(self.maybe_text, names)), ""), LONGEST_NAME)

    @cached_property
    def group(self) -> Place | None:
        paths = ("group.full_path", "full_path", "group.group_path", "group_path", "group.group_name", "group_name")
        name = shorten(next(filter(None, map(self.maybe_text, (*paths, "path"))), ""), LONGEST_NAME)
        number = self.maybe_number("group.group_id") or self.maybe_number("group_id")
        if not (number or name):
            return None
        url = f"{self.instance}{GROUPS}{quote(name)}" if self.instance and name else ""
        return Place(f"group:{number or name}", name or f"group {number}", url)

    def link(self, path: str) -> str:
        """An optional address for a link: "" if a browser cannot open it, as with some environments."""
        url = self.maybe_text(path)
        return url if is_web_address(url) and len(url) <= LONGEST_ADDRESS else ""

    def time(self, path: str) -> dt.datetime | None:
        """A time in ISO 8601 or as "2026-01-15 14:31:09 UTC"; None in any other format."""
        try:
            time = dt.datetime.fromisoformat(self.maybe_text(path).replace(" UTC", "+00:00"))
        except ValueError:
            return None
        return time if time.tzinfo else None

    def absolute(self, url: str) -> str:
        """An avatar's address, or "". GitLab sends only the path for avatars on its own host."""
        if url.startswith("/") and not url.startswith("//") and self.host:
            url = f"{urlsplit(self.instance).scheme}://{self.host}{url}"
        return url if is_web_address(url) and len(url) <= LONGEST_ADDRESS else ""


# Values of X-Gitlab-Event that are not the kind followed by "Hook".
TRIGGERS = {
    "build": "Job Hook",
    "access_token": "Resource Access Token Hook",
    "deploy_token": "Resource Deploy Token Hook",
}
KINDS = {trigger: kind for kind, trigger in TRIGGERS.items()}
# Each of them stands for several kinds.
UNCERTAIN = {"Member Hook", "Project Hook", "Subgroup Hook", "System Hook"}


def _kind_of(trigger: str) -> str:
    """The kind that a trigger such as "Confidential Merge Request Hook" names; empty if it names none or several."""
    trigger = trigger.removeprefix("Confidential ")
    if trigger in UNCERTAIN or not trigger.endswith(" Hook"):
        return ""
    return KINDS.get(trigger) or trigger.removesuffix(" Hook").lower().replace(" ", "_")


def _paired(changes: object) -> object:
    """Turn changes that old versions send as [before, after] into objects, as later versions send them."""
    if not isinstance(changes, Mapping):
        return changes
    return {
        name: {"previous": change[0], "current": change[1]} if isinstance(change, list) and len(change) == 2 else change
        for name, change in changes.items()
    }
