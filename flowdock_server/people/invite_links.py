"""Invite links: joining a flow without an invitation, by a secret link or as a member of its organization."""

from django.conf import settings
from django.db import transaction
from django.utils.crypto import constant_time_compare, salted_hmac

from flowdock_server.models import Flow, Membership, User
from flowdock_server.people import members
from flowdock_server.secrets.tokens import new_token


def join_url(flow: Flow) -> str:
    """The page where people join; empty for a flow that is joined by invitation only."""
    match flow.access_mode:
        case Flow.AccessMode.LINK:
            return f"{settings.SERVER_URL}/join/{flow.pk}/{_key(flow)}"
        case Flow.AccessMode.ORGANIZATION:
            return f"{settings.SERVER_URL}/join/{flow.pk}"
        case _:
            return ""


def renew(flow: Flow) -> None:
    """Replace the invite link: the old one stops working."""
    flow.join_nonce = new_token()
    flow.save(update_fields=["join_nonce"])


def may_join(flow: Flow, user: User, key: str = "") -> bool:
    """Whether `user` may join by `join_url`, whose last part is `key`."""
    if flow.disabled:
        return False
    if flow.access_mode == Flow.AccessMode.LINK:
        return constant_time_compare(key, _key(flow))
    is_member = Membership.objects.filter(organization=flow.organization_id, user=user).exists()
    return flow.access_mode == Flow.AccessMode.ORGANIZATION and is_member


@transaction.atomic
def join(flow: Flow, user: User) -> None:
    """Add `user`, for whom `may_join` is true, to the flow and its organization. A blocked member stays blocked."""
    Membership.objects.get_or_create(organization=flow.organization, user=user)
    members.add(flow, user, by=user)


def _key(flow: Flow) -> str:
    return salted_hmac("flowdock_server.join", f"{flow.pk} {flow.join_nonce}", algorithm="sha256").hexdigest()[:32]
