"""GitHub webhooks: https://docs.github.com/webhooks/webhook-events-and-payloads"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

from django.utils.crypto import constant_time_compare

from integrations.activity import escape
from integrations.services.base import (
    ParsedEvent,
    Payload,
    SignatureMismatch,
    Step,
    UnreadablePayload,
    WebhookService,
    header,
)
from integrations.services.wording import Unposted, Wording

from . import filters
from .activities import ACTIVITIES, UNPOSTED
from .origins import origin
from .people import author, person_facts

REQUEST_ID = re.compile(r"[A-Za-z0-9-]{1,100}", re.ASCII)
KIND = re.compile(r"[a-z0-9_]{1,60}", re.ASCII)
SIGNATURE = "X-Hub-Signature-256"
FORM = b"payload="
MOST_FORM_FIELDS = 10


# Objects that stand in bodies of every kind, and whose times are not those of what happened.
STANDING = {"repository", "organization", "enterprise", "installation", "sender", "hook"}
TIMES = ("updated_at", "submitted_at", "completed_at", "published_at", "created_at")
# Actions that leave their subject's times as they were: done, undone and done again, the bodies can be the same.
TIMELESS = {"pinned", "unpinned", "resolved", "unresolved"}
TIMELESS_IN_DISCUSSIONS = {"locked", "unlocked", "labeled", "unlabeled"}


class GitHub(WebhookService):
    name = "github"
    title = "GitHub"
    origin_noun = "repository"
    origin_example = "octo/hello"
    icon = "branch"
    address_label = "Payload URL"
    secret_label = "Secret"  # noqa: S105 - a label
    rules = filters.RULES
    presets = filters.PRESETS

    def clean_origin(self, typed: str) -> tuple[str, str]:
        return origin(typed)

    def verify(self, body: bytes, headers: Mapping[str, str], secret: str) -> None:
        given = header(headers, SIGNATURE)
        # As bytes, and not by hmac.compare_digest: a header that is not ASCII is a wrong signature, not an error.
        if not secret or not constant_time_compare(given.encode(errors="replace"), self.sign(body, secret)[SIGNATURE]):
            raise SignatureMismatch

    def sign(self, body: bytes, secret: str, request_id: str = "") -> dict[str, str]:
        return {SIGNATURE: f"sha256={hmac.new(secret.encode(), body, 'sha256').hexdigest()}"}

    def announce(self, kind: str, request_id: str) -> dict[str, str]:
        return {"Content-Type": "application/json", "X-GitHub-Event": kind, "X-GitHub-Delivery": request_id}

    def request_id(self, body: bytes, headers: Mapping[str, str]) -> str:
        value = header(headers, "X-GitHub-Delivery")
        if not REQUEST_ID.fullmatch(value):
            raise UnreadablePayload("the header X-GitHub-Delivery is missing or not a valid id")
        return value

    def read(self, body: bytes, headers: Mapping[str, str]) -> ParsedEvent:
        kind = header(headers, "X-GitHub-Event")
        if not KIND.fullmatch(kind):
            raise UnreadablePayload("the header X-GitHub-Event is missing or names no event")
        payload = Payload.from_json(_from_form(body) if body.startswith(FORM) else body)
        return replace(_read(kind, payload, headers), is_dated=is_dated(payload))

    def setup_steps(self, origin_url: str) -> tuple[Step, ...]:
        path = urlsplit(origin_url).path.strip("/")
        page = f"{origin_url}/settings/hooks/new"
        if "/" not in path:
            page = f"{origin_url.removesuffix(path)}organizations/{path}/settings/hooks/new"
        return (
            Step(
                f'Open <a href="{escape(page)}">Settings → Webhooks → Add webhook</a> in {escape(path)}. '
                "It takes somebody who administers it."
            ),
            Step("Fill in the address and the secret:", shows_address=True),
            Step("Set <b>Content type</b> to <code>application/json</code>, and leave SSL verification enabled."),
            Step(
                "Under <b>Which events would you like to trigger this webhook?</b> choose <b>Send me everything</b>: "
                "what reaches the flow is decided here, by filters you can change at any time."
            ),
            Step("Press <b>Add webhook</b>. GitHub sends a ping at once."),
        )


def _from_form(body: bytes) -> bytes:
    """The JSON of a delivery with the content type application/x-www-form-urlencoded; no JSON begins as those do."""
    try:
        form = parse_qs(body.decode("ascii"), max_num_fields=MOST_FORM_FIELDS, errors="strict")
        return form["payload"][0].encode()
    except (ValueError, KeyError) as error:
        raise UnreadablePayload("the form has no readable field payload") from error


def _read(kind: str, payload: Payload, headers: Mapping[str, str]) -> ParsedEvent:
    wording = ACTIVITIES[kind](payload) if kind in ACTIVITIES else Unposted(_why_not(kind))
    if isinstance(wording, Unposted):
        return _kept(kind, payload, wording)
    if header(headers, "X-GitHub-Hook-Installation-Target-Type") not in {"", "repository"}:
        wording = _of_repository(payload, wording)
    return wording.event(kind, payload.maybe_text("action"))


def is_dated(payload: Payload) -> bool:
    """Whether the body tells when it happened: its subject has a time, a push or a branch its repository's.

    The kind is not looked at: it is in a header, which is not signed either. Bodies without a time, such as pings and
    those of members, can be the same for two happenings, and so can those of actions that leave the time as it was.
    """
    data = payload.data
    timeless = TIMELESS | TIMELESS_IN_DISCUSSIONS if "discussion" in data else TIMELESS
    if isinstance(action := data.get("action"), str) and action in timeless:
        return False
    subjects = [value for name, value in data.items() if name not in STANDING and isinstance(value, Mapping)]
    if any(isinstance(subject.get(time), str) and subject[time] for subject in subjects for time in TIMES):
        return True
    repository = data.get("repository")
    is_pushed = "ref" in data and isinstance(repository, Mapping) and bool(repository.get("pushed_at"))
    return is_pushed or isinstance(data.get("starred_at"), str)


def _why_not(kind: str) -> str:
    return UNPOSTED.get(kind, f"GitHub's {kind} is not a kind we post")


def _kept(kind: str, payload: Payload, unposted: Unposted) -> ParsedEvent:
    """For the log: who did what, as far as every delivery tells it, and to what."""
    action = payload.maybe_text("action")
    actor = author(payload).name if "sender" in payload else ""
    what = f"{kind} {action}".replace("_", " ").strip()
    if kind == "ping":
        what = "set up the webhook of"
    return ParsedEvent(
        kind=kind,
        action=action,
        actor=actor,
        summary=f"{actor} {what}" if kind == "ping" else f"{actor}: {what}" if actor else what,
        subject=_subject(kind, payload),
        facts={"events": (f"{kind}.{action}" if action else kind,), **(person_facts(payload) if actor else {})},
        why_not=unposted.why,
    )


def _subject(kind: str, payload: Payload) -> str:
    """The title or the name of the thing that the event is named after, else the repository's or the organisation's."""
    thing = payload.data.get({"issues": "issue", "issue_comment": "issue"}.get(kind, kind))
    names = ("title", "name", "tag_name") if isinstance(thing, Mapping) else ()
    for name in names:
        if isinstance(thing, Mapping) and isinstance(thing.get(name), str) and thing[name].strip():
            return Payload(thing).text(name)
    return payload.maybe_text("repository.full_name") or payload.maybe_text("organization.login")


def _of_repository(payload: Payload, wording: Wording) -> Wording:
    """The webhook of an organisation brings several repositories: their threads are told apart by the full name.

    What belongs to none of them, such as a package of the organisation, is one of a kind already.
    """
    repository = payload.maybe_text("repository.full_name")
    thread_id = f"{repository}/{wording.entity.thread_id}" if repository else wording.entity.thread_id
    return replace(wording, entity=replace(wording.entity, thread_id=thread_id))
