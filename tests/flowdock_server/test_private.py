"""Private conversations between two people, which nobody else can read."""

import pytest

from flowdock_server.live import hub
from flowdock_server.models import Conversation, FlowMembership, PrivateMessage

from .conftest import post


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


def test_reading_creates_a_closed_conversation(world, ines, otto, with_otto, with_ines):
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


def test_message_opens_the_conversation_and_is_unread_for_the_recipient(world, ines, otto, with_otto, with_ines):
    response = say(ines, with_otto, "For your eyes only @otto #secret")

    assert response.status_code == 201
    assert (ines.get(with_otto).json()["open"], otto.get(with_ines).json()["open"]) == (True, True)
    assert ines.get(with_otto).json()["activity"]["chat"] is False
    assert otto.get(with_ines).json()["activity"]["chat"] is True
    [message] = otto.get(f"{with_ines}/messages").json()
    assert message | {"sent": 0, "created_at": ""} == {
        "id": 1,
        "event": "message",
        "app": "chat",
        "content": "For your eyes only @otto #secret",
        "tags": [f":user:{world.otto.pk}", f":unread:{world.otto.pk}", "secret"],
        "uuid": None,
        "user": str(world.ines.pk),
        "to": str(world.otto.pk),
        "sent": 0,
        "created_at": "",
        "attachments": [],
    }
    assert ines.get(f"{with_otto}/messages/1").json() == message == response.json()
    say(otto, with_ines, "Thanks")
    assert ines.get(f"{with_otto}/messages/2").json()["to"] == str(world.ines.pk)


def test_conversation_is_closed_for_one_side_and_reopened_by_a_message(ines, otto, with_otto, with_ines):
    say(ines, with_otto, "One")

    assert put(otto, with_ines, open=False).json()["open"] is False
    assert ines.get(with_otto).json()["open"] is True
    say(ines, with_otto, "Two")
    assert otto.get(with_ines).json()["open"] is True
    assert put(otto, with_ines).json()["open"] is True
    assert put(otto, with_ines, open="maybe").status_code == 400


def test_client_that_waits_gets_the_message_and_repeated_uuid_the_first(ines, with_otto):
    waiting = {"X-flowdock-wait-for-message": "true"}

    first, again = (
        post(ines, f"{with_otto}/messages", {"event": "message", "content": text, "uuid": "u"}, headers=waiting).json()
        for text in ("one", "two")
    )

    assert first == again
    assert (first["content"], first["uuid"]) == ("one", "u")
    assert PrivateMessage.objects.count() == 1


def test_messages_are_listed_like_those_of_a_flow(ines, with_otto):
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
        ({"event": "file", "content": "x"}, "content"),
        ({"event": "activity", "content": "x"}, "event"),
        ({"event": "message"}, "content"),
        ({"event": "message", "content": " "}, "content"),
        ({"event": "message", "content": "x" * 8097}, "content"),
        ({"event": "message", "content": {"data": "Zg=="}}, "content"),
    ],
)
def test_only_texts_and_files_can_be_sent(ines, with_otto, body, field):
    response = post(ines, f"{with_otto}/messages", body)

    assert (response.status_code, list(response.json()["errors"])) == (400, [field])
    assert not PrivateMessage.objects.exists()


def test_strangers_and_oneself_have_no_conversation(world, ines, as_person, with_otto):
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


def test_existing_conversation_continues_after_leaving_the_flow(world, ines, otto, with_otto, with_ines):
    say(ines, with_otto, "One")
    FlowMembership.objects.filter(user=world.otto).delete()

    assert say(otto, with_ines, "Two").status_code == 201
    world.otto.is_active = False
    world.otto.save()
    assert say(ines, with_otto, "Three").status_code == 403
    assert len(ines.get(f"{with_otto}/messages").json()) == 2


def test_conversations_require_the_scope_private(world, with_scopes, with_otto, connect, client):
    without_scope = with_scopes(world.ines, "flow manage profile integration")
    for answer in (
        without_scope.get("/private"),
        without_scope.get(with_otto),
        put(without_scope, with_otto, open=True),
        without_scope.get(f"{with_otto}/messages"),
        without_scope.get(f"{with_otto}/messages/1"),
        say(without_scope, with_otto, "x"),
    ):
        assert answer.status_code == 403
    assert say(with_scopes(world.ines, "private"), with_otto, "x").status_code == 201
    assert say(client, with_otto, "x", flow_token=connect()[1]).status_code == 401


@pytest.mark.django_db(transaction=True)
def test_only_the_two_people_are_notified(world, ines, with_otto, monkeypatch):
    notes = []
    monkeypatch.setattr(hub, "publish", notes.append)

    say(ines, with_otto, "One")

    conversation = Conversation.objects.get()
    assert [(note.topic, note.kind, note.number, note.conversation_id) for note in notes] == [
        (world.ines.pk, "private", 1, conversation.pk),
        (world.otto.pk, "private", 1, conversation.pk),
    ]


FILE = {
    "event": "file",
    "content": {"data": "SGVsbG8=", "file_name": "tide table.txt", "content_type": "text/plain"},
}


def messages(client, address, **query):
    return client.get(f"{address}/messages", query).json()


class TestFiles:
    @pytest.fixture(autouse=True)
    def stored(self, tmp_path, settings):
        """The folder of the files' contents."""
        settings.STORAGES = settings.STORAGES | {
            "attachments": {
                "BACKEND": "django.core.files.storage.FileSystemStorage",
                "OPTIONS": {"location": tmp_path},
            }
        }
        return tmp_path

    def test_file_is_sent_and_opened_by_both(self, world, ines, otto, with_otto, with_ines, client):
        response = post(ines, f"{with_otto}/messages", FILE)

        sent = response.json()
        assert (response.status_code, sent["event"], sent["tags"]) == (201, "file", [":file"])
        assert sent["content"] == sent["attachments"][0]
        assert sent["content"]["file_name"] == "tide table.txt"
        assert messages(otto, with_ines) == [sent]
        for person in (ines, otto):
            answer = person.get(sent["content"]["path"])
            assert answer.status_code == 302
            assert client.get(answer["Location"]).content == b"Hello"

    def test_others_cannot_open_it(self, world, ines, as_person, with_otto, with_scopes, client):
        FlowMembership.objects.create(flow=world.lobby, user=world.sam)
        path = post(ines, f"{with_otto}/messages", FILE).json()["content"]["path"]

        assert as_person(world.sam).get(path).status_code == 404
        assert client.get(path).status_code == 401
        assert with_scopes(world.ines, "flow").get(path).status_code == 403
        assert with_scopes(world.ines, "integration").get(path).status_code == 403
        assert with_scopes(world.ines, "private").get(path).status_code == 302

    def test_deleting_a_file_deletes_its_content(self, ines, otto, with_otto, with_ines, stored):
        sent = post(ines, f"{with_otto}/messages", FILE).json()
        assert len(list(stored.iterdir())) == 1

        assert otto.delete(f"{with_ines}/messages/{sent['id']}").status_code == 403
        assert ines.delete(f"{with_otto}/messages/{sent['id']}").status_code == 204

        assert messages(otto, with_ines) == []
        assert ines.get(f"{with_otto}/messages/{sent['id']}").status_code == 404

    def test_refused_file_leaves_no_content(self, world, ines, with_otto, stored):
        say(ines, with_otto, "first")
        world.otto.is_active = False
        world.otto.save()

        assert post(ines, f"{with_otto}/messages", FILE).status_code == 403
        assert list(stored.iterdir()) == []

    def test_files_are_found_by_event_tag_and_name(self, ines, with_otto):
        say(ines, with_otto, "words")
        sent = post(ines, f"{with_otto}/messages", FILE | {"tags": ["Chart"]}).json()

        for query in ({"event": "file"}, {"tags": ":file"}, {"tags": "chart"}, {"search": "tide table"}):
            assert messages(ines, with_otto, **query) == [sent], query


class TestChanging:
    def test_author_edits_a_message_and_both_are_notified(self, world, ines, otto, with_otto, with_ines):
        sent = say(ines, with_otto, "Low #tide").json()

        answer = put(ines, f"{with_otto}/messages/{sent['id']}", content="High #water")

        assert (answer.status_code, answer.json()) == (200, {})
        now, edit, tags = messages(otto, with_ines)
        assert (now["content"], now["tags"], "edited" in now) == ("High #water", ["water"], True)
        assert (edit["event"], edit["app"]) == ("message-edit", None)
        assert edit["content"] == {"message": sent["id"], "updated_content": "High #water"}
        assert (tags["event"], tags["content"]) == (
            "tag-change",
            {"message": sent["id"], "add": ["water"], "remove": ["tide"]},
        )
        assert messages(otto, with_ines, tags="water") == [now]
        assert messages(otto, with_ines, tags="tide") == []

    def test_others_cannot_edit_or_delete_it(self, ines, otto, with_otto, with_ines):
        number = say(ines, with_otto, "Mine").json()["id"]

        assert put(otto, f"{with_ines}/messages/{number}", content="Yours").status_code == 403
        assert otto.delete(f"{with_ines}/messages/{number}").status_code == 403
        assert messages(ines, with_otto)[0]["content"] == "Mine"

    def test_both_can_change_its_tags(self, ines, otto, with_otto, with_ines):
        number = say(ines, with_otto, "Mine").json()["id"]

        assert put(otto, f"{with_ines}/messages/{number}", tags=["later", ":file"]).status_code == 200

        assert messages(ines, with_otto)[0]["tags"] == ["later"]
        assert [each["id"] for each in messages(ines, with_otto, tags="later,none", tag_mode="or")] == [number]

    def test_deleted_message_is_emptied(self, ines, otto, with_otto, with_ines):
        number = say(ines, with_otto, "Mine #tide").json()["id"]

        answer = ines.delete(f"{with_otto}/messages/{number}")

        assert (answer.status_code, answer.json()) == (200, {})
        emptied, edit, _ = messages(otto, with_ines)
        assert (emptied["content"], emptied["tags"]) == ("", [])
        assert edit["content"] == {"message": number, "updated_content": ""}

    @pytest.mark.parametrize("content", ["", " ", "x" * 8097, {"data": "SGVsbG8="}])
    def test_invalid_edit_is_refused(self, ines, with_otto, content):
        number = say(ines, with_otto, "Mine").json()["id"]

        assert put(ines, f"{with_otto}/messages/{number}", content=content).status_code == 400

    def test_edit_does_not_make_the_conversation_unread(self, ines, otto, with_otto, with_ines):
        number = say(ines, with_otto, "Mine").json()["id"]
        say(otto, with_ines, "Read")
        say(ines, with_otto, "Read")

        put(ines, f"{with_otto}/messages/{number}", content="Changed")

        assert ines.get(with_otto).json()["activity"]["chat"] is False

    def test_message_edit_event_cannot_be_changed(self, ines, with_otto):
        number = say(ines, with_otto, "Mine").json()["id"]
        put(ines, f"{with_otto}/messages/{number}", content="Changed")

        for answer in (
            put(ines, f"{with_otto}/messages/{number + 1}", content="x"),
            put(ines, f"{with_otto}/messages/{number + 1}", tags=["x"]),
            ines.delete(f"{with_otto}/messages/{number + 1}"),
        ):
            assert answer.status_code == 403
