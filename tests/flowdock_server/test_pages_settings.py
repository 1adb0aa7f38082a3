"""A flow's inbox settings, developer applications, and the account."""

from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth.hashers import check_password
from django.test import Client

from flowdock_server.models import ApiToken, Application, Source

from .conftest import access_token, activity, basic, post
from .pages import address, browser, post_activity, see


def application_form(**changes: str) -> dict[str, str]:
    return {
        "name": "Tide watch",
        "description": "Warns before low tide.",
        "icon": "",
        "redirect_uris": "https://tide.test/callback",
        "setup_uri": "https://tide.test/setup",
        "configuration_uri": "",
        "form_key": "a-form",
    } | changes


def shown(response, field: str) -> str:
    """The value of a field with a copy button."""
    return next(given["value"] for given in see(response).all("input") if given.get("id") == field)


# Inbox settings


def test_add_links_to_the_setup_uri_of_the_flow(world):
    Application.objects.update(published=True)

    links = see(browser(world.ines).get(address(world.main, "/settings"))).links()

    added = next(link for link in links if link.startswith("https://lights.test/setup"))
    query = parse_qs(urlsplit(added).query)
    assert query == {"flow": [str(world.main.pk)], "flow_url": ["http://testserver/flows/acme/main"]}


def test_an_unpublished_application_is_offered_only_to_its_developer(world):
    assert "Only you can see it here." in browser(world.ines).get(address(world.lobby, "/settings")).content.decode()
    assert "Build lights" not in browser(world.otto).get(address(world.lobby, "/settings")).content.decode()


def test_an_application_without_a_setup_uri_is_not_offered(world):
    Application.objects.update(published=True, setup_uri="")

    assert "Build lights" not in browser(world.ines).get(address(world.main, "/settings")).content.decode()


def test_a_source_shows_who_connected_it_and_its_error(world, connect):
    source, _ = connect()
    source.change(error_message="Its hook has not been called since Saturday.")

    seen = see(browser(world.ines).get(address(world.main, "/settings")))

    assert "Build lights, connected by Ines Rao" in seen.text
    assert "https://git.test/octo/hello" in seen.links()
    assert seen.all("div", "notice-warn")
    assert "Its hook has not been called since Saturday." in seen.text


def test_configure_links_to_this_source(world, connect):
    source, _ = connect()
    person = browser(world.ines)
    configure = f"https://lights.test/configure?integration_id={source.pk}&flow={world.main.pk}"
    assert configure in see(person.get(address(world.main, "/settings"))).links()

    source.change(configuration_url="https://lights.test/mine/7")

    links = see(person.get(address(world.main, "/settings"))).links()
    assert "https://lights.test/mine/7" in links
    assert configure not in links


@pytest.mark.parametrize("configuration_url", ["javascript:alert(1)", "data:text/html,x", "//evil.test"])
def test_configure_links_only_to_web_addresses(world, connect, configuration_url):
    source, _ = connect()
    source.change(configuration_url=configuration_url)

    assert configuration_url not in see(browser(world.ines).get(address(world.main, "/settings"))).links()


def test_sources_of_another_flow_are_not_listed(world, connect):
    connect(flow=world.lobby, name="octo/secret")

    assert "octo/secret" not in browser(world.ines).get(address(world.main, "/settings")).content.decode()


def test_a_removed_source_gets_410_and_its_threads_stay(world, connect):
    source, token = connect()
    message = post_activity(source)
    person = browser(world.ines)

    answer = person.post(address(world.main, f"/sources/{source.pk}/remove"), follow=True)

    assert "octo/hello was removed" in answer.content.decode()
    assert f"remove-{source.pk}" not in answer.content.decode()
    assert post(browser(), "/messages", activity(flow_token=token)).status_code == 410
    inbox = person.get(address(world.main)).content.decode()
    assert message.thread_id in inbox
    assert "removed" in inbox


def test_removing_a_source_twice_has_no_effect(world, connect):
    source, _ = connect()
    person = browser(world.ines)
    person.post(address(world.main, f"/sources/{source.pk}/remove"))
    removed_at = Source.objects.get().removed_at

    assert person.post(address(world.main, f"/sources/{source.pk}/remove")).status_code == 302

    assert Source.objects.get().removed_at == removed_at


def test_many_sources_take_no_more_queries_than_one(world, connect, django_assert_num_queries):
    for number in range(20):
        connect(name=f"octo/{number}")
    person = browser(world.ines)

    # session, person, flow, applications, sources
    with django_assert_num_queries(5):
        person.get(address(world.main, "/settings"))


# Developer applications


def test_a_registered_application_shows_its_secret_once(world):
    person = browser(world.otto)

    answer = person.post("/account/applications/new", application_form())

    made = Application.objects.get(name="Tide watch")
    assert made.user == world.otto
    assert not made.published
    assert shown(answer, "client-id") == made.client_id
    secret = shown(answer, "secret")
    assert check_password(secret, made.client_secret)
    assert secret not in person.get(f"/account/applications/{made.pk}").content.decode()


def test_a_registered_application_can_get_a_token(world):
    person = browser(world.otto)
    answer = person.post("/account/applications/new", application_form())
    client_id, secret = shown(answer, "client-id"), shown(answer, "secret")

    consent = person.post(f"/oauth/authorize?client_id={client_id}&response_type=code&scope=flow", {"allow": "yes"})
    code = parse_qs(urlsplit(consent["Location"]).query)["code"][0]
    sent = {"grant_type": "authorization_code", "code": code, "redirect_uri": "https://tide.test/callback"}
    token = post(browser(), "/oauth/token", sent | {"client_id": client_id, "client_secret": secret})

    assert token.status_code == 200


def test_sending_the_form_twice_registers_one_application(world):
    person = browser(world.otto)

    person.post("/account/applications/new", application_form())
    again = person.post("/account/applications/new", application_form())

    assert again["Location"] == "/account/applications"
    assert Application.objects.filter(name="Tide watch").count() == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("redirect_uris", ""),
        ("redirect_uris", "https://one.test/ https://two.test/"),
        ("redirect_uris", "javascript:alert(1)"),
        ("redirect_uris", "https:///nowhere"),
        ("setup_uri", "javascript:alert({flow_id})"),
        ("configuration_uri", "tide.test/configure"),
        ("icon", "data:image/svg+xml,x"),
        ("icon", "http://[not-an-address"),
    ],
)
def test_an_application_with_an_invalid_address_is_not_registered(world, field, value):
    answer = browser(world.otto).post("/account/applications/new", application_form(**{field: value}))

    assert answer.status_code == 400
    invalid = [given["name"] for given in see(answer).all("input") if given.get("aria-invalid") == "true"]
    assert invalid == [field]
    assert not Application.objects.filter(user=world.otto).exists()


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("not a url", "Enter one URL, without spaces."),
        ("lights", "The URL must begin with http:// or https://."),
        ("https://one.test/#part", "Enter a valid URL, without a fragment (#)."),
    ],
)
def test_a_redirect_uri_is_refused_in_one_plain_sentence(world, address, sentence):
    answer = browser(world.otto).post("/account/applications/new", application_form(redirect_uris=address))

    seen = see(answer)
    assert sentence in seen.text
    assert "grant_type" not in seen.text


def test_an_application_can_use_the_out_of_band_redirect_uri(world):
    browser(world.otto).post("/account/applications/new", application_form(redirect_uris="urn:ietf:wg:oauth:2.0:oob"))

    assert Application.objects.get(user=world.otto).redirect_uris == "urn:ietf:wg:oauth:2.0:oob"


def test_editing_an_application_keeps_its_secret(world):
    path = f"/account/applications/{world.application.pk}"
    person = browser(world.ines)

    assert person.post(path, application_form(name="Better lights"))["Location"] == path

    changed = Application.objects.get(pk=world.application.pk)
    assert (changed.name, changed.setup_uri) == ("Better lights", "https://tide.test/setup")
    assert changed.client_secret == world.application.client_secret


def test_a_refused_edit_changes_nothing_and_stays_in_the_form(world):
    path = f"/account/applications/{world.application.pk}"

    answer = browser(world.ines).post(path, application_form(name="Better lights", setup_uri="ftp://x.test/"))

    assert answer.status_code == 400
    assert Application.objects.get(pk=world.application.pk).name == "Build lights"
    seen = see(answer)
    assert seen.value("name") == "Better lights"
    assert "Build lights · Applications" in seen.text


def test_a_new_secret_replaces_the_old_one(world):
    path = f"/account/applications/{world.application.pk}"
    person = browser(world.ines)

    answer = person.post(f"{path}/secret", {"form_key": "a-form"})

    secret = shown(answer, "secret")
    changed = Application.objects.get(pk=world.application.pk)
    assert check_password(secret, changed.client_secret)
    assert changed.client_secret != world.application.client_secret
    # A second press must not make the secret that is on the screen useless.
    person.post(f"{path}/secret", {"form_key": "a-form"})
    assert Application.objects.get(pk=world.application.pk).client_secret == changed.client_secret


def test_the_setup_link_of_a_selected_flow_is_shown(world):
    path = f"/account/applications/{world.application.pk}"
    person = browser(world.ines)

    assert f"flow={world.lobby.pk}" in shown(person.get(path, {"flow": world.lobby.pk}), "setup-address")
    for other in (world.elsewhere.pk, "nonsense", ""):
        assert "setup-address" not in person.get(path, {"flow": other}).content.decode()


def test_a_manually_created_source_posts_with_the_token_that_is_shown_once(world):
    path = f"/account/applications/{world.application.pk}"
    person = browser(world.ines)
    sent = {"flow": world.main.pk, "name": "Nightly build", "external_url": "", "form_key": "a-form"}

    answer = person.post(f"{path}/sources", sent)

    token = shown(answer, "flow-token")
    assert post(browser(), "/messages", activity(flow_token=token)).status_code == 201
    source = Source.objects.get(name="Nightly build")
    assert (source.flow, source.creator, source.application) == (world.main, world.ines, world.application)
    assert token not in person.get(path).content.decode()
    person.post(f"{path}/sources", sent)
    assert Source.objects.filter(name="Nightly build").count() == 1


def test_an_application_without_sources_can_be_deleted(world):
    path = f"/account/applications/{world.application.pk}/delete"
    person = browser(world.ines)

    person.post(path)
    again = person.post(path)

    assert again["Location"] == "/account/applications"
    assert not Application.objects.exists()


def test_an_application_with_sources_cannot_be_deleted(world, connect):
    connect()
    path = f"/account/applications/{world.application.pk}"
    person = browser(world.ines)
    assert "cannot be deleted" in person.get(path).content.decode()

    answer = person.post(f"{path}/delete", follow=True)

    assert "cannot be deleted, because it has connected sources" in answer.content.decode()
    assert Application.objects.exists()


# Account


def test_a_token_gives_access_to_the_api_and_is_shown_once(world):
    person = browser(world.ines)

    answer = person.post("/account/tokens", {"name": "Nightly report", "form_key": "a-form"})

    token = shown(answer, "secret")
    assert basic(token).get("/user").json()["email"] == "ines@example.com"
    later = person.get("/account").content.decode()
    assert "Nightly report" in later
    assert token not in later
    person.post("/account/tokens", {"name": "Nightly report", "form_key": "a-form"})
    assert ApiToken.objects.count() == 1


def test_a_revoked_token_gives_no_access(world):
    token, secret = ApiToken.issue(world.ines, "Nightly report")
    person = browser(world.ines)

    answer = person.post(f"/account/tokens/{token.pk}/revoke", follow=True)

    assert "no longer works" in answer.content.decode()
    assert basic(secret).get("/user").status_code == 401
    assert person.post(f"/account/tokens/{token.pk}/revoke").status_code == 302


def test_a_token_needs_a_name(world):
    answer = browser(world.ines).post("/account/tokens", {"name": "", "form_key": "a-form"})

    assert answer.status_code == 400
    assert not ApiToken.objects.exists()


def test_an_authorized_application_is_listed_with_its_scopes_and_can_be_revoked(world, with_scopes):
    through = with_scopes(world.ines, "flow integration")
    access_token(world.otto, world.application, "flow")
    person = browser(world.ines)
    text = see(person.get("/account")).text
    assert "Build lights" in text
    assert "Connect services to your flows" in text
    assert through.get("/flows").status_code == 200

    person.post(f"/account/authorized/{world.application.pk}/revoke")

    assert through.get("/flows").status_code == 401
    assert "Connect services" not in see(person.get("/account")).text
    assert "Build lights" in see(browser(world.otto).get("/account")).text  # others keep what they allowed
    assert person.post(f"/account/authorized/{world.application.pk}/revoke").status_code == 302


def copy_of(client: Client) -> Client:
    """Another browser with the same cookies."""
    copy = Client()
    for name, morsel in client.cookies.items():
        copy.cookies[name] = morsel.value
    return copy


def test_a_copied_cookie_is_invalid_after_sign_out(world):
    person = browser(world.ines)
    copy = copy_of(person)
    assert copy.get("/account").status_code == 200

    person.post("/account/sign-out")

    assert copy.get("/account").status_code == 302


def test_signing_out_everywhere_ends_only_the_sessions_of_that_person(world):
    here, elsewhere, somebody_else = browser(world.ines), browser(world.ines), browser(world.otto)
    assert "Sign out everywhere" in here.get("/account").content.decode()
    assert here.get("/account/sign-out-everywhere").status_code == 405

    assert here.post("/account/sign-out-everywhere")["Location"] == "/login"

    assert here.get("/account").status_code == elsewhere.get("/account").status_code == 302
    assert somebody_else.get("/account").status_code == 200
    world.ines.refresh_from_db()
    assert browser(world.ines).get("/account").status_code == 200, "one can sign in again"
