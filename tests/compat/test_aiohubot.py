"""PyPI `aiohubot-flowdock`, the adapter, with `aiohubot`: Hubot for Python, with Python 3.9 and `pyee` 6."""

import subprocess

import pytest

from tests.stack import until

from .conftest import HERE


@pytest.fixture(scope="module")
def aiohubot(pypi, flowdock, tmp_path_factory):
    """The log of a running aiohubot that is signed in with its token."""
    clients = pypi("aiohubot-flowdock==0.1.2", "aiohubot==0.4.7", "pyee<7", python="3.9")
    folder = tmp_path_factory.mktemp("aiohubot")
    log = folder / "aiohubot.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*clients.command, "-m", "aiohubot", "--adapter", "aiohubot_flowdock", "--name", "hubot",
             "--disable-httpd", "--require", str(HERE / "drivers" / "aiohubot_script.py")],
            cwd=folder, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT,
            env=clients.environment
            | {"HUBOT_FLOWDOCK_API_TOKEN": flowdock.people["hubot"].token, "HUBOT_LOG_LEVEL": "debug"},
        )  # fmt: skip
    try:
        until(lambda: "connected and streaming" in log.read_text() or process.poll() is not None, "aiohubot to connect")
        assert process.poll() is None, log.read_text()
        yield lambda: log.read_text()
    finally:
        process.kill()
        process.wait()


def answer_to(flowdock, aiohubot, said):
    """What it posts after `said`."""
    me = str(flowdock.people["hubot"].id)

    def answer():
        later = flowdock.messages(since_id=said["id"])
        return next((message for message in later if message["user"] == me), None)

    try:
        return until(answer, "aiohubot's answer")
    except BaseException:
        print(aiohubot())
        raise


def test_bot_finds_its_flows_and_itself(aiohubot, flowdock):
    assert "I have joined 1 of them" in aiohubot()
    assert f"as user hubot (id {flowdock.people['hubot'].id})" in aiohubot()


def test_bot_answers_a_message_in_its_thread(aiohubot, flowdock):
    said = flowdock.say("hubot ping")

    answer = answer_to(flowdock, aiohubot, said)
    assert (answer["event"], answer["content"]) == ("message", "PONG")
    assert answer["thread_id"] == said["thread_id"]


def test_bot_reacts_to_a_mention_and_knows_the_author(aiohubot, flowdock):
    said = flowdock.say("@hubot who am i")

    assert answer_to(flowdock, aiohubot, said)["content"] == "@otto: you are otto"


def test_bot_answers_in_private(aiohubot, flowdock):
    me = flowdock.people["hubot"].id
    flowdock.call("POST", f"/private/{me}/messages", "ines", json={"event": "message", "content": "ping"})

    def last():
        said = flowdock.call("GET", f"/private/{me}/messages", "ines").json()[-1]
        return said if said["user"] == str(me) else None

    assert until(last, "aiohubot's private answer")["content"] == "PONG"
