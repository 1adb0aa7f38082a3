"""GitLab's webhook requests, as GitLab sends them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

from integrations.deciding import decide_waiting
from integrations.models import Delivery, Event, Integration, Origin
from integrations.services import SERVICES
from integrations.services.base import WebhookService
from tests.integrations.services.recorded import HERE

pytestmark = pytest.mark.django_db
GITLAB = SERVICES["gitlab"]
assert isinstance(GITLAB, WebhookService)
PUBLIC = GITLAB.presets[0].filters


@pytest.fixture
def origin() -> Origin:
    """octo/website, connected to a flow with the filters of the first preset."""
    name, url = GITLAB.clean_origin("octo/website")
    origin = Origin.objects.create(service="gitlab", name=name, external_url=url)
    filters = {rule: {part: list(words) for part, words in parts.items()} for rule, parts in PUBLIC.items()}
    Integration.objects.create(
        origin=origin, name=name, flow_token="token-1", flowdock_id=1, flow_id="flow-1", filters=filters
    )
    return origin


def post(client: Client, origin: Origin, name: str, **headers: str) -> Any:
    body = (HERE / "gitlab" / f"{name}.json").read_bytes()
    sent = {"X-Gitlab-Token": origin.secret, "X-Gitlab-Event": "Issue Hook", "Idempotency-Key": "f5e57ebe", **headers}
    answer = client.post(f"/hooks/{origin.hook_id}/", body, content_type="application/json", headers=sent)
    decide_waiting()
    return answer


def test_a_request_with_the_token_is_put_in_the_outbox(client: Client, origin: Origin) -> None:
    assert post(client, origin, "issue.open").status_code == 202

    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.thread_id) == (Delivery.State.PENDING, "project:4242/issue:7")
    assert origin.secret not in json.dumps(Event.objects.get().headers)


def test_a_repeated_request_is_stored_once(client: Client, origin: Origin) -> None:
    answers = [
        post(client, origin, "issue.open", **{"X-Gitlab-Event-UUID": uuid}).status_code for uuid in ("first", "second")
    ]

    assert answers == [202, 200]
    assert Event.objects.count() == 1


def test_a_signed_request_needs_no_token(client: Client, origin: Origin) -> None:
    signed = GITLAB.sign((HERE / "gitlab" / "issue.open.json").read_bytes(), origin.secret)

    assert post(client, origin, "issue.open", **{"X-Gitlab-Token": ""}, **signed).status_code == 202
    assert post(client, origin, "issue.close", **signed).status_code == 403


@pytest.mark.parametrize("token", ["", "another", "é"])
def test_a_request_without_the_token_is_rejected(client: Client, origin: Origin, token: str) -> None:
    assert post(client, origin, "issue.open", **{"X-Gitlab-Token": token}).status_code == 403
    assert not Event.objects.exists()


def test_a_confidential_issue_is_stored_but_not_posted(client: Client, origin: Origin) -> None:
    assert post(client, origin, "issue.open.confidential").status_code == 202

    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.reason) == (Delivery.State.FILTERED, "confidential work item is excluded")


def test_an_unsupported_kind_is_stored_with_the_reason(client: Client, origin: Origin) -> None:
    assert post(client, origin, "vulnerability.detected").status_code == 202

    assert Delivery.objects.get().state == Delivery.State.UNPOSTED
    assert Event.objects.get().why_not == "vulnerabilities are visible to fewer people than a flow"


def test_the_response_names_the_path_of_a_wrong_type(client: Client, origin: Origin) -> None:
    sent = {"X-Gitlab-Token": origin.secret, "Idempotency-Key": "f5e57ebe"}
    body = {"object_kind": "issue", "object_attributes": {"iid": "7", "title": "x"}}

    answer = client.post(f"/hooks/{origin.hook_id}/", json.dumps(body), content_type="application/json", headers=sent)

    assert (answer.status_code, answer.content) == (400, b"object_attributes.iid is not an integer\n")


def test_a_repeated_signed_request_is_stored_once(client: Client, origin: Origin, time_machine) -> None:
    """A later redelivery has the same id and a new signature."""
    body = (HERE / "gitlab" / "issue.open.json").read_bytes()
    answers = []
    for later in (0, 3600):
        time_machine.move_to(1768471200 + later, tick=False)
        answers.append(post(client, origin, "issue.open", **GITLAB.sign(body, origin.secret, "msg-1")).status_code)

    assert answers == [202, 200]


def test_a_signed_request_cannot_be_replayed_under_another_id(client: Client, origin: Origin, time_machine) -> None:
    body = (HERE / "gitlab" / "issue.open.json").read_bytes()
    time_machine.move_to(1768471200, tick=False)
    seen = GITLAB.sign(body, origin.secret, "msg-1")
    post(client, origin, "issue.open", **seen)

    at_once = post(client, origin, "issue.open", **seen, **{"Idempotency-Key": "another"})
    forged = post(client, origin, "issue.open", **seen | {"webhook-id": "msg-2"})
    time_machine.move_to(1768471200 + 301, tick=False)
    later = post(client, origin, "issue.open", **seen, **{"Idempotency-Key": "another"})

    assert [answer.status_code for answer in (at_once, forged, later)] == [200, 403, 403]
    assert Event.objects.count() == 1
