"""Every kind of message by every path, and who cannot post."""

import pytest
from django.test import Client

from flowdock_server.models import FlowMembership, Membership, Message, Thread, User

from .conftest import activity, post

LOBBY = "/flows/acme/lobby"


@pytest.fixture
def thread_id(world, connect):
    return post(Client(), "/messages", activity(flow_token=connect(world.lobby)[1])).json()["thread_id"]


@pytest.mark.parametrize("how", ["json", "form", "query"])
@pytest.mark.parametrize("where", ["root", "flow", "thread", "v1", "ending"])
def test_chat_message_can_be_posted_by_every_path_and_format(world, ines, thread_id, how, where):
    path = {
        "root": "/messages",
        "flow": f"{LOBBY}/messages",
        "thread": f"{LOBBY}/threads/{thread_id}/messages",
        "v1": "/v1/messages",
        "ending": "/messages.json",
    }[where]
    said = {"event": "message", "content": "Hi #all", "flow": str(world.lobby.pk), "tags": "b"}
    if how == "json":
        response = post(ines, path, said)
    elif how == "form":
        response = ines.post(path, said)
    else:
        response = ines.post(path, query_params=said)

    assert response.status_code == 201
    message = response.json()
    assert (message["event"], message["content"], message["tags"]) == ("message", "Hi #all", ["b", "all"])
    assert (message["thread_id"] == thread_id) == (where == "thread")


@pytest.mark.parametrize("path", ["/messages", "/comments", LOBBY + "/messages", LOBBY + "/messages/{id}/comments"])
def test_comment_can_be_posted_by_every_path(world, ines, path):
    parent = post(ines, f"{LOBBY}/messages", {"event": "message", "content": "Low tide at six"}).json()["id"]
    said = {"event": "comment", "content": "Thanks", "message": parent, "flow": str(world.lobby.pk)}

    comment = post(ines, path.replace("{id}", str(parent)), said).json()

    assert comment["event"] == "comment"
    assert comment["content"] == {"title": "Low tide at six", "text": "Thanks"}
    assert comment["tags"] == [f"influx:{parent}"]
    assert ines.get(f"{LOBBY}/messages/{comment['id']}").json() == comment


def test_comment_on_an_activity_has_its_title_and_thread(ines, thread_id):
    comment = post(ines, f"{LOBBY}/messages/1/comments", {"content": "Thanks"}).json()

    assert comment["content"] == {"title": "opened pull request", "text": "Thanks"}
    assert comment["thread_id"] == thread_id
    assert comment["thread"]["internal_comments"] == 1


@pytest.mark.parametrize("number", [0, 99, 2**62, 2**63, 10**30, -1])
def test_comment_requires_an_existing_message(ines, number):
    assert post(ines, f"{LOBBY}/messages/{number}/comments", {"content": "Thanks"}).status_code == 404
    assert ines.post(f"{LOBBY}/messages", {"event": "comment", "content": "x", "message": number}).status_code == 400


def test_status_is_shown_as_the_users_status(world, ines):
    status = post(ines, f"{LOBBY}/messages", {"event": "status", "content": "At lunch"}).json()

    assert (status["event"], status["content"], status["app"]) == ("status", "At lunch", "chat")
    users = {user["id"]: user["status"] for user in ines.get(LOBBY).json()["users"]}
    assert users[world.ines.pk] == "At lunch"
    assert not users[world.otto.pk]


def test_status_cannot_be_set_for_others(world, ines, connect, client):
    other = post(ines, f"{LOBBY}/messages", {"event": "status", "content": "x", "external_user_name": "Bot"})
    source = post(client, "/messages", {"event": "status", "content": "x", "flow_token": connect(world.lobby)[1]})

    for response in (other, source):
        assert (response.status_code, list(response.json()["errors"])) == (400, ["event"])
    assert not User.objects.exclude(status="").exists()
    assert not Message.objects.exists()


def test_status_always_starts_its_own_thread(ines):
    said = {"event": "status", "content": "x", "external_thread_id": "pr:1", "thread": {"title": "A thread"}}

    statuses = [post(ines, f"{LOBBY}/messages", said) for _ in range(2)]

    assert [status.status_code for status in statuses] == [201, 201]
    assert len({status.json()["thread_id"] for status in statuses}) == 2
    assert ines.get(f"{LOBBY}/threads?application=inbox&empty=1").json() == []


def test_external_user_name_makes_a_message_anonymous(world, ines):
    message = post(ines, "/messages", {
        "event": "message", "content": "Ping", "external_user_name": "Robot", "flow": str(world.lobby.pk)
    }).json()  # fmt: skip

    assert (message["external_user_name"], message["user"]) == ("Robot", "0")


def test_source_posts_to_the_chat_under_its_name(world, connect, client):
    token = connect(world.lobby, "octo/hello")[1]

    plain = post(client, "/messages", {"event": "message", "content": "Built", "flow_token": token}).json()
    named = client.post(
        "/messages", {"event": "message", "content": "x", "flow_token": token, "external_user_name": "CI"}
    )

    assert (plain["external_user_name"], plain["user"], plain["app"]) == ("octo/hello", "0", "chat")
    assert named.json()["external_user_name"] == "CI"


def test_person_can_post_an_activity(world, ines):
    first, second = (
        post(ines, path, activity(flow=str(world.lobby.pk))).json() for path in ("/messages", "/activities")
    )

    assert first["thread_id"] == second["thread_id"]
    assert second["thread"]["activities"] == 2
    assert Thread.objects.get().source is None


@pytest.mark.parametrize("event", ["message", "comment", "status", "activity", "discussion"])
def test_repeated_uuid_returns_the_first_message(ines, event):
    post(ines, f"{LOBBY}/messages", {"event": "message", "content": "first"})
    draft = activity(event=event, content="one", message=1, uuid="u-1")

    first, again = (post(ines, f"{LOBBY}/messages", draft | {"content": text}) for text in ("one", "two"))

    assert first.status_code == again.status_code == 201
    assert first.json() == again.json()
    assert Message.objects.count() == 2


@pytest.mark.parametrize("value", ["true", "1", "10000", ""])
def test_client_that_waits_gets_the_message_and_its_comments_url(ines, settings, value):
    settings.ANSWER_POSTS_WITH_202 = True

    response = post(
        ines, f"{LOBBY}/messages", {"event": "message", "content": "Hi"}, headers={"X-flowdock-wait-for-message": value}
    )

    assert response.status_code == 200
    assert response.json()["content"] == "Hi"
    assert response["Link"] == '<http://testserver/flows/acme/lobby/messages/1/comments>; rel="comments"'


def posts(ines, token):
    message = {"event": "message", "content": "x"}
    yield post(ines, f"{LOBBY}/messages", message)
    yield post(ines, f"{LOBBY}/messages/1/comments", {"content": "x"})
    yield post(Client(), "/messages", activity(flow_token=token))
    yield post(Client(), "/activities", activity(token=token))
    yield ines.put(f"{LOBBY}/messages/1", {"content": "y"}, content_type="application/json")
    yield ines.put(f"{LOBBY}/messages/1", {"tags": ["y"]}, content_type="application/json")
    yield ines.delete(f"{LOBBY}/messages/1")


def test_archived_flow_is_read_only(world, ines, connect):
    token = connect(world.lobby)[1]
    post(ines, f"{LOBBY}/messages", {"event": "message", "content": "before"})
    world.lobby.disabled = True
    world.lobby.save(update_fields=["disabled"])

    for response in posts(ines, token):
        assert response.status_code == 403
        assert "archived" in response.json()["message"]
    assert [message["content"] for message in ines.get(f"{LOBBY}/messages").json()] == ["before"]


def test_blocked_member_can_neither_read_nor_post(world, ines, connect, as_person):
    post(ines, f"{LOBBY}/messages", {"event": "message", "content": "before"})
    otto = as_person(world.otto)
    FlowMembership.objects.filter(flow=world.lobby, user=world.otto).update(disabled=True)

    answers = [
        post(otto, f"{LOBBY}/messages", {"event": "message", "content": "x"}),
        post(otto, "/messages", {"event": "message", "content": "x", "flow": str(world.lobby.pk)}),
        otto.get(f"{LOBBY}/messages"),
        otto.get(f"{LOBBY}/messages/1"),
        otto.get(f"{LOBBY}/threads"),
        otto.delete(f"{LOBBY}/messages/1"),
    ]

    assert {answer.status_code for answer in answers} == {404}
    assert Message.objects.count() == 1


def test_actions_have_flowdocks_format(world, ines):
    from flowdock_server.posting.messages import record

    record(world.lobby, "action", {"type": "join", "description": "otto"}, world.otto)

    [action] = ines.get(f"{LOBBY}/messages", {"event": "action"}).json()
    assert action["content"] == {"type": "join", "description": "otto"}
    assert (action["user"], action["app"], action["tags"]) == (str(world.otto.pk), "chat", [])
    assert post(ines, f"{LOBBY}/messages/1/comments", {"content": "x"}).status_code == 400


def test_joining_and_leaving_is_posted_to_the_flow(world, ines, as_person):
    def put(client, path, body):
        return client.put(path, body, content_type="application/json")

    Membership.objects.create(organization=world.acme, user=world.sam)
    world.lobby.access_mode = "organization"
    world.lobby.save(update_fields=["access_mode"])
    main = "/flows/acme/main"

    assert post(ines, f"{main}/users", {"id": world.otto.pk}).status_code == 200
    assert post(ines, f"{main}/users", {"id": world.otto.pk}).status_code == 200
    assert put(ines, f"{main}/users/{world.otto.pk}", {"disabled": True}).status_code == 200
    assert put(ines, f"{main}/users/{world.otto.pk}", {"disabled": False}).status_code == 200
    invitation = post(ines, f"{main}/invitations", {"email": "New@example.com"}).json()
    assert ines.delete(f"{main}/invitations/{invitation['id']}").status_code == 204
    assert put(as_person(world.sam), LOBBY, {"open": True}).status_code == 200

    actions = ines.get(f"{main}/messages", {"event": "action"}).json()
    assert [message["content"] for message in actions] == [
        {"type": "add_people", "description": "Otto"},
        {"type": "block", "description": {"user": str(world.otto.pk)}},
        {"type": "invite", "description": {"email": "new@example.com"}},
        {"type": "uninvite", "description": {"email": "new@example.com"}},
    ]
    assert {message["user"] for message in actions} == {str(world.ines.pk)}
    [joined] = ines.get(f"{LOBBY}/messages").json()
    assert (joined["content"]["type"], joined["user"]) == ("join", str(world.sam.pk))
