"""Sanitizes HTML from integrations and people when it is shown.

It is stored unchanged and sanitized by pages and the API whenever they show it, so that a stricter list of tags also
applies to old messages.
"""

import re
from collections.abc import Mapping
from html import unescape

import nh3
from django.conf import settings
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe

# The tags that Flowdock documented for inbox messages, and links.
BODY_TAGS = {
    *("a", "abbr", "acronym", "address", "article", "aside", "b", "big", "blockquote", "br", "caption", "cite"),
    *("code", "dd", "del", "details", "dfn", "div", "dl", "dt", "em", "figcaption", "figure", "footer"),
    *("h1", "h2", "h3", "h4", "h5", "h6", "header", "hgroup", "hr", "i", "img", "ins", "kbd", "li", "nav", "ol"),
    *("p", "pre", "samp", "section", "small", "span", "strong", "sub", "summary", "sup", "table", "tbody", "td"),
    *("tfoot", "th", "thead", "tr", "tt", "ul", "var"),
}
SCHEMES = {"http", "https", "mailto"}
LINK_REL = "noopener noreferrer nofollow"
# Characters. The parser compares each attribute of a tag with all previous ones: a megabyte of them takes 7 seconds.
MAX_SHOWN = 250_000
# The parser's time grows with the square of the nesting depth: 180,000 nested <div> take two minutes. A long newsletter
# has about 1000 tags.
MAX_TAGS = 3000
# For each character reference (&amp;) the parser moves the text that follows it: a million of them take 17 seconds.
MAX_REFERENCES = 5000
MAX_DEPTH = 100  # browsers need twice the time for each level of nested tables

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

# Formatting that is not closed is repeated in every later paragraph, once for each different set of attributes.
# An unfinished tag matches up to the end of the text, as in a parser; otherwise the rest would be searched repeatedly.
_FORMATTING = re.compile(r"<(b|big|code|em|font|i|nobr|s|small|strike|strong|tt|u)[\s/][^>]*+(?:>|\Z)", re.IGNORECASE)
# A tag as nh3 writes it: with quotes and angle brackets in attributes escaped.
_TAG = re.compile(r'<(/?)([a-z][a-z0-9]*)((?: [a-z-]+="[^"]*")*)>')
_ATTRIBUTE = re.compile(r' ([a-z-]+)="([^"]*)"')
_VOID = {"br", "hr", "img"}


def clean_line(text: str) -> SafeString:
    """Sanitize a title or the value of a field: only links are allowed."""
    return mark_safe(_line.clean(_bounded(text)))


def clean_body(text: str, files: Mapping[str, str] | None = None) -> SafeString:
    """Sanitize the body of a thread or message with Flowdock's list of tags.

    `files` maps the names of `cid:` URLs to URLs of this server. Images of other hosts become links, unless
    REMOTE_IMAGES allows to load them, since their hosts would learn who reads.
    """
    return mark_safe(_Writer(files or {}).write(_body.clean(_bounded(text))))


def without_tags(text: str) -> str:
    """The plain text of HTML, for places without markup: links, attributes and page titles.

    It is not marked as safe, so that templates escape it: it may contain quotation marks, which would end an attribute.
    """
    return unescape(_plain.clean(_bounded(text)))


def _bounded(text: str) -> str:
    """The beginning of `text` that a parser can handle in a short time."""
    if len(text) > MAX_SHOWN:
        text = text[:MAX_SHOWN] + " …"
    for sign, most in (("<", MAX_TAGS), ("&", MAX_REFERENCES)):
        parts = text.split(sign, most + 1)
        if len(parts) > most + 1:
            text = sign.join(parts[:-1]) + " …"
    return _FORMATTING.sub(r"<\1>", text)


class _Writer:
    """Rewrites images and tags that are nested too deeply in sanitized HTML."""

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
        # Sanitized HTML is well-formed: each opening tag has a closing one.
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
