"""Tags: what a text says in them, and what they are stored as.

A hashtag is stored as it is written. What begins with a colon is the server's own and not shown to people:

    :user:ID        they are mentioned by @nick; :user:everyone for @everyone and the like
    :unread:ID      they should see it: whoever is mentioned, by nick or with everyone, except the one who says it
    :highlight:ID   their nick is in the text, without @
    :url            the text has a link
    :file           the message has files
    :source:NAME    what the push API's `source` said

`influx:NUMBER` is on a comment: the number of the message it is about. Rules and examples are those of Flowdock's
tags.md and of the conformance tests of its flowdock-text; tests/flowdock_server/test_tags.py has both.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from linkify_it import LinkifyIt

from flowdock_server.models import Flow, FlowMembership, Message, PrivateMessage
from flowdock_server.parsing import mentions

MAX_LENGTH = 100  # characters of one tag

_HASHTAG = re.compile(mentions.HASHTAG)
_MENTION = re.compile(mentions.MENTION)
_CODE = re.compile(r"^ {4}.*$", re.MULTILINE)
# What an address may follow: in `$foo.com` and `#foo.com` there is none.
_NOT_BEFORE_LINK = "#＃@＠$"

_links = LinkifyIt()


@dataclass(frozen=True)
class People:
    """Who can be mentioned in a flow: the id of each by their nick in lower case."""

    by_nick: dict[str, list[int]] = field(default_factory=dict)

    @classmethod
    def of(cls, flow: Flow) -> People:
        """Those who are in `flow`; who is blocked there or everywhere is left out."""
        there = FlowMembership.objects.filter(flow=flow, disabled=False, user__is_active=True)
        by_nick: dict[str, list[int]] = {}
        for nick, user_id in there.order_by("user_id").values_list("user__nick", "user_id"):
            by_nick.setdefault(nick.lower(), []).append(user_id)
        return cls(by_nick)

    @property
    def ids(self) -> list[int]:
        return [user_id for ids in self.by_nick.values() for user_id in ids]


def of_text(text: str, people: People, author_id: int | None = None) -> list[str]:
    """The tags that are in what somebody said."""
    words, has_link = _without_links(text)
    words = _CODE.sub("", words)
    tags = [f"#{mentions.tag_name(name)}" for name in _HASHTAG.findall(words)]
    nicks = _MENTION.findall(words)
    found = given([*(f"@{nick}" for nick in nicks), *tags], people, author_id)
    called = {nick.lower() for nick in nicks}
    lower = words.lower()
    for nick, ids in people.by_nick.items():
        # The first test is quick, and nearly always enough.
        if nick in lower and nick not in called and _nick(nick).search(words):
            for user_id in ids:
                if user_id != author_id:
                    found += [f":highlight:{user_id}", f":unread:{user_id}"]
    return unique([*found, *([":url"] if has_link else [])])


def given(tags: Iterable[str], people: People, author_id: int | None = None) -> list[str]:
    """Tags as people and programs give them, as they are stored: `@nick` by id, a leading # left out.

    A nick that nobody in the flow has is left out.
    """
    found: list[str] = []
    for tag in tags:
        if not tag.startswith("@"):
            found.append(tag.removeprefix("#"))
        elif mentions.means_everyone(nick := tag[1:].lower(), people.by_nick):
            found += [":user:everyone", *(f":unread:{user_id}" for user_id in people.ids if user_id != author_id)]
        else:
            for user_id in people.by_nick.get(nick, []):
                found.append(f":user:{user_id}")
                if user_id != author_id:
                    found.append(f":unread:{user_id}")
    return unique(tag for tag in found if tag)


def searched(tags: Iterable[str], people: People) -> Iterator[list[str]]:
    """Each of `tags` as a search gives it, as the names under which it may be stored, in lower case.

    Both `@nick` and `:user:ID` find what mentions the person; more than one may have the nick.
    """
    for tag in tags:
        tag = tag.strip().lower()
        if not tag.startswith("@"):
            yield [tag.removeprefix("#")]
        elif mentions.means_everyone(tag[1:], people.by_nick):
            yield [":user:everyone"]
        else:
            yield [f":user:{user_id}" for user_id in people.by_nick.get(tag[1:], [])]


def store(message: Message | PrivateMessage) -> None:
    """Store the tags of a new message in lower case, so that it can be found by them."""
    row: Any = message.tag_rows.model
    row.objects.bulk_create([row(message=message, name=name) for name in sorted({tag.lower() for tag in message.tags})])


def replace(message: Message | PrivateMessage, tags: list[str]) -> None:
    """Give a stored message other tags."""
    message.tags = tags
    message.save(update_fields=["tags"])
    message.tag_rows.all().delete()
    store(message)


def unique(tags: Iterable[str]) -> list[str]:
    """Each once, whatever its case, in the spelling that came first."""
    found: dict[str, str] = {}
    for tag in tags:
        found.setdefault(tag.lower(), tag)
    return list(found.values())


def _without_links(text: str) -> tuple[str, bool]:
    """The text with blanks where links and e-mail addresses were, and whether it had a link."""
    if not _links.pretest(text):
        return text, False
    parts, end, has_link = [], 0, False
    for match in _links.match(text) or []:
        if match.index and text[match.index - 1] in _NOT_BEFORE_LINK:
            continue
        parts += [text[end : match.index], " "]
        end = match.last_index
        has_link = has_link or match.schema != "mailto:"
    return "".join([*parts, text[end:]]), has_link


@lru_cache(maxsize=10_000)
def _nick(nick: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w@＠#＃-]){re.escape(nick)}(?![\w-])", re.IGNORECASE)
