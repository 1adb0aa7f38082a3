"""Search: every word is the beginning of a word of the message, whatever its case and accents."""

import pytest
from django.db import connection

from flowdock_server import search
from flowdock_server.models import Message

from .conftest import activity, post

MESSAGES = "/flows/acme/main/messages"


@pytest.fixture
def ines(world, as_person):
    return as_person(world.ines)


@pytest.fixture
def find(ines):
    def found(words, **more):
        response = ines.get(MESSAGES, {"search": words, **more})
        assert response.status_code == 200
        return [message["id"] for message in response.json()]

    return found


def say(client, *contents, flow="main"):
    return [
        post(client, f"/flows/acme/{flow}/messages", {"event": "message", "content": content}).json()["id"]
        for content in contents
    ]


@pytest.mark.parametrize(
    "words",
    [
        "deploy", "DEPLOYED", "deployed größe", "grosse", "grösse", "Große", "octo hello", "octo/hello", "v2", "14",
        "v2.14.0", "низкая вода", "日本", "low-tide", "low_tide", "a", "deployed deployed", "été", "ete",
        "  deployed  ", '"deployed"', "deployed OR", "-deployed",
        "deployed*", "(deployed)", "it's", "deployed'", "NEAR deployed",
    ],
)  # fmt: skip
def test_every_word_begins_a_word(ines, find, words):
    number, _ = say(
        ines,
        "Deployed octo/hello v2.14.0: a GRÖSSE low-tide low_tide, Низкая вода 日本語 Été or near it's",
        "Something else",
    )

    assert find(words) == [number]


@pytest.mark.parametrize(
    "words", ["eployed", "deployed nothing", "octohello", "e", "or_ nothing", "!!!", "'", '"', "*", "日本人"]
)
def test_what_is_not_there_is_not_found(ines, find, words):
    say(ines, "Deployed octo/hello", "日本語")

    assert find(words) == []


def test_inbox_messages_are_found_by_their_texts_and_not_by_their_tags(ines, find, connect, client):
    draft = activity(
        flow_token=connect()[1], title="merged <a href='https://x.test'>tide</a>", body="<strong>high&amp;dry</strong>"
    )
    number = post(client, "/messages", draft).json()["id"]

    for words in ("merged tide", "high dry", "dry"):
        assert find(words) == [number]
    for words in ("strong", "href", "amp"):
        assert find(words) == []


def test_searches_are_of_one_flow_and_can_be_narrowed(world, ines, find, connect, client):
    other = say(ines, "tide", flow="lobby")
    first, second, third = say(ines, "tide one", "tide two #red", "tide three")
    status = post(ines, MESSAGES, {"event": "status", "content": "tide"}).json()["id"]
    thread_id = post(client, "/messages", activity(flow_token=connect()[1], title="tide")).json()["thread_id"]

    assert find("tide") == [first, second, third, status, status + 1]
    assert find("tide", event="message") == [first, second, third]
    assert find("tide", tags="red") == [second]
    assert find("tide", limit=2, event="message") == [second, third]
    assert find("tide", limit=2, event="message", sort="asc") == [first, second]
    assert find("tide", limit=2, skip=2, event="message") == [first]
    in_thread = ines.get(f"/flows/acme/main/threads/{thread_id}/messages", {"search": "tide"}).json()
    assert [message["id"] for message in in_thread] == [status + 1]
    in_lobby = ines.get("/flows/acme/lobby/messages", {"search": "tide"}).json()
    assert [message["id"] for message in in_lobby] == other


def test_a_blank_search_is_none(ines, find):
    assert find("  ") == say(ines, "tide") or find("  ")


def test_long_bodies_and_long_searches_have_an_end(ines, find, connect, client):
    body = " ".join(f"w{number}" for number in range(5000))
    number = post(client, "/messages", activity(flow_token=connect()[1], body=body)).json()["id"]

    assert find("w1999 opened") == []
    assert find("w1500 opened") == [number]
    assert find(" ".join(f"w{n}" for n in range(60))) == [number]
    assert find("x" * 499) == []


def test_what_happened_is_not_searched(ines, find):
    (number,) = say(ines, "low tide")
    ines.put(f"{MESSAGES}/{number}", {"content": "high tide"}, content_type="application/json")

    assert find("tide") == [number]


def test_stored_in_bulk_and_added_later(world, find):
    message = Message.objects.create(flow=world.main, number=5, event="message", content="from an archive")
    assert find("archive") == []

    search.add([message])
    search.add([message])

    assert find("archive") == [5]


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL decides by its statistics")
def test_the_index_leads(world):
    found = search.matching(world.main.messages.filter(event__in=["message"]), world.main.pk, "tide").order_by(
        "-indexed"
    )

    plan = found.explain().splitlines()
    assert "flowdock_server_search" in plan[0]
    assert "VIRTUAL TABLE INDEX" in plan[0]
    assert "TEMP B-TREE" not in found.explain()
