"""Create an organization."""

from __future__ import annotations

import argparse
import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from flowdock_server.management import lookups
from flowdock_server.management.checks import NO_CHECKS
from flowdock_server.models import Organization
from flowdock_server.parsing.slugs import RESERVED
from flowdock_server.people import organizations

EXAMPLE = """
Examples:
  python -m flowdock_server create_organization "Acme Shipping"
  python -m flowdock_server create_organization Acme --admin lea@example.com --json

Exit codes:
  0  created; with --exist-ok, also if the organization already existed
  1  the organization already exists, or a user does not exist
  2  wrong arguments
"""


class Command(BaseCommand):
    requires_system_checks = NO_CHECKS
    help = "Create an organization: people and the flows that they share. Prints its name in URLs."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.epilog = EXAMPLE
        parser.formatter_class = argparse.RawDescriptionHelpFormatter
        parser.add_argument("name", help="Name of the organization, such as Acme Shipping.")
        parser.add_argument(
            "--parameterized-name",
            type=lookups.address_part,
            help="Name in URLs (default: made from the name, such as acme-shipping).",
        )
        parser.add_argument(
            "--admin",
            type=lookups.email,
            action="append",
            default=[],
            metavar="EMAIL",
            help="User to add as an admin. Can be repeated.",
        )
        parser.add_argument("--exist-ok", action="store_true", help="If it already exists, only add the admins.")
        parser.add_argument("--json", action="store_true", help="Print the result as JSON.")

    @transaction.atomic
    def handle(
        self, *, name: str, parameterized_name: str | None, admin: list[str], exist_ok: bool, **options: Any
    ) -> None:
        address = lookups.name_in_urls(name, parameterized_name)
        if address in RESERVED:
            raise CommandError(
                f"The name {address} is reserved in URLs. Choose another one with --parameterized-name", returncode=2
            )
        admins = [lookups.user(email) for email in admin]
        organization, is_new = Organization.objects.get_or_create(parameterized_name=address, defaults={"name": name})
        if not is_new and not exist_ok:
            raise CommandError(f"The organization {address} already exists. Use --exist-ok to accept that")
        for user in admins:
            organizations.add_admin(organization, user)
        if options["json"]:
            self.stdout.write(
                json.dumps({"id": organization.pk, "name": organization.name, "parameterized_name": address})
            )
        else:
            self.stdout.write(f"{'Created' if is_new else 'Found'} the organization {organization.name}: {address}")
