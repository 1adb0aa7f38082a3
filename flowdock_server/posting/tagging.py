"""Tags: finding them in a text, and how they are stored.

A hashtag is stored as it is written. Tags that begin with a colon are set by the server and not shown to people:

    :user:ID        the user is mentioned by @nick; :user:everyone for @everyone and its synonyms
    :unread:ID      the user is mentioned, by nick or with everyone, and is not the author
    :highlight:ID   the text has the user's nick, without @
    :url            the text has a link
    :file           the message has files
    :source:NAME    the `source` of a message from the Push API

A comment has `influx:NUMBER`, with the number of the message that it belongs to. The rules and examples are from
Flowdock's tags.md and from the conformance tests of its flowdock-text; tests/flowdock_server/test_tags.py has both.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from linkify_it import LinkifyIt

from flowdock_server.models import Flow, FlowMembership, Message, PrivateMessage, compiled
from flowdock_server.parsing import mentions

MAX_LENGTH = 100  # characters of one tag

_HASHTAG = re.compile(mentions.HASHTAG)
_MENTION = re.compile(mentions.MENTION)
_CODE = re.compile(r"^ {4}.*$", re.MULTILINE)
# After one of these there is no link, as in `$foo.com` and `#foo.com`.
_NOT_BEFORE_LINK = "#＃@＠$"

_links = LinkifyIt()

_nicks = compiled.Lookup(
    lambda flow_id: (
        FlowMembership.objects.active().filter(flow=flow_id).order_by("user_id").values_list("user__nick", "user_id")
    )
)


@dataclass(frozen=True)
class People:
    """The users who can be mentioned in a flow: their ids by nick, in lower case."""

    by_nick: dict[str, list[int]] = field(default_factory=dict)

    @classmethod
    def of(cls, flow: Flow) -> People:
        """The members of `flow` who are not blocked and whose account is not closed."""
        by_nick: dict[str, list[int]] = {}
        for nick, user_id in _nicks(flow.pk):
            by_nick.setdefault(nick.lower(), []).append(user_id)
        return cls(by_nick)

    @property
    def ids(self) -> list[int]:
        return [user_id for ids in self.by_nick.values() for user_id in ids]


def tags_in(text: str, people: People, author_id: int | None = None) -> list[str]:
    """The tags of a text."""
    words, has_link = _without_links(text)
    words = _CODE.sub("", words)
    tags = [f"#{mentions.tag_name(name)}" for name in _HASHTAG.findall(words)]
    nicks = _MENTION.findall(words)
    found = stored_form([*(f"@{nick}" for nick in nicks), *tags], people, author_id)
    called = {nick.lower() for nick in nicks}
    lower = words.lower()
    for nick, ids in people.by_nick.items():
        # The first test is fast and fails for nearly all nicks.
        if nick in lower and nick not in called and _nick(nick).search(words):
            for user_id in ids:
                if user_id != author_id:
                    found += [f":highlight:{user_id}", f":unread:{user_id}"]
    return unique([*found, *([":url"] if has_link else [])])


def stored_form(tags: Iterable[str], people: People, author_id: int | None = None) -> list[str]:
    """The stored form of tags from people and programs: `@nick` by the user's id, and without a leading #.

    A nick that no member of the flow has is left out.
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


def search_names(tags: Iterable[str], people: People) -> Iterator[list[str]]:
    """For each of the tags to search for, the names under which it may be stored, in lower case.

    Both `@nick` and `:user:ID` find messages that mention the user. Several users can have the same nick.
    """
    for tag in tags:
        tag = tag.strip().lower()
        if not tag.startswith("@"):
            yield [tag.removeprefix("#")]
        elif mentions.means_everyone(tag[1:], people.by_nick):
            yield [":user:everyone"]
        else:
            yield [f":user:{user_id}" for user_id in people.by_nick.get(tag[1:], [])]


def store(messages: Sequence[Message | PrivateMessage]) -> None:
    """Store the tags of new messages, all of flows or all private, in lower case, for searching."""
    tags = [(message, name) for message in messages for name in sorted({tag.lower() for tag in message.tags})]
    if tags:
        row: Any = messages[0].tag_rows.model
        compiled.insert([row(message=message, name=name) for message, name in tags])


def replace(message: Message | PrivateMessage, tags: list[str]) -> None:
    """Replace the tags of a stored message."""
    message.tags = tags
    message.save(update_fields=["tags"])
    message.tag_rows.all().delete()
    store([message])


def unique(tags: Iterable[str]) -> list[str]:
    """`tags` without repetitions, ignoring case; the first spelling is kept."""
    found: dict[str, str] = {}
    for tag in tags:
        found.setdefault(tag.lower(), tag)
    return list(found.values())


def _without_links(text: str) -> tuple[str, bool]:
    """The text with a space in place of each link and e-mail address, and whether it had a link."""
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
