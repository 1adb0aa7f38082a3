"""Polls in set-up, where people choose them like any other service."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest

from integrations.deciding import decide_waiting
from integrations.models import Delivery, Integration
from tests.integrations.pages.conftest import flowdock, member, sign_in  # noqa: F401  fixtures
from tests.integrations.pages.flowdock_double import MAIN

from .conftest import ask, text_of, vote

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def lea_is_in_main(flowdock):  # noqa: F811
    flowdock.people["lea"] = {"id": 7, "nick": "lea", "name": "Lea Cohen", "email": "lea@acme.test"}
    flowdock.members[MAIN].add("lea")


def address(**choice: str) -> str:
    return f"/flowdock/setup?{urlencode({'flow': MAIN, 'service': 'polls'} | choice)}"


def test_set_up_offers_all_polls_and_each_category(member, lea_browser):  # noqa: F811
    ask(lea_browser, new_category="Lunch")

    page = member.get(address()).content.decode()

    assert "Which category?" in page
    for name in ("All polls", "Lunch"):
        assert f'name="origin" value="{name}"' in page
    assert 'value="decisions"' in page


@pytest.mark.parametrize("chosen", ["All polls", "Lunch"])
def test_a_connected_flow_gets_the_votes(member, flowdock, lea_browser, chosen, django_capture_on_commit_callbacks):  # noqa: F811
    poll = ask(lea_browser, new_category="Lunch")
    member.post(address(origin=chosen, preset="everything", confirm="1"))

    with django_capture_on_commit_callbacks(execute=True):
        vote(lea_browser, poll, "Pizza")

    (source,) = flowdock.sources.values()
    integration = Integration.objects.get()
    assert (source["name"], integration.name, integration.flow_id) == (chosen, chosen, MAIN)
    assert member.get(source["external_url"].removeprefix("http://bridge.test")).status_code == 200
    decide_waiting()
    assert str(Delivery.objects.get(state="pending").event) == "Lea Cohen voted for Pizza What for lunch?"
    assert "Lea Cohen voted for Pizza" in text_of(member.get(f"/integrations/{integration.pk}/"))


def test_an_unknown_category_cannot_be_connected(member, flowdock, poll):  # noqa: F811
    page = text_of(member.get(address(origin="Dinner", preset="everything", confirm="1")))

    assert "Available: All polls, Lunch" in page
    assert not flowdock.sources


def test_set_up_does_not_offer_polls_of_another_organization(member, flowdock, lea_browser):  # noqa: F811
    ask(lea_browser, new_category="Lunch")
    flowdock.organizations[MAIN] = "globex"

    page = member.get(address()).content.decode()
    member.post(address(origin="Lunch", preset="everything", confirm="1"))

    assert 'value="Lunch"' not in page
    assert 'value="All polls"' in page, "its own"
    assert not flowdock.sources


def test_all_polls_means_those_of_the_flow_s_organization(
    member,  # noqa: F811
    flowdock,  # noqa: F811
    lea_browser,
    django_capture_on_commit_callbacks,
):
    flowdock.organizations[MAIN] = "globex"
    member.post(address(origin="All polls", preset="everything", confirm="1"))
    flowdock.organizations[MAIN] = "acme"

    with django_capture_on_commit_callbacks(execute=True):
        ask(lea_browser, new_category="Lunch")

    assert Integration.objects.get().organization == "globex"
    decide_waiting()
    assert not Delivery.objects.exists()


def test_the_navigation_shows_polls_to_signed_in_people(member):  # noqa: F811
    assert '<a href="/polls/">Polls</a>' in member.get("/").content.decode()
    assert '<a href="/polls/" aria-current="page">Polls</a>' in member.get("/polls/").content.decode()
