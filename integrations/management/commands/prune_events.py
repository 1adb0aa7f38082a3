"""Delete events past their retention time: for cron."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from tqdm import tqdm

from integrations import retention
from integrations.checks import OF_SETTINGS


class Command(BaseCommand):
    requires_system_checks = (OF_SETTINGS,)
    help = (
        "Delete events older than EVENT_RETENTION_DAYS together with their deliveries, except events that are still "
        "waiting to be posted. Also delete sign-ins that expired or were never finished. For cron, where no worker "
        "runs; with --verbosity 2 it prints how many events were deleted. Exit codes: 0: done; 2: wrong arguments."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="Only print how many events would be deleted.")

    def handle(self, *, dry_run: bool, verbosity: int, **options: Any) -> None:
        if dry_run:
            self.stdout.write(
                f"{retention.expired().count()} events are older than {settings.EVENT_RETENTION_DAYS} days"
            )
            return
        deleted = 0
        total = retention.expired().count() if self.stderr.isatty() else None
        with tqdm(total=total, unit="event", disable=None, leave=False) as bar:
            for batch in retention.prune():
                deleted += batch
                bar.update(batch)
        retention.delete_old_sign_ins()
        if verbosity > 1:
            self.stdout.write(f"{deleted} events deleted")
