"""GitHub webhooks: https://docs.github.com/webhooks/webhook-events-and-payloads"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

from integrations.activity import escape
from integrations.services.base import (
    ParsedEvent,
    Payload,
    Step,
    UnreadablePayload,
    header,
)
from integrations.services.hmac_service import HmacService
from integrations.services.wording import Unposted, Wording

from . import filters
from .activities import ACTIVITIES, UNPOSTED
from .origins import parse_origin
from .people import author, person_facts
from .wording import not_supported

FORM = b"payload="
MOST_FORM_FIELDS = 10


# Objects in the bodies of all kinds, whose times are not the event's.
COMMON_OBJECTS = {"repository", "organization", "enterprise", "installation", "sender", "hook"}
TIMES = ("updated_at", "submitted_at", "completed_at", "published_at", "created_at")
# Actions that do not update the object's times, so that repeating one can produce an equal body.
TIMELESS = {"pinned", "unpinned", "resolved", "unresolved"}
TIMELESS_IN_DISCUSSIONS = {"locked", "unlocked", "labeled", "unlabeled"}


class GitHub(HmacService):
    name = "github"
    title = "GitHub"
    origin_noun = "repository"
    origin_example = "octo/hello"
    icon = "branch"
    address_label = "Payload URL"
    secret_label = "Secret"  # noqa: S105 - a label
    signature_header = "X-Hub-Signature-256"
    signature_prefix = "sha256="
    kind_header = "X-GitHub-Event"
    id_header = "X-GitHub-Delivery"
    activities = ACTIVITIES
    rules = filters.RULES
    presets = filters.PRESETS

    def clean_origin(self, typed: str) -> tuple[str, str]:
        return parse_origin(typed)

    def read(self, body: bytes, headers: Mapping[str, str]) -> ParsedEvent:
        kind = self.kind(headers)
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
                "You need admin access there."
            ),
            Step("Fill in the address and the secret:", shows_address=True),
            Step("Set <b>Content type</b> to <code>application/json</code>, and leave SSL verification enabled."),
            Step(
                "Under <b>Which events would you like to trigger this webhook?</b> choose <b>Send me everything</b>. "
                "Your filters decide what is posted, and you can change them at any time."
            ),
            Step("Click <b>Add webhook</b>. GitHub sends a ping immediately."),
        )


def _from_form(body: bytes) -> bytes:
    """The JSON of a request with the content type application/x-www-form-urlencoded, which begins with `payload=`."""
    try:
        form = parse_qs(body.decode("ascii"), max_num_fields=MOST_FORM_FIELDS, errors="strict")
        return form["payload"][0].encode()
    except (ValueError, KeyError) as error:
        raise UnreadablePayload("the form has no readable field named payload") from error


def _read(kind: str, payload: Payload, headers: Mapping[str, str]) -> ParsedEvent:
    wording = ACTIVITIES[kind](payload) if kind in ACTIVITIES else _why_unposted(kind)
    if isinstance(wording, Unposted):
        return _unposted_event(kind, payload, wording)
    if header(headers, "X-GitHub-Hook-Installation-Target-Type") not in {"", "repository"}:
        wording = _for_repository(payload, wording)
    return wording.event(kind, payload.maybe_text("action"))


def _why_unposted(kind: str) -> Unposted:
    return Unposted(UNPOSTED[kind]) if kind in UNPOSTED else not_supported(kind)


def is_dated(payload: Payload) -> bool:
    """Whether the body contains the time of the event: the object's own, or the repository's for a push or a branch.

    The kind is ignored, because its header is not signed. Bodies without a time, such as those of pings and
    collaborators, can be equal for two events, and so can those of actions that do not update the time.
    """
    data = payload.data
    timeless = TIMELESS | TIMELESS_IN_DISCUSSIONS if "discussion" in data else TIMELESS
    if isinstance(action := data.get("action"), str) and action in timeless:
        return False
    subjects = [value for name, value in data.items() if name not in COMMON_OBJECTS and isinstance(value, Mapping)]
    if any(isinstance(subject.get(time), str) and subject[time] for subject in subjects for time in TIMES):
        return True
    repository = data.get("repository")
    is_pushed = "ref" in data and isinstance(repository, Mapping) and bool(repository.get("pushed_at"))
    return is_pushed or isinstance(data.get("starred_at"), str)


def _unposted_event(kind: str, payload: Payload, unposted: Unposted) -> ParsedEvent:
    """The event for the log: who did what to what, as far as any payload says it."""
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
        why_not=unposted.reason,
    )


def _subject(kind: str, payload: Payload) -> str:
    """The title or name of the object that the event is named after, else of the repository or organization."""
    thing = payload.data.get({"issues": "issue", "issue_comment": "issue"}.get(kind, kind))
    names = ("title", "name", "tag_name") if isinstance(thing, Mapping) else ()
    for name in names:
        if isinstance(thing, Mapping) and isinstance(thing.get(name), str) and thing[name].strip():
            return Payload(thing).text(name)
    return payload.maybe_text("repository.full_name") or payload.maybe_text("organization.login")


def _for_repository(payload: Payload, wording: Wording) -> Wording:
    """An organization's webhook covers several repositories, so thread ids are prefixed with the full name.

    What belongs to no repository, such as an organization's package, needs no prefix.
    """
    repository = payload.maybe_text("repository.full_name")
    thread_id = f"{repository}/{wording.entity.thread_id}" if repository else wording.entity.thread_id
    return replace(wording, entity=replace(wording.entity, thread_id=thread_id))
