"""Strangers' HTML, made harmless on its way out.

What integrations and people send is stored as it came and cleaned whenever it is shown, by pages and API alike,
so that a stricter list holds for old messages too.
"""

import nh3
from django.conf import settings
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

_line = nh3.Cleaner(tags={"a"}, attributes={"a": {"href"}}, url_schemes=SCHEMES, url_relative="deny", link_rel=LINK_REL)
_body_attributes = {
    "a": {"href", "title"},
    "abbr": {"title"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan"},
}
# Without its address a picture shows its alternative text, and nobody's host learns who reads.
_body = nh3.Cleaner(
    tags=BODY_TAGS,
    attributes=_body_attributes | {"img": {"alt"}},
    url_schemes=SCHEMES,
    url_relative="deny",
    link_rel=LINK_REL,
)
_body_with_pictures = nh3.Cleaner(
    tags=BODY_TAGS,
    attributes=_body_attributes | {"img": {"alt", "src", "width", "height"}},
    url_schemes=SCHEMES,
    url_relative="deny",
    link_rel=LINK_REL,
)
_plain = nh3.Cleaner(tags=set())


def clean_line(text: str) -> SafeString:
    """A title or a field's value: text with links and nothing else."""
    return mark_safe(_line.clean(text))


def clean_body(text: str) -> SafeString:
    """The body of a thread or message: Flowdock's allow-list; pictures only where REMOTE_IMAGES permits them."""
    cleaner = _body_with_pictures if settings.REMOTE_IMAGES else _body
    return mark_safe(cleaner.clean(text))


def without_tags(text: str) -> SafeString:
    """A title inside a link, where another link must not be: its text, still escaped."""
    return mark_safe(_plain.clean(text))
