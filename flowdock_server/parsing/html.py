"""Strangers' HTML, made harmless on its way out.

What integrations and people send is stored as it came and cleaned whenever it is shown, by pages and API alike,
so that a stricter list holds for old messages too.
"""

import re
from collections.abc import Mapping
from html import unescape

import nh3
from django.conf import settings
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe

# The tags that Flowdock named for inbox messages, and links.
BODY_TAGS = {
    *("a", "abbr", "acronym", "address", "article", "aside", "b", "big", "blockquote", "br", "caption", "cite"),
    *("code", "dd", "del", "details", "dfn", "div", "dl", "dt", "em", "figcaption", "figure", "footer"),
    *("h1", "h2", "h3", "h4", "h5", "h6", "header", "hgroup", "hr", "i", "img", "ins", "kbd", "li", "nav", "ol"),
    *("p", "pre", "samp", "section", "small", "span", "strong", "sub", "summary", "sup", "table", "tbody", "td"),
    *("tfoot", "th", "thead", "tr", "tt", "ul", "var"),
}
SCHEMES = {"http", "https", "mailto"}
LINK_REL = "noopener noreferrer nofollow"
# Characters that are shown. A tag's attributes are each compared with all before: a megabyte of them takes 7 seconds.
MAX_SHOWN = 250_000
# A parser's work grows with the square of how deeply tags nest: 180,000 nested <div> take it two minutes. What is
# shown ends after so many; a long newsletter has a third of them.
MAX_TAGS = 3000
# Each reference to a character (&amp;) moves all of the text that follows it: a million of them take 17 seconds.
MAX_REFERENCES = 5000
MAX_DEPTH = 100  # of what is shown: browsers lay out nested tables in a time that doubles with each

_line = nh3.Cleaner(tags={"a"}, attributes={"a": {"href"}}, url_schemes=SCHEMES, url_relative="deny", link_rel=LINK_REL)
_body = nh3.Cleaner(
    tags=BODY_TAGS,
    attributes={
        "a": {"href", "title"},
        "abbr": {"title"},
        "img": {"alt", "src", "width", "height"},
        "td": {"colspan", "rowspan"},
        "th": {"colspan", "rowspan"},
    },
    url_schemes={*SCHEMES, "cid"},
    url_relative="deny",
    link_rel=LINK_REL,
)
_plain = nh3.Cleaner(tags=set())

# Formatting that is left open goes on in every later paragraph, once for each different set of attributes.
# A tag that does not end takes all of the rest, as it does for a parser: else each would be looked through again.
_FORMATTING = re.compile(r"<(b|big|code|em|font|i|nobr|s|small|strike|strong|tt|u)[\s/][^>]*+(?:>|\Z)", re.IGNORECASE)
# A tag as nh3 writes it: quotes and angle brackets inside of attributes are escaped.
_TAG = re.compile(r'<(/?)([a-z][a-z0-9]*)((?: [a-z-]+="[^"]*")*)>')
_ATTRIBUTE = re.compile(r' ([a-z-]+)="([^"]*)"')
_VOID = {"br", "hr", "img"}


def clean_line(text: str) -> SafeString:
    """A title or a field's value: text with links and nothing else."""
    return mark_safe(_line.clean(_bounded(text)))


def clean_body(text: str, files: Mapping[str, str] | None = None) -> SafeString:
    """The body of a thread or message: Flowdock's allow-list, and its pictures where they may be loaded.

    `files` maps the name that `cid:` refers to to an address of our own. A picture from elsewhere is a link to it,
    so that nobody's host learns who reads, unless REMOTE_IMAGES permits loading it.
    """
    return mark_safe(_Writer(files or {}).write(_body.clean(_bounded(text))))


def without_tags(text: str) -> str:
    """The text of HTML, for where no markup can be: inside a link, an attribute or a page's title.

    It is text and not safe HTML, so that a template escapes it for wherever it stands: a cleaned text still has its
    quotation marks, and would end an attribute.
    """
    return unescape(_plain.clean(_bounded(text)))


def _bounded(text: str) -> str:
    """As much of `text` as a parser reads in a moment."""
    if len(text) > MAX_SHOWN:
        text = text[:MAX_SHOWN] + " …"
    for sign, most in (("<", MAX_TAGS), ("&", MAX_REFERENCES)):
        parts = text.split(sign, most + 1)
        if len(parts) > most + 1:
            text = sign.join(parts[:-1]) + " …"
    return _FORMATTING.sub(r"<\1>", text)


class _Writer:
    """Goes over the tags of cleaned HTML, and writes pictures and what nests too deeply in another way."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self.files = files
        self.depth = 0
        self.links = 0

    def write(self, html: str) -> str:
        return _TAG.sub(self._tag, html)

    def _tag(self, tag: re.Match[str]) -> str:
        closes, name, attributes = tag.groups()
        if name == "img":
            return self._picture({key: unescape(value) for key, value in _ATTRIBUTE.findall(attributes)})
        if name in _VOID:
            return tag.group()
        # Cleaned HTML is well-formed: what opens here is closed later.
        self.depth += -1 if closes else 1
        is_shown = self.depth < MAX_DEPTH if closes else self.depth <= MAX_DEPTH
        if name == "a":
            self.links += -1 if closes else 1
            if ' href="cid:' in attributes:
                return "<a>" if is_shown else ""
        return tag.group() if is_shown else ""

    def _picture(self, given: dict[str, str]) -> str:
        address, words = given.get("src", ""), given.get("alt", "")
        size = [f' {name}="{given[name]}"' for name in ("width", "height") if given.get(name, "").isdecimal()]
        if address.lower().startswith("cid:"):
            address = self.files.get(address[4:], "")
            return format_html('<img src="{}" alt="{}" loading="lazy">', address, words) if address else escape(words)
        if settings.REMOTE_IMAGES and address.lower().startswith("https://"):
            return format_html(
                '<img src="{}" alt="{}"{} loading="lazy" referrerpolicy="no-referrer">',
                address,
                words,
                mark_safe("".join(size)),
            )
        if not address or self.links:
            return escape(words)
        return format_html('<a href="{}" rel="{}">{}</a>', address, LINK_REL, words or "Picture")
