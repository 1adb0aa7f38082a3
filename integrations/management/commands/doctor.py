"""Check this installation."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from integrations.diagnosis import Level, diagnose


class Command(BaseCommand):
    help = (
        "Check settings, files, database, migrations, keys, clock, workers, deliveries and Flowdock, and print a line "
        "for each, with what to do. It changes nothing. Run it as the user of the web servers, with their settings. "
        "Exit codes: 0: no problem, perhaps warnings; 1: at least one problem; 2: wrong arguments."
    )
    requires_system_checks = ()  # their messages are printed with the others

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", dest="as_json", help="Print a JSON object a line.")
        parser.add_argument("--strict", action="store_true", help="Exit with 1 also if there are only warnings.")

    def handle(self, *, as_json: bool, strict: bool, **options: Any) -> None:
        levels = set()
        for finding in diagnose():
            levels.add(finding.level)
            if as_json:
                self.stdout.write(json.dumps(asdict(finding)))
                continue
            text = f"{finding.text}. {finding.advice}" if finding.advice else finding.text
            self.stdout.write(f"{finding.level:<8} {finding.subject}: {text}")
        if Level.PROBLEM in levels or (strict and Level.WARNING in levels):
            sys.exit(1)
