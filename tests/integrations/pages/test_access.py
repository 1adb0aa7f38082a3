"""Who may see and change what: a member of the flow, a member of another flow, a stranger, somebody signed out."""

from __future__ import annotations

import pytest
import requests
from cryptography.fernet import Fernet
from django.contrib.auth import get_user
from django.db import connection
from django.test import Client
from django.urls import get_resolver

from integrations.models import Origin

from .flowdock_double import MAIN

pytestmark = pytest.mark.django_db

PAGES = (
    "/integrations/{id}/",
    "/integrations/{id}/updates/",
    "/integrations/{id}/events/{event}/",
    "/integrations/{id}/filters/",
    "/integrations/{id}/connected/",
    "/integrations/{id}/connected/arrival/",
)
BUTTONS = (
    "/integrations/{id}/events/{event}/retry/",
    "/integrations/{id}/filters/",
    "/integrations/{id}/test/",
    "/integrations/{id}/pause/",
    "/integrations/{id}/resume/",
    "/integrations/{id}/secret/",
    "/integrations/{id}/secret/cut-off/",
    "/integrations/{id}/remove/",
)


@pytest.fixture
def address(integration, happen):
    delivery = happen(integration, "failed")
    return lambda template: template.format(id=integration.pk, event=delivery.pk)


def state(integration):
    integration.refresh_from_db()
    integration.origin.refresh_from_db()
    deliveries = list(integration.deliveries.order_by("pk").values_list("pk", "state"))
    return integration.paused_at, integration.removed_at, integration.filters, integration.origin.secret, deliveries


def test_every_integration_page_is_covered_by_these_tests():
    patterns = get_resolver("integrations.urls").url_patterns
    routes = {str(pattern.pattern) for pattern in patterns if str(pattern.pattern).startswith("integrations/")}
    listed = {
        template.replace("{id}", "<int:pk>").replace("{event}", "<int:delivery_pk>").lstrip("/")
        for template in PAGES + BUTTONS
    }

    assert routes == listed


@pytest.mark.parametrize("template", PAGES)
def test_member_of_the_flow_can_open_its_pages(member, address, template):
    assert member.get(address(template)).status_code == 200


@pytest.mark.parametrize("template", PAGES)
@pytest.mark.parametrize("nick", ["other", "lone"])
def test_pages_of_an_integration_do_not_exist_for_people_outside_the_flow(sign_in, address, template, nick):
    client = sign_in(nick)

    page = client.get(address(template))

    assert page.status_code == 404
    assert page.content == client.get("/integrations/9999/").content
    assert "octo/hello" not in page.content.decode()


@pytest.mark.parametrize("template", PAGES)
def test_signed_out_person_is_redirected_to_sign_in_and_back(stranger, address, template):
    answer = stranger.get(address(template))

    assert answer.status_code == 302
    assert answer["Location"] == f"/sign-in/?next={requests.utils.quote(address(template), safe='')}"


@pytest.mark.parametrize("template", BUTTONS)
@pytest.mark.parametrize("nick", ["other", "lone", None])
def test_buttons_are_refused_to_people_outside_the_flow(sign_in, stranger, integration, address, template, nick):
    client = sign_in(nick) if nick else stranger
    before = state(integration)

    answer = client.post(address(template), {"rules": ["labels"], "labels.any_of.new": "bug"})

    assert answer.status_code == (404 if nick else 302)
    assert state(integration) == before


@pytest.mark.parametrize("template", BUTTONS)
def test_buttons_need_a_csrf_token(sign_in, integration, address, template):
    client = sign_in("demo", Client(SERVER_NAME="bridge.test", enforce_csrf_checks=True))
    before = state(integration)

    answer = client.post(address(template), {"rules": ["labels"], "labels.any_of.new": "bug"})

    assert answer.status_code == 403
    assert "This form has expired" in answer.content.decode()
    assert state(integration) == before


@pytest.mark.parametrize("template", [button for button in BUTTONS if "filters" not in button])
def test_get_of_a_button_is_refused_with_an_explanation(member, integration, address, template):
    before = state(integration)

    page = member.get(address(template))

    assert page.status_code == 405
    assert page["Allow"] == "POST"
    assert "This page only accepts form submissions" in page.content.decode()
    assert state(integration) == before


def test_former_member_of_the_flow_loses_access_at_once(member, flowdock, address):
    assert member.get(address("/integrations/{id}/")).status_code == 200
    flowdock.members[MAIN].discard("demo")

    assert member.get(address("/integrations/{id}/")).status_code == 404


def test_creator_who_left_the_flow_gets_an_explanation(member, flowdock, integration, address):
    integration.created_by = member.get("/account/").wsgi_request.user
    integration.save()
    flowdock.members[MAIN].discard("demo")

    page = member.get(address("/integrations/{id}/"))

    assert page.status_code == 403
    assert "You no longer have access to Main" in page.content.decode()


def test_new_member_of_the_flow_can_open_integrations_of_others(sign_in, flowdock, address):
    flowdock.members[MAIN].add("lone")

    assert sign_in("lone").get(address("/integrations/{id}/")).status_code == 200


@pytest.mark.parametrize("template", PAGES)
def test_pages_without_an_answer_of_flowdock_offer_to_try_again(member, flowdock, address, template):
    flowdock.broken["GET /flows/find"] = requests.ConnectionError()

    page = member.get(address(template))

    assert page.status_code == 503
    assert page["Retry-After"]
    assert "octo/hello" not in page.content.decode()


def test_every_page_has_a_strict_content_security_policy(member, stranger, address, integration):
    addresses = ["/", "/account/", f"/flowdock/setup?flow={MAIN}", "/nowhere/"]
    addresses += [address(template) for template in PAGES]
    for client in (member, stranger):
        for url in addresses:
            answer = client.get(url)
            policy = answer["Content-Security-Policy"]
            assert "script-src 'self'" in policy
            assert "style-src 'self'" in policy
            assert "unsafe" not in policy
            text = answer.content.decode()
            assert "<style" not in text
            assert " style=" not in text
            assert " onclick=" not in text
            assert text.count("<script") == text.count('<script src="/static/')


def test_log_pages_show_no_secrets(member, integration, address):
    for template in ("/integrations/{id}/", "/integrations/{id}/events/{event}/", "/integrations/{id}/filters/"):
        text = member.get(address(template)).content.decode()
        assert integration.flow_token not in text
        assert integration.origin.secret not in text


def test_unknown_addresses_and_too_large_forms_have_error_pages(member, integration, settings):
    assert "Page not found" in member.get("/nowhere/").content.decode()

    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    page = member.post(f"/integrations/{integration.pk}/filters/", {"labels.any_of.new": "x" * 2000})
    assert page.status_code == 413
    assert "This form is too large" in page.content.decode()


def test_server_error_page_reveals_no_details(member, integration):
    with connection.cursor() as cursor:
        # JSON allows such a number, and Python refuses to read it.
        cursor.execute("UPDATE integrations_integration SET filters = %s", [f'["garbage", {"7" * 5000}]'])
    member.raise_request_exception = False

    page = member.get(f"/integrations/{integration.pk}/")

    assert page.status_code == 500
    assert "Something went wrong" in page.content.decode()
    assert "garbage" not in page.content.decode()
    assert "Traceback" not in page.content.decode()


def test_integration_with_an_undecipherable_secret_is_shown(member, integration, settings):
    token = Fernet(Fernet.generate_key()).encrypt(b"of another key").decode()
    Origin.objects.update(created_by=get_user(member))
    with connection.cursor() as cursor:
        cursor.execute("UPDATE integrations_integration SET flow_token = %s", [token])
        cursor.execute("UPDATE integrations_origin SET secret = %s", [token])

    assert member.get("/").status_code == 200
    assert member.get(f"/integrations/{integration.pk}/").status_code == 200
    page = member.get(f"/integrations/{integration.pk}/connected/")

    assert page.status_code == 503
    assert "FIELD_KEYS" in page.content.decode()
    assert settings.FIELD_KEYS[0] not in page.content.decode()


def test_undecipherable_access_token_asks_to_sign_in_again(member, integration, settings):
    settings.FIELD_KEYS = ["YW5vdGhlciBrZXksIGFub3RoZXIga2V5LCBhbm90aGU="]

    assert member.get(f"/integrations/{integration.pk}/").status_code == 302
