from __future__ import annotations

import datetime as dt

import pytest
from django.utils import timezone

from integrations.models import Origin

from .flowdock_double import LOBBY, MAIN

pytestmark = pytest.mark.django_db


def test_landing_page_needs_no_sign_in(stranger, flowdock, db):
    page = stranger.get("/")

    assert page.status_code == 200
    assert "Sign in with Flowdock" in page.content.decode()
    assert not flowdock.calls


def test_home_lists_the_flows_of_flowdock_with_their_integrations(member, integrate):
    integrate()
    integrate("octo/docs", LOBBY)

    cards = member.get("/").context["cards"]

    assert [(card.flow.name, [row.integration.name for row in card.rows]) for card in cards] == [
        ("Lobby", ["octo/docs"]),
        ("Main", ["octo/hello"]),
    ]


def test_integrations_of_other_flows_are_not_listed(outsider, integrate):
    integrate("octo/secret", MAIN)

    assert "octo/secret" not in outsider.get("/").content.decode()


def test_empty_flow_offers_to_connect_something(member):
    text = member.get("/").content.decode()

    assert "No integrations in Main yet." in text
    assert f"/flowdock/setup?flow={MAIN}" in text


def test_home_explains_that_the_person_is_in_no_flow(sign_in):
    assert "You are not in any flow yet." in sign_in("lone").get("/").content.decode()


def test_home_shows_state_last_activity_and_counts(member, integrate, happen, django_user_model):
    lea = django_user_model.objects.create_user("lea", first_name="Lea Cohen")
    now = timezone.now()
    integrate("octo/waiting")
    integrate("octo/active", first_event_at=now)
    integrate("octo/paused", paused_at=now, paused_by=lea)
    integrate("octo/troubled", problem="Its hook was refused since Monday.")
    integrate("octo/removed", removed_at=now, flow_token="")
    busy = integrate("octo/busy", first_event_at=now)
    for state in ("delivered", "delivered", "filtered"):
        happen(busy, state)

    text = member.get("/").content.decode()

    for words in ("Waiting for first event", "Active", "Paused by Lea Cohen", "Needs attention", "Removed in Flowdock"):
        assert words in text
    assert "octo/troubled needs attention." in text
    assert "Its hook was refused since Monday." in text
    assert "Last 14 days: 2 posted, 1 filtered" in text
    assert "2 posted" in text


def test_home_hides_long_removed_and_unfinished_integrations(member, integrate):
    integrate("octo/ancient", removed_at=timezone.now() - dt.timedelta(days=400), flow_token="")
    integrate("octo/connecting", flow_token="", flowdock_id=None)

    text = member.get("/").content.decode()

    assert "octo/ancient" not in text
    assert "octo/connecting" not in text


def test_home_search_finds_flows_origins_and_services(member, integrate):
    integrate("octo/hello")
    integrate("octo/docs", LOBBY)

    def found(words):
        cards = member.get("/", {"q": words}).context["cards"]
        return {row.integration.name for card in cards for row in card.rows}

    assert found("DOCS") == {"octo/docs"}
    assert found("main") == {"octo/hello"}
    assert found("github") == {"octo/hello", "octo/docs"}
    assert found("gopher") == set()
    assert "No results for “gopher”." in member.get("/", {"q": "gopher"}).content.decode()


@pytest.mark.parametrize("number", [1, 12])
def test_home_takes_as_many_queries_for_many_integrations_as_for_one(
    member, integrate, happen, number, django_assert_num_queries
):
    for count in range(number):
        happen(integrate(f"octo/hello-{count}"))

    member.get("/")  # the first page also keeps Flowdock's answer
    with django_assert_num_queries(5):  # the sign-in, the person, the last answer, the integrations, their history
        member.get("/")


def test_hostile_names_are_escaped(member, flowdock, integrate):
    flowdock.names[MAIN] = '<script>alert("flow")</script>'
    integrate('"><img src=x onerror=alert(1)>', LOBBY)

    text = member.get("/").content.decode()

    assert "<script>alert" not in text
    assert "<img src=x" not in text


def test_person_sees_only_integrations_of_their_flows(outsider, integrate):
    Origin.objects.create(service="github", name="octo/unconnected")

    assert "octo/unconnected" not in outsider.get("/").content.decode()
