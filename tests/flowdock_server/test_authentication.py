"""All ways to authenticate, and the scopes."""

import base64
from datetime import timedelta

import pytest
from django.test import Client

from flowdock_server.models import ApiToken

from .conftest import access_token, activity, basic, post


def test_personal_token_is_the_user_name_and_the_password_is_ignored(world):
    _, token = ApiToken.issue(world.ines, "laptop")

    for client in (basic(token), basic(token, "anything")):
        response = client.get("/user")
        assert response.status_code == 200
        assert response.json() == {
            "id": world.ines.pk,
            "nick": "Ines",
            "name": "Ines Rao",
            "email": "ines@example.com",
            "avatar": "https://pictures.test/i.png",
            "website": "",
        }
        assert response["Flowdock-User"] == str(world.ines.pk)


def test_email_and_password_are_accepted(world):
    assert basic("Ines@example.com", "a password").get("/user").status_code == 200
    assert basic("ines@example.com", "wrong").get("/user").status_code == 401


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
@pytest.mark.parametrize("scheme", ["Basic ", "basic   ", "BASIC "])
def test_password_can_have_any_characters(world, encoding, scheme):
    world.ines.set_password("pä:ss wörd")
    world.ines.save()
    credentials = base64.b64encode("ines@example.com:pä:ss wörd".encode(encoding)).decode()

    assert Client(headers={"Authorization": scheme + credentials}).get("/user").status_code == 200


def test_revoked_personal_token_is_refused(world):
    row, token = ApiToken.issue(world.ines, "laptop")
    row.delete()

    assert basic(token).get("/user").status_code == 401


def test_personal_tokens_are_not_stored(world):
    _, token = ApiToken.issue(world.ines, "laptop")

    assert token not in str(ApiToken.objects.values())


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Basic",
        "Basic %%%",
        "Basic " + base64.b64encode(b"\xff\xfe:").decode(),
        "Basic Og==",
        "Bearer",
        "Bearer x",
        "Token x",
        "Bearer \xe9",
    ],
)
def test_missing_and_malformed_credentials_are_unauthorized(world, header):
    response = Client(headers={"Authorization": header}).get("/flows")

    assert (response.status_code, response.json()) == (401, {"message": "Unauthorized"})
    assert "Flowdock-User" not in response


def test_closed_account_cannot_call(world, as_person, with_scopes):
    clients = [as_person(world.ines), with_scopes(world.ines, "flow"), basic("ines@example.com", "a password")]
    world.ines.is_active = False
    world.ines.save()

    assert {client.get("/flows").status_code for client in clients} == {401}


def test_expired_access_token_is_refused(world):
    token = access_token(world.ines, world.application, "flow", lasts=timedelta(seconds=-1))

    assert Client(headers={"Authorization": f"Bearer {token}"}).get("/flows").status_code == 401


def test_browser_session_does_not_authenticate_api_calls(world):
    browser = Client()
    browser.force_login(world.ines)

    assert browser.get("/flows").status_code == 401


def test_email_address_requires_the_scope_profile(world, with_scopes):
    assert "email" not in with_scopes(world.ines, "flow").get("/user").json()
    assert with_scopes(world.ines, "profile").get("/user").json()["email"] == "ines@example.com"


@pytest.mark.parametrize(
    ("method", "path", "enough", "too_little"),
    [
        ("get", "/flows", "flow", "profile integration private"),
        ("get", "/flows/acme/main/threads", "flow", "profile integration"),
        ("get", "/flows/acme/main/messages", "flow", "profile integration"),
        ("get", "/flows/find?id={flow}", "integration", "profile"),
        ("get", "/flows/acme/main", "integration", "profile"),
        ("get", "/flows/acme/main/sources", "flow", "profile"),
        ("get", "/users", "flow", "profile"),
        ("get", "/organizations", "manage", "profile"),
        ("post", "/flows/acme/main/sources", "integration", "flow profile manage"),
        ("post", "/flows/acme/main/integrations", "integration", "flow profile manage"),
        ("post", "/flows/acme/main/messages", "flow", "profile integration"),
        ("put", "/flows/acme/main/sources/{source}", "integration", "flow"),
        ("delete", "/flows/acme/main/sources/{source}", "manage", "flow"),
        ("delete", "/flows/acme/main/sources/{source}", "integration", "flow"),
    ],
)
def test_call_requires_its_scope(world, with_scopes, connect, method, path, enough, too_little):
    path = path.format(flow=world.main.pk, source=connect()[0].pk)
    body = {"name": "octo/hello", "event": "message", "content": "Hi"}

    def call(scope):
        client = with_scopes(world.ines, scope)
        if method == "get":
            return client.get(path)
        return getattr(client, method)(path, body, content_type="application/json")

    refused = call(too_little)
    assert refused.status_code == 403
    assert "scope" in refused.json()["message"]
    assert call(enough).status_code in (200, 201, 204)


def test_flow_token_takes_precedence_over_a_bearer_token(world, with_scopes, connect):
    _, token = connect(world.main)
    client = with_scopes(world.otto, "flow")

    response = post(client, "/messages", {"flow_token": token, "event": "message", "content": "Build is green"})

    assert response.status_code == 201
    assert response.json()["user"] == "0"
    assert "Flowdock-User" not in response


def test_flow_token_reads_only_its_source(connect):
    _, token = connect()
    client = Client()

    assert len(client.get("/sources", {"flow_token": token}).json()) == 1
    for path in ("/flows", "/user", "/flows/acme/main/threads", "/flows/acme/main/sources"):
        assert client.get(path, {"flow_token": token}).status_code == 401


@pytest.mark.parametrize(
    ("credentials", "who"),
    [
        ("header bearer", "ines"),
        ("query bearer", "ines"),
        ("form bearer", "ines"),
        ("json bearer", "ines"),
        ("personal token", "ines"),
        ("e-mail and password", "ines"),
        ("flow token in the query", "source"),
        ("flow token in the form", "source"),
        ("flow token in JSON", "source"),
    ],
)
def test_every_kind_of_key_can_post_a_message(client, world, as_person, connect, credentials, who):
    bearer = access_token(world.ines, world.application, "flow")
    personal, flow_token = ApiToken.issue(world.ines, "laptop")[1], connect()[1]
    message = {"flow": str(world.main.pk), "event": "message", "content": "Hi"}
    match credentials:
        case "header bearer":
            response = client.post("/messages", message, headers={"Authorization": f"bearer {bearer}"})
        case "query bearer":
            response = client.post(f"/messages?access_token={bearer}", message)
        case "form bearer":
            response = client.post("/messages", message | {"access_token": bearer})
        case "json bearer":
            response = post(client, "/messages", message | {"access_token": bearer})
        case "personal token":
            response = basic(personal, "ignored").post("/messages", message)
        case "e-mail and password":
            response = basic("ines@example.com", "a password").post("/messages", message)
        case "flow token in the query":
            response = client.post(f"/messages?flow_token={flow_token}", message)
        case "flow token in the form":
            response = client.post("/messages", message | {"flow_token": flow_token})
        case "flow token in JSON":
            response = post(client, "/messages", message | {"flow_token": flow_token})

    assert response.status_code == 201, response.content
    assert response.json()["user"] == (str(world.ines.pk) if who == "ines" else "0")


@pytest.mark.parametrize("token", ["nonsense", "", "0" * 32, ["x"], {"a": 1}, 7, True])
def test_unknown_flow_token_is_unauthorized(client, world, token):
    response = post(client, "/messages", activity(flow_token=token))

    assert (response.status_code, response.json()) == (401, {"message": "Unauthorized"})


def test_first_key_that_was_sent_decides(world, as_person, connect):
    message = {"flow": str(world.main.pk), "event": "message", "content": "Hi"}
    person = as_person(world.ines)

    # A wrong key is refused, whatever other keys were sent.
    assert post(person, "/messages", message | {"flow_token": "wrong"}).status_code == 401
    assert post(person, "/messages?access_token=wrong", message).status_code == 401
    otto = access_token(world.otto, world.application, "flow profile")
    assert person.get(f"/user?access_token={otto}").json()["name"] == "Otto Berg"
    # Other calls than posts and the source's own ignore a flow token like any unknown parameter.
    assert person.get("/user?flow_token=wrong").json()["name"] == "Ines Rao"


def test_token_of_a_removed_source_is_gone_wherever_it_is_sent(client, connect):
    source, token = connect()
    source.remove()

    for response in (
        post(client, "/messages", activity(flow_token=token)),
        post(client, "/activities", activity(token=token)),
        post(client, "/flows/acme/main/messages", activity(flow_token=token)),
        client.put("/sources", {"flow_token": token, "error_message": "x"}, "application/json"),
        client.patch("/sources", {"flow_token": token, "error_message": "x"}, "application/json"),
        client.get("/sources", {"flow_token": token}),
    ):
        assert response.status_code == 410
        assert "removed" in response.json()["message"]
