"""How a service tells what happened: worded once, as HTML for the flow and as plain text for the log."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from integrations.activity import Activity, Author, Field, Thread, escape, link

from .base import ParsedEvent, shorten

# Signs. Flowdock names no limit, but nobody reads a longer title, and other servers have one of 255.
LONGEST_TITLE = 240
LONGEST_REMARK = 500
LONGEST_THREAD_ID = 255


@dataclass(frozen=True, slots=True)
class Link:
    """A plain text that leads to an http(s) address; without one it is just the text."""

    text: str
    url: str


class Words:
    """A line of plain texts and links. What others wrote goes in as it is: `html` escapes it."""

    def __init__(self, *parts: str | Link) -> None:
        self.parts = parts

    @classmethod
    def listed(cls, parts: Iterable[str | Link], last: str = ", ") -> Self:
        """`parts` with commas between them, and `last` before the last one."""
        words: list[str | Link] = []
        items = list(parts)
        for index, part in enumerate(items):
            words += ([last if index == len(items) - 1 else ", "] if index else []) + [part]
        return cls(*words)

    def __bool__(self) -> bool:
        return bool(self.plain)

    @property
    def whole(self) -> str:
        return "".join(part if isinstance(part, str) else part.text for part in self.parts)

    @property
    def plain(self) -> str:
        return shorten(self.whole, LONGEST_TITLE)

    @property
    def html(self) -> str:
        """As an HTML line with links; where it is too long, cut and without."""
        if len(self.whole) > LONGEST_TITLE:
            return escape(self.plain)
        return "".join(escape(part) if isinstance(part, str) else link(part.text, part.url) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Entity:
    """What a thread is about. `title` is plain text; `facts` are the words of the filters that look at the entity."""

    thread_id: str
    title: str
    thread: Thread
    facts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Wording:
    """One happening, worded.

    `did` follows the author's name: "Lea Cohen" "asked for changes"; `about` leads to the entity's title in the log:
    "Lea Cohen asked for changes" "in" "Greet people in their own language". `word` is what the filter on events knows
    it by. `said` marks what somebody said, against what somebody did. `body` is safe HTML. `facts` are added to those
    of the entity, and win over them; None takes one away, so that its rule does not apply.
    """

    event_type: str
    title: Words
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
            facts={rule: words for rule, words in facts.items() if words is not None},
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
    """A happening that is kept and not posted, and why, in words."""

    why: str


def title_html(plain: str) -> str:
    return escape(shorten(plain, LONGEST_TITLE))


def counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def paragraph(text: str) -> str:
    """A machine's remark, which is plain text, as HTML."""
    text = shorten(text, LONGEST_REMARK)
    return f"<p>{escape(text)}</p>" if text else ""


def fields(*facts: tuple[str, str | Words]) -> tuple[Field, ...]:
    """The facts that have a value, as a thread's fields."""
    rows = ((label, value if isinstance(value, Words) else Words(value)) for label, value in facts)
    return tuple(Field(label, words.html) for label, words in rows if words)
