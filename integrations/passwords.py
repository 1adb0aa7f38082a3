"""Signing in with a password, as staff do in the admin, and slowing down anybody who guesses passwords.

Failures are counted for each account and for each client address, in the database, so that all processes count
together. After a few failures, each further attempt has to wait twice as long as the one before. An account that does
not exist is treated like one that does.

At an address from which somebody has recently signed in, their account has a separate count, and only that one applies:
a stranger who keeps guessing does not lock them out, not even from the same address (as behind an untrusted proxy).
"""

from __future__ import annotations

import datetime as dt
import hashlib
import math
from typing import Any

from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db.models import F
from django.http import HttpRequest
from django.utils import timezone

from .client_addresses import client_address
from .models import PasswordFailures

# Failures in a row without a wait. Several people may share an address.
FREE_AT_ACCOUNT, FREE_AT_ADDRESS = 5, 20
LONGEST_WAIT = dt.timedelta(minutes=5)
FORGOTTEN_AFTER = dt.timedelta(hours=1)
KNOWN_FOR = dt.timedelta(days=30)


class TooManyAttempts(Exception):
    """No password is checked for `retry_after` more seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(
            f"Too many failed attempts. Try again in {retry_after} second{'' if retry_after == 1 else 's'}."
        )
        self.retry_after = retry_after


class PasswordBackend(ModelBackend):
    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> User | None:
        """The account with this name and password, or None. Raises TooManyAttempts."""
        if username is None or password is None:
            return None
        now, address = timezone.now(), client_address(request)
        account, place = _digest("account", username), _digest("place", username, address)
        from_address = _digest("address", address)
        failures = PasswordFailures.objects.in_bulk([account, place, from_address])
        is_known = place in failures and failures[place].is_known_place
        free = {place: FREE_AT_ACCOUNT} if is_known else {account: FREE_AT_ACCOUNT, from_address: FREE_AT_ADDRESS}
        if wait := max(_wait(failures.get(key), number, now) for key, number in free.items()):
            raise TooManyAttempts(wait)
        user = super().authenticate(request, username=username, password=password, **kwargs)
        if not isinstance(user, User):
            for key in {*free, from_address}:
                _count(key, now)
            return None
        # The address's count stays: otherwise somebody with an account could keep guessing the passwords of others.
        # The account's count stays too if this is a known address: its failures are a stranger's.
        if not is_known:
            PasswordFailures.objects.filter(key=account).delete()
        PasswordFailures.objects.update_or_create(
            key=place, defaults={"count": 0, "last_at": now, "is_known_place": True}
        )
        return user


class SignInForm(AdminAuthenticationForm):
    def clean(self) -> dict[str, Any]:
        try:
            return super().clean()
        except TooManyAttempts as error:
            raise ValidationError(str(error), code="too_many_attempts") from error


def delete_old_failures() -> None:
    now = timezone.now()
    PasswordFailures.objects.filter(is_known_place=False, last_at__lt=now - FORGOTTEN_AFTER).delete()
    PasswordFailures.objects.filter(last_at__lt=now - KNOWN_FOR).delete()


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode(errors="replace")).hexdigest()


def _wait(failures: PasswordFailures | None, free: int, now: dt.datetime) -> int:
    """Seconds until the next attempt is checked; 0 means now."""
    if failures is None or failures.count < free or failures.last_at < now - FORGOTTEN_AFTER:
        return 0
    # The exponent is bounded, because 2 to the power of a million takes long to compute.
    wait = min(dt.timedelta(seconds=2 ** min(failures.count - free, 20)), LONGEST_WAIT)
    return max(math.ceil((failures.last_at + wait - now).total_seconds()), 0)


def _count(key: str, now: dt.datetime) -> None:
    """Count one more failure; after FORGOTTEN_AFTER, counting starts again."""
    rows = PasswordFailures.objects.filter(key=key)
    rows.filter(last_at__lt=now - FORGOTTEN_AFTER).update(count=0)
    if not rows.update(count=F("count") + 1, last_at=now):
        PasswordFailures.objects.get_or_create(key=key, defaults={"count": 1, "last_at": now})
