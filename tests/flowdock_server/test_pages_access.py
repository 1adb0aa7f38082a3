"""Access to every page: members, members of another flow, strangers and visitors who are not signed in."""

import pytest

from flowdock_server.models import ApiToken, Application, Message, Source

from .pages import address, browser, post_activity

FLOW_PAGES = [
    "",
    "?source={source}&status=open&q=low",
    "/list",
    "/threads/{thread}",
    "/threads/{thread}/pane",
    "/settings",
]
FLOW_CHANGES = ["/threads/{thread}/comments", "/sources/{source}/remove"]
OWN_PAGES = ["/app", "/account", "/account/applications", "/account/applications/new"]
APPLICATION = "/account/applications/{application}"
APPLICATION_CHANGES = [f"{APPLICATION}{rest}" for rest in ("", "/secret", "/sources", "/delete")]
OWN_CHANGES = ["/account/tokens", "/account/applications/new", *APPLICATION_CHANGES]
SENT = {"content": "Said by nobody", "name": "Made by nobody", "redirect_uris": "https://nobody.test/"}


@pytest.fixture
def known(world, connect):
    source, _ = connect()
    message = post_activity(source)
    return {"source": source.pk, "thread": message.thread_id, "application": world.application.pk}


@pytest.mark.parametrize("rest", FLOW_PAGES)
def test_only_members_can_open_the_pages_of_a_flow(world, known, rest):
    path = address(world.main, rest.format(**known))

    assert browser(world.ines).get(path).status_code == 200
    assert browser(world.otto).get(path).status_code == 404  # in another flow of the same organization
    assert browser(world.sam).get(path).status_code == 404
    signed_out = browser().get(path)
    assert signed_out.status_code == 302
    assert signed_out["Location"].startswith("/login?next=/app/acme/main")


@pytest.mark.parametrize("rest", FLOW_CHANGES)
def test_only_members_can_change_anything_in_a_flow(world, known, rest):
    path = address(world.main, rest.format(**known))

    assert browser(world.otto).post(path, SENT).status_code == 404
    assert browser(world.sam).post(path, SENT).status_code == 404
    assert browser().post(path, SENT)["Location"].startswith("/login")
    assert not Message.objects.filter(content=SENT["content"]).exists()
    assert Source.objects.get(pk=known["source"]).removed_at is None


@pytest.mark.parametrize("rest", FLOW_CHANGES)
def test_a_member_of_one_flow_cannot_reach_objects_of_another(world, known, rest):
    path = address(world.lobby, rest.format(**known))

    assert browser(world.otto).post(path, SENT).status_code == 404
    assert Source.objects.get(pk=known["source"]).removed_at is None


@pytest.mark.parametrize("rest", ["/threads/{thread}", "/threads/{thread}/pane"])
def test_a_thread_is_shown_only_under_its_own_flow(world, known, rest):
    assert browser(world.ines).get(address(world.lobby, rest.format(**known))).status_code == 404


@pytest.mark.parametrize("path", OWN_PAGES)
def test_personal_pages_require_sign_in(world, path):
    assert browser(world.sam).get(path).status_code == 200
    assert browser().get(path)["Location"].startswith("/login")


def test_only_its_developer_can_open_an_application(world, known):
    path = APPLICATION.format(**known)

    assert browser(world.ines).get(path).status_code == 200
    assert browser(world.otto).get(path).status_code == 404
    assert browser().get(path)["Location"].startswith("/login")


@pytest.mark.parametrize("path", APPLICATION_CHANGES)
def test_only_its_developer_can_change_an_application(world, known, path):
    before = Application.objects.values().get(pk=known["application"])
    sources = Source.objects.count()

    for somebody in (world.otto, world.sam, None):
        answer = browser(somebody).post(path.format(**known), SENT | {"flow": world.lobby.pk})
        assert answer.status_code in (302, 404)

    assert Application.objects.values().get(pk=known["application"]) == before
    assert Source.objects.count() == sources


def test_a_source_can_be_created_only_in_a_flow_of_ones_own(world, known):
    world.application.user = world.otto
    world.application.save()
    path = APPLICATION.format(**known) + "/sources"

    answer = browser(world.otto).post(path, {"flow": world.main.pk, "name": "Let in", "form_key": "k"})

    assert answer.status_code == 400
    assert not Source.objects.filter(name="Let in").exists()


def test_only_its_owner_can_revoke_a_token(world):
    token, _ = ApiToken.issue(world.ines, "Nightly report")

    browser(world.otto).post(f"/account/tokens/{token.pk}/revoke")
    assert ApiToken.objects.filter(pk=token.pk).exists()

    browser(world.ines).post(f"/account/tokens/{token.pk}/revoke")
    assert not ApiToken.objects.filter(pk=token.pk).exists()


@pytest.mark.parametrize(
    "path", [f"/app/acme/main{rest}" for rest in FLOW_CHANGES] + OWN_CHANGES + ["/account/sign-out"]
)
def test_forms_of_another_site_change_nothing(world, known, path):
    answer = browser(world.ines, enforce_csrf_checks=True).post(path.format(**known), SENT)

    assert answer.status_code == 403
    assert "Nothing was changed" in answer.content.decode()


@pytest.mark.parametrize(
    "path", [f"/app/acme/main{rest}" for rest in FLOW_CHANGES] + ["/account/tokens", f"{APPLICATION}/secret"]
)
def test_get_requests_change_nothing(world, known, path):
    assert browser(world.ines).get(path.format(**known)).status_code == 405


@pytest.mark.parametrize(
    "path",
    [
        "/login",
        "/app/acme/main",
        "/app/acme/main/threads/{thread}",
        "/app/acme/main/settings",
        "/account",
        APPLICATION,
        "/app/acme/nowhere",
    ],
)
def test_every_page_has_a_strict_content_security_policy(world, known, path):
    person = browser(None if path == "/login" else world.ines)

    answer = person.get(path.format(**known))

    policy = dict(part.strip().split(" ", 1) for part in answer["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    html = answer.content.decode()
    assert " style=" not in html
    assert "<style" not in html
    assert "<script>" not in html


@pytest.mark.parametrize("path", ["/app/acme/main", "/account", APPLICATION])
def test_pages_are_not_cached(world, known, path):
    assert "no-store" in browser(world.ines).get(path.format(**known))["Cache-Control"]
