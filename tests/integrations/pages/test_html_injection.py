"""No text, wherever it comes from and on whichever page it stands, becomes a tag or an attribute."""

from __future__ import annotations

import pytest
from django.core.cache import cache
from django.test import Client

from integrations.activity import Action, Activity, Author, Field, Status, Thread
from integrations.models import Integration
from tests.planting import HOSTILE, WORD, plant, structure

from .test_hostile_bodies import admin_pages_about, pages_about, staff

__all__ = ["staff"]

# What the pages show of others, so that a test that forgets one is noticed.
SHOWN = {
    "Origin.name", "Origin.external_url", "Integration.name", "Integration.flow_name", "Integration.organization_name",
    "Integration.flow_web_url", "Integration.source_url", "Integration.problem", "Integration.filters",
    "Event.request_id", "Event.kind", "Event.action", "Event.actor", "Event.summary", "Event.subject", "Event.headers",
    "Event.activity", "Event.why_not", "Delivery.reason", "Delivery.rule", "Delivery.attempts",
    "Delivery.thread_id", "Delivery.flowdock_thread_id",
}  # fmt: skip


@pytest.fixture
def told(integration, happen) -> Integration:
    """An integration with every kind of text that a page shows, and the word in it."""
    for row, fields in (
        (integration.origin, ("name", "external_url")),
        (integration, ("name", "flow_name", "organization_name", "flow_web_url", "source_url", "problem")),
    ):
        for name in fields:
            setattr(row, name, f"{getattr(row, name)}{WORD}")
        row.save()
    Integration.objects.update(filters={"branches": {"any_of": [WORD]}, "labels": {"none_of": [WORD]}})
    activity = Activity(
        author=Author(f"Lea {WORD}"),
        title=f'opened <a href="https://git.test/">issue {WORD}</a>',
        thread_id=f"issue:{WORD}",
        thread=Thread(
            title=f"High {WORD}",
            body=f"<p>{WORD}</p>",
            external_url="https://git.test/",
            status=Status(f"at {WORD}", "green"),
            fields=(Field(f"The {WORD}", f"{WORD} <a href='https://git.test/'>{WORD}</a>"),),
            actions=(Action(f"Look at {WORD}", "https://git.test/", f"The {WORD}"),),
        ),
        body=f"<p>{WORD}</p>",
    )
    for state in ("delivered", "failed", "filtered", "pending", "unposted"):
        happen(
            integration,
            state,
            request_id=f"{state} {WORD}",
            kind=f"issues {WORD}",
            action=f"opened {WORD}",
            actor=f"Lea {WORD}",
            summary=f"Lea {WORD} opened",
            subject=f"High {WORD}",
            why_not=f"No {WORD}",
            headers={f"X-{WORD}": WORD},
            body=b'{"action": "opened"}',
            activity=None if state == "unposted" else activity.as_json(),
            reason=f"No {WORD} today",
            rule=WORD,
            attempts=[{"at": f"2026-11-24T14:02:40 {WORD}", "status": 500, "outcome": WORD, "ms": 1}],
            thread_id=f"issue:{WORD}",
            flowdock_thread_id=WORD,
        )
    return integration


def read(client: Client, pages: list[str]) -> dict[str, list[tuple[str, tuple[str, ...]]]]:
    cache.clear()
    found = {}
    for page in pages:
        answer = client.get(page)
        assert answer.status_code in {200, 204}, page
        found[page] = structure(answer.content.decode())
    return found


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_do_not_change_the_elements_of_a_page(member, staff, told, text):
    clients = ((member, list(pages_about(told))), (staff, list(admin_pages_about(told))))
    before = [read(client, pages) for client, pages in clients]

    planted = plant(text, "integrations")

    assert planted >= SHOWN
    for (client, pages), known in zip(clients, before, strict=True):
        after = read(client, pages)
        for page in pages:
            assert after[page] == known[page], page
