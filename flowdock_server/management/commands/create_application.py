"""Register an application."""

from __future__ import annotations

import argparse
import json
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from flowdock_server.management import lookups
from flowdock_server.models import Application

EXAMPLE = """
The secret is printed once, by this command: the server keeps what checks it and what signs with it, and shows it to
nobody again. With an application's page a new one can be made.

  python -m flowdock_server create_application "Build lights" https://lights.example/callback
  python -m flowdock_server create_application Bridge https://bridge.example/complete/flowdock/ --published \\
    --setup-uri "https://bridge.example/flowdock/setup?flow={flow_id}&flow_url={flow_url}" \\
    --configuration-uri "https://bridge.example/flowdock/configure?integration_id={source_id}&flow={flow_id}"
  python -m flowdock_server create_application "Shell" urn:ietf:wg:oauth:2.0:oob --owner lea@example.com --json

Exit codes:
  0  registered; the client id and the secret are on standard output
  1  no such user
  2  wrong arguments: no name, or an address that cannot be used
"""


class Command(BaseCommand):
    help = "Register an application for OAuth. Prints its client id and its client secret: the only time it is seen."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.epilog = EXAMPLE
        parser.formatter_class = argparse.RawDescriptionHelpFormatter
        parser.add_argument("name", help="What consent pages call it.")
        parser.add_argument("redirect_uri", help="Where people return to; exactly as the application will send it.")
        parser.add_argument("--owner", type=lookups.email, metavar="EMAIL", help="Whose developer page shows it.")
        parser.add_argument("--description", default="", help="What it does, in a sentence.")
        parser.add_argument("--icon", default="", help="Address of a square picture.")
        parser.add_argument("--setup-uri", default="", help='Where "Add" in a flow\'s settings leads.')
        parser.add_argument("--configuration-uri", default="", help='Where "Configure" leads.')
        parser.add_argument("--published", action="store_true", help="Offer it in the settings of every flow.")
        parser.add_argument("--json", action="store_true", help="Print what was made as JSON.")

    def handle(self, *, name: str, redirect_uri: str, owner: str | None, **options: Any) -> None:
        if not name.strip():
            raise CommandError("It needs a name, which consent pages call it by", returncode=2)
        application = Application(
            name=name.strip(),
            redirect_uris=redirect_uri,
            user=lookups.user(owner) if owner else None,
            client_type=Application.CLIENT_CONFIDENTIAL,
            authorization_grant_type=Application.GRANT_AUTHORIZATION_CODE,
            **{
                field: options[field]
                for field in ("description", "icon", "setup_uri", "configuration_uri", "published")
            },
        )
        try:
            application.full_clean()
        except ValidationError as error:
            said = "; ".join(f"{field}: {' '.join(texts)}" for field, texts in error.message_dict.items())
            raise CommandError(said, returncode=2) from None
        application.save()
        secret = application.rotate_secret()
        if options["json"]:
            made = {"id": application.pk, "client_id": application.client_id, "client_secret": secret}
            self.stdout.write(json.dumps(made))
        else:
            self.stdout.write(f"client_id: {application.client_id}\nclient_secret: {secret}")
