"""Search: every word is the beginning of a word of the message, whatever its case and accents."""

import pytest
from django.db import connection

from flowdock_server.models import Indexed, Message, Tag, Thread
from flowdock_server.posting import search

from .conftest import activity, post

MESSAGES = "/flows/acme/main/messages"


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
def test_each_word_matches_the_beginning_of_a_word(ines, find, words):
    number, _ = say(
        ines,
        "Deployed octo/hello v2.14.0: a GRÖSSE low-tide low_tide, Низкая вода 日本語 Été or near it's",
        "Something else",
    )

    assert find(words) == [number]


@pytest.mark.parametrize(
    "words", ["eployed", "deployed nothing", "octohello", "e", "or_ nothing", "!!!", "'", '"', "*", "日本人"]
)
def test_missing_words_are_not_found(ines, find, words):
    say(ines, "Deployed octo/hello", "日本語")

    assert find(words) == []


@pytest.mark.parametrize(
    "words",
    ["重要", "消息", "不重要的消息", "要的", "息", "不", "🎉", "🎉 消息", "iphone", "手机", "iPhone手机", "カメラ",
     "メラ", "がっこう", "っこ", "สวัส", "วัสดี", "重要 iphone"],
)  # fmt: skip
def test_word_is_found_anywhere_in_a_script_without_spaces(ines, find, words):
    number, _ = say(ines, "不重要的消息🎉 iPhone手机 カメラとがっこう สวัสดี", "Something else")

    assert find(words) == [number]


@pytest.mark.parametrize("words", ["重息", "消重", "🚀", "手iphone機", "消息人"])
def test_separate_characters_do_not_match_as_a_word(ines, find, words):
    say(ines, "不重要的消息🎉 iPhone手机")

    assert find(words) == []


def test_inbox_messages_are_found_by_text_and_not_by_tags(ines, find, connect, client):
    draft = activity(
        flow_token=connect()[1], title="merged <a href='https://x.test'>tide</a>", body="<strong>high&amp;dry</strong>"
    )
    number = post(client, "/messages", draft).json()["id"]

    for words in ("merged tide", "high dry", "dry"):
        assert find(words) == [number]
    for words in ("strong", "href", "amp"):
        assert find(words) == []


def test_search_is_limited_to_one_flow_and_can_be_filtered(world, ines, find, connect, client):
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


def test_blank_search_is_ignored(ines, find):
    assert find("  ") == say(ines, "tide") or find("  ")


def test_long_bodies_and_searches_are_cut(ines, find, connect, client):
    body = " ".join(f"w{number}" for number in range(5000))
    number = post(client, "/messages", activity(flow_token=connect()[1], body=body)).json()["id"]

    assert find("w1999 opened") == []
    assert find("w1500 opened") == [number]
    assert find(" ".join(f"w{n}" for n in range(60))) == [number]
    assert find("x" * 499) == []


def test_actions_and_edits_are_not_searched(ines, find):
    (number,) = say(ines, "low tide")
    ines.put(f"{MESSAGES}/{number}", {"content": "high tide"}, content_type="application/json")

    assert find("tide") == [number]


def test_messages_stored_in_bulk_can_be_indexed_later(world, find):
    message = Message.objects.create(flow=world.main, number=5, event="message", content="from an archive")
    assert find("archive") == []

    search.add([message])
    search.add([message])

    assert find("archive") == [5]


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL decides by its statistics")
def test_search_uses_the_index(world):
    found = search.matching(world.main.messages.filter(event__in=["message"]), world.main.pk, "tide").order_by(
        "-indexed"
    )

    plan = found.explain().splitlines()
    assert "flowdock_server_search" in plan[0]
    assert "VIRTUAL TABLE INDEX" in plan[0]
    assert "TEMP B-TREE" not in found.explain()


@pytest.mark.parametrize("what", ["flow", "thread", "message"])
def test_deleted_message_leaves_the_index(world, ines, connect, client, what):
    say(ines, "ebb", flow="lobby")
    post(client, "/messages", activity(flow_token=connect(world.lobby)[1]))
    message = post(client, "/messages", activity(flow_token=connect()[1])).json()
    before = set(Indexed.objects.values_list("pk", flat=True))
    gone = Message.objects.get(flow=world.main)

    match what:
        case "flow":
            world.main.delete()
        case "thread":
            Thread.objects.get(pk=message["thread_id"]).delete()
        case "message":
            assert ines.delete(f"{MESSAGES}/{message['id']}").status_code == 204

    assert set(Indexed.objects.values_list("pk", flat=True)) == before - {gone.pk}


@pytest.fixture
def many(world, monkeypatch):
    """More messages than FEW, all with common words and tags, and a few with rare ones."""
    monkeypatch.setattr("flowdock_server.posting.finding.FEW", 5)
    stored = [
        Message(
            flow=world.main,
            number=number,
            event="comment" if number % 4 == 0 else "message",
            content=f"tide {'seldom' if number % 20 == 0 else ''} {'half' if number % 2 else ''}",
            tags=["all", *(["few"] if number % 20 == 0 else []), *(["odd"] if number % 2 else [])],
        )
        for number in range(1, 81)
    ]
    stored = Message.objects.bulk_create(stored)
    Tag.objects.bulk_create(Tag(message=message, name=name) for message in stored for name in message.tags)
    search.add(stored)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"search": "tide", "limit": 2}, [79, 80]),
        ({"search": "tide", "limit": 2, "sort": "asc"}, [1, 2]),
        ({"search": "tide", "limit": 2, "skip": 70}, [9, 10]),
        ({"search": "seldom"}, [20, 40, 60, 80]),
        ({"search": "seldom tide", "limit": 1, "skip": 1}, [60]),
        ({"search": "seldom", "limit": 1, "sort": "asc", "skip": 1}, [40]),
        ({"search": "seldom half"}, []),
        ({"search": "nothing"}, []),
        ({"search": "seldom", "event": "comment", "limit": 2}, [60, 80]),
        ({"search": "tide", "event": "file"}, []),
        ({"search": "tide", "tags": "few", "event": "comment", "skip": 3}, [20]),
        ({"search": "half", "tags": "few"}, []),
        ({"search": "tide", "tags": "odd", "limit": 2}, [77, 79]),
        ({"tags": "few"}, [20, 40, 60, 80]),
        ({"tags": "few", "since_id": 20, "until_id": 80}, [40, 60]),
        ({"tags": "few", "since_id": 20, "limit": 1, "sort": "asc"}, [40]),
        ({"tags": "few,all", "limit": 1}, [80]),
        ({"tags": "few,odd"}, []),
        ({"tags": "few,odd", "tag_mode": "or", "limit": 3}, [77, 79, 80]),
        ({"tags": "all", "limit": 2, "skip": 1}, [78, 79]),
        ({"tags": "nothing"}, []),
        ({"tags": "all", "event": "comment", "limit": 2}, [76, 80]),
        ({"event": "file,status"}, []),
        ({"event": "file,comment", "limit": 2}, [76, 80]),
    ],
)
def test_lists_are_the_same_for_rare_and_common_conditions(many, ines, asked, found):
    assert [message["id"] for message in ines.get(MESSAGES, asked).json()] == found
