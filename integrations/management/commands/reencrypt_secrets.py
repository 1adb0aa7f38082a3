"""Encrypt all stored secrets with the first of FIELD_KEYS, so that the others can be dropped."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from integrations.checks import OF_SETTINGS
from integrations.encryption import Key, Tally, count_keys, count_secrets, reencrypt

SHOWN = 20


class Command(BaseCommand):
    requires_system_checks = (OF_SETTINGS,)
    help = (
        "Encrypt the flow tokens and webhook secrets in the database with the first key of FIELD_KEYS, so that the "
        "older keys can be removed. Restart web servers and workers with the new key first. The command can run while "
        "they do, and can be stopped and started again at any time. Exit codes: 0: the first key decrypts everything; "
        "1: no key of FIELD_KEYS decrypts some secrets, which are left as they are; 2: wrong arguments."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="Only print how many secrets each key decrypts.")

    def handle(self, *, dry_run: bool, **options: Any) -> None:
        if dry_run:
            tally = count_keys()
            self.stdout.write(
                f"The first key of FIELD_KEYS decrypts {tally.count[Key.FIRST]} secrets, an older key "
                f"{tally.count[Key.OLDER]}, no key {tally.count[Key.NONE]}"
            )
        else:
            tally = Tally()
            total = count_secrets() if self.stderr.isatty() else None
            with tqdm(total=total, unit="secret", disable=None, leave=False) as bar:
                for batch in reencrypt(tally):
                    bar.update(batch)
            self.stdout.write(f"{tally.count[Key.OLDER]} of {tally.count.total()} secrets encrypted again")
        if tally.lost:
            lines = [f"  {secret}" for secret in tally.lost[:SHOWN]]
            if len(tally.lost) > SHOWN:
                lines.append(f"  and {len(tally.lost) - SHOWN} more")
            raise CommandError(
                "\n".join(
                    [
                        f"No key of FIELD_KEYS decrypts {len(tally.lost)} secrets. Add the key that they were "
                        "encrypted with, or connect these again:",
                        *lines,
                    ]
                )
            )
