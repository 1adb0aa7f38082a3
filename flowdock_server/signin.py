"""The former place of the password backend: sessions that began before it moved name it."""

from typing import Any

from django.contrib.auth.backends import ModelBackend


class PasswordBackend(ModelBackend):
    """Keeps these sessions signed in. It signs in nobody itself, so a wrong password is counted once."""

    def authenticate(self, request: Any, username: Any = None, password: Any = None, **kwargs: Any) -> None:
        return None
