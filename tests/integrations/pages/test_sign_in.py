"""Signing in with Flowdock: the way there and back, and all the ways in which it can go wrong."""

from __future__ import annotations

import time
from urllib.parse import parse_qs, quote, urlsplit

import pytest
import requests
import time_machine
from django.contrib.auth.models import User

from integrations.flowdock.oauth import TOKEN_KEY

from .flowdock_double import MAIN

pytestmark = pytest.mark.django_db


def begin(client, back="/") -> dict[str, list[str]]:
    answer = client.get("/sign-in/", {"next": back})
    assert answer.status_code == 302
    assert answer["Location"].startswith("https://www.flowdock.test/oauth/authorize?")
    return parse_qs(urlsplit(answer["Location"]).query)


def test_consent_asks_for_the_needed_scopes_and_the_exact_redirect_uri(stranger, flowdock):
    asked = begin(stranger)

    assert asked["redirect_uri"] == ["http://bridge.test/complete/flowdock/"]
    assert asked["scope"] == ["integration profile"]
    assert asked["response_type"] == ["code"]
    assert asked["client_id"] == ["bridge"]


def test_pages_that_list_flows_ask_for_the_flow_scope(stranger, flowdock):
    landing = stranger.get("/").content.decode()
    answer = stranger.get("/sign-in/?flows=1")

    assert 'href="/sign-in/?flows=1"' in landing
    assert stranger.get("/polls/")["Location"].endswith("&flows=1")
    assert parse_qs(urlsplit(answer["Location"]).query)["scope"] == ["flow integration profile"]


def test_permission_to_list_flows_is_asked_for_where_it_is_needed(member, flowdock, integrate):
    integration = integrate()
    flowdock.scopes["demo"] = {"integration", "profile"}

    for page in ("/", "/polls/"):
        answer = member.get(page)
        assert answer.status_code == 403
        assert "one more permission" in answer.content.decode()
        assert f'href="/sign-in/?next={quote(page, safe="")}&amp;flows=1"' in answer.content.decode()
    assert "Flows you can open" not in member.get("/account/").content.decode()
    for page in (f"/flowdock/setup?flow={MAIN}", integration.get_absolute_url()):
        assert member.get(page).status_code == 200


def test_sign_in_returns_to_the_requested_page(stranger, flowdock):
    page = f"/flowdock/setup?flow={MAIN}&flow_url=https%3A%2F%2Fflowdock.test%2Fflows%2Facme%2Fmain"
    turned_away = stranger.get(page)
    consent = stranger.get(turned_away["Location"])
    state = parse_qs(urlsplit(consent["Location"]).query)["state"][0]

    back = stranger.get("/complete/flowdock/", {"code": "demo", "state": state})

    assert back["Location"] == page
    assert stranger.get(page).status_code == 200


def test_sign_ins_in_two_tabs_return_to_their_own_pages(stranger, flowdock):
    first, second = begin(stranger, "/account/"), begin(stranger, "/?q=hello")

    assert stranger.get("/complete/flowdock/", {"code": "demo", "state": first["state"][0]})["Location"] == "/account/"
    assert stranger.get("/complete/flowdock/", {"code": "demo", "state": second["state"][0]})["Location"] == "/?q=hello"


def test_unfinished_sign_ins_do_not_make_the_cookie_too_large(stranger, flowdock):
    for _ in range(12):
        last = begin(stranger, "/flowdock/setup?flow=" + "f" * 300)

    assert len(stranger.cookies["bridge_session"].value) < 3500
    assert stranger.get("/complete/flowdock/", {"code": "demo", "state": last["state"][0]}).status_code == 302


@pytest.mark.parametrize("elsewhere", ["https://evil.test/", "//evil.test/", "/\\evil.test/", "javascript:alert(1)"])
def test_sign_in_never_redirects_to_another_site(stranger, flowdock, elsewhere):
    asked = begin(stranger, elsewhere)

    back = stranger.get("/complete/flowdock/", {"code": "demo", "state": asked["state"][0], "next": elsewhere})

    assert back["Location"] == "/"


def test_account_has_the_name_and_nick_of_flowdock(sign_in):
    sign_in("demo")

    user = User.objects.get()
    assert (user.username, user.get_full_name(), user.email) == ("demo", "Demo Dean", "demo@example.com")
    assert not user.has_usable_password()


def test_access_token_is_stored_encrypted_in_the_cookie_only(member):
    social = User.objects.get().social_auth.get()

    assert social.uid == "1"
    assert "token-demo" not in str(social.extra_data)
    assert "token-demo" not in str(dict(member.session))
    assert member.session[TOKEN_KEY][0]


def test_form_encoded_token_is_accepted(stranger, flowdock):
    flowdock.broken["POST /oauth/token"] = (
        200,
        {"Content-Type": "application/x-www-form-urlencoded"},
        "access_token=token-demo&scope=flow%2Cprivate&token_type=bearer",
    )
    asked = begin(stranger)

    assert stranger.get("/complete/flowdock/", {"code": "demo", "state": asked["state"][0]}).status_code == 302
    assert stranger.get("/").context["cards"]


def test_denied_consent_is_explained_with_a_link_to_sign_in(stranger, flowdock):
    asked = begin(stranger, "/account/")

    page = stranger.get("/complete/flowdock/", {"error": "access_denied", "state": asked["state"][0]})

    assert page.status_code == 403
    assert "Access was not granted" in page.content.decode()
    assert "/sign-in/?next=%2Faccount%2F" in page.content.decode()


@pytest.mark.parametrize("query", [{"code": "demo"}, {"code": "demo", "state": "forged"}, {}])
def test_forged_or_missing_state_signs_nobody_in(stranger, flowdock, query):
    begin(stranger)

    page = stranger.get("/complete/flowdock/", query)

    assert page.status_code == 403
    assert "Your sign-in expired" in page.content.decode()
    assert "_auth_user_id" not in stranger.session
    assert "POST /oauth/token" not in flowdock.calls


def test_state_can_be_used_once(stranger, flowdock):
    asked = begin(stranger)
    query = {"code": "demo", "state": asked["state"][0]}
    stranger.get("/complete/flowdock/", query)

    assert stranger.get("/complete/flowdock/", query).status_code == 403


def test_state_expires(stranger, flowdock):
    with time_machine.travel("2026-01-01T10:00:00Z", tick=False):
        asked = begin(stranger)
    with time_machine.travel("2026-01-01T10:11:00Z", tick=False):
        page = stranger.get("/complete/flowdock/", {"code": "demo", "state": asked["state"][0]})

    assert "Your sign-in expired" in page.content.decode()


def test_refused_code_asks_to_sign_in_again(stranger, flowdock):
    asked = begin(stranger)

    page = stranger.get("/complete/flowdock/", {"code": "nobody", "state": asked["state"][0]})

    assert page.status_code == 403
    assert "/sign-in/" in page.content.decode()


def test_wrong_client_secret_is_explained_and_logged(stranger, flowdock):
    flowdock.broken["POST /oauth/token"] = (401, {}, '{"error": "invalid_client"}')
    asked = begin(stranger)

    page = stranger.get("/complete/flowdock/", {"code": "demo", "state": asked["state"][0]})

    assert page.status_code == 502
    assert "Flowdock rejects this bridge" in page.content.decode()
    assert "bridge-secret" not in page.content.decode()


@pytest.mark.parametrize("call", ["POST /oauth/token", "GET /user"])
@pytest.mark.parametrize(
    "trouble", [requests.ConnectionError(), requests.ReadTimeout(), (502, {}, "<h1>Bad gateway</h1>")]
)
def test_sign_in_without_an_answer_of_flowdock_offers_to_start_again(stranger, flowdock, call, trouble):
    flowdock.broken[call] = trouble
    asked = begin(stranger, "/account/")

    page = stranger.get("/complete/flowdock/", {"code": "demo", "state": asked["state"][0]})

    assert page.status_code == 503
    assert page["Retry-After"]
    assert "/sign-in/?next=%2Faccount%2F" in page.content.decode()


def test_another_person_in_the_same_browser_gets_another_account(member, sign_in):
    sign_in("other", member)

    assert member.get("/").wsgi_request.user.username == "other"
    assert [user.social_auth.get().uid for user in User.objects.order_by("username")] == ["1", "2"]


def test_staff_who_sign_in_with_flowdock_are_no_longer_signed_in_as_staff(admin_client, sign_in):
    admin_client.defaults["SERVER_NAME"] = "bridge.test"

    sign_in("demo", admin_client)

    user = admin_client.get("/").wsgi_request.user
    assert (user.username, user.is_staff) == ("demo", False)


def test_expired_token_redirects_to_flowdock_and_back(sign_in, flowdock):
    flowdock.expires_in = 60
    client = sign_in("demo")

    with time_machine.travel(time.time() + 120, tick=False):
        answer = client.get("/account/")

    assert answer["Location"] == "/sign-in/?next=%2Faccount%2F"


def test_refused_token_redirects_to_flowdock_and_back(member, flowdock):
    flowdock.refused_tokens.add("demo")

    with time_machine.travel(time.time() + 120, tick=False):
        answer = member.get("/account/")
        assert answer["Location"] == "/sign-in/?next=%2Faccount%2F"
        assert "Sign in with Flowdock" in member.get("/").content.decode()


def test_refused_new_token_does_not_cause_a_redirect_loop(member, flowdock):
    flowdock.refused_tokens.add("demo")

    assert member.get("/account/").status_code == 503


def test_htmx_request_without_a_sign_in_redirects_the_whole_page(stranger, integration):
    answer = stranger.get(
        f"/integrations/{integration.pk}/updates/",
        headers={"HX-Request": "true", "HX-Current-URL": f"http://bridge.test/integrations/{integration.pk}/?q=a"},
    )

    assert answer["HX-Redirect"] == f"/sign-in/?next=%2Fintegrations%2F{integration.pk}%2F%3Fq%3Da"


def test_signing_out_ends_the_session(member):
    assert member.post("/sign-out/")["Location"] == "/"

    assert "Sign in with Flowdock" in member.get("/").content.decode()
    assert member.get("/account/").status_code == 302


def test_account_page_shows_the_person(member):
    text = member.get("/account/").content.decode()

    assert "Demo Dean" in text
    assert "demo@example.com" in text


def test_sign_in_redirects_to_the_registered_host_name(settings, stranger, flowdock):
    answer = stranger.get("/sign-in/?next=/account/", headers={"host": "testserver"})

    assert answer["Location"] == "http://bridge.test/sign-in/?next=/account/"
