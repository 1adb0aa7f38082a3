"""Post one activity to an integration's flow: for scripts and for trying things out."""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from hosting import hostile_json
from integrations import ingest
from integrations.activity import COLORS, Activity, InvalidActivity, escape
from integrations.checks import OF_SETTINGS
from integrations.models import Delivery, Event, Integration

EXAMPLE = """
With --title, the activity is made from the options, which are plain text. Without it, the activity is read as JSON from
standard input, where titles and bodies are HTML:

  {"author": {"name": "Lea Cohen"}, "title": "deployed", "thread_id": "deploy:42", "body": "<p>All is well.</p>",
   "thread": {"title": "Version 1.4.2", "external_url": "https://ci.example.com/42",
              "status": {"value": "live", "color": "green"}, "fields": [{"label": "Branch", "value": "main"}]}}

Exit codes:
  0  the activity is stored, and the number of its event is printed; with --wait: it was posted
  1  there is no such integration; with --wait: it will not be posted, because a filter or Flowdock refused it
  2  wrong arguments or an invalid activity; the message says what is missing or wrong
  3  with --wait: it still waits to be posted
"""


class Command(BaseCommand):
    requires_system_checks = (OF_SETTINGS,)
    help = "Post one activity to an integration's flow, through the same filters and outbox as any other event."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.epilog = EXAMPLE
        parser.formatter_class = argparse.RawDescriptionHelpFormatter
        parser.add_argument("integration", type=int, help="The integration's number, as in the address of its page.")
        parser.add_argument("--author", default="Flowdock Bridge", help="Who did it (default: %(default)s).")
        parser.add_argument("--title", help='What the author did, such as "deployed".')
        parser.add_argument("--body", default="", help="Text below the title.")
        parser.add_argument("--discussion", action="store_true", help="Post it as a comment instead of an activity.")
        parser.add_argument("--thread-id", help="The thread's ID; the same ID continues a thread (default: its title).")
        parser.add_argument("--thread-title", help="The thread's title (default: --title).")
        parser.add_argument("--url", default="", help="The thread's web address.")
        parser.add_argument("--status", help='The thread\'s status, such as "live".')
        parser.add_argument("--color", choices=sorted(COLORS), default="grey", help="The color of the status.")
        parser.add_argument(
            "--idempotency-key", default="", help="Your own ID of the activity: the same key posts it only once."
        )
        parser.add_argument(
            "--wait",
            type=float,
            nargs="?",
            const=30.0,
            metavar="SECONDS",
            help="Wait until a worker has posted it, for at most SECONDS (default: 30).",
        )
        parser.add_argument("--dry-run", action="store_true", help="Print the activity as JSON, but post nothing.")

    def handle(
        self, *, integration: int, wait: float | None, dry_run: bool, idempotency_key: str, **options: Any
    ) -> None:
        activity = self.activity(options)
        target = Integration.objects.connected().filter(pk=integration).select_related("origin").first()
        if target is None:
            raise CommandError(f"No connected integration has the number {integration}.")
        if dry_run:
            self.stdout.write(json.dumps(activity.as_json(), indent=2, ensure_ascii=False))
            return
        try:
            accepted = ingest.post(target.origin, activity, idempotency_key, integration=target)
        except ingest.NotConnected:
            raise CommandError(f"Integration {integration} has just been removed.") from None
        if accepted.event.only_for != target.pk:
            raise CommandError("This idempotency key was used for another integration of the origin.")
        self.stdout.write(str(accepted.event.pk))
        if not accepted.is_new:
            self.stderr.write("already received: nothing was added")
        if wait is not None:
            self.report(await_end(accepted.event, wait))

    def activity(self, options: dict[str, Any]) -> Activity:
        try:
            return Activity.from_json(read_json() if options["title"] is None else as_json(options))
        except InvalidActivity as error:
            raise CommandError(f"Invalid activity: {error}.", returncode=2) from error

    def report(self, delivery: Delivery | None) -> None:
        if delivery is None:
            raise CommandError("Still waiting: no worker has picked it up.", returncode=3)
        match delivery.state:
            case Delivery.State.DELIVERED:
                return
            case Delivery.State.PENDING:
                raise CommandError(f"Still waiting: {delivery.reason or 'no worker has picked it up'}.", returncode=3)
            case _:
                raise CommandError(f"{delivery.get_state_display()}: {delivery.reason}.")


def read_json() -> dict[str, Any]:
    try:
        data = hostile_json.loads(sys.stdin.read())
    except (ValueError, RecursionError) as error:
        raise CommandError(f"Standard input is not JSON: {error}.", returncode=2) from error
    if not isinstance(data, dict):
        raise CommandError("Standard input is not a JSON object. See --help.", returncode=2)
    return data


def as_json(options: dict[str, Any]) -> dict[str, Any]:
    """The activity that plain texts describe, in the shape of Activity.from_json."""
    title = options["title"]
    about = options["thread_title"] or title
    status = {"value": options["status"], "color": options["color"]} if options["status"] else None
    return {
        "author": {"name": options["author"]},
        "title": escape(title),
        "body": escape(options["body"]),
        "event": "discussion" if options["discussion"] else "activity",
        "thread_id": options["thread_id"] or about,
        "thread": {"title": escape(about), "external_url": options["url"], "status": status},
    }


def await_end(event: Event, seconds: float) -> Delivery | None:
    """The event's delivery once it has ended, or as it is after so many seconds; None if it has not been decided."""
    deadline = time.monotonic() + seconds
    while True:
        delivery = Delivery.objects.filter(event=event).only("state", "reason").first()
        has_ended = delivery is not None and delivery.state != Delivery.State.PENDING
        if has_ended or time.monotonic() >= deadline:
            return delivery
        time.sleep(0.1)
