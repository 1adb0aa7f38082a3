"""Say what became of an event, and why."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.timezone import localtime

from integrations.checks import OF_SETTINGS
from integrations.models import Delivery, Event
from integrations.storable import storable

PREVIOUS = 5  # of the attempts to post it


class Command(BaseCommand):
    help = (
        "Print what became of an event at each integration, and why: posted, filtered by which rule, waiting for what. "
        "EVENT is its number, or the request ID under which the service sent it."
    )

    requires_system_checks = (OF_SETTINGS,)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("event", metavar="EVENT")

    def handle(self, *, event: str, **options: Any) -> None:
        found = list(Event.objects.known_as(storable(event)).select_related("origin").defer("body", "headers"))
        if not found:
            raise CommandError(f"No stored event has the number or request ID {event}.")
        for each in found:
            self.explain(each)

    def explain(self, event: Event) -> None:
        origin = event.origin
        self.stdout.write(f"Event {event.pk}: {event}")
        self.stdout.write(f"  from {origin} ({origin.service_object.title}), {event.kind_and_action}")
        self.stdout.write(f"  received {localtime(event.received_at):%Y-%m-%d %H:%M:%S %Z}, {event.request_id}")
        if event.awaits_decision:
            self.stdout.write("  Accepted, not checked against the filters yet: a worker does that.")
            return
        deliveries = list(event.deliveries.select_related("integration").order_by("integration"))
        for delivery in deliveries:
            self.explain_delivery(delivery)
        if not deliveries:
            self.stdout.write(f"  {origin} was not connected to a flow when the event was checked.")

    def explain_delivery(self, delivery: Delivery) -> None:
        reason = f": {delivery.reason}" if delivery.reason else ""
        self.stdout.write(f"  {delivery.integration}: {delivery.get_state_display()}{reason}")
        for attempt in delivery.attempts[-PREVIOUS:]:
            self.stdout.write(f"    {attempt.get('at')} {attempt.get('status') or '-'} {attempt.get('outcome')}")
