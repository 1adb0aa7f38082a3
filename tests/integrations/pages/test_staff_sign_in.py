"""Whoever guesses the passwords of staff is slowed down, and nobody is locked out by somebody else's guessing."""

from __future__ import annotations

import datetime as dt

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from integrations.models import PasswordFailures

pytestmark = pytest.mark.django_db

PASSWORD = "a staff password"
OFFICE, ELSEWHERE = "192.0.2.1", "198.51.100.7"


@pytest.fixture(autouse=True)
def sam(db, time_machine) -> User:
    time_machine.move_to(timezone.now(), tick=False)
    return User.objects.create_superuser("sam", password=PASSWORD)


def sign_in(password: str = PASSWORD, address: str = OFFICE, username: str = "sam", **more: str) -> str:
    """What the page answers: "in", "wrong" or "wait"."""
    answer = Client(SERVER_NAME="bridge.test", REMOTE_ADDR=address).post(
        "/admin/login/", {"username": username, "password": password}, **more
    )
    if answer.status_code == 302:
        return "in"
    return "wait" if "Too many failed attempts. Try again in" in answer.content.decode() else "wrong"


def test_right_password_is_not_checked_after_several_failures():
    assert [sign_in("guess", ELSEWHERE) for _ in range(6)] == ["wrong"] * 5 + ["wait"]

    assert sign_in(address=ELSEWHERE) == "wait"


def test_each_further_failure_doubles_the_wait_up_to_five_minutes(time_machine):
    now = timezone.now()
    time_machine.move_to(now, tick=False)
    waited = []
    for _ in range(5):
        sign_in("guess", ELSEWHERE)
    for _ in range(12):
        wait = 0
        while sign_in("guess", ELSEWHERE) == "wait":
            wait = wait * 2 or 1
            time_machine.move_to(now + dt.timedelta(seconds=wait), tick=False)
        waited.append(wait)
        now += dt.timedelta(seconds=wait)
    assert waited == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 512, 512]


def test_failures_from_many_addresses_slow_down_their_account():
    tried = [sign_in("guess", f"198.51.100.{number}") for number in range(8)]

    assert tried == ["wrong"] * 5 + ["wait"] * 3


def test_failures_of_many_accounts_slow_down_their_address():
    tried = [sign_in("guess", ELSEWHERE, username=f"name-{number}") for number in range(22)]

    assert tried == ["wrong"] * 20 + ["wait"] * 2
    assert sign_in(address=OFFICE) == "in"


def test_unknown_account_is_answered_like_an_existing_one():
    assert [sign_in("guess", ELSEWHERE, username="nobody") for _ in range(6)] == ["wrong"] * 5 + ["wait"]


def test_failures_elsewhere_do_not_lock_out_staff_at_their_usual_address():
    assert sign_in() == "in"
    for _ in range(30):
        sign_in("guess", ELSEWHERE)

    assert sign_in() == "in"
    assert sign_in(address="203.0.113.9") == "wait", "from anywhere else they wait like the stranger"


def test_failures_at_the_same_address_do_not_lock_out_staff():
    assert sign_in() == "in"
    for number in range(30):
        sign_in("guess", OFFICE, username=f"name-{number}")

    assert sign_in() == "in"
    assert sign_in("guess", OFFICE, username="nobody") == "wait"
    assert [sign_in("guess", OFFICE) for _ in range(6)] == ["wrong"] * 5 + ["wait"]


def test_failures_are_reset_after_a_success_and_after_an_hour(time_machine):
    for _ in range(4):
        sign_in("typo")
    assert sign_in() == "in"
    assert [sign_in("typo") for _ in range(5)] == ["wrong"] * 5
    assert sign_in() == "wait"

    time_machine.move_to(timezone.now() + dt.timedelta(minutes=61))
    assert sign_in() == "in"


def test_trusted_proxy_appends_the_client_address(settings):
    settings.TRUST_FORWARDED_FOR = True
    for number in range(30):
        forged = f"203.0.113.{number}, {ELSEWHERE}"
        sign_in("guess", "127.0.0.1", username=f"name-{number}", headers={"X-Forwarded-For": forged})

    assert sign_in(address="127.0.0.1", headers={"X-Forwarded-For": ELSEWHERE}) == "wait"
    assert sign_in(address="127.0.0.1", headers={"X-Forwarded-For": OFFICE}) == "in"


def test_forwarded_header_is_ignored_without_a_trusted_proxy():
    for number in range(30):
        headers = {"X-Forwarded-For": f"203.0.113.{number}"}
        sign_in("guess", ELSEWHERE, username=f"name-{number}", headers=headers)

    assert sign_in(address=ELSEWHERE) == "wait"


def test_names_and_addresses_of_failures_are_stored_as_digests():
    sign_in("guess", ELSEWHERE)

    assert all(len(row.key) == 64 for row in PasswordFailures.objects.all())
