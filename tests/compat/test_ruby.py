"""The gem `flowdock`, as packaged by Debian: the Push API and the REST API under /v1. Its URLs are fixed."""

import pytest


@pytest.fixture
def call(ruby, flowdock):
    def called(kind, method, arguments, **options):
        default = {"api_token": flowdock.push_token if kind == "Flow" else flowdock.people["ines"].token}
        return ruby.run("flowdock.rb", calls=[[kind, options or default, method, arguments]])[0]

    return called


def test_mail_is_posted_to_the_team_inbox(call, flowdock):
    assert call(
        "Flow", "push_to_team_inbox",
        {
            "source": "tide-tables", "from": {"name": "Lea Cohen", "address": "lea@example.com"},
            "subject": "Storm", "content": "<p>From the west</p>", "tags": ["storm"], "link": "https://tides.test/",
        },
    ) is True  # fmt: skip

    last = flowdock.last()
    assert (last["event"], last["content"]["subject"]) == ("mail", "Storm")
    assert "storm" in last["tags"]


def test_chat_message_and_its_comment_are_posted(call, flowdock):
    assert call("Flow", "push_to_chat", {"content": "Built", "external_user_name": "ci"}) is True
    parent = flowdock.last()

    said = {"content": "By whom?", "external_user_name": "ci", "message_id": parent["id"]}
    assert call("Flow", "push_to_chat", said) is True

    assert flowdock.last()["event"] == "comment"
    assert f"influx:{parent['id']}" in flowdock.last()["tags"]


def test_errors_are_reported_by_field(call):
    said = call("Flow", "push_to_chat", {"content": "x" * 9000, "external_user_name": "ci"})

    assert said["error"].startswith("Flowdock::ApiError: Flowdock API returned error:\nStatus: 400")
    assert "Errors:\ncontent: " in said["error"]


def test_person_posts_to_the_chat(call, flowdock):
    said = call("Client", "chat_message", {"flow": flowdock.flow["id"], "content": "Ahoy", "tags": ["sea"]})
    assert said["id"] == flowdock.last()["id"]

    comment = {"flow": flowdock.flow["id"], "content": "Ahoy again", "message_id": said["id"]}
    assert call("Client", "chat_message", comment)["event"] == "comment"


def test_private_message_is_sent(call, flowdock):
    answer = call("Client", "private_message", {"user_id": flowdock.people["otto"].id, "content": "By gem"})

    assert "error" not in answer
    seen = flowdock.call("GET", f"/private/{flowdock.people['ines'].id}/messages", "otto").json()
    assert seen[-1]["content"] == "By gem"


def test_integration_posts_to_its_thread(call, flowdock):
    answer = call(
        "Client", "post_to_thread",
        [{
            "event": "activity", "author": {"name": "Lea Cohen"}, "title": "deployed", "external_thread_id": "deploy:1",
            "thread": {"title": "Version 1", "fields": [{"label": "Host", "value": "quay"}],
                       "status": {"color": "green", "value": "live"}},
        }],
        flow_token=flowdock.source("gem"),
    )  # fmt: skip

    assert "error" not in answer
    assert flowdock.last()["thread"]["status"] == {"color": "green", "value": "live"}


def test_any_call_can_be_made(call, flowdock):
    assert [flow["name"] for flow in call("Client", "get", ["/flows"])] == ["Main"]
    said = call("Client", "post", ["/flows/acme/main/messages", {"event": "message", "content": "By post"}])
    assert call("Client", "put", [f"/flows/acme/main/messages/{said['id']}", {"content": "By put"}]) == {}
    assert call("Client", "get", [f"/flows/acme/main/messages/{said['id']}"])["content"] == "By put"
    call("Client", "delete", [f"/flows/acme/main/messages/{said['id']}"])
    assert "Flowdock::NotFoundError" in call("Client", "get", ["/flows/acme/none"])["error"]
