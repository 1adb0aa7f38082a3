"""npm `flowdock`, Flowdock's own client for Node.

It reads its URLs from FLOWDOCK_API_URL and FLOWDOCK_STREAM_URL.
"""

import pytest

from .conftest import PASSWORD, Clients, Flowdock
from .streams import hearing


@pytest.fixture(scope="module")
def clients(npm) -> Clients:
    return npm("flowdock@0.9.1")


@pytest.fixture
def call(clients, flowdock):
    """The results of callbacks in Ines's session: `call("message", flow, "Hello")`."""

    def called(*call, **environment):
        environment = environment or {"FLOWDOCK_TOKEN": flowdock.people["ines"].token}
        return clients.run("node_flowdock.js", calls=[call], **environment)[0]

    return called


def test_flows_are_listed_with_their_users(call, flowdock: Flowdock):
    answer = call("flows")

    ines = flowdock.people["ines"]
    assert answer["headers"]["flowdock-user"] == str(ines.id)
    (flow,) = answer["body"]
    assert flow["id"] == flowdock.flow["id"]
    assert (flow["joined"], flow["open"]) == (True, True)
    assert flow["organization"]["parameterized_name"] == "acme"
    assert {user["nick"] for user in flow["users"] if user["in_flow"]} == set(flowdock.people)


def test_url_of_the_api_is_a_setting(call, flowdock):
    answer = call(
        "flows",
        FLOWDOCK_API_URL=f"https://127.0.0.1:{flowdock.port}",
        FLOWDOCK_TOKEN=flowdock.people["otto"].token,
    )

    assert answer["body"][0]["url"] == "https://api.flowdock.com/flows/acme/main"


def test_client_signs_in_with_email_and_password(call, flowdock):
    answer = call("flows", FLOWDOCK_EMAIL="otto@example.com", FLOWDOCK_LOGIN_PASSWORD=PASSWORD)

    assert answer["headers"]["flowdock-user"] == str(flowdock.people["otto"].id)


def test_wrong_token_is_an_error(call):
    assert call("flows", FLOWDOCK_TOKEN="0" * 32) == {"error": "Received status 401"}


def test_chat_message_with_tags_is_posted(call, flowdock):
    said = call("message", flowdock.flow["id"], "Low tide at noon", ["tide"])

    assert said["body"]["id"] == flowdock.last()["id"]
    last = flowdock.last()
    assert (last["event"], last["content"], last["app"]) == ("message", "Low tide at noon", "chat")
    assert last["user"] == str(flowdock.people["ines"].id)
    assert "tide" in last["tags"]


def test_comment_is_posted(call, flowdock):
    parent = call("message", flowdock.flow["id"], "Who has the keys?", [])["body"]

    call("comment", flowdock.flow["id"], parent["id"], "I have", [])

    last = flowdock.last()
    assert last["event"] == "comment"
    assert last["content"]["text"] == "I have"
    assert last["content"]["title"] == "Who has the keys?"
    assert f"influx:{parent['id']}" in last["tags"]


def test_message_is_posted_to_a_thread(call, flowdock):
    posted = flowdock.thread("Warn before low tide")

    said = call("threadMessage", flowdock.flow["id"], posted["thread_id"], "On it", [])

    assert said["body"]["thread_id"] == posted["thread_id"]
    listed = flowdock.call("GET", f"/flows/acme/main/threads/{posted['thread_id']}/messages").json()
    assert [message["event"] for message in listed] == ["activity", "message"]


def test_private_message_is_sent(call, flowdock):
    otto = flowdock.people["otto"]

    assert "error" not in call("privateMessage", otto.id, "Between us", [])

    seen = flowdock.call("GET", f"/private/{flowdock.people['ines'].id}/messages", as_="otto").json()
    assert seen[-1]["content"] == "Between us"
    assert seen[-1]["to"] == str(otto.id)


def test_status_is_set(call, flowdock):
    call("status", flowdock.flow["id"], "Out at sea")

    assert (flowdock.last()["event"], flowdock.last()["content"]) == ("status", "Out at sea")


def test_message_is_edited(call, flowdock):
    said = call("message", flowdock.flow["id"], "Low tde", [])["body"]

    assert call("editMessage", "main", "acme", said["id"], {"content": "Low tide", "tags": ["tide"]})["body"] == {}

    edited = flowdock.call("GET", f"/flows/acme/main/messages/{said['id']}").json()
    assert (edited["content"], "tide" in edited["tags"], bool(edited["edited"])) == ("Low tide", True, True)


def test_invitation_is_sent(call, flowdock):
    answer = call("invite", "main", "acme", "new@example.com", "Come in")

    assert (answer["status"], answer["body"]["state"], answer["body"]["email"]) == (201, "pending", "new@example.com")


def test_message_is_deleted(call, flowdock):
    said = call("message", flowdock.flow["id"], "Never mind", [])["body"]

    assert call("delete", f"/flows/acme/main/messages/{said['id']}")["status"] == 200


def test_stream_receives_messages(clients, flowdock):
    token = flowdock.people["hubot"].token
    with hearing(clients.start("node_flowdock_stream.js", flowdock.flow["id"], FLOWDOCK_TOKEN=token)) as heard:
        heard.until(lambda said: said == "connected", "the stream to open")

        said = flowdock.say("Müller & Söhne: ebb at 4 ☂")

        message = heard.until(lambda said: said.get("event") == "message", "the message")
        assert (message["id"], message["content"]) == (said["id"], "Müller & Söhne: ebb at 4 ☂")
        assert message["flow"] == flowdock.flow["id"]
        assert message["user"] == str(flowdock.people["otto"].id)

        flowdock.call(
            "POST", f"/private/{flowdock.people['hubot'].id}/messages", as_="otto",
            json={"event": "message", "content": "Only for you"},
        )  # fmt: skip
        private = heard.until(lambda said: said.get("content") == "Only for you", "the private message")
        assert private["to"] == str(flowdock.people["hubot"].id)
        assert not private.get("flow")
