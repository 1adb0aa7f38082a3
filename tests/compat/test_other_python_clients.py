"""PyPI `python-flowdock` (2011), `flowdock-api-wrapper` (2021) and `aioflowdock` (2019). All URLs are fixed."""

import pytest

from .streams import hearing, said_until_heard


def test_python_flowdock_posts_to_the_inbox_by_its_original_path(pypi, flowdock):
    clients = pypi("python-flowdock==0.1", "requests", "forbiddenfruit")

    answer = clients.run(
        "python_flowdock.py", PYTHON2="1", FLOWDOCK_TOKEN=flowdock.push_token,
        calls=[{
            "from_address": "lea@example.com", "subject": "Neap tide", "content": "On Monday", "tags": ["tide"],
            "from_name": "Lea Cohen", "link": "https://tides.test/",
        }],
    )  # fmt: skip

    assert answer == [True]
    assert flowdock.last()["content"]["subject"] == "Neap tide"


@pytest.fixture(scope="module")
def wrapper(pypi):
    return pypi("flowdock-api-wrapper==1.1")


class TestApiWrapper:
    @pytest.fixture
    def flow(self, wrapper, flowdock):
        """Make calls in the flow Main: `flow(["send", ["Hello"], {}], …)`."""
        connect = {"token": flowdock.people["ines"].token, "org": "acme", "flow": "main"}
        return lambda *calls, **more: wrapper.run(
            "flowdock_api_wrapper.py", calls={"connect": connect, "calls": calls, **more}
        )

    def test_messages_are_posted_shown_edited_and_deleted(self, flow, flowdock):
        (said,) = flow(["send", ["High water"], {"tags": ["tide"]}])
        shown, _, listed, _ = flow(
            ["show", [said["id"]], {}],
            ["edit", [said["id"]], {"content": "Higher water", "tags": ["flood"]}],
            ["list", [], {"tags": "flood", "limit": 1}],
            ["delete", [said["id"]], {}],
        )

        assert shown["content"] == "High water"
        assert [message["content"] for message in listed] == ["Higher water"]

    def test_filters_are_sent_in_the_body_of_a_get(self, flow, flowdock):
        flowdock.say("one")
        first, listed, _ = flow(
            ["send", ["two"], {}],
            ["list", [], {"limit": 1, "sort": "desc", "event": "message"}],
            ["threads", [], {"limit": 1}],
        )

        assert [message["id"] for message in listed] == [first["id"]]

    def test_thread_is_shown(self, flow, flowdock):
        thread_id = flowdock.thread("The wrapper's thread")["thread_id"]
        through = [["thread", thread_id]]

        said, listed = flow(["send", ["Seen"], {}], ["list", [], {"limit": 5}], through=through)

        assert said["thread_id"] == thread_id
        assert [message["event"] for message in listed] == ["activity", "message"]

    def test_file_is_uploaded_and_downloaded(self, flow, tmp_path):
        path = tmp_path / "tide table.txt"
        path.write_text("03:12 low\n")
        (uploaded,) = flow(["upload", [str(path)], {}])
        assert uploaded["event"] == "file"

        (downloaded,) = flow(["download", [uploaded["attachments"][0]["path"]], {}])

        assert downloaded == "03:12 low\n"

    def test_private_messages_are_sent_and_listed(self, wrapper, flowdock):
        ines, otto = flowdock.people["ines"], flowdock.people["otto"]
        flowdock.call("POST", f"/private/{ines.id}/messages", "otto", json={"event": "message", "content": "Psst"})

        listed, found = wrapper.run(
            "flowdock_api_wrapper.py",
            calls={
                "connect": {"token": ines.token, "name": otto.nick},
                "calls": [["list", [], {"limit": 1}], ["list", [], {"search": "psst"}]],
            },
        )
        (shown,) = wrapper.run(
            "flowdock_api_wrapper.py",
            calls={
                "connect": {"token": ines.token, "uid": otto.id},
                "calls": [["show", [listed[0]["id"]], {}]],
            },
        )

        assert [message["content"] for message in listed] == ["Psst"]
        assert listed == found
        assert shown == listed[0]
        (sent, _, edited) = wrapper.run(
            "flowdock_api_wrapper.py",
            calls={
                "connect": {"token": otto.token, "uid": ines.id},
                "calls": [
                    ["send", ["Ahoy"], {}],
                    ["edit", [shown["id"]], {"content": "Ahoi"}],
                    ["show", [shown["id"]], {}],
                ],
            },
        )
        assert (sent["content"], edited["content"]) == ("Ahoy", "Ahoi")

    def test_events_are_received(self, wrapper, flowdock):
        token = flowdock.people["ines"].token
        process = wrapper.start("flowdock_api_wrapper_events.py", "acme", "main", FLOWDOCK_TOKEN=token)
        with hearing(process) as heard:
            assert said_until_heard(flowdock, heard, "Ebb, told to the wrapper")["event"] == "message"


def test_aioflowdock_posts_and_receives_messages(pypi, flowdock):
    clients = pypi("aioflowdock==0.2.2", "aiohttp<4", "pyee<12")
    flow_id, otto = flowdock.flow["id"], flowdock.people["otto"].id
    parent = flowdock.say("Who sails today?")
    thread_id = flowdock.thread("aioflowdock's thread")["thread_id"]

    done = clients.run(
        "aioflowdock_client.py", flow_id, FLOWDOCK_TOKEN=flowdock.people["ines"].token,
        calls=[
            ["flows"],
            ["message", flow_id, "I do", ["boat"]],
            ["comment", flow_id, parent["id"], "Me too"],
            ["thread_message", flow_id, thread_id, "Looks well"],
            ["private_message", otto, "Come along"],
            ["status", flow_id, "Sailing"],
            ["invite", "main", "acme", "sailor@example.com", "Come aboard"],
        ],
    )  # fmt: skip

    assert done["failures"] == []
    flows, said, comment, threaded, _, status, invitation = done["answers"]
    assert flows[0]["id"] == flow_id
    assert said["content"] == "I do"
    assert comment["event"] == "comment"
    assert threaded["thread_id"] == thread_id
    assert status["event"] == "status"
    assert invitation["state"] == "pending"
    assert "I do" in [message["content"] for message in done["heard"]]
