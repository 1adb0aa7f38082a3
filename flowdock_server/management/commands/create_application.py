"""Register an OAuth application."""

from __future__ import annotations

import argparse
import json
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from flowdock_server.management import lookups
from flowdock_server.management.checks import NO_CHECKS
from flowdock_server.models import Application

EXAMPLE = """
The client secret is printed only once, and not at all with --client-id. If it is lost, create a new one on the
application's page.

Examples:
  python -m flowdock_server create_application "Build lights" https://lights.example/callback
  python -m flowdock_server create_application Bridge https://bridge.example/complete/flowdock/ --published \\
    --setup-uri "https://bridge.example/flowdock/setup?flow={flow_id}&flow_url={flow_url}" \\
    --configuration-uri "https://bridge.example/flowdock/configure?integration_id={source_id}&flow={flow_id}"
  FLOWDOCK_CLIENT_SECRET=... python -m flowdock_server create_application "Build lights" \\
    https://lights.example/callback --client-id lights
  python -m flowdock_server create_application "Shell" urn:ietf:wg:oauth:2.0:oob --owner lea@example.com --json

Exit codes:
  0  registered; the client ID and the client secret are on standard output
  1  the owner does not exist, or FLOWDOCK_CLIENT_SECRET is not set
  2  wrong arguments, such as an empty name or a URL that is not valid
"""


class Command(BaseCommand):
    requires_system_checks = NO_CHECKS
    help = "Register an OAuth application. Prints its client ID and its client secret, which is not shown again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.epilog = EXAMPLE
        parser.formatter_class = argparse.RawDescriptionHelpFormatter
        parser.add_argument("name", help="Name on consent pages.")
        parser.add_argument("redirect_uri", help="Redirect URI, exactly as the application will send it.")
        parser.add_argument("--owner", type=lookups.email, metavar="EMAIL", help="User who sees it under Applications.")
        parser.add_argument("--description", default="", help="What it does, in one sentence.")
        parser.add_argument("--icon", default="", help="URL of a square image.")
        parser.add_argument("--setup-uri", default="", help='URL that "Add" in a flow\'s settings opens.')
        parser.add_argument("--configuration-uri", default="", help='URL that "Configure" opens.')
        parser.add_argument("--published", action="store_true", help="Offer it in the settings of all flows.")
        parser.add_argument(
            "--client-id",
            default="",
            metavar="ID",
            help="Use this client ID and the client secret in FLOWDOCK_CLIENT_SECRET, instead of new ones. An "
            "application that has this client ID is updated, so a script can repeat the command.",
        )
        parser.add_argument("--json", action="store_true", help="Print the result as JSON.")

    def handle(self, *, name: str, redirect_uri: str, owner: str | None, **options: Any) -> None:
        if not name.strip():
            raise CommandError("The name is empty", returncode=2)
        client_id = options["client_id"]
        if client_id and not settings.BRIDGE_CLIENT_SECRET:
            raise CommandError("--client-id needs the client secret in FLOWDOCK_CLIENT_SECRET, which is not set")
        fields: dict[str, Any] = {
            "name": name.strip(),
            "redirect_uris": redirect_uri,
            **({"user": lookups.user(owner)} if owner else {}),
            **{
                field: options[field]
                for field in ("description", "icon", "setup_uri", "configuration_uri", "published")
            },
        }
        if client_id:
            fields |= {"client_id": client_id, "client_secret": settings.BRIDGE_CLIENT_SECRET}
        known = Application.objects.filter(client_id=client_id).first() if client_id else None
        application = known or Application.draft()
        for field, value in fields.items():
            setattr(application, field, value)
        try:
            application.full_clean()
        except ValidationError as error:
            reasons = "; ".join(f"{field}: {' '.join(texts)}" for field, texts in error.message_dict.items())
            raise CommandError(reasons, returncode=2) from None
        application.save()
        shown = {"client_id": application.client_id}
        if not client_id:
            shown["client_secret"] = application.rotate_secret()
        if options["json"]:
            self.stdout.write(json.dumps({"id": application.pk, **shown}))
        else:
            self.stdout.write("\n".join(f"{name}: {value}" for name, value in shown.items()))
