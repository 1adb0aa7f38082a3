"""Send recorded payloads to an origin's webhook address, as its service would."""

from __future__ import annotations

import argparse
import json
import re
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import requests
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import QuerySet
from django.urls import reverse
from tqdm import tqdm

from integrations.checks import OF_SETTINGS
from integrations.ids import parse_id
from integrations.models import Delivery, Event, Integration, Origin
from integrations.services.base import WebhookService

EXAMPLE = """
Payloads are files named NN-KIND.ACTION.json or KIND.ACTION.json. They are sent in the order of their names. If the
folder has an index.json, its "common_headers" and the "headers" of each of its "files" are sent as well. Each request
is signed with the origin's secret and has a new ID, so that none counts as already received.

  manage.py replay b7k2-9qx4-t6mv demo/github
  manage.py replay 12 recorded --pace 0.5

Exit codes:
  0  all payloads were accepted, and none is still waiting
  1  the bridge or Flowdock refused some payloads
  2  wrong arguments: no payloads
  3  some are still waiting in the outbox, and nothing was posted for 30 s
  4  there is no such webhook, or it is no longer connected to a flow
"""

NAME = re.compile(r"(?:\d+-)?(?P<kind>[^.]+)(?:\..*)?\.json")
PATIENCE = 30.0  # seconds without any progress
IDS_PER_QUERY = 500


@dataclass(frozen=True, slots=True)
class Recorded:
    """A payload, with the headers of the index for all payloads and for this one."""

    name: str
    kind: str
    body: bytes
    common: dict[str, str]
    own: dict[str, str]


@dataclass
class Sent:
    ids: list[str]
    refused: Counter[str]


class Command(BaseCommand):
    requires_system_checks = (OF_SETTINGS,)
    help = "Send recorded payloads to an origin's webhook address, signed as its service would, and print the results."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.epilog = EXAMPLE
        parser.formatter_class = argparse.RawDescriptionHelpFormatter
        parser.add_argument("hook", help="The last part of the webhook address, or the number of an integration.")
        parser.add_argument("folder", type=Path, help="The folder with the payloads.")
        parser.add_argument(
            "--url", default=settings.BRIDGE_URL, help="The address of the bridge (default: %(default)s)."
        )
        parser.add_argument("--pace", type=float, default=0.0, help="Seconds between two payloads (default: 0).")
        parser.add_argument("--dry-run", action="store_true", help="Only list what would be sent.")

    def handle(self, *, hook: str, folder: Path, url: str, pace: float, dry_run: bool, **options: Any) -> None:
        origin, service = find_origin(hook)
        payloads = list(recorded(folder))
        if not payloads:
            raise CommandError(f"No payloads found in {folder}.", returncode=2)
        if dry_run:
            for payload in payloads:
                self.stdout.write(f"{payload.kind:<30} {payload.name}")
            self.stdout.write(f"{len(payloads)} payloads for {origin}")
            return
        address = f"{url.rstrip('/')}{reverse('integrations:hook', args=[origin.hook_id])}"
        sent = send(origin, service, payloads, address, pace)
        settled = await_settled(origin, sent.ids)
        self.report(origin, len(payloads), sent, settled)

    def report(self, origin: Origin, count: int, sent: Sent, settled: bool) -> None:
        states: Counter[str] = Counter()
        reasons: dict[str, Counter[str]] = {state: Counter() for state in Delivery.State.values}
        for state, reason, kind in outcomes(origin, sent.ids):
            states[state] += 1
            reasons[state][kind if state == Delivery.State.UNPOSTED else reason] += 1
        self.stdout.write(f"{count} sent to {origin}")
        for state in Delivery.State:
            if states[state]:
                self.stdout.write(f"{states[state]:>6} {state.label.lower()}")
                if state != Delivery.State.DELIVERED:
                    self.list(reasons[state])
        if sent.refused:
            self.stdout.write(f"{sent.refused.total():>6} refused by the bridge")
            self.list(sent.refused)
        if not settled:
            raise CommandError("Some activities are still waiting in the outbox. Is a worker running?", returncode=3)
        if sent.refused or states[Delivery.State.FAILED]:
            raise CommandError("Some payloads were refused.")

    def list(self, counts: Counter[str]) -> None:
        for words, count in counts.most_common():
            self.stdout.write(f"{count:>13} {words or 'no reason given'}")


def find_origin(hook: str) -> tuple[Origin, WebhookService]:
    pk = parse_id(hook)
    integration = None if pk is None else Integration.objects.filter(pk=pk).select_related("origin").first()
    origin = integration.origin if integration else Origin.objects.filter(hook_id=hook).first()
    if origin is None:
        raise CommandError(f"There is no webhook or integration {hook}.", returncode=4)
    service = origin.webhook_service
    if service is None:
        raise CommandError(f"{origin} has no webhook: {origin.service_object.title} does not send any.", returncode=4)
    if not Integration.objects.connected().of(origin).exists():
        raise not_connected(origin)
    return origin, service


def not_connected(origin: Origin) -> CommandError:
    return CommandError(f"{origin} is no longer connected to a flow.", returncode=4)


def recorded(folder: Path) -> Iterator[Recorded]:
    index = folder / "index.json"
    try:
        contents = json.loads(index.read_bytes()) if index.exists() else {}
        common, files = contents.get("common_headers", {}), contents.get("files", {})
    except (ValueError, AttributeError) as error:
        raise CommandError(f"{index} is not a valid index of payloads.", returncode=2) from error
    for path in sorted(folder.glob("*.json")):
        if path != index and (match := NAME.fullmatch(path.name)):
            own = files.get(path.name, {}).get("headers", {})
            yield Recorded(path.name, match["kind"], path.read_bytes(), common, own)


def send(origin: Origin, service: WebhookService, payloads: list[Recorded], address: str, pace: float) -> Sent:
    sent = Sent([], Counter())
    with requests.Session() as session:
        session.trust_env = False
        for number, payload in enumerate(tqdm(payloads, unit="payload", disable=None, leave=False)):
            if number and pace:
                time.sleep(pace)
            request_id = str(uuid.uuid4())
            body = marked(payload.body, request_id)
            headers = {
                **payload.common,
                **service.announce(payload.kind, request_id),
                **payload.own,
                **service.sign(body, origin.secret, request_id),
            }
            try:
                answer = session.post(address, data=body, headers=headers, timeout=60, allow_redirects=False)
            except requests.RequestException as error:
                raise CommandError(f"The bridge is not responding at {address}: {type(error).__name__}.") from error
            if answer.status_code == HTTPStatus.GONE:
                raise not_connected(origin)
            if answer.ok:
                sent.ids.append(request_id)
            else:
                sent.refused[f"{answer.status_code} {answer.text.strip()[:200]} ({payload.name})"] += 1
    return sent


def marked(body: bytes, request_id: str) -> bytes:
    """The body with an additional member, because an unchanged body would count as already received."""
    opened = body.rstrip().removesuffix(b"}")
    if opened == body.rstrip() or opened.rstrip() == b"{":
        return body
    return opened.rstrip() + b', "replayed_as": ' + json.dumps(request_id).encode() + b"}"


def of(origin: Origin, ids: list[str]) -> Iterator[QuerySet[Event]]:
    """The events of what was sent, in batches, because databases limit the number of parameters."""
    for start in range(0, len(ids), IDS_PER_QUERY):
        yield Event.objects.filter(origin=origin, request_id__in=ids[start : start + IDS_PER_QUERY])


def outcomes(origin: Origin, ids: list[str]) -> Iterator[tuple[str, str, str]]:
    """State, reason and kind of each delivery of what was sent."""
    for events in of(origin, ids):
        deliveries = Delivery.objects.filter(event__in=events)
        for state, reason, kind, action in deliveries.values_list("state", "reason", "event__kind", "event__action"):
            yield state, reason, f"{kind}.{action}" if action else kind


def count_waiting(events: QuerySet[Event]) -> int:
    return events.filter(awaits_decision=True).count() + Delivery.objects.pending().filter(event__in=events).count()


def await_settled(origin: Origin, ids: list[str]) -> bool:
    """Wait until nothing of it waits for a worker. Returns False if nothing has changed for PATIENCE seconds."""
    with tqdm(total=len(ids), desc="posting", unit="activity", disable=None, leave=False) as bar:
        before, moved = -1, time.monotonic()
        while True:
            waiting = sum(count_waiting(events) for events in of(origin, ids))
            bar.update(max(len(ids) - waiting - bar.n, 0))
            if not waiting:
                return True
            if waiting != before:
                before, moved = waiting, time.monotonic()
            elif time.monotonic() - moved > PATIENCE:
                return False
            time.sleep(0.1)
