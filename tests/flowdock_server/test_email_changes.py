"""Changes of e-mail addresses take effect only after confirmation, since the address gives access to the account."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
import time_machine
from django.test import Client

from flowdock_server.models import User
from flowdock_server.people import email_changes

from .conftest import basic
from .pages import browser, see

NEW = {"email": "New@example.com", "password": "a password"}


@pytest.fixture
def ines(world) -> User:
    return world.ines


@pytest.fixture
def request_change(ines, mailoutbox):
    """Request another address on the account page, and return the path of the link that was mailed to it."""

    def requested(email: str = NEW["email"]) -> str:
        answer = browser(ines).post("/account/email", NEW | {"email": email})
        assert answer.status_code == 302, answer.content
        return link_in(mailoutbox[-1])

    return requested


def link_in(mail) -> str:
    (path,) = re.findall(r"http://testserver(/account/email/\w+)", mail.body)
    return path


def email_of(user: User) -> str:
    return User.objects.get(pk=user.pk).email


def put(client: Client, user: User, body: dict):
    return client.put(f"/users/{user.pk}", body, "application/json")


def test_new_address_takes_effect_when_its_link_is_confirmed(ines, mailoutbox):
    person = browser(ines)
    page = person.post("/account/email", NEW, follow=True)

    assert "To change your address to new@example.com" in see(page).text
    notice, confirmation = mailoutbox
    assert (notice.to, confirmation.to) == (["ines@example.com"], ["new@example.com"])
    assert "new@example.com" in notice.body
    assert "/account/email/" not in notice.body
    assert email_of(ines) == "ines@example.com"

    link = link_in(confirmation)
    assert Client().get(link).status_code == 200
    assert email_of(ines) == "ines@example.com"  # as some mail servers do
    assert Client().post(link).status_code == 302
    assert email_of(ines) == "new@example.com"
    assert person.get("/account").status_code == 200
    assert Client().get(link).status_code == Client().post(link).status_code == 404


@pytest.mark.parametrize("scope", ["profile", "profile flow private integration offline_access"])
def test_application_without_manage_cannot_change_the_address(ines, with_scopes, mailoutbox, scope):
    response = put(with_scopes(ines, scope), ines, {"email": "new@example.com", "nick": "ira"})

    assert response.status_code == 403
    assert User.objects.get(pk=ines.pk).nick == "Ines"
    assert mailoutbox == []


def test_personal_token_cannot_change_the_address(ines, as_person, mailoutbox):
    assert put(as_person(ines), ines, {"email": "new@example.com"}).status_code == 403
    assert mailoutbox == []


def test_password_or_scope_manage_requests_a_change(ines, with_scopes, mailoutbox):
    for number, client in enumerate((basic("ines@example.com", "a password"), with_scopes(ines, "manage"))):
        response = put(client, ines, {"email": f"new-{number}@example.com", "nick": f"ira{number}"})

        assert response.status_code == 202
        assert f"new-{number}@example.com" in response.json()["message"]
        assert (email_of(ines), User.objects.get(pk=ines.pk).nick) == ("ines@example.com", f"ira{number}")
    first, second = link_in(mailoutbox[1]), link_in(mailoutbox[3])
    assert Client().post(first).status_code == 404  # replaced by the second one
    assert Client().post(second).status_code == 302
    assert email_of(ines) == "new-1@example.com"


def test_link_expires_after_a_day_on_cancel_and_with_the_password(ines, request_change):
    with time_machine.travel("2026-11-24T12:00:00Z", tick=False) as clock:
        link = request_change()
        clock.shift(timedelta(hours=25))
        assert Client().post(link).status_code == 404

        link = request_change()
        browser(ines).post("/account/email/cancel")
        assert Client().post(link).status_code == 404

        link = request_change()
        browser(ines).post("/account/password", {"old": "a password", "new": "correct horse battery"})
        assert Client().post(link).status_code == 404
    assert email_of(ines) == "ines@example.com"


@pytest.mark.parametrize("ended", ["canceled", "replaced"])
def test_change_canceled_while_its_link_is_opened_has_no_effect(ines, request_change, ended):
    found = email_changes.find(request_change().rpartition("/")[2])

    if ended == "canceled":
        browser(ines).post("/account/email/cancel")
    else:
        request_change("another@example.com")

    assert not email_changes.confirm(found)
    assert email_of(ines) == "ines@example.com"
    assert (email_changes.pending(ines) is None) == (ended == "canceled")


def test_address_taken_by_somebody_else_meanwhile_is_refused(world, ines, request_change):
    link = request_change("busy@example.com")
    User.objects.create_user("busy@example.com", "Somebody Else")

    assert "Another account uses this e-mail address" in see(Client().post(link)).text
    assert email_of(ines) == "ines@example.com"


def test_failed_mail_is_reported_and_changes_nothing(ines, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9  # nobody listens there

    page = browser(ines).post("/account/email", NEW)
    answer = put(basic("ines@example.com", "a password"), ines, {"email": "new@example.com"})

    assert (page.status_code, answer.status_code) == (400, 503)
    assert "could not be sent" in see(page).text
    assert "To change your address" not in see(browser(ines).get("/account")).text
