"""The smallest service, to copy for a new one. It is not in the registry, but passes the tests of all services."""

from __future__ import annotations

from integrations.activity import escape, is_web_address
from integrations.services.base import EVERYTHING, InvalidOrigin, Preset, Step
from integrations.services.code_hosts import events
from integrations.services.hmac_service import HmacService

from .activities import ACTIVITIES, EVENTS


class Template(HmacService):
    name = "template"
    title = "Template"
    origin_noun = "project"
    origin_example = "https://template.example/hello"
    icon = "package"
    address_label = "Webhook URL"
    secret_label = "Secret"  # noqa: S105 - a label
    signature_header = "X-Template-Signature"
    kind_header = "X-Template-Event"
    id_header = "X-Template-Delivery"
    activities = ACTIVITIES
    rules = (events(EVENTS),)
    presets = (
        EVERYTHING,
        Preset("done", "Closed tickets", "Nothing else.", {"events": {"any_of": ("ticket.closed",)}}),
    )

    def clean_origin(self, typed: str) -> tuple[str, str]:
        address = typed.strip().rstrip("/")
        if not is_web_address(address):
            raise InvalidOrigin("Paste the address of the project, such as https://template.example/hello.")
        return address.partition("://")[2][:255], address

    def setup_steps(self, origin_url: str) -> tuple[Step, ...]:
        page = escape(f"{origin_url}/settings/webhooks")
        return (
            Step(f'Open <a href="{page}">Settings → Webhooks</a> and add a webhook.'),
            Step("Fill in the address and the secret:", shows_address=True),
        )
