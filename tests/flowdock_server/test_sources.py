"""Sources: creating, listing, changing and removing them."""

import pytest
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart

from flowdock_server.models import Application, Source

from .conftest import activity, post


@pytest.fixture
def application(world, with_scopes):
    return with_scopes(world.ines, "flow integration profile")


def put(client, path, body):
    return client.put(path, body, content_type="application/json")


@pytest.mark.parametrize("name", ["sources", "integrations"])
def test_application_creates_a_source_and_gets_its_token_once(client, world, application, name):
    body = {"name": "octo/hello", "external_url": "https://git.test/octo/hello"}

    response = post(application, f"/flows/acme/main/{name}", body)

    source = response.json()
    token = source["flow_token"]
    assert response.status_code == 201
    assert len(token) == 32
    assert source | {"created_at": "", "updated_at": ""} == {
        "id": Source.objects.get().pk,
        "name": "octo/hello",
        "flow_token": token,
        "url": f"http://testserver/flows/acme/main/sources/{source['id']}",
        "external_url": "https://git.test/octo/hello",
        "error_message": "",
        "configuration_url": "",
        "created_at": "",
        "updated_at": "",
        "application": {
            "id": world.application.pk,
            "name": "Build lights",
            "icon_url": "http://testserver/static/logo.svg",
            "url": f"http://testserver/oauth/applications/{world.application.pk}",
            "published": False,
            "configuration_uri": "https://lights.test/configure",
        },
        "creator": {
            "id": world.ines.pk,
            "name": "Ines Rao",
            "nick": "Ines",
            "email": "ines@example.com",
            "avatar": "https://pictures.test/i.png",
            "website": "",
        },
        "_links": {},
    }
    assert post(client, "/messages", activity(flow_token=token)).status_code == 201
    assert token not in str(Source.objects.values())
    for path in ("/sources", "/flows/acme/main/sources", "/flows/acme/main/integrations"):
        (listed,) = application.get(path).json()
        assert listed["id"] == source["id"]
        assert "flow_token" not in listed
    assert "flow_token" not in application.get(source["url"]).json()


def test_application_can_create_several_sources_in_a_flow(application):
    tokens = {post(application, "/flows/acme/main/sources", {"name": name}).json()["flow_token"] for name in "aab"}

    assert len(tokens) == 3


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": "x" * 256}, "name"),
        ({"name": ["x"]}, "name"),
        ({"name": "x", "external_url": "javascript:alert(1)"}, "external_url"),
    ],
)
def test_source_requires_a_name_and_a_valid_url(application, body, field):
    response = post(application, "/flows/acme/main/sources", body)

    assert response.status_code == 400
    assert list(response.json()["errors"]) == [field]
    assert not Source.objects.exists()


def test_only_an_application_can_create_a_source(world, as_person):
    response = post(as_person(world.ines), "/flows/acme/main/sources", {"name": "octo/hello"})

    assert response.status_code == 403
    assert not Source.objects.exists()


def test_error_message_is_set_and_cleared_by_id_and_by_flow_token(client, application, connect):
    source, token = connect()
    by_id = f"/flows/acme/main/sources/{source.pk}"

    assert put(application, by_id, {"error_message": "The repository is gone"}).json()["error_message"]
    changed = client.put(
        "/sources", {"flow_token": token, "configuration_url": "https://lights.test/c/1"}, "application/json"
    )
    assert changed.json()["configuration_url"] == "https://lights.test/c/1"
    assert changed.json()["error_message"] == "The repository is gone"
    cleared = client.put(f"/sources?flow_token={token}&error_message=")
    assert cleared.json()["error_message"] == ""
    assert cleared.json()["configuration_url"] == "https://lights.test/c/1"
    assert application.patch(by_id, {"error_message": "x"}, "application/json").json()["error_message"] == "x"


def test_null_clears_and_absent_fields_do_not_change(application, connect):
    source, _ = connect()
    path = f"/flows/acme/main/sources/{source.pk}"
    put(application, path, {"error_message": "x", "configuration_url": "https://lights.test/c"})

    assert put(application, path, {}).json()["error_message"] == "x"
    cleared = put(application, path, {"error_message": None}).json()
    assert (cleared["error_message"], cleared["configuration_url"]) == ("", "https://lights.test/c")
    assert put(application, path, {"configuration_url": None}).json()["configuration_url"] == ""


@pytest.mark.parametrize(
    "change", [{"error_message": "x" * 10_001}, {"configuration_url": "javascript:alert(1)"}, {"error_message": ["x"]}]
)
def test_invalid_change_is_refused(client, application, connect, change):
    source, token = connect()

    for response in (
        put(application, f"/flows/acme/main/sources/{source.pk}", change),
        put(client, "/sources", change | {"flow_token": token}),
    ):
        assert response.status_code == 400
        assert list(response.json()["errors"]) == list(change)


def test_person_can_manage_the_sources_of_their_flows(world, as_person, connect):
    source, _ = connect()
    ines = as_person(world.ines)
    path = f"/flows/acme/main/sources/{source.pk}"

    assert put(ines, path, {"error_message": "x"}).json()["error_message"] == "x"
    assert [each["id"] for each in ines.get("/sources").json()] == [source.pk]
    assert as_person(world.otto).get("/sources").json() == []
    for foreign in (f"/flows/acme/lobby/sources/{source.pk}", f"/flows/acme/main/sources/{2**70}"):
        assert ines.get(foreign).status_code == put(ines, foreign, {}).status_code == 404
        assert ines.delete(foreign).status_code == 404
    assert ines.delete(path).status_code == 204


@pytest.mark.parametrize("name", ["sources", "integrations"])
def test_api_of_october_2014_supports_all_calls(client, application, connect, name):
    created = post(application, f"/v1/flows/acme/main/{name}.json", {"name": "All polls"}).json()
    path = f"/flows/acme/main/{name}/{created['id']}"

    assert created["application"]["configuration_uri"] == "https://lights.test/configure"
    assert application.get(path).json()["name"] == "All polls"
    assert put(application, path, {"error_message": "x"}).json()["error_message"] == "x"
    activity_of_2014 = activity(thread_id="poll:1", token=created["flow_token"])
    del activity_of_2014["external_thread_id"]
    assert post(client, "/activities", activity_of_2014).status_code == 201
    assert application.delete(path).status_code == 204
    assert post(client, "/activities", activity_of_2014).status_code == 410


def test_form_in_a_put_is_read(application, connect):
    source, _ = connect()

    response = application.put(
        f"/flows/acme/main/sources/{source.pk}", "error_message=Gone", "application/x-www-form-urlencoded"
    )

    assert response.json()["error_message"] == "Gone"


def test_multipart_form_in_a_put_is_read(application, connect):
    source, _ = connect()
    form = encode_multipart(BOUNDARY, {"error_message": "Gone"})

    response = application.put(f"/flows/acme/main/sources/{source.pk}", form, MULTIPART_CONTENT)

    assert response.json()["error_message"] == "Gone"


def test_flow_token_can_read_its_own_source(client, world, connect):
    source, token = connect()
    other, _ = connect(name="octo/other")
    own, others = (f"/flows/acme/main/sources/{each.pk}?flow_token={token}" for each in (source, other))

    assert client.get(own).json()["id"] == source.pk
    assert put(client, own, {"error_message": "Gone"}).json()["error_message"] == "Gone"
    assert {client.get(others).status_code, put(client, others, {"error_message": "x"}).status_code} == {404}
    assert client.delete(own).status_code == 401


def test_other_fields_cannot_be_changed(application, connect):
    source, _ = connect()

    put(application, f"/flows/acme/main/sources/{source.pk}", {"name": "other", "external_url": "https://evil.test"})

    source.refresh_from_db()
    assert (source.name, source.external_url) == ("octo/hello", "https://git.test/octo/hello")


def test_sources_of_another_application_cannot_be_changed(world, with_scopes, connect):
    source, _ = connect()
    other = Application.objects.create(
        name="Other",
        client_id="other",
        client_type=Application.CLIENT_CONFIDENTIAL,
        authorization_grant_type=Application.GRANT_AUTHORIZATION_CODE,
    )
    client = with_scopes(world.ines, "flow integration", other)
    path = f"/flows/acme/main/sources/{source.pk}"

    assert put(client, path, {"configuration_url": "https://evil.test"}).status_code == 403
    assert client.delete(path).status_code == 403
    assert Source.objects.connected().get() == source


def test_removed_source_is_not_listed_and_its_threads_stay(client, application, connect):
    source, token = connect()
    post(client, "/messages", activity(flow_token=token))
    path = f"/flows/acme/main/sources/{source.pk}"

    response = application.delete(path)

    assert (response.status_code, response.content) == (204, b"")
    assert application.get("/flows/acme/main/sources").json() == []
    assert application.get(path).status_code == 404
    assert application.delete(path).status_code == 404
    (thread,) = application.get("/flows/acme/main/threads").json()
    assert thread["source"]["name"] == "octo/hello"


def test_source_stays_when_its_creator_is_deleted(client, world, connect):
    _, token = connect()
    world.ines.delete()

    assert post(client, "/messages", activity(flow_token=token)).status_code == 201


@pytest.mark.parametrize("path", ["/sources", "/flows/acme/main/sources"])
def test_list_takes_as_many_queries_for_many_as_for_few(application, connect, django_assert_max_num_queries, path):
    for number in range(20):
        connect(name=f"repository {number}")

    with django_assert_max_num_queries(3):
        assert len(application.get(path).json()) == 20


def test_source_also_has_a_singular_path(world, as_person, connect):
    source, _ = connect()
    ines, path = as_person(world.ines), f"/flows/acme/main/source/{source.pk}"

    assert ines.get(path).json() == ines.get(f"/flows/acme/main/sources/{source.pk}").json()
    assert ines.delete(path).status_code == 204
    assert ines.get(path).status_code == 404
