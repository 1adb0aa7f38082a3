"""Buttons of a thread: what readers see, and what the service receives when somebody presses one."""

import hashlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jwt
import pytest

from flowdock_server.models import Application, Flow, Source, Thread
from flowdock_server.posting import actions

from .conftest import activity, post
from .pages import address, browser, see

SECRET = "a client secret that is long enough for HS256"


class Service(ThreadingHTTPServer):
    """The server of an integration, which records its requests and answers as configured."""

    daemon_threads = True

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        self.status, self.headers, self.body, self.pause = 200, {}, b"{}", 0.0
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Service

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append((self.command, self.path, dict(self.headers), body))
        self.send_response(self.server.status)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.end_headers()
        for letter in self.server.body if self.server.pause else [self.server.body]:
            try:
                self.wfile.write(bytes([letter]) if self.server.pause else letter)
            except OSError:
                return
            time.sleep(self.server.pause)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

    def log_message(self, *args) -> None:
        pass


@pytest.fixture
def service():
    server = Service()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def source(world):
    application = Application.objects.create(
        name="Lights",
        client_id="lights",
        client_secret=SECRET,
        redirect_uris="https://lights.test",
        client_type=Application.CLIENT_CONFIDENTIAL,
        authorization_grant_type=Application.GRANT_AUTHORIZATION_CODE,
    )
    return Source.connect(flow=world.main, application=application, creator=world.ines, name="octo/hello")


def button(target: str, method: str | None = "POST", **more) -> dict:
    entry = {"@type": "EntryPoint", "urlTemplate": target} | ({"httpMethod": method} if method else {})
    return {"@type": "UpdateAction", "name": "Close", "image": "https://lights.test/x.png", "target": entry, **more}


@pytest.fixture
def offer(client, source):
    """Post a thread with these actions."""

    def posted(*offered: dict) -> Thread:
        state = activity()["thread"] | {"actions": list(offered)}
        response = post(client, "/messages", activity(flow_token=source[1], thread=state))
        assert response.status_code == 201, response.content
        return Thread.objects.get(pk=response.json()["thread_id"])

    return posted


def target_of(client, thread: Thread, number: int = 0) -> str:
    return client.get(f"/flows/acme/main/threads/{thread.pk}").json()["actions"][number]["target"]["urlTemplate"]


def test_button_has_a_signed_url_of_this_server(ines, offer, service):
    link = {"@type": "ViewAction", "name": "Diff", "url": "https://git.test/d", "description": "What changed"}
    thread = offer(link, button(f"{service.address}/close?pr=88"))

    shown = ines.get(f"/flows/acme/main/threads/{thread.pk}").json()["actions"]

    assert shown[0] == link
    assert shown[1] | {"target": None} == button("") | {"target": None}
    assert shown[1]["target"] == {
        "@type": "EntryPoint",
        "urlTemplate": f"http://testserver/flows/acme/main/threads/{thread.pk}/actions/1"
        f"?signature={actions.signature(thread, 1)}",
        "httpMethod": "POST",
    }
    everything = ines.get("/flows/acme/main/messages").content + ines.get("/flows/acme/main/threads").content
    assert service.address.encode() not in everything


@pytest.mark.parametrize("method", ["POST", "GET", "PUT", "PATCH", "DELETE", None])
def test_press_calls_the_service_with_the_person_and_a_signature(world, ines, offer, service, method):
    sent = button(f"{service.address}/close?pr=88", method)
    thread = offer(sent)
    service.body = b'{"message": "Closed it."}'

    response = ines.post(target_of(ines, thread))

    assert (response.status_code, response.json()) == (200, {"message": "Closed it."})
    ((verb, path, headers, body),) = service.asked
    assert (verb, path) == (method or "POST", "/close?pr=88")
    assert headers["Content-Type"] == "application/json"
    assert json.loads(body) == sent | {
        "agent": {"@type": "Person", "name": "Ines Rao", "image": "https://pictures.test/i.png"}
    }
    claims = jwt.decode(headers["Flowdock-Token"], SECRET, algorithms=["HS256"], options={"require": ["exp", "sub"]})
    assert claims["sub"] == str(world.ines.pk)
    assert claims["signature"] == hashlib.sha256(body).hexdigest()
    assert 25 < claims["exp"] - time.time() <= 31


def test_rotated_secret_signs_new_presses(source, ines, offer, service):
    thread = offer(button(service.address))
    secret = source[0].application.rotate_secret()

    ines.post(target_of(ines, thread))

    assert jwt.decode(service.asked[0][2]["Flowdock-Token"], secret, algorithms=["HS256"])


def test_press_without_a_secret_calls_nothing(ines, offer, service):
    thread = offer(button(service.address))
    Application.objects.update(sealed_secret="")

    response = ines.post(target_of(ines, thread))

    assert response.status_code == 424
    assert "client secret" in response.json()["message"]
    assert not service.asked


@pytest.mark.parametrize("url", ["https://lights.test/authorize?claim=J", '"https://lights.test/authorize?claim=J"'])
def test_service_can_ask_an_unknown_person_to_sign_in(ines, offer, service, url):
    thread = offer(button(service.address))
    service.status, service.headers = 401, {"WWW-Authenticate": f"Flowdock-Token url={url}"}

    response = ines.post(target_of(ines, thread))

    assert response.status_code == 401
    assert response["WWW-Authenticate"] == "Flowdock-Token url=https://lights.test/authorize?claim=J"
    assert response.json()["url"] == "https://lights.test/authorize?claim=J"


@pytest.mark.parametrize(
    ("status", "headers", "body", "said"),
    [
        (403, {}, b'{"message": "Not yours"}', "Not yours"),
        (403, {}, b"Forbidden", "refused the request (status 403)"),
        (500, {}, b"", "refused the request (status 500)"),
        (401, {}, b"", "refused the request (status 401)"),
        (401, {"WWW-Authenticate": "Flowdock-Token url=javascript:alert(1)"}, b"", "refused the request (status 401)"),
        (401, {"WWW-Authenticate": 'Basic realm="x"'}, b"", "refused the request (status 401)"),
        (302, {"Location": "/elsewhere"}, b"", "Redirects are not followed"),
    ],
)
def test_failed_press_is_reported_and_not_retried(ines, offer, service, status, headers, body, said):
    thread = offer(button(f"{service.address}/close"))
    service.status, service.headers, service.body = status, headers, body

    response = ines.post(target_of(ines, thread))

    assert response.status_code == 424
    assert said in response.json()["message"]
    assert [path for _, path, *_ in service.asked] == ["/close"]


@pytest.mark.parametrize("body", [b"", b"null", b"[1]", b'{"message": 7}', b"\xff", b"[" * 60_000, b"x" * 1_000_000])
def test_response_without_a_message_is_a_success(ines, offer, service, body):
    thread = offer(button(service.address))
    service.body = body

    response = ines.post(target_of(ines, thread))

    assert (response.status_code, response.json()) == (200, {"message": ""})


def test_endless_response_of_a_service_is_cut_off(ines, offer, service, monkeypatch):
    monkeypatch.setattr(actions, "TIMEOUT", 0.3)
    thread = offer(button(service.address))
    service.body, service.pause = b" " * 100, 0.1

    began = time.monotonic()
    first = ines.post(target_of(ines, thread))

    assert first.status_code == 424
    assert "did not answer" in first.json()["message"] or first.json()["message"] == ""
    assert time.monotonic() - began < 3


@pytest.mark.parametrize(
    "target",
    [
        "http://127.0.0.1:{port}/",
        "http://localhost:{port}/",
        "http://[::ffff:127.0.0.1]:{port}/",
        "http://0.0.0.0:{port}/",
        "http://10.0.0.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://192.168.1.1/",
        "http://[::1]:{port}/",
        "http://[fe80::1]/",
    ],
)
def test_internal_addresses_are_not_called(ines, offer, service, settings, target):
    settings.CALLS_TO = "public"
    thread = offer(button(target.format(port=service.server_port)))

    response = ines.post(target_of(ines, thread))

    assert response.status_code == 424
    assert response.json()["message"] == "The service could not be reached."
    assert not service.asked


def test_setting_allows_internal_addresses(ines, offer, service, settings):
    thread = offer(button(f"http://127.0.0.1:{service.server_port}/"), button("http://10.0.0.1/"))
    answers = {}
    for settings.CALLS_TO in ("public", "loopback", "internal"):
        answers[settings.CALLS_TO] = ines.post(target_of(ines, thread)).status_code

    assert answers == {"public": 424, "loopback": 200, "internal": 200}


@pytest.mark.parametrize(
    ("action", "reason"),
    [
        (button("javascript:alert(1)"), "target.urlTemplate must be"),
        (button("ftp://lights.test/"), "target.urlTemplate must be"),
        (button("http://"), "target.urlTemplate must be"),
        (button("http://lights.test/ x"), "target.urlTemplate must be"),
        (button("http://lights.test:99999/"), "target.urlTemplate must be"),
        (button("http://[::1"), "target.urlTemplate must be"),
        (button("https://lights.test/", "CONNECT"), "target.httpMethod must be"),
        (button("https://lights.test/", "post"), "target.httpMethod must be"),
        ({"@type": "UpdateAction", "name": "x"}, "target.urlTemplate must be"),
        ({"@type": "UpdateAction", "name": "x", "target": "https://lights.test"}, "target.urlTemplate must be"),
        ({"@type": "ViewAction", "name": "x", "url": "javascript:alert(1)"}, "url must be"),
        ({"@type": "ViewAction", "name": "x"}, "url must be"),
    ],
)
def test_action_with_an_invalid_url_is_rejected(client, source, action, reason):
    state = activity()["thread"] | {"actions": [action]}

    response = post(client, "/messages", activity(flow_token=source[1], thread=state))

    assert response.status_code == 400
    ((field, reasons),) = response.json()["errors"].items()
    assert field == "thread.actions.0"
    assert reasons[0].startswith(reason)


def test_stored_action_with_an_invalid_url_is_not_called(ines, offer):
    thread = offer()
    bad_link = {"@type": "ViewAction", "name": "x", "url": "javascript:alert(1)"}
    thread.actions = [bad_link, button("javascript:alert(1)"), {"@type": "UpdateAction"}, {"@type": "OtherAction"}]
    thread.save()

    shown = ines.get(f"/flows/acme/main/threads/{thread.pk}").json()["actions"]

    assert shown[0] == {"@type": "ViewAction", "name": "x"}
    for number in (1, 2):
        assert ines.post(target_of(ines, thread, number)).status_code == 424
    assert ines.post(f"/flows/acme/main/threads/{thread.pk}/actions/3?signature=x").status_code == 404


def test_press_is_refused_if_the_action_has_changed(ines, offer, service):
    thread = offer(button(f"{service.address}/close"), button(f"{service.address}/merge"))
    seen = target_of(ines, thread)
    path, _, signature = seen.partition("?signature=")
    offer(button(f"{service.address}/delete-everything"))

    for wrong in (seen, path, f"{path}?signature=", f"{path}?signature={'0' * 64}"):
        assert ines.post(wrong).status_code in (404, 400)
    other = path.removesuffix("0") + "1"
    for wrong in (f"{other}?signature={signature}", path.removesuffix("0") + "99?signature=x", f"{path}9?signature=x"):
        assert ines.post(wrong).status_code == 404
    assert not service.asked


def test_only_members_can_press(world, client, ines, as_person, with_scopes, offer, service):
    thread = offer(button(service.address))
    target = target_of(ines, thread)

    assert client.post(target).status_code == 401
    assert as_person(world.otto).post(target).status_code == 404
    assert with_scopes(world.ines, "profile integration manage").post(target).status_code == 403
    assert with_scopes(world.ines, "flow").post(target).status_code == 200
    assert ines.get(target).status_code == 405
    assert len(service.asked) == 1


def test_buttons_of_removed_sources_and_archived_flows_do_not_work(ines, offer, source, service):
    thread = offer(button(service.address))
    Flow.objects.update(disabled=True)
    assert ines.post(target_of(ines, thread)).status_code == 403
    Flow.objects.update(disabled=False)
    source[0].remove()

    assert ines.post(target_of(ines, thread)).status_code == 403
    assert not service.asked


def test_result_of_a_press_is_shown_on_the_page(world, offer, service):
    link = {"@type": "ViewAction", "name": "Diff", "url": "https://git.test/d", "description": "What changed"}
    thread = offer(link, button(service.address))
    ines = browser(world.ines)
    page = see(ines.get(address(world.main, f"/threads/{thread.pk}")))
    path = address(world.main, f"/threads/{thread.pk}/actions/1")
    press = {"signature": page.value("signature")}
    service.body = b'{"message": "Closed <b>it</b>."}'

    assert "https://git.test/d" in page.links()
    assert path in [form.get("action") for form in page.all("form")]
    response = ines.post(path, press, follow=True)
    assert response.redirect_chain == [(address(world.main, f"/threads/{thread.pk}"), 302)]
    assert "Closed <b>it</b>." in see(response).text

    service.status, service.headers = 401, {"WWW-Authenticate": "Flowdock-Token url=https://lights.test/a?claim=J"}
    assert "https://lights.test/a?claim=J" in see(ines.post(path, press, follow=True)).links()
    response = ines.post(path, press, headers={"Accept": "application/json"})
    assert (response.json()["done"], response.json()["url"]) == (False, "https://lights.test/a?claim=J")

    assert ines.post(path, {"signature": "wrong"}).status_code == 404
    assert browser(world.otto).post(path, press).status_code == 404
    assert browser(world.ines, enforce_csrf_checks=True).post(path, press).status_code == 403
    assert len(service.asked) == 3


def test_refused_press_is_reported_on_the_page(world, offer, source, service):
    thread = offer(button(service.address))
    source[0].remove()
    path = address(world.main, f"/threads/{thread.pk}/actions/0")

    response = browser(world.ines).post(path, {"signature": actions.signature(thread, 0)}, follow=True)

    assert "has been removed" in see(response).text
    assert not service.asked
