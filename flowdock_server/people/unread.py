"""How much a user has not read: by flow, by private conversation, and mentions."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict, cast
from uuid import UUID

from django.db.models import Count, Exists, F, IntegerField, Model, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce, Greatest

from flowdock_server.models import (
    Conversation,
    FlowMembership,
    Message,
    PrivateMessage,
    Tag,
    Thread,
    ThreadMark,
    User,
)

if TYPE_CHECKING:
    from django_stubs_ext import WithAnnotations

COUNTED = 2000  # latest messages of a flow that are counted: beyond that, the exact number does not matter


class Unread(TypedDict):
    unread_threads: int
    unread_messages: int


class UnreadOfEach(TypedDict):
    for_first: int
    for_second: int


if TYPE_CHECKING:
    Counted = WithAnnotations[FlowMembership, Unread]
    CountedForEach = WithAnnotations[Conversation, UnreadOfEach]


def memberships(user: User) -> QuerySet[Counted]:
    """The user's memberships with their flows and unread counts, which use an index and stop at COUNTED messages."""
    floor = OuterRef("flow__last_number") - COUNTED
    seen = ThreadMark.objects.filter(
        Q(read_number__gte=OuterRef("last_number")) | Q(done_at__gte=OuterRef("updated_at")),
        user=user,
        thread=OuterRef("pk"),
    )
    threads = Thread.objects.in_inbox().filter(
        ~Exists(seen),
        flow=OuterRef("flow"),
        last_number__gt=Greatest(OuterRef("inbox_read_number"), floor),
    )
    messages = Message.objects.from_people().filter(
        flow=OuterRef("flow"), number__gt=Greatest(OuterRef("last_read_number"), floor)
    )
    counted = (
        FlowMembership.objects.not_blocked()
        .filter(user=user)
        .select_related("flow__organization")
        .annotate(unread_threads=_count(threads, "flow"), unread_messages=_count(messages.exclude(user=user), "flow"))
        .order_by("flow__organization__name", "flow__name")
    )
    return cast("QuerySet[Counted]", counted)


def conversations(user: User) -> QuerySet[CountedForEach]:
    """The user's private conversations, with the number of messages that each of the two has not read."""
    unread = PrivateMessage.objects.in_chat().filter(conversation=OuterRef("pk")).exclude(user=user)
    counted = Conversation.objects.of(user).annotate(
        for_first=_count(unread.filter(number__gt=OuterRef("first_read_number")), "conversation"),
        for_second=_count(unread.filter(number__gt=OuterRef("second_read_number")), "conversation"),
    )
    return cast("QuerySet[CountedForEach]", counted.select_related("first", "second").order_by("pk"))


def mentions(user: User) -> dict[UUID, int]:
    """The number of messages by flow that mention `user` and that they have not read."""
    unread = Tag.objects.filter(
        name=f":unread:{user.pk}",
        message__flow__memberships__user=user,
        message__number__gt=F("message__flow__memberships__last_read_number"),
    )
    return dict(unread.order_by().values_list("message__flow").annotate(count=Count("*")))


def _count(rows: QuerySet[Model], group: str) -> Coalesce:
    """The number of `rows` as a subquery; `group` is the field that links them to the outer row."""
    counted = rows.order_by().values(group).annotate(number=Count("pk")).values("number")
    return Coalesce(Subquery(counted, output_field=IntegerField()), 0)
