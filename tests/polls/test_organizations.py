"""A poll belongs to an organization. For people who are not its members at Flowdock, it does not exist."""

from __future__ import annotations

import datetime as dt

import pytest
from django.conf import settings
from django.core.cache import cache
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.urls import get_resolver
from django.utils import timezone

from integrations.deciding import decide_waiting
from integrations.models import SignIn
from polls.models import Category, Comment, Poll, Vote

from .conftest import ask, browser_of, counts, text_of, vote

pytestmark = pytest.mark.django_db

HTMX = {"HX-Request": "true"}


@pytest.fixture
def outsider_browser(person, members):
    """The browser of somebody who is signed in and in another organization."""
    stranger = person("Gus Globex")
    members.organizations["gus"] = ("globex",)
    return browser_of(stranger)


def addresses(poll: Poll) -> dict[str, str]:
    """Every address of polls by the name of its pattern, filled for this poll."""
    values = {
        "pk": poll.pk,
        "option_pk": poll.options.get(label="Pizza").pk,
        "organization": poll.category.organization,
        "slug": poll.category.slug,
    }
    patterns = get_resolver("polls.urls").url_patterns
    return {
        pattern.name or str(pattern.pattern): "/polls/"
        + str(pattern.pattern)
        .replace("<int:pk>", str(values["pk"]))
        .replace("<int:option_pk>", str(values["option_pk"]))
        .replace("<str:organization>", str(values["organization"]))
        .replace("<slug:slug>", str(values["slug"]))
        for pattern in patterns
    }


def test_every_address_of_a_poll_is_not_found_for_nonmembers(outsider_browser, lea_browser, poll):
    vote(lea_browser, poll, "Sushi")
    before = counts(poll)
    walked = addresses(poll)
    assert len(walked) == 11, "a new address belongs into this walk"

    for name, address in walked.items():
        assert "<" not in address, name
        for headers in ({}, HTMX):
            page = outsider_browser.get(address, headers=headers)
            done = outsider_browser.post(address, {"label": "Salad", "text": "Hm."}, headers=headers)
            if name in {"polls", "new"}:
                assert page.status_code == 200
                assert "What for lunch?" not in page.content.decode()
                assert "Lunch" not in text_of(page)
            else:
                assert page.status_code in {404, 405}, name
                assert done.status_code == 404 or name in {"poll", "live", "category", "in/<slug:slug>/"}, name
                assert page.status_code != 405 or done.status_code == 404, name
            for response in (page, done):
                assert "What for lunch?" not in response.content.decode(), name

    poll.refresh_from_db()
    assert counts(poll) == before
    assert poll.options.count() == 2
    assert poll.is_open
    assert (Vote.objects.count(), Comment.objects.count(), Poll.objects.count()) == (1, 0, 1)


def test_nonmembers_get_the_same_response_as_for_an_unknown_poll(outsider_browser, poll):
    closed, missing = outsider_browser.get(f"/polls/{poll.pk}/"), outsider_browser.get("/polls/999999/")

    assert (closed.status_code, text_of(closed)) == (missing.status_code, text_of(missing)) == (404, text_of(missing))


def test_nonmembers_cannot_create_a_poll_in_the_organization(outsider_browser, poll):
    sent = {"question": "?", "options": "A\nB"}

    by_category = outsider_browser.post("/polls/new/", sent | {"category": poll.category.pk})
    by_name = outsider_browser.post("/polls/new/", sent | {"new_category": "Lunch", "organization": "acme"})

    assert (by_category.status_code, by_name.status_code) == (422, 422)
    assert Poll.objects.count() == 1


def test_two_organizations_can_have_a_category_of_the_same_name(outsider_browser, lea_browser, flow, follow):
    theirs = ask(outsider_browser, "Globex eats?")
    ours = ask(lea_browser, "Acme eats?")

    assert theirs.category != ours.category
    assert "Acme eats?" not in text_of(outsider_browser.get("/polls/"))
    assert "Globex eats?" not in text_of(lea_browser.get("/polls/"))


@pytest.mark.django_db(transaction=True)
def test_events_are_posted_only_to_flows_of_the_organization(outsider_browser, lea_browser, follow):
    acme = [follow("All polls"), follow("Lunch")]
    globex = [follow("All polls", organization="globex"), follow("Lunch", organization="globex")]

    ask(lea_browser, "Acme eats?")

    decide_waiting()
    assert [integration.deliveries.count() for integration in acme] == [1, 1]
    assert [integration.deliveries.count() for integration in globex] == [0, 0]


def test_a_former_member_of_the_organization_cannot_vote(lea_browser, members, poll):
    members.organizations["lea"] = ()

    assert vote(lea_browser, poll, "Pizza").status_code == 404
    assert lea_browser.get(f"/polls/{poll.pk}/").status_code == 404
    page = text_of(lea_browser.get("/polls/new/"))
    assert "You are not in a flow" in page
    assert "Go to polls" in page
    assert not Vote.objects.exists()


def test_a_member_of_two_organizations_sees_both_and_chooses_one_for_a_new_category(
    lea_browser, outsider_browser, members
):
    ask(outsider_browser, "Globex eats?", new_category="Dinner")
    ask(lea_browser, "Acme eats?", new_category="Lunch")
    members.organizations["lea"] = ("acme", "globex")

    page = text_of(lea_browser.get("/polls/"))
    assert "Globex eats?" in page
    assert "Acme eats?" in page
    undecided = lea_browser.post("/polls/new/", {"question": "?", "options": "A\nB", "new_category": "Lunch"})
    assert undecided.status_code == 422
    assert "Choose the organization of the new category." in text_of(undecided)
    assert ask(lea_browser, new_category="Lunch", organization="globex").category.organization == "globex"
    assert Category.objects.filter(name="Lunch").count() == 2
    assert lea_browser.get("/polls/in/lunch/").status_code == 404, "it could be either"
    assert lea_browser.get("/polls/in/dinner/")["Location"] == "/polls/in/globex/dinner/"


def test_open_pages_ask_flowdock_twice_a_minute_and_buttons_each_time(lea_browser, members, poll):
    lea_browser.get(f"/polls/{poll.pk}/")
    before = members.asked

    for _ in range(3):
        assert lea_browser.get(f"/polls/{poll.pk}/live/?version={poll.version}", headers=HTMX).status_code < 300
    assert members.asked == before
    vote(lea_browser, poll, "Pizza")
    assert members.asked == before + 1


def test_without_flowdock_a_person_it_never_answered_for_is_not_a_member(ola_browser, members, poll):
    members.is_down = True

    assert vote(ola_browser, poll, "Pizza").status_code == 503
    assert ola_browser.get(f"/polls/{poll.pk}/").status_code == 503
    assert not Vote.objects.exists()


def test_without_flowdock_a_member_can_continue_for_twelve_hours_and_sees_a_notice(lea_browser, members, poll):
    assert "Flowdock is not responding" not in text_of(lea_browser.get(f"/polls/{poll.pk}/"))
    members.is_down = True
    cache.clear()  # another process has to know it as well

    voted = vote(lea_browser, poll, "Pizza", headers=HTMX)
    assert (voted.status_code, counts(poll)["Pizza"]) == (200, 1)
    assert "Flowdock is not responding." in text_of(voted)
    for address in ("/polls/", "/polls/new/", f"/polls/{poll.pk}/"):
        page = lea_browser.get(address)
        assert page.status_code == 200
        assert text_of(page).count("Flowdock is not responding.") == 1

    SignIn.objects.update(organizations_at=timezone.now() - dt.timedelta(hours=11, minutes=50))
    assert vote(lea_browser, poll, "Sushi").status_code == 302
    SignIn.objects.update(organizations_at=timezone.now() - dt.timedelta(hours=12, minutes=1))
    assert vote(lea_browser, poll, "Pizza").status_code == 503
    assert lea_browser.get(f"/polls/{poll.pk}/").status_code == 503
    assert counts(poll) == {"Pizza": 0, "Sushi": 1}

    members.is_down = False
    assert "Flowdock is not responding" not in text_of(lea_browser.get(f"/polls/{poll.pk}/"))
    members.is_down = True
    assert vote(lea_browser, poll, "Pizza").status_code == 302, "the answer is a new one"


@pytest.mark.parametrize("status", [401, 403, 404, 200])
def test_a_refusal_by_flowdock_still_counts_when_flowdock_stops_answering(lea_browser, members, poll, status):
    """200: a list of flows without the organization."""
    session_cookie = lea_browser.cookies[settings.SESSION_COOKIE_NAME].value
    members.organizations["lea"] = ()
    members.refusal = status if status != 200 else None

    assert vote(lea_browser, poll, "Pizza").status_code in {302, 403, 404, 503}  # 503: a new token that is refused
    members.is_down = True
    lea_browser.cookies[settings.SESSION_COOKIE_NAME] = session_cookie  # also for a copy of the cookie from before

    assert vote(lea_browser, poll, "Pizza").status_code in {404, 503}
    assert lea_browser.get(f"/polls/{poll.pk}/").status_code in {404, 503}
    assert lea_browser.get(f"/polls/{poll.pk}/live/?version=0", headers=HTMX).status_code in {404, 503}
    assert not Vote.objects.exists()


def test_flowdock_s_last_answer_belongs_to_one_sign_in(lea, lea_browser, members, poll):
    members.is_down = True
    another_browser = browser_of(lea)

    assert another_browser.get(f"/polls/{poll.pk}/").status_code == 503
    assert lea_browser.get(f"/polls/{poll.pk}/").status_code == 200


def test_open_pages_ask_an_unreachable_flowdock_twice_a_minute(lea_browser, members, poll):
    members.is_down = True
    cache.clear()
    lea_browser.get(f"/polls/{poll.pk}/")
    before = members.asked

    for _ in range(3):
        assert lea_browser.get(f"/polls/{poll.pk}/live/?version={poll.version}", headers=HTMX).status_code < 300
    assert members.asked == before


def test_only_staff_see_a_category_until_they_assign_it_to_an_organization(lea_browser, person):
    category = Category.objects.create(name="Lunch")
    Poll.objects.start(
        person("Ola Berg"), question="An old poll?", options=["A", "B"], organization="", category="Lunch"
    )
    staff = browser_of(person("Sam Staff", is_staff=True, is_superuser=True))
    assert "An old poll?" not in text_of(lea_browser.get("/polls/"))
    assert "Lunch" in text_of(staff.get("/admin/polls/category/?assigned=no"))

    staff.post(f"/admin/polls/category/{category.pk}/change/", {"organization": "acme"})

    assert "An old poll?" in text_of(lea_browser.get("/polls/"))
    staff.post(f"/admin/polls/category/{category.pk}/change/", {"organization": "globex"})
    category.refresh_from_db()
    assert category.organization == "acme", "flows follow it by then"


@pytest.mark.django_db(transaction=True)
def test_migration_assigns_categories_to_the_organization_whose_flows_follow_them():
    executor = MigrationExecutor(connection)
    before = [("polls", "0001_initial"), ("integrations", "0003_outbox_thread_by_thread")]
    executor.migrate(before)
    try:
        old = executor.loader.project_state(before).apps
        origins, integrations = old.get_model("integrations", "Origin"), old.get_model("integrations", "Integration")
        for name in ("Lunch", "Shared", "Unfollowed", "Unknown"):
            slug = name.lower()
            old.get_model("polls", "Category").objects.create(name=name, key=slug, slug=slug)

        def follow(name: str, *addresses: str) -> None:
            origin = origins.objects.create(service="polls", name=name)
            for number, address in enumerate(addresses):
                integrations.objects.create(
                    origin=origin, name=name, flow_token="t", flow_id=f"{name}-{number}", source_url=address
                )

        follow("Lunch", "https://flowdock.test/flows/acme/main/sources/1")
        follow(
            "Shared",
            "https://flowdock.test/flows/acme/main/sources/2",
            "https://flowdock.test/flows/globex/main/integrations/3",
        )
        follow("Unknown", "https://flowdock.test/flows/acme/main/sources/4", "")
    finally:
        executor = MigrationExecutor(connection)
        executor.migrate(executor.loader.graph.leaf_nodes())
    from integrations.models import Integration

    bound = dict(Category.objects.values_list("name", "organization"))
    assert bound == {"Lunch": "acme", "Shared": "", "Unfollowed": "", "Unknown": ""}
    followers = Integration.objects.values_list("origin__name", "organization", "origin__organization")
    assert sorted(followers) == [
        ("Lunch", "acme", "acme"),
        ("Shared", "acme", "acme"),
        ("Shared", "globex", "globex"),
        ("Unknown", "", ""),
        ("Unknown", "acme", "acme"),
    ]
