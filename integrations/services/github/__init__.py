"""GitHub webhooks: https://docs.github.com/webhooks/webhook-events-and-payloads"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from urllib.parse import parse_qs

from django.utils.crypto import constant_time_compare

from integrations.activity import Activity, Author, Status, Thread, escape
from integrations.services.base import (
    Event,
    InvalidOrigin,
    Payload,
    Preset,
    Service,
    SignatureMismatch,
    Step,
    UnreadablePayload,
)
from integrations.services.filters import Choice, Rule

REPOSITORY = re.compile(r"(?:https://github\.com/)?([\w-]{1,39})/([\w.-]{1,100}?)(?:\.git)?/?", re.ASCII)
DELIVERY_ID = re.compile(r"[A-Za-z0-9-]{1,100}")
KIND = re.compile(r"[a-z0-9_]{1,60}")


class GitHub(Service):
    name = "github"
    title = "GitHub"
    origin_noun = "repository"
    origin_example = "octo/hello"
    icon = "github"
    address_label = "Payload URL"
    secret_label = "Secret"
    rules = (
        Rule(
            "events",
            "Events",
            "",
            choices=(
                Choice("issues.opened", "Issue opened", "Issues"),
                Choice("issues.closed", "Issue closed", "Issues"),
                Choice("issues.labeled", "Issue labelled", "Issues"),
                Choice("pull_request.opened", "Pull request opened", "Pull requests"),
                Choice("pull_request.closed", "Pull request closed", "Pull requests"),
                Choice("pull_request.merged", "Pull request merged", "Pull requests"),
            ),
        ),
        Rule("branches", "Branches", "branch", "A star stands for anything: release/*", patterns=True),
        Rule("labels", "Labels", "label"),
        Rule("authors", "Authors", "author"),
    )
    presets = (
        Preset("everything", "Everything", "All that happens, as it happens."),
        Preset(
            "decisions",
            "Decisions and failures",
            "What was opened, closed and merged, and what failed.",
            {"events": {"none_of": ("issues.labeled",)}},
        ),
        Preset("releases", "Releases only", "What was published.", {"events": {"any_of": ("release.published",)}}),
    )

    def clean_origin(self, typed: str) -> tuple[str, str]:
        match = REPOSITORY.fullmatch(typed.strip())
        if not match:
            raise InvalidOrigin("Type the repository as owner/name, such as octo/hello, or paste its address.")
        name = "/".join(match.groups())
        return name, f"https://github.com/{name}"

    def verify(self, body: bytes, headers: Mapping[str, str], secret: str) -> None:
        expected = self.sign(body, secret)["X-Hub-Signature-256"]
        if not secret or not constant_time_compare(headers.get("X-Hub-Signature-256", ""), expected):
            raise SignatureMismatch

    def sign(self, body: bytes, secret: str) -> dict[str, str]:
        return {"X-Hub-Signature-256": f"sha256={hmac.new(secret.encode(), body, 'sha256').hexdigest()}"}

    def delivery_id(self, body: bytes, headers: Mapping[str, str]) -> str:
        value = headers.get("X-GitHub-Delivery", "")
        if not DELIVERY_ID.fullmatch(value):
            raise UnreadablePayload("the header X-GitHub-Delivery is missing or no delivery id")
        return value

    def read(self, body: bytes, headers: Mapping[str, str]) -> Event:
        kind = headers.get("X-GitHub-Event", "")
        if not KIND.fullmatch(kind):
            raise UnreadablePayload("the header X-GitHub-Event is missing or names no event")
        if body.startswith(b"payload="):
            body = parse_qs(body.decode("utf-8", "replace"))["payload"][0].encode()
        payload = Payload.from_json(body)
        action = payload.maybe_text("action")
        actor = payload.maybe_text("sender.login") or "GitHub"
        entity = {"issues": "issue", "pull_request": "pull_request"}.get(kind)
        if kind == "ping":
            return Event(
                kind, "", actor, f"{actor} set up the webhook", why_not="a ping only says that the webhook is there"
            )
        if entity is None:
            return Event(kind, action, actor, f"{kind} {action}".strip(), why_not=f"GitHub's {kind} is not yet posted")
        thing = payload.object(entity)
        noun, short = ("issue", "issue") if entity == "issue" else ("pull request", "pr")
        word = "merged" if action == "closed" and thing.flag("merged") else action
        title = f"{word} {noun}"
        status = Status("open", "green") if thing.text("state") == "open" else Status("closed", "grey")
        return Event(
            kind,
            action,
            actor,
            f"{actor} {title}",
            thing.text("title"),
            {
                "events": (f"{kind}.{word}",),
                "labels": tuple(label.text("name") for label in thing.objects("labels")),
                "authors": (actor,),
            },
            Activity(
                author=Author(actor, payload.maybe_url("sender.avatar_url")),
                title=escape(title),
                thread_id=f"{short}:{thing.number('number')}",
                thread=Thread(escape(thing.text("title")), thing.url("html_url"), status),
            ),
        )

    def setup_steps(self, origin_url: str) -> tuple[Step, ...]:
        return (
            Step(f'Open <a href="{escape(origin_url)}/settings/hooks/new">Settings → Webhooks → Add webhook</a>.'),
            Step("Paste the address and the secret:", shows_address=True),
            Step("Choose the content type <code>application/json</code>."),
            Step("Choose “Send me everything” and press “Add webhook”."),
        )
