"""Changing the e-mail address that a person signs in with.

The new address takes effect when the link that was sent to it is opened. The old one gets a notice when the change is
requested. So neither a stolen token, nor an unattended browser, nor a typing mistake can lose an account.
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
    """The mail server rejected the mails or could not be reached. Nothing has changed."""


def request(user: User, email: str) -> None:
    """Mail a link to `email`, and a notice to the current address. Raises AddressTaken and MailNotSent.

    It replaces a pending change.
    """
    email = email.strip().lower()
    if User.objects.filter(email=email).exclude(pk=user.pk).exists():
        raise AddressTaken
    token = new_token()
    requested = {"email": email, "token_digest": digest(token), "requested_at": timezone.now()}
    EmailChange.objects.update_or_create(user=user, defaults=requested)
    # Not in a transaction, in which a slow mail server would block everybody who writes.
    try:
        _send(user, email, f"{settings.SERVER_URL}/account/email/{token}")
    except (OSError, smtplib.SMTPException) as error:
        cancel(user)
        raise MailNotSent from error


def find(token: str) -> EmailChange | None:
    """The change that the link in a mail confirms; None if it was replaced or canceled, or has expired."""
    waiting = EmailChange.objects.select_related("user").filter(user__is_active=True)
    return waiting.filter(token_digest=digest(token), requested_at__gt=timezone.now() - LASTS).first()


def pending(user: User) -> EmailChange | None:
    """The user's pending change, if any."""
    return EmailChange.objects.filter(user=user, requested_at__gt=timezone.now() - LASTS).first()


def confirm(change: EmailChange) -> bool:
    """Change the address that the user signs in with. Raises AddressTaken.

    False, without a change, if `change` was replaced or canceled since it was loaded.
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
    """Cancel the pending change: its link stops working."""
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
