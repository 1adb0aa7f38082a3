"""Context of the sidebar on every page of a flow: flows and private conversations with their unread counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict, cast

from django.db.models import Count, Exists, IntegerField, Model, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce, Greatest

from flowdock_server.models import (
    Conversation,
    Flow,
    FlowMembership,
    Message,
    PrivateMessage,
    Thread,
    ThreadMark,
    User,
)

from .access import SignedInRequest

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


@dataclass(frozen=True)
class Private:
    """A conversation as one of its two people sees it."""

    conversation: Conversation
    other: User
    unread: int


def frame(request: SignedInRequest, flow: Flow | None = None) -> dict[str, Any]:
    """The organization's flows, a link for each other organization, and open conversations; in two queries."""
    user = request.user
    flows = [_with_counts(membership) for membership in _memberships(user)]
    open_flows = [each for each in flows if not each.disabled or each == flow]
    organization = flow.organization if flow else next((each.organization for each in open_flows), None)
    first_flows = {each.organization_id: each for each in reversed(open_flows)}
    return {
        "flow": flow,
        "organization": organization,
        "flows": [each for each in open_flows if organization and each.organization_id == organization.pk],
        "first_flows": list(reversed(first_flows.values())) if len(first_flows) > 1 else [],
        "conversations": [each for each in conversations(user) if each.unread or each.conversation.is_open_for(user)],
        "unread": next((each.unread_threads for each in flows if each == flow), 0),
        "unread_messages": next((each.unread_messages for each in flows if each == flow), 0),
    }


def conversations(user: User) -> list[Private]:
    said = (PrivateMessage.Event.MESSAGE, PrivateMessage.Event.FILE)
    unread = PrivateMessage.objects.filter(conversation=OuterRef("pk"), event__in=said).exclude(user=user)
    found = (
        Conversation.objects.of(user)
        .select_related("first", "second")
        .annotate(
            for_first=_count(unread.filter(number__gt=OuterRef("first_read_number")), "conversation"),
            for_second=_count(unread.filter(number__gt=OuterRef("second_read_number")), "conversation"),
        )
    )
    return [
        Private(each, each.other(user), each.for_first if each.first_id == user.pk else each.for_second)
        for each in cast("QuerySet[CountedForEach]", found.order_by("pk"))
    ]


def _with_counts(membership: Counted) -> Flow:
    flow = membership.flow
    flow.unread_threads, flow.unread_messages = membership.unread_threads, membership.unread_messages
    flow.unread = flow.unread_threads + flow.unread_messages
    return flow


def _memberships(user: User) -> QuerySet[Counted]:
    """Memberships with unread counts, which use an index and stop at COUNTED messages."""
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
    said = Message.objects.filter(
        flow=OuterRef("flow"),
        event__in=(Message.Event.MESSAGE, Message.Event.COMMENT, Message.Event.FILE),
        number__gt=Greatest(OuterRef("last_read_number"), floor),
    ).exclude(user=user)
    return (
        FlowMembership.objects.filter(user=user, disabled=False)
        .select_related("flow__organization")
        .annotate(unread_threads=_count(threads, "flow"), unread_messages=_count(said, "flow"))
        .order_by("flow__organization__name", "flow__name")
    )


def _count(rows: QuerySet[Model], group: str) -> Coalesce:
    """The number of `rows` as a subquery; `group` is the field that links them to the outer row."""
    counted = rows.order_by().values(group).annotate(number=Count("pk")).values("number")
    return Coalesce(Subquery(counted, output_field=IntegerField()), 0)
