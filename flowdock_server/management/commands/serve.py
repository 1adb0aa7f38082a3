from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from flowdock_server.serving import serve


def port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise ArgumentTypeError(f"{text!r} is no port")
    return int(text)


class Command(BaseCommand):
    help = "Serve pages, REST API and streaming API in one process, until it is told to stop."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="what to listen on (default: %(default)s)")
        usual = urlsplit(settings.SERVER_URL).port or 8001
        parser.add_argument("--port", type=port, default=usual, help="of pages and REST API (default: %(default)s)")
        parser.add_argument(
            "--stream-port",
            type=port,
            default=settings.STREAM_PORT,
            help="of the streaming API, 0 for none (default: %(default)s)",
        )

    def handle(self, *args: Any, host: str, port: int, stream_port: int, **options: Any) -> None:
        self.stdout.write(
            f"Flowdock on port {port}, its streams on port {stream_port}" if stream_port else f"Flowdock on port {port}"
        )
        try:
            serve(host, [port, stream_port] if stream_port else [port])
        except OSError as error:
            raise CommandError(f"Cannot listen on {host}: {error}") from error
