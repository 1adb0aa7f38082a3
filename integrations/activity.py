"""What is posted to Flowdock, as plain values that import neither Django nor the rest of the bridge.

Texts from services are plain text, but Flowdock takes HTML: use `escape` and `link` to convert them.
`integrations.flowdock.payload` sanitizes the HTML again before it is sent.
Source: Flowdock's api-docs, messages.md and threads.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, asdict, dataclass, fields, replace
from functools import cache
from html import escape
from typing import Any, Literal, Self, TypeVar
from urllib.parse import urlsplit

__all__ = ["COLORS", "Action", "Activity", "Author", "Field", "InvalidActivity", "Status", "Thread", "escape", "link"]

T = TypeVar("T")

COLORS = frozenset({"red", "green", "yellow", "cyan", "orange", "grey", "black", "lime", "purple", "blue"})


class InvalidActivity(ValueError):
    """The activity is not what Flowdock requires; the text names the field and the problem."""


def link(text: str, url: str) -> str:
    """The plain `text` as an HTML link to `url`, or only escaped if `url` is not an http(s) address."""
    return f'<a href="{escape(url)}">{escape(text)}</a>' if is_web_address(url) else escape(text)


def is_web_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.netloc)


def _require(value: str, name: str) -> None:
    if not value.strip():
        raise InvalidActivity(f"{name} is missing")


def _require_address(url: str, name: str) -> None:
    if url and not is_web_address(url):
        raise InvalidActivity(f"{name} is not an http(s) address")


@dataclass(frozen=True, slots=True)
class Author:
    """Who caused the event. `name` and `email` are plain text, `avatar` is an http(s) address or empty."""

    name: str
    avatar: str = ""
    email: str = ""

    def __post_init__(self) -> None:
        _require(self.name, "author.name")
        _require_address(self.avatar, "author.avatar")


@dataclass(frozen=True, slots=True)
class Status:
    """A thread's status. `value` is plain text, `color` is one of Flowdock's ten colors."""

    value: str
    color: str

    def __post_init__(self) -> None:
        _require(self.value, "thread.status.value")
        if self.color not in COLORS:
            raise InvalidActivity(f"thread.status.color {self.color!r} is not one of {', '.join(sorted(COLORS))}")


@dataclass(frozen=True, slots=True)
class Field:
    """A property of the thread's entity. `label` is plain text, `value` is HTML in which only `a` is allowed."""

    label: str
    value: str

    def __post_init__(self) -> None:
        _require(self.label, "thread.fields.label")


@dataclass(frozen=True, slots=True)
class Action:
    """A link that the thread shows as a button: schema.org's ViewAction."""

    name: str
    url: str
    description: str = ""

    def __post_init__(self) -> None:
        _require(self.name, "thread.actions.name")
        _require(self.url, "thread.actions.url")
        _require_address(self.url, "thread.actions.url")


@dataclass(frozen=True, slots=True)
class Thread:
    """The full new state of the entity. `title` is HTML in which only `a` is allowed, `body` is HTML.

    Not every event contains the full state: a check's result does not say whether its pull request is a draft. `keeps`
    names what such an event does not change: "title", "external_url", "status", "body", or a field by its label. The
    values given for these are used only if the thread is new; `over` combines the event with a thread's earlier state.
    """

    title: str
    external_url: str = ""
    status: Status | None = None
    body: str = ""
    fields: tuple[Field, ...] = ()
    actions: tuple[Action, ...] = ()
    keeps: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _require(self.title, "thread.title")
        _require_address(self.external_url, "thread.external_url")

    def over(self, before: Thread) -> Thread:
        """Return the full state after this event, given the full state `before` it."""
        kept: dict[str, Any] = {}
        for name in ("title", "external_url", "body"):
            if name in self.keeps:
                kept[name] = getattr(before, name)
        if "status" in self.keeps and before.status:
            kept["status"] = before.status
        given = {field.label: field for field in self.fields}
        # Fields keep their order; new ones are appended.
        known = [
            field if field.label in self.keeps else given[field.label]
            for field in before.fields
            if field.label in self.keeps or field.label in given
        ]
        new = [field for field in self.fields if field.label not in {old.label for old in before.fields}]
        return replace(self, **kept, fields=(*known, *new), keeps=())


@dataclass(frozen=True, slots=True)
class Activity:
    """One event as the inbox shows it: "<author> <title>", and the body below.

    `title` is HTML in which only `a` is allowed, `body` is HTML. `thread_id` identifies the entity within the
    integration. `event` is "discussion" for a comment and "activity" for everything else.
    """

    author: Author
    title: str
    thread_id: str
    thread: Thread
    body: str = ""
    event: Literal["activity", "discussion"] = "activity"

    def __post_init__(self) -> None:
        _require(self.title, "title")
        _require(self.thread_id, "thread_id")
        if self.event not in {"activity", "discussion"}:
            raise InvalidActivity(f"event {self.event!r} is neither activity nor discussion")

    def as_json(self) -> dict[str, Any]:
        """Return JSON for the outbox, which `from_json` reads. Flowdock's own format is in flowdock/payload.py."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Return the activity from `data` in the format of `as_json`, which the command `post_activity` also takes.

        Raises InvalidActivity, which names the field that is missing, unknown or of a wrong type.
        """
        members = _members(cls, data, "")
        thread = _members(Thread, _object(members["thread"], "thread"), "thread.")
        if thread.get("status") is not None:
            thread["status"] = _flat(Status, thread["status"], "thread.status")
        for name, kind in (("fields", Field), ("actions", Action)):
            items = thread.get(name, ())
            if not isinstance(items, (list, tuple)):
                raise InvalidActivity(f"thread.{name} is not a list")
            thread[name] = tuple(_flat(kind, item, f"thread.{name}") for item in items)
        keeps = thread.get("keeps", ())
        if not isinstance(keeps, (list, tuple)) or not all(isinstance(name, str) for name in keeps):
            raise InvalidActivity("thread.keeps is not a list of strings")
        thread["keeps"] = tuple(keeps)
        _require_text(thread, "thread.", ("title", "external_url", "body"))
        _require_text(members, "", ("title", "body", "thread_id", "event"))
        return cls(**{**members, "author": _flat(Author, members["author"], "author"), "thread": Thread(**thread)})


def _object(value: object, name: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidActivity(f"{name} is not an object")
    return value


@cache
def _names(kind: type[Any]) -> tuple[frozenset[str], tuple[str, ...]]:
    """The names of the fields of a dataclass: all of them, and the required ones."""
    return frozenset(kind.__slots__), tuple(field.name for field in fields(kind) if field.default is MISSING)


def _members(kind: type[Any], data: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Return `data` as keyword arguments for the dataclass `kind`, without unknown or missing ones."""
    known, required = _names(kind)  # type: ignore[arg-type]  # a class can be hashed
    for name in data:
        if name not in known:
            raise InvalidActivity(f"{prefix}{name} is unknown; the known fields are {', '.join(kind.__slots__)}")
    for name in required:
        if name not in data:
            raise InvalidActivity(f"{prefix}{name} is missing")
    return dict(data)


def _require_text(members: Mapping[str, Any], prefix: str, names: Iterable[str]) -> None:
    for name in names:
        if not isinstance(members.get(name, ""), str):
            raise InvalidActivity(f"{prefix}{name} is not a string")


def _flat(kind: type[T], value: object, name: str) -> T:
    """Return an instance of the dataclass `kind`, whose members are all strings."""
    members = _members(kind, _object(value, name), f"{name}.")
    _require_text(members, f"{name}.", members)
    return kind(**members)
