"""The smallest service: copy this folder for a new one. It is not in the registry, and passes the same battery."""

from __future__ import annotations

import hmac
from collections.abc import Mapping

from django.utils.crypto import constant_time_compare

from integrations.activity import escape, is_web_address
from integrations.services.base import (
    InvalidOrigin,
    ParsedEvent,
    Payload,
    Preset,
    SignatureMismatch,
    Step,
    UnreadablePayload,
    WebhookService,
    header,
)
from integrations.services.code_hosts import events
from integrations.services.wording import Unposted

from .activities import ACTIVITIES, EVENTS

SIGNATURE, KIND, DELIVERY = "X-Template-Signature", "X-Template-Event", "X-Template-Delivery"


class Template(WebhookService):
    name = "template"
    title = "Template"
    origin_noun = "project"
    origin_example = "https://template.example/hello"
    icon = "package"
    address_label = "Webhook URL"
    secret_label = "Secret"  # noqa: S105 - a label
    rules = (events(EVENTS),)
    presets = (
        Preset("everything", "Everything", "Every event."),
        Preset("done", "Finished tickets", "Only closed tickets.", {"events": {"any_of": ("ticket.closed",)}}),
    )

    def clean_origin(self, typed: str) -> tuple[str, str]:
        address = typed.strip().rstrip("/")
        if not is_web_address(address):
            raise InvalidOrigin("Paste the address of the project, such as https://template.example/hello.")
        return address.partition("://")[2][:255], address

    def verify(self, body: bytes, headers: Mapping[str, str], secret: str) -> None:
        given = header(headers, SIGNATURE).encode(errors="replace")
        if not secret or not constant_time_compare(given, self.sign(body, secret)[SIGNATURE]):
            raise SignatureMismatch

    def sign(self, body: bytes, secret: str, request_id: str = "") -> dict[str, str]:
        return {SIGNATURE: hmac.new(secret.encode(), body, "sha256").hexdigest()}

    def announce(self, kind: str, request_id: str) -> dict[str, str]:
        return {KIND: kind, DELIVERY: request_id}

    def request_id(self, body: bytes, headers: Mapping[str, str]) -> str:
        if not (value := header(headers, DELIVERY)):
            raise UnreadablePayload(f"the header {DELIVERY} is missing")
        return value[:100]

    def read(self, body: bytes, headers: Mapping[str, str]) -> ParsedEvent:
        kind, payload = header(headers, KIND), Payload.from_json(body)
        wording = ACTIVITIES[kind](payload) if kind in ACTIVITIES else Unposted("this kind of event is not posted")
        if isinstance(wording, Unposted):
            return ParsedEvent(kind=kind, summary=kind, why_not=wording.why)
        return wording.event(kind, payload.text("action"))

    def setup_steps(self, origin_url: str) -> tuple[Step, ...]:
        page = escape(f"{origin_url}/settings/webhooks")
        return (
            Step(f'Open <a href="{page}">Settings → Webhooks</a> and add one.'),
            Step("Enter the address and the secret:", shows_address=True),
        )
