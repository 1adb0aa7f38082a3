"""All calls in /openapi.json, with valid and invalid parameters, by schemathesis.

No response is a server error, and all responses are described. CONTRACT_EXAMPLES sets the number of examples for each
call.
"""

import base64
import os
from collections.abc import Callable

import pytest
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings

from flowdock_server.models import ApiToken, Invitation, User
from tests.flowdock_server.conftest import SECRET, activity, post
from tests.flowdock_server.test_openapi import ALL

if not os.environ.get("CONTRACT"):
    pytest.skip("takes a minute and requirements-dev.txt: CONTRACT=1 runs it, as .ci/run does", allow_module_level=True)

import schemathesis
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
EXAMPLES = int(os.environ.get("CONTRACT_EXAMPLES", "15"))
thorough = hypothesis_settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
BY_SOURCES = ("/messages", "/activities", "/comments", "/sources")


@pytest.fixture
def description(world, settings):
    """The served OpenAPI document, with the server in this process and the test's own connection."""
    settings.ALLOWED_HOSTS = ["localhost"]
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield schemathesis.openapi.from_wsgi("/openapi.json", get_wsgi_application())
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.fixture
def place(world, connect, client, settings) -> dict[str, object]:
    """Existing objects, by the names of path parameters."""
    settings.ALLOWED_HOSTS = ["testserver"]
    source, token = connect()
    state = activity()["thread"] | {"actions": []}
    message = post(client, "/messages", activity(flow_token=token, thread=state)).json()
    invitation, _ = Invitation.issue(flow=world.main, email="new@example.com", invited_by=world.ines)
    return {
        "organization": "acme",
        "flow": "main",
        "source_id": source.pk,
        "thread_id": message["thread_id"],
        "number": message["id"],
        "invitation_id": invitation.pk,
        "user_id": world.otto.pk,
        "application_id": world.application.pk,
    }


def key_of(user: User) -> dict[str, str]:
    _, token = ApiToken.issue(user, "for a test")
    return {"Authorization": "Basic " + base64.b64encode(f"{token}:".encode()).decode()}


def try_all(description, method: str, path: str, change: Callable[[Case], None], **headers: str) -> None:
    @thorough
    @given(case=description[path][method.upper()].as_strategy())
    def examples(case: Case) -> None:
        change(case)
        case.call_and_validate(headers=headers, checks=CHECKS)

    examples()


@pytest.mark.parametrize(("method", "path"), ALL)
def test_responses_conform_for_any_request(world, description, method, path):
    try_all(description, method, path, lambda case: None, **key_of(world.ines))


@pytest.mark.parametrize(("method", "path"), [each for each in ALL if "{" in each.values[1]])
def test_responses_conform_for_existing_objects(world, place, description, method, path):
    def lead_there(case: Case) -> None:
        case.path_parameters = {name: place.get(name, value) for name, value in case.path_parameters.items()}

    try_all(description, method, path, lead_there, **key_of(world.ines))


@pytest.mark.parametrize(("method", "path"), [each for each in ALL if each.values[1] in BY_SOURCES])
def test_responses_conform_for_a_source(connect, description, method, path):
    _, token = connect()

    def show_token(case: Case) -> None:
        case.query = {**(case.query or {}), "flow_token": token}

    try_all(description, method, path, show_token)


@pytest.mark.parametrize(("method", "path"), [each for each in ALL if each.values[1].startswith("/oauth/")])
def test_responses_conform_for_an_application(world, description, method, path):
    def show_keys(case: Case) -> None:
        if isinstance(case.body, dict):
            case.body = {**case.body, "client_id": "build-lights", "client_secret": SECRET}

    try_all(description, method, path, show_keys)
