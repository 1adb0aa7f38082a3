from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from flowdock_server.management.checks import NO_CHECKS
from flowdock_server.management.serving import serve
from flowdock_server.people import demo_accounts
from hosting.addresses import is_loopback


def port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise ArgumentTypeError(f"{text!r} is not a port: use a number from 0 to 65535")
    return int(text)


def refuse_demo(host: str) -> None:
    """Raise CommandError if other machines could sign in with the demonstration's passwords."""
    accounts = demo_accounts.accounts_with_known_password()
    if not (accounts or settings.DEMO):
        return
    where = f"{' and '.join(accounts)} have them" if accounts else "the sign-in page shows them"
    raise CommandError(
        f"The demonstration's passwords are public, and {where}. Anybody who can reach {host} could sign in. Listen on "
        "127.0.0.1, or turn FLOWDOCK_SERVER_DEMO off and change these passwords (python -m flowdock_server "
        "changepassword). To allow it anyway, set FLOWDOCK_SERVER_EXPOSE_DEMO=1."
    )


class Command(BaseCommand):
    requires_system_checks = NO_CHECKS
    help = "Serve the pages, the REST API and the streaming API in one process, until SIGINT or SIGTERM."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="Address to listen on (default: %(default)s).")
        usual = urlsplit(settings.SERVER_URL).port or 8001
        parser.add_argument(
            "--port", type=port, default=usual, help="Port of the pages and the REST API (default: %(default)s)."
        )
        parser.add_argument(
            "--stream-port",
            type=port,
            default=settings.STREAM_PORT,
            help="Port of the streaming API, or 0 for none (default: %(default)s).",
        )

    def handle(self, *args: Any, host: str, port: int, stream_port: int, **options: Any) -> None:
        if not (is_loopback(host) or settings.EXPOSE_DEMO):
            refuse_demo(host)
        streams = f", streaming API on port {stream_port}" if stream_port else ""
        self.stdout.write(f"Flowdock on {host}, port {port}{streams}")
        try:
            serve(host, [port, stream_port] if stream_port else [port])
        except OSError as error:
            raise CommandError(f"Cannot listen on {host}: {error}") from error
