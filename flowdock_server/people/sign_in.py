"""Signing in with a password, and slowing down clients that guess passwords.

The sign-in page, Basic authentication and OAuth's password grant all use `PasswordBackend`. Failures are counted for
the account and for the client's address, in the database, so that all processes count together. After a few failures,
each further attempt has to wait twice as long as the previous one. Accounts that do not exist are treated in the same
way, so that nobody learns which ones exist.

An address from which somebody has recently signed in is known, and their account has a separate count for it. Only this
count makes them wait there, so attempts from elsewhere, or for other accounts, do not lock them out.

OAuth client secrets are counted in the same way, but by address only: client ids are public, and attempts from
elsewhere must not lock an application out.
"""

from datetime import datetime, timedelta
from math import ceil
from typing import Any

from django.contrib.auth import login
from django.contrib.auth.backends import ModelBackend
from django.db.models import F
from django.http import HttpRequest
from django.utils import timezone

from flowdock_server.models import SignInFailures, User
from flowdock_server.people.rate_limits import client_address
from flowdock_server.secrets.tokens import digest

# Consecutive failures without a delay. Several people may share an address.
FREE = {"account": 5, "known": 5, "address": 20}
LONGEST_WAIT = 300  # seconds
FORGOTTEN_AFTER = timedelta(hours=1)
KNOWN_FOR = timedelta(days=30)
_KNOWN = "known "  # prefix of the key for an account at a known address; other keys are hexadecimal


class TooManyAttempts(Exception):
    """No password is checked for another `retry_after` seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"Too many attempts to sign in. Try again in {retry_after} seconds.")
        self.retry_after = retry_after


class Guesses:
    """The failures so far of one account or OAuth client, and of the client address of a request."""

    def __init__(self, name: str, request: HttpRequest | None, *, counts_elsewhere: bool) -> None:
        """`counts_elsewhere`: whether failures from any address count together for this `name`."""
        address = client_address(request)
        self._keys = {
            "known": _KNOWN + digest(f"{name} {address}")[: -len(_KNOWN)],
            "address": digest(f"address {address}"),
        }
        if counts_elsewhere:
            self._keys["account"] = digest(f"account {name}")
        self._failures = {each.key: each for each in SignInFailures.objects.filter(key__in=self._keys.values())}
        self._known = self._failures.get(self._keys["known"])
        self._now = timezone.now()

    def check(self) -> None:
        """Raises TooManyAttempts. At a known address, only the failures of this name there count."""
        looked_at = ["known"] if self._known else ["account", "address"]
        failures = {kind: self._failures.get(self._keys[kind]) for kind in looked_at if kind in self._keys}
        if wait := _seconds_to_wait(failures, self._now):
            raise TooManyAttempts(wait)

    def failed(self) -> None:
        for kind in ("known" if self._known else "account", "address"):
            if kind in self._keys:
                _count(self._keys[kind], self._now)

    def succeeded(self) -> None:
        # Not for the address, or somebody with one account could guess passwords of others without a limit.
        known, now = self._known, self._now
        if known is None and "account" in self._keys:
            SignInFailures.objects.filter(key=self._keys["account"]).delete()
        if known is None or known.count or known.last_at < now - timedelta(days=1):
            SignInFailures.objects.update_or_create(key=self._keys["known"], defaults={"count": 0, "last_at": now})


class PasswordBackend(ModelBackend):
    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> User | None:
        """The user with this e-mail address and password. Raises TooManyAttempts."""
        if username is None or password is None:
            return None
        guesses = Guesses(username.strip().lower(), request, counts_elsewhere=True)
        guesses.check()
        user = super().authenticate(request, username=username, password=password)
        if user is None:
            guesses.failed()
        else:
            guesses.succeeded()
        return user


def sign_in(request: HttpRequest, user: User) -> None:
    """Start a session for `user`, who was authenticated in another way than by a password."""
    login(request, user, backend=f"{PasswordBackend.__module__}.{PasswordBackend.__qualname__}")


def _seconds_to_wait(failures: dict[str, SignInFailures | None], now: datetime) -> int:
    waits = [0.0]
    for kind, failed in failures.items():
        if failed and failed.count >= FREE[kind]:
            # The exponent is bounded, since 2 to the power of a million takes long to compute.
            wait = min(2 ** min(failed.count - FREE[kind], 20), LONGEST_WAIT)
            waits.append((failed.last_at + timedelta(seconds=wait) - now).total_seconds())
    return ceil(max(waits))


def _count(key: str, now: datetime) -> None:
    """Add one to the count, which starts again after FORGOTTEN_AFTER."""
    rows = SignInFailures.objects
    rows.filter(last_at__lt=now - FORGOTTEN_AFTER).exclude(key__startswith=_KNOWN).delete()
    rows.filter(last_at__lt=now - KNOWN_FOR).delete()
    rows.filter(last_at__lt=now - FORGOTTEN_AFTER).update(count=0)
    if not rows.filter(key=key).update(count=F("count") + 1, last_at=now):
        rows.get_or_create(key=key, defaults={"count": 1, "last_at": now})
