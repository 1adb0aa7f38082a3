"""One integration's page: its log, one event opened, and what its buttons do."""

from __future__ import annotations

import json
from html import unescape

import pytest
import requests
from django.core.cache import cache
from django.db import connection
from django.utils import timezone
from django.utils.html import strip_tags

from integrations.activity import Action, Activity, Author, Field, Status, Thread
from integrations.models import Event

pytestmark = pytest.mark.django_db

ACTIVITY = Activity(
    author=Author("Lea Cohen"),
    title='opened <a href="https://github.com/octo/hello/issues/7">issue</a>',
    thread_id="issue:7",
    thread=Thread(
        title="Emoji break the export",
        status=Status("open", "green"),
        fields=(Field("Labels", "bug"),),
        actions=(Action("Open", "https://github.com/octo/hello/issues/7"),),
    ),
    body="<p>Steps to reproduce</p>",
)


@pytest.fixture
def page(integration) -> str:
    return f"/integrations/{integration.pk}/"


def test_log_shows_verdict_and_reason_of_each_event(member, integration, happen, page):
    happen(integration, "delivered", flowdock_thread_id="thr34d")
    happen(integration, "filtered", reason="label wontfix is excluded")
    happen(integration, "pending", reason="Flowdock is busy")
    happen(integration, "failed", reason="title is too long")
    happen(integration, "unposted", reason="stars are not posted")
    happen(integration, "dropped", reason="the source was removed in Flowdock")

    text = member.get(page).content.decode()

    for words in ("label wontfix is excluded", "Flowdock is busy", "title is too long", "stars are not posted"):
        assert words in text
    for verdict in ("Posted", "Filtered", "Waiting", "Failed", "Not supported", "Dropped"):
        assert verdict in text
    assert 'href="https://www.flowdock.test/app/acme/main/threads/thr34d"' in text


def test_log_shows_newest_events_first_in_pages(member, integration, happen, page):
    deliveries = [happen(integration) for _ in range(60)]

    first = member.get(page)
    assert [row.pk for row in first.context["log"].deliveries] == [row.pk for row in deliveries[:9:-1]]
    second = member.get(f"{page}?{first.context['log'].older}")
    assert [row.pk for row in second.context["log"].deliveries] == [row.pk for row in deliveries[9::-1]]
    assert not second.context["log"].older
    # What happens meanwhile moves nothing on older pages.
    happen(integration)
    assert (
        second.context["log"].deliveries == member.get(f"{page}?{first.context['log'].older}").context["log"].deliveries
    )


@pytest.mark.parametrize(
    ("verdict", "states"),
    [
        ("posted", {"delivered"}),
        ("filtered", {"filtered"}),
        ("waiting", {"pending"}),
        ("failed", {"failed"}),
        ("not-posted", {"unposted", "dropped"}),
        ("nonsense", {"delivered", "filtered", "pending", "failed", "unposted", "dropped"}),
    ],
)
def test_log_can_be_filtered_by_verdict(member, integration, happen, page, verdict, states):
    for state in ("delivered", "filtered", "pending", "failed", "unposted", "dropped"):
        happen(integration, state)

    log = member.get(page, {"verdict": verdict}).context["log"]

    assert {delivery.state for delivery in log.deliveries} == states
    assert [segment.number for segment in log.segments] == [6, 1, 1, 1, 1, 2]


def test_search_finds_titles_people_and_request_ids(member, integration, happen, page):
    happen(integration, subject="Greet people", actor="tomas", summary="tomas opened issue", request_id="d-1")
    happen(integration, subject="Emoji", actor="aiko", summary="aiko closed issue", request_id="d-2")

    def found(words):
        return [delivery.event.request_id for delivery in member.get(page, {"q": words}).context["log"].deliveries]

    assert found("greet") == ["d-1"]
    assert found("aiko closed") == ["d-2"]
    assert found("d-2") == ["d-2"]
    assert found("tomas emoji") == []


def test_search_for_unstorable_characters_finds_nothing(member, happen, page, integration):
    happen(integration)

    assert member.get(page, {"q": "greet\0"}).context["log"].deliveries == []


@pytest.mark.parametrize("before", ["x", "-1", "", "9" * 30, "٣"])
def test_invalid_page_parameter_shows_the_first_page(member, integration, happen, page, before):
    happen(integration)

    assert len(member.get(page, {"before": before}).context["log"].deliveries) == 1


@pytest.mark.parametrize("number", [1, 40])
def test_log_page_takes_eight_queries(member, integration, happen, page, number, django_assert_num_queries):
    for _ in range(number):
        happen(integration)

    # The person, the integration, others of its origin (the secret, the words), the counts, what awaits, the rows,
    # the history.
    with django_assert_num_queries(9):
        member.get(page)


def test_open_page_is_updated_only_if_something_has_changed(member, flowdock, integration, happen, page):
    happen(integration, "pending")
    version = member.get(page).context["log"].version
    flowdock.calls.clear()

    assert member.get(f"{page}updates/", {"version": version}).status_code == 204

    delivery = integration.deliveries.get()
    delivery.state, delivery.delivered_at, delivery.next_attempt_at = "delivered", timezone.now(), None
    delivery.save()
    fragment = member.get(f"{page}updates/", {"version": version})
    assert fragment.status_code == 200
    assert "Posted" in fragment.content.decode()
    assert 'hx-swap-oob="true"' in fragment.content.decode()
    assert not flowdock.calls


def test_open_page_of_a_former_member_is_no_longer_updated(member, flowdock, integration, page, settings):
    member.get(page)
    flowdock.members[integration.flow_id].discard("demo")
    cache.clear()  # as half a minute does

    assert member.get(f"{page}updates/").status_code == 404


def test_event_page_shows_the_activity_and_the_payload(member, integration, happen, page):
    delivery = happen(
        integration,
        "delivered",
        activity=ACTIVITY.as_json(),
        body=json.dumps({"action": "opened", "issue": {"number": 7}}).encode(),
        headers={"X-GitHub-Event": "issues", "X-Hub-Signature-256": "hidden"},
        request_id="72d3162e",
        thread_id="issue:7",
        attempts=[
            {"at": "2026-11-24T14:02:40+00:00", "status": 502, "outcome": "Bad gateway", "ms": 12},
            {"at": "2026-11-24T14:02:42+00:00", "status": 201, "outcome": "stored", "ms": 84},
        ],
    )

    text = member.get(f"{page}events/{delivery.pk}/").content.decode()

    assert "As shown in Main" in text
    assert '<a href="https://github.com/octo/hello/issues/7">issue</a>' in text
    assert "<p>Steps to reproduce</p>" in text
    assert "Bad gateway" in text
    assert "72d3162e" in text
    assert "issue:7" in text
    assert '<span class="key">&quot;number&quot;</span>: 7' in text
    assert '<span class="key">X-GitHub-Event</span>: issues' in text


def test_json_in_a_form_is_shown_like_json(member, integration, happen, page):
    delivery = happen(integration, body=b"payload=%7B%22action%22%3A%22opened%22%7D")

    text = member.get(f"{page}events/{delivery.pk}/").content.decode()

    assert "payload =\n{\n  " in text
    assert '<span class="key">&quot;action&quot;</span>: <span class="text">&quot;opened&quot;</span>\n}' in text


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ('{"a":[{"b":null},[],{ }]}', '{\n  "a": [\n    {\n      "b": null\n    },\n    [],\n    {}\n  ]\n}'),
        ('{ "a" : "\\"x\\": é \\ud83d" }\n', '{\n  "a": "\\"x\\": é \\ud83d"\n}'),
        ("[1.5e3,true]", "[\n  1.5e3,\n  true\n]"),
        ("just [a] text", "just [a] text"),
    ],
)
def test_json_payload_is_shown_with_a_line_for_each_member(member, integration, happen, page, body, shown):
    delivery = happen(integration, body=body.encode(), headers={})

    text = member.get(f"{page}events/{delivery.pk}/").content.decode()

    assert unescape(strip_tags(text.partition("<pre")[2].partition(">")[2].partition("</pre>")[0])).strip() == shown


@pytest.mark.parametrize("body", [b"", b"\xff\xfe\x00", b"[" * 60_000, b"{", b"a=1&b=2"])
def test_any_received_body_can_be_shown(member, integration, happen, page, body):
    delivery = happen(integration, "unposted", body=body)

    assert member.get(f"{page}events/{delivery.pk}/").status_code == 200


def test_large_payload_is_shown_in_part_with_a_note(member, integration, happen, page):
    delivery = happen(integration, body=b'{"text": "' + b"x" * 3_000_000 + b'"}')

    answer = member.get(f"{page}events/{delivery.pk}/")

    assert len(answer.content) < 200_000
    assert "first part of 2.9\xa0MB" in answer.content.decode()


def test_event_page_escapes_text_from_outside(member, integration, happen, page):
    evil = "<script>alert(1)</script>"
    delivery = happen(
        integration,
        "failed",
        reason=evil,
        actor=evil,
        summary=evil,
        subject='<img src=x onerror="alert(1)">',
        request_id=evil,
        headers={evil: evil},
        body=json.dumps({evil: evil}).encode(),
        attempts=[{"at": evil, "status": 500, "outcome": evil, "ms": 1}],
        activity=ACTIVITY.as_json()
        | {
            "title": f'{evil}<a href="javascript:alert(1)">x</a>',
            "body": f'{evil}<img src=x onerror=alert(1)><b onclick="alert(1)">b</b>',
            "author": {"name": evil, "avatar": "", "email": ""},
        },
    )

    for address in (page, f"{page}events/{delivery.pk}/"):
        text = member.get(address).content.decode()
        assert "<script>alert" not in text
        assert "<img src=x" not in text
        assert "javascript:" not in text
        assert "onclick" not in text
        assert text.count("<script") == 2  # htmx and the copy buttons


def test_event_page_opens_with_an_activity_of_another_version(member, integration, happen, page):
    delivery = happen(integration, activity={"unknown": 1})

    assert member.get(f"{page}events/{delivery.pk}/").status_code == 200


def test_event_of_another_integration_is_not_found(member, integration, integrate, happen, page):
    elsewhere = happen(integrate("octo/docs"))

    assert member.get(f"{page}events/{elsewhere.pk}/").status_code == 404
    assert member.post(f"{page}events/{elsewhere.pk}/retry/").status_code == 404


def test_failed_event_can_be_retried(member, integration, happen, page):
    delivery = happen(integration, "failed", reason="title is too long")

    member.post(f"{page}events/{delivery.pk}/retry/")

    delivery.refresh_from_db()
    assert delivery.state == "pending"
    assert delivery.next_attempt_at


def test_retry_of_a_deleted_event_is_explained(member, integration, happen, page):
    delivery = happen(integration, "failed")
    deleted = []

    def delete_after_the_first_look(execute, sql, *arguments):
        result = execute(sql, *arguments)
        if not deleted and sql.startswith("SELECT") and 'FROM "integrations_delivery"' in sql:
            deleted.append(delivery)
            with connection.cursor() as cursor:
                cursor.execute("DELETE FROM integrations_delivery")
        return result

    with connection.execute_wrapper(delete_after_the_first_look):
        answer = member.post(f"{page}events/{delivery.pk}/retry/", follow=True)

    assert deleted
    assert answer.redirect_chain == [(page, 302)]
    assert "This event was deleted" in answer.content.decode()


def test_posted_event_cannot_be_retried(member, integration, happen, page):
    delivery = happen(integration, "delivered")

    member.post(f"{page}events/{delivery.pk}/retry/")

    delivery.refresh_from_db()
    assert delivery.state == "delivered"


def test_integration_can_be_paused_and_resumed(member, integration, page):
    text = member.post(f"{page}pause/", follow=True).content.decode()
    integration.refresh_from_db()
    assert integration.paused_at
    assert integration.paused_by.username == "demo"
    assert "Paused by Demo Dean" in text

    member.post(f"{page}resume/")
    integration.refresh_from_db()
    assert integration.paused_at is None


def test_removing_deletes_the_source_in_flowdock(member, flowdock, integration, page):
    text = member.post(f"{page}remove/", follow=True).content.decode()

    integration.refresh_from_db()
    assert integration.removed_at
    assert integration.flow_token == ""
    assert not flowdock.sources
    assert "Removed in Flowdock" in text


@pytest.mark.parametrize("status", [404, 410, 403])
def test_integration_can_be_removed_if_its_source_is_already_gone(member, flowdock, integration, page, status):
    flowdock.broken["DELETE .*"] = (status, {}, "{}")

    member.post(f"{page}remove/")

    integration.refresh_from_db()
    assert integration.removed_at


def test_removing_without_an_answer_of_flowdock_changes_nothing(member, flowdock, integration, page):
    flowdock.broken["DELETE .*"] = requests.ConnectionError()

    answer = member.post(f"{page}remove/")

    assert answer.status_code == 503
    integration.refresh_from_db()
    assert integration.removed_at is None


def test_removed_integration_shows_its_log_without_buttons(member, integration, happen, page):
    happen(integration)
    integration.remove()

    text = member.get(page).content.decode()

    assert "This integration was removed" in text
    assert "Emoji break the export" in text
    assert f"{page}pause/" not in text
    for action in ("pause", "resume", "secret", "remove"):
        assert member.post(f"{page}{action}/").status_code == 404


def test_problem_is_shown_on_the_page(member, integration, page):
    integration.problem = "GitHub’s deliveries have had a wrong signature since Monday."
    integration.save()

    assert "since Monday" in member.get(page).content.decode()


def test_event_that_awaits_its_decision_is_announced(member, integration, happen, page):
    happen(integration)
    event = happen(integration).event
    event.deliveries.all().delete()
    Event.objects.filter(pk=event.pk).update(awaits_decision=True)

    text = member.get(page).content.decode()
    assert "1 accepted event will be checked against the filters in a moment." in text

    Event.objects.filter(pk=event.pk).update(only_for=integration.pk + 1)
    assert "will be checked" not in member.get(page).content.decode()
