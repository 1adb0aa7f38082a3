"""Signing in and out, the list of flows, consent and error pages."""

import pytest
from django.core.management import call_command

from flowdock_server.models import FlowMembership, SignInFailures, User

from .pages import browser, see


def test_sign_in_redirects_to_the_requested_page(world):
    visitor = browser()
    asked = visitor.get("/app/acme/main")

    answer = visitor.post(asked["Location"], {"username": "ines@example.com", "password": "a password"})

    assert answer["Location"] == "/app/acme/main"
    assert visitor.get("/app/acme/main").status_code == 200


def test_a_session_from_before_the_password_backend_moved_is_still_signed_in(world, client):
    client.force_login(world.ines, backend="flowdock_server.signin.PasswordBackend")

    assert client.get("/app/acme/main").status_code == 200


def test_a_wrong_password_is_counted_once(world):
    browser().post("/login", {"username": "ines@example.com", "password": "wrong"})

    assert set(SignInFailures.objects.values_list("count", flat=True)) == {1}


def test_the_e_mail_address_is_case_insensitive(world):
    answer = browser().post("/login", {"username": "INES@Example.com", "password": "a password"})

    assert answer.status_code == 302


def test_the_error_does_not_reveal_whether_the_account_exists(world):
    sentence = "The e-mail address or the password is wrong."

    for username in ("ines@example.com", "nobody@example.com"):
        answer = browser().post("/login", {"username": username, "password": "wrong"})
        assert sentence in answer.content.decode()
        assert "_auth_user_id" not in answer.wsgi_request.session


def test_sign_in_never_redirects_to_another_site(world):
    sent = {"username": "ines@example.com", "password": "a password", "next": "https://evil.test/"}

    assert browser().post("/login", sent)["Location"] == "/app"


def test_the_demo_lists_its_accounts(db, settings):
    call_command("seed_demo")
    html = browser().get("/login").content.decode()
    assert "Sign in as Mira Sand" in html
    assert "other@example.com" in html

    settings.DEMO = False
    assert "Sign in as" not in browser().get("/login").content.decode()


def test_one_button_signs_in_to_a_demo_account(db):
    call_command("seed_demo")
    visitor = browser()
    offered = see(visitor.get("/login"))
    hidden = [given for given in offered.all("input") if given.get("type") == "hidden"]
    account = next(given["value"] for given in hidden if given["name"] == "username")
    password = next(given["value"] for given in hidden if given["name"] == "password")

    visitor.post("/login", {"username": account, "password": password})

    assert visitor.get("/app/acme/main").status_code == 200


def test_sign_out_ends_the_session(world):
    visitor = browser(world.ines)

    assert visitor.post("/account/sign-out")["Location"] == "/login"

    assert visitor.get("/app/acme/main").status_code == 302


def test_another_person_can_sign_in_from_the_consent_page(world):
    visitor = browser(world.ines)
    consent = "/oauth/authorize?client_id=build-lights&response_type=code"

    answer = visitor.post("/account/sign-out", {"next": consent})

    assert answer["Location"] == consent
    assert visitor.get(consent)["Location"].startswith("/login?next=/oauth/authorize")


def test_home_opens_the_only_flow_or_lists_several(world):
    assert browser(world.otto).get("/")["Location"] == "/app/acme/lobby"
    assert browser(world.ines).get("/")["Location"] == "/app"


def test_only_ones_own_flows_are_listed(world):
    links = see(browser(world.otto).get("/app")).links()

    assert "/app/acme/lobby" in links
    assert "/app/acme/main" not in links


def test_a_person_without_flows_is_told_what_to_do(world):
    FlowMembership.objects.filter(user=world.sam).delete()

    assert browser(world.sam).get("/")["Location"] == "/app"
    assert "No flows yet" in browser(world.sam).get("/app").content.decode()


def test_the_consent_page_names_application_scopes_and_account(world):
    seen = see(browser(world.ines).get("/oauth/authorize?client_id=build-lights&response_type=code&scope=integration"))

    assert "Allow Build lights to access your account?" in seen.text
    assert "Connect services to your flows" in seen.text
    assert "Read and send your private messages" not in seen.text
    assert "ines@example.com" in seen.text
    assert {given.get("value") for given in seen.all("button") if given.get("name") == "allow"} == {"yes", "no"}


def test_an_invalid_authorization_request_gets_an_error_page(world):
    answer = browser(world.ines).get("/oauth/authorize?client_id=nobody&response_type=code")

    assert answer.status_code == 400
    assert "Access was not granted" in answer.content.decode()


@pytest.mark.parametrize("path", ["/app/acme/nowhere", "/app/nowhere/main", "/app/acme/main/threads/nowhere"])
def test_a_missing_page_gets_an_error_page(world, path):
    answer = browser(world.ines).get(path)

    assert answer.status_code == 404
    assert "Page not found" in answer.content.decode()


@pytest.mark.parametrize("query", ["source=one", "source=²", "source=99999999999999999999", "before=yesterday",
                                   "before=9999999999.000000_%00"])  # fmt: skip
def test_an_invalid_address_gets_an_error_page(world, query):
    answer = browser(world.ines).get(f"/app/acme/main?{query}")

    assert answer.status_code == 400
    assert "This address is not valid" in answer.content.decode()


def test_a_server_error_gets_an_error_page_without_details(world, monkeypatch):
    def fall(self, user):
        raise RuntimeError("the innermost secret")

    monkeypatch.setattr("flowdock_server.models.flows.FlowQuerySet.open_to", fall)
    visitor = browser(world.ines, raise_request_exception=False)

    answer = visitor.get("/app")

    assert answer.status_code == 500
    assert "Something went wrong on this server" in answer.content.decode()
    assert "innermost" not in answer.content.decode()


def test_a_closed_account_cannot_sign_in(world):
    visitor = browser(world.ines)
    User.objects.filter(pk=world.ines.pk).update(is_active=False)

    assert visitor.get("/app/acme/main").status_code == 302
    assert browser().post("/login", {"username": "ines@example.com", "password": "a password"}).status_code == 200
