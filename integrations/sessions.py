"""The session engine: a signed cookie, as Django's, that counts only while its sign-in is in the database.

A signed cookie alone is valid until it expires, whoever has a copy of it. Here each sign-in has a row that holds no
secret; signing out deletes it, and every copy of the cookie is worthless from then on. What the cookie carries, the
encrypted access token first of all, is in no database. It costs a lookup by primary key for each request of somebody
who is signed in; a row is written when somebody signs in or out.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth import SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.auth.signals import user_logged_in
from django.contrib.sessions.backends import signed_cookies
from django.http import HttpRequest

from integrations.models import SignIn

SIGN_IN_KEY = "sign_in"


class SessionStore(signed_cookies.SessionStore):
    def load(self) -> dict[str, Any]:
        """The session; an empty one where it belongs to a sign-in that has ended."""
        data = super().load()
        if SESSION_KEY in data and not SignIn.objects.current(data.get(SIGN_IN_KEY), data[SESSION_KEY]).exists():
            self.create()
            return {}
        return data

    def flush(self) -> None:
        """Sign out: the cookie goes, and copies of it end."""
        SignIn.objects.end(self.get(SIGN_IN_KEY))
        super().flush()


def remember_sign_in(request: HttpRequest, user: User, **kwargs: Any) -> None:
    """The receiver of `user_logged_in`. Whoever was signed in by this session before no longer is."""
    SignIn.objects.end(request.session.get(SIGN_IN_KEY))
    request.session[SIGN_IN_KEY] = str(SignIn.objects.create(user=user).pk)


user_logged_in.connect(remember_sign_in, dispatch_uid="integrations.sessions")
