"""Deliver what is in the outbox, as long as it runs."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from integrations import notifications, periodic_tasks
from integrations.delivery.dispatcher import Dispatcher


class Command(BaseCommand):
    help = (
        "Post activities to Flowdock as soon as they are in the outbox, and do what is due by the clock: delete events "
        "past their retention time, and ask Flowdock about each integration. Runs until it is told to stop: on SIGTERM "
        "or SIGINT it finishes what it has in hand and exits with 0; a second signal ends it at once, and loses "
        "nothing either. Several workers, on PostgreSQL also on several machines, share the work."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--senders",
            type=int,
            default=settings.WORKER_SENDERS,
            help="How many activities are posted at the same time (default: WORKER_SENDERS, %(default)s).",
        )

    def handle(self, *, senders: int, **options: Any) -> None:
        dispatcher = Dispatcher(senders)

        def finish(number: int, frame: FrameType | None) -> None:
            # The next one is not for us: who cannot wait for what is in hand gets his way.
            signal.signal(number, signal.SIG_DFL)
            dispatcher.stop()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, finish)
        self.stdout.write(f"worker: {senders} senders to {settings.FLOWDOCK_API_URL}")
        self.stdout.flush()  # who watches it through a pipe would wait for this line until the end
        with notifications.listening(dispatcher.wake), periodic_tasks.running():
            dispatcher.run()
        self.stdout.write("worker: stopped")
