"""An app of this bridge in set-up and afterwards: chosen from a list, without hook, secret or steps elsewhere."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest

from integrations.activity import Activity, Author, Thread
from integrations.deciding import decide_waiting
from integrations.models import Delivery, Integration, Origin
from integrations.signals import OfferedOrigin, OwnApp, happened, offer
from tests.integrations.own_app import ALL, RYE, offered

from .flowdock_double import MAIN

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def bakery():
    with offered() as app:
        yield app


def address(**choice: str) -> str:
    chosen = {"flow": MAIN, "service": "bakery", "origin": RYE, "preset": "everything", "confirm": "1"} | choice
    return f"/flowdock/setup?{urlencode(chosen)}"


@pytest.fixture
def integration(member) -> Integration:
    member.post(address())
    return Integration.objects.get()


@pytest.fixture
def say(django_capture_on_commit_callbacks):
    def say(kind: str = "", title: str = "took out a loaf", origin: str = RYE) -> None:
        sorted_as = {"kind": kind} if kind else {}
        loaf = Activity(Author("Lea Cohen"), title=title, thread_id="loaf:1", thread=Thread("Loaf 1"))
        with django_capture_on_commit_callbacks(execute=True):
            happened.send(sender=None, service="bakery", origin=origin, activity=loaf, **sorted_as)
        decide_waiting()

    return say


def test_set_up_offers_own_apps_with_all_their_origins(member):
    text = member.get(f"/flowdock/setup?flow={MAIN}&service=bakery").content.decode()

    assert "Which kind of bread?" in text
    assert f'name="origin" value="{ALL}"' in text
    assert f'name="origin" value="{RYE}"' in text
    assert "Whatever is baked" in text
    assert 'id="origin"' not in text, "nothing is typed"


def test_unknown_origin_of_an_own_app_is_refused_with_a_list_of_known_ones(member, flowdock):
    text = member.get(address(origin="Wheat")).content.decode()

    assert "Bakery has no such kind of bread. Available: All bread, Rye" in text
    assert member.post(address(origin="Wheat")).status_code == 302
    assert not flowdock.sources


def test_own_app_origin_is_connected_without_further_steps(member, flowdock):
    page = member.get(address(origin=" rye ")).content.decode()
    assert "Bakery: <b>Rye</b> will post to the inbox of <b>Main</b>" in page

    done = member.post(address(origin=" rye "), follow=True).content.decode()

    (source,) = flowdock.sources.values()
    assert (source["name"], source["external_url"]) == (RYE, "https://bakery.test/rye/")
    assert "Rye is connected to Main" in done
    assert "there is nothing else to set up" in done
    origin = Origin.objects.get()
    assert origin.hook_url not in done
    assert origin.secret not in done
    again = member.get(f"/flowdock/setup?flow={MAIN}&service=bakery").content.decode()
    assert "Already connected to Main" in again


def test_own_app_origin_has_no_webhook(member, integration, client):
    assert (
        client.post(f"/hooks/{integration.origin.hook_id}/", b"{}", content_type="application/json").status_code == 404
    )


def test_own_app_integration_has_no_secret_to_replace(member, integration):
    page = member.get(integration.get_absolute_url()).content.decode()

    assert "Replace secret" not in page
    assert "Webhook setup" not in page
    assert "No events from Bakery yet." in page
    assert member.post(f"{integration.get_absolute_url()}secret/").status_code == 404


def test_own_app_event_changes_the_success_page_and_is_in_the_log(member, integration, say):
    arrival = f"{integration.get_absolute_url()}connected/arrival/"
    assert "turns green when something happens in Bakery" in member.get(arrival).content.decode()

    say("baked")

    page = member.get(arrival).content.decode()
    assert "It works." in page
    assert "Lea Cohen took out a loaf <b>Loaf 1</b>" in page
    assert "valid signature" not in page
    assert "Lea Cohen took out a loaf" in member.get(integration.get_absolute_url()).content.decode()


def test_filters_and_preview_use_the_kind_of_own_app_events(member, integration, say):
    page = f"{integration.get_absolute_url()}filters/"
    assert "Bread burnt" in member.get(page).content.decode()
    member.post(page, {"rules": ["events"], "events": ["baked"]})

    say("baked")
    say("burnt", "burnt a loaf")

    states = [(delivery.state, delivery.reason) for delivery in Delivery.objects.order_by("pk")]
    assert states == [("pending", ""), ("filtered", "bread burnt is excluded")]
    assert member.get(page).context["preview"].posted == 1
    assert member.get(page).context["preview"].considered == 2


def test_own_app_without_origins_says_so(member, bakery):
    bakery.origins = lambda organization: []
    nothing = "There is no kind of bread in Bakery yet. Create one there first."

    before = member.get(f"/flowdock/setup?flow={MAIN}&service=bakery").content.decode()
    after = member.get(address()).content.decode()

    assert before.count(nothing) == after.count(nothing) == 1
    assert 'name="origin"' not in before + after


def test_set_up_of_an_own_app_needs_a_chosen_origin(member):
    text = member.get(address(origin="")).content.decode()

    assert "Choose a kind of bread. Available: All bread, Rye" in text
    assert "no such" not in text


def test_own_app_origin_deleted_before_confirming_is_not_connected(member, flowdock, bakery):
    assert "Connect Rye to Main" in member.get(address()).content.decode()
    bakery.origins = lambda organization: [OfferedOrigin(ALL)]

    text = member.post(address(), follow=True).content.decode()

    assert "Bakery has no such kind of bread. Available: All bread" in text
    assert not flowdock.sources


def test_own_app_origins_that_differ_in_case_are_told_apart(member, flowdock, bakery):
    bakery.origins = lambda organization: [
        OfferedOrigin("rye"),
        OfferedOrigin("Rye", "https://bakery.test/rye/"),
        OfferedOrigin("Two  blanks"),
    ]

    member.post(address(origin="Rye"))
    member.post(address(origin="Two  blanks"))

    assert [source["name"] for source in flowdock.sources.values()] == ["Rye", "Two  blanks"]


def test_own_app_event_without_a_kind_counts_as_the_first_event(member, integration, say):
    arrival = f"{integration.get_absolute_url()}connected/arrival/"
    member.post(f"{integration.get_absolute_url()}test/", follow=True)
    assert "Waiting for the first event" in member.get(arrival).content.decode()
    assert "No events from Bakery yet." in member.get(integration.get_absolute_url()).content.decode()

    say()

    assert "It works." in member.get(arrival).content.decode()
    assert "No events from Bakery yet." not in member.get(integration.get_absolute_url()).content.decode()


def test_own_app_without_kinds_has_no_filters(member, say, bakery):
    bakery.rules = OwnApp(
        name="bare",
        title="Bare",
        icon="package",
        origin_noun="",
        origin_example="",
        kinds={},
        origins=lambda organization: [],
    ).rules
    member.post(address())
    integration = Integration.objects.get()

    say()

    assert Delivery.objects.get().state == Delivery.State.PENDING
    page = member.get(f"{integration.get_absolute_url()}filters/")
    assert (page.status_code, page.context["form"].lines) == (200, [])


@pytest.mark.parametrize("kind", ["activity", "test"])
def test_own_app_cannot_use_a_kind_of_the_bridge_itself(kind):
    with pytest.raises(ValueError, match=f"'{kind}' is a kind of the bridge itself"):
        OwnApp(
            name="ci",
            title="CI",
            icon="check",
            origin_noun="",
            origin_example="",
            kinds={"": {kind: "!"}},
            origins=lambda organization: [],
        )


def test_events_of_other_own_app_origins_are_not_posted(member, integration, say):
    say("baked", origin=ALL)

    assert not Delivery.objects.exists()


def test_pages_of_a_removed_app_stay_readable(member, integration, say, bakery):
    from integrations.services import SERVICES

    say("baked")
    del SERVICES["bakery"]
    try:
        for page in ("/", integration.get_absolute_url(), f"{integration.get_absolute_url()}filters/"):
            answer = member.get(page)
            assert answer.status_code == 200
            assert "Rye" in answer.content.decode()
    finally:
        SERVICES["bakery"] = bakery


def test_own_app_name_can_be_registered_once(bakery):
    with pytest.raises(ValueError, match="a service named 'bakery' already exists"):
        offer(bakery)
