"""Errors of the API, which all have Flowdock's format; and CORS, which applies to all calls."""

import asyncio
import json
from urllib.parse import quote, urlencode

import pytest
from django.test import Client
from django.test.utils import override_settings
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowdock_server.asgi import application

from .conftest import activity, post


@pytest.fixture
def token(connect):
    return connect()[1]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("get", "/flows/acme/main/nothing", 404),
        ("get", "/messages", 405),
        ("delete", "/user", 405),
        ("put", "/flows/acme/main/messages", 405),
        ("get", "/users/ines", 400),
        ("get", "/flows/%00", 404),
        ("get", "/flows/find?id=%00", 400),
        ("get", "/v1/flows/acme/main/nothing.json", 404),
        ("get", "/nothing", 404),
        ("post", "/v1/nothing/at/all", 404),
        ("get", "/v1/app", 404),
    ],
)
def test_not_found_has_flowdocks_error_format(client, db, method, path, status):
    response = getattr(client, method)(path)

    assert response.status_code == (401 if path == "/users/ines" else status)
    assert response["Content-Type"] == "application/json; charset=utf-8"
    assert response.json().keys() == {"message"}


def test_not_found_in_a_browser_is_a_page(client, db):
    response = client.get("/nothing", headers={"Accept": "text/html,*/*;q=0.8"})

    assert response.status_code == 404
    assert response["Content-Type"].startswith("text/html")


@pytest.mark.parametrize("path", ["/user", "/v1/flows.json/", "/flows/acme/main/messages", "/flows/acme/nothing"])
def test_head_is_answered_as_get_without_a_body(world, as_person, path):
    client = as_person(world.ines)

    head, get = client.head(path), client.get(path)

    assert (head.status_code, head.content) == (get.status_code, b"")
    assert head.headers == get.headers


@pytest.mark.parametrize("path", ["/flows/acme/main/users/{}", "/organizations/acme/users/{}"])
def test_number_too_large_for_an_id_is_not_found(world, as_person, path):
    client = as_person(world.ines)
    call = client.delete if path.startswith("/org") else client.put

    response = call(path.format(10**30), {"disabled": True}, content_type="application/json")

    assert (response.status_code, response.json()) == (404, {"message": "Not found"})


@pytest.mark.parametrize(("path", "is_open"), [("/v1/messages", True), ("/account", False)])
def test_too_large_body_is_413_with_cors_headers(settings, path, is_open):
    settings.MAX_BODY_BYTES = 1000
    sent = []
    scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "http_version": "1.1"}
    scope |= {"scheme": "http", "headers": [(b"host", b"testserver"), (b"origin", b"https://lights.test")]}

    async def receive():
        return {"type": "http.request", "body": b"x" * 600, "more_body": True}

    async def send(message):
        sent.append(message)

    asyncio.run(application(scope, receive, send))

    head, body, end = sent
    headers = dict(head["headers"])
    assert end == {"type": "http.response.body", "body": b""}
    assert (head["status"], json.loads(body["body"])) == (413, {"message": "The request body is too large"})
    assert headers[b"content-type"] == b"application/json; charset=utf-8"
    assert headers[b"connection"] == b"close"
    assert headers.get(b"access-control-allow-origin") == (b"https://lights.test" if is_open else None)


def test_wrong_method_lists_the_allowed_ones(client, db):
    assert client.get("/messages")["Allow"] == client.head("/messages")["Allow"] == "POST"
    assert client.delete("/user")["Allow"] == "GET, HEAD"


@pytest.mark.parametrize(
    ("body", "content_type", "reason"),
    [
        (b"{", "application/json", "not valid JSON"),
        (b"\xff\xfe", "application/json", "UTF-8"),
        (b"[1]", "application/json", "object"),
        (b'"text"', "application/json", "object"),
        (b"null", "application/json", "object"),
        (b'{"title": NaN}', "application/json", "NaN"),
        (b'{"title": 1e999}', "application/json", "1e999 is not a finite number"),
        (b'{"thread": {"actions": [{"@type": "x", "n": -1e400}]}}', "application/json", "is not a finite number"),
        (b'{"title": "\\u0000"}', "application/json", "character"),
        (b'{"title": "\\ud800"}', "application/json", "character"),
        (b'{"\\u0000": 1}', "application/json", "character"),
        (b'{"a":' * 50 + b"1" + b"}" * 50, "application/json", "nested"),
        (b"[" * 50_000, "application/json", "nested"),
        (b"a" + b"[b]" * 50 + b"=1", "application/x-www-form-urlencoded", "nested"),
        (b"a=%00", "application/x-www-form-urlencoded", "character"),
        (b"x", "multipart/form-data", ""),
        (b"&".join(b"a%d=1" % n for n in range(2000)), "application/x-www-form-urlencoded", ""),
    ],
)
def test_unreadable_body_is_refused_with_the_reason(client, token, body, content_type, reason):
    response = client.post(f"/messages?flow_token={token}", body, content_type=content_type)

    assert response.status_code == 400
    assert reason in response.json()["message"]


def test_unstorable_character_in_a_form_list_of_tags_is_refused(client, token):
    sent = {"flow_token": token, "event": "message", "content": "x", "tags": '["\\u0000"]'}

    response = client.post("/messages", sent)

    assert response.status_code == 400
    assert "cannot be stored" in str(response.json()["errors"])


@pytest.mark.parametrize("content_type", ["text/xml", "text/plain", ""])
def test_unsupported_content_type_is_415(client, token, content_type):
    response = client.post(f"/messages?flow_token={token}", b"<xml/>", content_type=content_type)

    assert response.status_code == 415
    assert "application/json" in response.json()["message"]


@pytest.mark.parametrize("content_type", ["application/json", "application/x-www-form-urlencoded", "text/plain"])
def test_body_over_the_limit_is_413(client, token, content_type):
    response = client.post(f"/messages?flow_token={token}", b"x" * 200_001, content_type=content_type)

    assert (response.status_code, response.json()) == (413, {"message": "The request body is too large"})


def test_internal_error_reveals_no_details(token):
    client = Client(raise_request_exception=False)

    with override_settings(SERVER_URL=None):
        response = client.get("/sources", {"flow_token": token})

    assert response.status_code == 500
    assert response.json() == {"message": "Internal server error"}


def test_other_sites_can_call_the_api_from_a_browser(client, token):
    preflight = client.options(
        "/v1/messages", headers={"Origin": "https://lights.test", "Access-Control-Request-Method": "POST"}
    )
    answers = [
        preflight,
        post(client, "/messages", activity(flow_token=token), headers={"Origin": "https://lights.test"}),
        client.get("/flows", headers={"Origin": "https://lights.test"}),
        client.options("/oauth/token", headers={"Origin": "https://lights.test"}),
    ]

    assert [answer.status_code for answer in answers] == [200, 201, 401, 200]
    for answer in answers:
        assert answer["Access-Control-Allow-Origin"] == "https://lights.test"
        assert answer["Access-Control-Allow-Methods"] == "POST, PUT, PATCH, DELETE, GET, OPTIONS"
        assert "Authorization" in answer["Access-Control-Allow-Headers"]
        assert "Origin" in answer["Vary"]
        assert "Access-Control-Allow-Credentials" not in answer
    assert "Access-Control-Allow-Origin" not in client.get("/flows")


def test_pages_have_no_cors_headers(client, db):
    assert "Access-Control-Allow-Origin" not in client.get("/account", headers={"Origin": "https://lights.test"})


def test_openapi_document_covers_the_calls(client, db):
    described = client.get("/openapi.json").json()

    post_message = described["paths"]["/messages"]["post"]
    assert post_message["responses"].keys() >= {"200", "201", "202", "400", "401", "403", "410"}
    assert "requestBody" in post_message
    schemes = described["components"]["securitySchemes"].values()
    assert {scheme["type"] for scheme in schemes} == {"http", "apiKey", "oauth2"}


TEXTS = st.text(max_size=30)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
FIELDS = [
    *("event", "title", "body", "author", "thread", "content", "tags", "uuid", "thread_id", "external_thread_id"),
    *("message", "attachments", "external_user_name", "flow", "name", "error_message", "access_token", "token"),
]
POSTS = ["/messages", "/activities", "/comments", "/flows/acme/main/messages", "/flows/acme/main/messages/1/comments"]
no_function_scope = settings(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def assert_answered(response):
    assert response.status_code < 500
    if response.status_code >= 400:
        assert response.json()["message"]


@no_function_scope
@given(path=st.sampled_from(POSTS), body=st.binary(max_size=200), json_body=st.booleans())
def test_random_bytes_cause_no_server_error(token, path, body, json_body):
    content_type = "application/json" if json_body else "application/x-www-form-urlencoded"

    assert_answered(Client().post(f"{path}?flow_token={token}", body, content_type=content_type))


@no_function_scope
@given(path=st.sampled_from(POSTS), wrong=st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=4))
def test_random_values_cause_no_server_error(token, path, wrong):
    body = json.dumps(activity(flow_token=token) | wrong)

    response = Client().post(path, body, content_type="application/json")

    assert_answered(response)
    if response.status_code == 201:
        assert_answered(Client().get("/sources", {"flow_token": token}))


@no_function_scope
@given(
    thread=st.dictionaries(st.sampled_from(["title", "body", "status", "fields", "actions", "external_url"]), VALUES)
)
def test_random_thread_states_cause_no_server_error(token, world, as_person, thread):
    assert_answered(post(Client(), "/messages", activity(flow_token=token, thread=thread)))
    assert_answered(as_person(world.ines).get("/flows/acme/main/threads"))


@no_function_scope
@given(
    form=st.lists(st.tuples(st.from_regex(r"[a-z]{1,3}(\[[a-z0-9]{0,2}\]){0,4}", fullmatch=True), TEXTS), max_size=8)
)
def test_random_forms_cause_no_server_error(token, form):
    body = urlencode([*form, ("flow_token", token)], errors="replace")

    assert_answered(Client().post("/messages", body, content_type="application/x-www-form-urlencoded"))


@no_function_scope
@given(path=st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_random_paths_cause_no_server_error(world, as_person, path):
    assert_answered(as_person(world.ines).get("/flows/" + quote(path, safe="/")))
    assert_answered(as_person(world.ines).get("/flows/acme/main/threads/" + quote(path, safe="/")))


def test_json_is_recognized_without_a_content_type(client, token):
    body = json.dumps(activity(flow_token=token))

    assert client.generic("POST", "/messages", f"\n {body}", content_type="").status_code == 201
    assert client.generic("POST", "/messages", "[1]", content_type="").status_code == 400
    assert client.generic("POST", "/messages", "title=A", content_type="").status_code == 415


@pytest.mark.parametrize(
    ("query", "field", "reason"),
    [
        ("limit=0", "limit", "must be 1 or more"),
        ("limit=101", "limit", "must be 100 or less"),
        ("limit=many", "limit", "must be a whole number"),
        ("since_id=1.5", "since_id", "must be a whole number"),
        ("sort=up", "sort", "must be one of 'asc' or 'desc'"),
    ],
)
def test_invalid_parameter_is_explained_in_plain_words(world, as_person, query, field, reason):
    answer = as_person(world.ines).get(f"/flows/acme/main/messages?{query}")

    assert (answer.status_code, answer.json()["errors"]) == (400, {field: [reason]})


@pytest.mark.parametrize(
    ("change", "field", "reason"),
    [
        ({"title": ["x"]}, "title", "must be a string"),
        ({"author": "Ines"}, "author", "must be an object"),
        ({"thread": {"title": "A", "fields": "x"}}, "thread.fields", "must be a list"),
        ({"message": "x"}, "message", "must be a whole number"),
    ],
)
def test_field_of_a_wrong_type_is_explained_in_plain_words(client, token, change, field, reason):
    answer = post(client, "/messages", activity(flow_token=token, **change))

    assert (answer.status_code, answer.json()["errors"]) == (400, {field: [reason]})


def test_invalid_time_is_explained_in_plain_words(world, as_person):
    answer = as_person(world.ines).get("/flows/acme/main/threads?since=yesterday")

    assert answer.json()["errors"] == {"since": ["must be a time in ISO 8601, such as 2014-10-29T12:00:00Z"]}


@pytest.mark.parametrize("path", ["messages", "threads"])
def test_limit_without_a_value_is_ignored(world, as_person, path):
    assert as_person(world.ines).get(f"/flows/acme/main/{path}?limit=").status_code == 200
