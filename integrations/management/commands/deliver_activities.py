"""Empty the outbox once: for cron."""

from __future__ import annotations

import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from integrations.delivery.attempts import Fate
from integrations.delivery.dispatcher import Dispatcher
from integrations.models import Delivery


class Command(BaseCommand):
    help = (
        "Post the activities that are due to Flowdock, then exit: for cron, where no worker runs. It may run beside "
        "workers and beside itself; each activity is taken by one of them. It prints what was done with --verbosity 2. "
        "Exit codes: 0: nothing is due any more; 1: Flowdock is away, the rest stays in the outbox; 2: wrong arguments."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--senders",
            type=int,
            default=settings.WORKER_SENDERS,
            help="How many activities are posted at the same time (default: WORKER_SENDERS, %(default)s).",
        )
        parser.add_argument("--dry-run", action="store_true", help="Only say how many threads have something due.")

    def handle(self, *, senders: int, dry_run: bool, verbosity: int, **options: Any) -> None:
        if dry_run:
            due = Delivery.objects.next_up().count()
            waiting = Delivery.objects.pending().count()
            self.stdout.write(f"{due} threads have an activity that is due; {waiting} activities wait in all")
            return
        dispatcher = Dispatcher(senders)
        dispatcher.run(until_idle=True)
        if verbosity > 1:
            said = [f"{count} {fate.value}" for fate in Fate if (count := dispatcher.tally[fate])]
            self.stdout.write(", ".join(said) or "nothing was due")
        if dispatcher.found_nobody:
            self.stderr.write("Flowdock is away; what is left stays in the outbox")
            sys.exit(1)
