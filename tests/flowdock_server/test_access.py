"""Access to every call: for a member of the flow, a member of another flow, a stranger, and without a key."""

import pytest
from django.test import Client

from flowdock_server.models import FlowMembership, Invitation, Message, Source

from .conftest import activity, post

READ = [
    "/flows/acme/main",
    "/flows/acme/main/users",
    "/flows/acme/main/sources",
    "/flows/acme/main/sources/{source}",
    "/flows/acme/main/source/{source}",
    "/flows/acme/main/integrations",
    "/flows/acme/main/integrations/{source}",
    "/flows/acme/main/messages",
    "/flows/acme/main/messages/1",
    "/flows/acme/main/threads",
    "/flows/acme/main/threads/{thread}",
    "/flows/acme/main/threads/{thread}/messages",
    "/flows/acme/main/invitations",
    "/flows/acme/main/invitations/{invitation}",
    "/flows/find?id={flow}",
]
WRITE = [
    ("post", "/flows/acme/main/messages", 201),
    ("post", "/flows/acme/main/messages/1/comments", 201),
    ("post", "/flows/acme/main/threads/{thread}/messages", 201),
    ("post", "/messages?flow={flow}", 201),
    ("post", "/activities?flow={flow}&event=activity", 201),
    ("post", "/comments?flow={flow}&message=1", 201),
    ("post", "/flows/acme/main/sources", 201),
    ("post", "/flows/acme/main/integrations", 201),
    ("put", "/flows/acme/main/sources/{source}", 200),
    ("patch", "/flows/acme/main/sources/{source}", 200),
    ("delete", "/flows/acme/main/sources/{source}", 204),
    ("delete", "/flows/acme/main/source/{source}", 204),
    ("put", "/flows/acme/main/integrations/{source}", 200),
    ("delete", "/flows/acme/main/integrations/{source}", 204),
    ("put", "/flows/acme/main", 200),
    ("post", "/flows/acme/main/join_url", 404),
    ("post", "/flows/acme/main/users", 200),
    ("put", "/flows/acme/main/users/{otto}", 200),
    ("post", "/flows/acme/main/invitations", 201),
    ("post", "/flows/acme/main/invitations/import", 201),
    ("delete", "/flows/acme/main/invitations/{invitation}", 204),
    ("post", "/flows/acme/main/threads/{thread}/actions/0?signature=none", 404),
]
ALL_SCOPES = "flow private manage profile integration"


@pytest.fixture
def place(world, connect, client):
    source, token = connect()
    thread = post(client, "/messages", activity(flow_token=token)).json()["thread_id"]
    invitation, _ = Invitation.issue(flow=world.main, email="new@example.com", invited_by=world.ines)
    return {
        "source": source.pk,
        "thread": thread,
        "flow": world.main.pk,
        "otto": world.otto.pk,
        "invitation": invitation.pk,
    }


@pytest.fixture
def callers(world, with_scopes):
    return {
        "member": with_scopes(world.ines, ALL_SCOPES),
        "member of another flow": with_scopes(world.otto, ALL_SCOPES),
        "stranger": with_scopes(world.sam, ALL_SCOPES),
        "nobody": Client(),
    }


EXPECTED = {"member of another flow": 404, "stranger": 404, "nobody": 401}


@pytest.mark.parametrize("path", READ)
def test_only_members_can_read_a_flow(place, callers, path):
    path = path.format(**place)

    assert callers["member"].get(path).status_code == 200
    for who, status in EXPECTED.items():
        response = callers[who].get(path)
        assert (who, response.status_code) == (who, status)
        assert response.json().keys() == {"message"}


@pytest.mark.parametrize(("method", "path", "status"), WRITE)
def test_only_members_can_change_a_flow(world, place, callers, method, path, status):
    if "{otto}" in path:
        FlowMembership.objects.create(flow=world.main, user=world.otto, disabled=True)
    path = path.format(**place)
    # Parameters of all calls together: each call reads those that it has.
    body = activity(name="octo/new", content="Hi", id=place["otto"], email="other@example.com", list="a@example.com")
    body["disabled"] = path.endswith(f"/{place['otto']}")
    if "event=" not in path:
        body |= {"event": "comment" if "comments" in path else "message"}
        del body["thread"], body["external_thread_id"]
    else:
        del body["event"]

    def call(client):
        return getattr(client, method)(path, body, content_type="application/json")

    for who, refused in EXPECTED.items():
        assert (who, call(callers[who]).status_code) == (who, refused)
    assert (Message.objects.count(), Source.objects.connected().count()) == (1, 1)
    assert call(callers["member"]).status_code == status


def test_all_flow_calls_of_the_api_are_tested_here(client):
    described = client.get("/openapi.json").json()["paths"]
    tried = {path.partition("?")[0] for path in READ} | {path.partition("?")[0] for _, path, _ in WRITE}
    tried = {
        path.replace("/acme/main", "/{organization}/{flow}")
        .replace("{thread}", "{thread_id}")
        .replace("{source}", "{source_id}")
        .replace("{invitation}", "{invitation_id}")
        .replace("{otto}", "{user_id}")
        .replace("messages/1", "messages/{number}")
        .replace("actions/0", "actions/{number}")
        for path in tried
    }

    assert {path for path in described if "{flow}" in path} <= tried
