"""Scopes: every call of the API and of the streams, with a token for each single scope and without scopes.

`CALLS` is the whole table. The tests fail for a call without a row, and for a row that differs from the server.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import pytest
from django.db import transaction
from django.test import Client

from flowdock_server.api.urls import api
from flowdock_server.models import Application, Flow, FlowMembership, Invitation, Source
from flowdock_server.oauth.scopes import SCOPES, SHOWN_WITH
from flowdock_server.streaming.opening import api as streams

from .conftest import activity, basic, post

SINGLE = [scope.name for scope in SCOPES]
NONE = "no scope"

# What a response may reveal, in the words of the table, and the text by which it is recognized.
WORDS = {
    "own": "ines@example.com",  # the caller's e-mail address
    "colleagues": "otto@example.com",  # that of somebody else in the flow
    "invited": "new@example.com",  # that of somebody who was invited
    "link": "http://testserver/join/",  # the invite link of a flow
    "flow_token": '"flow_token"',  # the token of a source
    "said": "said in the flow",  # a message
    "private": "for your eyes only",  # a private message
}

FLOW = "/flows/{organization}/{flow}"
MESSAGES = f"{FLOW}/messages"
THREADS = f"{FLOW}/threads"
PEOPLE = "own colleagues"


@dataclass(frozen=True)
class Call:
    """`allowed` says what a response shows for each scope; all other scopes get 403.

    `path` is the path in the code, and `query` is added to it. `status` is the status of an allowed call, if it is
    neither 2xx nor a redirect.
    """

    methods: str
    path: str
    allowed: dict[str, str]
    query: str = ""
    body: dict[str, Any] = field(default_factory=dict)
    status: int = 0
    stream: bool = False


def any_token(shown: str = "") -> dict[str, str]:
    return dict.fromkeys([*SINGLE, NONE], shown)


SAID = {"event": "message", "content": "said in the flow"}
ACTIVITY = activity(title="said in the flow", thread=activity()["thread"] | {"title": "said in the flow"})
COMMENT = {"event": "comment", "content": "said in the flow", "message": "{number}"}
MAIL = {"source": "CI", "from_address": "ci@build.test", "subject": "said in the flow", "content": "said in the flow"}
NEW_SOURCE = {"name": "octo/new", "external_url": "https://git.test/octo/new"}

CALLS = [
    # People. One's own e-mail address needs `profile`; those of others need `flow` or `manage`.
    Call("GET", "/user", any_token() | {"profile": "own"}),
    Call("GET", "/users", {"flow": PEOPLE, "manage": PEOPLE}),
    Call("GET", "/users/{user_id}", {"flow": "colleagues", "manage": "colleagues"}),
    Call("PUT PATCH", "/users/{own_id}", {"profile": "", "manage": ""}, body={"nick": "ira"}),
    # Organizations.
    Call("GET", "/organizations", {"manage": PEOPLE}),
    Call("GET", "/organizations/find", {"manage": PEOPLE}, query="id={organization_id}"),
    Call("GET", "/organizations/{organization}", {"manage": PEOPLE}),
    Call("PUT PATCH", "/organizations/{organization}", {"manage": PEOPLE}, body={"name": "Acme"}),
    Call("GET", "/organizations/{organization}/users", {"manage": PEOPLE}),
    Call("DELETE", "/organizations/{organization}/users/{user_id}", {"manage": ""}),
    # Flows. With `integration` an application sees the flow, but no e-mail addresses.
    Call("GET", "/flows", {"flow": ""}),
    Call("GET", "/flows", {"flow": PEOPLE}, query="users=1"),
    Call("GET", "/flows/all", {"flow": PEOPLE}, query="users=1"),
    Call("GET", "/flows/find", {"flow": PEOPLE, "integration": ""}, query="id={flow_id}"),
    Call("GET", "/flows/{organization}", {"flow": PEOPLE}, query="users=1"),
    Call("POST", "/flows/{organization}", {"manage": "own link"}, body={"name": "Releases", "access_mode": "link"}),
    Call("GET", FLOW, {"flow": PEOPLE, "integration": ""}),
    Call("PUT PATCH", FLOW, {"manage": f"{PEOPLE} link"}, body={"name": "Main"}),
    Call("POST", f"{FLOW}/join_url", {"manage": "link"}),
    Call("GET", f"{FLOW}/users", {"flow": PEOPLE}),
    Call("POST", f"{FLOW}/users", {"manage": ""}, body={"id": "{user_id}"}),
    Call("PUT PATCH", f"{FLOW}/users/{{user_id}}", {"manage": ""}, body={"disabled": True}),
    # Invitations.
    Call("GET", f"{FLOW}/invitations", {"manage": "invited"}),
    Call("POST", f"{FLOW}/invitations", {"manage": "invited"}, body={"email": "new@example.com"}),
    Call("POST", f"{FLOW}/invitations/import", {"manage": "invited"}, body={"list": "new@example.com"}),
    Call("GET", f"{FLOW}/invitations/{{invitation_id}}", {"manage": "invited"}),
    Call("DELETE", f"{FLOW}/invitations/{{invitation_id}}", {"manage": ""}),
    # Sources. With `integration` alone an application sees only those that it created.
    Call("GET", "/sources", {"flow": "colleagues"}),
    Call("PUT PATCH", "/sources", {}, body={"error_message": "x"}, status=401),
    *(
        call
        for sources in ("sources", "integrations")
        for call in (
            Call("GET", f"{FLOW}/{sources}", {"flow": "colleagues", "integration": ""}),
            Call("POST", f"{FLOW}/{sources}", {"integration": "flow_token"}, body=NEW_SOURCE),
            Call("GET", f"{FLOW}/{sources}/{{source_id}}", {"flow": "colleagues", "integration": ""}),
            Call("PUT PATCH", f"{FLOW}/{sources}/{{source_id}}", {"integration": ""}, body={"error_message": "x"}),
            Call("DELETE", f"{FLOW}/{sources}/{{source_id}}", {"manage": "", "integration": ""}),
        )
    ),
    Call("GET", f"{FLOW}/source/{{source_id}}", {"flow": "colleagues", "integration": ""}),
    Call("DELETE", f"{FLOW}/source/{{source_id}}", {"manage": "", "integration": ""}),
    # Messages, threads, files.
    Call("GET", MESSAGES, {"flow": "said colleagues"}),
    Call("POST", MESSAGES, {"flow": "said"}, body=SAID),
    Call("GET", f"{MESSAGES}/{{number}}", {"flow": "said"}),
    Call("PUT PATCH", f"{MESSAGES}/{{number}}", {"flow": ""}, body={"tags": ["seen"]}),
    Call("DELETE", f"{MESSAGES}/{{number}}", {"flow": ""}),
    Call("POST", f"{MESSAGES}/{{number}}/comments", {"flow": "said"}, body={"content": "said in the flow"}),
    Call("GET", THREADS, {"flow": "said colleagues"}),
    Call("GET", f"{THREADS}/{{thread_id}}", {"flow": "said colleagues"}),
    Call("GET", f"{THREADS}/{{thread_id}}/messages", {"flow": "said colleagues"}),
    Call("POST", f"{THREADS}/{{thread_id}}/messages", {"flow": "said colleagues"}, body=SAID),
    Call(
        "POST",
        f"{THREADS}/{{thread_id}}/actions/{{action}}",
        {"flow": ""},
        body={"signature": "an old one"},
        status=404,
    ),
    Call("POST", "/messages", {"flow": "said"}, query="flow={flow_id}", body=SAID),
    Call("POST", "/activities", {"flow": "said"}, query="flow={flow_id}", body=ACTIVITY),
    Call("POST", "/comments", {"flow": "said"}, query="flow={flow_id}", body=COMMENT),
    Call("GET", "/files/{key}/{path:name}", {"flow": ""}),
    Call("GET", "/files/{key}/thumb/{path:name}", {"flow": ""}, status=404),
    Call("GET", "/files/{private_key}/{path:name}", {"private": ""}),
    Call("GET", "/files/{private_key}/thumb/{path:name}", {"private": ""}, status=404),
    # Private conversations.
    Call("GET", "/private", {"private": ""}),
    Call("GET", "/private/{user_id}", {"private": ""}),
    Call("PUT PATCH", "/private/{user_id}", {"private": ""}, body={"open": False}),
    Call("GET", "/private/{user_id}/messages", {"private": "private"}),
    Call(
        "POST",
        "/private/{user_id}/messages",
        {"private": "private"},
        body={"event": "message", "content": "for your eyes only"},
    ),
    Call("GET", "/private/{user_id}/messages/{private_number}", {"private": "private"}),
    Call("PUT PATCH", "/private/{user_id}/messages/{private_number}", {"private": ""}, body={"tags": ["seen"]}),
    Call("DELETE", "/private/{user_id}/messages/{private_number}", {"private": ""}),
    # Applications. Registering one requires the person's own key.
    Call("GET", "/oauth/applications/{application_id}", any_token()),
    Call("POST", "/oauth/applications", {}, body={"application": {"name": "x", "redirect_uri": "x"}}, status=401),
    # The Push API has its key in the path, and ignores other keys.
    Call("POST", "/messages/influx/{tokens}", {}, status=401, body=MAIL),
    Call("POST", "/messages/team_inbox/{tokens}", {}, status=401, body=MAIL),
    Call("POST", "/messages/chat/{tokens}", {}, status=401, body=SAID | {"external_user_name": "Bot"}),
    # The streaming API.
    Call("GET HEAD", "/flows", {"flow": ""}, query="filter={organization}/{flow}", stream=True),
    Call("GET HEAD", "/flows", {"private": ""}, query="user=1", stream=True),
    Call("GET HEAD", FLOW, {"flow": ""}, stream=True),
]


# Names in the table for parameters that have the same name in the code.
ALIASES = {"{own_id}": "{user_id}", "{action}": "{number}", "{private_number}": "{number}", "{private_key}": "{key}"}
PLACEHOLDERS = re.compile(r"{\w+}")


def declared() -> Iterator[tuple[bool, str, str]]:
    """Every method of every path in the code, of the streams (True) and of the REST API (False)."""
    for is_stream, described in ((False, api), (True, streams)):
        for _, router in described._routers:
            for path, view in router.path_operations.items():
                for method in chain.from_iterable(operation.methods for operation in view.operations):
                    yield is_stream, method, path


def rows() -> Iterator[tuple[Call, str, str]]:
    """The calls of each row, with method and path as in the code."""
    for call in CALLS:
        for method in call.methods.split():
            yield call, method, PLACEHOLDERS.sub(lambda match: ALIASES.get(match[0], match[0]), call.path)


@pytest.fixture
def place(world, client, connect, tmp_path, settings):
    """A flow of Ines, an admin of Acme, and Otto, who has created a source through Ines's application."""
    settings.STORAGES = settings.STORAGES | {
        "attachments": {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": tmp_path},
        }
    }
    FlowMembership.objects.create(flow=world.main, user=world.otto)
    Flow.objects.filter(pk=world.main.pk).update(access_mode=Flow.AccessMode.LINK)
    world.main.refresh_from_db()
    source, token = connect()
    Source.objects.update(creator=world.otto)
    thread = post(client, "/messages", ACTIVITY | {"flow_token": token}).json()["thread_id"]
    invitation, _ = Invitation.issue(flow=world.main, email="new@example.com", invited_by=world.ines)
    ines = basic("ines@example.com", "a password")
    said = post(ines, "/flows/acme/main/messages", SAID).json()
    private = f"/private/{world.otto.pk}/messages"
    post(ines, private, {"event": "message", "content": "for your eyes only"})
    upload = {"event": "file", "content": {"data": "SGVsbG8=", "file_name": "log.txt", "content_type": "text/plain"}}
    path = post(ines, "/flows/acme/main/messages", upload).json()["content"]["path"]
    private_path = post(ines, private, upload).json()["content"]["path"]
    return {
        "organization": "acme",
        "organization_id": world.acme.pk,
        "flow": "main",
        "flow_id": world.main.pk,
        "own_id": world.ines.pk,
        "user_id": world.otto.pk,
        "invitation_id": invitation.pk,
        "source_id": source.pk,
        "thread_id": thread,
        "number": said["id"],
        "action": 0,
        "private_number": 1,
        "application_id": world.application.pk,
        "tokens": "0" * 32,
        "key": path.split("/")[2],
        "private_key": private_path.split("/")[2],
        "path:name": "log.txt",
    }


def filled(text: str, place: dict[str, Any]) -> str:
    for name, value in place.items():
        text = text.replace("{" + name + "}", str(value))
    return text


def shown(text: str) -> set[str]:
    """Which of WORDS a response reveals."""
    return {word for word, sign in WORDS.items() if sign in text}


def answer(client: Client, call: Call, method: str, place: dict[str, Any]):
    """The response to a call, which is then rolled back."""
    address = filled(f"{call.path}?{call.query}", place)
    more = {"SERVER_PORT": "8002"} if call.stream else {}
    body = None if method in ("GET", "HEAD") else filled(json.dumps(call.body), place)
    with transaction.atomic():
        response = client.generic(method, address, body or "", "application/json" if body else "", **more)
        transaction.set_rollback(True)
    return response


def test_table_has_all_calls_of_the_api_and_the_streams():
    assert set(declared()) == {(call.stream, method, path) for call, method, path in rows()}


@pytest.mark.parametrize("scope", [*SINGLE, NONE])
def test_scope_allows_and_shows_exactly_what_its_rows_say(world, place, with_scopes, scope):
    client = with_scopes(world.ines, "" if scope == NONE else scope)
    wrong = []

    for call in CALLS:
        for method in call.methods.split():
            response = answer(client, call, method, place)
            given_away = set() if call.stream else shown(response.content.decode())
            if scope in call.allowed:
                is_right = response.status_code == call.status or response.status_code < 400
                is_right = is_right and given_away == set(call.allowed[scope].split())
            else:
                is_right = response.status_code == (401 if call.status == 401 else 403) and not given_away
            if not is_right:
                wrong.append((method, call.path, call.query, response.status_code, given_away))

    assert wrong == []


def test_response_to_a_post_shows_only_what_the_scope_allows(world, connect, client):
    _, token = connect()

    response = post(client, "/messages", ACTIVITY | {"flow_token": token})
    source = client.get(f"/sources?flow_token={token}")

    assert (response.status_code, source.status_code) == (201, 200)
    assert shown(response.content.decode() + source.content.decode()) == {"said"}


def test_all_scopes_and_a_personal_token_show_everything_a_member_may_see(world, place, with_scopes, as_person):
    everything = with_scopes(world.ines, " ".join(SINGLE))

    for client in (everything, as_person(world.ines)):
        page = client.get("/flows/acme/main").content.decode()
        assert shown(page) == {"own", "colleagues", "link"}


def test_integration_alone_shows_only_sources_of_the_application(world, place, with_scopes):
    other = Application.objects.create(
        name="Other", client_id="other", redirect_uris="https://o.test/", user=world.otto,
        client_type=Application.CLIENT_CONFIDENTIAL, authorization_grant_type="authorization-code",
    )  # fmt: skip
    own = with_scopes(world.ines, "integration profile")
    foreign = with_scopes(world.ines, "profile integration", other)
    path = f"/flows/acme/main/sources/{place['source_id']}"
    change = {"error_message": "x"}

    assert [each["id"] for each in own.get("/flows/acme/main/sources").json()] == [place["source_id"]]
    assert foreign.get("/flows/acme/main/sources").json() == []
    assert [client.get(path).status_code for client in (own, foreign)] == [200, 404]
    assert [client.put(path, change, "application/json").status_code for client in (own, foreign)] == [200, 404]
    assert [client.delete(path).status_code for client in (foreign, own)] == [404, 204]


def test_scopes_that_show_fields_are_explained_on_the_consent_page():
    assert {scope for scopes in SHOWN_WITH.values() for scope in scopes} <= set(SINGLE)
