"""OAuth as Flowdock's clients use it: authorizing, exchanging codes and refreshing tokens."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import pytest
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone
from oauth2_provider.models import get_access_token_model, get_grant_model, get_refresh_token_model
from oauthlib.oauth2 import WebApplicationClient

from flowdock_server.models import Application

from .conftest import SECRET, access_token, post

OUT_OF_BAND = "urn:ietf:wg:oauth:2.0:oob"


@pytest.fixture
def browser(world):
    """A browser in which Ines is signed in."""
    client = Client()
    client.force_login(world.ines)
    return client


def authorize_address(**changes) -> str:
    query = {
        "client_id": "build-lights",
        "response_type": "code",
        "redirect_uri": "https://lights.test/callback",
        "scope": "flow integration profile",
        "state": "s t/a",
    } | changes
    return "/oauth/authorize?" + urlencode({name: value for name, value in query.items() if value is not None})


def allow(browser, **changes) -> str:
    """The code that the application gets."""
    response = browser.post(authorize_address(**changes), {"allow": "yes"})
    return parse_qs(urlsplit(response["Location"]).query)["code"][0]


def exchange(code, **changes):
    return {
        "grant_type": "authorization_code",
        "code": code,
        "client_id": "build-lights",
        "client_secret": SECRET,
        "redirect_uri": "https://lights.test/callback",
    } | changes


def token_from(response) -> dict:
    assert response.status_code == 200, response.content
    assert response["Content-Type"].startswith("application/x-www-form-urlencoded")
    return dict(parse_qsl(response.content.decode()))


def test_signed_out_person_signs_in_first_and_returns(client, world):
    response = client.get(authorize_address())

    assert response.status_code == 302
    address = urlsplit(response["Location"])
    assert parse_qs(address.query)["next"] == [authorize_address()]


def test_consent_page_shows_application_scopes_and_account(browser):
    response = browser.get(authorize_address(scope="integration,flow"))

    page = response.content.decode()
    assert response.status_code == 200
    assert "Build lights" in page
    assert "ines@example.com" in page
    assert [scope.name for scope in response.context["scopes"]] == ["flow", "integration"]
    for scope in response.context["scopes"]:
        assert scope.explanation in page
    assert "form-action 'self' https://lights.test" in response["Content-Security-Policy"]


def test_consent_page_lists_scopes_that_are_still_granted(browser, world):
    assert "already allowed" not in browser.get(authorize_address(scope="flow")).content.decode()
    access_token(world.ines, world.application, "profile integration")
    access_token(world.ines, world.application, "private", lasts=timedelta(hours=-1))
    access_token(world.otto, world.application, "manage")

    response = browser.get(authorize_address(scope="flow"))

    assert [scope.name for scope in response.context["granted"]] == ["profile", "integration"]
    assert "You have also allowed: See your profile · Connect services" in response.content.decode()


def test_consent_page_marks_granted_scopes_and_lists_them_once(browser, world):
    access_token(world.ines, world.application, "profile integration")

    page = browser.get(authorize_address(scope="flow profile integration")).content.decode()
    nothing_new = browser.get(authorize_address(scope="profile integration")).content.decode()

    assert page.count("You have already allowed this.") == 2
    assert nothing_new.count("You have already allowed Build lights all of this.") == 1
    for each in (page, nothing_new):
        assert each.count("See your profile") == each.count("Connect services") == 1
        assert "You have also allowed" not in each


def test_scope_defaults_to_flow_and_private(browser):
    response = browser.get(authorize_address(scope=None))

    assert [scope.name for scope in response.context["scopes"]] == ["flow", "private"]


def test_allowing_redirects_with_code_and_state(browser):
    response = browser.post(authorize_address(), {"allow": "yes"})

    address = urlsplit(response["Location"])
    assert response.status_code == 302
    assert address._replace(query="").geturl() == "https://lights.test/callback"
    assert parse_qs(address.query)["state"] == ["s t/a"]
    assert set(parse_qs(address.query)) == {"code", "state"}


@pytest.mark.parametrize("answer", [{"allow": "no"}, {}])
def test_denying_redirects_to_the_application_with_an_error(browser, answer):
    response = browser.post(authorize_address(), answer)

    query = parse_qs(urlsplit(response["Location"]).query)
    assert response["Location"].startswith("https://lights.test/callback?")
    assert (query["error"], query["state"]) == (["access_denied"], ["s t/a"])
    assert not get_grant_model().objects.exists()


def test_consent_is_asked_every_time(browser):
    allow(browser)

    assert browser.get(authorize_address()).status_code == 200


def test_consent_form_requires_a_csrf_token(world):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(world.ines)

    assert browser.post(authorize_address(), {"allow": "yes"}).status_code == 403
    assert not get_grant_model().objects.exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "nobody"},
        {"client_id": None},
        {"client_id": "build-lights\x00"},
        {"redirect_uri": "https://lights.test/callback/"},
        {"redirect_uri": "https://lights.test/callback?more=1"},
        {"redirect_uri": "https://evil.test/callback"},
        {"redirect_uri": "javascript:alert(1)"},
        {"redirect_uri": "nonsense"},
    ],
)
def test_wrong_client_or_redirect_uri_is_a_page_and_never_a_redirect(browser, changes):
    for response in (
        browser.get(authorize_address(**changes)),
        browser.post(authorize_address(**changes), {"allow": "yes"}),
    ):
        assert response.status_code == 400
        assert "Location" not in response
        assert response.context["sentence"] in response.content.decode().replace("&#x27;", "'")
    assert not get_grant_model().objects.exists()


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"scope": "everything"}, "invalid_scope"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": None}, "invalid_request"),
    ],
)
def test_other_errors_redirect_to_the_application(browser, changes, error):
    response = browser.get(authorize_address(**changes))

    query = parse_qs(urlsplit(response["Location"]).query)
    assert response["Location"].startswith("https://lights.test/callback?")
    assert (query["error"], query["state"]) == ([error], ["s t/a"])


def test_registered_redirect_uri_is_the_default(browser):
    response = browser.post(authorize_address(redirect_uri=None), {"allow": "yes"})

    assert response["Location"].startswith("https://lights.test/callback?code=")


def test_code_is_exchanged_for_a_form_encoded_token(client, browser, world):
    token = token_from(client.post("/oauth/token", exchange(allow(browser))))

    assert token.pop("access_token")
    assert token == {
        "token_type": "Bearer",
        "scope": "flow,integration,profile",
        "expires_in": str(14 * 24 * 3600),
    }


def test_token_response_is_json_if_the_client_accepts_it(client, browser):
    response = client.post("/oauth/token", exchange(allow(browser)), headers={"Accept": "application/json"})

    assert response["Content-Type"].startswith("application/json")
    assert response.json()["expires_in"] == 14 * 24 * 3600
    # The library raises an error if the scopes, compared as strings, are not the requested ones.
    read = WebApplicationClient("build-lights").parse_request_body_response(
        response.content, scope=["flow", "integration", "profile"]
    )
    assert read["access_token"] == response.json()["access_token"]


def test_token_request_can_be_json_or_a_query(client, browser):
    assert token_from(post(client, "/oauth/token", exchange(allow(browser))))["access_token"]
    assert token_from(client.post("/oauth/token?" + urlencode(exchange(allow(browser)))))["access_token"]


def test_access_token_calls_the_api_as_the_person(client, browser, world):
    token = token_from(client.post("/oauth/token", exchange(allow(browser))))["access_token"]

    for response in (
        client.get("/user", headers={"Authorization": f"Bearer {token}"}),
        client.get("/user", {"access_token": token}),
    ):
        assert response.status_code == 200
        assert response.json()["email"] == "ines@example.com"
        assert response["Flowdock-User"] == str(world.ines.pk)


def test_code_works_once(client, browser):
    code = allow(browser)
    client.post("/oauth/token", exchange(code))

    response = client.post("/oauth/token", exchange(code), headers={"Accept": "application/json"})

    assert (response.status_code, response.json()["error"]) == (400, "invalid_grant")


@pytest.mark.parametrize("scope", ["flow", "flow offline_access"])
def test_second_use_of_a_code_revokes_its_tokens(client, browser, scope):
    code = allow(browser, scope=scope)
    token = token_from(client.post("/oauth/token", exchange(code)))
    if "refresh_token" in token:
        renewal = PASSWORD | {"grant_type": "refresh_token", "refresh_token": token["refresh_token"]}
        token = token_from(client.post("/oauth/token", renewal))
    bearer = {"Authorization": f"Bearer {token['access_token']}"}
    assert client.get("/user", headers=bearer).status_code == 200

    # Without the client secret, nothing is revoked.
    assert client.post("/oauth/token", exchange(code) | {"client_secret": "wrong"}).status_code == 401
    assert client.get("/user", headers=bearer).status_code == 200
    assert client.post("/oauth/token", exchange(code)).status_code == 400

    assert client.get("/user", headers=bearer).status_code == 401
    if "refresh_token" in token:
        again = PASSWORD | {"grant_type": "refresh_token", "refresh_token": token["refresh_token"]}
        assert client.post("/oauth/token", again).status_code == 400


@contextmanager
def no_new_access_token():
    """Block storing access tokens until the block ends. Reading is still possible."""
    with transaction.atomic():  # SQLite has only one writer
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute(f"LOCK TABLE {get_access_token_model()._meta.db_table} IN EXCLUSIVE MODE")
        yield


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("scope", ["flow", "flow offline_access"])
def test_concurrent_uses_of_a_code_leave_no_valid_token(browser, scope):
    code = allow(browser, scope=scope)

    def use():
        try:
            return Client().post("/oauth/token", exchange(code))
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        with no_new_access_token():
            uses = [pool.submit(use) for _ in range(2)]
            time.sleep(1)  # both have read the code by then and wait
        first, second = sorted((each.result() for each in uses), key=lambda response: response.status_code)

    assert (first.status_code, second.status_code) == (200, 400)
    assert b"invalid_grant" in second.content
    token = token_from(first)
    assert Client().get("/user", headers={"Authorization": f"Bearer {token['access_token']}"}).status_code == 401
    assert not get_access_token_model().objects.exists()
    if "refresh_token" in token:
        again = exchange("", grant_type="refresh_token", refresh_token=token["refresh_token"])
        assert Client().post("/oauth/token", again).status_code == 400


def test_expired_code_is_refused(client, browser):
    code = allow(browser)
    get_grant_model().objects.update(expires=timezone.now() - timedelta(seconds=1))

    assert client.post("/oauth/token", exchange(code)).status_code == 400


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_id": "nobody"}, 401, "invalid_client"),
        ({"redirect_uri": "https://lights.test/other"}, 400, "invalid_grant"),
        ({"client_secret": ""}, 401, "invalid_client"),
        ({"client_id": ""}, 401, "invalid_client"),
        ({"grant_type": ""}, 400, "unsupported_grant_type"),
        ({"code": "wrong"}, 400, "invalid_grant"),
        ({"code": ""}, 400, "invalid_grant"),
        ({"grant_type": "client_credentials"}, 400, "unsupported_grant_type"),
        ({"grant_type": "implicit"}, 400, "unsupported_grant_type"),
    ],
)
def test_invalid_exchange_is_refused_in_both_formats(client, browser, changes, status, error):
    wrong = exchange(allow(browser)) | changes

    as_form = client.post("/oauth/token", wrong)
    as_json = client.post("/oauth/token", wrong, headers={"Accept": "application/json"})

    assert (as_form.status_code, as_json.status_code) == (status, status)
    assert dict(parse_qsl(as_form.content.decode()))["error"] == error
    assert as_json.json()["error"] == error
    assert not get_access_token_model().objects.exists()


@pytest.mark.parametrize("body", [b"{", b"[1]", b'{"code": {"a": 1}}', b"\xff", b'{"code": "\\ud800"}'])
def test_unreadable_token_request_is_refused(client, world, body):
    response = client.post(
        "/oauth/token", body, content_type="application/json", headers={"Accept": "application/json"}
    )

    assert response.status_code == 400
    assert response.json()["error"]


def test_refresh_token_requires_offline_access_and_works_once(client, browser):
    without = token_from(client.post("/oauth/token", exchange(allow(browser))))
    offline = token_from(client.post("/oauth/token", exchange(allow(browser, scope="flow offline_access"))))
    refresh = {
        "grant_type": "refresh_token",
        "refresh_token": offline["refresh_token"],
        "client_id": "build-lights",
        "client_secret": SECRET,
    }

    renewed = token_from(client.post("/oauth/token", refresh))

    assert "refresh_token" not in without
    assert renewed["scope"] == "flow,offline_access"
    assert renewed["access_token"] != offline["access_token"]
    assert renewed["refresh_token"] != offline["refresh_token"]
    old = client.get("/user", headers={"Authorization": f"Bearer {offline['access_token']}"})
    assert old.status_code == 401
    assert client.post("/oauth/token", refresh).status_code == 400


def test_password_is_exchanged_for_a_token(client, world):
    password = {
        "grant_type": "password",
        "username": "Ines@example.com",
        "password": "a password",
        "scope": "flow,profile",
        "client_id": "build-lights",
        "client_secret": SECRET,
    }

    assert token_from(client.post("/oauth/token", password))["scope"] == "flow,profile"
    assert client.post("/oauth/token", password | {"password": "wrong"}).status_code == 400


def test_out_of_band_code_is_in_the_url_and_on_the_page(client, browser, world):
    Application.objects.update(redirect_uris=OUT_OF_BAND)

    response = browser.post(authorize_address(redirect_uri=OUT_OF_BAND), {"allow": "yes"})

    code = response["Location"].removeprefix("/oauth/authorize/")
    assert code in browser.get(response["Location"]).content.decode()
    token = token_from(client.post("/oauth/token", exchange(code, redirect_uri=OUT_OF_BAND)))
    assert token["access_token"]
    assert browser.get(f"/oauth/authorize/{code}").status_code == 404


def test_denying_an_out_of_band_request_shows_a_page(browser):
    Application.objects.update(redirect_uris=OUT_OF_BAND)

    response = browser.post(authorize_address(redirect_uri=OUT_OF_BAND), {"allow": "no"})

    assert response.status_code == 200
    assert "You did not allow" in response.content.decode()


def test_code_of_another_person_is_not_shown(browser, world):
    Application.objects.update(redirect_uris=OUT_OF_BAND)
    address = browser.post(authorize_address(redirect_uri=OUT_OF_BAND), {"allow": "yes"})["Location"]
    otto = Client()
    otto.force_login(world.otto)

    assert otto.get(address).status_code == 404


def test_tokens_and_secrets_are_not_stored_in_plain_text(client, browser):
    token = token_from(client.post("/oauth/token", exchange(allow(browser, scope="flow offline_access"))))

    rows = [
        *get_access_token_model().objects.values(),
        *get_refresh_token_model().objects.values(),
        *Application.objects.values(),
    ]
    kept = json.dumps(rows, default=str)
    for secret in (token["access_token"], token["refresh_token"], SECRET):
        assert secret not in kept


def test_new_client_secret_replaces_the_old_one(client, browser, world):
    secret = world.application.rotate_secret()

    assert client.post("/oauth/token", exchange(allow(browser))).status_code == 401
    assert token_from(client.post("/oauth/token", exchange(allow(browser), client_secret=secret)))["access_token"]


PASSWORD = {
    "grant_type": "password",
    "username": "ines@example.com",
    "password": "a password",
    "client_id": "build-lights",
    "client_secret": SECRET,
}


@pytest.mark.parametrize(
    ("asked", "granted"),
    [
        (None, "flow,private"),
        ("", "flow,private"),
        ("manage profile", "manage,profile"),
        ("manage,profile", "manage,profile"),
        ("integration, flow", "integration,flow"),
    ],
)
def test_scopes_are_separated_by_spaces_or_commas_and_have_a_default(client, world, asked, granted):
    body = PASSWORD | ({} if asked is None else {"scope": asked})

    assert token_from(client.post("/oauth/token", body))["scope"] == granted


def test_password_grant_gives_a_refresh_token_for_offline_access_only(client, world):
    assert "refresh_token" not in token_from(client.post("/oauth/token", PASSWORD))
    offline = token_from(client.post("/oauth/token", PASSWORD | {"scope": "flow offline_access"}))

    again = {"grant_type": "refresh_token", "refresh_token": offline["refresh_token"]}
    keys = {"client_id": "build-lights", "client_secret": SECRET}
    renewed = token_from(client.post("/oauth/token", again | keys))
    assert client.get("/flows", headers={"Authorization": f"Bearer {renewed['access_token']}"}).status_code == 200


def test_reused_refresh_token_revokes_its_tokens(client, world):
    """The thief and the owner of a stolen token cannot be distinguished, so both have to sign in again."""
    offline = token_from(client.post("/oauth/token", PASSWORD | {"scope": "flow offline_access"}))
    again = PASSWORD | {"grant_type": "refresh_token", "refresh_token": offline["refresh_token"]}
    renewed = token_from(client.post("/oauth/token", again))

    assert client.post("/oauth/token", again).status_code == 400
    assert client.post("/oauth/token", again | {"refresh_token": renewed["refresh_token"]}).status_code == 400
    assert client.get("/flows", headers={"Authorization": f"Bearer {renewed['access_token']}"}).status_code == 401


@pytest.fixture
def meanwhile():
    """Do something as soon as `table` has been read, like another request at the same time."""

    @contextmanager
    def happens(table, what):
        is_done = False

        def watch(execute, sql, params, many, context):
            nonlocal is_done
            result = execute(sql, params, many, context)
            if not is_done and sql.startswith("SELECT") and f'FROM "{table}"' in sql:
                is_done = True
                what()
            return result

        with connection.execute_wrapper(watch):
            yield
        assert is_done

    return happens


@pytest.mark.parametrize("accept", ["*/*", "application/json"])
def test_concurrent_use_of_a_refresh_token_succeeds_once(client, world, meanwhile, accept):
    offline = token_from(client.post("/oauth/token", PASSWORD | {"scope": "flow offline_access"}))
    again = PASSWORD | {"grant_type": "refresh_token", "refresh_token": offline["refresh_token"]}
    tokens = get_refresh_token_model().objects

    with meanwhile("oauth2_provider_refreshtoken", lambda: tokens.update(revoked=timezone.now())):
        response = client.post("/oauth/token", again, headers={"Accept": accept})

    assert response.status_code == 400
    assert "invalid_grant" in response.content.decode()
    assert tokens.filter(revoked=None).count() == 0


def test_concurrent_use_of_a_code_succeeds_once(client, browser, meanwhile):
    code = allow(browser)

    with meanwhile("oauth2_provider_grant", lambda: get_grant_model().objects.all().delete()):
        response = client.post("/oauth/token", exchange(code), headers={"Accept": "application/json"})

    assert (response.status_code, response.json()["error"]) == (400, "invalid_grant")
    assert not get_access_token_model().objects.exists()


def test_form_in_another_charset_is_read(client, world):
    world.ines.set_password("pässwörd 1")
    world.ines.save()
    form = urlencode(PASSWORD | {"password": "pässwörd 1"}, encoding="latin-1")

    response = client.post("/oauth/token", form, content_type="application/x-www-form-urlencoded; charset=ISO-8859-1")

    assert token_from(response)["access_token"]


def test_too_many_parameters_are_refused_in_the_same_format(client, world):
    response = client.post("/oauth/token?" + "&".join(f"a{number}=1" for number in range(2000)))

    assert response.status_code == 400
    assert dict(parse_qsl(response.content.decode()))["error"] == "invalid_request"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"password": "wrong"}, "invalid_grant"),
        ({"username": "nobody@example.com"}, "invalid_grant"),
        ({"username": ""}, "invalid_request"),
        ({"scope": "flow everything"}, "invalid_scope"),
        ({"grant_type": "refresh_token"}, "invalid_request"),
        ({"grant_type": "refresh_token", "refresh_token": "nonsense"}, "invalid_grant"),
    ],
)
@pytest.mark.parametrize("accept", ["*/*", "application/json"])
def test_invalid_token_request_says_what_is_wrong(client, world, changes, error, accept):
    response = client.post("/oauth/token", PASSWORD | changes, headers={"Accept": accept})

    if accept == "*/*":
        assert response["Content-Type"].startswith("application/x-www-form-urlencoded")
        answer = dict(parse_qsl(response.content.decode()))
    else:
        assert response["Content-Type"].startswith("application/json")
        answer = response.json()
    assert (response.status_code, answer["error"]) == (400, error)


def test_closed_account_gets_no_token(client, world):
    world.ines.is_active = False
    world.ines.save()

    assert client.post("/oauth/token", PASSWORD).status_code == 400


@pytest.mark.parametrize("path", ["/oauth/token", "/oauth/revoke"])
def test_token_endpoints_accept_only_post(client, world, path):
    as_form, as_json = client.get(path), client.get(path, headers={"Accept": "application/json"})

    assert as_form.status_code == as_json.status_code == 405
    assert as_form["Allow"] == "POST, OPTIONS"
    assert dict(parse_qsl(as_form.content.decode()))["error"] == as_json.json()["error"] == "invalid_request"
    assert client.post(path, b"<xml/>", content_type="text/xml").status_code == 415


def test_redirect_uri_can_be_left_out_of_both_requests(client, browser):
    code = allow(browser, redirect_uri=None)
    body = exchange(code)
    del body["redirect_uri"]

    assert token_from(client.post("/oauth/token", body))["access_token"]


@pytest.mark.parametrize("hint", [None, "access_token", "refresh_token", "nonsense"])
@pytest.mark.parametrize("which", ["access_token", "refresh_token"])
def test_application_can_revoke_its_token(client, world, which, hint):
    offline = token_from(client.post("/oauth/token", PASSWORD | {"scope": "flow offline_access"}))
    keys = {"client_id": "build-lights", "client_secret": SECRET}

    response = client.post(
        "/oauth/revoke", keys | {"token": offline[which]} | ({"token_type_hint": hint} if hint else {})
    )

    assert (response.status_code, response.content) == (200, b"")
    bearer = {"Authorization": f"Bearer {offline['access_token']}"}
    assert client.get("/flows", headers=bearer).status_code == 401
    again = {"grant_type": "refresh_token", "refresh_token": offline["refresh_token"]}
    assert client.post("/oauth/token", again | keys).status_code == 400


def test_application_cannot_revoke_tokens_of_others(client, world):
    other = Application.objects.create(
        name="Other",
        client_id="other",
        client_secret="other secret",
        redirect_uris="https://other.test",
        client_type=Application.CLIENT_CONFIDENTIAL,
        authorization_grant_type=Application.GRANT_AUTHORIZATION_CODE,
    )
    token = token_from(client.post("/oauth/token", PASSWORD))["access_token"]
    keys = {"client_id": other.client_id, "client_secret": "other secret"}

    assert client.post("/oauth/revoke", keys | {"token": token}).status_code == 200
    assert client.post("/oauth/revoke", keys | {"token": "nonsense"}).status_code == 200
    wrong = client.post("/oauth/revoke", keys | {"client_secret": "x", "token": token})
    assert (wrong.status_code, dict(parse_qsl(wrong.content.decode()))["error"]) == (401, "invalid_client")
    without = client.post("/oauth/revoke", keys, headers={"Accept": "application/json"})
    assert (without.status_code, without.json()["error"]) == (400, "invalid_request")
    assert client.get("/flows", headers={"Authorization": f"Bearer {token}"}).status_code == 200


def test_access_revoked_in_the_account_ends_immediately(client, browser, world):
    token = token_from(client.post("/oauth/token", exchange(allow(browser, scope="flow offline_access"))))
    pending = allow(browser)

    browser.post(f"/account/authorized/{world.application.pk}/revoke")

    bearer = {"Authorization": f"Bearer {token['access_token']}"}
    assert client.get("/flows", headers=bearer).status_code == 401
    again = PASSWORD | {"grant_type": "refresh_token", "refresh_token": token["refresh_token"]}
    assert client.post("/oauth/token", again).status_code == 400
    assert client.post("/oauth/token", exchange(pending)).status_code == 400


def test_v1_prefix_works_for_oauth(client, browser):
    assert token_from(client.post("/v1/oauth/token", exchange(allow(browser))))["access_token"]
