"""What is sent by somebody who means harm, or by a broken program: every page about it opens, soon and in bounds."""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote_from_bytes

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from django.urls import reverse

from integrations.deciding import decide_waiting
from integrations.models import Event, Integration, Origin
from integrations.services import SERVICES
from tests.integrations.services.recorded import Recorded, recorded

LARGEST_PAGE = 700_000  # bytes, most of them of a payload: see payload_display.MAX_WRITTEN
SLOWEST_PAGE = 5.0  # seconds; where the work grows with the square of a body it takes minutes

OPENED = next(each for each in recorded(SERVICES["github"]) if each.path.name == "issues.opened.json")
MERGED = next(each for each in recorded(SERVICES["gitlab"]) if each.path.name == "merge_request.merge.json")

TEXTS = {
    "half a pair": "half \ud83d of a pair",
    "the other half": "\ude00 and more",
    "a NUL": "a\0b",
    "controls": "a\x07\x1b[31m\x85b",
    "overrides": "\u202egnp.exe\u2066",
    "quotation marks": '"' * 65_536,
    "backslashes": '\\"' * 32_768,
    "brackets": "[" * 65_536,
    "tags": "<b <" * 16_384,
    "mentions": "@a #1 " * 10_000,
    "references": "&amp;" * 13_000,
    "code": "```   " * 10_000,
    "combining": "e" + "\u0301" * 32_768,
    "addresses": "http://a.b/" * 6000,
    "blank": " \t\n",
}


def nested(levels: int, opens: str = "[", closes: str = "]", inside: str = "0") -> str:
    return opens * levels + inside + closes * levels


def with_member(value: str) -> bytes:
    """An opened issue that has one member more, whose value is this JSON."""
    return OPENED.body.rstrip().removesuffix(b"}") + b', "extra": ' + value.encode() + b"}"


BODIES = {
    "700 levels, then zeros": with_member(nested(700, inside=",".join("0" * 50_000))),
    "nested lists": with_member(nested(800)),
    "nested objects": with_member(nested(800, '{"a":', "}")),
    "2 MB of nested lists": with_member(",".join([nested(300)] * 3000).join("[]")),
    "a string of 1.9 MB": with_member(json.dumps("x" * 1_900_000)),
    "a string of quotation marks": with_member(json.dumps('"' * 900_000)),
    "many small members": with_member("{" + ",".join(f'"{number}":0' for number in range(170_000)) + "}"),
    "many empty texts": with_member("[" + ",".join(['""'] * 600_000) + "]"),
    "huge numbers": with_member("[1e999, -1e999, 1e-999, 1" + "0" * 4000 + ", 0.1e+10]"),
    "escaped halves in names": with_member('{"\\ud83d": {"\\ude00": "\\ud800"}}'),
    "escaped NUL in names": with_member('{"\\u0000": "\\u0000"}'),
    "the same name again": with_member('{"a": 1, "a": {"a": 2}}'),
    "blanks": with_member("[" + " " * 1_000_000 + "\n" * 500_000 + "]"),
    "form": b"payload=" + quote_from_bytes(with_member('"\\ud83d"')).encode(),
    "form of 1.8 MB": b"payload=" + quote_from_bytes(with_member("[" + "0," * 300_000 + "0]")).encode(),
}


def replaced(value: Any, text: str) -> Any:
    """`value` with `text` in place of what people wrote, and where it is not an address, a word or a time."""
    if isinstance(value, dict):
        return {name: replaced(item, text) if is_written(name, item) else item for name, item in value.items()}
    return [replaced(item, text) for item in value] if isinstance(value, list) else text


def is_written(name: str, value: Any) -> bool:
    kinds = {"title", "body", "description", "name", "message", "login", "username", "note", "label", "color"}
    return isinstance(value, dict | list) or (isinstance(value, str) and name in kinds)


@pytest.fixture
def staff(db) -> Client:
    client = Client(SERVER_NAME="bridge.test")
    staff = get_user_model().objects.create_superuser("staff", "staff@example.com", "not needed")
    client.force_login(staff, backend="integrations.passwords.PasswordBackend")
    return client


@pytest.fixture
def connected(integrate) -> Callable[[str], Integration]:
    def connect(service: str) -> Integration:
        origin = Origin.objects.create(service=service, name=f"{service}/hello", external_url="https://git.test/hello")
        return integrate(f"{service}/hello", origin=origin)

    return connect


def send(integration: Integration, example: Recorded, body: bytes, number: int = 1) -> int:
    """Send `body` signed, as the service would; the status of the answer."""
    origin = integration.origin
    content_type = "application/x-www-form-urlencoded" if body.startswith(b"payload=") else "application/json"
    headers = example.service.announce(example.kind, f"72d3162e-{number}") | example.service.sign(body, origin.secret)
    headers.pop("Content-Type", None)
    path = f"/hooks/{origin.hook_id}/"
    answer = Client(SERVER_NAME="bridge.test").post(path, body, content_type=content_type, headers=headers)
    decide_waiting()
    return answer.status_code


def pages_about(integration: Integration) -> Iterator[str]:
    """All pages of the bridge that show something of the integration's events."""
    page = integration.get_absolute_url()
    yield from ("/", page, f"{page}updates/", f"{page}filters/", f"{page}connected/", f"{page}connected/arrival/")
    for delivery in integration.deliveries.all():
        yield f"{page}events/{delivery.pk}/"


def admin_pages_about(integration: Integration) -> Iterator[str]:
    yield reverse("admin:index")
    for model in ("event", "delivery", "integration", "origin"):
        yield reverse(f"admin:integrations_{model}_changelist")
    for event in Event.objects.filter(origin=integration.origin):
        yield reverse("admin:integrations_event_change", args=[event.pk])
        yield reverse("admin:integrations_event_history", args=[event.pk])
    for delivery in integration.deliveries.all():
        yield reverse("admin:integrations_delivery_change", args=[delivery.pk])


def assert_open(client: Client, pages: Iterator[str]) -> None:
    for page in pages:
        begun = time.process_time()
        answer = client.get(page)
        assert answer.status_code in {200, 204}, page
        assert len(answer.content) < LARGEST_PAGE, page
        assert time.process_time() - begun < SLOWEST_PAGE, page


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_all_pages_open_for_a_hostile_body(member, staff, connected, body):
    integration = connected("github")

    assert send(integration, OPENED, body) == 202

    assert_open(member, pages_about(integration))
    assert_open(staff, admin_pages_about(integration))


@pytest.mark.parametrize("example", [OPENED, MERGED], ids=["GitHub", "GitLab"])
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_all_pages_open_with_hostile_texts(member, staff, connected, example, text):
    integration = connected(example.service.name)

    assert send(integration, example, json.dumps(replaced(example.data, text)).encode()) in {202, 400}

    assert_open(member, pages_about(integration))
    assert_open(staff, admin_pages_about(integration))


@pytest.mark.parametrize(
    "body", [b"", b"\xff\xfe{}", b"\xef\xbb\xbf{}", b"{}", b"[]", b"NaN", b'{"a": NaN}', b"payload=%ff", b"\0" * 100]
)
def test_unreadable_body_is_refused_and_not_stored(member, staff, connected, body):
    integration = connected("github")

    assert send(integration, OPENED, body) == 400

    assert_open(member, pages_about(integration))
    assert_open(staff, admin_pages_about(integration))


@pytest.mark.parametrize("body", [b"", b"\xff\xfe\0", b"\xed\xa0\xbd", b"{", b"[" * 60_000, b'{"a', b"a=1&b=2", b"<a>"])
def test_all_pages_open_with_data_of_another_version(member, staff, integration, happen, body):
    happen(integration, "failed", body=body, attempts=[{"at": "", "status": 400, "outcome": "refused", "ms": 1}])

    assert_open(member, pages_about(integration))
    assert_open(staff, admin_pages_about(integration))


EXAMPLES = [each for name in ("github", "gitlab") for each in recorded(SERVICES[name])]
VALUES = [
    None, True, False, 0, -1, 2**63, 10**400, 1e308, "", " ", "\0", "\ud83d", "\ude00\ud83d", "x" * 70_000, '"' * 3000,
    "<b onload='x'>", "[" * 5000, "javascript:alert(1)", "http://[", "https://a.b/\ud800", "//a.b/c", "2026-13-45T99:9",
    "0" * 40, "refs/heads/", "refs/tags/\ud83d", [], {}, [[]], [None], ["\ud83d"], {"\ud83d": "\ude00"}, {"": {"": []}},
]  # fmt: skip


def mutated(value: Any, chance: random.Random, share: float) -> Any:
    """`value` with about `share` of its members replaced, taken away, or put where another belongs."""
    if chance.random() < share:
        return chance.choice(VALUES)
    if isinstance(value, dict):
        kept = {name: item for name, item in value.items() if chance.random() >= share / 2}
        return {name: mutated(item, chance, share) for name, item in kept.items()}
    if isinstance(value, list):
        return [mutated(item, chance, share) for item in value * chance.choice((1, 1, 1, 1, 30))]
    return value


@pytest.mark.parametrize("seed", range(4))
def test_webhook_answers_and_all_pages_open_for_mutated_payloads(member, staff, connected, seed):
    """MUTATED_PAYLOADS sets how many are sent for each seed."""
    chance = random.Random(seed)
    github, gitlab = connected("github"), connected("gitlab")
    for number in range(int(os.environ.get("MUTATED_PAYLOADS", "60"))):
        example = chance.choice(EXAMPLES)
        integration = github if example.service.name == "github" else gitlab
        body = json.dumps(mutated(example.data, chance, chance.choice((0.002, 0.01, 0.05)))).encode()
        # 200 where nothing was changed and the same has been sent before.
        assert send(integration, example, body, number) in {200, 202, 400}, (seed, number, body)

    for integration in (github, gitlab):
        assert integration.deliveries.exists()
        assert_open(member, pages_about(integration))
        assert_open(staff, admin_pages_about(integration))
