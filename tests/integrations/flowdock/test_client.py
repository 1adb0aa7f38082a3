"""What the client makes of Flowdock's answers: values, or one error class for each reaction."""

from __future__ import annotations

import json
import logging
import socket
import time
import traceback
import uuid
from collections.abc import Iterator

import pytest
import requests
import responses
import time_machine

from integrations.activity import Activity, Author, Thread
from integrations.flowdock.client import MAX_ANSWER_BYTES, Flow, Flowdock
from integrations.flowdock.errors import (
    FlowdockUnavailable,
    FlowdockUnreachable,
    SourceRejected,
)

from .servers import EMPTY_LIST, HEAD, serving, trickle

API = "https://flowdock.test"
TOKEN = "0f3b6a0f3b6a0f3b6a0f3b6a0f3b6a0f"
ACTIVITY = Activity(author=Author("Lea"), title="opened issue", thread_id="issue:7", thread=Thread("Emoji"))
UUID = uuid.UUID("12345678-1234-5678-1234-567812345678")
FLOW = {
    "id": "f1",
    "name": "Main",
    "organization": {"name": "Acme"},
    "url": f"{API}/flows/acme/main",
    "web_url": "https://www.flowdock.test/app/acme/main",
}
SOURCE = {"id": 51, "name": "octo/hello", "flow_token": TOKEN, "url": f"{API}/flows/acme/main/sources/51"}
A_FLOW = Flow("f1", "Main", f"{API}/flows/acme/main", "", "acme", "Acme", f"{API}/flows/acme/main/sources")


@pytest.fixture
def api() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as mock:
        yield mock


@pytest.fixture
def flowdock() -> Iterator[Flowdock]:
    with Flowdock("access-secret") as client:
        yield client


def test_calls_carry_the_access_token_and_follow_no_redirect(api, flowdock):
    api.get(f"{API}/user", status=302, headers={"Location": "https://evil.test/"})

    with pytest.raises(FlowdockUnavailable):
        flowdock.user()

    assert api.calls[0].request.headers["Authorization"] == "Bearer access-secret"
    assert len(api.calls) == 1


def test_person_without_name_or_email_is_accepted(api, flowdock):
    api.get(f"{API}/user", json={"id": "7", "nick": "lea", "email": None})

    person = flowdock.user()

    assert (person.id, person.nick, person.name, person.email) == ("7", "lea", "", "")


@pytest.mark.parametrize(
    ("links", "dialect", "address"),
    [
        ({"links": {"sources": {"href": f"{API}/s", "methods": ["POST"]}}}, "activities", f"{API}/s"),
        ({"links": {"integrations": f"{API}/i"}}, "messages", f"{API}/i"),
        ({"_links": {"sources": {"href": f"{API}/s"}}}, "messages", f"{API}/s"),
        ({"links": {"sources": {"href": "https://evil.test/s"}}}, "messages", f"{API}/flows/acme/main/sources"),
        ({"links": {"sources": {"href": "https://flowdock.test:444/s"}}}, "messages", f"{API}/flows/acme/main/sources"),
        ({"links": {"sources": {"href": "http://flowdock.test/s"}}}, "messages", f"{API}/flows/acme/main/sources"),
        ({"links": {"sources": {"href": "https://a@flowdock.test/s"}}}, "messages", f"{API}/flows/acme/main/sources"),
        ({"links": ["sources"]}, "messages", f"{API}/flows/acme/main/sources"),
        ({}, "activities", f"{API}/flows/acme/main/integrations"),
    ],
)
def test_sources_are_created_at_the_address_of_the_flows_links_or_of_the_api_version(
    api, flowdock, settings, links, dialect, address
):
    settings.FLOWDOCK_API_VERSION = dialect
    api.get(f"{API}/flows/find", json=FLOW | links)

    assert flowdock.find_flow("f1").sources_url == address


def test_organization_may_be_text_and_an_invalid_page_address_is_left_out(api, flowdock):
    api.get(f"{API}/flows", json=[FLOW | {"organization": "Acme", "web_url": "javascript:alert(1)"}])

    (flow,) = flowdock.flows()

    assert (flow.organization_name, flow.web_url) == ("Acme", "")


def test_flow_with_an_address_outside_the_api_is_refused(api, flowdock):
    api.get(f"{API}/flows/find", json=FLOW | {"url": "https://evil.test/flows/acme/main"})

    with pytest.raises(FlowdockUnavailable):
        flowdock.find_flow("f1")


@pytest.mark.parametrize(
    "url", ["https://evil.test/x", "https://flowdock.test.evil.test/x", "ftp://flowdock.test/", "x"]
)
def test_addresses_outside_the_api_are_never_called(flowdock, url):
    with responses.RequestsMock(assert_all_requests_are_fired=False) as api, pytest.raises(FlowdockUnavailable):
        flowdock.delete_source(url)
    assert not api.calls


@pytest.mark.parametrize("status", [200, 201, 202])
def test_created_source_has_its_token(api, flowdock, status):
    api.post(A_FLOW.sources_url, json=SOURCE, status=status)

    source = flowdock.create_source(A_FLOW, "octo/hello", "https://github.com/octo/hello")

    assert (source.id, source.flow_token, source.url) == (51, TOKEN, SOURCE["url"])
    assert json.loads(api.calls[0].request.body) == {
        "name": "octo/hello",
        "external_url": "https://github.com/octo/hello",
    }


def test_answer_of_2014_has_no_address_and_its_id_may_be_text(api, flowdock):
    api.post(A_FLOW.sources_url, json={"id": "51", "name": "octo/hello", "flow_token": TOKEN})

    assert flowdock.create_source(A_FLOW, "octo/hello", "").url == f"{A_FLOW.sources_url}/51"


@pytest.mark.parametrize("said", [{}, {"id": 51}, {"id": "x", "flow_token": TOKEN}, [], "x", None, {"id": True}])
def test_created_source_without_a_token_is_an_error(api, flowdock, said):
    api.post(A_FLOW.sources_url, json=said, status=201)

    with pytest.raises(FlowdockUnavailable):
        flowdock.create_source(A_FLOW, "octo/hello", "")


def test_source_can_be_read_and_changed_with_its_token(api, flowdock):
    api.get(f"{API}/sources", json=[SOURCE | {"flow_token": None}])
    api.put(f"{API}/sources", json={})

    assert flowdock.source_of(TOKEN).id == 51
    flowdock.update_source(TOKEN, error_message="")

    assert json.loads(api.calls[1].request.body) == {"flow_token": TOKEN, "error_message": ""}


def test_refused_source_has_flowdocks_errors_by_field(api, flowdock):
    said = {"message": "Validation error", "errors": {"name": ["is too long", "is odd"], "external_url": "is missing"}}
    api.post(A_FLOW.sources_url, status=422, json=said)

    with pytest.raises(SourceRejected, match="Validation error; name is too long, is odd; external_url is missing"):
        flowdock.create_source(A_FLOW, "x", "")


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("30", 30),
        (" 0 ", 0),
        ("Tue, 24 Nov 2026 10:01:00 GMT", 60),
        ("Tue, 24 Nov 2026 09:00:00 GMT", 0),
        ("999999999", 24 * 3600),
        ("-5", None),
        ("1e9", None),
        ("soon", None),
        ("Wed, 99 Foo 2026 10:01:00 GMT", None),
        ("", None),
    ],
)
def test_retry_after_is_read_in_seconds_and_as_a_date(api, flowdock, header, seconds):
    api.get(f"{API}/user", status=429, headers={"Retry-After": header})

    with time_machine.travel("2026-11-24T10:00:00Z", tick=False), pytest.raises(FlowdockUnavailable) as raised:
        flowdock.user()

    assert raised.value.retry_after == seconds


@pytest.mark.parametrize(
    "answer",
    [
        {"body": "<html>Bad gateway</html>"},
        {"body": b"\xff\xfe\x00"},
        {"body": "[" * 100_000},
        {"body": '[{"a":' * 200 + "1" + "}]" * 200},
        {"json": {"flows": []}},
        {"json": [[]]},
        {"json": [{}]},
        {"json": [FLOW | {"id": None}]},
        {"json": [FLOW | {"id": {}}]},
        {"json": [FLOW | {"id": "x" * 200}]},
        {"json": [FLOW | {"url": 7}]},
        {"body": b" " * (MAX_ANSWER_BYTES + 1)},
        {"body": requests.ConnectionError()},
        {"body": requests.ReadTimeout()},
        {"body": requests.exceptions.SSLError()},
        {"body": requests.exceptions.ChunkedEncodingError()},
        {"body": requests.exceptions.ContentDecodingError()},
    ],
)
def test_unreadable_answer_is_reported_as_unavailable(api, flowdock, answer):
    api.get(f"{API}/flows", **answer)

    with pytest.raises(FlowdockUnavailable, match="Flowdock") as raised:
        flowdock.flows()

    assert len(str(raised.value)) < 200


@pytest.mark.parametrize("encrypted", [False, True])
@pytest.mark.parametrize(
    ("before", "byte"),
    [(b"", b"x"), (HEAD + b"X-Long: ", b"x"), (HEAD + b"Content-Length: 1000\r\n\r\n", b" ")],
    ids=["status line", "head", "body"],
)
def test_slow_answer_ends_with_the_timeout(before, byte, encrypted, tls, authority, settings):
    settings.FLOWDOCK_CA_FILE = str(authority)
    with serving(trickle(before, byte), tls if encrypted else None) as settings.FLOWDOCK_API_URL:
        began = time.monotonic()
        with Flowdock("x", timeout=0.5) as flowdock, pytest.raises(FlowdockUnavailable, match=r"within 0\.5 s"):
            flowdock.flows()

    assert time.monotonic() - began < 5


def test_endless_tls_handshake_ends_with_the_timeout(settings):
    with socket.create_server(("127.0.0.1", 0)) as server, Flowdock("x", timeout=0.3) as flowdock:
        settings.FLOWDOCK_API_URL = f"https://127.0.0.1:{server.getsockname()[1]}"
        began = time.monotonic()
        with pytest.raises(FlowdockUnavailable):
            flowdock.flows()

    assert time.monotonic() - began < 3


def test_connection_is_reused_and_each_call_has_its_own_timeout(settings):
    connections = []

    def answer(connection: socket.socket) -> None:
        connections.append(connection)
        for _ in range(3):
            time.sleep(0.2)
            connection.sendall(EMPTY_LIST)
            connection.recv(65536)

    with serving(answer) as settings.FLOWDOCK_API_URL, Flowdock("x", timeout=0.5) as flowdock:
        for _ in range(3):
            assert flowdock.flows() == []

    assert len(connections) == 1


def test_private_certificate_authority_is_trusted_if_configured(tls, authority, settings):
    with serving(lambda connection: connection.sendall(EMPTY_LIST), tls) as settings.FLOWDOCK_API_URL:
        with Flowdock("x") as flowdock, pytest.raises(FlowdockUnreachable, match="certificate"):
            flowdock.flows()

        settings.FLOWDOCK_CA_FILE = str(authority)
        with Flowdock("x") as flowdock:
            assert flowdock.flows() == []


def test_missing_certificate_file_is_reported_as_unavailable(settings, tmp_path):
    settings.FLOWDOCK_API_URL, settings.FLOWDOCK_CA_FILE = "https://127.0.0.1:9", str(tmp_path / "missing.pem")

    with Flowdock("x") as flowdock, pytest.raises(FlowdockUnavailable, match="could not be called"):
        flowdock.flows()


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"", FlowdockUnavailable),
        (b"SSH-2.0-OpenSSH\r\n", FlowdockUnavailable),
        (HEAD + b"Content-Length: 9\r\n\r\n[", FlowdockUnavailable),
        (HEAD + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n[]", FlowdockUnavailable),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", FlowdockUnavailable),
        (b"HTTP/1.1 503 Away\r\nContent-Length: 0\r\n\r\n", FlowdockUnreachable),
    ],
)
def test_broken_answer_is_told_apart_from_an_unreachable_server(answer, error, settings):
    with (
        serving(lambda connection: connection.sendall(answer)) as settings.FLOWDOCK_API_URL,
        Flowdock("x") as flowdock,
        pytest.raises(FlowdockUnavailable) as raised,
    ):
        flowdock.flows()

    assert type(raised.value) is error


def test_server_that_refuses_connections_is_unreachable(settings):
    with socket.create_server(("127.0.0.1", 0)) as server:
        settings.FLOWDOCK_API_URL = f"http://127.0.0.1:{server.getsockname()[1]}"

    with Flowdock("x") as flowdock, pytest.raises(FlowdockUnreachable):
        flowdock.flows()


def test_tokens_are_neither_logged_nor_in_errors(api, flowdock, caplog):
    caplog.set_level(logging.DEBUG)
    address = f"{API}/sources?flow_token={TOKEN}"
    api.get(f"{API}/sources", body=requests.ConnectionError(f"Max retries exceeded with url: {address}"))

    with pytest.raises(FlowdockUnavailable) as raised:
        flowdock.source_of(TOKEN)

    logging.getLogger("urllib3.connectionpool").debug('%s "GET %s" %s', API, f"/sources?flow_token={TOKEN}&a=1", 200)
    assert TOKEN not in "".join(traceback.format_exception(raised.value))
    assert TOKEN not in caplog.text
    assert "flow_token=hidden&a=1" in caplog.text


def test_proxy_settings_of_the_machine_are_ignored(api, flowdock, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.test:3128")
    api.get(f"{API}/flows", json=[])

    flowdock.flows()

    assert not api.calls[0].request.req_kwargs["proxies"]
