from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from hosting import server
from hosting.gate import Gate, Limits
from integrations.checks import OF_SETTINGS


def port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise ArgumentTypeError(f"{text!r} is not a port")
    return int(text)


def at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is not a number of processes")
    return int(text)


class Command(BaseCommand):
    requires_system_checks = (OF_SETTINGS,)
    help = (
        "Serve pages and webhooks until SIGTERM. A process that ends is replaced. SIGHUP replaces all processes one by "
        "one, while the others keep answering."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="The address to listen on (default: %(default)s).")
        parser.add_argument(
            "--port", type=port, default=settings.BRIDGE_PORT, help="The port to listen on (default: %(default)s)."
        )
        parser.add_argument(
            "--workers",
            type=at_least_one,
            default=1,
            help="The number of processes, each with WEB_THREADS threads (default: %(default)s). More than one needs "
            "PostgreSQL.",
        )

    def handle(self, *args: Any, host: str, port: int, workers: int, **options: Any) -> None:
        limits = Limits(settings.MAX_CONNECTIONS, settings.MAX_CONNECTIONS_PER_ADDRESS)
        gate = Gate(limits, trusts_forwarded_for=settings.TRUST_FORWARDED_FOR)
        try:
            listener = server.listening(host, port)
        except OSError as error:
            raise CommandError(f"Cannot listen on port {port} of {host}: {error.strerror}") from error
        self.stdout.write(f"Serving the bridge on port {port}")
        server.supervise(server.configured("flowdock_bridge.asgi:application", gate, workers=workers), [listener])
