"""Activities in the format of Flowdock's API, in the version that FLOWDOCK_API_VERSION selects.

Source: Flowdock's api-docs, messages.md, threads.md; "activities" is the edition of October 2014, "messages" the later.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

import nh3
from django.conf import settings

from integrations.activity import Activity, Thread

# What Flowdock's own push API let through in a body.
BODY_TAGS = """
    a abbr acronym address article aside b big blockquote br caption cite code dd del details dfn div dl dt em
    figcaption figure footer h1 h2 h3 h4 h5 h6 header hgroup hr i img ins kbd li nav ol p pre samp section small
    span strong sub summary sup table tbody td tfoot th thead tr tt ul var
"""
BODY_ATTRIBUTES = {
    "a": {"href", "title"},
    "abbr": {"title"},
    "acronym": {"title"},
    "img": {"src", "alt", "title", "width", "height"},
    "ol": {"start"},
    "td": {"colspan", "rowspan", "align"},
    "th": {"colspan", "rowspan", "align"},
}
SCHEMES = {"http", "https", "mailto"}
# Tabs and line breaks are the only control characters that make sense in a text; some databases refuse NUL.
CONTROL_CHARACTERS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
# A text without these stays as it is when it is parsed and written as HTML.
HTML_CHARACTERS = re.compile("[&<>\r\xa0\ufeff]")

PATHS = {"activities": "/activities", "messages": "/messages"}
SOURCES = {"activities": "integrations", "messages": "sources"}
THREAD_KEYS = {"activities": "thread_id", "messages": "external_thread_id"}


def path() -> str:
    """The path that activities are posted to."""
    return PATHS[settings.FLOWDOCK_API_VERSION]


def sources_segment() -> str:
    """The last part of the address at which a flow's sources are created, if the flow's `links` do not contain it."""
    return SOURCES[settings.FLOWDOCK_API_VERSION]


def write(activity: Activity, *, flow_token: str, uuid: UUID) -> dict[str, Any]:
    """The JSON object to post. Its HTML is cleaned: titles and field values keep links, bodies what Flowdock allows."""
    author = activity.author
    return _without_blanks(
        {
            "flow_token": flow_token,
            "uuid": str(uuid),
            "event": activity.event,
            "author": _without_blanks(
                {"name": _plain(author.name), "avatar": _plain(author.avatar), "email": _plain(author.email)}
            ),
            "title": clean_title(activity.title),
            "body": clean_body(activity.body),
            THREAD_KEYS[settings.FLOWDOCK_API_VERSION]: _plain(activity.thread_id),
            "thread": _thread(activity.thread),
        }
    )


def _thread(thread: Thread) -> dict[str, Any]:
    """The whole new state. `fields` and `actions` are sent even if empty; left out, the previous ones would stay."""
    status = thread.status
    return _without_blanks(
        {
            "title": clean_title(thread.title),
            "body": clean_body(thread.body),
            "external_url": _plain(thread.external_url),
            "status": {"value": _plain(status.value), "color": status.color} if status else None,
        }
    ) | {
        "fields": [{"label": _plain(field.label), "value": clean_title(field.value)} for field in thread.fields],
        "actions": [
            _without_blanks(
                {
                    "@type": "ViewAction",
                    "name": _plain(action.name),
                    "url": _plain(action.url),
                    "description": _plain(action.description),
                }
            )
            for action in thread.actions
        ],
    }


def _cleaner(tags: Collection[str], attributes: Mapping[str, set[str]]) -> nh3.Cleaner:
    """A cleaner that leaves these tags. Making one costs more than cleaning a short text, so they are kept.

    Relative addresses are removed, because they would point to Flowdock's own host.
    """
    return nh3.Cleaner(
        tags=set(tags),
        attributes={tag: set(names) for tag, names in attributes.items()},
        url_schemes=SCHEMES,
        url_relative="deny",
        link_rel=None,
    )


_TITLES = _cleaner({"a"}, {"a": {"href", "title"}})


@functools.lru_cache(maxsize=8)
def _body_cleaner(without: frozenset[str]) -> nh3.Cleaner:
    return _cleaner(set(BODY_TAGS.split()) - without, BODY_ATTRIBUTES)


def clean_title(html: str) -> str:
    """`html` with all tags removed except links."""
    return _clean(_TITLES, html)


def clean_body(html: str, without: Collection[str] = ()) -> str:
    """`html` with only the tags that Flowdock shows, except those in `without`."""
    return _clean(_body_cleaner(frozenset(without)), html)


def _clean(cleaner: nh3.Cleaner, html: str) -> str:
    text = _plain(html)
    return cleaner.clean(text) if HTML_CHARACTERS.search(text) else text


def _plain(text: str) -> str:
    """`text` without control characters and lone surrogates, which JSON readers and databases refuse."""
    if text.isprintable():
        return text
    return CONTROL_CHARACTERS.sub("", text).encode(errors="replace").decode()


def _without_blanks(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value not in ("", None)}
