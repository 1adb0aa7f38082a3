"""The running server: uvicorn, a database in a file, and real connections."""

import base64
import contextlib
import http.client
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest
from django.core.management import CommandError, call_command

from flowdock_server.models import User

from .serving import migrated

APPLICATION = "flowdock_server.asgi:application"


@pytest.fixture
def environment(tmp_path):
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("FLOWDOCK_", "DJANGO_"))}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return clean | {
        "FLOWDOCK_SERVER_SECRET_KEY": "only for tests",
        "FLOWDOCK_SERVER_DATABASE_URL": "",
        "FLOWDOCK_SERVER_URL": "",
        "FLOWDOCK_SERVER_ALLOWED_HOSTS": "127.0.0.1",
        "FLOWDOCK_SERVER_MAX_BODY_BYTES": "100000",
        "FLOWDOCK_SERVER_THREADS": "2",
        "DATA_DIR": str(tmp_path),
        "FLOWDOCK_PORT": str(port),
    }


def manage(environment, *arguments, program=""):
    command = [sys.executable, "-m", "flowdock_server", *arguments]
    done = subprocess.run(
        command, env=environment, input=program, capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.strip()


MAKE_A_FLOW = """
from flowdock_server.models import *
ines = User.objects.create_user("ines@example.com", "Ines Rao")
acme = Organization.objects.create(name="Acme", parameterized_name="acme")
main = Flow.objects.create(organization=acme, name="Main", parameterized_name="main")
FlowMembership.objects.create(flow=main, user=ines)
print(ApiToken.issue(ines, "for a test")[1])
"""


@pytest.fixture
def token(environment, tmp_path):
    migrated(tmp_path)
    return manage(environment, "shell", "-v0", program=MAKE_A_FLOW)


@contextlib.contextmanager
def serving(environment):
    command = [sys.executable, "-m", "granian", "--interface", "asgi", "--host", "127.0.0.1", "--no-ws"]
    server = subprocess.Popen(
        [*command, "--port", environment["FLOWDOCK_PORT"], APPLICATION], env=environment, start_new_session=True
    )
    try:
        deadline = time.monotonic() + 30
        while True:
            if listens(environment):
                break
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield server
    finally:
        kill(server, environment)


def listens(environment):
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", int(environment["FLOWDOCK_PORT"]))) == 0


def kill(server, environment):
    """Kill the server and its worker, which would otherwise keep the port and answer the next test."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGKILL)
    server.wait()
    deadline = time.monotonic() + 30
    while listens(environment):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def connection(environment):
    return http.client.HTTPConnection("127.0.0.1", int(environment["FLOWDOCK_PORT"]), timeout=20)


def call(environment, method, path, token, body=None):
    link = connection(environment)
    link.request(
        method,
        path,
        json.dumps(body) if body else None,
        {"Content-Type": "application/json", "Authorization": _basic(token)},
    )
    response = link.getresponse()
    answer = response.status, json.loads(response.read() or b"null")
    link.close()
    return answer


def _basic(token):
    return "Basic " + base64.b64encode(f"{token}:".encode()).decode()


@pytest.mark.parametrize("path", ["/flows", "/login", "/app"])
def test_request_with_a_wrong_host_name_is_one_line_in_the_log(client, caplog, path):
    answer = client.get(path, headers={"host": "elsewhere.test"})

    assert answer.status_code == 400
    (record,) = [each for each in caplog.records if each.name != "django.request"]
    assert "elsewhere.test" in record.getMessage()
    assert record.levelname == "WARNING"
    assert record.exc_info is None


def test_answered_messages_survive_a_kill(environment, token):
    said = {"event": "message", "content": "Grüße ✓", "uuid": "u-1"}
    with serving(environment) as server:
        status, message = call(environment, "POST", "/v1/flows/acme/main/messages?tags=a,b", token, said)
        assert (status, message["content"], message["tags"]) == (201, "Grüße ✓", ["a", "b"])
        kill(server, environment)

    with serving(environment):
        assert call(environment, "GET", "/flows/acme/main/messages", token) == (200, [message])
        assert call(environment, "POST", "/flows/acme/main/messages", token, said) == (201, message)


def test_slow_and_endless_bodies_do_not_block_the_server(environment, token):
    with serving(environment) as server:
        slow = []
        # More than its threads.
        for _ in range(4):
            link = socket.create_connection(("127.0.0.1", int(environment["FLOWDOCK_PORT"])))
            link.sendall(b"POST /messages HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 500\r\n\r\n{")
            slow.append(link)
        assert call(environment, "GET", "/flows", token)[0] == 200

        endless = connection(environment)
        endless.putrequest("POST", "/messages")
        endless.putheader("Transfer-Encoding", "chunked")
        endless.endheaders()
        endless.send(b"186a1\r\n" + b"x" * 100_001 + b"\r\n")
        response = endless.getresponse()
        assert (response.status, json.loads(response.read())) == (413, {"message": "The request body is too large"})

        for link in slow:
            link.close()
        server.terminate()
        server.wait(timeout=10)


EVERYWHERE = "0.0.0.0"  # noqa: S104


@pytest.fixture
def taken_port():
    """Makes listening fail, if the server gets that far."""
    with socket.create_server((EVERYWHERE, 0)) as listener:
        yield listener.getsockname()[1]


@pytest.mark.django_db
def test_existing_demo_accounts_are_not_served_to_other_machines(settings, taken_port):
    call_command("seed_demo", stdout=io.StringIO())
    settings.DEMO = False

    with pytest.raises(CommandError, match=r"demo@example.com and other@example.com .* FLOWDOCK_SERVER_EXPOSE_DEMO=1"):
        call_command("serve", host=EVERYWHERE, port=taken_port)

    for account in User.objects.all():
        account.set_password("a long one that nobody knows")
        account.save()
    with pytest.raises(CommandError, match="Cannot listen"):
        call_command("serve", host=EVERYWHERE, port=taken_port, stdout=io.StringIO())


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("host", "changes"), [("127.0.0.1", {}), ("127.0.0.1", {"DEMO": False}), (EVERYWHERE, {"EXPOSE_DEMO": True})]
)
def test_demonstration_is_served_locally_and_elsewhere_if_exposed(settings, taken_port, host, changes):
    call_command("seed_demo", stdout=io.StringIO())
    for name, value in changes.items():
        setattr(settings, name, value)

    with pytest.raises(CommandError, match="Cannot listen"):
        call_command("serve", host=host, port=taken_port, stdout=io.StringIO())


@pytest.mark.django_db
def test_server_with_the_demonstration_does_not_listen_for_other_machines(settings, taken_port):
    with pytest.raises(CommandError, match="the sign-in page shows them"):
        call_command("serve", host=EVERYWHERE, port=taken_port)
