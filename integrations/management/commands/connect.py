"""Connect an origin to a flow without a browser, from a source that was made by hand in Flowdock."""

from __future__ import annotations

import argparse
import getpass
import json
import os
import re
import sys
from dataclasses import asdict, dataclass
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import IntegrityError, transaction
from django.db.models import Q

from integrations import services
from integrations.checks import OF_SETTINGS
from integrations.flowdock.client import Flowdock, Source, organization_in
from integrations.flowdock.errors import FlowdockError, FlowdockUnavailable
from integrations.models import Integration, Origin
from integrations.services.base import InvalidOrigin, OfferedOrigin, Service, WebhookService
from integrations.services.filters import clean

EXAMPLE = """
To get a flow token, open Applications in Flowdock, then an application, and create a source for the flow. A script
gets an access token for an account, and creates the source with it. credentials.txt contains
client_id=...&client_secret=...&username=lea@example.com&password=...

  curl $FLOWDOCK_API_URL/oauth/token -H "Accept: application/json" -d grant_type=password -d scope=integration \\
    -d @credentials.txt
  curl $FLOWDOCK_API_URL/flows/acme/main/sources -H "Authorization: Bearer ACCESS_TOKEN" -d name=octo/hello

The answer of the second call has the flow_token. Options are visible in the list of processes, so pass it in the
environment or on standard input:

  FLOW_TOKEN=... manage.py connect github octo/hello
  manage.py connect github octo/hello --json < token.txt

Exit codes:
  0  connected, or already connected: the same address and secret are printed again
  1  Flowdock refuses the token, or its source is connected to another origin
  2  wrong arguments: the service, the origin or the filters
  3  Flowdock is not responding; nothing was created
"""


@dataclass(frozen=True, slots=True)
class Connected:
    """What is printed. The secret is for the settings of the service and must not be logged.

    `hook_id`, `hook_url` and `secret` are empty for an own app, which needs no webhook.
    """

    integration: int
    hook_id: str
    hook_url: str
    secret: str
    is_new: bool


class Command(BaseCommand):
    requires_system_checks = (OF_SETTINGS,)
    help = "Connect an origin to a flow with a flow token, and print the address and secret for the service's webhook."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.epilog = EXAMPLE
        parser.formatter_class = argparse.RawDescriptionHelpFormatter
        parser.add_argument("service", choices=sorted(services.SERVICES), help="The service that sends the events.")
        parser.add_argument("origin", help="What to connect, by its name at the service, such as octo/hello or Lunch.")
        parser.add_argument("--flow-token", help="The flow token (default: FLOW_TOKEN, else standard input).")
        parser.add_argument(
            "--filters", metavar="PRESET", help="The filters to start with (default: the first preset)."
        )
        parser.add_argument("--json", action="store_true", dest="as_json", help="Print a JSON object.")
        parser.add_argument("--dry-run", action="store_true", help="Check the token at Flowdock, but connect nothing.")

    def handle(
        self, *, service: str, origin: str, flow_token: str | None, as_json: bool, dry_run: bool, **options: Any
    ) -> None:
        kind = services.SERVICES[service]
        filters = preset(kind, options["filters"])
        # Own apps offer each organization its own origins, and which organization it is follows from the token.
        chosen = find(kind, origin, "") if kind.has_hooks else None
        token = flow_token or os.environ.get("FLOW_TOKEN") or read_token()
        if not token:
            raise CommandError("No flow token was given. See --help.", returncode=2)
        source = ask(token)
        chosen = chosen or find(kind, origin, organization_in(source.url))
        if dry_run:
            self.stdout.write(f"{chosen.name} would post to Flowdock's source {source.id} ({source.name})")
            return
        connected = connect(kind, chosen, source, token, filters)
        self.stdout.write(
            json.dumps(asdict(connected), indent=2) if as_json else in_words(kind, chosen.name, connected)
        )


def find(service: Service, typed: str, organization: str) -> OfferedOrigin:
    try:
        return service.find_origin(typed, organization)
    except InvalidOrigin as error:
        raise CommandError(str(error), returncode=2) from error


def read_token() -> str:
    return (getpass.getpass("Flow token: ") if sys.stdin.isatty() else sys.stdin.readline()).strip()


def preset(service: Service, name: str | None) -> dict[str, dict[str, list[str]]]:
    known = {each.name: each for each in service.presets}
    if name is not None and name not in known:
        raise CommandError(f"Unknown preset. The presets of {service.title} are: {', '.join(known)}.", returncode=2)
    chosen = known[name] if name is not None else service.presets[0]
    return clean(service.rules, chosen.filters)


def ask(flow_token: str) -> Source:
    """The source that the token belongs to, so that a wrong token is noticed now and not with the first event."""
    try:
        with Flowdock() as flowdock:
            return flowdock.source_of(flow_token)
    except FlowdockUnavailable as error:
        raise CommandError(f"Flowdock is not responding: {error}", returncode=3) from error
    except FlowdockError as error:
        raise CommandError(f"Flowdock refuses this flow token: {error}") from error


def connect(
    service: Service,
    chosen: OfferedOrigin,
    source: Source,
    flow_token: str,
    filters: dict[str, dict[str, list[str]]],
) -> Connected:
    try:
        with transaction.atomic():
            known = Integration.objects.filter(flowdock_id=source.id).select_related("origin").first()
            integration = known or make(service, chosen, source, flow_token, filters)
    except IntegrityError as error:
        raise CommandError("Another process is connecting the same source. Try again.") from error
    origin = integration.origin
    if integration.removed_at or (origin.service, origin.name, origin.organization) != (
        service.name,
        chosen.name,
        chosen.organization,
    ):
        raise CommandError(f"This flow token belongs to another integration: {integration.pk}, of {origin}.")
    if origin.webhook_service is None:
        return Connected(integration.pk, "", "", "", is_new=known is None)
    return Connected(integration.pk, origin.hook_id, origin.hook_url, origin.secret, is_new=known is None)


def make(
    service: Service,
    chosen: OfferedOrigin,
    source: Source,
    flow_token: str,
    filters: dict[str, dict[str, list[str]]],
) -> Integration:
    # All flows connected by this command share one origin; origins of people are not reused. Nor are those whose secret
    # a member of a flow has replaced: they know it, and may not be able to open the flow that is connected now.
    known = {"service": service.name, "name": chosen.name, "organization": chosen.organization}
    nobody_s = Q(secret_replaced_by=None) | Q(secret_replaced_by__is_staff=True)
    origin = Origin.objects.filter(nobody_s, **known, created_by=None).order_by("pk").first()
    place = re.search(r"/flows/([^/]+)/([^/]+)/", source.url)
    return Integration.objects.create(
        origin=origin or Origin.objects.create(**known, external_url=chosen.external_url),
        name=source.name[:255] or chosen.name,
        filters=filters,
        flowdock_id=source.id,
        source_url=source.url[:500],
        flow_token=flow_token,
        organization=organization_in(source.url),
        organization_name=place[1] if place else "",
        flow_name=place[2] if place else "",
    )


def in_words(service: Service, name: str, connected: Connected) -> str:
    state = "is connected" if connected.is_new else "was already connected"
    done = f"{name} {state}: integration {connected.integration}."
    if not isinstance(service, WebhookService):
        return f"{done}\nThere is nothing else to set up: {service.title} is built into the bridge."
    return (
        f"{done}\n"
        f"{service.address_label + ':':<14} {connected.hook_url}\n"
        f"{service.secret_label + ':':<14} {connected.secret}"
    )
