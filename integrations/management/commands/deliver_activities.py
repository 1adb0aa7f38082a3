"""Empty the outbox once: for cron."""

from __future__ import annotations

import socket
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from integrations import telemetry
from integrations.checks import OF_SETTINGS
from integrations.delivery.attempts import Outcome
from integrations.delivery.dispatcher import Dispatcher
from integrations.management.arguments import add_senders
from integrations.models import Delivery, Event
from integrations.workers import Heartbeat


class Command(BaseCommand):
    requires_system_checks = (OF_SETTINGS,)
    help = (
        "Post all due activities to Flowdock, then exit. For cron, where no worker runs; it can also run at the same "
        "time as workers or another deliver_activities, since each activity is posted by one of them. With "
        "--verbosity 2 it prints what was done. Exit codes: 0: nothing is due any more; 1: Flowdock is not responding, "
        "the rest stays in the outbox; 2: wrong arguments."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add_senders(parser)
        parser.add_argument("--dry-run", action="store_true", help="Only print how much is waiting.")

    def handle(self, *, senders: int, dry_run: bool, verbosity: int, **options: Any) -> None:
        if dry_run:
            due = Delivery.objects.due().count()
            waiting = Delivery.objects.pending().count()
            undecided = Event.objects.awaiting_decision().count()
            self.stdout.write(
                f"{undecided + waiting} waiting: {undecided} events to check against the filters, {waiting} activities "
                f"to post; {due} threads have an activity that is due"
            )
            return
        if verbosity < 2:
            telemetry.log_problems_only()
        dispatcher = Dispatcher(senders)
        # The same name each time, and not removed at the end: it shows that cron runs.
        dispatcher.heartbeat = Heartbeat(f"{socket.gethostname()}: deliver_activities")
        dispatcher.run(until_idle=True)
        if verbosity > 1:
            counts = [f"{count} {outcome.value}" for outcome in Outcome if (count := dispatcher.tally[outcome])]
            self.stdout.write(", ".join(counts) or "nothing was due")
        if dispatcher.is_flowdock_unreachable:
            self.stderr.write("Flowdock is not responding; the rest stays in the outbox")
            sys.exit(1)
