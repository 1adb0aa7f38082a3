"""Context of the sidebar on every page of a flow: flows and private conversations with their unread counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flowdock_server.models import Conversation, Flow, User
from flowdock_server.people import unread

from .access import SignedInRequest


@dataclass(frozen=True)
class Private:
    """A conversation as one of its two people sees it."""

    conversation: Conversation
    other: User
    unread: int


def sidebar_context(request: SignedInRequest, flow: Flow | None = None) -> dict[str, Any]:
    """The organization's flows, a link for each other organization, and open conversations; in two queries."""
    user = request.user
    flows = [_with_counts(membership) for membership in unread.memberships(user)]
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
    return [
        Private(each, each.other(user), each.for_first if each.first_id == user.pk else each.for_second)
        for each in unread.conversations(user)
    ]


def _with_counts(membership: unread.Counted) -> Flow:
    flow = membership.flow
    flow.unread_threads, flow.unread_messages = membership.unread_threads, membership.unread_messages
    flow.unread = flow.unread_threads + flow.unread_messages
    return flow
