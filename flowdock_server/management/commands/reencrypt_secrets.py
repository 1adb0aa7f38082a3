"""Encrypt the client secrets of applications with the current secret key."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from flowdock_server.management.checks import NO_CHECKS
from flowdock_server.models import Application
from flowdock_server.secrets.encryption import CannotDecrypt, reencrypt


class Command(BaseCommand):
    requires_system_checks = NO_CHECKS
    help = (
        "Encrypt the client secrets of applications with FLOWDOCK_SERVER_SECRET_KEY. Afterwards, the keys in "
        "FLOWDOCK_SERVER_SECRET_KEY_FALLBACKS are needed only for sessions that began before the change, and can be "
        "removed. Restart the server with the new key first. The command can run while the server is running, and can "
        "be interrupted and repeated. Exit codes: 0: all secrets are encrypted with the current key; 1: some secrets "
        "cannot be decrypted with any of the keys; 2: wrong arguments."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="Only print how many secrets need an older key.")

    def handle(self, *, dry_run: bool, **options: Any) -> None:
        total, old = 0, 0
        lost: list[Application] = []
        for application in Application.objects.exclude(sealed_secret="").order_by("pk"):
            total += 1
            encrypted = application.sealed_secret
            try:
                reencrypted = reencrypt(encrypted)
            except CannotDecrypt:
                lost.append(application)
                continue
            if reencrypted == encrypted:
                continue
            old += 1
            if not dry_run:
                # A secret that was replaced in the meantime keeps its new value.
                Application.objects.filter(pk=application.pk, sealed_secret=encrypted).update(sealed_secret=reencrypted)
        self.stdout.write(f"{old} of {total} secrets {'need an older key' if dry_run else 'encrypted again'}")
        if lost:
            names = ", ".join(application.name for application in lost)
            raise CommandError(
                f"{len(lost)} secrets cannot be decrypted with any of the keys: {names}. Add the key that they were "
                "encrypted with to FLOWDOCK_SERVER_SECRET_KEY_FALLBACKS, or create new secrets for these applications."
            )
