"""Make an organization."""

from __future__ import annotations

import argparse
import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from flowdock_server.management import lookups
from flowdock_server.models import Membership, Organization
from flowdock_server.parsing.slugs import RESERVED, parameterized

EXAMPLE = """
  python -m flowdock_server create_organization "Acme Shipping"
  python -m flowdock_server create_organization Acme --admin lea@example.com --json

Exit codes:
  0  made; with --exist-ok: or there already
  1  there already, or no such user
  2  wrong arguments
"""


class Command(BaseCommand):
    help = "Make an organization: people, and the flows they share. Prints its name in addresses."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.epilog = EXAMPLE
        parser.formatter_class = argparse.RawDescriptionHelpFormatter
        parser.add_argument("name", help="What people call it: Acme Shipping.")
        parser.add_argument(
            "--parameterized-name",
            type=lookups.address_part,
            help="How addresses call it (default: made from the name, as in acme-shipping).",
        )
        parser.add_argument(
            "--admin",
            type=lookups.email,
            action="append",
            default=[],
            metavar="EMAIL",
            help="A user who may manage it. May be repeated.",
        )
        parser.add_argument("--exist-ok", action="store_true", help="It is well if it exists: only admins are added.")
        parser.add_argument("--json", action="store_true", help="Print what was made as JSON.")

    @transaction.atomic
    def handle(
        self, *, name: str, parameterized_name: str | None, admin: list[str], exist_ok: bool, **options: Any
    ) -> None:
        address = parameterized_name or parameterized(name)
        if not address or len(name) > 100:
            raise CommandError(
                "A name has at most 100 characters; one without Latin letters needs --parameterized-name", returncode=2
            )
        if address in RESERVED:
            raise CommandError(f"{address} is a page's address: choose another by --parameterized-name", returncode=2)
        admins = [lookups.user(email) for email in admin]
        organization, made = Organization.objects.get_or_create(parameterized_name=address, defaults={"name": name})
        if not made and not exist_ok:
            raise CommandError(f"There is an organization {address} already")
        for user in admins:
            Membership.objects.update_or_create(organization=organization, user=user, defaults={"admin": True})
        if options["json"]:
            self.stdout.write(
                json.dumps({"id": organization.pk, "name": organization.name, "parameterized_name": address})
            )
        else:
            self.stdout.write(f"{organization.name} is {'made' if made else 'there'}: {address}")
