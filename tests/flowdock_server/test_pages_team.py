"""Settings of flows and organizations, accounts, sign-up, and read and done threads: who can change what."""

import pytest

from flowdock_server.models import Flow, FlowMembership, Invitation, Membership, Organization, ThreadMark, User

from .pages import address, browser, post_activity, see

PASSWORD = "a harbour at low tide"
ADMIN_CHANGES = ["/settings/flow", "/settings/flow/archive", "/settings/flow/token"]
CHANGES = [
    *("/threads/{thread}/done", "/threads/{thread}/unread", "/read"),
    *("/chat/messages", "/chat/read", "/status", "/messages/{number}/delete"),
    *("/settings/people/invite", "/settings/people/add", "/settings/people/leave"),
    *ADMIN_CHANGES,
]
ORGANIZATION_CHANGES = ["", "/_flows", "/_people/{otto}/admin", "/_people/{otto}/remove"]
ACCOUNT_CHANGES = ["/account/profile", "/account/email", "/account/password"]
SENT = {"name": "Renamed", "access_mode": "link", "emails": "new@example.com", "content": "Said", "number": "1"}


@pytest.fixture
def known(world, connect):
    source, _ = connect(flow=world.lobby)
    message = post_activity(source)
    return {"thread": message.thread_id, "number": message.number, "otto": world.otto.pk}


@pytest.fixture
def signing_up(settings, db):
    settings.SIGN_UP = True


# Who may


@pytest.mark.parametrize("rest", ["/chat", "/settings/people", "/settings/flow", "/chat/lines"])
def test_only_members_can_open_the_chat_and_settings_of_a_flow(world, known, rest):
    path = address(world.lobby, rest)

    assert browser(world.otto).get(path).status_code == 200
    assert browser(world.sam).get(path).status_code == 404
    assert browser().get(path)["Location"].startswith("/login?next=")


@pytest.mark.parametrize("rest", CHANGES)
def test_a_stranger_cannot_change_anything_in_a_flow(world, known, rest):
    path = address(world.lobby, rest.format(**known))
    before = Flow.objects.values().get(pk=world.lobby.pk)

    assert browser(world.sam).post(path, SENT).status_code == 404
    assert browser().post(path, SENT)["Location"].startswith("/login")
    assert Flow.objects.values().get(pk=world.lobby.pk) == before
    assert not Invitation.objects.exists()
    assert not ThreadMark.objects.exists()


@pytest.mark.parametrize("rest", CHANGES)
def test_forms_of_another_site_change_nothing_in_a_flow(world, known, rest):
    path = address(world.lobby, rest.format(**known))

    assert browser(world.ines, enforce_csrf_checks=True).post(path, SENT).status_code == 403


@pytest.mark.parametrize("rest", [rest for rest in CHANGES if rest != "/settings/flow" and "delete" not in rest])
def test_get_requests_change_nothing_in_a_flow(world, known, rest):
    assert browser(world.ines).get(address(world.lobby, rest.format(**known))).status_code == 405


@pytest.mark.parametrize("rest", ADMIN_CHANGES)
def test_only_admins_can_change_the_settings_of_a_flow(world, known, rest):
    before = Flow.objects.values().get(pk=world.lobby.pk)

    assert browser(world.otto).post(address(world.lobby, rest), SENT).status_code == 404
    assert Flow.objects.values().get(pk=world.lobby.pk) == before


@pytest.mark.parametrize("rest", ORGANIZATION_CHANGES)
def test_strangers_cannot_change_an_organization(world, known, rest):
    path = f"/app/acme{rest.format(**known)}"

    assert browser(world.sam).post(path, SENT).status_code == 404
    assert browser().post(path, SENT)["Location"].startswith("/login")
    assert browser(world.ines, enforce_csrf_checks=True).post(path, SENT).status_code == 403
    assert Organization.objects.get(pk=world.acme.pk).name == "Acme"
    assert Membership.objects.filter(user=world.otto, organization=world.acme, admin=False).exists()


def test_members_who_are_not_admins_can_only_leave_an_organization(world):
    person = browser(world.otto)

    assert person.post("/app/acme", SENT).status_code == 404
    assert person.post(f"/app/acme/_people/{world.ines.pk}/remove").status_code == 404
    assert person.post(f"/app/acme/_people/{world.ines.pk}/admin", {"admin": "0"}).status_code == 404
    assert person.post(f"/app/acme/_people/{world.otto.pk}/remove")["Location"] == "/app"
    assert not Membership.objects.filter(user=world.otto).exists()
    assert not FlowMembership.objects.filter(user=world.otto).exists()


@pytest.mark.parametrize("path", ACCOUNT_CHANGES)
def test_an_account_can_be_changed_only_by_its_owner_on_its_own_page(world, path):
    assert browser().post(path, SENT)["Location"].startswith("/login")
    assert browser(world.ines).get(path).status_code == 405
    assert browser(world.ines, enforce_csrf_checks=True).post(path, SENT).status_code == 403


# Flows and organizations


def test_a_renamed_flow_keeps_its_address(world):
    answer = browser(world.ines).post(
        address(world.lobby, "/settings/flow"), {"name": " Front desk ", "access_mode": "invitation"}
    )

    assert answer.status_code == 302
    world.lobby.refresh_from_db()
    assert (world.lobby.name, world.lobby.access_mode, world.lobby.parameterized_name) == (
        "Front desk",
        "invitation",
        "lobby",
    )


def test_a_flow_cannot_be_renamed_to_nothing(world):
    answer = browser(world.ines).post(address(world.lobby, "/settings/flow"), {"name": " ", "access_mode": "link"})

    assert answer.status_code == 400
    assert "This field is required." in see(answer).text
    assert Flow.objects.get(pk=world.lobby.pk).name == "Lobby"


def test_an_archived_flow_can_be_unarchived(world):
    person = browser(world.ines)
    path = address(world.lobby, "/settings/flow/archive")

    person.post(path)
    assert Flow.objects.get(pk=world.lobby.pk).disabled
    person.post(path, {"archived": "0"})
    assert not Flow.objects.get(pk=world.lobby.pk).disabled


def test_the_last_admin_cannot_leave_an_organization(world):
    answer = browser(world.ines).post(f"/app/acme/_people/{world.ines.pk}/remove", follow=True)

    assert "You are the only admin of Acme." in see(answer).text
    assert Membership.objects.filter(user=world.ines, admin=True).exists()


def test_pressing_create_twice_creates_one_flow(world):
    person = browser(world.ines)
    for _ in range(2):
        person.post("/app/acme/_flows", {"name": "Harbour", "access_mode": "organization", "form_key": "one"})

    made = Flow.objects.get(name="Harbour")
    assert made.memberships.filter(user=world.ines).exists()


# Read and done


def test_a_done_thread_is_hidden_for_that_person_until_new_activity(world, known):
    person, other = browser(world.ines), browser(world.otto)
    path = address(world.lobby, f"/threads/{known['thread']}/done")
    rows = lambda someone, show="": len(see(someone.get(address(world.lobby, show))).all("li", "thread-row"))  # noqa: E731

    person.post(path, {"done": "1"})
    assert (rows(person), rows(person, "?show=done"), rows(other)) == (0, 1, 1)
    person.post(path, {"done": "0"})
    assert rows(person) == 1
    person.post(path, {"done": "1"})
    post_activity(world.lobby.sources.get())
    assert rows(person) == 1


def test_an_opened_thread_is_read_and_can_be_marked_as_unread(world, known):
    person = browser(world.ines)
    unread = lambda: len(see(person.get(address(world.lobby))).all("li", "is-unread"))  # noqa: E731
    assert unread() == 1

    person.get(address(world.lobby, f"/threads/{known['thread']}"))
    assert unread() == 0
    person.post(address(world.lobby, f"/threads/{known['thread']}/unread"))
    assert unread() == 1


def test_mark_all_as_read_leaves_later_activity_unread(world, known):
    person = browser(world.ines)
    shown = see(person.get(address(world.lobby))).value("number")
    post_activity(world.lobby.sources.get(), "pr:43")

    person.post(address(world.lobby, "/read"), {"number": shown})

    assert len(see(person.get(address(world.lobby))).all("li", "is-unread")) == 1
    assert person.post(address(world.lobby, "/read"), {"number": "all"}).status_code == 400


# Accounts


def test_sign_up_is_closed_unless_allowed(db):
    assert browser().get("/sign-up").status_code == 404
    assert browser().post("/sign-up", {"name": "Lea"}).status_code == 404
    assert "/sign-up" not in see(browser().get("/login")).links()


def test_sign_up_creates_an_organization_and_a_flow(signing_up):
    person = browser()
    given = {"name": "Lea", "email": "Lea@Example.com", "password": PASSWORD, "organization": "Tide & Co"}
    assert "/sign-up" in see(person.get("/login")).links()

    answer = person.post("/sign-up", given, follow=True)

    assert answer.status_code == 200
    lea = User.objects.get(email="lea@example.com")
    assert Membership.objects.get(user=lea).admin
    assert FlowMembership.objects.get(user=lea).flow.name == "Main"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"password": "short"}, "too short"),
        ({"email": "ines@example.com"}, "An account with this e-mail address already exists."),
        ({"email": "nobody"}, "valid email"),
        ({"organization": ""}, "required"),
    ],
)
def test_an_invalid_sign_up_shows_its_errors(signing_up, world, change, problem):
    given = {"name": "Lea", "email": "lea@example.com", "password": PASSWORD, "organization": "Tide"} | change

    answer = browser().post("/sign-up", given)

    assert answer.status_code == 400
    assert problem in see(answer).text
    assert PASSWORD not in answer.content.decode()
    assert not Organization.objects.filter(name="Tide").exists()


def test_a_profile_can_be_changed_and_a_nickname_has_no_spaces(world):
    person = browser(world.ines)
    given = {"name": "Ines  R.", "nick": "@ines", "avatar": "", "website": "https://ines.test/"}

    assert person.post("/account/profile", given)["Location"] == "/account"
    world.ines.refresh_from_db()
    assert (world.ines.name, world.ines.nick, world.ines.website) == ("Ines R.", "ines", "https://ines.test/")

    for change in ({"nick": "two words"}, {"website": "javascript:alert(1)"}, {"name": " "}):
        assert person.post("/account/profile", given | change).status_code == 400
    world.ines.refresh_from_db()
    assert (world.ines.nick, world.ines.website) == ("ines", "https://ines.test/")


def test_a_new_e_mail_address_needs_the_password_and_must_be_free(world):
    person = browser(world.ines)

    for given in (
        {"email": "new@example.com", "password": "a guess"},
        {"email": "OTTO@example.com", "password": "a password"},
    ):
        assert person.post("/account/email", given).status_code == 400

    world.ines.refresh_from_db()
    assert world.ines.email == "ines@example.com"


def test_a_new_password_signs_out_all_other_browsers(world):
    here, elsewhere = browser(world.ines), browser(world.ines)
    assert here.post("/account/password", {"old": "a guess", "new": PASSWORD}).status_code == 400
    assert here.post("/account/password", {"old": "a password", "new": "short"}).status_code == 400

    here.post("/account/password", {"old": "a password", "new": PASSWORD})

    assert here.get("/account").status_code == 200
    assert elsewhere.get("/account").status_code == 302
    assert User.objects.get(pk=world.ines.pk).check_password(PASSWORD)
