"""Issue a token."""

from __future__ import annotations

import argparse
import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from flowdock_server.management import lookups
from flowdock_server.models import ApiToken

EXAMPLE = """
  python -m flowdock_server issue_token lea@example.com --name laptop    a personal API token
  python -m flowdock_server issue_token --user lea@example.com           the same
  python -m flowdock_server issue_token acme/main                        the flow's API token, for the Push API

A person may have any number of tokens, and revokes them on their account's page. A flow has one: a new one ends the
one before. A token is printed once, by this command; the server keeps its digest.

Exit codes:
  0  issued; the token is on standard output
  1  no such user or flow, or the user is blocked
  2  wrong arguments
"""


class Command(BaseCommand):
    help = "Issue an API token: a person's own, for the whole API, or a flow's, for the Push API."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.epilog = EXAMPLE
        parser.formatter_class = argparse.RawDescriptionHelpFormatter
        of = parser.add_mutually_exclusive_group(required=True)
        of.add_argument("of", nargs="?", metavar="EMAIL|ORGANIZATION/FLOW", help="Whose token.")
        of.add_argument("--user", metavar="EMAIL", help="The same, for a person's token.")
        parser.add_argument(
            "--name", default="from the command line", help="What a person's account page calls it (%(default)s)."
        )
        parser.add_argument("--json", action="store_true", help="Print it as JSON.")

    def handle(self, *, of: str | None, user: str | None, name: str, **options: Any) -> None:
        try:
            if user is not None or "@" in (of or ""):
                token = self._of_person(lookups.email(user or of or ""), name)
            else:
                token = self._of_flow(of or "")
        except argparse.ArgumentTypeError as error:
            raise CommandError(str(error), returncode=2) from None
        self.stdout.write(json.dumps({"token": token}) if options["json"] else token)

    def _of_person(self, email: str, name: str) -> str:
        user = lookups.user(email)
        if not user.is_active:
            raise CommandError(f"{email} is blocked, and a token of theirs would open nothing")
        return ApiToken.issue(user, name[:100])[1]

    def _of_flow(self, address: str) -> str:
        return lookups.flow(*lookups.flow_address(address)).issue_api_token()
