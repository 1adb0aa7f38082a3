"""The GitLab service: tokens, signatures, request ids, and the origins that people type."""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import b64decode, b64encode

import pytest

from integrations.services import SERVICES
from integrations.services.base import InvalidOrigin, SignatureMismatch, UnreadablePayload, WebhookService
from tests.integrations.services.recorded import HERE, SECRET, Recorded

GITLAB = SERVICES["gitlab"]
assert isinstance(GITLAB, WebhookService)
PUSH = Recorded(GITLAB, HERE / "gitlab" / "push.json")
BODY = b'{"object_kind": "push"}'
TOKEN = {"X-Gitlab-Token": SECRET}
NOW = 1768471200  # seconds since 1970


@pytest.fixture(autouse=True)
def clock(time_machine):
    time_machine.move_to(NOW, tick=False)
    return time_machine


def signed(
    body: bytes = BODY, message: str = "msg-1", timestamp: str = "1768471200", secret: str = SECRET
) -> dict[str, str]:
    """Headers as Standard Webhooks specifies them, with the signing token from docs/services/gitlab.md.

    Of SECRET it is printf %s "$SECRET" | openssl dgst -sha256 -binary | base64, after "whsec_".
    """
    token = f"whsec_{b64encode(hashlib.sha256(secret.encode()).digest()).decode()}"
    key = b64decode(token.removeprefix("whsec_"))
    assert len(key) == 32, "as GitLab wants it"
    digest = hmac.new(key, f"{message}.{timestamp}.".encode() + body, "sha256").digest()
    return {
        "webhook-id": message,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{b64encode(digest).decode()}",
    }


@pytest.mark.parametrize("name", ["X-Gitlab-Token", "x-gitlab-token", "X-GITLAB-TOKEN"])
def test_token_is_found_whatever_the_case_of_its_header(name: str) -> None:
    GITLAB.verify(BODY, {name: SECRET}, SECRET)


@pytest.mark.parametrize("given", ["", " ", SECRET[:-1], f"{SECRET} ", SECRET.upper(), "é", "\udcff"])
def test_a_wrong_token_is_rejected(given: str) -> None:
    with pytest.raises(SignatureMismatch):
        GITLAB.verify(BODY, {"X-Gitlab-Token": given}, SECRET)


def test_without_a_secret_every_request_is_rejected() -> None:
    for headers in ({}, {"X-Gitlab-Token": ""}, GITLAB.sign(BODY, "")):
        with pytest.raises(SignatureMismatch):
            GITLAB.verify(BODY, headers, "")


def test_signature_follows_standard_webhooks() -> None:
    GITLAB.verify(BODY, signed(), SECRET)
    headers = GITLAB.sign(BODY, SECRET)
    assert headers == signed(message=headers["webhook-id"], timestamp=headers["webhook-timestamp"])


def test_the_secret_itself_may_also_sign() -> None:
    """A proxy that signs for GitLab does not need the token of 32 bytes."""
    digest = hmac.new(SECRET.encode(), b"msg_1.1768471200." + BODY, "sha256").digest()
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": "1768471200",
        "webhook-signature": f"v1,{b64encode(digest).decode()}",
    }

    GITLAB.verify(BODY, headers, SECRET)
    with pytest.raises(SignatureMismatch):
        GITLAB.verify(BODY, headers, "another")


def test_one_of_several_signatures_is_enough() -> None:
    right = signed()
    wrong = signed(secret="another")["webhook-signature"]

    GITLAB.verify(BODY, {**right, "webhook-signature": f"{wrong} v1a,xyz {right['webhook-signature']}"}, SECRET)


@pytest.mark.parametrize(
    "changed",
    [
        {"webhook-signature": "v1,"},
        {"webhook-signature": signed()["webhook-signature"][3:]},
        {"webhook-signature": signed(b"{}")["webhook-signature"]},
        {"webhook-signature": "v1,é"},
        {"webhook-signature": "\udcff"},
        {"webhook-id": "msg-2"},
        {"webhook-id": ""},
        {"webhook-timestamp": "1768471201"},
        {"webhook-timestamp": ""},
    ],
)
def test_a_wrong_signature_is_rejected_even_with_the_right_token(changed: dict[str, str]) -> None:
    with pytest.raises(SignatureMismatch):
        GITLAB.verify(BODY, TOKEN | signed() | changed, SECRET)


def test_a_right_signature_is_enough_with_the_token_of_another_webhook() -> None:
    GITLAB.verify(BODY, {"X-Gitlab-Token": "another"} | signed(), SECRET)


@pytest.mark.parametrize("seconds", [-300, 0, 300])
def test_a_signature_is_valid_for_five_minutes(clock, seconds: int) -> None:
    clock.move_to(NOW + seconds, tick=False)

    GITLAB.verify(BODY, signed(), SECRET)


@pytest.mark.parametrize("seconds", [-301, 301, 24 * 3600])
def test_old_and_future_signatures_are_rejected(clock, seconds: int) -> None:
    clock.move_to(NOW + seconds, tick=False)

    with pytest.raises(SignatureMismatch, match="five minutes"):
        GITLAB.verify(BODY, signed(), SECRET)


@pytest.mark.parametrize("timestamp", ["-1768471200", "1768471200.0", "9" * 5000, "١٧٦٨٤٧١٢٠٠", "now"])
def test_a_signed_timestamp_must_be_a_number(timestamp: str) -> None:
    with pytest.raises(SignatureMismatch):
        GITLAB.verify(BODY, signed(timestamp=timestamp), SECRET)


def test_request_id_of_a_signed_request_is_the_signed_one() -> None:
    assert GITLAB.request_id(BODY, {KEY: "another"} | signed(message="msg-1")) == "msg-1"


KEY, ID, UUID = "Idempotency-Key", "webhook-id", "X-Gitlab-Event-UUID"


def test_request_id_is_the_idempotency_key() -> None:
    first = GITLAB.request_id(BODY, {KEY: "f5e57ebe-07a4", UUID: "13792a34-cac6"})
    second = GITLAB.request_id(BODY, {KEY: "f5e57ebe-07a4", UUID: "9b2f2b77-0d4c"})

    assert first == second == "f5e57ebe-07a4"
    assert GITLAB.request_id(BODY, {ID: "f5e57ebe-07a4"}) == first


def test_request_id_of_older_versions_depends_on_event_uuid_and_body() -> None:
    ids = {
        GITLAB.request_id(body, {UUID: uuid}) for body in (BODY, b"{}") for uuid in ("13792a34-cac6", "9b2f2b77-0d4c")
    }

    assert len(ids) == 4
    assert GITLAB.request_id(BODY, {UUID: "13792a34-cac6"}) in ids


def test_request_id_depends_on_the_body_if_gitlab_sends_none() -> None:
    assert GITLAB.request_id(BODY, {}) == GITLAB.request_id(BODY, {}) != GITLAB.request_id(b"{}", {})


@pytest.mark.parametrize("name", [KEY, ID, UUID])
@pytest.mark.parametrize("given", [" ", "a b", "x" * 101, "é", "a\n"])
def test_an_invalid_request_id_is_rejected(name: str, given: str) -> None:
    with pytest.raises(UnreadablePayload, match=name):
        GITLAB.request_id(BODY, {name: given})


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, "event_name is missing"),
        ({"object_kind": "Push"}, "object_kind"),
        ({"object_kind": "x" * 61}, "object_kind"),
        ({"event_name": "../push"}, "event_name"),
        ({"object_kind": 7}, "object_kind is not a string"),
        ({"object_kind": "", "event_name": ["push"]}, "event_name is not a string"),
    ],
)
def test_a_body_without_a_valid_kind_is_rejected(body: dict[str, object], named: str) -> None:
    with pytest.raises(UnreadablePayload, match=named):
        GITLAB.read(json.dumps(body).encode(), {})


@pytest.mark.parametrize(
    ("body", "summary", "subject"),
    [
        (
            {"object_kind": "carousel", "action": "spun", "user": {"name": "Lea Cohen"}, "project_id": 4242},
            "Lea Cohen: carousel spun",
            "project 4242",
        ),
        ({"event_name": "carousel_spin", "user_name": "Lea Cohen"}, "Lea Cohen: carousel spin", "GitLab"),
        ({"object_kind": "carousel", "user": "lea-cohen", "project": [1]}, "carousel", ""),
    ],
)
def test_an_unknown_kind_is_stored_with_what_is_known(body: dict[str, object], summary: str, subject: str) -> None:
    event = GITLAB.read(json.dumps(body).encode(), {})

    assert event.activity is None
    assert (event.summary, event.subject) == (summary, subject)
    assert event.why_not == f"the GitLab event {event.kind} is not supported"


ORIGINS = {
    "octo/website": ("octo/website", "https://gitlab.com/octo/website"),
    "  octo/website/ ": ("octo/website", "https://gitlab.com/octo/website"),
    "octo/design/fonts": ("octo/design/fonts", "https://gitlab.com/octo/design/fonts"),
    "Octo_acme/.profile": ("Octo_acme/.profile", "https://gitlab.com/Octo_acme/.profile"),
    "https://gitlab.com/octo/website": ("octo/website", "https://gitlab.com/octo/website"),
    "http://www.GitLab.com/octo/website.git": ("octo/website", "https://gitlab.com/octo/website"),
    "gitlab.com/octo/website": ("octo/website", "https://gitlab.com/octo/website"),
    "https://gitlab.com/octo/website/-/merge_requests/31#note_1": ("octo/website", "https://gitlab.com/octo/website"),
    "https://gitlab.com/octo/design/fonts/-/tree/main?x=1": ("octo/design/fonts", "https://gitlab.com/octo/design/fonts"),
    "https://git.acme.example/octo/website/merge_requests/31": (
        "git.acme.example/octo/website", "https://git.acme.example/octo/website",
    ),
    "octo/issues": ("octo/issues", "https://gitlab.com/octo/issues"),
    "git@gitlab.com:octo/design/fonts.git": ("octo/design/fonts", "https://gitlab.com/octo/design/fonts"),
    "ssh://git@git.acme.example:2222/octo/website.git": (
        "git.acme.example/octo/website", "https://git.acme.example/octo/website",
    ),
    "https://oauth2:token@gitlab.com/octo/website.git": ("octo/website", "https://gitlab.com/octo/website"),
    "git.acme.example/octo/website": ("git.acme.example/octo/website", "https://git.acme.example/octo/website"),
    "http://10.0.0.5:8080/octo/website": ("10.0.0.5:8080/octo/website", "http://10.0.0.5:8080/octo/website"),
    "https://gitlab.com/octo": ("groups/octo", "https://gitlab.com/groups/octo"),
    "https://gitlab.com/groups/octo/design/-/epics/3": ("groups/octo/design", "https://gitlab.com/groups/octo/design"),
    "groups/octo": ("groups/octo", "https://gitlab.com/groups/octo"),
    "https://git.acme.example/octo/": ("git.acme.example/groups/octo", "https://git.acme.example/groups/octo"),
    "git.acme.example": ("git.acme.example", "https://git.acme.example"),
    "https://git.acme.example/-/user_settings": ("git.acme.example", "https://git.acme.example"),
}  # fmt: skip


@pytest.mark.parametrize(("typed", "origin"), ORIGINS.items())
def test_origins_can_be_typed_in_many_forms(typed: str, origin: tuple[str, str]) -> None:
    assert GITLAB.clean_origin(typed) == origin


@pytest.mark.parametrize("name", sorted({name for name, url in ORIGINS.values() if url.startswith("https:")}))
def test_the_name_of_an_origin_can_be_typed_again(name: str) -> None:
    assert GITLAB.clean_origin(name)[0] == name


NO_ORIGINS = {
    "": "Enter the project as group/project",
    "website": "“website” names no project",
    "octo/": "names no project",
    "octo/web site": "is not valid in a project’s path",
    "octo/..": "is not valid in a project’s path",
    "-octo/website": "is not valid in a project’s path",
    "öcto/website": "is not valid in a project’s path",
    "gitlab.com": "Enter the project as group/project",
    "https://gitlab.com/": "Enter the project as group/project",
    "https://git.acme.example/groups/": "Enter the project as group/project",
    "https://gitlab.com/explore/projects": "one of GitLab’s own pages",
    "javascript://gitlab.com/octo/website": "not a web address",
    "https://[gitlab.com/octo/website": "not a web address",
    "https://git lab.com/octo/website": "not a web address",
    "octo/" + "x" * 300: "is not valid in a project’s path",
    "/".join(["octo"] * 60): "too long for a project",
    "a\x00/b": "is not valid in a project’s path",
}


@pytest.mark.parametrize(("typed", "words"), NO_ORIGINS.items(), ids=lambda value: value[:30])
def test_an_invalid_project_is_rejected_with_advice(typed: str, words: str) -> None:
    with pytest.raises(InvalidOrigin, match=words) as refused:
        GITLAB.clean_origin(typed)

    assert "octo/website" in str(refused.value)


@pytest.mark.parametrize(
    ("typed", "page", "way"),
    [
        ("octo/website", "https://gitlab.com/octo/website/-/hooks", "in octo/website. You must be a maintainer"),
        (
            "https://gitlab.com/octo",
            "https://gitlab.com/groups/octo/-/hooks",
            "in octo. You must be an owner of the group",
        ),
        ("groups/octo/design", "https://gitlab.com/groups/octo/design/-/hooks", "in octo/design. You must be an owner"),
        (
            "git.acme.example",
            "https://git.acme.example/admin/hooks",
            "Admin → System hooks → Add new webhook</a> in git.acme.example. You must be an administrator",
        ),
    ],
)
def test_set_up_begins_at_the_page_where_webhooks_are_added(typed: str, page: str, way: str) -> None:
    steps = GITLAB.setup_steps(GITLAB.clean_origin(typed)[1])

    assert f'<a href="{page}">' in steps[0].html
    assert way in steps[0].html
    assert any("Trigger" in step.html for step in steps)
    assert any("Test" in step.html for step in steps)


@pytest.mark.parametrize("preset", GITLAB.presets, ids=lambda preset: preset.name)
@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("issue.open.confidential", "confidential work item is excluded"),
        ("issue.update.made_confidential", "confidential work item is excluded"),
        ("note.issue.confidential", "confidential work item is excluded"),
        ("note.issue.internal", "internal note is excluded"),
        ("emoji.award.note.internal", "internal note is excluded"),
    ],
)
def test_no_preset_posts_confidential_events(preset: object, name: str, why: str) -> None:
    event = Recorded(GITLAB, HERE / "gitlab" / f"{name}.json").read()

    verdict = GITLAB.decide(event, {"confidential": preset.filters["confidential"]})  # type: ignore[attr-defined]

    assert (verdict.passes, verdict.reason) == (False, why)
    assert GITLAB.decide(event, {}).passes, "who asks for it has it"


@pytest.mark.parametrize("name", ["issue.open", "note.issue", "push", "merge_request.open"])
def test_the_preset_everything_posts_public_events(name: str) -> None:
    event = Recorded(GITLAB, HERE / "gitlab" / f"{name}.json").read()

    assert GITLAB.decide(event, GITLAB.presets[0].filters).passes


def test_the_header_alone_can_mark_an_event_as_confidential() -> None:
    event = Recorded(GITLAB, HERE / "gitlab" / "note.issue.json").read(**{"X-Gitlab-Event": "Confidential Note Hook"})

    assert event.facts["confidential"] == ("confidential",)
