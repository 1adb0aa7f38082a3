"""Make a user."""

from __future__ import annotations

import argparse
import json
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from flowdock_server.management import lookups, passwords
from flowdock_server.models import Membership, User
from flowdock_server.people import members

EXAMPLE = """
The password is read from FLOWDOCK_PASSWORD, else from standard input, else asked for at the terminal. It is no
argument, since every user of the machine can list those.

  python -m flowdock_server create_user lea@example.com "Lea Cohen" --organization acme --flow acme/main
  pwgen 20 1 | tee /dev/tty | python -m flowdock_server create_user lea@example.com "Lea Cohen"
  python -m flowdock_server create_user bot@example.com "Build Bot" --nick bot --no-password --flow acme/main

Exit codes:
  0  made; with --exist-ok: or there already, and added where it was not yet
  1  there already, the password is too weak, or no such organization or flow
  2  wrong arguments, or no password
"""


class Command(BaseCommand):
    help = "Make a user, and add them to organizations and flows."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.epilog = EXAMPLE
        parser.formatter_class = argparse.RawDescriptionHelpFormatter
        parser.add_argument("email", type=lookups.email, help="The e-mail address they sign in with.")
        parser.add_argument("name", help="What pages call them: Lea Cohen.")
        parser.add_argument("--nick", help="What mentions call them (default: the first word of the name).")
        parser.add_argument(
            "--organization",
            type=lookups.address_part,
            action="append",
            default=[],
            help="Add them to this organization. May be repeated.",
        )
        parser.add_argument("--admin", action="store_true", help="They may manage these organizations.")
        parser.add_argument(
            "--flow",
            type=lookups.flow_address,
            action="append",
            default=[],
            metavar="ORGANIZATION/FLOW",
            help="Add them to this flow and its organization. May be repeated.",
        )
        parser.add_argument(
            "--no-password", action="store_true", help="Nobody can sign in as them: for programs with a token."
        )
        parser.add_argument(
            "--exist-ok", action="store_true", help="It is well if they exist: nothing of them changes."
        )
        parser.add_argument("--json", action="store_true", help="Print who was made as JSON.")

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
            raise CommandError(f"There is a user {email} already")
        made = user is None
        user = user or self._make(email, name, nick, no_password)
        for each in organizations:
            Membership.objects.update_or_create(organization=each, user=user, defaults={"admin": True} if admin else {})
        for flow_to_join in flows:
            members.join(flow_to_join, user)
        if options["json"]:
            self.stdout.write(json.dumps({"id": user.pk, "email": user.email, "name": user.name, "nick": user.nick}))
        else:
            self.stdout.write(f"{user.name} <{user.email}> is {'made' if made else 'there'}, number {user.pk}")

    def _make(self, email: str, name: str, nick: str | None, no_password: bool) -> User:
        fields = {"nick": nick} if nick else {}
        draft = User(email=email, name=name, nick=nick or (name.split() or [""])[0])
        try:
            draft.clean_fields(exclude=["password"])
        except ValidationError as error:
            said = "; ".join(f"{field}: {' '.join(texts)}" for field, texts in error.message_dict.items())
            raise CommandError(said, returncode=2) from None
        password = None if no_password else passwords.ask(draft)
        return User.objects.create_user(email, name, password, **fields)
