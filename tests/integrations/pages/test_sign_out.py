"""Signing out ends the session wherever a copy of its cookie is, and gives Flowdock its token back."""

from __future__ import annotations

import datetime as dt
import time

import pytest
import requests
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from django.utils import timezone
from social_django.models import Nonce

from integrations.models import PasswordFailures, SignIn

pytestmark = pytest.mark.django_db

EVERYWHERE = "/account/sign-out-everywhere/"


def copy_of(client: Client) -> Client:
    """Another browser with the same cookies."""
    copy = Client(SERVER_NAME="bridge.test")
    for name, morsel in client.cookies.items():
        copy.cookies[name] = morsel.value
    return copy


def is_signed_in(client: Client) -> bool:
    return client.get("/account/").status_code == 200


def test_copied_cookie_is_invalid_after_signing_out(member):
    copy = copy_of(member)
    assert is_signed_in(copy)

    member.post("/sign-out/")

    assert not is_signed_in(copy)
    assert not is_signed_in(member)
    assert not SignIn.objects.exists()


def test_signing_out_revokes_the_access_token_at_flowdock(member, flowdock):
    member.post("/sign-out/")

    assert flowdock.calls[-1] == "POST /oauth/revoke"
    assert flowdock.refused_tokens == {"demo"}


@pytest.mark.parametrize(
    "trouble",
    [
        (404, {}, "None"),
        (401, {}, "{}"),
        (503, {}, ""),
        (302, {"Location": "/"}, ""),
        requests.ConnectionError(),
    ],
    ids=["no such call", "client refused", "away", "redirect", "unreachable"],
)
def test_signing_out_succeeds_if_flowdock_does_not_revoke_the_token(member, flowdock, trouble):
    flowdock.broken["POST /oauth/revoke"] = trouble
    copy = copy_of(member)

    assert member.post("/sign-out/").status_code == 302

    assert not is_signed_in(member)
    assert not is_signed_in(copy)


def test_signing_out_waits_for_flowdock_for_a_few_seconds_only(member, flowdock, settings, slow_server):
    settings.FLOWDOCK_API_URL = slow_server
    flowdock.mock.add_passthru(slow_server)
    began = time.monotonic()

    assert member.post("/sign-out/").status_code == 302

    assert time.monotonic() - began < 8, "of the 30 s that Flowdock takes"


def test_signing_out_keeps_sessions_in_other_browsers(member, sign_in):
    other_browser = sign_in("demo")

    member.post("/sign-out/")

    assert SignIn.objects.count() == 1
    assert other_browser.get("/polls/") is not None
    assert not is_signed_in(member)


def test_signing_out_everywhere_ends_all_sessions_of_the_person(member, sign_in, flowdock):
    laptop, somebody_else = sign_in("demo"), sign_in("other")
    assert "Sign out everywhere" in member.get("/account/").content.decode()

    assert member.post(EVERYWHERE).status_code == 302

    assert not is_signed_in(member)
    assert not is_signed_in(laptop)
    assert is_signed_in(somebody_else)
    assert member.get(EVERYWHERE).status_code == 405


def test_signing_in_again_ends_the_previous_session(member, sign_in):
    copy = copy_of(member)

    sign_in("other", member)

    assert not is_signed_in(copy)
    assert is_signed_in(member)
    assert SignIn.objects.count() == 1


def test_session_cookie_without_a_sign_in_of_its_user_is_invalid(member, sign_in, client):
    SignIn.objects.filter(user__username="demo").update(user=User.objects.create_user("somebody"))
    assert not is_signed_in(member)


@pytest.fixture
def staff(db) -> Client:
    User.objects.create_superuser("sam", password="a staff password")
    client = Client(SERVER_NAME="bridge.test")
    client.post("/admin/login/", {"username": "sam", "password": "a staff password"})
    assert client.get("/admin/").status_code == 200
    return client


def test_signing_out_of_the_admin_invalidates_the_cookie(staff):
    copy = copy_of(staff)

    staff.post("/admin/logout/")

    assert copy.get("/admin/").status_code == 302
    assert staff.get("/admin/").status_code == 302


def test_expired_and_unfinished_sign_ins_are_deleted(member, stranger, settings):
    stranger.get("/sign-in/")
    assert Nonce.objects.count() == 1
    call_command("prune_events")
    assert Nonce.objects.count() == 1, "it may still be finished"
    Nonce.objects.update(timestamp=time.time() - 3600)
    SignIn.objects.update(created_at=timezone.now() - dt.timedelta(days=15))
    for key, is_known in (("attempt", False), ("place", True)):
        PasswordFailures.objects.create(
            key=key, count=9, last_at=timezone.now() - dt.timedelta(hours=2), is_known_place=is_known
        )

    call_command("prune_events")

    assert not Nonce.objects.exists()
    assert not SignIn.objects.exists()
    assert [row.key for row in PasswordFailures.objects.all()] == ["place"]
    assert not is_signed_in(member)
