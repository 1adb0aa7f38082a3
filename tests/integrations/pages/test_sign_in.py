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


def test_the_consent_page_is_asked_for_no_more_than_set_up_needs_and_the_exact_redirect_uri(stranger, flowdock):
    asked = begin(stranger)

    assert asked["redirect_uri"] == ["http://bridge.test/complete/flowdock/"]
    assert asked["scope"] == ["integration profile"]
    assert asked["response_type"] == ["code"]
    assert asked["client_id"] == ["bridge"]


def test_pages_that_list_the_person_s_flows_ask_for_that_too(stranger, flowdock):
    landing = stranger.get("/").content.decode()
    answer = stranger.get("/sign-in/?flows=1")

    assert 'href="/sign-in/?flows=1"' in landing
    assert stranger.get("/polls/")["Location"].endswith("&flows=1")
    assert parse_qs(urlsplit(answer["Location"]).query)["scope"] == ["flow integration profile"]


def test_whoever_has_not_allowed_to_list_their_flows_is_asked_where_it_is_needed(member, flowdock, integrate):
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


def test_a_person_comes_back_to_exactly_the_page_they_were_on_the_way_to(stranger, flowdock):
    page = f"/flowdock/setup?flow={MAIN}&flow_url=https%3A%2F%2Fflowdock.test%2Fflows%2Facme%2Fmain"
    turned_away = stranger.get(page)
    consent = stranger.get(turned_away["Location"])
    state = parse_qs(urlsplit(consent["Location"]).query)["state"][0]

    back = stranger.get("/complete/flowdock/", {"code": "demo", "state": state})

    assert back["Location"] == page
    assert stranger.get(page).status_code == 200


def test_two_tabs_on_their_way_each_come_back_to_their_own_page(stranger, flowdock):
    first, second = begin(stranger, "/account/"), begin(stranger, "/?q=hello")

    assert stranger.get("/complete/flowdock/", {"code": "demo", "state": first["state"][0]})["Location"] == "/account/"
    assert stranger.get("/complete/flowdock/", {"code": "demo", "state": second["state"][0]})["Location"] == "/?q=hello"


def test_many_begun_sign_ins_leave_a_cookie_that_browsers_keep(stranger, flowdock):
    for _ in range(12):
        last = begin(stranger, "/flowdock/setup?flow=" + "f" * 300)

    assert len(stranger.cookies["bridge_session"].value) < 3500
    assert stranger.get("/complete/flowdock/", {"code": "demo", "state": last["state"][0]}).status_code == 302


@pytest.mark.parametrize("elsewhere", ["https://evil.test/", "//evil.test/", "/\\evil.test/", "javascript:alert(1)"])
def test_nobody_is_sent_to_another_site_after_signing_in(stranger, flowdock, elsewhere):
    asked = begin(stranger, elsewhere)

    back = stranger.get("/complete/flowdock/", {"code": "demo", "state": asked["state"][0], "next": elsewhere})

    assert back["Location"] == "/"


def test_a_person_keeps_flowdocks_name_and_nick(sign_in):
    sign_in("demo")

    user = User.objects.get()
    assert (user.username, user.get_full_name(), user.email) == ("demo", "Demo Dean", "demo@example.com")
    assert not user.has_usable_password()


def test_the_access_token_is_in_no_table_and_not_readable_in_the_cookie(member):
    social = User.objects.get().social_auth.get()

    assert social.uid == "1"
    assert "token-demo" not in str(social.extra_data)
    assert "token-demo" not in str(dict(member.session))
    assert member.session[TOKEN_KEY][0]


def test_a_token_in_form_encoding_is_read_too(stranger, flowdock):
    flowdock.broken["POST /oauth/token"] = (
        200,
        {"Content-Type": "application/x-www-form-urlencoded"},
        "access_token=token-demo&scope=flow%2Cprivate&token_type=bearer",
    )
    asked = begin(stranger)

    assert stranger.get("/complete/flowdock/", {"code": "demo", "state": asked["state"][0]}).status_code == 302
    assert stranger.get("/").context["cards"]


def test_denied_consent_has_a_page_that_says_so_and_offers_the_way_back(stranger, flowdock):
    asked = begin(stranger, "/account/")

    page = stranger.get("/complete/flowdock/", {"error": "access_denied", "state": asked["state"][0]})

    assert page.status_code == 403
    assert "Access was not granted" in page.content.decode()
    assert "/sign-in/?next=%2Faccount%2F" in page.content.decode()


@pytest.mark.parametrize("query", [{"code": "demo"}, {"code": "demo", "state": "forged"}, {}])
def test_a_forged_or_missing_state_signs_nobody_in(stranger, flowdock, query):
    begin(stranger)

    page = stranger.get("/complete/flowdock/", query)

    assert page.status_code == 403
    assert "Your sign-in expired" in page.content.decode()
    assert "_auth_user_id" not in stranger.session
    assert "POST /oauth/token" not in flowdock.calls


def test_a_state_serves_once(stranger, flowdock):
    asked = begin(stranger)
    query = {"code": "demo", "state": asked["state"][0]}
    stranger.get("/complete/flowdock/", query)

    assert stranger.get("/complete/flowdock/", query).status_code == 403


def test_an_old_state_has_expired(stranger, flowdock):
    with time_machine.travel("2026-01-01T10:00:00Z", tick=False):
        asked = begin(stranger)
    with time_machine.travel("2026-01-01T10:11:00Z", tick=False):
        page = stranger.get("/complete/flowdock/", {"code": "demo", "state": asked["state"][0]})

    assert "Your sign-in expired" in page.content.decode()


def test_a_code_that_flowdock_refuses_means_beginning_again(stranger, flowdock):
    asked = begin(stranger)

    page = stranger.get("/complete/flowdock/", {"code": "nobody", "state": asked["state"][0]})

    assert page.status_code == 403
    assert "/sign-in/" in page.content.decode()


def test_a_wrong_client_secret_is_the_operators_to_mend(stranger, flowdock):
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
def test_flowdock_away_while_coming_back_offers_to_begin_again(stranger, flowdock, call, trouble):
    flowdock.broken[call] = trouble
    asked = begin(stranger, "/account/")

    page = stranger.get("/complete/flowdock/", {"code": "demo", "state": asked["state"][0]})

    assert page.status_code == 503
    assert page["Retry-After"]
    assert "/sign-in/?next=%2Faccount%2F" in page.content.decode()


def test_another_person_in_the_same_browser_is_another_account(member, sign_in):
    sign_in("other", member)

    assert member.get("/").wsgi_request.user.username == "other"
    assert [user.social_auth.get().uid for user in User.objects.order_by("username")] == ["1", "2"]


def test_a_member_of_staff_who_signs_in_with_flowdock_is_that_person_and_no_longer_staff(admin_client, sign_in):
    admin_client.defaults["SERVER_NAME"] = "bridge.test"

    sign_in("demo", admin_client)

    user = admin_client.get("/").wsgi_request.user
    assert (user.username, user.is_staff) == ("demo", False)


def test_an_expired_token_leads_through_flowdock_and_back(sign_in, flowdock):
    flowdock.expires_in = 60
    client = sign_in("demo")

    with time_machine.travel(time.time() + 120, tick=False):
        answer = client.get("/account/")

    assert answer["Location"] == "/sign-in/?next=%2Faccount%2F"


def test_a_token_that_flowdock_refuses_leads_through_flowdock_and_back(member, flowdock):
    flowdock.refused_tokens.add("demo")

    with time_machine.travel(time.time() + 120, tick=False):
        answer = member.get("/account/")
        assert answer["Location"] == "/sign-in/?next=%2Faccount%2F"
        assert "Sign in with Flowdock" in member.get("/").content.decode()


def test_a_fresh_token_that_flowdock_refuses_does_not_go_round_in_circles(member, flowdock):
    flowdock.refused_tokens.add("demo")

    assert member.get("/account/").status_code == 503


def test_a_part_of_a_page_that_needs_signing_in_sends_the_whole_page(stranger, integration):
    answer = stranger.get(
        f"/integrations/{integration.pk}/news/",
        headers={"HX-Request": "true", "HX-Current-URL": f"http://bridge.test/integrations/{integration.pk}/?q=a"},
    )

    assert answer["HX-Redirect"] == f"/sign-in/?next=%2Fintegrations%2F{integration.pk}%2F%3Fq%3Da"


def test_signing_out_ends_the_session(member):
    assert member.post("/sign-out/")["Location"] == "/"

    assert "Sign in with Flowdock" in member.get("/").content.decode()
    assert member.get("/account/").status_code == 302


def test_the_account_page_tells_who_one_is(member):
    text = member.get("/account/").content.decode()

    assert "Demo Dean" in text
    assert "demo@example.com" in text


def test_sign_in_under_another_host_name_moves_to_the_registered_one(settings, stranger, flowdock):
    answer = stranger.get("/sign-in/?next=/account/", headers={"host": "testserver"})

    assert answer["Location"] == "http://bridge.test/sign-in/?next=/account/"
