"""Run by test_races.py in a process of its own, with a database that several threads can use."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import django

django.setup()

# ruff: noqa: E402  models can be imported only now

import responses
from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.test import Client

from integrations.fields import encrypt
from integrations.flowdock.oauth import TOKEN_KEY
from integrations.models import Event, Integration, Origin
from polls.models import Category, Poll

PEOPLE = 12
HOST = {"SERVER_NAME": "127.0.0.1"}


def client_of(name: str) -> Client:
    client = Client(**HOST)
    client.force_login(User.objects.get(username=name))
    session = client.session
    session[TOKEN_KEY] = [encrypt("token"), int(time.time()), 0]
    session.save()
    client.cookies[settings.SESSION_COOKIE_NAME] = session.session_key
    return client


def at_once(calls: Sequence[Callable[[], Any]]) -> list[int]:
    """The statuses of the answers to requests that are sent at the same time, each over a connection of its own."""

    def ask(call: Callable[[], Any]) -> int:
        try:
            return call().status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(ask, calls))


def new_poll(options: Sequence[str] = ("Pizza", "Sushi", "Salad")) -> Poll:
    author = User.objects.get(username="p0")
    return Poll.objects.start(author, question="Lunch?", options=options, organization="acme", category="Lunch")


def posted(poll: Poll, kind: str) -> list[dict[str, Any]]:
    """The outbox in order: titles, and the fields of the thread."""
    activities = Event.objects.filter(kind=kind, thread_id=f"poll:{poll.pk}").order_by("id")
    return [
        {
            "title": activity["title"],
            "fields": {field["label"]: field["value"] for field in activity["thread"]["fields"]},
        }
        for activity in activities.values_list("activity", flat=True)
    ]


def results(poll: Poll) -> dict[str, Any]:
    stands = poll.results()
    return {"voters": stands.voters, "votes": {option.label: option.votes for option in stands.options}}


def main() -> dict[str, Any]:
    call_command("migrate", verbosity=0)  # nothing where the database is a copy of one that has its tables
    for number in range(PEOPLE):
        User.objects.create_user(f"p{number}")
    origin = Origin.objects.create(service="polls", name="All polls", organization="acme")
    Integration.objects.create(origin=origin, name=origin.name, flow_token="token")
    people = [client_of(f"p{number}") for number in range(PEOPLE)]

    # Everybody votes at once.
    poll = new_poll()
    vote = f"/polls/{poll.pk}/options/{poll.options.first().pk}/vote/"
    crowd = {
        "answers": at_once([lambda client=client: client.post(vote) for client in people]),
        "results": results(poll),
        "posted": posted(poll, "voted"),
        "version": Poll.objects.get(pk=poll.pk).version,
    }

    # One person votes for everything at once, in two browsers and more.
    poll = new_poll()
    vote = f"/polls/{poll.pk}/options/{{}}/vote/"
    options = list(poll.options.all())
    one = {
        "answers": at_once(
            [lambda option=option: client_of("p1").post(vote.format(option.pk)) for option in options * 4]
        ),
        "results": results(poll),
        "posted": posted(poll, "voted"),
    }

    # Everybody adds the same option.
    poll = new_poll()
    same = {
        "answers": at_once(
            [
                lambda client=client, label=label: client.post(f"/polls/{poll.pk}/options/", {"label": label})
                for client, label in zip(people, ["Soup", "SOUP", "soup"] * 4, strict=True)
            ]
        ),
        "options": poll.options.count(),
        "posted": posted(poll, "option_added"),
    }

    # Everybody votes while it is closed.
    poll = new_poll(("Pizza", "Sushi"))
    vote = f"/polls/{poll.pk}/options/{poll.options.first().pk}/vote/"
    calls = [lambda client=client: client.post(vote) for client in people]
    calls.insert(PEOPLE // 2, lambda: client_of("p0").post(f"/polls/{poll.pk}/close/"))
    calls.insert(PEOPLE // 2, lambda: client_of("p0").post(f"/polls/{poll.pk}/close/"))
    closed = {
        "answers": at_once(calls),
        "results": results(poll),
        "votes_posted": posted(poll, "voted"),
        "posted": posted(poll, "closed"),
    }

    # The same forms again and again, and a category that nobody has named before.
    new = {"question": "?", "options": "A\nB", "new_category": "Brand new"}
    form_key = "8a5ba5a2-2a6f-4c8c-9c39-1f4d0c3d3f8b"
    before = Poll.objects.count()
    forms = {
        "answers": at_once(
            [lambda: client_of("p2").post("/polls/new/", new | {"form_key": form_key}) for _ in range(6)]
            + [lambda client=client: client.post("/polls/new/", new) for client in people[3:9]]
            + [
                lambda: client_of("p2").post(f"/polls/{poll.pk - 1}/comments/", {"text": "Hm.", "form_key": form_key})
                for _ in range(6)
            ]
        ),
        "polls": Poll.objects.count() - before,
        "categories": Category.objects.filter(key="brand new").count(),
        "comments": Poll.objects.get(pk=poll.pk - 1).comments.count(),
    }
    return {"crowd": crowd, "one": one, "same": same, "closed": closed, "forms": forms}


FLOW = {"id": "main", "url": f"{settings.FLOWDOCK_API_URL}/flows/acme/main", "name": "Main"}

with responses.RequestsMock() as flowdock:
    flowdock.get(f"{settings.FLOWDOCK_API_URL}/flows", json=[FLOW])
    print(json.dumps(main()))
