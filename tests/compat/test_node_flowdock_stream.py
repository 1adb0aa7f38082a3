"""npm `flowdock-stream`: streams by flow names, and posting. Its URLs are fixed."""

import pytest

from .streams import hearing, said_until_heard


@pytest.fixture(scope="module")
def clients(npm):
    return npm("flowdock-stream@1.1.1")


def test_client_receives_and_posts_messages(clients, flowdock):
    token = flowdock.people["hubot"].token
    with hearing(clients.start("node_flowdock_stream_by_others.js", "Acme", "Main", FLOWDOCK_TOKEN=token)) as heard:
        ready = heard.until(lambda said: "ready" in said, "its list of flows")["ready"]
        assert ready[flowdock.flow["id"]]["users"][str(flowdock.people["ines"].id)] == "ines"

        asked = said_until_heard(flowdock, heard, "Is anybody there?")
        heard.say(["Main", "I am", asked["id"]])
        answer = heard.until(lambda said: said.get("event") == "comment", "its own comment")
        assert answer["content"]["text"] == "I am"
        assert answer["user"] == str(flowdock.people["hubot"].id)
