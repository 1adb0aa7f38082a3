"""Editing, tagging and deleting messages: who is allowed to, who is notified, and what remains."""

import pytest
from django.test import Client

from flowdock_server.live import hub
from flowdock_server.models import Message, Thread

from .conftest import activity, post

MESSAGES = "/flows/acme/lobby/messages"


def put(client, number, **change):
    return client.put(f"{MESSAGES}/{number}", change, content_type="application/json")


def say(client, content, **more):
    return post(client, MESSAGES, {"event": "message", "content": content, **more}).json()


def shown(client, number):
    return client.get(f"{MESSAGES}/{number}").json()


def test_author_can_edit_a_message(ines, otto, world):
    number = say(ines, "Low tide at six #tide @otto")["id"]

    response = put(ines, number, content="Low tide at seven #moon otto")

    assert (response.status_code, response.json()) == (200, {})
    message = shown(otto, number)
    assert message["content"] == "Low tide at seven #moon otto"
    assert sorted(message["tags"]) == sorted(["moon", f":unread:{world.otto.pk}", f":highlight:{world.otto.pk}"])
    assert message["edited"] >= message["sent"]
    edit, tags = otto.get(MESSAGES, {"since_id": number}).json()
    assert (edit["event"], edit["app"], edit["user"]) == ("message-edit", None, str(world.ines.pk))
    assert edit["content"] == {"message": number, "updated_content": "Low tide at seven #moon otto"}
    assert tags["event"] == "tag-change"
    assert tags["content"] == {
        "message": number,
        "add": ["moon", f":highlight:{world.otto.pk}"],
        "remove": [f":user:{world.otto.pk}", "tide"],
    }
    assert [found["id"] for found in otto.get(MESSAGES, {"tags": "moon"}).json()] == [number]
    assert otto.get(MESSAGES, {"tags": "tide"}).json() == []
    assert [found["id"] for found in otto.get(MESSAGES, {"search": "seven"}).json()] == [number]
    assert otto.get(MESSAGES, {"search": "six"}).json() == []


def test_author_can_edit_a_comment_which_keeps_its_parent(ines):
    number = say(ines, "Low tide")["id"]
    comment = post(ines, f"{MESSAGES}/{number}/comments", {"content": "Thanks"}).json()["id"]

    put(ines, comment, content="Thank you")

    assert shown(ines, comment)["content"] == {"title": "Low tide", "text": "Thank you"}
    assert shown(ines, comment)["tags"] == [f"influx:{number}"]


def test_saving_the_same_text_changes_nothing(ines):
    number = say(ines, "Low tide", tags=["a"])["id"]

    assert put(ines, number, content="Low tide", tags=["A"]).status_code == 200
    assert put(ines, number).status_code == 200

    assert "edited" not in shown(ines, number)
    assert Message.objects.count() == 1


def test_messages_of_others_and_programs_cannot_be_edited(world, ines, otto, connect):
    said = say(ines, "Mine")["id"]
    status = post(ines, MESSAGES, {"event": "status", "content": "Here"}).json()["id"]
    by_source = post(Client(), "/messages", activity(flow_token=connect(world.lobby)[1])).json()["id"]

    for client, number in ((otto, said), (ines, status), (ines, by_source)):
        response = put(client, number, content="Changed")
        assert response.status_code == 403
        assert list(response.json()) == ["message"]
    assert Message.objects.count() == 3


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"content": ""}, "content"),
        ({"content": "  "}, "content"),
        ({"content": "x" * 8097}, "content"),
        ({"content": {"data": "Zg=="}}, "content"),
        ({"tags": [{"a": 1}]}, "tags.0"),
        ({"tags": ["x" * 101]}, "tags.0"),
    ],
)
def test_invalid_change_is_refused(ines, change, field):
    number = say(ines, "Mine")["id"]

    response = put(ines, number, **change)

    assert (response.status_code, list(response.json()["errors"])) == (400, [field])
    assert shown(ines, number)["content"] == "Mine"


def test_any_member_can_change_tags(world, ines, otto, connect):
    number = post(Client(), "/messages", activity(flow_token=connect(world.lobby)[1], tags=["old", "Kept"])).json()[
        "id"
    ]

    assert put(otto, number, tags="#new, kept, @ines").status_code == 200

    message = shown(ines, number)
    assert message["tags"] == ["new", "kept", f":user:{world.ines.pk}", f":unread:{world.ines.pk}"]
    [change] = ines.get(MESSAGES, {"event": "tag-change"}).json()
    assert change["content"] == {
        "message": number,
        "add": ["new", f":user:{world.ines.pk}", f":unread:{world.ines.pk}"],
        "remove": ["old"],
    }
    assert change["user"] == str(world.otto.pk)
    put(ines, number, tags=[])
    assert shown(ines, number)["tags"] == []


def test_reader_can_remove_their_unread_tag(world, ines, otto):
    said = say(ines, "@otto, look #tide")

    put(otto, said["id"], tags=[tag for tag in said["tags"] if not tag.startswith(":unread:")])

    assert shown(ines, said["id"])["tags"] == [f":user:{world.otto.pk}", "tide"]
    put(ines, said["id"], content="@otto, look again #tide")
    assert f":unread:{world.otto.pk}" not in shown(ines, said["id"])["tags"]


def test_tags_that_state_a_fact_cannot_be_changed(ines):
    number = say(ines, "Low tide")["id"]
    comment = post(ines, f"{MESSAGES}/{number}/comments", {"content": "x", "tags": ["a"]}).json()["id"]

    put(ines, comment, tags=["b", ":file", "influx:7"])

    assert shown(ines, comment)["tags"] == ["b", f"influx:{number}"]


def test_any_member_can_remove_an_inbox_message(world, otto, connect):
    token = connect(world.lobby)[1]
    numbers = [
        post(Client(), "/messages", activity(flow_token=token, event=event, title=event)).json()["id"]
        for event in ("activity", "activity", "discussion")
    ]

    response = otto.delete(f"{MESSAGES}/{numbers[2]}")

    assert (response.status_code, response.content) == (204, b"")
    assert otto.get(f"{MESSAGES}/{numbers[2]}").status_code == 404
    assert otto.get(MESSAGES, {"search": "discussion"}).json() == []
    [thread] = otto.get("/flows/acme/lobby/threads").json()
    assert (thread["activities"], thread["external_comments"]) == (2, 0)
    stored = Thread.objects.get()
    assert (stored.last_event, stored.last_title, stored.last_number) == ("activity", "activity", numbers[1])
    for number in numbers[:2]:
        otto.delete(f"{MESSAGES}/{number}")
    assert otto.get("/flows/acme/lobby/threads").json() == []
    assert len(otto.get("/flows/acme/lobby/threads", {"empty": "1"}).json()) == 1
    again = post(Client(), "/messages", activity(flow_token=token)).json()
    assert again["thread"]["id"] == thread["id"]
    assert again["thread"]["activities"] == 1
    assert len(otto.get("/flows/acme/lobby/threads").json()) == 1


def test_deleted_chat_message_is_emptied(world, ines, otto):
    number = say(ines, "Wrong flow, @otto #oops")["id"]
    comment = post(ines, f"{MESSAGES}/{number}/comments", {"content": "True"}).json()["id"]

    response = ines.delete(f"{MESSAGES}/{number}")

    assert (response.status_code, response.json()) == (200, {})
    message = shown(otto, number)
    assert (message["content"], message["tags"]) == ("", [])
    assert message["edited"]
    edit = otto.get(MESSAGES, {"event": "message-edit"}).json()[0]
    assert edit["content"] == {"message": number, "updated_content": ""}
    assert ines.delete(f"{MESSAGES}/{comment}").status_code == 200
    assert shown(otto, comment)["content"] == {"title": "", "text": ""}
    events = Message.objects.count()
    assert ines.delete(f"{MESSAGES}/{number}").status_code == 200
    assert Message.objects.count() == events


def test_messages_of_others_and_actions_cannot_be_deleted(world, ines, otto):
    number = say(ines, "Mine")["id"]
    status = post(ines, MESSAGES, {"event": "status", "content": "Here"}).json()["id"]
    put(otto, number, tags=["a"])
    change = otto.get(MESSAGES, {"event": "tag-change"}).json()[0]["id"]

    for client, which in ((otto, number), (ines, status), (otto, status), (otto, change)):
        assert client.delete(f"{MESSAGES}/{which}").status_code == 403
    assert shown(ines, number)["content"] == "Mine"


@pytest.mark.parametrize("number", [99, 2**62, 10**30, -1, "x"])
def test_missing_message_cannot_be_changed_or_deleted(world, ines, as_person, number):
    say(ines, "Mine")

    assert put(ines, number, content="x").status_code == 404
    assert ines.delete(f"{MESSAGES}/{number}").status_code == 404
    sam = as_person(world.sam)
    assert put(sam, 1, content="x").status_code == 404
    assert sam.delete(f"{MESSAGES}/1").status_code == 404


def test_source_cannot_change_messages(world, ines, connect, client):
    say(ines, "Mine")
    token = connect(world.lobby)[1]

    assert put(client, 1, content="x", flow_token=token).status_code == 401
    assert client.delete(f"{MESSAGES}/1?flow_token={token}").status_code == 401


@pytest.mark.django_db(transaction=True)
def test_open_pages_and_streams_are_notified_of_changes(world, ines, connect, monkeypatch):
    notes = []
    monkeypatch.setattr(hub, "publish", notes.append)
    number = say(ines, "Mine #a")["id"]
    inbox = post(Client(), "/messages", activity(flow_token=connect(world.lobby)[1])).json()
    notes.clear()

    put(ines, number, content="Ours")
    ines.delete(f"{MESSAGES}/{inbox['id']}")

    assert [(note.kind, note.number, note.thread_id) for note in notes] == [
        ("message", number + 2, None),
        ("edit", number, None),
        ("message", number + 3, None),
        ("edit", number, None),
        ("delete", inbox["id"], inbox["thread_id"]),
    ]
