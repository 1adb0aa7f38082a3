"""Where a command takes a password from: never from its arguments, which every user of the machine can list."""

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
    """The password for `user`: from the environment, from standard input, or typed twice at a terminal.

    Raises CommandError: nothing was given (2), or what was given is too weak (1).
    """
    if VARIABLE in os.environ:
        password = os.environ[VARIABLE]
    elif sys.stdin.isatty():
        password = getpass.getpass("Password: ")
        if getpass.getpass("Password, once more: ") != password:
            raise CommandError("The two passwords are not the same", returncode=2)
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    if not password:
        raise CommandError(
            f"Give a password in {VARIABLE} or on standard input, or say --no-password",
            returncode=2,
        )
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise CommandError(" ".join(error.messages)) from None
    return password
