"""The admin: staff search, close and delete polls, but cannot edit them."""

from __future__ import annotations

import re

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.db import IntegrityError, transaction

from integrations.models import Event
from polls.models import Category, Comment, Option, Poll, Vote

from .conftest import ask, browser_of, text_of, vote

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff(person):
    return browser_of(person("Sam Staff", is_staff=True, is_superuser=True))


def test_lists_search_and_filter(staff, lea_browser, poll):
    closed = ask(lea_browser, "Which chair?", new_category="Purchases")
    lea_browser.post(f"/polls/{closed.pk}/close/")

    for query, shown in (
        ("", {"What for lunch?", "Which chair?"}),
        ("?q=chair", {"Which chair?"}),
        ("?q=cohen", {"What for lunch?", "Which chair?"}),
        ("?status=open", {"What for lunch?"}),
        ("?status=closed", {"Which chair?"}),
        ("?status=nonsense", {"What for lunch?", "Which chair?"}),
        (f"?category__id__exact={poll.category_id}", {"What for lunch?"}),
    ):
        page = text_of(staff.get(f"/admin/polls/poll/{query}"))
        assert {question for question in ("What for lunch?", "Which chair?") if question in page} == shown, query
    assert "Purchases" in text_of(staff.get("/admin/polls/category/?q=purch"))


def test_admin_shows_a_poll_completely_and_read_only(staff, lea_browser, poll):
    vote(lea_browser, poll, "Pizza")
    lea_browser.post(f"/polls/{poll.pk}/comments/", {"text": "The oven is back."})

    response = staff.get(f"/admin/polls/poll/{poll.pk}/change/")

    page = text_of(response)
    for part in ("What for lunch?", "Pizza", "Sushi", "The oven is back.", "lea"):
        assert part in page
    inputs = re.findall(r'<(?:input|textarea|select)[^>]* name="([^"]+)"', response.content.decode())
    changeable = {name for name in inputs if not re.search(r"csrf|_save|_continue|_FORMS|-id$|-poll$|-DELETE$", name)}
    assert changeable <= {"theme", "_addanother"}
    assert staff.get("/admin/polls/poll/add/").status_code == 403


def test_admin_pages_need_a_fixed_number_of_queries(staff, lea_browser, poll, person, django_assert_max_num_queries):
    for number in range(12):
        voter = browser_of(person(f"V{number} Voter"))
        vote(voter, poll, "Pizza")
        voter.post(f"/polls/{poll.pk}/comments/", {"text": "Hm."})
        ask(voter, f"Number {number}?", new_category=f"Category {number}")

    with django_assert_max_num_queries(13):
        staff.get(f"/admin/polls/poll/{poll.pk}/change/")
    with django_assert_max_num_queries(7):
        staff.get("/admin/polls/poll/")


def test_staff_can_close_polls_and_the_results_are_posted(
    staff, lea_browser, poll, follow, django_capture_on_commit_callbacks
):
    follow("All polls")
    vote(lea_browser, poll, "Pizza")
    over = ask(lea_browser, "Over?")
    lea_browser.post(f"/polls/{over.pk}/close/")
    chosen = {"action": "close", "_selected_action": [poll.pk, over.pk]}

    with django_capture_on_commit_callbacks(execute=True):
        page = text_of(staff.post("/admin/polls/poll/", chosen, follow=True))

    assert "Closed 1 poll." in page
    assert Poll.objects.get(pk=poll.pk).closed_by.first_name == "Sam"
    assert [event.summary for event in Event.objects.filter(kind="closed")] == [
        "Sam Staff closed the poll: Pizza wins with 1 of 1 vote"
    ]
    assert LogEntry.objects.get().change_message == "closed"
    assert "The selected polls are already closed." in text_of(staff.post("/admin/polls/poll/", chosen, follow=True))


def test_staff_with_view_permission_only_cannot_close_a_poll(person, poll):
    looker = person("Lou Looker", is_staff=True)
    looker.user_permissions.add(Permission.objects.get(codename="view_poll"))

    page = browser_of(looker).post(
        "/admin/polls/poll/", {"action": "close", "_selected_action": [poll.pk]}, follow=True
    )

    assert page.status_code == 200
    assert Poll.objects.get().is_open


def test_staff_can_create_a_category_but_not_rename_it(staff, lea_browser, poll):
    staff.post("/admin/polls/category/add/", {"name": "Team events", "organization": "acme"})
    category = Category.objects.get(name="Team events")
    assert category.slug == "team-events"

    staff.post(f"/admin/polls/category/{category.pk}/change/", {"name": "Other"})
    category.refresh_from_db()
    assert category.name == "Team events"
    assert staff.post(f"/admin/polls/category/{category.pk}/delete/", {"post": "yes"}).status_code == 302
    staff.post(f"/admin/polls/category/{poll.category_id}/delete/", {"post": "yes"})
    assert [each.name for each in Category.objects.all()] == ["Lunch"], "one with polls stays"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("LUNCH", "The category Lunch already exists."),
        ("all POLLS", "stands for all categories"),
        ("\u200b", "visible character"),
    ],
)
def test_a_category_needs_a_unique_and_visible_name(staff, poll, name, message):
    page = text_of(staff.post("/admin/polls/category/add/", {"name": name, "organization": "acme"}))

    assert message in page
    assert Category.objects.count() == 1


def test_staff_can_delete_a_comment_and_a_poll(staff, lea_browser, poll):
    lea_browser.post(f"/polls/{poll.pk}/comments/", {"text": "Rude."})
    vote(lea_browser, poll, "Pizza")
    comment = Comment.objects.get()
    sent = {
        "options-TOTAL_FORMS": "0", "options-INITIAL_FORMS": "0", "votes-TOTAL_FORMS": "0", "votes-INITIAL_FORMS": "0",
        "comments-TOTAL_FORMS": "1", "comments-INITIAL_FORMS": "1", "comments-0-id": str(comment.pk),
        "comments-0-poll": str(poll.pk), "comments-0-DELETE": "on",
    }  # fmt: skip

    staff.post(f"/admin/polls/poll/{poll.pk}/change/", sent)
    assert not Comment.objects.exists()

    staff.post(f"/admin/polls/poll/{poll.pk}/delete/", {"post": "yes"})
    assert not Poll.objects.exists()
    assert not Vote.objects.exists()


# Constraints of the database


def test_database_allows_one_vote_per_person_if_one_answer_is_allowed(lea, poll):
    pizza, sushi = poll.options.all()
    Vote.objects.create(poll=poll, person=lea, option=pizza, is_only_answer=True)

    for option, only in ((sushi, True), (pizza, False)):
        with pytest.raises(IntegrityError), transaction.atomic():
            Vote.objects.create(poll=poll, person=lea, option=option, is_only_answer=only)


def test_database_rejects_duplicate_labels_and_names(poll):
    with pytest.raises(IntegrityError), transaction.atomic():
        Option.objects.create(poll=poll, label="PIZZA", key="pizza", position=9)
    with pytest.raises(IntegrityError), transaction.atomic():
        Category.objects.create(name="LUNCH", organization="acme")
    with pytest.raises(IntegrityError), transaction.atomic():
        Category.objects.create(name="all polls")
