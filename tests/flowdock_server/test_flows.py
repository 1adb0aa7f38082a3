"""Flows, organizations and people in responses of the API."""

import pytest

from flowdock_server.models import Flow, FlowMembership, Membership, User


def test_flow_is_shown_with_all_fields(world, with_scopes):
    flow = with_scopes(world.ines, "flow integration").get("/flows/acme/main").json()

    users = flow.pop("users")
    assert flow == {
        "id": str(world.main.pk),
        "name": "Main",
        "parameterized_name": "main",
        "organization": {
            "id": world.acme.pk,
            "name": "Acme",
            "parameterized_name": "acme",
            "user_limit": 0,
            "user_count": 2,
            "active": True,
            "url": "http://testserver/organizations/acme",
        },
        "unread_mentions": 0,
        "open": True,
        "joined": True,
        "url": "http://testserver/flows/acme/main",
        "web_url": "http://testserver/app/acme/main",
        "access_mode": "invitation",
        "disabled": False,
        "links": {
            "self": {"href": "http://testserver/flows/acme/main", "methods": ["GET"]},
            "sources": {"href": "http://testserver/flows/acme/main/sources", "methods": ["GET", "POST"]},
            "messages": {"href": "http://testserver/flows/acme/main/messages", "methods": ["GET", "POST"]},
            "threads": {"href": "http://testserver/flows/acme/main/threads", "methods": ["GET"]},
        },
    }
    assert [(user["name"], user["in_flow"], user["disabled"]) for user in users] == [("Ines Rao", True, False)]


def test_links_list_the_methods_that_the_caller_may_use(world, with_scopes, as_person):
    for client in (with_scopes(world.ines, "flow"), as_person(world.ines)):
        assert client.get("/flows/acme/main").json()["links"]["sources"]["methods"] == ["GET"]
    assert as_person(world.ines).get("/flows/acme/main").json()["links"]["self"]["methods"] == ["GET", "PUT"]
    Flow.objects.update(disabled=True)
    links = with_scopes(world.ines, "flow integration").get("/flows/acme/main").json()["links"]
    assert links["sources"]["methods"] == links["messages"]["methods"] == ["GET"]


def test_find_accepts_new_and_old_forms_of_ids(world, with_scopes):
    client = with_scopes(world.ines, "integration")

    for id in (str(world.main.pk), "acme:main", "acme/main"):
        assert client.get("/flows/find", {"id": id}).json()["name"] == "Main"
    for id in ("", "nonsense", "acme:nothing", str(world.elsewhere.pk), str(world.acme.pk)):
        assert client.get("/flows/find", {"id": id}).status_code == 404
    assert client.get("/flows/find").json()["errors"] == {"id": ["can't be blank"]}


def test_list_has_the_joined_flows_at_all_spellings_of_the_path(world, as_person):
    client = as_person(world.ines)

    for path in ("/flows", "/flows/", "/v1/flows", "/v1//flows", "/flows.json", "/v1/flows.json", "/flows//acme"):
        flows = client.get(path).json()
        assert [flow["name"] for flow in flows] == ["Lobby", "Main"]
        assert "users" not in flows[0]
    with_users = client.get("/flows?users=1").json()
    assert [user["name"] for user in with_users[0]["users"]] == ["Ines Rao", "Otto Berg"]


def test_all_includes_flows_that_can_be_joined(world, as_person):
    Flow.objects.filter(pk=world.main.pk).update(access_mode="organization")
    Flow.objects.filter(pk=world.elsewhere.pk).update(access_mode="organization")

    flows = as_person(world.otto).get("/flows/all?users=1").json()

    assert [(flow["name"], flow["joined"]) for flow in flows] == [("Lobby", True), ("Main", False)]
    assert [user["name"] for user in flows[0]["users"]] == ["Ines Rao", "Otto Berg"]
    assert "users" not in flows[1]


def test_users_are_those_in_a_common_flow(world, as_person):
    client = as_person(world.otto)

    assert [user["name"] for user in client.get("/users").json()] == ["Ines Rao", "Otto Berg"]
    assert client.get(f"/users/{world.ines.pk}").json()["nick"] == "Ines"
    assert client.get(f"/users/{world.sam.pk}").status_code == 404
    assert [user["name"] for user in client.get("/flows/acme/lobby/users").json()] == ["Ines Rao", "Otto Berg"]


def test_organizations_are_only_the_callers_own(world, as_person):
    client = as_person(world.otto)

    assert [organization["name"] for organization in client.get("/organizations").json()] == ["Acme"]
    for path in ("/organizations/acme", f"/organizations/find?id={world.acme.pk}"):
        assert [(user["name"], user["admin"]) for user in client.get(path).json()["users"]] == [
            ("Ines Rao", True),
            ("Otto Berg", False),
        ]
    assert client.get("/organizations/other").status_code == 404
    assert client.get("/flows/other").status_code == 404


@pytest.mark.parametrize("path", ["/flows?users=1", "/flows/acme?users=1", "/flows/all", "/organizations", "/users"])
def test_list_takes_as_many_queries_for_many_as_for_few(world, as_person, django_assert_max_num_queries, path):
    for number in range(15):
        user = User.objects.create_user(f"{number}@example.com", f"Person {number}")
        Membership.objects.create(organization=world.acme, user=user)
        flow = Flow.objects.create(organization=world.acme, name=f"F {number}", parameterized_name=f"f-{number}")
        for member in (user, world.ines):
            FlowMembership.objects.create(flow=flow, user=member)
    client = as_person(world.ines)

    with django_assert_max_num_queries(6):
        assert len(client.get(path).json()) in (1, 17, 18)


def test_archived_flows_are_not_listed_but_readable(world, as_person):
    ines = as_person(world.ines)
    Flow.objects.filter(pk=world.main.pk).update(disabled=True)

    for path in ("/flows", "/flows/all", "/flows/acme"):
        assert [flow["name"] for flow in ines.get(path).json()] == ["Lobby"]
    assert ines.get("/flows/acme/main").json()["disabled"] is True
    assert ines.get("/flows/find", {"id": str(world.main.pk)}).json()["disabled"] is True


def test_members_of_an_organization_have_nick_and_avatar(world, as_person):
    users = as_person(world.ines).get("/organizations/acme").json()["users"]

    assert [(user["nick"], user["avatar"]) for user in users] == [
        ("Ines", "https://pictures.test/i.png"),
        ("Otto", ""),
    ]
