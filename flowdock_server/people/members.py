"""Members of flows: adding, blocking and removing them, and which users somebody can see.

Admins of an organization manage its members. What is inside of a flow is visible to its members only, also for admins.
"""

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from flowdock_server.models import Flow, FlowMembership, Invitation, Membership, Message, Organization, User
from flowdock_server.posting import messages
from flowdock_server.secrets.tokens import new_token


def visible_to(user: User) -> QuerySet[User]:
    """The user, those who share a flow with them, and the members of organizations that they are an admin of."""
    shared = FlowMembership.objects.filter(flow__in=Flow.objects.open_to(user).values("pk"))
    managed = Membership.objects.filter(
        organization__in=Organization.objects.filter(memberships__user=user, memberships__admin=True).values("pk")
    )
    return User.objects.filter(
        Q(pk=user.pk) | Q(pk__in=shared.values("user")) | Q(pk__in=managed.values("user"))
    ).order_by("id")


@transaction.atomic
def add(flow: Flow, user: User, *, by: User | None = None) -> bool:
    """Add a member of the organization to the flow. Returns whether they are new; a blocked member stays blocked.

    The flow's chat says who added them, or that they joined if `by` is `user`; nothing without `by`, as for the first
    member of a new flow.
    """
    _, is_new = FlowMembership.objects.get_or_create(flow=flow, user=user)
    if is_new:
        # Whichever way they joined, an invitation to this flow is no longer pending.
        pending = flow.invitations.pending().filter(email=user.email)
        pending.update(state=Invitation.State.ACCEPTED, accepted_at=timezone.now())
    if is_new and by == user:
        post_action(flow, "join", "", by=user)
    elif is_new and by:
        post_action(flow, "add_people", user.nick, by=by)
    return is_new


@transaction.atomic
def set_open(flow: Flow, user: User, *, is_open: bool) -> None:
    """Open the flow for the user, who joins it if they are not a member yet, or close it."""
    if is_open:
        add(flow, user, by=user)
    FlowMembership.objects.filter(flow=flow, user=user).update(open=is_open)


@transaction.atomic
def block(membership: FlowMembership, *, by: User) -> None:
    """A blocked member neither reads the flow nor posts to it. The flow's chat says who blocked them."""
    if not membership.disabled:
        post_action(membership.flow, "block", {"user": str(membership.user_id)}, by=by)
    _set_disabled(membership, True)


def unblock(membership: FlowMembership) -> None:
    _set_disabled(membership, False)


def _set_disabled(membership: FlowMembership, disabled: bool) -> None:
    membership.disabled = disabled
    membership.save(update_fields=["disabled"])


def leave(membership: FlowMembership) -> None:
    """Leave a flow oneself. The invite link goes on working."""
    membership.delete()


@transaction.atomic
def remove(membership: FlowMembership) -> None:
    """Remove a member from a flow. They stay in the organization, and their messages stay."""
    membership.delete()
    revoke_ways_back(Flow.objects.filter(pk=membership.flow_id), membership.user)


def revoke_ways_back(flows: QuerySet[Flow], user: User) -> None:
    """Replace the invite links of the flows, which a removed member may have kept, and delete invitations for them."""
    flows.update(join_nonce=new_token())  # one for all of them: a link's key is made from it and the flow's id
    Invitation.objects.pending().filter(flow__in=flows.order_by().values("pk"), email=user.email).delete()


def post_action(flow: Flow, kind: str, description: str | dict[str, str], *, by: User) -> None:
    """Post an "action" to the flow's chat, which says what happened in one of Flowdock's kinds."""
    messages.record(flow, Message.Event.ACTION, {"type": kind, "description": description}, by)
