"""Create a user."""

from __future__ import annotations

import argparse
import json
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from flowdock_server.management import lookups, passwords
from flowdock_server.management.checks import NO_CHECKS
from flowdock_server.models import Membership, User
from flowdock_server.people import invite_links

EXAMPLE = """
The password is read from the environment variable FLOWDOCK_PASSWORD or from standard input; at a terminal, the command
asks for it. It is not an argument, because every user of the machine can list the arguments of processes.

Examples:
  python -m flowdock_server create_user lea@example.com "Lea Cohen" --organization acme --flow acme/main
  pwgen 20 1 | tee /dev/tty | python -m flowdock_server create_user lea@example.com "Lea Cohen"
  python -m flowdock_server create_user bot@example.com "Build Bot" --nick bot --no-password --flow acme/main

Exit codes:
  0  created; with --exist-ok, also if the user already existed
  1  the user already exists, the password is too weak, or an organization or flow does not exist
  2  wrong arguments, or no password
"""


class Command(BaseCommand):
    requires_system_checks = NO_CHECKS
    help = "Create a user and add them to organizations and flows."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.epilog = EXAMPLE
        parser.formatter_class = argparse.RawDescriptionHelpFormatter
        parser.add_argument("email", type=lookups.email, help="E-mail address to sign in with.")
        parser.add_argument("name", help="Full name, such as Lea Cohen.")
        parser.add_argument("--nick", help="Nick for mentions (default: the first word of the name).")
        parser.add_argument(
            "--organization",
            type=lookups.address_part,
            action="append",
            default=[],
            help="Organization to add the user to, by its name in URLs. Can be repeated.",
        )
        parser.add_argument("--admin", action="store_true", help="Make the user an admin of these organizations.")
        parser.add_argument(
            "--flow",
            type=lookups.flow_address,
            action="append",
            default=[],
            metavar="ORGANIZATION/FLOW",
            help="Flow to add the user to, together with its organization. Can be repeated.",
        )
        parser.add_argument(
            "--no-password", action="store_true", help="Create a user without a password, for a program with a token."
        )
        parser.add_argument(
            "--exist-ok",
            action="store_true",
            help="If the user already exists, only add them to the organizations and flows.",
        )
        parser.add_argument("--json", action="store_true", help="Print the user as JSON.")

    @transaction.atomic
    def handle(
        self,
        *,
        email: str,
        name: str,
        nick: str | None,
        organization: list[str],
        flow: list[tuple[str, str]],
        admin: bool,
        no_password: bool,
        exist_ok: bool,
        **options: Any,
    ) -> None:
        organizations = [lookups.organization(each) for each in organization]
        flows = [lookups.flow(*each) for each in flow]
        user = User.objects.filter(email=email).first()
        if user and not exist_ok:
            raise CommandError(f"The user {email} already exists. Use --exist-ok to accept that")
        is_new = user is None
        user = user or self._create(email, name, nick, no_password)
        for each in organizations:
            Membership.objects.update_or_create(organization=each, user=user, defaults={"admin": True} if admin else {})
        for flow_to_join in flows:
            invite_links.join(flow_to_join, user)
        if options["json"]:
            self.stdout.write(json.dumps({"id": user.pk, "email": user.email, "name": user.name, "nick": user.nick}))
        else:
            verb = "Created" if is_new else "Found"
            self.stdout.write(f"{verb} the user {user.name} <{user.email}>\nid: {user.pk}")

    def _create(self, email: str, name: str, nick: str | None, no_password: bool) -> User:
        fields = {"nick": nick} if nick else {}
        draft = User(email=email, name=name, nick=nick or (name.split() or [""])[0])
        try:
            draft.clean_fields(exclude=["password"])
        except ValidationError as error:
            reasons = "; ".join(f"{field}: {' '.join(texts)}" for field, texts in error.message_dict.items())
            raise CommandError(reasons, returncode=2) from None
        password = None if no_password else passwords.ask(draft)
        return User.objects.create_user(email, name, password, **fields)
