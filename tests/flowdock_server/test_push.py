"""The Push API of old build tools: posting to the inbox or the chat with a flow's API token."""

import pytest

from flowdock_server.models import Message, Thread

from .conftest import post


@pytest.fixture
def token(world):
    return world.main.issue_api_token()


def mail(**changes) -> dict:
    return {
        "source": "News digest service",
        "from_address": "news@example.com",
        "subject": "Daily digest",
        "content": "<h1>Today</h1><script>alert(1)</script>",
        "from_name": "The news",
        "reply_to": "desk@example.com",
        "project": "My_Project 1",
        "format": "html",
        "tags": ["news", "#digest", "@ines"],
        "link": "https://news.test/",
    } | changes


def chat(**changes) -> dict:
    return {"content": "Howdy-Doo @ines #awesome", "external_user_name": "Stevie", "tags": "cool,#stuff"} | changes


@pytest.mark.parametrize("prefix", ["/v1", ""])
@pytest.mark.parametrize("how", ["json", "form", "query"])
def test_mail_is_posted_to_the_inbox(world, client, ines, token, prefix, how):
    path = f"{prefix}/messages/team_inbox/{token}"
    if how == "json":
        response = post(client, path, mail())
    elif how == "form":
        response = client.post(path, mail(tags="news,#digest,@ines"))
    else:
        response = client.post(path, query_params=mail(tags="news,#digest,@ines"))

    assert (response.status_code, response.json()) == (200, {})
    assert "Flowdock-User" not in response
    [message] = ines.get("/flows/acme/main/messages").json()
    assert (message["event"], message["app"], message["user"]) == ("mail", "influx", "0")
    assert message["content"] == {
        "subject": "Daily digest",
        "content": "<h1>Today</h1>",
        "from": [{"name": "The news", "address": "news@example.com"}],
        "to": [],
        "cc": [],
        "bcc": [],
        "reply_to": [{"name": "", "address": "desk@example.com"}],
        "source": "News digest service",
        "project": "My_Project 1",
        "link": "https://news.test/",
    }
    who = world.ines.pk
    assert message["tags"] == ["news", "digest", f":user:{who}", f":unread:{who}", ":source:news-digest-service"]
    [thread] = ines.get("/flows/acme/main/threads", {"application": "inbox"}).json()
    assert (thread["title"], thread["external_url"], thread["source"]) == ("Daily digest", "https://news.test/", None)
    assert message["thread"] == thread


def test_each_mail_has_a_thread_that_is_deleted_with_it(client, ines, token):
    for _ in range(2):
        post(client, f"/v1/messages/team_inbox/{token}", mail())
    assert Thread.objects.count() == 2

    assert ines.delete("/flows/acme/main/messages/1").status_code == 204
    assert len(ines.get("/flows/acme/main/threads").json()) == 1
    comment = post(ines, "/flows/acme/main/messages/2/comments", {"content": "Read"}).json()
    assert comment["content"] == {"title": "Daily digest", "text": "Read"}


@pytest.mark.parametrize("prefix", ["/v1", ""])
def test_message_is_posted_to_the_chat(world, client, ines, token, prefix):
    response = client.post(f"{prefix}/messages/chat/{token}", chat())

    assert (response.status_code, response.json()) == (200, {})
    [message] = ines.get("/flows/acme/main/messages").json()
    assert (message["event"], message["content"], message["user"]) == ("message", "Howdy-Doo @ines #awesome", "0")
    assert message["external_user_name"] == "Stevie"
    who = world.ines.pk
    assert message["tags"] == ["cool", "stuff", f":user:{who}", f":unread:{who}", "awesome"]


def test_message_can_be_a_comment_or_belong_to_a_thread(client, ines, token):
    post(client, f"/v1/messages/team_inbox/{token}", mail())
    thread_id = ines.get("/flows/acme/main/threads").json()[0]["id"]

    assert client.post(f"/v1/messages/chat/{token}", chat(message_id="1")).status_code == 200
    assert client.post(f"/v1/messages/chat/{token}", chat(thread_id=thread_id, message_id="")).status_code == 200
    assert client.post(f"/v1/messages/chat/{token}", chat(message_id="2")).status_code == 400

    comment, said = ines.get("/flows/acme/main/messages", {"since_id": 1}).json()
    assert (comment["event"], comment["content"]["title"]) == ("comment", "Daily digest")
    assert (said["event"], said["thread_id"]) == ("message", thread_id)


def test_several_tokens_post_to_all_their_flows(world, client, token):
    tokens = f"{token},{world.lobby.issue_api_token()}"

    assert client.post(f"/v1/messages/chat/{tokens}", chat()).status_code == 200
    assert post(client, f"/v1/messages/team_inbox/{tokens}", mail()).status_code == 200

    assert {message.flow_id for message in Message.objects.all()} == {world.main.pk, world.lobby.pk}
    assert Message.objects.count() == 4


def test_one_wrong_token_posts_nothing(world, client, token):
    old = world.lobby.issue_api_token()
    world.lobby.issue_api_token()

    for tokens in ("0" * 32, old, f"{token},{old}", ",", "%20", ",".join(f"{n}" for n in range(30))):
        for kind, body in (("chat", chat()), ("team_inbox", mail())):
            response = client.post(f"/v1/messages/{kind}/{tokens}", body)
            assert (response.status_code, response.json()) == (401, {"message": "Unauthorized"})
    assert not Message.objects.exists()


def test_one_archived_flow_posts_nothing(world, client, token):
    tokens = f"{token},{world.lobby.issue_api_token()}"
    world.lobby.disabled = True
    world.lobby.save(update_fields=["disabled"])

    assert client.post(f"/v1/messages/chat/{tokens}", chat()).status_code == 403
    assert not Message.objects.exists()


@pytest.mark.parametrize(
    ("kind", "changes", "field"),
    [
        *(("team_inbox", {name: None}, name) for name in ("source", "from_address", "subject", "content")),
        *(("team_inbox", {name: "  "}, name) for name in ("source", "from_address", "subject", "content")),
        ("team_inbox", {"source": "a&b"}, "source"),
        ("team_inbox", {"project": "a/b"}, "project"),
        ("team_inbox", {"from_address": "nobody"}, "from_address"),
        ("team_inbox", {"reply_to": "nobody"}, "reply_to"),
        ("team_inbox", {"format": "markdown"}, "format"),
        ("team_inbox", {"link": "javascript:x"}, "link"),
        ("team_inbox", {"subject": "x" * 10_001}, "subject"),
        ("chat", {"content": ""}, "content"),
        ("chat", {"content": "x" * 8097}, "content"),
        ("chat", {"content": {"data": "Zg=="}}, "content"),
        ("chat", {"external_user_name": None}, "external_user_name"),
        ("chat", {"message_id": "99"}, "message_id"),
        ("chat", {"message_id": "x"}, "message_id"),
        ("chat", {"message_id": "first"}, "message_id"),
        ("chat", {"message_id": 99}, "message_id"),
        ("chat", {"thread_id": "nowhere"}, "thread_id"),
    ],
)
def test_invalid_field_is_refused_with_the_reason(client, token, kind, changes, field):
    body = (mail if kind == "team_inbox" else chat)(**changes)

    response = post(client, f"/v1/messages/{kind}/{token}", body)

    assert response.status_code == 400
    assert response.json()["message"] == "Validation error"
    assert list(response.json()["errors"]) == [field]
    assert not Message.objects.exists()


def test_source_can_contain_a_hyphen(client, token):
    assert post(client, f"/v1/messages/team_inbox/{token}", mail(source="my-app", reply_to="")).status_code == 200


def test_unsupported_content_type_is_refused(client, token):
    response = client.post(f"/v1/messages/chat/{token}", "content=x", content_type="text/plain")
    assert response.status_code == 415


@pytest.mark.parametrize("name", ["two words", "a name of more than sixteen characters", "x" * 300])
def test_any_name_can_post_to_the_chat(client, ines, token, name):
    assert client.post(f"/v1/messages/chat/{token}", chat(external_user_name=name)).status_code == 200

    assert ines.get("/flows/acme/main/messages").json()[0]["external_user_name"] == name[:255]
