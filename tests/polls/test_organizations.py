"""A poll is its organization's: to whoever is not in it at Flowdock now, it does not exist."""

from __future__ import annotations

import datetime as dt

import pytest
from django.conf import settings
from django.core.cache import cache
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.urls import get_resolver
from django.utils import timezone

from integrations.models import SignIn
from polls.models import Category, Comment, Poll, Vote

from .conftest import ask, browser_of, counts, text_of, vote

pytestmark = pytest.mark.django_db

HTMX = {"HX-Request": "true"}


@pytest.fixture
def stranger_s(person, members):
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


def test_to_a_stranger_every_address_of_a_poll_is_as_if_it_did_not_exist(stranger_s, lea_s, poll):
    vote(lea_s, poll, "Sushi")
    before = counts(poll)
    walked = addresses(poll)
    assert len(walked) == 11, "a new address belongs into this walk"

    for name, address in walked.items():
        assert "<" not in address, name
        for headers in ({}, HTMX):
            page = stranger_s.get(address, headers=headers)
            done = stranger_s.post(address, {"label": "Salad", "text": "Hm."}, headers=headers)
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


def test_a_stranger_s_answer_is_that_for_a_poll_that_is_not_there(stranger_s, poll):
    closed, missing = stranger_s.get(f"/polls/{poll.pk}/"), stranger_s.get("/polls/999999/")

    assert (closed.status_code, text_of(closed)) == (missing.status_code, text_of(missing)) == (404, text_of(missing))


def test_a_stranger_makes_no_poll_in_the_organization(stranger_s, poll):
    sent = {"question": "?", "options": "A\nB"}

    by_category = stranger_s.post("/polls/new/", sent | {"category": poll.category.pk})
    by_name = stranger_s.post("/polls/new/", sent | {"new_category": "Lunch", "organization": "acme"})

    assert (by_category.status_code, by_name.status_code) == (422, 422)
    assert Poll.objects.count() == 1


def test_two_organizations_both_have_a_lunch(stranger_s, lea_s, flow, follow):
    theirs = ask(stranger_s, "Globex eats?")
    ours = ask(lea_s, "Acme eats?")

    assert theirs.category != ours.category
    assert "Acme eats?" not in text_of(stranger_s.get("/polls/"))
    assert "Globex eats?" not in text_of(lea_s.get("/polls/"))


@pytest.mark.django_db(transaction=True)
def test_what_happens_is_posted_to_flows_of_the_organization_only(stranger_s, lea_s, follow):
    acme = [follow("All polls"), follow("Lunch")]
    globex = [follow("All polls", organization="globex"), follow("Lunch", organization="globex")]

    ask(lea_s, "Acme eats?")

    assert [integration.deliveries.count() for integration in acme] == [1, 1]
    assert [integration.deliveries.count() for integration in globex] == [0, 0]


def test_whoever_leaves_the_organization_can_no_longer_vote(lea_s, members, poll):
    members.organizations["lea"] = ()

    assert vote(lea_s, poll, "Pizza").status_code == 404
    assert lea_s.get(f"/polls/{poll.pk}/").status_code == 404
    assert "You are in no flow" in text_of(lea_s.get("/polls/new/"))
    assert not Vote.objects.exists()


def test_whoever_is_in_two_organizations_sees_both_and_says_whose_a_new_category_is(lea_s, stranger_s, members):
    ask(stranger_s, "Globex eats?", new_category="Dinner")
    ask(lea_s, "Acme eats?", new_category="Lunch")
    members.organizations["lea"] = ("acme", "globex")

    page = text_of(lea_s.get("/polls/"))
    assert "Globex eats?" in page
    assert "Acme eats?" in page
    undecided = lea_s.post("/polls/new/", {"question": "?", "options": "A\nB", "new_category": "Lunch"})
    assert undecided.status_code == 422
    assert "Choose whose category it is." in text_of(undecided)
    assert ask(lea_s, new_category="Lunch", organization="globex").category.organization == "globex"
    assert Category.objects.filter(name="Lunch").count() == 2
    assert lea_s.get("/polls/in/lunch/").status_code == 404, "it could be either"
    assert lea_s.get("/polls/in/dinner/")["Location"] == "/polls/in/globex/dinner/"


def test_an_open_page_asks_flowdock_twice_a_minute_and_a_button_each_time(lea_s, members, poll):
    lea_s.get(f"/polls/{poll.pk}/")
    before = members.asked

    for _ in range(3):
        assert lea_s.get(f"/polls/{poll.pk}/live/?version={poll.version}", headers=HTMX).status_code < 300
    assert members.asked == before
    vote(lea_s, poll, "Pizza")
    assert members.asked == before + 1


def test_without_flowdock_somebody_it_never_answered_for_is_not_taken_for_a_member(ola_s, members, poll):
    members.is_away = True

    assert vote(ola_s, poll, "Pizza").status_code == 503
    assert ola_s.get(f"/polls/{poll.pk}/").status_code == 503
    assert not Vote.objects.exists()


def test_without_flowdock_a_member_goes_on_for_twelve_hours_and_is_told(lea_s, members, poll):
    assert "Flowdock is not responding" not in text_of(lea_s.get(f"/polls/{poll.pk}/"))
    members.is_away = True
    cache.clear()  # another process has to know it as well

    voted = vote(lea_s, poll, "Pizza", headers=HTMX)
    assert (voted.status_code, counts(poll)["Pizza"]) == (200, 1)
    assert "Flowdock is not responding." in text_of(voted)
    for address in ("/polls/", "/polls/new/", f"/polls/{poll.pk}/"):
        page = lea_s.get(address)
        assert page.status_code == 200
        assert text_of(page).count("Flowdock is not responding.") == 1

    SignIn.objects.update(organizations_at=timezone.now() - dt.timedelta(hours=11, minutes=50))
    assert vote(lea_s, poll, "Sushi").status_code == 302
    SignIn.objects.update(organizations_at=timezone.now() - dt.timedelta(hours=12, minutes=1))
    assert vote(lea_s, poll, "Pizza").status_code == 503
    assert lea_s.get(f"/polls/{poll.pk}/").status_code == 503
    assert counts(poll) == {"Pizza": 0, "Sushi": 1}

    members.is_away = False
    assert "Flowdock is not responding" not in text_of(lea_s.get(f"/polls/{poll.pk}/"))
    members.is_away = True
    assert vote(lea_s, poll, "Pizza").status_code == 302, "the answer is a new one"


@pytest.mark.parametrize("status", [401, 403, 404, 200])
def test_a_no_of_flowdock_counts_also_once_it_no_longer_answers(lea_s, members, poll, status):
    """200: a list of flows without the organization."""
    session_cookie = lea_s.cookies[settings.SESSION_COOKIE_NAME].value
    members.organizations["lea"] = ()
    members.refusal = status if status != 200 else None

    assert vote(lea_s, poll, "Pizza").status_code in {302, 403, 404, 503}  # 503: a new token that is refused
    members.is_away = True
    lea_s.cookies[settings.SESSION_COOKIE_NAME] = session_cookie  # also for a copy of the cookie from before

    assert vote(lea_s, poll, "Pizza").status_code in {404, 503}
    assert lea_s.get(f"/polls/{poll.pk}/").status_code in {404, 503}
    assert lea_s.get(f"/polls/{poll.pk}/live/?version=0", headers=HTMX).status_code in {404, 503}
    assert not Vote.objects.exists()


def test_the_earlier_answer_ends_with_its_sign_in_and_is_nobody_else_s(lea, lea_s, members, poll):
    members.is_away = True
    another_browser = browser_of(lea)

    assert another_browser.get(f"/polls/{poll.pk}/").status_code == 503
    assert lea_s.get(f"/polls/{poll.pk}/").status_code == 200


def test_while_flowdock_does_not_answer_open_pages_ask_it_twice_a_minute_too(lea_s, members, poll):
    members.is_away = True
    cache.clear()
    lea_s.get(f"/polls/{poll.pk}/")
    before = members.asked

    for _ in range(3):
        assert lea_s.get(f"/polls/{poll.pk}/live/?version={poll.version}", headers=HTMX).status_code < 300
    assert members.asked == before


def test_a_category_that_is_not_assigned_is_seen_by_staff_only_until_they_assign_it(lea_s, person):
    category = Category.objects.create(name="Lunch")
    Poll.objects.start(
        person("Ola Berg"), question="An old poll?", options=["A", "B"], organization="", category="Lunch"
    )
    staff = browser_of(person("Sam Staff", is_staff=True, is_superuser=True))
    assert "An old poll?" not in text_of(lea_s.get("/polls/"))
    assert "Lunch" in text_of(staff.get("/admin/polls/category/?assigned=no"))

    staff.post(f"/admin/polls/category/{category.pk}/change/", {"organization": "acme"})

    assert "An old poll?" in text_of(lea_s.get("/polls/"))
    staff.post(f"/admin/polls/category/{category.pk}/change/", {"organization": "globex"})
    category.refresh_from_db()
    assert category.organization == "acme", "flows follow it by then"


@pytest.mark.django_db(transaction=True)
def test_what_was_there_before_goes_to_the_organization_whose_flows_follow_it():
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
