"""Inviting people to a flow by e-mail."""

import logging
import re
import smtplib
from dataclasses import dataclass, field

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import EmailMessage
from django.core.validators import validate_email
from django.db import transaction
from django.template.loader import render_to_string
from django.views.decorators.debug import sensitive_variables

from flowdock_server.models import Flow, FlowMembership, Invitation, User
from flowdock_server.people import members
from flowdock_server.secrets.tokens import digest

logger = logging.getLogger(__name__)

MAX_IMPORTED = 200  # addresses at once
MAX_MESSAGE = 2000  # characters


class AlreadyInFlow(Exception):
    """The address belongs to somebody who is in the flow."""


class TooMany(Exception):
    """More than MAX_IMPORTED addresses."""


@transaction.atomic
def invite(flow: Flow, email: str, *, by: User, message: str = "") -> Invitation:
    """Invite `email` to `flow` by a mail with a link. Raises AlreadyInFlow.

    If there is a pending invitation, a new mail is sent, whose link replaces the old one.
    """
    if FlowMembership.objects.filter(flow=flow, user__email=email.lower()).exists():
        raise AlreadyInFlow
    invitation, token = Invitation.issue(flow=flow, email=email, invited_by=by, message=message)
    members.post_action(flow, "invite", {"email": invitation.email}, by=by)
    transaction.on_commit(lambda: _send(invitation, token))
    return invitation


@transaction.atomic
def cancel(invitation: Invitation, *, by: User) -> None:
    """Cancel a pending invitation: the link in its e-mail stops working."""
    members.post_action(invitation.flow, "uninvite", {"email": invitation.email}, by=by)
    invitation.delete()


@transaction.atomic
def accept(invitation: Invitation, user: User) -> None:
    """Add `user` to the flow, whose chat says so."""
    was_in = FlowMembership.objects.filter(flow=invitation.flow, user=user).exists()
    invitation.accept(user)
    if not was_in:
        members.post_action(invitation.flow, "join", "", by=user)


@sensitive_variables("password")
@transaction.atomic
def accept_with_new_account(invitation: Invitation, name: str, password: str) -> User:
    """Create the account of somebody who has none yet, and add them to the flow.

    Raises IntegrityError if the account exists, as when the same form is sent twice at the same time.
    """
    user = User.objects.create_user(invitation.email, name, password)
    accept(invitation, user)
    return user


@dataclass
class Imported:
    """The result for a list of addresses. `erroneous_emails` has the reason for each that could not be invited."""

    invitations: list[Invitation] = field(default_factory=list)
    added_users: list[User] = field(default_factory=list)
    erroneous_emails: dict[str, str] = field(default_factory=dict)


def import_addresses(flow: Flow, text: str, *, by: User, message: str = "") -> Imported:
    """Invite everybody in a list: separated by lines, commas or semicolons, with or without names.

    Members of the organization are added to the flow right away; members of the flow are skipped. Raises TooMany.
    """
    outcome = Imported()
    addresses = list(dict.fromkeys(_addresses(text)))
    if len(addresses) > MAX_IMPORTED:
        raise TooMany
    mates = {user.email: user for user in User.objects.filter(memberships__organization=flow.organization_id)}
    for email in addresses:
        try:
            validate_email(email)
        except ValidationError:
            outcome.erroneous_emails[email] = "is not a valid e-mail address"
            continue
        email = email.lower()
        if user := mates.get(email):
            if members.add(flow, user, by=by):
                outcome.added_users.append(user)
            continue
        try:
            outcome.invitations.append(invite(flow, email, by=by, message=message))
        except AlreadyInFlow:
            continue
    return outcome


def _addresses(text: str) -> list[str]:
    """The addresses in a list. What is not an address is returned as it was typed, to be shown as an error."""
    found = []
    for part in re.split(r"[,;\n\r]+", text):
        if named := re.fullmatch(r"[^<>]*<([^<>]*)>\s*", part):
            found.append(named[1].strip())
        else:
            found += part.split() if part.count("@") > 1 else [part.strip()]
    return [address for address in found if address]


def find(token: str) -> Invitation | None:
    """The pending invitation with this token from a mail."""
    pending = Invitation.objects.pending().select_related("flow__organization", "invited_by")
    return pending.filter(token_digest=digest(token)).first()


def _send(invitation: Invitation, token: str) -> None:
    """Send the mail. If that fails it is logged; the invitation stays, and inviting again sends the mail again."""
    flow = invitation.flow
    context = {
        "invitation": invitation,
        "flow": flow,
        "by": invitation.invited_by,
        "address": f"{settings.SERVER_URL}/invitations/{token}",
    }
    by = invitation.invited_by.name if invitation.invited_by else "Someone"
    subject = " ".join(f"{by} invited you to {flow.name} in {flow.organization.name}".split())
    mail = EmailMessage(
        subject=subject, body=render_to_string("flowdock_server/invitation.txt", context), to=[invitation.email]
    )
    try:
        mail.send()
    except (OSError, smtplib.SMTPException) as error:
        logger.warning("Invitation %s could not be mailed: %s", invitation.pk, error)
