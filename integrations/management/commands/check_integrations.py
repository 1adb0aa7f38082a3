"""Ask Flowdock about every integration: for cron."""

from __future__ import annotations

import sys
from collections import Counter
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone
from tqdm import tqdm

from integrations.checks import OF_SETTINGS
from integrations.flowdock.client import Flowdock
from integrations.flowdock.errors import FlowdockUnavailable
from integrations.models import Integration
from integrations.source_checks import Finding, check_all


class Command(BaseCommand):
    requires_system_checks = (OF_SETTINGS,)
    help = (
        "Check every integration at Flowdock. An integration whose source was removed there is ended, one whose token "
        "is refused is marked as needing attention until Flowdock accepts it again, and unfinished set-ups are "
        "deleted. For cron, where no worker runs: it prints which integrations changed or need attention, and with "
        "--verbosity 2 how many were checked. Exit codes: 0: none needs attention; 1: some do; 2: wrong arguments; "
        "3: not all could be checked, because Flowdock did not answer."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="Check and report, but change nothing.")

    def handle(self, *, dry_run: bool, verbosity: int, **options: Any) -> None:
        found: Counter[Finding] = Counter()
        away = None
        total = Integration.objects.connected().count()
        with Flowdock() as flowdock, tqdm(total=total, unit="integration", disable=None, leave=False) as bar:
            try:
                for integration, finding in check_all(flowdock, change=not dry_run):
                    found[finding] += 1
                    bar.update()
                    if finding is not Finding.WELL:
                        self.stdout.write(f"{integration.pk}  {integration}: {finding.value}")
            except FlowdockUnavailable as error:
                away = error
        unfinished = Integration.objects.unfinished(timezone.now())
        count = unfinished.count() if dry_run else unfinished.delete()[0]
        if count and (dry_run or verbosity > 1):
            self.stdout.write(f"{count} unfinished set-ups {'found' if dry_run else 'deleted'}")
        unanswered = found[Finding.UNANSWERED]
        if dry_run or verbosity > 1:
            self.stdout.write(f"{found.total() - unanswered} of {total} integrations checked")
        if away:
            self.stderr.write(f"Flowdock is not responding: {away}")
        if away or unanswered:
            sys.exit(3)
        if found[Finding.REFUSED] or found[Finding.NOT_ALLOWED] or found[Finding.KEY_MISSING]:
            sys.exit(1)
