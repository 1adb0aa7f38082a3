"""Chat threads: every message belongs to one, and replies join it."""

from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from flowdock_server.models import Flow, Message, Thread
from flowdock_server.posting import chat_threads

from .conftest import activity, post
from .pages import browser, see

LOBBY = "/flows/acme/lobby"
MESSAGES = f"{LOBBY}/messages"
THREADS = f"{LOBBY}/threads"
APP = "/app/acme/lobby"


def say(person, content, **given):
    answer = post(person, MESSAGES, {"event": "message", "content": content, **given})
    assert answer.status_code == 201
    return answer.json()


def test_chat_message_starts_a_thread(world, ines):
    message = say(ines, "Shall we <b>deploy</b>?")

    assert len(message["thread_id"]) == 27
    assert message["thread"] == {
        "id": message["thread_id"],
        "flow": str(world.lobby.pk),
        "title": "Shall we &lt;b&gt;deploy&lt;/b&gt;?",
        "body": "",
        "external_url": "",
        "status": None,
        "fields": [],
        "actions": [],
        "source": None,
        "activities": 0,
        "internal_comments": 1,
        "external_comments": 0,
        "initial_message": message["id"],
        "created_at": message["created_at"],
        "updated_at": message["created_at"],
    }
    assert ines.get(f"{MESSAGES}/{message['id']}").json() == message
    assert ines.get(MESSAGES).json() == [message]
    assert ines.get(f"{THREADS}/{message['thread_id']}").json() == message["thread"]
    assert ines.get(f"{THREADS}/{message['thread_id']}/messages").json() == [message]


def test_thread_of_a_message_without_replies_is_not_stored(ines):
    first, second = say(ines, "One"), say(ines, "Two")

    assert first["thread_id"] != second["thread_id"]
    assert not Thread.objects.exists()


@pytest.mark.parametrize("how", ["parameter", "address", "push", "comment"])
def test_reply_joins_the_thread(world, ines, otto, client, how):
    first = say(ines, "Shall we deploy?")
    thread_id = first["thread_id"]
    match how:
        case "parameter":
            say(otto, "Yes", thread_id=thread_id)
        case "address":
            post(otto, f"{THREADS}/{thread_id}/messages", {"event": "message", "content": "Yes"})
        case "push":
            said = {"content": "Yes", "external_user_name": "Bot", "thread_id": thread_id}
            assert client.post(f"/messages/chat/{world.lobby.issue_api_token()}", said).status_code == 200
        case "comment":
            post(otto, f"{MESSAGES}/{first['id']}/comments", {"content": "Yes"})

    first, reply = ines.get(MESSAGES).json()
    thread = reply["thread"]
    assert first["thread_id"] == reply["thread_id"] == thread_id
    assert first["thread"] == thread
    assert (thread["initial_message"], thread["internal_comments"]) == (first["id"], 2)
    assert (thread["title"], thread["updated_at"]) == ("Shall we deploy?", reply["created_at"])
    assert [message["id"] for message in ines.get(f"{THREADS}/{thread_id}/messages").json()] == [1, 2]
    say(ines, "Done", thread_id=thread_id)
    assert ines.get(f"{THREADS}/{thread_id}").json()["internal_comments"] == 3


def test_statuses_files_and_messages_of_sources_start_threads_too(world, ines, connect, client):
    post(ines, MESSAGES, {"event": "status", "content": "At lunch"})
    ines.post(MESSAGES, {"event": "file", "content": SimpleUploadedFile("tide.txt", b"low")})
    _, token = connect(world.lobby)
    post(client, "/messages", {"flow_token": token, "event": "message", "content": "Build is red"})

    messages = ines.get(MESSAGES).json()

    assert [message["thread"]["title"] for message in messages] == ["At lunch", "tide.txt", "Build is red"]
    for message in messages:
        reply = say(ines, "I see", thread_id=message["thread_id"])
        assert reply["thread"]["initial_message"] == message["id"]
        assert reply["thread"]["title"] == message["thread"]["title"]


def test_actions_and_edits_belong_to_no_thread(world, ines):
    first = say(ines, "Frist")
    ines.put(f"{MESSAGES}/{first['id']}", {"content": "First", "tags": ["a"]}, content_type="application/json")

    _, *happened = ines.get(MESSAGES).json()

    assert [message["event"] for message in happened] == ["message-edit", "tag-change"]
    assert not any("thread_id" in message for message in happened)
    number = happened[0]["id"]
    assert ines.get(f"{THREADS}/{chat_threads.thread_id(world.lobby.pk, number)}").status_code == 404


def test_thread_of_another_flow_is_not_found(world, ines):
    elsewhere = post(ines, "/flows/acme/main/messages", {"event": "message", "content": "Hi"}).json()["thread_id"]
    say(ines, "Hello")

    for thread_id in (elsewhere, elsewhere[:-1] + "B", chat_threads.thread_id(world.lobby.pk, 99), "é" * 27):
        assert ines.get(f"{THREADS}/{thread_id}").status_code == 404
        answer = post(ines, MESSAGES, {"event": "message", "content": "Hi", "thread_id": thread_id})
        assert answer.status_code == 400
        assert answer.json()["errors"] == {"thread_id": ["is not a thread of this flow"]}


def test_chat_threads_are_listed_by_last_message_and_not_in_the_inbox(world, ines, connect, client):
    _, token = connect(world.lobby)
    first, _, third = [say(ines, text) for text in ("One", "Two", "Three")]
    post(client, "/messages", activity(flow_token=token))
    say(ines, "Four")
    say(ines, "Yes", thread_id=first["thread_id"])

    def titles(**which):
        return [thread["title"] for thread in ines.get(THREADS, which).json()]

    assert titles(application="chat") == ["One", "Four", "Three", "Two"]
    assert titles(application="inbox") == ["Warn before low tide"]
    assert titles() == ["One", "Four", "Warn before low tide", "Three", "Two"]
    assert titles(application="chat", until=third["created_at"]) == ["Two"]
    assert titles(application="chat", since=third["created_at"]) == ["One", "Four"]
    page = see(browser(world.ines).get(APP))
    assert "Warn before low tide" in page.text
    assert "Four" not in page.text


def test_pages_of_chat_threads_list_each_thread_once(world, ines):
    said = [say(ines, f"Message {number}") for number in range(12)]
    for message in said[::3]:
        say(ines, "Yes", thread_id=message["thread_id"])
    moment = timezone.now().replace(microsecond=5000)
    Message.objects.update(created_at=moment)
    Message.objects.filter(number__lt=4).update(created_at=moment - timedelta(hours=1))
    Thread.objects.update(updated_at=moment)

    seen, path = [], f"{THREADS}?application=chat&limit=2"
    for _ in range(10):
        answer = ines.get(path)
        seen += [thread["id"] for thread in answer.json()]
        if "Link" not in answer:
            break
        path = answer["Link"].removeprefix("<").removesuffix('>; rel="next"')

    assert sorted(seen) == sorted(message["thread_id"] for message in said)


@pytest.mark.parametrize("has_reply", [False, True])
def test_title_follows_the_first_message(ines, has_reply):
    first = say(ines, "Frist")
    if has_reply:
        say(ines, "Yes", thread_id=first["thread_id"])
    path = f"{MESSAGES}/{first['id']}"

    ines.put(path, {"content": "First"}, content_type="application/json")
    assert ines.get(path).json()["thread"]["title"] == "First"
    assert ines.delete(path).status_code == 200
    assert ines.get(path).json()["thread"]["title"] == ""
    assert ines.get(f"{THREADS}/{first['thread_id']}").json()["initial_message"] == first["id"]


def test_thread_without_its_first_message_starts_with_the_next_one(ines, otto):
    file = ines.post(MESSAGES, {"event": "file", "content": SimpleUploadedFile("tide.txt", b"low")}).json()
    reply = say(otto, "Thanks", thread_id=file["thread_id"])

    assert ines.delete(f"{MESSAGES}/{file['id']}").status_code == 204

    thread = ines.get(f"{THREADS}/{file['thread_id']}").json()
    assert (thread["initial_message"], thread["internal_comments"]) == (reply["id"], 1)
    assert thread["title"] == "Thanks"
    assert say(ines, "Again", thread_id=file["thread_id"])["thread"]["internal_comments"] == 2


def test_concurrent_first_replies_join_the_same_thread(world, transactional_db, as_person):
    from .test_concurrent_posts import at_once

    first = say(as_person(world.ines), "Shall we deploy?")
    people = [as_person(world.otto) for _ in range(6)]

    at_once([lambda person=person: say(person, "Yes", thread_id=first["thread_id"]) for person in people])

    assert Thread.objects.get().internal_comments == 7
    assert Message.objects.filter(thread=first["thread_id"]).count() == 7


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL scans what fits on a page")
def test_chat_threads_are_read_from_an_index_without_sorting(world):
    Message.objects.bulk_create(
        [Message(flow=world.lobby, number=number, event="message", content="Hi") for number in range(1, 5001)]
    )

    plan = chat_threads.without_replies(world.lobby).order_by("-created_at", "-number")[:31].explain()

    assert "messages_unanswered" in plan
    assert "TEMP B-TREE" not in plan


# Comments without a thread, as an older version stored them.


def as_before(flow):
    Message.objects.filter(flow=flow).update(thread=None)
    Thread.objects.filter(flow=flow).delete()


def test_imported_comments_join_the_thread_of_their_message(world, ines, tmp_path):
    first = say(ines, "Shall we deploy?")
    post(ines, f"{MESSAGES}/{first['id']}/comments", {"content": "Yes"})
    as_before(world.lobby)
    path = tmp_path / "lobby.jsonl"
    call_command("export_flow", "acme/lobby", output=str(path))
    Flow.objects.filter(pk=world.lobby.pk).delete()

    call_command("import_flow", str(path))

    thread = Thread.objects.get(pk=first["thread_id"])
    assert (thread.initial_number, thread.internal_comments) == (first["id"], 2)
    assert list(thread.messages.values_list("number", flat=True)) == [1, 2]


# On pages


def test_reply_on_the_page_continues_the_thread(world, ines):
    first = say(ines, "Shall we deploy?")
    person = browser(world.otto)
    page = see(person.get(f"{APP}/chat"))
    assert f"{APP}/chat/{first['id']}#comment" in page.links()

    answer = person.post(f"{APP}/chat/{first['id']}/replies", {"content": "Yes", "form_key": "one"})

    assert answer["Location"] == f"{APP}/chat/{first['id']}#comment"
    reply = ines.get(MESSAGES).json()[-1]
    assert (reply["event"], reply["content"], reply["thread_id"]) == ("message", "Yes", first["thread_id"])
    chat = see(person.get(f"{APP}/chat"))
    assert "1 reply" in chat.text
    assert "In reply to" in chat.text
    assert f"{APP}/chat/{first['id']}#message-{reply['id']}" in chat.links()
    pane = see(person.get(f"{APP}/chat/{first['id']}"))
    assert "No replies yet" not in pane.text
    # A reply to the reply goes to the same thread.
    assert person.get(f"{APP}/chat/{reply['id']}")["Location"] == f"{APP}/chat/{first['id']}#message-{reply['id']}"
    person.post(f"{APP}/chat/{reply['id']}/replies", {"content": "Now", "form_key": "two"})
    assert "2 replies" in see(person.get(f"{APP}/chat")).text


@pytest.mark.parametrize("has_reply", [False, True])
def test_page_of_a_chat_thread_opens_it(world, ines, has_reply):
    first = say(ines, "Shall we deploy?")
    if has_reply:
        say(ines, "Yes", thread_id=first["thread_id"])

    answer = browser(world.otto).get(f"{APP}/threads/{first['thread_id']}")

    assert answer["Location"] == f"{APP}/chat/{first['id']}"
    assert browser(world.sam).get(f"{APP}/threads/{first['thread_id']}").status_code == 404


def test_chat_thread_that_is_not_stored_cannot_be_marked(world, ines):
    first = say(ines, "Shall we deploy?")

    for what in ("done", "unread"):
        assert browser(world.otto).post(f"{APP}/threads/{first['thread_id']}/{what}").status_code == 404
