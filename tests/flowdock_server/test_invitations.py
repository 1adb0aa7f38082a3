"""Inviting people to a flow, and joining it by invitation, by link or as a member of the organization."""

import re

import pytest
from django.core import mail
from django.test import Client, override_settings

from flowdock_server.models import Flow, FlowMembership, Invitation, Membership, User
from flowdock_server.people import invite_links

from .conftest import basic, post
from .pages import browser, see

PATH = "/flows/acme/lobby/invitations"


@pytest.fixture(autouse=True)
def commit(django_capture_on_commit_callbacks):
    """Mails are sent after the commit."""
    with django_capture_on_commit_callbacks(execute=True):
        yield


@pytest.fixture
def invite(otto, django_capture_on_commit_callbacks):
    """Invite by the API. Returns the path of the link in the mail."""

    def invited(email="new@example.com", **more) -> str:
        with django_capture_on_commit_callbacks(execute=True):
            assert post(otto, PATH, {"email": email, **more}).status_code == 201
        return re.search(r"http://testserver(/invitations/\S+)", mail.outbox[-1].body)[1]

    return invited


def test_invitation_is_mailed_and_listed(world, otto, invite, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        response = post(otto, PATH, {"email": "New@Example.com", "message": "Come\nin <b>now</b>"})

    invitation = response.json()
    assert response.status_code == 201
    assert invitation == {
        "id": Invitation.objects.get().pk,
        "state": "pending",
        "email": "new@example.com",
        "flow": str(world.lobby.pk),
        "url": f"http://testserver{PATH}/{invitation['id']}",
    }
    assert otto.get(PATH).json() == [invitation]
    assert otto.get(invitation["url"]).json() == invitation
    (sent,) = mail.outbox
    assert (sent.to, sent.subject) == (["new@example.com"], "Otto Berg invited you to Lobby in Acme")
    assert "Come\nin <b>now</b>" in sent.body
    assert re.search(r"http://testserver/invitations/[0-9a-f]{32}\n", sent.body)
    assert sent.from_email == "flowdock@testserver"


def test_tokens_of_invitations_are_not_stored(invite):
    token = invite().rpartition("/")[2]

    assert token not in str(Invitation.objects.values())


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({}, "can't be blank"),
        ({"email": ""}, "can't be blank"),
        ({"email": "nonsense"}, "is not a valid e-mail address"),
        ({"email": "a@example.com, b@example.com"}, "is not a valid e-mail address"),
        ({"email": "a@example.com\nBcc: b@example.com"}, "is not a valid e-mail address"),
        ({"email": "INES@example.com"}, "is already in the flow"),
    ],
)
def test_invitation_requires_the_address_of_a_non_member(world, otto, body, reason):
    response = post(otto, PATH, body)

    assert response.status_code == 400
    assert response.json() == {"message": "Validation error", "errors": {"email": [reason]}}
    assert not Invitation.objects.exists()


def test_name_of_a_flow_cannot_add_headers_to_the_mail(world, invite):
    Flow.objects.update(name="Lobby\nBcc: all@example.com")

    invite()

    assert "\n" not in mail.outbox[0].subject


def test_inviting_again_replaces_the_link(invite, client):
    first, second = invite(), invite()

    assert Invitation.objects.count() == 1
    assert client.get(first).status_code == 404
    assert client.get(second).status_code == 200


def test_invitation_can_be_canceled_by_its_sender_and_by_admins(world, otto, invite, as_person, client):
    for who in (otto, as_person(world.ines)):
        address = invite()
        path = f"{PATH}/{Invitation.objects.get().pk}"
        assert who.delete(path).status_code == 204
        assert who.get(path).status_code == 404
        assert client.get(address).status_code == 404
    other = Invitation.issue(flow=world.lobby, email="x@example.com", invited_by=world.ines)[0]
    assert otto.delete(f"{PATH}/{other.pk}").status_code == 403
    assert otto.delete(f"{PATH}/{2**70}").status_code == 404


def test_invitation_of_another_flow_is_not_found(world, otto, as_person):
    other = Invitation.issue(flow=world.main, email="x@example.com", invited_by=world.ines)[0]

    assert otto.get(f"{PATH}/{other.pk}").status_code == 404
    assert otto.delete(f"{PATH}/{other.pk}").status_code == 404
    assert as_person(world.sam).get(PATH).status_code == 404


def test_list_of_addresses_is_imported(world, otto, django_capture_on_commit_callbacks):
    mara = User.objects.create_user("mara@example.com", "Mara Lind")
    Membership.objects.create(organization=world.acme, user=mara)
    pasted = (
        'one@example.com, "Two, T." <two@example.com>;nonsense\nmara@example.com\nINES@example.com\none@example.com'
    )

    with django_capture_on_commit_callbacks(execute=True):
        response = post(otto, f"{PATH}/import", {"list": pasted, "message": "Hello"})

    outcome = response.json()
    assert response.status_code == 201
    assert [each["email"] for each in outcome["invitations"]] == ["one@example.com", "two@example.com"]
    assert [user["name"] for user in outcome["added_users"]] == ["Mara Lind"]
    assert outcome["erroneous_emails"]["nonsense"] == "is not a valid e-mail address"
    assert FlowMembership.objects.filter(flow=world.lobby, user=mara).exists()
    assert [each.to for each in mail.outbox] == [["one@example.com"], ["two@example.com"]]


def test_import_is_limited(otto):
    too_many = [f"{number}@example.com" for number in range(201)]

    assert list(post(otto, f"{PATH}/import", {"list": too_many}).json()["errors"]) == ["list"]
    assert list(post(otto, f"{PATH}/import", {}).json()["errors"]) == ["list"]
    assert not Invitation.objects.exists()


def test_invitation_is_kept_if_the_mail_server_is_down(otto, settings, caplog):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1

    assert post(otto, PATH, {"email": "new@example.com"}).status_code == 201


def test_new_person_creates_an_account_and_joins(world, invite, client):
    address = invite(message="Come in")

    page = client.get(address)
    assert "Come in" in page.content.decode()
    weak = client.post(address, {"name": "New Person", "password": "short"})
    assert weak.status_code == 400
    assert "at least 10 characters" in see(weak).text
    response = client.post(address, {"name": "New Person", "password": "a long enough one"})

    assert (response.status_code, response["Location"]) == (302, "/app/acme/lobby")
    user = User.objects.get(email="new@example.com")
    assert (user.name, user.nick) == ("New Person", "New")
    assert user.check_password("a long enough one")
    assert FlowMembership.objects.filter(flow=world.lobby, user=user).exists()
    assert Membership.objects.filter(organization=world.acme, user=user, admin=False).exists()
    assert client.get("/app/acme/lobby").status_code == 200
    assert Invitation.objects.get().state == "accepted"
    assert Client().get(address).status_code == 404


def test_person_with_an_account_signs_in_and_joins(world, invite):
    address = invite("sam@example.com")
    client = Client()

    assert client.get(address)["Location"] == f"/login?next={address}"
    client.force_login(world.sam)
    assert "Sam Stranger" in see(client.get(address)).text
    assert not FlowMembership.objects.filter(flow=world.lobby, user=world.sam).exists()
    assert client.post(address)["Location"] == "/app/acme/lobby"
    assert FlowMembership.objects.filter(flow=world.lobby, user=world.sam).exists()


def test_invitation_is_accepted_only_by_post_with_a_csrf_token(world, invite):
    client = Client(enforce_csrf_checks=True)
    client.force_login(world.sam)

    assert client.post(invite("sam@example.com")).status_code == 403


def test_anybody_with_the_invite_link_can_join(world, as_person):
    Flow.objects.filter(pk=world.lobby.pk).update(access_mode="link")
    address = as_person(world.otto).get("/flows/acme/lobby").json()["join_url"].removeprefix("http://testserver")
    sam = browser(world.sam)

    assert Client().get(address)["Location"] == f"/login?next={address}"
    assert sam.get(address[:-1]).status_code == 404
    assert "Lobby" in see(sam.get(address)).text
    assert sam.post(address)["Location"] == "/app/acme/lobby"
    assert Membership.objects.filter(organization=world.acme, user=world.sam).exists()
    assert sam.get(address)["Location"] == "/app/acme/lobby"


def test_invite_link_stops_working_when_the_access_mode_changes(world, as_person):
    Flow.objects.filter(pk=world.lobby.pk).update(access_mode="link")
    address = as_person(world.otto).get("/flows/acme/lobby").json()["join_url"].removeprefix("http://testserver")
    Flow.objects.filter(pk=world.lobby.pk).update(access_mode="invitation")

    assert browser(world.sam).get(address).status_code == 404
    assert "join_url" not in as_person(world.otto).get("/flows/acme/lobby").json()


@pytest.fixture
def link(world):
    """The path of Lobby's current invite link."""
    Flow.objects.filter(pk=world.lobby.pk).update(access_mode="link")
    return lambda: invite_links.join_url(Flow.objects.get(pk=world.lobby.pk)).removeprefix("http://testserver")


def test_renewing_the_invite_link_disables_the_old_one(world, as_person, with_scopes, link):
    by_page, by_api = browser(world.ines), with_scopes(world.ines, "manage")
    first = link()
    assert "Renew link" in see(by_page.get("/app/acme/lobby/settings/flow")).text

    by_page.post("/app/acme/lobby/settings/flow/link")
    second = link()
    third = by_api.post("/flows/acme/lobby/join_url").json()["join_url"].removeprefix("http://testserver")

    assert third == link()
    sam = browser(world.sam)
    assert [sam.get(path).status_code for path in (first, second, third)] == [404, 404, 200]
    assert by_page.get("/flows/acme/lobby/join_url").status_code == 405


def test_only_admins_can_renew_an_existing_invite_link(world, as_person, link):
    before = link()

    assert browser(world.otto).post("/app/acme/lobby/settings/flow/link").status_code == 404
    assert as_person(world.otto).post("/flows/acme/lobby/join_url").status_code == 403
    assert link() == before
    Flow.objects.filter(pk=world.lobby.pk).update(access_mode="invitation")
    assert as_person(world.ines).post("/flows/acme/lobby/join_url").status_code == 404


REMOVALS = {
    "from the flow, on its page": lambda world: browser(world.ines).post(
        f"/app/acme/lobby/settings/people/{world.otto.pk}/remove"
    ),
    "from the organization, on its page": lambda world: browser(world.ines).post(
        f"/app/acme/_people/{world.otto.pk}/remove"
    ),
    "from the organization, by the API": lambda world: basic("ines@example.com", "a password").delete(
        f"/organizations/acme/users/{world.otto.pk}"
    ),
    "by their own leaving of the organization": lambda world: browser(world.otto).post(
        f"/app/acme/_people/{world.otto.pk}/remove"
    ),
}


@pytest.mark.parametrize("removed", REMOVALS.values(), ids=REMOVALS)
def test_removed_person_cannot_rejoin_by_an_old_link_or_invitation(world, link, removed):
    kept = link()
    _, token = Invitation.issue(flow=world.lobby, email="otto@example.com", invited_by=world.ines)
    assert removed(world).status_code in (204, 302)
    otto = browser(world.otto)

    assert otto.post(kept).status_code == 404
    assert otto.post(f"/invitations/{token}").status_code == 404
    assert not Flow.objects.open_to(world.otto).filter(pk=world.lobby.pk).exists()
    assert browser(world.sam).get(link()).status_code == 200


def test_members_of_the_organization_can_join_its_open_flows(world, as_person):
    Flow.objects.filter(pk=world.main.pk).update(access_mode="organization")
    address = f"/join/{world.main.pk}"

    assert browser(world.sam).get(address).status_code == 404
    assert browser(world.otto).post(address)["Location"] == "/app/acme/main"
    assert as_person(world.otto).get("/flows/acme/main").status_code == 200


@override_settings(DEBUG=False)
def test_invalid_link_is_explained_on_a_page(client, world):
    for address in ("/invitations/nonsense", f"/invitations/{'0' * 32}"):
        response = client.get(address)
        assert response.status_code == 404
        assert response["Content-Type"].startswith("text/html")
    assert browser(world.sam).get("/join/00000000-0000-0000-0000-000000000000").status_code == 404


def test_accepted_invitation_is_not_listed_and_cannot_be_canceled(world, as_person):
    ines, path = as_person(world.ines), "/flows/acme/main/invitations"
    accepted, _ = Invitation.issue(flow=world.main, email="new@example.com", invited_by=world.ines)
    accepted.accept(world.sam)
    pending, _ = Invitation.issue(flow=world.main, email="other@example.com", invited_by=world.ines)

    assert [invitation["id"] for invitation in ines.get(path).json()] == [pending.pk]
    assert ines.get(f"{path}/{accepted.pk}").json()["state"] == "accepted"
    assert ines.delete(f"{path}/{accepted.pk}").status_code == 404
    assert ines.delete(f"{path}/{pending.pk}").status_code == 204
