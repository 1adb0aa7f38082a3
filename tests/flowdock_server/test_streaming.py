"""The streaming API, with real connections to a running server."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from .conftest import activity
from .serving import Server, Stream, basic

# One process of pytest-xdist runs the whole module, so that its servers start once.
pytestmark = pytest.mark.xdist_group("streaming")

MAIN, LOBBY = "/flows/acme/main", "/flows/acme/lobby"
EVENTS = {"Accept": "text/event-stream"}


class Running(Server):
    keys: dict[str, Any]

    def sql(self, statement: str, *values: object) -> list[Any]:
        """Write directly to the database, like another process."""
        with contextlib.closing(sqlite3.connect(self.database, timeout=20, isolation_level=None)) as database:
            return database.execute(statement, values).fetchall()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    server = Running(tmp_path_factory.mktemp("server"), FLOWDOCK_STREAM_KEEP_ALIVE="2")
    server.keys = server.seed()
    with server.running():
        yield server


@pytest.fixture
def ines(running: Running) -> str:
    return running.keys["ines"]


def test_message_has_the_rest_apis_format_and_its_own_chunk(running: Running, ines: str) -> None:
    with running.stream(MAIN, ines) as stream:
        assert stream.first == b"\n"
        said = running.say("Grüße ✓\u2028 \r\n und mehr", ines)
        posted = running.call("POST", "/messages", body=activity(flow_token=running.keys["flow_token"]))[2]
        shown = running.call("GET", f"{MAIN}/messages/{posted['id']}", ines)[2]
        assert [stream.next(), stream.next()] == [said, shown]
    assert running.call("GET", f"{MAIN}/messages/{said['id']}", ines)[2] == said
    assert posted["thread"]["title"] == "Warn before low tide"


def test_headers_prevent_proxies_from_buffering(running: Running, ines: str) -> None:
    with running.stream(MAIN, ines, Accept_Encoding="gzip, br", Origin="https://app.test") as stream:
        assert stream.headers["content-type"] == "application/json; charset=utf-8"
        assert stream.headers["transfer-encoding"] == "chunked"
        assert "content-length" not in stream.headers
        assert "content-encoding" not in stream.headers
        assert stream.headers["x-accel-buffering"] == "no"
        assert "no-transform" in stream.headers["cache-control"]
        assert stream.headers["access-control-allow-origin"] == "https://app.test"
        assert stream.headers["flowdock-user"] == str(running.keys["ids"]["ines"])


@pytest.mark.parametrize(
    "path",
    [
        "/flows?filter=acme/main",
        "/flows?filter=acme:main,acme/lobby",
        "/flows?filter=acme%2Fmain%2C%20acme%2Flobby&active=idle",
        "/v1/flows?filter={main}",
        "/v1/flows.json?filter[]={main}&user=0",
        "/flows/acme/main",
        "/v1/flows/acme/main.json?active=true",
    ],
)
def test_flows_can_be_named_in_every_spelling(running: Running, ines: str, path: str) -> None:
    with running.stream(path.format(**running.keys["flows"]), ines) as stream:
        said = running.say("Hello", ines)
        message = stream.next()
        while message["event"] == "activity.user":
            message = stream.next()
        assert message == said


@pytest.mark.parametrize("kind", ["personal token", "password", "bearer", "parameter"])
def test_keys_are_those_of_the_rest_api(running: Running, ines: str, kind: str) -> None:
    path, token, headers = MAIN, "", {}
    match kind:
        case "personal token":
            token = ines
        case "password":
            token = "ines@example.com\na password"
        case "bearer":
            headers = {"Authorization": f"Bearer {running.keys['flow']}"}
        case "parameter":
            path = f"{MAIN}?access_token={running.keys['flow']}"
    with running.stream(path, token, **headers) as stream:
        said = running.say("Hello", ines)
        assert stream.next() == said


@pytest.mark.parametrize(
    ("path", "key", "status"),
    [
        ("/flows?filter=acme/main", "", 401),
        ("/flows?filter=acme/main", "Basic bm9ib2R5Og==", 401),
        ("/flows?filter=acme/main", "Bearer expired", 401),
        ("/flows/acme/main", "Bearer profile", 403),
        ("/flows/acme/main", "Bearer private", 403),
        ("/flows?filter=acme/main&user=1", "Bearer private", 403),
        ("/flows?filter=acme/main&user=1", "Bearer flow", 403),
        ("/flows?filter=other/elsewhere", "Bearer flow", 404),
        ("/flows?filter=acme/main,acme/nowhere", "Bearer flow", 404),
        ("/flows?filter=00000000-0000-0000-0000-000000000000", "Bearer flow", 404),
        ("/flows?filter=%F0%9F%90%99", "Bearer flow", 404),
        ("/flows/acme/nowhere", "Bearer flow", 404),
        ("/flows/other/elsewhere", "Bearer flow", 404),
        ("/flows", "Bearer flow", 400),
        ("/flows?filter=,", "Bearer flow", 400),
        ("/flows?filter=acme/main&user=perhaps", "Bearer flow", 400),
        ("/flows?filter=acme/main&active=asleep", "Bearer flow", 400),
        ("/flows?filter=%00", "Bearer flow", 400),
    ],
)
def test_refused_stream_is_refused_before_it_starts(running: Running, path: str, key: str, status: int) -> None:
    headers = {"Authorization": key} if key else {}
    answer = running.call("GET", path, port=running.stream_port, Origin="https://app.test", **headers)
    assert answer[0] == status
    assert answer[2].keys() <= {"message", "errors"}
    assert answer[2]["message"]
    assert answer[1]["access-control-allow-origin"] == "https://app.test"


def test_flow_token_cannot_open_a_stream(running: Running) -> None:
    path = f"{MAIN}?flow_token={running.keys['flow_token']}"
    assert running.call("GET", path, port=running.stream_port)[0] == 401


def test_head_options_and_other_methods_are_answered(running: Running, ines: str) -> None:
    def answer(method: str) -> tuple[int, dict[str, str], Any]:
        return running.call(method, MAIN, ines, port=running.stream_port, Origin="https://app.test")

    assert answer("HEAD")[0] == 200
    assert answer("HEAD")[1]["content-type"] == "application/json; charset=utf-8"
    assert answer("OPTIONS")[0] == 200
    assert "GET" in answer("OPTIONS")[1]["access-control-allow-methods"]
    assert answer("POST")[0] == 405
    assert "GET" in answer("POST")[1]["allow"]


def test_rest_api_is_also_available_at_the_streaming_host(running: Running, ines: str) -> None:
    assert running.call("GET", "/user", ines, port=running.stream_port)[2]["nick"] == "Ines"
    assert running.call("GET", "/flows/acme", ines, port=running.stream_port)[0] == 200
    assert running.call("POST", "/oauth/token", body={}, port=running.stream_port, Accept="application/json")[0] == 400
    assert isinstance(running.call("GET", "/flows", ines)[2], list)


def test_silent_stream_sends_keep_alives(running: Running, ines: str) -> None:
    with running.stream(MAIN, ines) as stream, running.stream(MAIN, ines, **EVENTS) as events:
        assert events.first == b":\n\n"
        began = time.monotonic()
        assert stream.chunk() == b"\n"
        assert events.chunk() == b":\n\n"
        assert 1.5 < time.monotonic() - began < 10


def test_event_stream_resumes_with_all_missed_messages(running: Running, ines: str) -> None:
    with running.stream(MAIN, ines, **EVENTS) as stream:
        assert stream.headers["content-type"] == "text/event-stream"
        said = running.say("seen", ines)
        assert stream.next() == (str(said["id"]), said)
    missed = [running.say(f"missed {number}", ines) for number in range(3)]
    with running.stream(MAIN, ines, Last_Event_ID=str(said["id"]), **EVENTS) as stream:
        assert [stream.next() for _ in missed] == [(str(each["id"]), each) for each in missed]
        later = running.say("later", ines)
        assert stream.next() == (str(later["id"]), later)
    with running.stream(f"{MAIN}?accept=text/event-stream", ines, Last_Event_ID=str(later["id"])) as stream:
        assert stream.is_silent()


def test_one_id_resumes_a_stream_of_several_flows(running: Running, ines: str) -> None:
    path = "/flows?filter=acme/main,acme/lobby"
    with running.stream(path, ines, **EVENTS) as stream:
        running.say("one", ines)
        last, _ = stream.next()
    missed = [running.say(f"missed {number}", ines, ("acme/lobby", "acme/main")[number % 2]) for number in range(6)]
    with running.stream(path, ines, Last_Event_ID=last, **EVENTS) as stream:
        received = [stream.next() for _ in missed]
        # Messages of one flow are in order, but messages of different flows are not.
        for flow in (0, 1):
            name = missed[flow]["flow"]
            assert [message for _, message in received if message["flow"] == name] == missed[flow::2]
        assert stream.is_silent()
    # While missed messages are being sent.
    with running.stream(path, ines, Last_Event_ID=received[2][0], **EVENTS) as stream:
        assert [stream.next()[1] for _ in range(3)] == [message for _, message in received[3:]]
        assert stream.is_silent()


def test_resuming_sends_more_than_one_page(running: Running, ines: str) -> None:
    first = running.say("first", ines)["id"]
    said = [running.say(str(number), ines)["content"] for number in range(215)]
    with running.stream(MAIN, ines, Last_Event_ID=str(first), **EVENTS) as stream:
        assert [stream.next()[1]["content"] for _ in said] == said
        assert stream.is_silent()


@pytest.mark.parametrize("last", ["yesterday", "1;2", "p1", "-4", "1:2:3", "9" * 30, "900000", "0123456789ab:1", "Ä"])
def test_unknown_id_starts_the_stream_now(running: Running, ines: str, last: str) -> None:
    running.say("before", ines)
    with running.stream(MAIN, ines, Last_Event_ID=last, **EVENTS) as stream:
        assert stream.status == 200
        said = running.say("after", ines)
        assert stream.next()[1] == said


def test_number_of_one_flow_starts_a_stream_of_several_now(running: Running, ines: str) -> None:
    number = running.say("before", ines)["id"]
    with running.stream("/flows?filter=acme/main,acme/lobby", ines, Last_Event_ID=str(number - 1), **EVENTS) as stream:
        said = running.say("after", ines)
        assert stream.next()[1] == said


def test_last_event_id_can_be_a_parameter(running: Running, ines: str) -> None:
    number = running.say("first", ines)["id"]
    missed = running.say("missed", ines)
    with running.stream(f"{MAIN}?lastEventId={number}", ines, **EVENTS) as stream:
        assert stream.next()[1] == missed


def test_concurrent_messages_arrive_once_and_in_order(running: Running, ines: str) -> None:
    def say(number: int) -> int:
        return running.say(f"{number}", ines)["id"]

    with running.stream(MAIN, ines) as one, running.stream("/flows?filter=acme/main,acme/lobby", ines) as other:
        with ThreadPoolExecutor(8) as pool:
            numbers = sorted(pool.map(say, range(120)))
        for stream in (one, other):
            assert [stream.next()["id"] for _ in numbers] == numbers
            assert stream.is_silent()


def test_messages_stored_by_another_process_arrive(running: Running, ines: str) -> None:
    with running.stream(MAIN, ines) as stream:
        running.manage(
            "shell",
            "-v0",
            program="from flowdock_server.models import *\nfrom flowdock_server.posting.drafts import Draft\n"
            "from flowdock_server.posting.messages import post\nfrom flowdock_server.models import Flow\n"
            "post(Draft(event='message', content='from elsewhere'), flow=Flow.objects.get(parameterized_name='main'),"
            " user=User.objects.get(email='ines@example.com'))",
        )
        assert stream.next()["content"] == "from elsewhere"


# Ways to remove Ines from Main, and to add her again.
IN_MAIN = " where flow_id = (select id from flowdock_server_flow where parameterized_name = 'main')"
SOMEBODY = "update flowdock_server_flowmembership set user_id = (select id from flowdock_server_user where nick = '{}')"
REMOVED, BACK = SOMEBODY.format("Sam") + IN_MAIN, SOMEBODY.format("Ines") + IN_MAIN
DISABLED = "update flowdock_server_flowmembership set disabled = {}"
BLOCKED, UNBLOCKED = DISABLED.format(1) + IN_MAIN, DISABLED.format(0) + IN_MAIN


@pytest.mark.parametrize(("leave", "come_back"), [(REMOVED, BACK), (BLOCKED, UNBLOCKED)])
def test_removed_member_stops_receiving_this_flow_only(running: Running, ines: str, leave: str, come_back: str) -> None:
    with running.stream("/flows?filter=acme/main,acme/lobby", ines) as stream:
        running.say("before", ines)
        assert stream.next()["content"] == "before"
        running.sql(leave)
        try:
            running.call("POST", "/messages", body=activity(flow_token=running.keys["flow_token"]))
            running.say("after", ines, "acme/lobby")
            assert stream.next()["content"] == "after"
            assert stream.is_silent()
        finally:
            running.sql(come_back)


@pytest.mark.parametrize(("leave", "come_back"), [(REMOVED, BACK), (BLOCKED, UNBLOCKED)])
def test_stream_ends_when_its_user_loses_all_its_flows(running: Running, ines: str, leave: str, come_back: str) -> None:
    with running.stream(MAIN, ines) as stream, running.stream("/flows?filter=acme/main&user=1", ines) as other:
        running.sql(leave)
        try:
            drain(stream)
            assert running.call("GET", MAIN, ines, port=running.stream_port)[0] == 404
            said = write(running, "still here", "ines", "otto")
            assert other.next() == said
        finally:
            running.sql(come_back)


def test_stream_ends_when_the_password_changes(running: Running, ines: str) -> None:
    kept = running.sql("select password from flowdock_server_user where nick = 'Ines'")[0][0]
    with running.stream(MAIN, "ines@example.com\na password") as stream, running.stream(MAIN, ines) as other:
        running.sql("update flowdock_server_user set password = '!another' where nick = 'Ines'")
        try:
            drain(stream)
            said = running.say("still here", ines)
            assert other.next() == said
        finally:
            running.sql("update flowdock_server_user set password = ? where nick = 'Ines'", kept)


def test_http_1_0_client_gets_no_chunks(running: Running, ines: str) -> None:
    def ask(path: str, port: int) -> socket.socket:
        link = socket.create_connection(("127.0.0.1", port), timeout=30)
        link.sendall(f"GET {path} HTTP/1.0\r\nAuthorization: {basic(ines)}\r\n\r\n".encode())
        return link

    with ask(MAIN, running.stream_port) as link, link.makefile("rb") as answer:
        assert answer.readline().split()[1] == b"200"
        head = b"".join(iter(answer.readline, b"\r\n")).lower()
        assert b"transfer-encoding" not in head
        assert b"connection: close" in head
        said = running.say("Hello", ines)
        line = answer.readline()
        while line == b"\n":
            line = answer.readline()
        assert json.loads(line) == said
        assert line.endswith(b"\r\n")
    with ask("/user", running.port) as link, link.makefile("rb") as answer:
        assert json.loads(answer.read().partition(b"\r\n\r\n")[2])["nick"] == "Ines"


def test_stream_ends_when_its_token_is_revoked(running: Running, ines: str) -> None:
    token = running.manage(
        "shell",
        "-v0",
        program="from flowdock_server.models import *\n"
        "print(ApiToken.issue(User.objects.get(email='otto@example.com'), 'short')[1])",
    )
    with running.stream(LOBBY, token) as stream, running.stream(LOBBY, running.keys["otto"]) as other:
        running.sql("delete from flowdock_server_apitoken where name = 'short'")
        drain(stream)
        running.say("still here", ines, "acme/lobby")
        assert other.next()["content"] == "still here"


def test_stream_of_a_blocked_user_ends(running: Running, ines: str) -> None:
    with running.stream(LOBBY, running.keys["otto"]) as stream:
        running.sql("update flowdock_server_user set is_active = 0 where email = 'otto@example.com'")
        try:
            running.say("a secret", ines, "acme/lobby")
            received = b""
            while chunk := stream.chunk():
                received += chunk
            assert received.strip() == b""
        finally:
            running.sql("update flowdock_server_user set is_active = 1 where email = 'otto@example.com'")


def test_presence_is_stored_and_sent_unless_turned_off(running: Running, ines: str) -> None:
    def seen() -> tuple[Any, Any]:
        (row,) = running.sql(
            "select last_activity_at, last_ping_at from flowdock_server_user where email = 'otto@example.com'"
        )
        return row

    otto = running.keys["otto"]
    assert seen() == (None, None)
    with running.stream(LOBBY, ines) as interested, running.stream(f"{LOBBY}?presence=0", ines) as other:
        with running.stream(f"{LOBBY}?active=idle", otto):
            assert other.is_silent()
            assert seen()[0] is None
            assert seen()[1] is not None
        before = time.time() * 1000
        with running.stream(f"{LOBBY}?active=true", otto):
            event = interested.next()
            assert event["event"] == "activity.user"
            assert event["user"] == str(running.keys["ids"]["otto"])
            assert event["flow"] == running.keys["flows"]["lobby"]
            assert before - 1000 < event["content"]["last_activity"] < before + 60_000
            assert "id" not in event
        assert seen()[0] is not None
        said = running.say("not told of presence", ines, "acme/lobby")
        assert other.next() == said


def test_all_streams_of_a_user_receive_flow_add_and_flow_remove(running: Running, ines: str) -> None:
    """hubot-flowdock starts again at an event of its own user, and needs these fields."""
    otto, number = running.keys["otto"], running.keys["ids"]["otto"]
    main = {"id": running.keys["flows"]["main"], "name": "Main"}
    running.sql("update flowdock_server_membership set admin = 1 where user_id = ?", running.keys["ids"]["ines"])
    with (
        running.stream(LOBBY, otto) as own,
        running.stream("/flows?user=1", otto) as mailbox,
        running.stream(MAIN, ines) as flow,
    ):
        assert running.call("POST", f"{MAIN}/users", ines, {"id": number})[0] == 200
        for stream in (own, mailbox):
            event = stream.next()
            assert (event["event"], event["user"], event["content"]) == ("flow-add", str(number), main)
        events = {event["event"]: event for event in (flow.next(), flow.next())}
        joined = events["backend.user.join"]
        assert set(events) == {"backend.user.join", "action"}
        assert (joined["user"], joined["flow"]) == (str(number), main["id"])
        assert (joined["content"]["user"]["id"], joined["content"]["user"]["nick"]) == (number, "Otto")
        assert "email" not in joined["content"]["user"]
        assert "id" not in joined

        assert running.call("PUT", f"{MAIN}/users/{number}", ines, {"disabled": True})[0] == 200
        for stream in (own, mailbox):
            event = stream.next()
            assert (event["event"], event["user"], event["content"]) == ("flow-remove", str(number), main)
        events = {event["event"]: event for event in (flow.next(), flow.next())}
        assert events["backend.user.block"]["content"] == str(number)
    running.sql("delete from flowdock_server_flowmembership where disabled")


def test_change_of_nick_is_sent_to_the_users_flows(running: Running, ines: str) -> None:
    otto, number = running.keys["otto"], running.keys["ids"]["otto"]
    with running.stream(LOBBY, ines) as there, running.stream(MAIN, ines) as elsewhere:
        assert running.call("PUT", f"/users/{number}", otto, {"nick": "ottilie"})[0] == 200
        event = there.next()
        assert (event["event"], event["user"]) == ("user-edit", str(number))
        assert (event["content"]["user"]["id"], event["content"]["user"]["nick"]) == (number, "ottilie")
        assert elsewhere.is_silent()
    running.sql("update flowdock_server_user set nick = 'Otto' where id = ?", number)


def test_access_token_can_be_a_parameter_for_event_source(running: Running) -> None:
    path = f"{MAIN}?access_token={running.keys['flow']}"
    with running.stream(path, Origin="https://app.test", **EVENTS) as stream:
        assert stream.headers["content-type"] == "text/event-stream"
        assert stream.headers["access-control-allow-origin"] == "https://app.test"


def test_stopping_the_server_ends_streams_cleanly(tmp_path: Path) -> None:
    server = Server(tmp_path)
    keys = server.seed()
    with (
        server.running(),
        server.stream(MAIN, keys["ines"]) as stream,
        server.stream(MAIN, keys["ines"], **EVENTS) as events,
    ):
        code, took = server.stop()
        assert (code, stream.chunk(), events.chunk()) == (0, b"", b"")
        assert took < 3


def test_edits_tags_and_statuses_arrive_as_they_are_listed(running: Running, ines: str) -> None:
    with running.stream(MAIN, ines) as stream:
        said = running.say("hello wrold", ines)
        assert stream.next() == said
        path = f"{MAIN}/messages/{said['id']}"
        assert running.call("PUT", path, ines, {"content": "hello world"})[0] == 200
        edited = stream.next()
        assert edited["event"] == "message-edit"
        assert edited["content"] == {"message": said["id"], "updated_content": "hello world"}
        assert running.call("PUT", path, ines, {"tags": ["greeting"]})[0] == 200
        tagged = stream.next()
        assert tagged["event"] == "tag-change"
        assert tagged["content"] == {"message": said["id"], "add": ["greeting"], "remove": []}
        status = running.call("POST", f"{MAIN}/messages", ines, {"event": "status", "content": "away"})[2]
        assert stream.next() == status
        assert running.call("DELETE", path, ines)[0] == 200
        assert stream.next()["content"] == {"message": said["id"], "updated_content": ""}


def drain(stream: Stream) -> None:
    """Read to the regular end of the stream. Raises ValueError if it ends too early."""
    for _ in range(40):  # some of them keep-alives
        if not stream.chunk():
            return
    raise AssertionError("the stream goes on")


def test_client_that_stops_reading_is_cut_off_without_affecting_others(tmp_path: Path) -> None:
    server = Server(tmp_path, FLOWDOCK_SERVER_MAX_BODY_BYTES="2000000")
    keys = server.seed()
    large = activity(flow_token=keys["flow_token"], body="<p>" + "x" * 240_000 + "</p>")
    with server.running(), server.stream(MAIN, keys["ines"]) as slow, server.stream(MAIN, keys["ines"]) as quick:
        for number in range(100):  # more than the queue and the buffers hold
            began = time.monotonic()
            assert server.call("POST", "/messages", body=large | {"title": f"large {number}"})[0] == 201
            assert quick.next()["title"] == f"large {number}"
            assert time.monotonic() - began < 10
        # The buffered data, and then no regular end.
        with pytest.raises((ValueError, ConnectionError)):
            drain(slow)
        assert server.say("still here", keys["ines"]) == quick.next()
        assert server.stop()[0] == 0


def test_endless_request_head_is_not_read(running: Running) -> None:
    with socket.create_connection(("127.0.0.1", running.port), timeout=30) as link:
        link.sendall(b"GET /flows HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Long: ")
        with pytest.raises(ConnectionError):
            link.sendall(b"x" * 20_000_000)


def test_large_body_of_a_stream_request_is_read(running: Running, ines: str) -> None:
    said = running.call("POST", "/messages", body=activity(flow_token=running.keys["flow_token"], body="y" * 300_000))
    assert said[0] == 201


def test_streams_of_disconnected_clients_are_removed(running: Running, ines: str) -> None:
    pid = running.process.pid if running.process else 0

    def connections() -> int:
        count = 0
        for each in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):  # closed meanwhile
                count += os.readlink(each).startswith("socket:")
        return count

    streams = [running.stream(MAIN, ines) for _ in range(30)]
    opened = connections()
    assert opened >= 30
    for number, stream in enumerate(streams):
        if number % 2:  # some close the connection, some reset it
            stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        stream.close()
    deadline = time.monotonic() + 10
    while connections() > opened - 30:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def write(running: Running, content: str, sender: str, to: str) -> dict[str, Any]:
    """Send a private message. Returns it as in the REST API."""
    path = f"/private/{running.keys['ids'][to]}/messages"
    assert running.call("POST", path, running.keys[sender], {"event": "message", "content": content})[0] < 300
    return running.call("GET", f"{path}?limit=1", running.keys[sender])[2][0]


def test_private_messages_are_sent_to_the_two_people_only(running: Running, ines: str) -> None:
    otto, sam = running.keys["otto"], running.keys["sam"]
    with (
        running.stream("/flows?user=1", ines) as one,
        running.stream("/flows?user=1&filter=acme/lobby", otto) as other,
        running.stream("/flows?user=1", sam) as outsider,
        running.stream(LOBBY, ines) as without,
    ):
        said = [write(running, "psst", "ines", "otto"), write(running, "what?", "otto", "ines")]
        assert [one.next() for _ in said] == said
        assert [other.next() for _ in said] == said
        assert said[0]["to"] == str(running.keys["ids"]["otto"])
        assert "flow" not in said[0]
        assert outsider.is_silent()
        assert without.is_silent()


def test_edits_and_deletions_of_private_messages_are_sent(running: Running, ines: str) -> None:
    path = f"/private/{running.keys['ids']['otto']}/messages"
    with running.stream("/flows?user=1", running.keys["otto"]) as other:
        said = write(running, "first", "ines", "otto")
        running.call("PUT", f"{path}/{said['id']}", ines, {"content": "second"})
        running.call("DELETE", f"{path}/{said['id']}", ines)
        received = [other.next() for _ in range(3)]
    assert [message["event"] for message in received] == ["message", "message-edit", "message-edit"]
    assert [message["content"] for message in received[1:]] == [
        {"message": said["id"], "updated_content": "second"},
        {"message": said["id"], "updated_content": ""},
    ]


def test_private_messages_resume_together_with_flows(running: Running, ines: str) -> None:
    path = "/flows?user=1&filter=acme/lobby"
    with running.stream(path, ines, **EVENTS) as stream:
        said = running.say("before", ines, "acme/lobby")
        last, message = stream.next()
        assert message == said
    missed = [write(running, "psst", "otto", "ines"), running.say("after", ines, "acme/lobby")]
    with running.stream(path, ines, Last_Event_ID=last, **EVENTS) as stream:
        received = [stream.next() for _ in missed]
        assert sorted(message["content"] for _, message in received) == ["after", "psst"]
        assert stream.is_silent()
    with running.stream(path, ines, Last_Event_ID=received[-1][0], **EVENTS) as stream:
        assert stream.is_silent()


def test_first_message_of_a_new_conversation_is_not_missed(running: Running) -> None:
    """Its conversation did not exist when the stream was opened, nor at the last event."""
    otto = running.keys["otto"]
    running.say("seen", otto, "acme/lobby")
    running.sql("delete from flowdock_server_privatemessage")
    running.sql("delete from flowdock_server_conversation")
    path = "/flows?user=1&filter=acme/lobby"
    with running.stream(path, otto, **EVENTS) as stream:
        running.say("before", otto, "acme/lobby")
        last, _ = stream.next()
        assert last.isdigit()
        first = write(running, "hello", "ines", "otto")
        assert stream.next()[1] == first
    with running.stream(path, otto, Last_Event_ID=last, **EVENTS) as stream:
        assert stream.next()[1] == first
