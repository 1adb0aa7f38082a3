"""Make a flow."""

from __future__ import annotations

import argparse
import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from flowdock_server.management import lookups
from flowdock_server.models import Flow
from flowdock_server.parsing.slugs import parameterized
from flowdock_server.people import members

EXAMPLE = """
  python -m flowdock_server create_flow acme "Main" --member lea@example.com --member tom@example.com
  python -m flowdock_server create_flow acme Deploys --access-mode organization --json

Exit codes:
  0  made; with --exist-ok: or there already, and members are added
  1  there already, or no such organization or user
  2  wrong arguments
"""


class Command(BaseCommand):
    help = "Make a flow in an organization. Prints its id and its address."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.epilog = EXAMPLE
        parser.formatter_class = argparse.RawDescriptionHelpFormatter
        parser.add_argument("organization", type=lookups.address_part, help="The organization, as addresses call it.")
        parser.add_argument("name", help="What people call the flow: Main.")
        parser.add_argument(
            "--parameterized-name",
            type=lookups.address_part,
            help="How addresses call it (default: made from the name).",
        )
        parser.add_argument(
            "--access-mode",
            choices=Flow.AccessMode.values,
            default=Flow.AccessMode.INVITATION,
            help="Who may join it (default: %(default)s).",
        )
        parser.add_argument(
            "--member",
            type=lookups.email,
            action="append",
            default=[],
            metavar="EMAIL",
            help="A user who is in it. May be repeated.",
        )
        parser.add_argument("--exist-ok", action="store_true", help="It is well if it exists: only members are added.")
        parser.add_argument("--json", action="store_true", help="Print what was made as JSON.")

    @transaction.atomic
    def handle(
        self,
        *,
        organization: str,
        name: str,
        parameterized_name: str | None,
        access_mode: str,
        member: list[str],
        exist_ok: bool,
        **options: Any,
    ) -> None:
        owner = lookups.organization(organization)
        address = parameterized_name or parameterized(name)
        if not address or len(name) > 100:
            raise CommandError(
                "A name has at most 100 characters; one without Latin letters needs --parameterized-name", returncode=2
            )
        people = [lookups.user(email) for email in member]
        flow, made = Flow.objects.get_or_create(
            organization=owner, parameterized_name=address, defaults={"name": name, "access_mode": access_mode}
        )
        if not made and not exist_ok:
            raise CommandError(f"There is a flow {organization}/{address} already")
        for user in people:
            members.join(flow, user)
        if options["json"]:
            self.stdout.write(
                json.dumps({"id": str(flow.pk), "name": flow.name, "url": flow.url, "web_url": flow.web_url})
            )
        else:
            self.stdout.write(f"{flow.name} is {'made' if made else 'there'}: {flow.web_url}\nIts id is {flow.pk}")
