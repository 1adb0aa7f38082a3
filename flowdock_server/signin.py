"""Signing in with a password, and what slows down those who guess.

Every way leads through `PasswordBackend`: the page, Basic authentication, OAuth's password grant. Failures are counted
for the account and for the address they come from, in the database, so that all processes count together. After some
of them each further one has to wait twice as long as the one before. An account that does not exist is treated as one
that does, so that nobody learns which there are.

Where somebody has signed in from lately, their account has a count of its own: who goes on guessing from elsewhere does
not lock them out.
"""

from datetime import datetime, timedelta
from math import ceil
from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.db.models import F
from django.http import HttpRequest
from django.utils import timezone

from flowdock_server.limits import client_address
from flowdock_server.models import SignInFailures, User
from flowdock_server.tokens import digest

# Failures in a row that cost nothing: several people may share an address.
FREE = {"account": 5, "known": 5, "address": 20}
LONGEST_WAIT = 300  # seconds
FORGOTTEN_AFTER = timedelta(hours=1)
KNOWN_FOR = timedelta(days=30)
_KNOWN = "known "  # begins the key of an account at an address that is known; other keys are hexadecimal


class TooManyAttempts(Exception):
    """No password is looked at for `retry_after` more seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"Too many attempts to sign in. Try again in {retry_after} seconds.")
        self.retry_after = retry_after


class PasswordBackend(ModelBackend):
    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> User | None:
        """The user with this e-mail address and password. Raises TooManyAttempts."""
        if username is None or password is None:
            return None
        account, address = username.strip().lower(), client_address(request)
        keys = {
            "account": digest(f"account {account}"),
            "known": _KNOWN + digest(f"{account} {address}")[: -len(_KNOWN)],
            "address": digest(f"address {address}"),
        }
        failures = {each.key: each for each in SignInFailures.objects.filter(key__in=keys.values())}
        known = failures.get(keys["known"])
        counted = [keys["known" if known else "account"], keys["address"]]
        now = timezone.now()
        if wait := _seconds_to_wait({kind: failures.get(key) for kind, key in keys.items() if key in counted}, now):
            raise TooManyAttempts(wait)
        user = super().authenticate(request, username=username, password=password)
        if user is None:
            for key in counted:
                _count(key, now)
            return None
        # Not the address's: somebody with one account could go on guessing others' for ever.
        if known is None:
            SignInFailures.objects.filter(key=keys["account"]).delete()
        if known is None or known.count or known.last_at < now - timedelta(days=1):
            SignInFailures.objects.update_or_create(key=keys["known"], defaults={"count": 0, "last_at": now})
        return user


def _seconds_to_wait(failures: dict[str, SignInFailures | None], now: datetime) -> int:
    waits = [0.0]
    for kind, failed in failures.items():
        if failed and failed.count >= FREE[kind]:
            # The exponent is bounded, since 2 to the power of a million takes a while too.
            wait = min(2 ** min(failed.count - FREE[kind], 20), LONGEST_WAIT)
            waits.append((failed.last_at + timedelta(seconds=wait) - now).total_seconds())
    return ceil(max(waits))


def _count(key: str, now: datetime) -> None:
    """One more, unless those before are forgotten."""
    rows = SignInFailures.objects
    rows.filter(last_at__lt=now - FORGOTTEN_AFTER).exclude(key__startswith=_KNOWN).delete()
    rows.filter(last_at__lt=now - KNOWN_FOR).delete()
    rows.filter(last_at__lt=now - FORGOTTEN_AFTER).update(count=0)
    if not rows.filter(key=key).update(count=F("count") + 1, last_at=now):
        rows.get_or_create(key=key, defaults={"count": 1, "last_at": now})
