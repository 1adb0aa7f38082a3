"""Reads a password for a command, but never from its arguments, which every user of the machine can list."""

from __future__ import annotations

import getpass
import os
import sys

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import CommandError

from flowdock_server.models import User

VARIABLE = "FLOWDOCK_PASSWORD"


def ask(user: User) -> str:
    """Read a password for `user` from the environment, from standard input, or twice from a terminal.

    Raises CommandError if there is none (exit code 2) or it is too weak (1).
    """
    if VARIABLE in os.environ:
        password = os.environ[VARIABLE]
    elif sys.stdin.isatty():
        password = getpass.getpass("Password: ")
        if getpass.getpass("Password (again): ") != password:
            raise CommandError("The two passwords do not match", returncode=2)
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    if not password:
        raise CommandError(
            f"No password was given. Set {VARIABLE}, write the password to standard input, or use --no-password",
            returncode=2,
        )
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise CommandError(" ".join(error.messages)) from None
    return password
