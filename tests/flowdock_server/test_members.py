"""Members of organizations and flows: who can see them, and who can change them."""

import pytest
from django.utils import timezone

from flowdock_server.models import ApiToken, Flow, FlowMembership, Membership, Message, Organization, Tag, User
from flowdock_server.people import invite_links

from .conftest import basic, post


@pytest.fixture
def mara(world) -> User:
    """A member of Acme without flows."""
    user = User.objects.create_user("mara@example.com", "Mara Lind", "a password")
    Membership.objects.create(organization=world.acme, user=user)
    return user


def put(client, path, body):
    return client.put(path, body, content_type="application/json")


def names(response) -> list[str]:
    assert response.status_code == 200
    return [user["name"] for user in response.json()]


def test_admins_see_all_members_and_others_see_people_in_common_flows(world, ines, otto, mara, as_person):
    assert names(ines.get("/users")) == ["Ines Rao", "Otto Berg", "Mara Lind"]
    assert names(otto.get("/users")) == ["Ines Rao", "Otto Berg"]
    assert names(as_person(mara).get("/users")) == ["Mara Lind"]
    assert names(as_person(world.sam).get("/users")) == ["Sam Stranger"]
    assert ines.get(f"/users/{mara.pk}").json() == {
        "id": mara.pk,
        "name": "Mara Lind",
        "nick": "Mara",
        "email": "mara@example.com",
        "avatar": "",
        "website": "",
    }
    assert otto.get(f"/users/{mara.pk}").status_code == 404
    for nobody in ("0", "-1", "999999", str(2**70), "mara", "1.5"):
        assert ines.get(f"/users/{nobody}").status_code == 404
        assert put(ines, f"/users/{nobody}", {"nick": "x"}).status_code == 404


def test_blocked_member_does_not_see_people_of_the_flow(world, otto):
    FlowMembership.objects.filter(user=world.otto).update(disabled=True)

    assert names(otto.get("/users")) == ["Otto Berg"]
    assert otto.get("/flows").json() == []
    assert otto.get("/flows/acme/lobby").status_code == 404


def test_users_can_change_their_own_nick(world, ines):
    response = put(ines, f"/users/{world.ines.pk}", {"nick": "ira", "email": "Ines@example.com", "name": "Other"})

    assert (response.status_code, response.json()) == (200, {})
    world.ines.refresh_from_db()
    assert (world.ines.nick, world.ines.email, world.ines.name) == ("ira", "ines@example.com", "Ines Rao")
    assert ines.patch(f"/users/{world.ines.pk}?nick=ines").status_code == 200
    world.ines.refresh_from_db()
    assert world.ines.nick == "ines"


@pytest.mark.parametrize(
    ("body", "field", "reason"),
    [
        ({"nick": ""}, "nick", "can't be blank"),
        ({"nick": "a b"}, "nick", "must not contain spaces or any of the characters @ # , :"),
        ({"nick": "x" * 51}, "nick", "is too long (maximum is 50 characters)"),
        ({"email": "nonsense"}, "email", "is not a valid e-mail address"),
        ({"email": ""}, "email", "can't be blank"),
        ({"email": "OTTO@example.com"}, "email", "has already been taken"),
    ],
)
def test_invalid_nick_and_email_are_refused(world, body, field, reason):
    response = put(basic("ines@example.com", "a password"), f"/users/{world.ines.pk}", body)

    assert response.status_code == 400
    assert response.json() == {"message": "Validation error", "errors": {field: [reason]}}
    world.ines.refresh_from_db()
    assert (world.ines.nick, world.ines.email) == ("Ines", "ines@example.com")


def test_users_cannot_change_others(world, ines):
    assert put(ines, f"/users/{world.otto.pk}", {"nick": "x"}).status_code == 403
    assert put(ines, f"/users/{world.sam.pk}", {"nick": "x"}).status_code == 404


def test_organization_is_shown_with_all_fields(world, ines, otto, mara):
    (listed,) = ines.get("/organizations").json()

    assert listed == {
        "id": world.acme.pk,
        "name": "Acme",
        "parameterized_name": "acme",
        "user_limit": 0,
        "user_count": 3,
        "active": True,
        "url": "http://testserver/organizations/acme",
        "subscription": {"trial": False, "billing_date": None},
        "users": [
            {
                "id": user.pk,
                "nick": user.nick,
                "name": user.name,
                "avatar": user.avatar,
                "email": user.email,
                "admin": admin,
            }
            for user, admin in ((world.ines, True), (world.otto, False), (mara, False))
        ],
    }
    for path in ("/organizations/acme", f"/organizations/find?id={world.acme.pk}"):
        assert ines.get(path).json() == listed
        assert [user["name"] for user in otto.get(path).json()["users"]] == ["Ines Rao", "Otto Berg"]
        assert otto.get(path).json()["user_count"] == 3
    assert [user["name"] for user in otto.get("/organizations").json()[0]["users"]] == ["Ines Rao", "Otto Berg"]


def test_admins_can_rename_an_organization(world, ines, otto):
    assert put(otto, "/organizations/acme", {"name": "Otto's"}).status_code == 403
    assert put(ines, "/organizations/other", {"name": "Mine"}).status_code == 404
    assert put(ines, "/organizations/acme", {"name": " "}).json()["errors"] == {"name": ["can't be blank"]}

    response = put(ines, "/organizations/acme", {"name": "Acme Works"})

    assert response.status_code == 200
    assert (response.json()["name"], response.json()["url"]) == ("Acme Works", "http://testserver/organizations/acme")
    assert Organization.objects.get(pk=world.acme.pk).name == "Acme Works"


def test_users_of_an_organization_show_who_is_an_admin(world, ines, otto, mara):
    assert ines.get("/organizations/acme/users").json()[0] == {
        "id": world.ines.pk,
        "name": "Ines Rao",
        "nick": "Ines",
        "email": "ines@example.com",
        "avatar": "https://pictures.test/i.png",
        "website": "",
        "admin": True,
    }
    assert names(ines.get("/organizations/acme/users")) == ["Ines Rao", "Otto Berg", "Mara Lind"]
    assert names(otto.get("/organizations/acme/users")) == ["Ines Rao", "Otto Berg"]
    assert otto.get("/organizations/other/users").status_code == 404


def test_admins_can_remove_a_user_from_the_organization_and_its_flows(world, ines, otto):
    assert otto.delete(f"/organizations/acme/users/{world.ines.pk}").status_code == 403
    assert ines.delete(f"/organizations/acme/users/{world.sam.pk}").status_code == 404
    assert ines.delete(f"/organizations/other/users/{world.sam.pk}").status_code == 404

    response = ines.delete(f"/organizations/acme/users/{world.otto.pk}")

    assert (response.status_code, response.content) == (204, b"")
    assert otto.get("/flows").json() == []
    assert otto.get("/organizations").json() == []
    assert not FlowMembership.objects.filter(user=world.otto).exists()
    assert ines.delete(f"/organizations/acme/users/{world.otto.pk}").status_code == 404


def test_last_admin_cannot_be_removed(world, ines):
    assert ines.delete(f"/organizations/acme/users/{world.ines.pk}").status_code == 403
    Membership.objects.filter(user=world.otto).update(admin=True)
    assert ines.delete(f"/organizations/acme/users/{world.ines.pk}").status_code == 204


def test_any_member_of_the_organization_can_create_a_flow(world, otto):
    response = post(otto, "/flows/acme", {"name": "Böring & Söns"})

    flow = response.json()
    assert response.status_code == 201
    assert (flow["name"], flow["parameterized_name"], flow["access_mode"]) == (
        "Böring & Söns",
        "boring-sons",
        "invitation",
    )
    assert [user["name"] for user in flow["users"]] == ["Otto Berg"]
    assert otto.get(flow["url"]).json() == flow
    assert post(otto, "/flows/acme", {"name": "boring sons"}).json()["parameterized_name"] == "boring-sons-2"
    assert otto.post("/flows/acme", {"name": "潮"}).json()["parameterized_name"] == "flow"
    assert post(otto, "/flows/acme", {"name": "All", "access_mode": "organization"}).json()["join_url"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": "  "}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "x", "access_mode": "x"}, "access_mode"),
    ],
)
def test_flow_requires_a_name(world, otto, body, field):
    response = post(otto, "/flows/acme", body)

    assert response.status_code == 400
    assert list(response.json()["errors"]) == [field]


def test_flow_cannot_be_created_in_another_organization(world, otto):
    assert post(otto, "/flows/other", {"name": "x"}).status_code == 404
    assert post(otto, "/flows/nothing", {"name": "x"}).status_code == 404


def test_admins_can_rename_and_archive_a_flow_and_set_who_can_join(world, ines, otto):
    for change in ({"name": "x"}, {"disabled": True}, {"access_mode": "link"}):
        refused = put(otto, "/flows/acme/lobby", change)
        assert refused.status_code == 403
        assert next(iter(change)) in refused.json()["message"]

    changed = put(ines, "/flows/acme/lobby", {"name": "Hall", "disabled": True, "access_mode": "link"}).json()

    assert (changed["name"], changed["disabled"], changed["access_mode"]) == ("Hall", True, "link")
    assert changed["url"] == "http://testserver/flows/acme/lobby"
    assert changed["join_url"].startswith("http://testserver/join/")
    assert put(ines, "/flows/acme/lobby", {"disabled": False}).json()["disabled"] is False
    assert put(ines, "/flows/acme/lobby", {"name": ""}).status_code == 400
    assert put(ines, "/flows/acme/lobby", {"access_mode": "everybody"}).status_code == 400


def test_archived_flow_is_readable_and_accepts_no_source(world, with_scopes, ines):
    put(ines, "/flows/acme/main", {"disabled": True})

    assert [flow["name"] for flow in ines.get("/flows").json()] == ["Lobby"]
    assert ines.get("/flows/acme/main/messages").status_code == 200
    application = with_scopes(world.ines, "flow integration")
    assert post(application, "/flows/acme/main/sources", {"name": "x"}).status_code == 403


def test_open_joins_opens_and_closes_a_flow(world, otto, as_person):
    assert put(otto, "/flows/acme/main", {"open": True}).status_code == 404
    Flow.objects.filter(pk=world.main.pk).update(access_mode="organization")

    joined = put(otto, "/flows/acme/main", {"open": True}).json()

    assert (joined["joined"], joined["open"], len(joined["users"])) == (True, True, 2)
    closed = otto.put("/flows/acme/main?open=false").json()
    assert (closed["joined"], closed["open"]) == (True, False)
    assert [flow["open"] for flow in otto.get("/flows").json()] == [True, False]
    assert put(as_person(world.sam), "/flows/acme/main", {"open": True}).status_code == 404


def test_blocked_member_cannot_rejoin(world, ines, otto):
    Flow.objects.filter(pk=world.lobby.pk).update(access_mode="organization")
    path = f"/flows/acme/lobby/users/{world.otto.pk}"

    assert put(ines, path, {"disabled": True}).json() == {}
    assert otto.get("/flows/acme/lobby").status_code == 404
    assert put(otto, "/flows/acme/lobby", {"open": True}).status_code == 404
    assert [flow["name"] for flow in otto.get("/flows/all").json()] == []
    assert post(ines, "/flows/acme/lobby/users", {"id": world.otto.pk}).json() == {}
    assert otto.get("/flows/acme/lobby").status_code == 404
    (ines_shown, otto_shown) = ines.get("/flows/acme/lobby").json()["users"]
    assert (ines_shown["disabled"], otto_shown["disabled"], otto_shown["in_flow"]) == (False, True, False)

    assert put(ines, path, {"disabled": False}).status_code == 200
    assert otto.get("/flows/acme/lobby").status_code == 200


def test_only_admins_can_block(world, ines, otto):
    path = f"/flows/acme/lobby/users/{world.ines.pk}"

    assert put(otto, path, {"disabled": True}).status_code == 403
    assert put(ines, path, {"disabled": True}).status_code == 403
    assert put(ines, path, {}).json()["errors"] == {"disabled": ["can't be blank"]}
    assert put(ines, f"/flows/acme/lobby/users/{world.sam.pk}", {"disabled": True}).status_code == 404


def test_member_of_the_organization_can_be_added_to_a_flow(world, otto, mara, as_person):
    for path in ("/flows/acme/lobby/users", "/v1/flows/acme/lobby/users.json"):
        assert otto.post(path, {"id": mara.pk}).json() == {}

    assert names(as_person(mara).get("/flows/acme/lobby/users")) == ["Ines Rao", "Otto Berg", "Mara Lind"]
    for foreign in (world.sam.pk, 0, 999_999, 2**70):
        assert post(otto, "/flows/acme/lobby/users", {"id": foreign}).status_code == 404
    assert post(otto, "/flows/acme/lobby/users", {"id": "x"}).status_code == 400
    assert post(otto, "/flows/acme/main/users", {"id": mara.pk}).status_code == 404


def test_flow_users_have_their_status(world, ines):
    now = timezone.now()
    User.objects.filter(pk=world.ines.pk).update(status="Away", last_activity_at=now, last_ping_at=now)

    (shown,) = ines.get("/flows/acme/main").json()["users"]

    assert (shown["status"], shown["last_activity"]) == ("Away", round(now.timestamp() * 1000))
    assert shown["last_ping"] == shown["last_activity"]


def test_unread_mentions_are_counted_from_the_last_read_message(world, ines):
    for number in (1, 2, 3):
        message = Message.objects.create(flow=world.main, number=number, event="message", user=world.otto)
        Tag.objects.create(message=message, name=f":unread:{world.ines.pk}")

    assert ines.get("/flows/acme/main").json()["unread_mentions"] == 3
    FlowMembership.objects.filter(flow=world.main).update(last_read_number=2)
    assert [flow["unread_mentions"] for flow in ines.get("/flows").json()] == [0, 1]


def test_invite_link_works_for_one_flow_only(world):
    Flow.objects.update(access_mode="link")
    world.main.refresh_from_db()
    world.lobby.refresh_from_db()
    key = invite_links.join_url(world.main).rpartition("/")[2]

    assert invite_links.may_join(world.main, world.sam, key)
    assert not invite_links.may_join(world.lobby, world.sam, key)
    assert not invite_links.may_join(world.main, world.sam, "")


def test_admin_of_one_organization_has_no_rights_in_another(world, ines):
    Membership.objects.create(
        organization=Organization.objects.get(pk=world.elsewhere.organization_id), user=world.ines
    )

    assert put(ines, "/organizations/other", {"name": "Mine"}).status_code == 403
    assert ines.delete(f"/organizations/other/users/{world.sam.pk}").status_code == 403
    assert names(ines.get("/organizations/other/users")) == ["Ines Rao"]


def test_people_are_not_shown_without_a_key(client, world):
    ApiToken.objects.all().delete()

    for path in ("/users", f"/users/{world.ines.pk}", "/organizations", "/organizations/acme/users"):
        assert client.get(path).status_code == 401
        assert basic("nonsense").get(path).status_code == 401


def test_blocked_member_is_marked_in_the_users_of_the_flow(world, as_person):
    ines = as_person(world.ines)
    post(ines, "/flows/acme/main/users", {"id": world.otto.pk})
    ines.put(f"/flows/acme/main/users/{world.otto.pk}", {"disabled": True}, content_type="application/json")

    users = {user["id"]: (user["disabled"], user["in_flow"]) for user in ines.get("/flows/acme/main/users").json()}

    assert users == {world.ines.pk: (False, True), world.otto.pk: (True, False)}


def test_user_added_by_an_import_has_no_pending_invitation(world, as_person):
    ines = as_person(world.ines)
    post(ines, "/flows/acme/main/invitations", {"email": "otto@example.com"})

    post(ines, "/flows/acme/main/invitations/import", {"list": "otto@example.com"})

    assert world.main.invitations.get().state == "accepted"
