"""npm `hubot-flowdock`, the adapter, with `hubot`: a bot that listens to its flows and answers there.

Hubot 2 is the last version whose CoffeeScript can read the adapter. It does not load with Hubot 3, with any server.
"""

import subprocess

import pytest

from tests.stack import until

from .conftest import PASSWORD


@pytest.fixture(scope="module", params=["token", "password"])
def hubot(request, npm, flowdock, tmp_path_factory):
    """A running Hubot with its own `ping` and `echo`, signed in with its token or its password."""
    clients = npm("hubot@2", "hubot-flowdock@0.7.8")
    folder = tmp_path_factory.mktemp("hubot")
    scripts = folder / "scripts"
    scripts.mkdir()
    (scripts / "answers.js").write_text(
        "module.exports = (robot) => {\n"
        "  robot.respond(/ping$/i, (said) => said.send('PONG'));\n"
        "  robot.respond(/who am i$/i, (said) => said.reply(`you are ${said.message.user.name}`));\n"
        "  robot.hear(/the weather/i, (said) => robot.messageRoom('acme/main', 'Fog, all day'));\n"
        "};\n"
    )
    person = flowdock.people["hubot"]
    credentials = {
        "token": {"HUBOT_FLOWDOCK_API_TOKEN": person.token},
        "password": {"HUBOT_FLOWDOCK_LOGIN_EMAIL": person.email, "HUBOT_FLOWDOCK_LOGIN_PASSWORD": PASSWORD},
    }[request.param]
    modules = clients.environment["NODE_PATH"]
    log = folder / "hubot.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*clients.command, f"{modules}/.bin/coffee", f"{modules}/hubot/bin/hubot", "--adapter", "flowdock",
             "--name", "hubot", "--require", str(scripts), "--disable-httpd"],
            cwd=f"{modules}/..", env=clients.environment | credentials | {"HUBOT_LOG_LEVEL": "debug"},
            stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        until(lambda: "connected and streaming" in log.read_text() or process.poll() is not None, "Hubot to connect")
        assert process.poll() is None, log.read_text()
        yield lambda: log.read_text()
    finally:
        process.kill()
        process.wait()


def answer_to(flowdock, said, event="message"):
    """What Hubot posts after `said`."""
    me = str(flowdock.people["hubot"].id)

    def answer():
        later = flowdock.messages(since_id=said["id"])
        return next((message for message in later if message["user"] == me), None)

    found = until(answer, "Hubot's answer")
    assert found["event"] == event
    return found


def test_bot_finds_its_flows_and_itself(hubot, flowdock):
    log = hubot()

    assert "I have joined 1 of them" in log
    assert f"as user hubot (id {flowdock.people['hubot'].id})" in log
    assert "wrong name" not in log


def test_bot_answers_a_message_in_its_thread(hubot, flowdock):
    said = flowdock.say("hubot ping")

    answer = answer_to(flowdock, said)
    assert answer["content"] == "PONG"
    assert answer["thread_id"] == said["thread_id"]


def test_bot_reacts_to_a_mention_and_knows_the_author(hubot, flowdock):
    said = flowdock.say("@hubot who am i")

    assert answer_to(flowdock, said)["content"] == "@otto: you are otto"


def test_bot_answers_in_the_thread_of_the_question(hubot, flowdock):
    activity = flowdock.thread("Hubot's thread")
    said = flowdock.call(
        "POST", f"/flows/acme/main/threads/{activity['thread_id']}/messages", "otto",
        json={"event": "message", "content": "hubot ping"},
    ).json()  # fmt: skip

    assert answer_to(flowdock, said)["thread_id"] == activity["thread_id"]


def test_bot_posts_to_a_room_by_its_path(hubot, flowdock):
    said = flowdock.say("How is the weather?")

    assert answer_to(flowdock, said)["content"] == "Fog, all day"


def test_bot_answers_in_private(hubot, flowdock):
    me = flowdock.people["hubot"].id
    flowdock.call("POST", f"/private/{me}/messages", "ines", json={"event": "message", "content": "ping"})

    def last():
        said = flowdock.call("GET", f"/private/{me}/messages", "ines").json()[-1]
        return said if said["user"] == str(me) else None

    assert until(last, "Hubot's private answer")["content"] == "PONG"


NOBODY_IS_IN_ADDED_FLOWS = """
from flowdock_server.models import FlowMembership
FlowMembership.objects.filter(flow__name__startswith="Added").delete()
"""


def test_bot_joins_a_new_flow_without_a_restart(hubot, flowdock):
    me = flowdock.people["hubot"].id
    flow = flowdock.call("POST", "/flows/acme", "ines", json={"name": f"Added {hubot().count('Reconnecting')}"}).json()
    path = flow["url"].removeprefix("https://api.flowdock.com")

    try:
        flowdock.call("POST", f"{path}/users", "ines", json={"id": me})

        until(lambda: "Reconnecting: Reloading flow list" in hubot(), "Hubot to start anew")

        def answered():
            flowdock.call("POST", f"{path}/messages", "ines", json={"event": "message", "content": "hubot ping"})
            said = flowdock.call("GET", f"{path}/messages", "ines").json()
            return any(message["user"] == str(me) and message["content"] == "PONG" for message in said)

        until(answered, "Hubot's answer in the new flow")
    finally:
        # Other tests count people's flows.
        flowdock.stack.serve("shell", "--verbosity", "0", "--command", NOBODY_IS_IN_ADDED_FLOWS)
