"""From "Add" in a flow to an integration that works, and every way in which it must not half work."""

from __future__ import annotations

import datetime as dt
import threading
from urllib.parse import urlencode

import pytest
import requests
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone

from integrations.deciding import decide_waiting
from integrations.models import Delivery, Integration, Origin

from .flowdock_double import API, LOBBY, MAIN

pytestmark = pytest.mark.django_db

CREATE = "POST /flows/acme/main/integrations"


def address(**choice: str) -> str:
    chosen = {
        "flow": MAIN,
        "service": "github",
        "origin": "octo/hello",
        "preset": "everything",
        "confirm": "1",
    } | choice
    return f"/flowdock/setup?{urlencode(chosen)}"


def test_first_set_up_page_offers_services_and_presets(member, flowdock):
    text = member.get(f"/flowdock/setup?flow={MAIN}").content.decode()

    assert "Add an integration to Main" in text
    assert 'value="github"' in text
    assert "Everything" in text
    assert not Integration.objects.exists()
    assert not flowdock.sources


def test_confirmation_names_flow_organization_and_origin(member):
    text = member.get(address(origin="https://github.com/octo/hello")).content.decode()

    assert "Connect octo/hello to Main" in text
    assert "<b>octo/hello</b> will post to the inbox of <b>Main</b>" in text
    assert "of <b>Acme</b>" in text
    assert not Integration.objects.exists()


def test_confirming_creates_the_source_and_shows_the_remaining_steps(member, flowdock):
    done = member.post(address())

    integration = Integration.objects.get()
    (source,) = flowdock.sources.values()
    assert done["Location"] == f"/integrations/{integration.pk}/connected/"
    assert (integration.name, integration.flow_id, integration.flow_name) == ("octo/hello", MAIN, "Main")
    assert (integration.flowdock_id, integration.flow_token) == (source["id"], source["flow_token"])
    assert (source["name"], source["external_url"]) == ("octo/hello", "https://github.com/octo/hello")
    assert integration.organization_name == "Acme"
    assert integration.created_by == User.objects.get()
    page = member.get(done["Location"]).content.decode()
    assert integration.origin.hook_url in page
    assert integration.origin.secret in page
    assert "Waiting for the first event" in page


def test_previously_connected_organization_can_be_chosen_by_name(member, flowdock):
    member.post(address(origin="https://github.com/octo"))

    offered = member.get(f"/flowdock/setup?flow={LOBBY}&service=github").content.decode()
    member.post(address(flow=LOBBY, origin="", reuse="octo"))

    assert 'name="reuse" value="octo"' in offered
    assert [integration.flow_id for integration in Integration.objects.order_by("pk")] == [MAIN, LOBBY]
    assert Origin.objects.count() == 1


def test_test_activity_does_not_count_as_the_first_event(member):
    member.post(address())
    integration = Integration.objects.get()

    member.post(f"{integration.get_absolute_url()}test/")

    decide_waiting()
    assert Delivery.objects.get().state == "pending"
    assert "Waiting for first event" in member.get(integration.get_absolute_url()).content.decode()


def test_flowdock_gets_the_configuration_url(member, flowdock):
    member.post(address())

    (update,) = flowdock.updates
    integration = Integration.objects.get()
    assert update["flow_token"] == integration.flow_token
    assert update["configuration_url"] == (
        f"http://bridge.test/flowdock/configure?integration_id={integration.flowdock_id}&flow={MAIN}"
    )


def test_chosen_preset_becomes_the_filters(member):
    member.post(address(preset="decisions"))

    assert Integration.objects.get().filters


def test_invalid_origin_is_explained_and_stays_in_the_form(member):
    text = member.get(address(origin="not a repository")).content.decode()

    assert 'value="not a repository"' in text
    assert 'aria-invalid="true"' in text
    assert "octo/hello" in text


def test_posting_an_invalid_set_up_form_creates_nothing(member, flowdock):
    assert member.post(address(origin="not a repository")).status_code == 302
    assert member.post(address(service="gopher")).status_code == 302
    assert not flowdock.sources
    assert not Origin.objects.exists()


def test_origin_is_checked_while_it_is_typed(member, integrate):
    def hint(**typed):
        return member.get(
            f"/flowdock/setup/origin?{urlencode({'flow': MAIN, 'service': 'github'} | typed)}"
        ).content.decode()

    assert "Will connect <b>octo/hello</b>" in hint(origin="https://github.com/octo/hello.git")
    assert "hint-error" in hint(origin="octo")
    assert "hint-error" not in hint(origin="")
    integrate()
    assert "octo/hello is already connected to Main" in hint(origin="octo/hello")


def test_previous_origin_is_offered_again_and_keeps_its_webhook(member, flowdock):
    member.post(address())

    page = member.get(f"/flowdock/setup?flow={LOBBY}").content.decode()
    assert "Connected to Main" in page
    member.post(address(flow=LOBBY, origin="", reuse="octo/hello"))

    first, second = Integration.objects.order_by("pk")
    assert first.origin == second.origin
    assert (first.flow_id, second.flow_id) == (MAIN, LOBBY)


def test_set_up_without_a_flow_is_explained(member):
    page = member.get("/flowdock/setup")

    assert page.status_code == 400
    assert "No flow selected" in page.content.decode()


@pytest.mark.parametrize("method", ["get", "post"])
def test_set_up_in_an_inaccessible_flow_is_explained_and_creates_nothing(outsider, flowdock, method):
    page = getattr(outsider, method)(address())

    assert page.status_code == 404
    assert "You do not have access to this flow" in page.content.decode()
    assert "Main" not in page.content.decode()
    assert not flowdock.sources
    assert not Origin.objects.exists()


def test_addresses_outside_the_api_are_never_called(member, flowdock):
    member.get(f"/flowdock/setup?flow={MAIN}&flow_url=https://evil.test/flows/acme/main")
    member.post(f"{address()}&flow_url=https://evil.test/flows/acme/main")

    assert all(call.request.url.startswith(API) for call in flowdock.mock.calls)


def test_second_click_leads_to_the_same_integration(member, flowdock):
    first, second = member.post(address()), member.post(address())

    assert first["Location"] == second["Location"]
    assert len(flowdock.sources) == 1


def test_origin_connected_by_another_person_is_not_connected_again(member, sign_in, flowdock):
    flowdock.members[MAIN].add("other")
    member.post(address())

    page = sign_in("other").post(address())

    assert page.status_code == 409
    assert "octo/hello is already connected to Main" in page.content.decode()
    assert Integration.objects.get().get_absolute_url() in page.content.decode()
    assert len(flowdock.sources) == 1
    assert Origin.objects.count() == 1


def test_confirmation_says_that_the_origin_is_already_connected(member, integration):
    page = member.get(address())

    assert page.status_code == 409
    assert integration.get_absolute_url() in page.content.decode()


def test_origin_can_be_connected_again_after_removal(member, flowdock):
    member.post(address())
    Integration.objects.get().remove()

    member.post(address())

    assert [integration.removed_at is None for integration in Integration.objects.order_by("pk")] == [False, True]


@pytest.mark.parametrize(
    "trouble",
    [requests.ConnectionError(), requests.ReadTimeout(), (500, {}, "oops"), (429, {"Retry-After": "30"}, "{}")],
    ids=["unreachable", "silent", "broken", "busy"],
)
def test_failed_connecting_leaves_nothing_and_can_be_retried(member, flowdock, trouble):
    flowdock.broken[CREATE] = trouble

    page = member.post(address(preset="decisions"))

    assert page.status_code == 503
    assert page["Retry-After"]
    assert "Nothing was created" in page.content.decode()
    assert ">Try again</button>" in page.content.decode()
    assert not Integration.objects.exists()
    assert not Origin.objects.exists()

    del flowdock.broken[CREATE]
    assert member.post(page.wsgi_request.get_full_path()).status_code == 302
    assert Integration.objects.get().flow_token


def test_existing_origin_is_kept_if_connecting_fails(member, flowdock):
    member.post(address(flow=LOBBY))
    flowdock.broken[CREATE] = requests.ConnectionError()

    member.post(address())

    assert Origin.objects.get().integrations.get().flow_id == LOBBY


def test_set_up_without_an_answer_of_flowdock_offers_to_try_again(member, flowdock):
    flowdock.broken["GET /flows/find"] = requests.ConnectionError()

    page = member.get(address())

    assert page.status_code == 503
    assert "Flowdock is not responding" in page.content.decode()
    assert f'href="{address().replace("&", "&amp;")}"' in page.content.decode()


def test_refused_source_is_explained_with_flowdocks_text(member, flowdock):
    flowdock.broken[CREATE] = (422, {}, '{"message": "Validation error", "errors": {"name": ["is too long"]}}')

    page = member.post(address())

    assert page.status_code == 422
    assert "Validation error; name is too long" in page.content.decode()
    assert not Integration.objects.exists()


def test_retry_deletes_the_source_whose_answer_was_lost(member, flowdock):
    flowdock.losing_answers.add(CREATE)
    assert member.post(address()).status_code == 503
    (orphan,) = flowdock.sources

    flowdock.losing_answers.clear()
    member.post(address())

    (source,) = flowdock.sources
    assert Integration.objects.get().flowdock_id == source
    assert f"DELETE /flows/acme/main/integrations/{orphan}" in flowdock.calls


def test_only_recent_unknown_sources_of_the_person_are_deleted_as_orphans(member, flowdock):
    url = "https://github.com/octo/hello"
    old = flowdock.add_source(MAIN, "demo", "octo/hello", url)
    old["created_at"] = (timezone.now() - dt.timedelta(hours=1)).isoformat()
    others = flowdock.add_source(MAIN, "other", "octo/hello", url)
    elsewhere = flowdock.add_source(MAIN, "demo", "octo/hello", "https://elsewhere.test/octo/hello")

    member.post(address())

    assert {old["id"], others["id"], elsewhere["id"]} < flowdock.sources.keys()


def test_connecting_succeeds_if_the_sources_of_the_flow_cannot_be_listed(member, flowdock):
    flowdock.broken["GET /flows/acme/main/integrations"] = (404, {}, "{}")

    assert member.post(address()).status_code == 302


def test_connecting_succeeds_if_flowdock_refuses_the_configuration_url(member, flowdock):
    flowdock.broken["PUT /sources"] = (500, {}, "")

    assert member.post(address()).status_code == 302
    assert Integration.objects.get().flow_token


def test_placeholder_of_a_dead_process_is_replaced(member, flowdock):
    origin = Origin.objects.create(service="github", name="octo/hello", created_by=User.objects.get())
    dead = Integration.objects.create(
        origin=origin, name="octo/hello", flow_id=MAIN, created_at=timezone.now() - dt.timedelta(minutes=5)
    )

    member.post(address())

    assert not Integration.objects.filter(pk=dead.pk).exists()
    assert Integration.objects.get().flow_token


def test_connecting_waits_for_an_unfinished_attempt(member, flowdock, settings):
    settings.FLOWDOCK_TIMEOUT = 0.3
    origin = Origin.objects.create(service="github", name="octo/hello", created_by=User.objects.get())
    Integration.objects.create(origin=origin, name="octo/hello", flow_id=MAIN)

    page = member.post(address())

    assert page.status_code == 503
    assert "still in progress" in page.content.decode()
    assert not flowdock.sources


def test_origin_that_another_person_is_connecting_is_not_connected_again(member, flowdock, settings, django_user_model):
    settings.FLOWDOCK_TIMEOUT = 0.3
    lea = django_user_model.objects.create_user("lea")
    theirs = Origin.objects.create(service="github", name="octo/hello", created_by=lea)
    rival = Integration.objects.create(origin=theirs, name="octo/hello", flow_id=MAIN, created_by=lea)

    assert member.post(address()).status_code == 503
    assert not flowdock.sources
    assert Integration.objects.get() == rival
    assert Origin.objects.get() == theirs


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif("connection.vendor == 'sqlite'", reason="an in-memory database belongs to one thread")
def test_two_people_connecting_at_once_create_one_source(sign_in, flowdock):
    flowdock.members[MAIN].add("other")
    clients = [sign_in("demo"), sign_in("other")]

    def submit(client):
        client.post(address())
        connection.close()

    threads = [threading.Thread(target=submit, args=[client]) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(flowdock.sources) == 1
    assert Integration.objects.count() == 1


def test_success_page_changes_with_the_first_event_from_the_service(member, integration, happen):
    page = f"/integrations/{integration.pk}/connected/"
    assert 'hx-trigger="every 2s"' in member.get(page).content.decode()
    assert "Waiting for the first event" in member.get(f"{page}arrival/").content.decode()

    happen(integration, "unposted", kind="ping", action="")

    fragment = member.get(f"{page}arrival/").content.decode()
    assert "It works." in fragment
    assert "The first event from GitHub (ping) arrived" in fragment
    assert "hx-trigger" not in fragment


def test_waiting_for_the_first_event_takes_five_queries_and_few_calls_to_flowdock(
    member, flowdock, integration, django_assert_num_queries
):
    member.get(f"/integrations/{integration.pk}/connected/")
    flowdock.calls.clear()

    for _ in range(5):
        with django_assert_num_queries(5):  # the sign-in, the person, the integration, its first event, what awaits
            member.get(f"/integrations/{integration.pk}/connected/arrival/")

    assert not flowdock.calls


def test_secret_is_shown_until_the_first_event_and_after_a_rotation(member, integration, happen):
    Origin.objects.update(created_by=User.objects.get(username="demo"))
    page = f"/integrations/{integration.pk}/connected/"
    assert integration.origin.secret in member.get(page).content.decode()

    happen(integration)
    assert integration.origin.secret not in member.get(page).content.decode()

    assert member.post(f"/integrations/{integration.pk}/secret/")["Location"] == page
    old = integration.origin.secret
    integration.origin.refresh_from_db()
    text = member.get(page).content.decode()
    assert integration.origin.secret in text
    assert old not in text


def test_secret_of_an_origin_in_several_flows_is_shown_to_its_creator_only(member, sign_in, flowdock):
    member.post(address())
    member.post(address(flow=LOBBY))
    in_lobby = Integration.objects.get(flow_id=LOBBY)
    secret = in_lobby.origin.secret
    outsider = sign_in("other")

    page = outsider.get(f"/integrations/{in_lobby.pk}/connected/")

    assert page.status_code == 200
    assert secret not in page.content.decode()
    outsider.post(f"/integrations/{in_lobby.pk}/secret/")
    in_lobby.origin.refresh_from_db()
    assert in_lobby.origin.secret == secret


def test_test_activity_is_posted_to_this_flow_only(member, flowdock):
    member.post(address())
    member.post(address(flow=LOBBY))
    in_main = Integration.objects.get(flow_id=MAIN)

    done = member.post(f"/integrations/{in_main.pk}/test/", follow=True)

    decide_waiting()
    delivery = Delivery.objects.get()
    assert (delivery.integration, delivery.state) == (in_main, "pending")
    assert delivery.event.activity["author"]["name"] == "Demo Dean"
    assert "A test activity is on its way to Main" in done.content.decode()
    assert "Waiting for the first event" in done.content.decode()
    assert "No events from GitHub yet." in member.get(in_main.get_absolute_url()).content.decode()


def test_a_test_activity_of_a_paused_integration_is_said_to_wait(member, flowdock):
    member.post(address())
    integration = Integration.objects.get()
    integration.pause()

    done = member.post(f"/integrations/{integration.pk}/test/", follow=True)

    assert "The test activity is posted when you resume this integration." in done.content.decode()


def test_success_page_says_that_the_first_event_has_arrived_before_it_is_decided(member):
    member.post(address())
    origin = Origin.objects.get()
    arrival = f"{Integration.objects.get().get_absolute_url()}connected/arrival/"
    assert "Waiting for the first event" in member.get(arrival).content.decode()

    origin.events.create(request_id="one", kind="issues", awaits_decision=True)

    assert "The first event has arrived" in member.get(arrival).content.decode()
