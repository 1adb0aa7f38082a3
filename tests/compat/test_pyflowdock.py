"""PyPI `pyflowdock`, written for Python 2: the Push API and the streams. Its URLs are fixed."""

import json

import pytest

from .streams import hearing, said_until_heard


@pytest.fixture(scope="module")
def clients(pypi):
    return pypi("pyflowdock==0.3.35", "requests", "forbiddenfruit")


@pytest.fixture
def call(clients, flowdock):
    def called(kind, method="post", token=None, **keywords):
        calls = [[kind, [token or flowdock.push_token], method, keywords]]
        return clients.run("pyflowdock.py", calls=calls, PYTHON2="1")[0]

    return called


def test_mail_is_posted_to_the_team_inbox(call, flowdock):
    assert call(
        "TeamInbox", source="Tide Tables", from_address="lea@example.com", from_name="Lea Cohen",
        subject="Spring tide", content="<p>On <b>Friday</b></p>", project="Harbour", tags="tide,moon",
        link="https://tides.test/friday",
    ) is True  # fmt: skip

    last = flowdock.last()
    assert last["event"] == "mail"
    assert last["app"] == "influx"
    content = last["content"]
    assert (content["subject"], content["source"]) == ("Spring tide", "Tide Tables")
    assert "<b>Friday</b>" in content["content"]
    assert {"tide", "moon"} <= set(last["tags"])


def test_chat_message_under_any_name_is_posted(call, flowdock):
    assert call("Chat", content="Built #412 ☂", external_user_name="builder", tags="build") is True

    last = flowdock.last()
    assert (last["event"], last["content"]) == ("message", "Built #412 ☂")
    assert (last["external_user_name"], last["user"]) == ("builder", "0")
    assert "build" in last["tags"]


def test_wrong_token_is_an_error(call):
    said = call("Chat", token="0" * 32, content="Hello", external_user_name="builder")

    assert said.startswith("HTTPError: 40")


@pytest.mark.parametrize("kind", ["JSONStream", "EventStream"])
def test_streams_receive_messages(clients, flowdock, kind):
    token = flowdock.people["ines"].token
    process = clients.start("pyflowdock_stream.py", kind, "acme/main", PYTHON2="1", FLOWDOCK_TOKEN=token)
    with hearing(process) as heard:
        said = said_until_heard(flowdock, heard, f"Ebb, told by {kind}")

        message = json.loads(said.removeprefix("data:")) if kind == "EventStream" else said
        assert (message["event"], message["user"]) == ("message", str(flowdock.people["otto"].id))
