"""GitLab webhooks, of projects, groups and whole instances.

Sources: https://docs.gitlab.com/user/project/integrations/webhooks/, https://docs.gitlab.com/user/project/integrations/
webhook_events/ and https://docs.gitlab.com/administration/system_hooks/
"""

from __future__ import annotations

import hashlib
import hmac
import re
import time
import uuid
from base64 import b64encode
from collections.abc import Mapping
from urllib.parse import urlsplit

from django.utils.crypto import constant_time_compare

from integrations.activity import escape, is_web_address
from integrations.services.base import (
    LONGEST_ADDRESS,
    ParsedEvent,
    Payload,
    SignatureMismatch,
    Step,
    UnreadablePayload,
    WebhookService,
    header,
)
from integrations.services.wording import Unposted

from . import filters
from .activities import ACTIVITIES, UNPOSTED
from .origins import GITLAB, origin
from .payload import GROUPS, TRIGGERS, GitLabPayload
from .people import person, person_facts
from .wording import secrecy

REQUEST_ID = re.compile(r"[A-Za-z0-9_.:-]{1,100}", re.ASCII)
KIND = re.compile(r"[a-z0-9_]{1,60}", re.ASCII)
# As https://www.standardwebhooks.com advises: whoever has seen a signed delivery cannot send it later.
SIGNATURE_HOLDS = 300  # seconds
LONGEST_TIMESTAMP = 13
ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
TOKEN, KEY, EVENT_UUID = "X-Gitlab-Token", "Idempotency-Key", "X-Gitlab-Event-UUID"
MOST_SIGNATURES = 10
INSTANCE, TRIGGER = "X-Gitlab-Instance", "X-Gitlab-Event"


class GitLab(WebhookService):
    name = "gitlab"
    title = "GitLab"
    origin_noun = "project"
    origin_example = "octo/website"
    icon = "branch"
    address_label = "URL"
    secret_label = "Secret token"  # noqa: S105 - a label
    rules = filters.RULES
    presets = filters.PRESETS

    def clean_origin(self, typed: str) -> tuple[str, str]:
        return origin(typed)

    def verify(self, body: bytes, headers: Mapping[str, str], secret: str) -> None:
        """By the signature where there is one, else by the secret token, which GitLab sends as it is."""
        given = header(headers, SIGNATURE)
        if given:
            _check_time(header(headers, TIMESTAMP))
            expected = [
                signature(body, key, header(headers, ID), header(headers, TIMESTAMP)) for key in signing_keys(secret)
            ]
            # While a signing token is replaced there may be a signature by each of the two.
            is_right = any(_is_same(each, right) for each in given.split(" ")[:MOST_SIGNATURES] for right in expected)
        else:
            is_right = _is_same(header(headers, TOKEN), secret)
        if not (secret and is_right):
            raise SignatureMismatch

    def sign(self, body: bytes, secret: str, request_id: str = "") -> dict[str, str]:
        message, now = request_id or str(uuid.uuid4()), str(int(time.time()))
        return {ID: message, TIMESTAMP: now, SIGNATURE: signature(body, signing_keys(secret)[0], message, now)}

    def announce(self, kind: str, request_id: str) -> dict[str, str]:
        return {
            "Content-Type": "application/json",
            TRIGGER: _trigger(kind),
            INSTANCE: f"https://{GITLAB}",
            KEY: request_id,
        }

    def request_id(self, body: bytes, headers: Mapping[str, str]) -> str:
        """The idempotency key, which GitLab 17.4 and later send and repeat with each attempt.

        Of a signed delivery it is the webhook-id, to which GitLab gives the same value: the key is not signed, so it
        could be replaced. X-Gitlab-Event-UUID is new for each attempt and shared by the webhooks that one another
        cause, so that only together with the body it tells deliveries apart: of an older GitLab a repeated one counts
        as new, which loses nothing. Without any of them the same body is the same.
        """
        if header(headers, SIGNATURE):
            return _request_id(header(headers, ID), ID)
        for name in (KEY, ID):
            if value := header(headers, name):
                return _request_id(value, name)
        digest = hashlib.sha256(body).hexdigest()[:32]
        value = header(headers, EVENT_UUID)
        return f"{_request_id(value, EVENT_UUID)[:60]}:{digest}" if value else digest

    def read(self, body: bytes, headers: Mapping[str, str]) -> ParsedEvent:
        instance = header(headers, INSTANCE)
        is_address = is_web_address(instance) and len(instance) <= LONGEST_ADDRESS // 2
        payload = GitLabPayload(Payload.from_json(body).data, instance if is_address else "", header(headers, TRIGGER))
        kind = payload.kind
        if not KIND.fullmatch(kind):
            name = "object_kind" if "object_kind" in payload else "event_name"
            raise UnreadablePayload(f"{name} is missing or names no event")
        if kind in ACTIVITIES:
            wording = ACTIVITIES[kind](payload)
            return _kept(payload, wording) if isinstance(wording, Unposted) else wording.event(kind, _action(payload))
        if kind in UNPOSTED:
            return _kept(payload, Unposted(UNPOSTED[kind]))
        unknown = Unposted(f"GitLab's {kind} is not a kind we post")
        try:
            return _kept(payload, unknown)
        except UnreadablePayload:
            # What is named as we know it may be something else in a kind of the future.
            return ParsedEvent(kind=kind, summary=kind.replace("_", " "), why_not=unknown.why)

    def setup_steps(self, origin_url: str) -> tuple[Step, ...]:
        page, way, place, who = _settings(origin_url)
        return (
            Step(f'Open <a href="{escape(page)}">{way}</a> in {escape(place)}. It takes {who}.'),
            Step("Fill in the address and the secret token:", shows_address=True),
            Step(
                "Leave <b>Signing token</b> empty, if your GitLab shows it: the secret token is enough. "
                "The bridge’s documentation says how to have deliveries signed."
            ),
            Step(
                "Under <b>Trigger</b> choose what your team may want to see: what reaches the flow is decided here, by "
                "filters you can change at any time. Leave <b>Confidential issues events</b> and <b>Confidential "
                "comments</b> off, unless everybody in the flow may read them."
            ),
            Step("Leave <b>Enable SSL verification</b> on, and press <b>Add webhook</b>."),
            Step("Choose <b>Test</b> beside the new webhook, and then <b>Push events</b>: GitLab sends one at once."),
        )


def _trigger(kind: str) -> str:
    """What GitLab calls the trigger of a kind in X-Gitlab-Event."""
    if kind in TRIGGERS:
        return TRIGGERS[kind]
    if kind.startswith("user_") and kind.endswith(("_group", "_team", "_project")):
        return "Member Hook"
    family, words = kind.partition("_")[0], kind.replace("_", " ").title()
    if family in {"subgroup", "project"}:
        words = family.title()
    return "System Hook" if family in {"user", "key", "group", "repository"} else f"{words} Hook"


def _check_time(timestamp: str) -> None:
    """Raise SignatureMismatch where it was signed too long ago, or in the future: GitLab signs each attempt afresh."""
    is_number = timestamp.isascii() and timestamp.isdigit() and len(timestamp) < LONGEST_TIMESTAMP
    if not is_number or abs(time.time() - int(timestamp)) > SIGNATURE_HOLDS:
        raise SignatureMismatch("it was signed more than five minutes ago or ahead, by the clock of this machine")


def _is_same(given: str, expected: str) -> bool:
    # As bytes, and not by hmac.compare_digest: a header that is not ASCII is a wrong one, not an error.
    return constant_time_compare(given.encode(errors="replace"), expected.encode())


def signing_keys(secret: str) -> tuple[bytes, bytes]:
    """What a delivery may be signed with: the signing token that belongs to our secret, or the secret as it is.

    GitLab takes tokens of 32 bytes only: the token is "whsec_" and the base64 of the secret's SHA-256. What stands
    before a GitLab and signs in its place knows no such limit.
    """
    return hashlib.sha256(secret.encode()).digest(), secret.encode()


def signature(body: bytes, key: bytes, message: str, timestamp: str) -> str:
    """As https://www.standardwebhooks.com describes it."""
    signed = f"{message}.{timestamp}.".encode(errors="replace") + body
    return f"v1,{b64encode(hmac.new(key, signed, 'sha256').digest()).decode()}"


def _request_id(value: str, name: str) -> str:
    if not REQUEST_ID.fullmatch(value):
        raise UnreadablePayload(f"the header {name} is not a valid request id")
    return value


def _settings(origin_url: str) -> tuple[str, str, str, str]:
    """The page where its webhooks are made, the way there, what it is in, and who may."""
    parts = urlsplit(origin_url)
    path = parts.path.strip("/")
    way = "Settings → Webhooks → Add new webhook"
    if not path:
        return f"{origin_url}/admin/hooks", "Admin → System hooks → Add new webhook", parts.netloc, "an administrator"
    if parts.path.startswith(GROUPS):
        return f"{origin_url}/-/hooks", way, path.removeprefix("groups/"), "an owner of the group"
    return f"{origin_url}/-/hooks", way, path, "a maintainer of the project"


# Where the kinds that have no action tell what became of them.
STATES = (
    "object_attributes.action",
    "action",
    "object_attributes.status",
    "build_status",
    "status",
    "object_attributes.state",
)


def _action(payload: GitLabPayload) -> str:
    return next(filter(None, map(payload.maybe_text, STATES)), "")


def _kept(payload: GitLabPayload, unposted: Unposted) -> ParsedEvent:
    """For the log: who did what, as far as GitLab tells it, and to what."""
    action = _action(payload)
    someone = person(payload)
    what = f"{payload.kind} {action}".replace("_", " ").strip()
    secret = secrecy(payload)
    return ParsedEvent(
        kind=payload.kind,
        action=action,
        actor=someone.name if someone else "",
        summary=f"{someone.name}: {what}" if someone else what,
        subject=_subject(payload),
        facts={
            "events": (f"{payload.kind}.{action}" if action else payload.kind,),
            **person_facts(payload),
            **({"confidential": secret} if secret else {}),
        },
        why_not=unposted.why,
    )


def _subject(payload: GitLabPayload) -> str:
    """The title or the name of the thing that the event is named after, else the project's or the group's."""
    if payload.kind == "emoji":  # its name is the reaction's
        on = ("issue.title", "merge_request.title", "work_item.title", "epic.title", "snippet.title", "note.note")
        return next(filter(str.strip, map(payload.maybe_text, on)), "") or payload.place.name
    paths = ("object_attributes.title", "object_attributes.name", "build_name", "environment", "username")
    return next(filter(str.strip, map(payload.maybe_text, paths)), "") or payload.place.name
