"""What the client makes of Flowdock's answers: values, or one error class for each reaction."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import logging
import socket
import ssl
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest
import requests
import responses
import time_machine
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from integrations.activity import Activity, Author, Thread
from integrations.flowdock.client import MAX_ANSWER_BYTES, Flow, Flowdock
from integrations.flowdock.errors import (
    ActivityRejected,
    FlowdockError,
    FlowdockUnavailable,
    FlowdockUnreachable,
    FlowNotAccessible,
    SourceGone,
    SourceRejected,
    TokenRefused,
)

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


@pytest.mark.parametrize(
    ("status", "body"),
    [(200, "{}"), (200, "not json"), (201, '{"id": null}'), (201, "[]"), (202, ""), (204, "")],
)
def test_message_is_posted_after_any_2xx(api, flowdock, status, body):
    api.post(f"{API}/activities", body=body, status=status)

    posted = flowdock.post_activity(TOKEN, ACTIVITY, UUID)

    assert (posted.status, posted.message_id, posted.thread_id) == (status, "", "")


@pytest.mark.parametrize(
    ("said", "thread"),
    [
        ({"thread_id": "Thr34d"}, "Thr34d"),
        ({"thread_id": "issue:7", "thread": {"id": "Thr34d"}}, "Thr34d"),
        ({"thread": "x"}, ""),
    ],
)
def test_posted_message_has_its_thread(api, flowdock, said, thread):
    api.post(f"{API}/activities", json={"id": 88412} | said, status=201)

    posted = flowdock.post_activity(TOKEN, ACTIVITY, UUID)

    assert (posted.message_id, posted.thread_id) == ("88412", thread)
    assert json.loads(api.calls[0].request.body)["uuid"] == str(UUID)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, ActivityRejected),
        (401, TokenRefused),
        (403, FlowNotAccessible),
        (404, FlowNotAccessible),
        (405, FlowdockUnavailable),
        (410, SourceGone),
        (413, ActivityRejected),
        (422, ActivityRejected),
        (429, FlowdockUnavailable),
        (500, FlowdockUnavailable),
        (502, FlowdockUnreachable),
        (503, FlowdockUnreachable),
        (504, FlowdockUnreachable),
        (301, FlowdockUnavailable),
    ],
)
def test_each_status_raises_its_error(api, flowdock, status, error):
    api.post(f"{API}/activities", status=status, json={"message": f"no, {TOKEN}, access-secret"})

    with pytest.raises(FlowdockError) as raised:
        flowdock.post_activity(TOKEN, ACTIVITY, UUID)

    assert type(raised.value) is error
    assert raised.value.status == status
    assert "no, hidden, hidden" in str(raised.value)


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
    api.post(f"{API}/activities", status=429, headers={"Retry-After": header})

    with time_machine.travel("2026-11-24T10:00:00Z", tick=False), pytest.raises(FlowdockUnavailable) as raised:
        flowdock.post_activity(TOKEN, ACTIVITY, UUID)

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


@contextlib.contextmanager
def serving(answer: Callable[[socket.socket], None], tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """A real server, since the double has no clock: `answer` gets each connection after its request; the address."""

    def serve() -> None:
        with contextlib.suppress(OSError):  # the test is over
            while True:
                connection, _ = server.accept()
                with contextlib.suppress(OSError), connection:
                    if tls:
                        connection = tls.wrap_socket(connection, server_side=True)
                    with connection:
                        connection.recv(65536)
                        answer(connection)

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, daemon=True).start()
        yield f"{'https' if tls else 'http'}://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)


def trickle(before: bytes, byte: bytes) -> Callable[[socket.socket], None]:
    """Sends `before` at once and then a byte every 20 ms: each arrives in time, so no timeout of a socket ends it."""

    def answer(connection: socket.socket) -> None:
        connection.sendall(before)
        for _ in range(1000):
            connection.sendall(byte)
            time.sleep(0.02)

    return answer


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A private certificate authority and, in the same file, the certificate and the key of a server on 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "A private authority")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = tmp_path_factory.mktemp("authority") / "authority.pem"
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + private)
    return path


@pytest.fixture
def tls(authority: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority)
    return context


HEAD = b"HTTP/1.1 200 OK\r\n"
EMPTY_LIST = HEAD + b"Content-Length: 2\r\n\r\n[]"


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


def test_cookies_of_one_integration_are_not_sent_for_another(api, flowdock):
    api.post(f"{API}/activities", json={}, headers={"Set-Cookie": "left=behind; Path=/"})

    for _ in range(2):
        flowdock.post_activity(TOKEN, ACTIVITY, UUID)

    assert "Cookie" not in api.calls[1].request.headers


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (rb'{"message": "a\u0000b\ud800c"}', "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}c"),
        (rb'{"errors": {"ti\u0000tle": ["\udfff"]}}', "ti\N{REPLACEMENT CHARACTER}tle \N{REPLACEMENT CHARACTER}"),
        (b'{"message": ' + b"[" * 400 + b"]" * 400 + b"}", "Flowdock answered 400"),
        (b'{"message": ' + b"[" * 5000 + b"]" * 5000 + b"}", "Flowdock answered 400"),
        (b'{"message": ' + b"7" * 5000 + b"}", "Flowdock answered 400"),
    ],
)
def test_texts_of_flowdock_are_storable(api, flowdock, body, words):
    api.post(f"{API}/activities", status=400, body=body)

    with pytest.raises(ActivityRejected) as raised:
        flowdock.post_activity(TOKEN, ACTIVITY, UUID)

    assert str(raised.value) == words


def test_thread_id_of_flowdock_is_storable(api, flowdock):
    api.post(f"{API}/activities", status=201, body=rb'{"id": "\ud800", "thread": {"id": "T\u0000"}}')

    posted = flowdock.post_activity(TOKEN, ACTIVITY, UUID)

    assert (posted.message_id, posted.thread_id) == ("\N{REPLACEMENT CHARACTER}", "T\N{REPLACEMENT CHARACTER}")


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
