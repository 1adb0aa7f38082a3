"""Finding messages of a flow by their words, tags and events.

The query is planned here and not by the database, whose statistics do not cover single tags and words, so that its own
plan is often slow. A condition that at most FEW messages meet is looked up first, and the rest of the query runs on
these messages. Other conditions are checked while going back from the newest message.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal

from django.db import connection
from django.db.models import Exists, F, OuterRef, QuerySet, UUIDField
from django.db.models.functions import Coalesce

from flowdock_server.models import Flow, Message, Tag
from flowdock_server.models.messages import MessageQuerySet
from flowdock_server.posting import search

FEW = 2000


@dataclass(frozen=True)
class Found:
    """Messages that meet all conditions, and the field to sort them by: both fields give the order of posting."""

    messages: MessageQuerySet
    order: Literal["number", "indexed"]


def find(
    messages: MessageQuerySet,
    flow: Flow,
    *,
    words: str = "",
    tags: Collection[list[str]] = (),
    events: Collection[str] = (),
) -> Found:
    """Those of `messages`, all of `flow`, that have all of the words, one tag of each list, and one of the events."""
    has_words = bool(words.strip())
    scarce: list[list[int] | None] = [_with_tag(flow, names) for names in tags]
    if has_words:
        scarce.append(search.keys_of_few(flow.pk, words, FEW, alone=not tags and not events))
    if events and (scarce or len(events) > 1):
        scarce.append(_few(Message.objects.filter(flow=flow, event__in=events)))
    keys = min((some for some in scarce if some is not None), key=len, default=None)
    if events:
        messages = messages.filter(event__in=events)
    if keys is not None:
        messages = messages.filter(pk__in=keys)
    for names in tags:
        messages = messages.filter(_has_tag(names))
    if has_words:
        messages = search.matching(messages, flow.pk, words)
    return Found(messages, "indexed" if has_words and keys is None else "number")


def _with_tag(flow: Flow, names: list[str]) -> list[int] | None:
    tagged = Tag.objects.filter(name__in=names)
    if connection.vendor == "sqlite":
        # An expression, which no index covers: without statistics SQLite would use the index of the flow and go through
        # all its messages instead of those with the tag.
        of_flow = Coalesce(F("message__flow"), None, output_field=UUIDField())
        return _few(tagged.alias(of_flow=of_flow).filter(of_flow=flow.pk), key="message")
    return _few(tagged.filter(message__flow=flow), key="message")


def _few(found: QuerySet[Any], key: str = "pk") -> list[int] | None:
    """Their keys, or None if there are more than FEW."""
    keys = list(found.order_by().values_list(key, flat=True)[: FEW + 1])
    return keys if len(keys) <= FEW else None


def _has_tag(names: list[str]) -> Exists:
    # A subquery for each message instead of a list of all messages with the tag, which may be half of them.
    return Exists(Tag.objects.filter(name__in=names, message=OuterRef("pk")))
