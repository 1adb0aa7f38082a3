"""The previous path of the password backend, which is stored in sessions from before it was moved."""

from typing import Any

from django.contrib.auth.backends import ModelBackend


class PasswordBackend(ModelBackend):
    """Keeps these sessions valid. It never signs anybody in, so that wrong passwords are counted only once."""

    def authenticate(self, request: Any, username: Any = None, password: Any = None, **kwargs: Any) -> None:
        return None
