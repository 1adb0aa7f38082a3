"""Clients that guess passwords are slowed down, and callers over the rate limit are told how long to wait."""

from datetime import timedelta
from urllib.parse import parse_qsl

import pytest
import time_machine
from django.core.cache import caches
from django.test import Client
from django.utils import timezone

from flowdock_server.models import ApiToken, Application, SignInFailures
from flowdock_server.secrets.tokens import digest

from .conftest import SECRET, activity, basic, post

PASSWORD = {"grant_type": "password", "client_id": "build-lights", "client_secret": SECRET, "scope": "flow"}


def by_page(email, password, **more):
    return Client().post("/login", {"username": email, "password": password}, **more)


def by_basic(email, password, **more):
    return basic(email, password).get("/user", **more)


def by_grant(email, password, **more):
    return Client().post("/oauth/token", PASSWORD | {"username": email, "password": password}, **more)


WAYS = [by_page, by_basic, by_grant]


@pytest.fixture
def at():
    with time_machine.travel("2026-11-24T12:00:00Z", tick=False) as clock:
        yield clock


@pytest.mark.parametrize("sign_in", WAYS)
@pytest.mark.parametrize("email", ["ines@example.com", "nobody@example.com"])
def test_guessing_client_waits_longer_each_time(world, at, sign_in, email):
    refused = {sign_in(email, f"guess {number}").status_code for number in range(5)}
    assert 429 not in refused

    for wait in (1, 2, 4, 8):
        stopped = sign_in(email, "a password")
        assert stopped.status_code == 429
        assert stopped["Retry-After"] == str(wait)
        assert f"Try again in {wait} seconds" in stopped.content.decode().replace("+", " ")
        at.shift(wait)
        assert sign_in(email, "another guess").status_code in refused


@pytest.mark.parametrize("sign_in", WAYS)
def test_correct_password_works_after_the_wait(world, at, sign_in):
    for _ in range(5):
        sign_in("ines@example.com", "wrong")
    at.shift(1)

    assert sign_in("Ines@Example.com", "a password").status_code in (200, 302)
    # All failures have expired.
    assert sign_in("ines@example.com", "wrong").status_code != 429
    assert sign_in("ines@example.com", "a password").status_code in (200, 302)


def test_all_ways_to_sign_in_are_counted_together_in_the_database(world, at):
    for number in range(5):
        WAYS[number % 3]("ines@example.com", "wrong", REMOTE_ADDR=f"192.0.2.{number}")

    assert {way("ines@example.com", "a password").status_code for way in WAYS} == {429}
    assert by_basic("otto@example.com", "a password").status_code == 200
    assert "ines" not in str(SignInFailures.objects.values())


def test_wait_is_limited_and_failures_expire(world, at):
    SignInFailures.objects.create(key=digest("account ines@example.com"), count=1_000_000, last_at=timezone.now())

    assert by_basic("ines@example.com", "a password")["Retry-After"] == "300"
    at.shift(timedelta(minutes=61))
    assert by_basic("otto@example.com", "wrong").status_code == 401
    assert SignInFailures.objects.count() == 2


def test_address_that_tries_many_accounts_is_slowed_down(world, at):
    for number in range(20):
        assert by_basic(f"person-{number}@example.com", "123456", REMOTE_ADDR="192.0.2.7").status_code == 401

    assert by_basic("otto@example.com", "a password", REMOTE_ADDR="192.0.2.7").status_code == 429
    assert by_basic("otto@example.com", "a password", REMOTE_ADDR="192.0.2.8").status_code == 200
    at.shift(1)
    # Signing in with one's own account does not reset the address.
    assert by_basic("otto@example.com", "a password", REMOTE_ADDR="192.0.2.7").status_code == 200
    assert by_basic("x@example.com", "123456", REMOTE_ADDR="192.0.2.7").status_code == 401
    assert by_basic("ines@example.com", "a password", REMOTE_ADDR="192.0.2.7").status_code == 429
    # At an address from which Otto has signed in before, guesses of others do not lock him out.
    assert by_basic("otto@example.com", "a password", REMOTE_ADDR="192.0.2.7").status_code == 200


def test_guessing_a_client_secret_is_slowed_down_by_address(world, at):
    def exchange(address, secret=SECRET, as_basic=False):
        asked = {"grant_type": "refresh_token", "refresh_token": "none"}
        client = basic("build-lights", secret) if as_basic else Client()
        asked |= {} if as_basic else {"client_id": "build-lights", "client_secret": secret}
        return client.post("/oauth/token", asked, REMOTE_ADDR=address).status_code

    assert exchange("192.0.2.1") == 400  # the client is correct, only the token is wrong
    for number in range(20):
        assert exchange("192.0.2.7", "wrong", as_basic=bool(number % 2)) == 401

    assert [exchange("192.0.2.7", as_basic=each) for each in (False, True)] == [429, 429]
    assert Client().post("/oauth/revoke", {"client_id": "x", "token": "x"}, REMOTE_ADDR="192.0.2.7").status_code == 429
    assert exchange("192.0.2.8") == 400  # the id is public, so guesses from elsewhere lock nobody out
    for _ in range(20):
        exchange("192.0.2.1", "wrong", as_basic=True)
    assert exchange("192.0.2.8") == 400


def test_application_is_not_locked_out_at_a_known_address(world, at):
    asked = {"grant_type": "refresh_token", "refresh_token": "none", "client_id": "build-lights"}
    assert Client().post("/oauth/token", asked | {"client_secret": SECRET}).status_code == 400
    for _ in range(25):
        Client().post("/oauth/token", asked | {"client_id": "another", "client_secret": "wrong"})

    assert Client().post("/oauth/token", asked | {"client_secret": SECRET}).status_code == 400


def test_generated_client_secret_is_checked_by_one_digest(world, as_person):
    registered = post(
        basic("ines@example.com", "a password"),
        "/oauth/applications",
        {"application": {"name": "x", "redirect_uri": "https://x.test/"}},
    ).json()
    application = Application.objects.get(client_id=registered["client_id"])
    asked = {"grant_type": "refresh_token", "refresh_token": "none", "client_id": registered["client_id"]}

    assert application.client_secret.startswith("generated_sha256$")
    assert registered["client_secret"] not in application.client_secret
    assert application.signing_secret == registered["client_secret"]
    assert Client().post("/oauth/token", asked | {"client_secret": registered["client_secret"]}).status_code == 400
    assert Client().post("/oauth/token", asked | {"client_secret": "x" * 64}).status_code == 401
    # A chosen secret is short, so guessing it stays expensive.
    assert not world.application.client_secret.startswith("generated")


@pytest.mark.parametrize("sign_in", WAYS)
def test_guessing_from_elsewhere_locks_nobody_out(world, at, sign_in):
    assert sign_in("ines@example.com", "a password", REMOTE_ADDR="192.0.2.1").status_code in (200, 302)
    at.shift(timedelta(days=20))
    for number in range(100):
        at.shift(60)
        sign_in("Ines@example.com", "wrong", REMOTE_ADDR=f"198.51.100.{number}")

    assert sign_in("ines@example.com", "a password", REMOTE_ADDR="192.0.2.99").status_code == 429
    assert sign_in("ines@example.com", "a password", REMOTE_ADDR="192.0.2.1").status_code in (200, 302)
    # The failures from elsewhere still count.
    assert sign_in("ines@example.com", "a password", REMOTE_ADDR="192.0.2.99").status_code == 429


def test_guessing_from_a_known_address_is_slowed_down_too(world, at):
    assert by_basic("ines@example.com", "a password").status_code == 200
    for _ in range(5):
        assert by_basic("ines@example.com", "wrong").status_code == 401

    assert by_basic("ines@example.com", "a password")["Retry-After"] == "1"
    at.shift(timedelta(minutes=61))
    assert by_basic("ines@example.com", "wrong").status_code == 401
    assert by_basic("ines@example.com", "a password").status_code == 200


def test_address_of_a_sign_in_is_known_for_a_month(world, at):
    by_basic("ines@example.com", "a password", REMOTE_ADDR="192.0.2.1")
    at.shift(timedelta(days=31))
    for number in range(6):
        by_basic("ines@example.com", "wrong", REMOTE_ADDR=f"198.51.100.{number}")

    assert by_basic("ines@example.com", "a password", REMOTE_ADDR="192.0.2.1").status_code == 429


def test_ipv6_network_counts_as_one_address(world, at):
    for number in range(20):
        by_basic(f"person-{number}@example.com", "x", REMOTE_ADDR=f"2001:db8::{number}")

    assert by_basic("otto@example.com", "a password", REMOTE_ADDR="2001:db8::ffff").status_code == 429
    assert by_basic("otto@example.com", "a password", REMOTE_ADDR="2001:db8:0:1::1").status_code == 200


def test_forwarded_address_counts_if_the_proxy_is_trusted(world, at, settings):
    def guess(said):
        headers = {"HTTP_X_FORWARDED_FOR": said, "REMOTE_ADDR": "127.0.0.1"}
        return by_basic("otto@example.com", "a password", **headers).status_code

    for number in range(20):
        by_basic(
            f"person-{number}@example.com", "x", REMOTE_ADDR="127.0.0.1", HTTP_X_FORWARDED_FOR=f"{number}, 192.0.2.7"
        )
    assert guess("192.0.2.9") == 429
    settings.TRUST_FORWARDED_FOR = True
    SignInFailures.objects.all().delete()
    for number in range(20):
        by_basic(
            f"person-{number}@example.com", "x", REMOTE_ADDR="127.0.0.1", HTTP_X_FORWARDED_FOR=f"{number}, 192.0.2.7"
        )
    assert guess("192.0.2.9, 192.0.2.7") == 429
    assert guess("192.0.2.7, 192.0.2.9") == 200
    assert guess("nonsense") == 200


def test_closed_account_gets_the_same_answer_as_an_unknown_one(world, at):
    world.ines.is_active = False
    world.ines.save()

    closed, unknown = by_page("ines@example.com", "a password"), by_page("nobody@example.com", "a password")

    assert closed.context["form"].errors == unknown.context["form"].errors


def test_password_grant_reports_the_wait_in_oauths_format(world, at):
    for _ in range(5):
        by_grant("ines@example.com", "wrong")

    assert dict(parse_qsl(by_grant("ines@example.com", "x").content.decode()))["error"] == "temporarily_unavailable"
    as_json = by_grant("ines@example.com", "x", headers={"Accept": "application/json"})
    assert as_json.json()["error"] == "temporarily_unavailable"


def test_personal_tokens_are_not_slowed_down(world, as_person):
    client = as_person(world.ines)
    for _ in range(30):
        assert basic("0" * 32).get("/user").status_code == 401

    assert client.get("/user").status_code == 200


@pytest.fixture
def limit(settings):
    caches["limits"].clear()
    settings.RATE_LIMIT = 3
    yield
    caches["limits"].clear()


def test_caller_over_the_limit_gets_retry_after(limit, world, as_person, at):
    at.shift(20)
    ines, otto = as_person(world.ines), as_person(world.otto)
    assert [ines.get("/user").status_code for _ in range(3)] == [200] * 3

    stopped = ines.get("/v1/user.json", headers={"Origin": "https://lights.test"})

    assert stopped.status_code == 429
    assert stopped["Retry-After"] == "40"
    assert stopped.json() == {"message": "Too many requests. Try again in 40 seconds."}
    assert "Retry-After" in stopped["Access-Control-Expose-Headers"]
    assert ines.options("/user").status_code == 200
    assert otto.get("/user").status_code == 200
    at.shift(40)
    assert ines.get("/user").status_code == 200


def test_each_key_has_its_own_limit_wherever_it_is_sent(limit, world, connect, client, at):
    (_, first), (_, second) = connect(), connect(name="other")

    for _ in range(3):
        assert post(client, "/messages", activity(flow_token=first)).status_code == 201
    assert post(client, "/messages", activity(flow_token=first)).status_code == 429
    assert client.get(f"/sources?flow_token={first}").status_code == 429
    assert client.post("/messages", {"flow_token": second, "event": "message", "content": "x"}).status_code == 201
    for _ in range(3):
        assert client.get("/user").status_code == 401
    assert client.get("/user").status_code == 429


def test_random_keys_do_not_avoid_the_limit(limit, world, as_person, connect, client, at):
    ines = as_person(world.ines)
    assert ines.get("/user").status_code == 200

    statuses = [basic(f"{number:032x}").get("/user").status_code for number in range(2)]
    statuses += [client.get("/user", headers={"Authorization": f"Bearer {number}"}).status_code for number in range(2)]
    statuses += [client.get(f"/sources?flow_token={number}").status_code for number in range(2)]

    assert statuses == [401, 401, 401, 429, 429, 429]
    # A key that was verified before has its own limit.
    assert [ines.get("/user").status_code for _ in range(3)] == [200, 200, 429]


def test_other_spellings_of_a_key_do_not_avoid_the_limit(limit, world, connect, at):
    token = ApiToken.issue(world.ines, "laptop")[1]
    _, flow_token = connect()

    by_basic = [basic(token, f"password {number}").get("/user").status_code for number in range(7)]
    at.shift(60)
    by_flow_token = [basic(f"{n}").get(f"/sources?flow_token={flow_token}").status_code for n in range(7)]

    # The limit of the key, then that of the address.
    assert by_basic == by_flow_token == [200] * 6 + [429]


def test_key_stays_known_after_a_request_that_did_not_check_it(limit, world, as_person, client, at):
    ines = as_person(world.ines)
    assert ines.get("/user").status_code == 200
    for _ in range(4):
        client.get("/user")

    assert ines.delete("/user").status_code == 405

    assert ines.get("/user").status_code == 200


def test_limit_also_applies_to_oauth(limit, world, at):
    asked = {"grant_type": "refresh_token", "client_id": "build-lights", "client_secret": SECRET}
    answers = [Client().post(f"/oauth/{name}", asked) for name in ("token", "revoke", "token", "token")]

    assert answers[-1].status_code == 429
    assert int(answers[-1]["Retry-After"]) <= 60
    assert 429 not in [answer.status_code for answer in answers[:-1]]


def test_requests_are_not_limited_by_default(world, as_person):
    client = as_person(world.ines)

    assert {client.get("/user").status_code for _ in range(50)} == {200}
