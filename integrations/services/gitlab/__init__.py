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
from .origins import GITLAB, parse_origin
from .payload import GROUPS, TRIGGERS, GitLabPayload
from .people import person, person_facts
from .wording import confidentiality

REQUEST_ID = re.compile(r"[A-Za-z0-9_.:-]{1,100}", re.ASCII)
KIND = re.compile(r"[a-z0-9_]{1,60}", re.ASCII)
# As https://www.standardwebhooks.com advises, so that a signed request cannot be replayed later.
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
        return parse_origin(typed)

    def verify(self, body: bytes, headers: Mapping[str, str], secret: str) -> None:
        """Verify the signature if there is one, else the secret token, which GitLab sends in plain text."""
        given = header(headers, SIGNATURE)
        if given:
            _check_time(header(headers, TIMESTAMP))
            expected = [
                signature(body, key, header(headers, ID), header(headers, TIMESTAMP)) for key in signing_keys(secret)
            ]
            # While a signing token is being replaced, the request has a signature by each of the two.
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
        """Return the idempotency key, which GitLab 17.4 and later repeat with each attempt.

        For a signed request it is the webhook-id, which has the same value but is signed, so nobody can replace it.
        X-Gitlab-Event-UUID is new for each attempt and shared by webhooks that cause each other, so it identifies a
        request only together with the body: a retry of an older GitLab counts as a new request. Without any of these
        headers, requests with equal bodies are the same request.
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
            raise UnreadablePayload(f"{name} is missing or invalid")
        if kind in ACTIVITIES:
            wording = ACTIVITIES[kind](payload)
            if isinstance(wording, Unposted):
                return _unposted_event(payload, wording)
            return wording.event(kind, _action(payload))
        if kind in UNPOSTED:
            return _unposted_event(payload, Unposted(UNPOSTED[kind]))
        unknown = Unposted(f"the GitLab event {kind} is not supported")
        try:
            return _unposted_event(payload, unknown)
        except UnreadablePayload:
            # In a kind that is not known yet, familiar names may have other types.
            return ParsedEvent(kind=kind, summary=kind.replace("_", " "), why_not=unknown.reason)

    def setup_steps(self, origin_url: str) -> tuple[Step, ...]:
        page, menu, place, role = _settings(origin_url)
        return (
            Step(f'Open <a href="{escape(page)}">{menu}</a> in {escape(place)}. You must be {role}.'),
            Step("Fill in the address and the secret token:", shows_address=True),
            Step(
                "If your GitLab shows <b>Signing token</b>, leave it empty: the secret token is enough. "
                "The bridge’s documentation explains how to use signed requests."
            ),
            Step(
                "Under <b>Trigger</b> select every event that your team may want to see. Your filters decide what is "
                "posted, and you can change them at any time. Leave <b>Confidential issues events</b> and "
                "<b>Confidential comments</b> off, unless everybody in the flow may read them."
            ),
            Step("Leave <b>Enable SSL verification</b> on, and click <b>Add webhook</b>."),
            Step(
                "Next to the new webhook, choose <b>Test</b> and then <b>Push events</b>. GitLab sends one immediately."
            ),
        )


def _trigger(kind: str) -> str:
    """The value of X-Gitlab-Event for a kind."""
    if kind in TRIGGERS:
        return TRIGGERS[kind]
    if kind.startswith("user_") and kind.endswith(("_group", "_team", "_project")):
        return "Member Hook"
    family, words = kind.partition("_")[0], kind.replace("_", " ").title()
    if family in {"subgroup", "project"}:
        words = family.title()
    return "System Hook" if family in {"user", "key", "group", "repository"} else f"{words} Hook"


def _check_time(timestamp: str) -> None:
    """Raise SignatureMismatch unless it was signed just now. GitLab signs each attempt again."""
    is_number = timestamp.isascii() and timestamp.isdigit() and len(timestamp) < LONGEST_TIMESTAMP
    if not is_number or abs(time.time() - int(timestamp)) > SIGNATURE_HOLDS:
        raise SignatureMismatch("the signature is more than five minutes old or in the future, by this machine's clock")


def _is_same(given: str, expected: str) -> bool:
    # Not hmac.compare_digest, which raises TypeError on a header that is not ASCII.
    return constant_time_compare(given.encode(errors="replace"), expected.encode())


def signing_keys(secret: str) -> tuple[bytes, bytes]:
    """The keys that may sign a request: the signing token made from our secret, or the secret itself.

    GitLab only takes tokens of 32 bytes: the token is "whsec_" and the base64 of the secret's SHA-256. A proxy that
    signs for GitLab may use the secret itself.
    """
    return hashlib.sha256(secret.encode()).digest(), secret.encode()


def signature(body: bytes, key: bytes, message: str, timestamp: str) -> str:
    """The signature that https://www.standardwebhooks.com specifies."""
    signed = f"{message}.{timestamp}.".encode(errors="replace") + body
    return f"v1,{b64encode(hmac.new(key, signed, 'sha256').digest()).decode()}"


def _request_id(value: str, name: str) -> str:
    if not REQUEST_ID.fullmatch(value):
        raise UnreadablePayload(f"the header {name} is not a valid request id")
    return value


def _settings(origin_url: str) -> tuple[str, str, str, str]:
    """The page where webhooks are added, its menu path, the place that it belongs to and the role that it requires."""
    parts = urlsplit(origin_url)
    path = parts.path.strip("/")
    menu = "Settings → Webhooks → Add new webhook"
    if not path:
        return f"{origin_url}/admin/hooks", "Admin → System hooks → Add new webhook", parts.netloc, "an administrator"
    if parts.path.startswith(GROUPS):
        return f"{origin_url}/-/hooks", menu, path.removeprefix("groups/"), "an owner of the group"
    return f"{origin_url}/-/hooks", menu, path, "a maintainer of the project"


# Where kinds without an action have their state.
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


def _unposted_event(payload: GitLabPayload, unposted: Unposted) -> ParsedEvent:
    """The event for the log: who did what to what, as far as GitLab says it."""
    action = _action(payload)
    someone = person(payload)
    what = f"{payload.kind} {action}".replace("_", " ").strip()
    confidential = confidentiality(payload)
    return ParsedEvent(
        kind=payload.kind,
        action=action,
        actor=someone.name if someone else "",
        summary=f"{someone.name}: {what}" if someone else what,
        subject=_subject(payload),
        facts={
            "events": (f"{payload.kind}.{action}" if action else payload.kind,),
            **person_facts(payload),
            **({"confidential": confidential} if confidential else {}),
        },
        why_not=unposted.reason,
    )


def _subject(payload: GitLabPayload) -> str:
    """The title or name of the object that the event is named after, else of the project or group."""
    if payload.kind == "emoji":  # `name` is the reaction's
        on = ("issue.title", "merge_request.title", "work_item.title", "epic.title", "snippet.title", "note.note")
        return next(filter(str.strip, map(payload.maybe_text, on)), "") or payload.place.name
    paths = ("object_attributes.title", "object_attributes.name", "build_name", "environment", "username")
    return next(filter(str.strip, map(payload.maybe_text, paths)), "") or payload.place.name
