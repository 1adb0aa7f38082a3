"""Private conversations: two people, and nobody else."""

import pytest

from flowdock_server.live import hub
from flowdock_server.models import Conversation, FlowMembership, PrivateMessage

from .conftest import post


@pytest.fixture
def ines(world, as_person):
    return as_person(world.ines)


@pytest.fixture
def otto(world, as_person):
    return as_person(world.otto)


@pytest.fixture
def with_otto(world):
    return f"/private/{world.otto.pk}"


@pytest.fixture
def with_ines(world):
    return f"/private/{world.ines.pk}"


def say(client, address, content, **more):
    return post(client, f"{address}/messages", {"event": "message", "content": content, **more})


def put(client, path, **body):
    return client.put(path, body, content_type="application/json")


def test_reading_begins_a_closed_conversation(world, ines, otto, with_otto, with_ines):
    assert ines.get("/private").json() == []

    answer = ines.get(with_otto)

    assert answer.status_code == 200
    conversation = answer.json()
    assert conversation | {"users": []} == {
        "id": world.otto.pk,
        "url": f"http://testserver{with_otto}",
        "name": "@Otto",
        "open": False,
        "activity": {"inbox": False, "mentions": 0, "chat": False},
        "users": [],
    }
    assert [user["id"] for user in conversation["users"]] == [world.ines.pk, world.otto.pk]
    assert ines.get("/private").json() == [conversation]
    assert otto.get(with_ines).json()["name"] == "@Ines"
    assert Conversation.objects.count() == 1


def test_what_is_said_opens_it_on_both_sides_and_is_unread_by_the_other(world, ines, otto, with_otto, with_ines):
    response = say(ines, with_otto, "For your eyes only @otto #secret")

    assert (response.status_code, response.json()) == (200, {})
    assert (ines.get(with_otto).json()["open"], otto.get(with_ines).json()["open"]) == (True, True)
    assert ines.get(with_otto).json()["activity"]["chat"] is False
    assert otto.get(with_ines).json()["activity"]["chat"] is True
    [message] = otto.get(f"{with_ines}/messages").json()
    assert message | {"sent": 0, "created_at": ""} == {
        "id": 1,
        "event": "message",
        "app": "chat",
        "content": "For your eyes only @otto #secret",
        "tags": [],
        "uuid": None,
        "user": str(world.ines.pk),
        "to": str(world.otto.pk),
        "sent": 0,
        "created_at": "",
        "attachments": [],
    }
    assert ines.get(f"{with_otto}/messages/1").json() == message
    say(otto, with_ines, "Thanks")
    assert ines.get(f"{with_otto}/messages/2").json()["to"] == str(world.ines.pk)


def test_each_closes_their_own_side_and_news_open_it_again(ines, otto, with_otto, with_ines):
    say(ines, with_otto, "One")

    assert put(otto, with_ines, open=False).json()["open"] is False
    assert ines.get(with_otto).json()["open"] is True
    say(ines, with_otto, "Two")
    assert otto.get(with_ines).json()["open"] is True
    assert put(otto, with_ines).json()["open"] is True
    assert put(otto, with_ines, open="maybe").status_code == 400


def test_who_waits_gets_the_message_and_a_repeated_uuid_is_the_first(ines, with_otto):
    waiting = {"X-flowdock-wait-for-message": "true"}

    first, again = (
        post(ines, f"{with_otto}/messages", {"event": "message", "content": text, "uuid": "u"}, headers=waiting).json()
        for text in ("one", "two")
    )

    assert first == again
    assert (first["content"], first["uuid"]) == ("one", "u")
    assert PrivateMessage.objects.count() == 1


def test_messages_are_listed_as_those_of_a_flow(ines, with_otto):
    for number in range(5):
        say(ines, with_otto, f"Tide {number}")

    def listed(**query):
        return [message["id"] for message in ines.get(f"{with_otto}/messages", query).json()]

    assert listed() == [1, 2, 3, 4, 5]
    assert listed(limit=2) == [4, 5]
    assert listed(limit=2, sort="asc") == [1, 2]
    assert listed(since_id=1, until_id=4) == [2, 3]
    assert listed(search="tide 3") == [4]
    assert listed(search="tide", limit=2, skip=1) == [3, 4]
    assert listed(event="message,file", limit=1) == [5]
    assert listed(event="file") == []
    assert ines.get(f"{with_otto}/messages", {"limit": "0"}).status_code == 400


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"content": "x"}, "event"),
        ({"event": "file", "content": "x"}, "event"),
        ({"event": "activity", "content": "x"}, "event"),
        ({"event": "message"}, "content"),
        ({"event": "message", "content": " "}, "content"),
        ({"event": "message", "content": "x" * 8097}, "content"),
        ({"event": "message", "content": {"data": "Zg=="}}, "content"),
    ],
)
def test_only_words_are_said_in_private(ines, with_otto, body, field):
    response = post(ines, f"{with_otto}/messages", body)

    assert (response.status_code, list(response.json()["errors"])) == (400, [field])
    assert not PrivateMessage.objects.exists()


def test_there_is_no_conversation_with_strangers_or_oneself(world, ines, as_person, with_otto):
    say(ines, with_otto, "Secret")
    sam = as_person(world.sam)

    for client, user in ((ines, world.sam.pk), (ines, world.ines.pk), (ines, 10**30), (sam, world.otto.pk)):
        path = f"/private/{user}"
        answers = [
            client.get(path),
            put(client, path, open=True),
            client.get(f"{path}/messages"),
            say(client, path, "x"),
        ]
        assert {answer.status_code for answer in answers} == {404}
    assert ines.get(f"{with_otto}/messages/2").status_code == 404
    assert ines.get(f"{with_otto}/messages/{10**30}").status_code == 404
    assert sam.get("/private").json() == []
    assert Conversation.objects.count() == 1


def test_who_has_talked_may_go_on_after_leaving_the_flow(world, ines, otto, with_otto, with_ines):
    say(ines, with_otto, "One")
    FlowMembership.objects.filter(user=world.otto).delete()

    assert say(otto, with_ines, "Two").status_code == 200
    world.otto.is_active = False
    world.otto.save()
    assert say(ines, with_otto, "Three").status_code == 403
    assert len(ines.get(f"{with_otto}/messages").json()) == 2


def test_it_needs_the_scope_private(world, with_scopes, with_otto, connect, client):
    stranger = with_scopes(world.ines, "flow manage profile integration")
    for answer in (
        stranger.get("/private"),
        stranger.get(with_otto),
        put(stranger, with_otto, open=True),
        stranger.get(f"{with_otto}/messages"),
        stranger.get(f"{with_otto}/messages/1"),
        say(stranger, with_otto, "x"),
    ):
        assert answer.status_code == 403
    assert say(with_scopes(world.ines, "private"), with_otto, "x").status_code == 200
    assert say(client, with_otto, "x", flow_token=connect()[1]).status_code == 401


@pytest.mark.django_db(transaction=True)
def test_both_hear_of_it_and_nobody_else(world, ines, with_otto, monkeypatch):
    notes = []
    monkeypatch.setattr(hub, "publish", notes.append)

    say(ines, with_otto, "One")

    conversation = Conversation.objects.get()
    assert [(note.topic, note.kind, note.number, note.conversation_id) for note in notes] == [
        (world.ines.pk, "private", 1, conversation.pk),
        (world.otto.pk, "private", 1, conversation.pk),
    ]
