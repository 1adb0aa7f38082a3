"""Asking people into a flow by e-mail."""

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
    """Ask `email` into `flow`: they get a mail with an address that lets them in. Raises AlreadyInFlow.

    To invite again somebody who has not answered sends a new mail, whose address replaces the old one.
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
    """Let `user` in by it, and tell the flow."""
    was_in = FlowMembership.objects.filter(flow=invitation.flow, user=user).exists()
    invitation.accept(user)
    if not was_in:
        members.post_action(invitation.flow, "join", "", by=user)


@sensitive_variables("password")
@transaction.atomic
def accept_with_new_account(invitation: Invitation, name: str, password: str) -> User:
    """Create the account of somebody who has none yet, and add them to the flow.

    Raises IntegrityError where the account exists, as when the same form is sent twice at once.
    """
    user = User.objects.create_user(invitation.email, name, password)
    accept(invitation, user)
    return user


@dataclass
class Imported:
    """What became of a list of addresses. `erroneous_emails` has the reason for each that could not be invited."""

    invitations: list[Invitation] = field(default_factory=list)
    added_users: list[User] = field(default_factory=list)
    erroneous_emails: dict[str, str] = field(default_factory=dict)


def import_addresses(flow: Flow, text: str, *, by: User, message: str = "") -> Imported:
    """Invite everybody in a list, as people paste it: by line, comma or semicolon, with or without names.

    Those who are in the organization already are added to the flow at once; those in the flow are passed over.
    Raises TooMany.
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
    """The addresses of a list; what is none stays as it was typed, to be shown as erroneous."""
    found = []
    for part in re.split(r"[,;\n\r]+", text):
        if named := re.fullmatch(r"[^<>]*<([^<>]*)>\s*", part):
            found.append(named[1].strip())
        else:
            found += part.split() if part.count("@") > 1 else [part.strip()]
    return [address for address in found if address]


def find(token: str) -> Invitation | None:
    """The invitation that waits for an answer behind the address in a mail."""
    waiting = Invitation.objects.select_related("flow__organization", "invited_by")
    return waiting.filter(token_digest=digest(token), state=Invitation.State.PENDING).first()


def _send(invitation: Invitation, token: str) -> None:
    """A mail that cannot be sent is logged, and the invitation stays: it can be sent again by inviting again."""
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
