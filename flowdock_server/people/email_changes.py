"""Changing the e-mail address that a person signs in with.

The new address counts once the link that was sent to it has been opened; the old one gets a notice when the change is
requested. So whoever has a token, an open window, or a typing mistake takes over no account and loses none.
"""

import smtplib
from datetime import timedelta

from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.db import IntegrityError, transaction
from django.template.loader import render_to_string
from django.utils import timezone

from flowdock_server.models import EmailChange, User
from flowdock_server.secrets.tokens import digest, new_token

LASTS = timedelta(days=1)


class AddressTaken(Exception):
    """Another account has this address."""


class MailNotSent(Exception):
    """The mail server refused the mails, or could not be reached. Nothing has changed."""


def request(user: User, email: str) -> None:
    """Mail a link to `email`, and a notice to the present address. Raises AddressTaken and MailNotSent.

    A change that was requested before and not confirmed ends.
    """
    email = email.strip().lower()
    if User.objects.filter(email=email).exclude(pk=user.pk).exists():
        raise AddressTaken
    token = new_token()
    requested = {"email": email, "token_digest": digest(token), "requested_at": timezone.now()}
    EmailChange.objects.update_or_create(user=user, defaults=requested)
    # Not in a transaction: a slow mail server would hold up everybody who writes.
    try:
        _send(user, email, f"{settings.SERVER_URL}/account/email/{token}")
    except (OSError, smtplib.SMTPException) as error:
        cancel(user)
        raise MailNotSent from error


def find(token: str) -> EmailChange | None:
    """The change that the link in a mail confirms; None for one that was replaced, canceled, or is too old."""
    waiting = EmailChange.objects.select_related("user").filter(user__is_active=True)
    return waiting.filter(token_digest=digest(token), requested_at__gt=timezone.now() - LASTS).first()


def pending(user: User) -> EmailChange | None:
    """The change of this person that waits for its link to be opened."""
    return EmailChange.objects.filter(user=user, requested_at__gt=timezone.now() - LASTS).first()


def confirm(change: EmailChange) -> bool:
    """The person signs in with the new address from now on. Raises AddressTaken.

    False, and nothing has changed, where the change was replaced or canceled since it was found.
    """
    try:
        with transaction.atomic():
            waiting = EmailChange.objects.filter(pk=change.pk, token_digest=change.token_digest)
            if not waiting.delete()[0]:
                return False
            change.user.email = change.email
            change.user.save(update_fields=["email"])
    except IntegrityError as error:
        raise AddressTaken from error
    return True


def cancel(user: User) -> None:
    """The link that was sent stops working."""
    EmailChange.objects.filter(user=user).delete()


def _send(user: User, email: str, address: str) -> None:
    context = {"user": user, "email": email, "address": address, "account": f"{settings.SERVER_URL}/account"}
    mails = [
        EmailMessage(subject=subject, body=render_to_string(f"flowdock_server/{template}.txt", context), to=[to])
        for to, subject, template in (
            (user.email, "Your e-mail address is about to change", "email_notice"),
            (email, "Confirm your new e-mail address", "email_confirmation"),
        )
    ]
    get_connection().send_messages(mails)
