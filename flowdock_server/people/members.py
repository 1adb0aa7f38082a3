"""Who is in organizations and flows, who may see whom, and who may change it.

An organization's admins manage it and its people; what is inside a flow is for those who are in it, admins too.
"""

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac

from flowdock_server.models import Flow, FlowMembership, Invitation, Membership, Message, Organization, User
from flowdock_server.parsing.slugs import parameterized
from flowdock_server.posting import messages
from flowdock_server.secrets.tokens import new_token


class LastAdmin(Exception):
    """An organization would be left without anybody who may manage it."""


class NoAddressLeft(Exception):
    """There are too many flows of this name in the organization."""


def is_admin(user: User, organization: Organization) -> bool:
    return Membership.objects.filter(organization=organization, user=user, admin=True).exists()


def visible_to(user: User) -> QuerySet[User]:
    """Themselves, those who share a flow with them, and everybody in the organizations that they manage."""
    shared = FlowMembership.objects.filter(flow__in=Flow.objects.open_to(user).values("pk"))
    managed = Membership.objects.filter(
        organization__in=Organization.objects.filter(memberships__user=user, memberships__admin=True).values("pk")
    )
    return User.objects.filter(
        Q(pk=user.pk) | Q(pk__in=shared.values("user")) | Q(pk__in=managed.values("user"))
    ).order_by("id")


def of_organization(organization: Organization, seen_by: User) -> QuerySet[Membership]:
    """The organization's people: all of them for its admins, flow mates for everybody else."""
    memberships = Membership.objects.filter(organization=organization).select_related("user").order_by("user_id")
    return memberships.filter(user__in=visible_to(seen_by).order_by().values("pk"))


def joinable_by(user: User) -> QuerySet[Flow]:
    """The flows that `user` is not in and may join without being asked."""
    inside = Membership.objects.filter(user=user).values("organization")
    return Flow.objects.filter(
        organization__in=inside, access_mode=Flow.AccessMode.ORGANIZATION, disabled=False
    ).exclude(memberships__user=user)


def make_flow(organization: Organization, name: str, access_mode: str, *, by: User) -> Flow:
    """A flow that `by` is in, at the first address that is free: releases, releases-2. Raises NoAddressLeft."""
    address = parameterized(name)[:90] or "flow"
    for number in range(1, 1000):
        free = address if number == 1 else f"{address}-{number}"
        if organization.flows.filter(parameterized_name=free).exists():
            continue
        try:
            with transaction.atomic():
                flow = Flow.objects.create(
                    organization=organization, name=name.strip(), parameterized_name=free, access_mode=access_mode
                )
        except IntegrityError:  # somebody was faster
            continue
        add(flow, by)
        return flow
    raise NoAddressLeft


@transaction.atomic
def add(flow: Flow, user: User, *, by: User | None = None) -> bool:
    """Let somebody of the organization into the flow; whether they were not in it before.

    One who is blocked stays blocked. The flow is told who let them in, or that they came by themselves; of a new
    flow's first member, `by` nobody, it is not.
    """
    _, is_new = FlowMembership.objects.get_or_create(flow=flow, user=user)
    if is_new:
        # However they came in: what they were asked to has happened.
        pending = Invitation.objects.filter(flow=flow, email=user.email, state=Invitation.State.PENDING)
        pending.update(state=Invitation.State.ACCEPTED, accepted_at=timezone.now())
    if is_new and by == user:
        tell(flow, "join", "", by=user)
    elif is_new and by:
        tell(flow, "add_people", user.nick, by=by)
    return is_new


@transaction.atomic
def block(membership: FlowMembership, *, by: User, disabled: bool) -> None:
    """Shut somebody out of a flow, which is told of it, or let them in again."""
    if disabled and not membership.disabled:
        tell(membership.flow, "block", {"user": str(membership.user_id)}, by=by)
    membership.disabled = disabled
    membership.save(update_fields=["disabled"])


def tell(flow: Flow, kind: str, description: str | dict[str, str], *, by: User) -> None:
    """Let those in the flow know what happened, by an "action" of Flowdock's kinds."""
    messages.record(flow, Message.Event.ACTION, {"type": kind, "description": description}, by)


@transaction.atomic
def remove(organization: Organization, user: User) -> None:
    """Take somebody out of the organization and of all its flows. What they wrote stays. Raises LastAdmin."""
    # Those who are taken out at once wait for each other here, so that the last two do not go together.
    Organization.objects.select_for_update().get(pk=organization.pk)
    if not organization.memberships.filter(admin=True).exclude(user=user).exists():
        raise LastAdmin
    FlowMembership.objects.filter(flow__organization=organization, user=user).delete()
    organization.memberships.filter(user=user).delete()
    _close_ways_back(organization.flows.all(), user)


@transaction.atomic
def remove_from_flow(membership: FlowMembership) -> None:
    """Take somebody out of a flow. They stay in the organization, and what they wrote stays."""
    membership.delete()
    _close_ways_back(Flow.objects.filter(pk=membership.flow_id), membership.user)


def _close_ways_back(flows: QuerySet[Flow], user: User) -> None:
    """End the invite links of these flows, which somebody who was removed may have kept, and their own invitations."""
    flows.update(join_nonce=new_token())  # one for them all: a link's key is made from it and from the flow's id
    pending = Invitation.objects.filter(flow__in=flows.order_by().values("pk"), email=user.email)
    pending.filter(state=Invitation.State.PENDING).delete()


def renew_join_url(flow: Flow) -> None:
    """Make another invite link: the old one stops working."""
    flow.join_nonce = new_token()
    flow.save(update_fields=["join_nonce"])


def _join_key(flow: Flow) -> str:
    return salted_hmac("flowdock_server.join", f"{flow.pk} {flow.join_nonce}", algorithm="sha256").hexdigest()[:32]


def join_url(flow: Flow) -> str:
    """The page where one joins: for everybody who has the link, or for the organization; empty by invitation only."""
    match flow.access_mode:
        case Flow.AccessMode.LINK:
            return f"{settings.SERVER_URL}/join/{flow.pk}/{_join_key(flow)}"
        case Flow.AccessMode.ORGANIZATION:
            return f"{settings.SERVER_URL}/join/{flow.pk}"
        case _:
            return ""


def may_join(flow: Flow, user: User, key: str = "") -> bool:
    """Whether `user` may come in by `join_url`; `key` is its last part."""
    if flow.disabled:
        return False
    if flow.access_mode == Flow.AccessMode.LINK:
        return constant_time_compare(key, _join_key(flow))
    in_organization = Membership.objects.filter(organization=flow.organization_id, user=user).exists()
    return flow.access_mode == Flow.AccessMode.ORGANIZATION and in_organization


@transaction.atomic
def join(flow: Flow, user: User) -> None:
    """Come in oneself, after `may_join`; a link leads into the organization too. One who is blocked stays blocked."""
    Membership.objects.get_or_create(organization=flow.organization, user=user)
    add(flow, user, by=user)
