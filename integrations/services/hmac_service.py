"""Services that sign the body with HMAC-SHA256, and send the kind of event and a request id in headers."""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Mapping
from typing import ClassVar

from django.utils.crypto import constant_time_compare

from .base import ParsedEvent, Payload, SignatureMismatch, UnreadablePayload, WebhookService, header
from .wording import Unposted, Wording

REQUEST_ID = re.compile(r"[A-Za-z0-9-]{1,100}", re.ASCII)
KIND = re.compile(r"[a-z0-9_]{1,60}", re.ASCII)


class HmacService(WebhookService):
    """A subclass names the headers, and gives a handler for each kind of event that it posts."""

    signature_header: ClassVar[str]
    signature_prefix: ClassVar[str] = ""  # "sha256="
    kind_header: ClassVar[str]
    id_header: ClassVar[str]
    activities: ClassVar[Mapping[str, Callable[[Payload], Wording | Unposted]]]

    def verify(self, body: bytes, headers: Mapping[str, str], secret: str) -> None:
        given = header(headers, self.signature_header).encode(errors="replace")
        # Not hmac.compare_digest, which raises TypeError on a header that is not ASCII.
        if not secret or not constant_time_compare(given, self.sign(body, secret)[self.signature_header]):
            raise SignatureMismatch

    def sign(self, body: bytes, secret: str, request_id: str = "") -> dict[str, str]:
        digest = hmac.new(secret.encode(), body, "sha256").hexdigest()
        return {self.signature_header: f"{self.signature_prefix}{digest}"}

    def announce(self, kind: str, request_id: str) -> dict[str, str]:
        return {"Content-Type": "application/json", self.kind_header: kind, self.id_header: request_id}

    def request_id(self, body: bytes, headers: Mapping[str, str]) -> str:
        return _matching(headers, self.id_header, REQUEST_ID)

    def kind(self, headers: Mapping[str, str]) -> str:
        return _matching(headers, self.kind_header, KIND)

    def read(self, body: bytes, headers: Mapping[str, str]) -> ParsedEvent:
        kind, payload = self.kind(headers), Payload.from_json(body)
        handler = self.activities.get(kind)
        worded = handler(payload) if handler else Unposted(f"the {self.title} event {kind} is not supported")
        if isinstance(worded, Unposted):
            return ParsedEvent(kind=kind, summary=kind, why_not=worded.reason)
        return worded.event(kind, payload.maybe_text("action"))


def _matching(headers: Mapping[str, str], name: str, pattern: re.Pattern[str]) -> str:
    value = header(headers, name)
    if not pattern.fullmatch(value):
        raise UnreadablePayload(f"the header {name} is missing or invalid")
    return value
