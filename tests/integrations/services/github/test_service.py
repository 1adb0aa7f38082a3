"""The GitHub service: signatures, forms, request ids, and the origins that people type."""

from __future__ import annotations

from urllib.parse import quote_plus, urlencode

import pytest

from integrations.services import SERVICES
from integrations.services.base import InvalidOrigin, SignatureMismatch, UnreadablePayload
from tests.integrations.services.recorded import HERE, SECRET, Recorded

GITHUB = SERVICES["github"]
OPENED = Recorded(GITHUB, HERE / "github" / "issues.opened.json")
# From GitHub's documentation, "Validating webhook deliveries": a test of any implementation.
KNOWN_BODY, KNOWN_SECRET = b"Hello, World!", "It's a Secret to Everybody"
KNOWN = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"


def test_signature_is_the_one_in_github_s_documentation() -> None:
    assert GITHUB.sign(KNOWN_BODY, KNOWN_SECRET) == {"X-Hub-Signature-256": KNOWN}


@pytest.mark.parametrize("name", ["X-Hub-Signature-256", "x-hub-signature-256", "X-HUB-SIGNATURE-256"])
def test_signature_is_found_whatever_the_case_of_its_header(name: str) -> None:
    GITHUB.verify(KNOWN_BODY, {name: KNOWN}, KNOWN_SECRET)


@pytest.mark.parametrize("given", ["", KNOWN[7:], KNOWN.replace("sha256", "sha1"), KNOWN.upper(), "sha256=é", "\udcff"])
def test_a_wrong_signature_is_rejected(given: str) -> None:
    with pytest.raises(SignatureMismatch):
        GITHUB.verify(KNOWN_BODY, {"X-Hub-Signature-256": given}, KNOWN_SECRET)


def test_without_a_secret_every_request_is_rejected() -> None:
    with pytest.raises(SignatureMismatch):
        GITHUB.verify(KNOWN_BODY, GITHUB.sign(KNOWN_BODY, ""), "")


def test_a_form_is_verified_as_sent_and_read_like_json() -> None:
    form = urlencode({"payload": OPENED.body.decode()}).encode()

    GITHUB.verify(form, GITHUB.sign(form, SECRET), SECRET)
    event = OPENED.read(form, **{"Content-Type": "application/x-www-form-urlencoded"})

    assert event == OPENED.read()


@pytest.mark.parametrize(
    "form",
    [
        b"payload=",
        b"payload=%7B",
        b"payload=\xff",
        b"payload=%FF",
        b"payload=1",
        b"payload=" + b"&a=1" * 1000,
        f"payload={quote_plus('[1]')}".encode(),
    ],
)
def test_a_form_without_a_readable_payload_is_rejected(form: bytes) -> None:
    with pytest.raises(UnreadablePayload):
        OPENED.read(form)


@pytest.mark.parametrize("kind", ["", "Issues", "../issues", "issues\n", "x" * 61, "ïssues"])
def test_an_invalid_event_header_is_rejected(kind: str) -> None:
    with pytest.raises(UnreadablePayload, match="X-GitHub-Event"):
        GITHUB.read(OPENED.body, {"X-GitHub-Event": kind})


def test_an_unknown_kind_is_stored_with_author_and_action() -> None:
    event = GITHUB.read(b'{"action": "spun", "sender": {"login": "lea-cohen"}}', {"X-GitHub-Event": "merry_go_round"})

    assert event.activity is None
    assert (event.kind, event.action, event.actor) == ("merry_go_round", "spun", "lea-cohen")
    assert event.summary == "lea-cohen: merry go round spun"
    assert event.why_not == "the GitHub event merry_go_round is not supported"


def test_request_id_is_the_delivery_header() -> None:
    assert GITHUB.request_id(b"", {"x-github-delivery": "72d3162e-cc78-11e3"}) == "72d3162e-cc78-11e3"


@pytest.mark.parametrize("given", [None, "", " ", "a b", "x" * 101, "é", "a\n"])
def test_an_invalid_request_id_is_rejected(given: str | None) -> None:
    with pytest.raises(UnreadablePayload, match="X-GitHub-Delivery"):
        GITHUB.request_id(b"", {} if given is None else {"X-GitHub-Delivery": given})


ORIGINS = {
    "octo/hello": ("octo/hello", "https://github.com/octo/hello"),
    "  octo/hello/ ": ("octo/hello", "https://github.com/octo/hello"),
    "Octo_acme/.github": ("Octo_acme/.github", "https://github.com/Octo_acme/.github"),
    "https://github.com/octo/hello": ("octo/hello", "https://github.com/octo/hello"),
    "http://www.GitHub.com/octo/hello.git": ("octo/hello", "https://github.com/octo/hello"),
    "github.com/octo/hello": ("octo/hello", "https://github.com/octo/hello"),
    "https://github.com/octo/hello/pull/42?w=1#diff": ("octo/hello", "https://github.com/octo/hello"),
    "git@github.com:octo/hello.git": ("octo/hello", "https://github.com/octo/hello"),
    "ssh://git@github.com/octo/hello.git": ("octo/hello", "https://github.com/octo/hello"),
    "https://user:token@github.com/octo/hello": ("octo/hello", "https://github.com/octo/hello"),
    "https://git.acme.example/octo/hello": ("git.acme.example/octo/hello", "https://git.acme.example/octo/hello"),
    "http://git.acme.example:8443/octo/hello": (
        "git.acme.example:8443/octo/hello", "http://git.acme.example:8443/octo/hello",
    ),
    "git@git.acme.example:octo/hello.git": ("git.acme.example/octo/hello", "https://git.acme.example/octo/hello"),
    "ssh://git@git.acme.example:2222/octo/hello.git": (
        "git.acme.example/octo/hello", "https://git.acme.example/octo/hello",
    ),
    "https://github.com/octo": ("octo", "https://github.com/octo"),
    "https://github.com/orgs/octo/repositories": ("octo", "https://github.com/octo"),
}  # fmt: skip


@pytest.mark.parametrize(("typed", "origin"), ORIGINS.items())
def test_origins_can_be_typed_in_many_forms(typed: str, origin: tuple[str, str]) -> None:
    assert GITHUB.clean_origin(typed) == origin


NO_ORIGINS = {
    "": "Enter the repository as owner/name",
    "hello": "“hello” names no repository",
    "octo/": "names no repository",
    "octo/he llo": "is not a valid repository name",
    "octo/..": "is not a valid repository name",
    "-octo/hello": "Enter the repository as owner/name",
    "öcto/hello": "Enter the repository as owner/name",
    "https://github.com/": "Enter the repository as owner/name",
    "https://github.com/marketplace/actions": "one of GitHub’s own pages",
    "javascript://github.com/octo/hello": "not a web address",
    "https://[github.com/octo/hello": "not a web address",
    "https://git hub.com/octo/hello": "not a web address",
    "octo/" + "x" * 101: "is not a valid repository name",
    f"https://{'a' * 250}.example/octo/hello": "not a web address",
    "a\x00/b": "Enter the repository as owner/name",
}


@pytest.mark.parametrize(("typed", "words"), NO_ORIGINS.items(), ids=lambda value: value[:30])
def test_an_invalid_repository_is_rejected_with_advice(typed: str, words: str) -> None:
    with pytest.raises(InvalidOrigin, match=words) as refused:
        GITHUB.clean_origin(typed)

    assert "octo/hello" in str(refused.value)


@pytest.mark.parametrize(
    ("url", "page"),
    [
        ("https://github.com/octo/hello", "https://github.com/octo/hello/settings/hooks/new"),
        ("https://github.com/octo", "https://github.com/organizations/octo/settings/hooks/new"),
        ("https://git.acme.example/octo/hello", "https://git.acme.example/octo/hello/settings/hooks/new"),
    ],
)
def test_set_up_begins_at_the_page_where_webhooks_are_added(url: str, page: str) -> None:
    steps = GITHUB.setup_steps(url)

    assert f'<a href="{page}">' in steps[0].html
    assert any("application/json" in step.html for step in steps)
    assert any("Send me everything" in step.html for step in steps)
