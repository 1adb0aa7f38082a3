"""/openapi.json describes every call correctly: its scopes, errors and spellings."""

import re
from urllib.parse import urlencode

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from flowdock_server.api.urls import api

from .test_scopes import NONE, SINGLE, rows

SCOPES = {"flow", "private", "manage", "profile", "integration"}
METHODS = {"get", "post", "put", "patch", "delete"}


def described() -> list[tuple[str, str, dict]]:
    """Method, path and description of each operation. Needs no database."""
    paths = api.get_openapi_schema(path_prefix="")["paths"]
    return [(method, path, operation) for path, item in paths.items() for method, operation in item.items()]


OPERATIONS = described()
BY_KEY = [(method, path, operation["security"]) for method, path, operation in OPERATIONS if "security" in operation]
ALL = [pytest.param(method, path, id=f"{method} {path}") for method, path, _ in OPERATIONS]


def address(path: str) -> str:
    """The described path with values for its parameters."""
    return re.sub(r"{(\w+)}", lambda name: "1" if name[1].endswith(("_id", "number")) else "acme", path)


def call(client: Client, method: str, path: str, **headers: str):
    body = {} if method == "get" else {"content_type": "application/json"}
    return getattr(client, method)(path, headers=headers, **body)


def test_document_is_valid_openapi(client, db):
    response = client.get("/openapi.json")

    document = response.json()
    assert response["Content-Type"] == "application/json; charset=utf-8"
    assert document["openapi"].startswith("3.1")
    assert document["servers"] == [{"url": "http://testserver"}]
    ids = [operation["operationId"] for item in document["paths"].values() for operation in item.values()]
    assert len(ids) == len(set(ids))
    for path, item in document["paths"].items():
        assert set(item) <= METHODS
        for operation in item.values():
            assert operation["responses"]
            assert all(code.isdigit() and answer["description"] for code, answer in operation["responses"].items())
            named = {each["name"] for each in operation.get("parameters", []) if each["in"] == "path"}
            assert named == set(re.findall(r"{(\w+)}", path))


def test_all_references_exist(client, db):
    document = client.get("/openapi.json").json()

    def walk(value):
        if isinstance(value, dict):
            if isinstance(value.get("$ref"), str):
                yield value["$ref"]
            for each in value.values():
                yield from walk(each)
        elif isinstance(value, list):
            for each in value:
                yield from walk(each)

    for reference in set(walk(document)):
        place = document
        for part in reference.removeprefix("#/").split("/"):
            place = place[part]
    for item in document["paths"].values():
        for operation in item.values():
            for requirement in operation.get("security", []):
                for name, scopes in requirement.items():
                    scheme = document["components"]["securitySchemes"][name]
                    if scopes:
                        assert set(scopes) <= set(scheme["flows"]["password"]["scopes"])


def routes(patterns, prefix="") -> set[str]:
    found = set()
    for each in patterns:
        route = prefix + str(each.pattern)
        if isinstance(each, URLResolver):
            found |= routes(each.url_patterns, route)
        elif isinstance(each, URLPattern):
            found.add("/" + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", route))
    return found


def test_all_paths_of_the_api_are_described():
    of_pages = re.compile(r"/(app|account|login|join|invitations|oauth/authorize|sign-up|downloads|openapi|$)")
    addresses = {path for path in routes(get_resolver().url_patterns) if not of_pages.match(path)}

    # The original path of team_inbox, which the oldest clients still use.
    assert addresses - {path for _, path, _ in OPERATIONS} == {"/messages/influx/{tokens}"}
    assert {"/oauth/token", "/oauth/revoke", "/flows/{organization}/{flow}/integrations"} <= addresses


@pytest.mark.parametrize(("method", "path"), ALL)
def test_each_call_has_all_spellings_and_cors(world, method, path):
    """Without a key, the responses are the same at all spellings."""
    if path.startswith("/files/"):
        spellings = [address(path), "/v1" + address(path)]  # the ending belongs to the file name
    else:
        spellings = [address(path), "/v1" + address(path), address(path) + ".json", f"/v1{address(path)}.json"]

    answers = [call(Client(), method, spelling, Origin="https://lights.test") for spelling in spellings]

    assert len({answer.status_code for answer in answers}) == 1
    assert answers[0].status_code not in (405, 500)
    for answer in answers:
        assert answer["Access-Control-Allow-Origin"] == "https://lights.test"
    preflight = Client().options(spellings[-1], headers={"Origin": "https://lights.test"})
    assert preflight.status_code == 200
    assert method.upper() in preflight["Access-Control-Allow-Methods"]


@pytest.mark.parametrize(
    ("method", "path", "security"), [pytest.param(*each, id=f"{each[0]} {each[1]}") for each in BY_KEY]
)
def test_each_call_requires_a_key_and_one_of_its_scopes(world, with_scopes, method, path, security):
    accepted = {scope for key in security for scope in key.get("OAuth2", [])}

    assert call(Client(), method, address(path)).status_code == 401
    if accepted:
        refused = call(with_scopes(world.ines, " ".join(SCOPES - accepted)), method, address(path))
        assert refused.status_code == 403
        assert "scope" in refused.json()["message"]
    for scope in accepted:
        allowed = call(with_scopes(world.ines, scope), method, address(path))
        assert allowed.status_code != 401
        assert "requires the scope" not in allowed.content.decode()


def test_scopes_are_those_of_the_table():
    table: dict[tuple[str, str], set[str]] = {}
    for call, method, path in rows():
        if not call.stream and call.allowed:
            table.setdefault((method.lower(), path), set()).update(set(call.allowed) - {NONE})

    of_description = {
        (method, path): {scope for key in security for scope in key.get("OAuth2", [])}
        for method, path, security in BY_KEY
    }
    for (method, path), scopes in table.items():
        found = of_description[method, path.replace("{path:", "{")]
        # If any token is accepted, no scope is named.
        assert (method, path, found) == (method, path, set() if scopes == set(SINGLE) else scopes)


def own_text(operation: dict) -> str:
    """The operation's text before the sentences about its keys, parameters and responses."""
    return re.split(
        r"\n\n(?:Requires|Path parameters:|Query parameters:|Body or query parameters:|Returns) ",
        operation["description"],
    )[0]


def test_each_operation_and_parameter_has_its_own_description():
    """Read on its own, it says what the call does, with its keys, parameters, responses and errors."""
    texts = {(method, path): own_text(operation) for method, path, operation in OPERATIONS}
    distinct = []
    for (_, path), text in texts.items():
        assert len(text.split()) >= 7, text
        assert not re.match(r"(The same|One of|It|Its|Their)\b", text), text
        current = re.sub("/(integrations|source)(?=/|$)", "/sources", path)
        if current == path:
            distinct.append(text)
        else:
            assert f"older spelling of `{current}`" in text, text
    assert len(set(distinct)) == len(distinct)
    for method, path, operation in OPERATIONS:
        text = operation["description"]
        for parameter in operation.get("parameters", ()):
            assert len(parameter.get("description", "").split()) >= 4, (method, path, parameter)
            assert f"`{parameter['name']}`" in text, (method, path, parameter)
        for scope in (scope for key in operation.get("security", ()) for scope in key.get("OAuth2", ())):
            assert f"`{scope}`" in text.partition("Requires ")[2], (method, path, scope)
        answers, _, errors = text.rpartition("Returns ")[2].partition("Errors: ")
        for code, response in operation["responses"].items():
            assert re.search(rf"\b{code}\b", answers if code < 400 else errors), (method, path, code)
            assert code < 400 or response["description"] in errors, (method, path, code)


def test_description_names_the_fields_of_the_body():
    (text,) = (operation["description"] for _, path, operation in OPERATIONS if path == "/oauth/token")
    assert "`grant_type`, `client_id`, `client_secret`, optionally `code`" in text
    (text,) = (
        operation["description"]
        for method, path, operation in OPERATIONS
        if (method, path) == ("post", "/flows/{organization}")
    )
    assert "Body or query parameters: `name`, optionally `access_mode`." in text
    assert "Returns 201 with `FlowShape`." in text


def test_files_are_described_as_parts_of_forms():
    parts = "multipart/form-data"
    takers = {path for _, path, operation in OPERATIONS if parts in operation.get("requestBody", {}).get("content", {})}

    of_flow = "/flows/{organization}/{flow}"
    assert takers == {
        "/messages",
        "/activities",
        f"{of_flow}/messages",
        f"{of_flow}/threads/{{thread_id}}/messages",
    }


def test_each_put_is_also_a_patch():
    by_path: dict[str, set[str]] = {}
    for method, path, _ in OPERATIONS:
        by_path.setdefault(path, set()).add(method)

    for path, methods in by_path.items():
        assert ("put" in methods) == ("patch" in methods), path


@pytest.mark.parametrize("method", ["put", "patch"])
@pytest.mark.parametrize("way", ["json", "form", "query", "brackets"])
def test_parameters_are_read_from_json_form_query_and_brackets(world, as_person, method, way):
    ines = as_person(world.ines)
    change = {"nick": "ira"}
    path = f"/users/{world.ines.pk}"
    send = getattr(ines, method)
    match way:
        case "json":
            response = send(path, change, content_type="application/json")
        case "form":
            response = send(path, urlencode(change), content_type="application/x-www-form-urlencoded")
        case "query":
            response = send(f"{path}?{urlencode(change)}")
        case "brackets":
            form = urlencode({"application[name]": "Lights", "application[redirect_uri]": "https://lights.test"})
            response = ines.post("/oauth/applications", form, content_type="application/x-www-form-urlencoded")

    assert response.status_code == (201 if way == "brackets" else 200), response.content
    world.ines.refresh_from_db()
    assert world.ines.nick == ("Ines" if way == "brackets" else "ira")
