"""Issue an API token."""

from __future__ import annotations

import argparse
import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from flowdock_server.management import lookups
from flowdock_server.management.checks import NO_CHECKS
from flowdock_server.models import ApiToken

EXAMPLE = """
Examples:
  python -m flowdock_server issue_token lea@example.com --name laptop    a personal API token
  python -m flowdock_server issue_token --user lea@example.com           the same
  python -m flowdock_server issue_token acme/main                        the flow's API token, for the Push API

A person can have any number of tokens and revokes them on their account page. A flow has one token: issuing a new one
revokes the previous one. The token is printed only once, because the server stores only a digest of it.

Exit codes:
  0  issued; the token is on standard output
  1  the user or flow does not exist, or the account is closed
  2  wrong arguments
"""


class Command(BaseCommand):
    requires_system_checks = NO_CHECKS
    help = "Issue an API token: of a person, for the whole API, or of a flow, for the Push API."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.epilog = EXAMPLE
        parser.formatter_class = argparse.RawDescriptionHelpFormatter
        of = parser.add_mutually_exclusive_group(required=True)
        of.add_argument("of", nargs="?", metavar="EMAIL|ORGANIZATION/FLOW", help="The person or the flow.")
        of.add_argument("--user", metavar="EMAIL", help="The person, instead of EMAIL.")
        parser.add_argument(
            "--name",
            default="from the command line",
            help="Name of the token on the person's account page (default: %(default)s).",
        )
        parser.add_argument("--json", action="store_true", help="Print the token as JSON.")

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
            raise CommandError(f"The account of {email} is closed, so a token would not work")
        return ApiToken.issue(user, name[:100])[1]

    def _of_flow(self, address: str) -> str:
        return lookups.flow(*lookups.flow_address(address)).issue_api_token()
