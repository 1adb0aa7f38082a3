"""Create a flow."""

from __future__ import annotations

import argparse
import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from flowdock_server.management import lookups
from flowdock_server.management.checks import NO_CHECKS
from flowdock_server.models import Flow
from flowdock_server.people import invite_links

EXAMPLE = """
Examples:
  python -m flowdock_server create_flow acme "Main" --member lea@example.com --member tom@example.com
  python -m flowdock_server create_flow acme Deploys --access-mode organization --json

Exit codes:
  0  created; with --exist-ok, also if the flow already existed
  1  the flow already exists, or the organization or a user does not exist
  2  wrong arguments
"""


class Command(BaseCommand):
    requires_system_checks = NO_CHECKS
    help = "Create a flow in an organization. Prints its URL and its id."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.epilog = EXAMPLE
        parser.formatter_class = argparse.RawDescriptionHelpFormatter
        parser.add_argument(
            "organization", type=lookups.address_part, help="Name of the organization in URLs, such as acme."
        )
        parser.add_argument("name", help="Name of the flow, such as Main.")
        parser.add_argument(
            "--parameterized-name",
            type=lookups.address_part,
            help="Name of the flow in URLs (default: made from its name).",
        )
        parser.add_argument(
            "--access-mode",
            choices=Flow.AccessMode.values,
            default=Flow.AccessMode.INVITATION,
            help="Who can join: only people with an invitation, anybody with the invite link, or everybody in the "
            "organization (default: %(default)s).",
        )
        parser.add_argument(
            "--member",
            type=lookups.email,
            action="append",
            default=[],
            metavar="EMAIL",
            help="User to add to the flow. Can be repeated.",
        )
        parser.add_argument("--exist-ok", action="store_true", help="If it already exists, only add members.")
        parser.add_argument("--json", action="store_true", help="Print the result as JSON.")

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
        address = lookups.name_in_urls(name, parameterized_name)
        people = [lookups.user(email) for email in member]
        flow, is_new = Flow.objects.get_or_create(
            organization=owner, parameterized_name=address, defaults={"name": name, "access_mode": access_mode}
        )
        if not is_new and not exist_ok:
            raise CommandError(f"The flow {organization}/{address} already exists. Use --exist-ok to accept that")
        for user in people:
            invite_links.join(flow, user)
        if options["json"]:
            self.stdout.write(
                json.dumps({"id": str(flow.pk), "name": flow.name, "url": flow.url, "web_url": flow.web_url})
            )
        else:
            verb = "Created" if is_new else "Found"
            self.stdout.write(f"{verb} the flow {flow.name}: {flow.web_url}\nid: {flow.pk}")
