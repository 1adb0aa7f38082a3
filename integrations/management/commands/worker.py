"""Deliver what is in the outbox, as long as it runs."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from integrations import notifications, periodic_tasks
from integrations.checks import OF_SETTINGS
from integrations.delivery.dispatcher import Dispatcher
from integrations.management.arguments import add_senders


class Command(BaseCommand):
    requires_system_checks = (OF_SETTINGS,)
    help = (
        "Post activities to Flowdock as soon as they are in the outbox, and run the periodic tasks: delete events past "
        "their retention time, and check each integration at Flowdock. On SIGTERM or SIGINT it finishes the deliveries "
        "in progress and exits with 0; a second signal ends it at once, and nothing is lost. Several workers share the "
        "work, with PostgreSQL also on several machines."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add_senders(parser)

    def handle(self, *, senders: int, **options: Any) -> None:
        dispatcher = Dispatcher(senders)

        def finish(number: int, frame: FrameType | None) -> None:
            # A second signal has its default effect: it ends the process without waiting for deliveries in progress.
            signal.signal(number, signal.SIG_DFL)
            dispatcher.stop()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, finish)
        self.stdout.write(f"Delivering to {settings.FLOWDOCK_API_URL} with {senders} connections")
        self.stdout.flush()  # a pipe is buffered: without this, the line would appear only when the worker ends
        with notifications.listen(dispatcher.wake), periodic_tasks.run():
            dispatcher.run()
            dispatcher.heartbeat.end()
        self.stdout.write("Worker stopped")
