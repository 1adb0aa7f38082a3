"""What people typed, as HTML: text with links, mentions, hashtags and code. HTML in it is escaped."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import quote

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from flowdock_server.models import Flow, User
from flowdock_server.parsing import mentions
from flowdock_server.parsing.html import LINK_REL

# Possessive: without a closing fence, each space given back would mean another search through the rest of the text.
_FENCE = re.compile(r"```[^\S\n]*+[\w+-]*+\n?+(.*?)```", re.DOTALL)
_PART = re.compile(
    r"`(?P<code>[^`\n]+)`"
    r"|(?P<address>https?://[^\s<>\"']*[^\s<>\"'.,;:!?()\[\]])"
    rf"|{mentions.MENTION}"
    rf"|{mentions.HASHTAG}",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Wording:
    """The nicks and tags that a text can refer to. `tags` is the address that a tag is appended to, or empty."""

    tags: str = ""
    nicks: frozenset[str] = field(default_factory=frozenset)
    own_nick: str = ""

    def as_html(self, text: str) -> SafeString:
        """`text` as HTML with its paragraphs and line breaks, fenced code unchanged, and URLs as links."""
        text = text.replace("\r\n", "\n").strip("\n")
        shown, end = [], 0
        for fence in _FENCE.finditer(text):
            shown += [
                self._paragraphs(text[end : fence.start()]),
                f"<pre><code>{escape(fence[1].rstrip())}</code></pre>",
            ]
            end = fence.end()
        return mark_safe("".join([*shown, self._paragraphs(text[end:])]))

    def _paragraphs(self, text: str) -> str:
        paragraphs = [part for part in re.split(r"\n\s*\n", text.strip()) if part]
        return "".join(f"<p>{self._line(part).replace(chr(10), '<br>')}</p>" for part in paragraphs)

    def _line(self, text: str) -> str:
        parts, end = [], 0
        for found in _PART.finditer(text):
            parts += [escape(text[end : found.start()]), self._part(found)]
            end = found.end()
        return "".join([*parts, escape(text[end:])])

    def _part(self, found: re.Match[str]) -> str:
        text = escape(found.group())
        if code := found["code"]:
            return f"<code>{escape(code)}</code>"
        if found["address"]:
            return f'<a href="{text}" rel="{LINK_REL}">{text}</a>'
        if nick := found["nick"]:
            nick = nick.lower()
            if nick == self.own_nick or (self.nicks and mentions.means_everyone(nick, self.nicks)):
                return f'<b class="mention is-me">{text}</b>'
            return f'<b class="mention">{text}</b>' if nick in self.nicks else text
        if not self.tags:
            return text
        return f'<a class="tag" href="{self.tags}{quote(mentions.tag_name(found["tag"]).lower(), safe="")}">{text}</a>'


def wording_of(flow: Flow, user: User, nicks: Iterable[str] | None = None) -> Wording:
    """For texts that `user` reads in `flow`; the members' nicks are queried unless given."""
    if nicks is None:
        nicks = flow.memberships.active().values_list("user__nick", flat=True)
    return Wording(
        tags=f"{flow.get_absolute_url()}/chat?tag=",
        nicks=frozenset(nick.lower() for nick in nicks),
        own_nick=user.nick.lower(),
    )
