"""The session engine: Django's signed cookie, but valid only while its sign-in is in the database.

A signed cookie alone is valid until it expires, for anybody who has a copy. Here each sign-in has a row, which contains
no secret; signing out deletes it and so invalidates every copy of the cookie. The content of the cookie, above all the
encrypted access token, is in no database. The cost is a lookup by primary key for each request of a signed-in person; a
row is written when somebody signs in or out.
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
        """The session; an empty one if its sign-in has ended."""
        data = super().load()
        if SESSION_KEY in data and not SignIn.objects.current(data.get(SIGN_IN_KEY), data[SESSION_KEY]).exists():
            self.create()
            return {}
        return data

    def flush(self) -> None:
        """Sign out: delete the cookie, and invalidate copies of it."""
        SignIn.objects.end(self.get(SIGN_IN_KEY))
        super().flush()


def remember_sign_in(request: HttpRequest, user: User, **kwargs: Any) -> None:
    """The receiver of `user_logged_in`. It ends the session's previous sign-in and stores the new one."""
    SignIn.objects.end(request.session.get(SIGN_IN_KEY))
    request.session[SIGN_IN_KEY] = str(SignIn.objects.create(user=user).pk)


user_logged_in.connect(remember_sign_in, dispatch_uid="integrations.sessions")
