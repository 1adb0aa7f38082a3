"""What a service says of an event: worded once, as HTML for the flow and as plain text for the log."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from integrations.activity import Activity, Author, Field, Status, Thread, escape, link

from .base import ParsedEvent, shorten

# In characters. Flowdock documents no limit, but other servers have one of 255, and an inbox shows no more.
LONGEST_TITLE = 240
LONGEST_REMARK = 500
LONGEST_THREAD_ID = 255


@dataclass(frozen=True, slots=True)
class Link:
    """A plain text that links to `url`. Without an http(s) address it is rendered as text only."""

    text: str
    url: str


class RichText:
    """One line of plain texts and links. The parts are given unescaped: `html` escapes them."""

    def __init__(self, *parts: str | Link) -> None:
        self.parts = parts

    @classmethod
    def join(cls, parts: Iterable[str | Link], last: str = ", ") -> Self:
        """`parts` separated by commas, with `last` before the last one."""
        joined: list[str | Link] = []
        items = list(parts)
        for index, part in enumerate(items):
            joined += ([last if index == len(items) - 1 else ", "] if index else []) + [part]
        return cls(*joined)

    def __bool__(self) -> bool:
        return bool(self.plain)

    @property
    def text(self) -> str:
        return "".join(part if isinstance(part, str) else part.text for part in self.parts)

    @property
    def plain(self) -> str:
        return shorten(self.text, LONGEST_TITLE)

    @property
    def html(self) -> str:
        """The line as HTML with links. A line that is too long is shortened and loses its links."""
        if len(self.text) > LONGEST_TITLE:
            return escape(self.plain)
        return "".join(escape(part) if isinstance(part, str) else link(part.text, part.url) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Entity:
    """What a thread is about. `title` is plain text; `facts` are what filters know of the entity, by rule."""

    thread_id: str
    title: str
    thread: Thread
    facts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        thread_id: str,
        title: str,
        url: str,
        *rows: tuple[str, str | RichText],
        thread_title: str = "",
        status: Status | None = None,
        body: str = "",
        keeps: Iterable[str] = (),
        facts: Mapping[str, tuple[str, ...]] | None = None,
    ) -> Self:
        """Create an entity and its thread, which has `rows` as fields and `thread_title` or else `title` as title."""
        thread = Thread(
            title=title_html(thread_title or title),
            external_url=url,
            status=status,
            body=body,
            fields=fields(*rows),
            keeps=tuple(keeps),
        )
        return cls(thread_id, title, thread, facts or {})


@dataclass(frozen=True, slots=True)
class Wording:
    """What a service says of one event.

    `title` continues a sentence that begins with the author's name: "Lea Cohen" "requested changes". In the log,
    `joiner` connects it with the entity's title: "Lea Cohen requested changes" "in" "Greet people". `event_type` is the
    value that the filter on events matches. `body` is safe HTML. `is_comment` marks what somebody wrote, as opposed to
    what somebody did. `facts` are added to the entity's and override them; None removes one, so that its rule does not
    apply.
    """

    event_type: str
    title: RichText
    entity: Entity
    author: Author
    joiner: str = ""
    body: str = ""
    is_comment: bool = False
    facts: Mapping[str, tuple[str, ...] | None] = field(default_factory=dict)

    def with_body(self, body: str) -> Self:
        return replace(self, body=body)

    def with_facts(self, **facts: tuple[str, ...] | None) -> Self:
        return replace(self, facts={**self.facts, **facts})

    def event(self, kind: str, action: str) -> ParsedEvent:
        facts = {"events": (self.event_type,), **self.entity.facts, **self.facts}
        return ParsedEvent(
            kind=kind,
            action=action,
            actor=self.author.name,
            summary=f"{self.author.name} {self.title.plain}{'' if self.joiner == ':' else ' '}{self.joiner}",
            subject=self.entity.title,
            facts={rule: values for rule, values in facts.items() if values is not None},
            activity=Activity(
                author=self.author,
                title=self.title.html,
                body=self.body,
                thread_id=self.entity.thread_id[:LONGEST_THREAD_ID],
                thread=self.entity.thread,
                event="discussion" if self.is_comment else "activity",
            ),
        )


@dataclass(frozen=True, slots=True)
class Unposted:
    """An event that is stored but not posted; `reason` says why."""

    reason: str


def title_html(plain: str) -> str:
    return escape(shorten(plain, LONGEST_TITLE))


def pluralize(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def paragraph(text: str) -> str:
    """A short plain text, such as a check's summary, as an HTML paragraph."""
    text = shorten(text, LONGEST_REMARK)
    return f"<p>{escape(text)}</p>" if text else ""


def fields(*facts: tuple[str, str | RichText]) -> tuple[Field, ...]:
    """A thread's fields from pairs of label and value. Pairs without a value are left out."""
    rows = ((label, value if isinstance(value, RichText) else RichText(value)) for label, value in facts)
    return tuple(Field(label, value.html) for label, value in rows if value)
