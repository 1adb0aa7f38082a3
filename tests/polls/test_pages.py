"""The pages of polls: what a signed-in person sees and does."""

from __future__ import annotations

import datetime as dt
import re
import uuid

import pytest
from django.test import Client
from django.utils import timezone

from polls.models import MOST_OPTIONS, Category, Comment, Option, Poll, Vote

from .conftest import ask, browser_of, counts, remove_vote, text_of, vote

pytestmark = pytest.mark.django_db

HTMX = {"HX-Request": "true"}


def page_of(client: Client, poll: Poll) -> str:
    return text_of(client.get(f"/polls/{poll.pk}/"))


# Creating polls


def test_the_empty_list_offers_to_create_a_poll(lea_browser):
    page = text_of(lea_browser.get("/polls/"))

    assert "No polls yet Ask a question" in page
    assert 'href="/polls/new/"' in lea_browser.get("/polls/").content.decode()


def test_a_poll_is_created_with_its_options_in_order(lea_browser, lea):
    poll = ask(
        lea_browser, "  What for\tlunch? ", "Pizza\r\n\r\n  Sushi  \r\nSalad\r\n", description="On Friday.\r\nAt noon."
    )

    assert (poll.question, poll.description, poll.author) == ("What for lunch?", "On Friday.\nAt noon.", lea)
    assert list(poll.options.values_list("label", "position", "added_by")) == [
        ("Pizza", 1, lea.pk),
        ("Sushi", 2, lea.pk),
        ("Salad", 3, lea.pk),
    ]
    page = page_of(lea_browser, poll)
    assert "Poll created." in page
    assert "Lea Cohen asked" in page
    assert "You have not voted." in page
    assert "On Friday.<br>At noon." in lea_browser.get(f"/polls/{poll.pk}/").content.decode()


def test_a_category_can_be_typed_in_any_case_or_chosen_from_the_list(lea_browser):
    first = ask(lea_browser, new_category="Lunch")
    second = ask(lea_browser, new_category=" LUNCH ")
    third = ask(
        lea_browser, category=str(first.category.pk), new_category="what is typed behind a chosen one does not count"
    )

    assert first.category == second.category == third.category
    assert [category.name for category in Category.objects.all()] == ["Lunch"]
    chosen = first.category.pk
    assert f'value="{chosen}" selected' in lea_browser.get(f"/polls/new/?category={chosen}").content.decode()


@pytest.mark.parametrize(
    ("one", "other"),
    [("Straße", "STRASSE"), ("É", "e\u0301"), ("Lunch", "Lu\u200bnch"), ("Team  events", "team events")],
)
def test_category_names_that_look_the_same_are_the_same_category(lea_browser, one, other):
    assert ask(lea_browser, new_category=one).category == ask(lea_browser, new_category=other).category


@pytest.mark.parametrize(
    "names", [("C++", "C#", "C", "c_"), ("昼食", "晩食"), ("team-events", "Team events", "team.events")]
)
def test_different_categories_have_different_addresses(lea_browser, names):
    polls = [ask(lea_browser, f"About {name}?", new_category=name) for name in names]

    assert len({poll.category.slug for poll in polls}) == len(names)
    for poll in polls:
        page = text_of(lea_browser.get(poll.category.get_absolute_url()))
        assert poll.question in page
        assert page.count("About ") == 1


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ({"question": "  "}, "Enter a question."),
        ({"question": "x" * 201}, "at most 200 characters"),
        ({"description": "x" * 4001}, "at most 4000 characters"),
        ({"options": "Pizza"}, "Enter at least two options"),
        ({"options": ""}, "Enter at least two options"),
        ({"options": "Pizza\n\u200b"}, "at least one visible character"),
        ({"options": "Pizza\nSushi\nPIZZA"}, "“PIZZA” is listed twice."),
        ({"options": "Pizza\n" + "x" * 121}, "at most 120 characters"),
        ({"options": "\n".join(map(str, range(31)))}, "You entered 31 options. A poll can have at most 30."),
        ({"new_category": ""}, "Enter a name for the category"),
        ({"new_category": "x" * 61}, "at most 60 characters"),
        ({"new_category": "aLL  polls"}, "stands for all categories"),
        ({"new_category": "\u200b\u200d"}, "at least one visible character"),
        ({"category": "no-such"}, "This category no longer exists"),
    ],
)
def test_an_invalid_poll_is_rejected_with_a_message_and_keeps_the_typed_text(lea_browser, sent, message):
    typed = {"question": "What <for> lunch?", "description": "", "new_category": "Lunch", "options": "Pizza\nSushi"}

    response = lea_browser.post("/polls/new/", typed | sent)

    assert response.status_code == 422
    assert message in text_of(response)
    assert not Poll.objects.exists()
    assert not Category.objects.exists()
    if "question" not in sent:
        assert 'value="What &lt;for&gt; lunch?"' in response.content.decode()


def test_sending_the_same_form_twice_creates_one_poll(lea_browser, ola_browser):
    form_key = str(uuid.uuid4())

    first, second = ask(lea_browser, form_key=form_key), ask(lea_browser, form_key=form_key)
    others = ask(ola_browser, form_key=form_key)

    assert first == second
    assert others != first
    assert re.search(r'name="form_key" value="[0-9a-f-]{36}"', lea_browser.get("/polls/new/").content.decode())


def test_an_unreadable_form_key_is_ignored(lea_browser, poll):
    assert ask(lea_browser, form_key="no mark") != ask(lea_browser, form_key="no mark")
    assert lea_browser.post(f"/polls/{poll.pk}/comments/", {"text": "Hm.", "form_key": "\0"}).status_code == 302


# The list


def test_the_list_shows_open_polls_first_and_the_results_of_closed_ones(lea_browser, ola_browser):
    old = ask(lea_browser, "The oldest?")
    vote(ola_browser, old, "Sushi")
    closed = ask(lea_browser, "The closed?")
    vote(ola_browser, closed, "Sushi")
    lea_browser.post(f"/polls/{closed.pk}/close/")
    ask(lea_browser, "The newest?")

    page = text_of(lea_browser.get("/polls/"))

    assert page.index("The newest?") < page.index("The oldest?") < page.index("The closed?")
    assert "1 person has voted" in page
    assert "Sushi wins with 1 of 1 vote" in page


def test_the_list_can_be_limited_to_a_category_and_searched_by_question(lea_browser):
    ask(lea_browser, "Pizza place?", new_category="Lunch")
    ask(lea_browser, "Pizza oven?", new_category="Purchases")

    category = text_of(lea_browser.get("/polls/in/acme/lunch/"))
    assert "Pizza place?" in category
    assert "Pizza oven?" not in category
    assert "New poll" in category
    found = text_of(lea_browser.get("/polls/", {"q": " OVEN "}))
    assert "Pizza oven?" in found
    assert "Pizza place?" not in found
    assert "No question contains “cake”." in text_of(lea_browser.get("/polls/?q=cake"))
    assert lea_browser.get("/polls/in/acme/dinner/").status_code == 404


def test_the_list_is_paginated(lea_browser, lea):
    for number in range(30):
        Poll.objects.start(
            lea, question=f"Number {number}?", options=["Yes", "No"], organization="acme", category="Lunch"
        )

    first, second = text_of(lea_browser.get("/polls/?q=number")), text_of(lea_browser.get("/polls/?q=number&page=2"))

    assert "Page 1 of 2, 30 polls" in first
    assert "?page=2&amp;q=number" in lea_browser.get("/polls/?q=number").content.decode()
    assert first.count("Number ") == 25
    assert second.count("Number ") == 5
    assert (
        lea_browser.get("/polls/?page=nonsense").status_code
        == lea_browser.get("/polls/?page=-99999999999").status_code
        == 200
    )


# Voting


def test_the_page_shows_votes_and_voters(lea_browser, ola_browser, poll):
    assert vote(lea_browser, poll, "Pizza")["Location"] == f"/polls/{poll.pk}/"
    assert "You voted for Pizza." in page_of(lea_browser, poll)
    vote(ola_browser, poll, "Pizza")

    page = page_of(ola_browser, poll)

    assert counts(poll) == {"Pizza": 2, "Sushi": 0}
    assert "2 people have voted" in page
    assert "2 votes 100 %" in page
    assert "Lea Cohen, Ola Berg" in page


def test_with_one_answer_another_vote_replaces_the_first(lea_browser, ola_browser, poll):
    vote(lea_browser, poll, "Pizza")
    vote(ola_browser, poll, "Pizza")
    vote(lea_browser, poll, "Sushi")

    assert counts(poll) == {"Pizza": 1, "Sushi": 1}
    assert "You voted for Sushi." in page_of(lea_browser, poll)


def test_with_several_answers_each_vote_counts(lea_browser, ola_browser):
    poll = ask(lea_browser, options="Pizza\nSushi\nSalad", several_answers="on")
    for client, label in ((lea_browser, "Pizza"), (lea_browser, "Sushi"), (ola_browser, "Sushi")):
        vote(client, poll, label)

    page = page_of(lea_browser, poll)

    assert counts(poll) == {"Pizza": 1, "Sushi": 2, "Salad": 0}
    assert "You voted for Pizza and Sushi." in page
    assert "2 people have voted" in page
    assert "1 vote 50 %" in page
    assert "2 votes 100 %" in page


def test_a_vote_can_be_removed(lea_browser, poll):
    vote(lea_browser, poll, "Pizza")
    remove_vote(lea_browser, poll, "Pizza")

    assert counts(poll) == {"Pizza": 0, "Sushi": 0}
    page = page_of(lea_browser, poll)
    assert "You removed your vote for Pizza." in page
    assert "Nobody has voted" in page


def test_nobody_can_remove_another_person_s_vote(lea_browser, ola_browser, poll):
    vote(lea_browser, poll, "Pizza")
    remove_vote(ola_browser, poll, "Pizza")

    assert counts(poll) == {"Pizza": 1, "Sushi": 0}


def test_of_many_voters_the_first_are_named(lea_browser, poll, person):
    for number in range(23):
        vote(browser_of(person(f"P{number} Voter")), poll, "Pizza")

    assert "P19 Voter and 3 more" in page_of(lea_browser, poll)


# Options and comments


def test_any_member_can_add_an_option_but_not_twice(lea_browser, ola_browser, poll, ola):
    ola_browser.post(f"/polls/{poll.pk}/options/", {"label": " Salad "})
    assert "Added the option Salad." in page_of(ola_browser, poll)
    lea_browser.post(f"/polls/{poll.pk}/options/", {"label": "SALAD"})
    assert "The option Salad already exists." in page_of(lea_browser, poll)

    option = poll.options.get(key="salad")
    assert (option.label, option.position, option.added_by) == ("Salad", 3, ola)
    vote(lea_browser, poll, "Salad")
    assert counts(poll)["Salad"] == 1


@pytest.mark.parametrize(("label", "message"), [("  ", "Enter an option."), ("x" * 121, "at most 120 characters")])
def test_an_invalid_option_is_rejected_on_the_poll_s_page(lea_browser, poll, label, message):
    response = lea_browser.post(f"/polls/{poll.pk}/options/", {"label": label})

    assert response.status_code == 422
    assert message in text_of(response)
    assert poll.options.count() == 2


def test_a_poll_has_a_maximum_number_of_options(lea_browser):
    poll = ask(lea_browser, options="\n".join(f"Option {number}" for number in range(MOST_OPTIONS)))
    assert "Another option" not in page_of(lea_browser, poll)

    lea_browser.post(f"/polls/{poll.pk}/options/", {"label": "One more"})

    assert "A poll can have at most 30 options. This one has reached the limit." in page_of(lea_browser, poll)
    assert poll.options.count() == MOST_OPTIONS


def test_a_comment_is_shown_with_its_author_and_its_time(lea_browser, ola_browser, poll):
    response = ola_browser.post(f"/polls/{poll.pk}/comments/", {"text": "The <b>oven</b>\r\nis back."})

    comment = Comment.objects.get()
    assert response["Location"] == f"/polls/{poll.pk}/#comment-{comment.pk}"
    page = lea_browser.get(f"/polls/{poll.pk}/").content.decode()
    assert "The &lt;b&gt;oven&lt;/b&gt;<br>is back." in page
    assert re.search(r"<strong>Ola Berg</strong> <span[^>]*><time datetime=\"[^\"]+\" title=\"[^\"]+\">just now", page)


def test_an_invalid_comment_is_rejected_and_keeps_the_typed_text(lea_browser, poll):
    assert "Enter a comment." in text_of(lea_browser.post(f"/polls/{poll.pk}/comments/", {"text": " \n "}))
    response = lea_browser.post(f"/polls/{poll.pk}/comments/", {"text": "long " * 900})

    assert response.status_code == 422
    assert "at most 4000 characters" in text_of(response)
    assert "long long long" in text_of(response)
    assert not Comment.objects.exists()


def test_line_ends_of_a_comment_count_as_one_character(lea_browser, poll):
    response = lea_browser.post(f"/polls/{poll.pk}/comments/", {"text": "a\r\n" * 1999 + "ab"})

    assert response.status_code == 302
    assert len(Comment.objects.get().text) == 4000


def test_of_many_comments_the_latest_are_shown_and_all_on_request(lea_browser, poll, lea):
    Comment.objects.bulk_create(Comment(poll=poll, author=lea, text=f"Comment {number}.") for number in range(102))

    page = page_of(lea_browser, poll)
    assert "Comment 101." in page
    assert "Comment 1." not in page
    assert "Show earlier comments" in page
    everything = text_of(lea_browser.get(f"/polls/{poll.pk}/?comments=all"))
    assert everything.index("Comment 0.") < everything.index("Comment 101.")
    assert "Show earlier comments" not in everything


# Closing


def test_the_author_can_close_a_poll_and_the_result_is_shown(lea_browser, ola_browser, poll):
    vote(ola_browser, poll, "Sushi")

    lea_browser.post(f"/polls/{poll.pk}/close/")

    page = page_of(ola_browser, poll)
    assert "Lea Cohen closed this poll just now: Sushi wins with 1 of 1 vote." in page
    assert "Sushi Wins" in page
    for button in ("Remove vote", "Vote for", "Another option", "Write a comment", "Close poll"):
        assert button not in page


def test_only_staff_can_close_other_people_s_polls(lea_browser, ola_browser, poll, person):
    assert "Close poll" not in page_of(ola_browser, poll)
    assert ola_browser.post(f"/polls/{poll.pk}/close/").status_code == 403
    assert Poll.objects.get().is_open

    staff = browser_of(person("Sam Staff", is_staff=True))
    assert "Close this poll?" in page_of(staff, poll)
    staff.post(f"/polls/{poll.pk}/close/")

    assert Poll.objects.get().closed_by.first_name == "Sam"


@pytest.mark.parametrize("what", ["vote", "remove_vote", "option", "comment"])
def test_a_closed_poll_refuses_changes_with_a_message(lea_browser, ola_browser, poll, what):
    vote(ola_browser, poll, "Pizza")
    lea_browser.post(f"/polls/{poll.pk}/close/")

    match what:
        case "vote":
            response = vote(lea_browser, poll, "Sushi")
        case "remove_vote":
            response = remove_vote(ola_browser, poll, "Pizza")
        case "option":
            response = ola_browser.post(f"/polls/{poll.pk}/options/", {"label": "Salad"})
        case "comment":
            response = ola_browser.post(f"/polls/{poll.pk}/comments/", {"text": "Too late."})

    assert response.status_code == 302
    assert "This poll is closed" in text_of(response.client.get(response["Location"]))
    assert counts(poll) == {"Pizza": 1, "Sushi": 0}
    assert not Comment.objects.exists()


def test_a_poll_is_closed_only_once(lea_browser, poll, person):
    staff = browser_of(person("Sam Staff", is_staff=True))

    lea_browser.post(f"/polls/{poll.pk}/close/")
    first = Poll.objects.get().closed_at
    staff.post(f"/polls/{poll.pk}/close/")

    closed = Poll.objects.get()
    assert (closed.closed_at, closed.closed_by.first_name) == (first, "Lea")


# Updates without reloading


def test_with_htmx_a_vote_returns_the_changed_parts_of_the_page(lea_browser, poll):
    page_of(lea_browser, poll)

    response = vote(lea_browser, poll, "Pizza", headers=HTMX)

    parts = response.content.decode()
    assert response.status_code == 200
    assert parts.lstrip().startswith('<ol class="rows poll-open" id="options"')
    assert "<html" not in parts
    assert "You voted for <strong>Pizza</strong>." in parts
    assert 'id="messages"' not in parts
    assert "You voted for Pizza" not in text_of(lea_browser.get("/polls/")), "no message is left for the next page"


def test_with_htmx_a_refusal_is_shown_on_the_page(lea_browser, ola_browser, poll):
    lea_browser.post(f"/polls/{poll.pk}/close/")

    parts = vote(ola_browser, poll, "Pizza", headers=HTMX).content.decode()

    assert "This poll is closed" in parts
    assert "every 3s" not in parts, "nothing changes any more"
    for gone in ("closing", "add-option", "add-comment"):
        assert f'<div id="{gone}" hx-swap-oob="true"></div>' in parts


def test_an_open_page_gets_each_update_once(lea_browser, ola_browser, poll):
    page = lea_browser.get(f"/polls/{poll.pk}/").content.decode()
    address = re.search(rf'hx-get="(/polls/{poll.pk}/live/\?version=\d+)"', page)[1]
    assert lea_browser.get(address, headers=HTMX).status_code == 204

    vote(ola_browser, poll, "Sushi")
    ola_browser.post(f"/polls/{poll.pk}/comments/", {"text": "Raw is fine."})

    news = lea_browser.get(address, headers=HTMX)
    assert "Ola Berg" in text_of(news)
    assert "Raw is fine." in text_of(news)
    newer = re.search(r"live/\?version=\d+", news.content.decode())[0]
    assert lea_browser.get(f"/polls/{poll.pk}/{newer}", headers=HTMX).status_code == 204


@pytest.mark.parametrize("change", ["vote", "move", "remove_vote", "option", "comment", "close"])
def test_every_change_updates_open_pages(lea_browser, ola_browser, poll, change):
    vote(lea_browser, poll, "Pizza")
    before = Poll.objects.get().version

    match change:
        case "vote":
            vote(ola_browser, poll, "Pizza")
        case "move":
            vote(lea_browser, poll, "Sushi")
        case "remove_vote":
            remove_vote(lea_browser, poll, "Pizza")
        case "option":
            lea_browser.post(f"/polls/{poll.pk}/options/", {"label": "Salad"})
        case "comment":
            lea_browser.post(f"/polls/{poll.pk}/comments/", {"text": "Hm."})
        case "close":
            lea_browser.post(f"/polls/{poll.pk}/close/")

    assert Poll.objects.get().version == before + 1


# Permissions and queries


def test_signing_in_leads_back_to_the_poll(poll):
    stranger = Client()
    page = f"http://testserver/polls/{poll.pk}/"
    back = f"/sign-in/?next=%2Fpolls%2F{poll.pk}%2F&flows=1"

    assert stranger.get("/polls/?q=x")["Location"] == "/sign-in/?next=%2Fpolls%2F%3Fq%3Dx&flows=1"
    assert stranger.get(f"/polls/{poll.pk}/")["Location"] == back
    assert vote(stranger, poll, "Pizza", headers={"Referer": page})["Location"] == back
    assert vote(stranger, poll, "Pizza")["Location"] == "/sign-in/?next=%2F&flows=1", "not to a button's address"
    assert stranger.get(f"/polls/{poll.pk}/close/").status_code == 405
    asked = {**HTMX, "HX-Current-URL": page}
    assert stranger.get(f"/polls/{poll.pk}/live/", headers=asked)["HX-Redirect"] == back
    assert not Vote.objects.exists()


def test_an_open_page_of_a_deleted_poll_reloads_and_stops_polling(lea_browser, poll):
    pk = poll.pk
    poll.delete()

    assert lea_browser.get(f"/polls/{pk}/live/?version=1", headers=HTMX)["HX-Refresh"] == "true"
    assert lea_browser.get(f"/polls/{pk}/").status_code == 404


def test_changes_need_the_csrf_token(lea, poll):
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = browser_of(lea).cookies

    assert vote(strict, poll, "Pizza").status_code == 403
    page = strict.get(f"/polls/{poll.pk}/").content.decode()
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)[1]
    assert vote(strict, poll, "Pizza", data={"csrfmiddlewaretoken": token}).status_code == 302


@pytest.mark.parametrize("what", ["options/1/vote/", "options/1/remove-vote/", "options/", "comments/", "close/"])
def test_addresses_of_buttons_only_accept_post(lea_browser, poll, what):
    response = lea_browser.get(f"/polls/{poll.pk}/{what}")

    assert response.status_code == 405
    assert response["Allow"] == "POST"
    assert "This page only accepts form submissions" in text_of(response)
    assert "Nothing was changed" in text_of(response)
    assert "Go to the poll" in text_of(response)


def test_pages_have_no_inline_scripts_and_execute_nothing_that_people_typed(lea_browser, poll):
    hostile = ask(lea_browser, "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>\n<svg/onload=alert(2)>')
    lea_browser.post(f"/polls/{hostile.pk}/comments/", {"text": "<script>alert(3)</script>"})

    for address in ("/polls/", f"/polls/{hostile.pk}/", "/polls/new/"):
        response = lea_browser.get(address)
        page = response.content.decode()
        assert "<script>alert" not in page
        assert "<img src=x" not in page
        assert "<svg/onload" not in page
        assert not re.search(r"<script(?! src)|style=|\son\w+=\"", page)
        assert "script-src 'self'" in response["Content-Security-Policy"]


def test_the_list_needs_a_fixed_number_of_queries(lea_browser, lea, person, django_assert_num_queries):
    def make(number: int) -> None:
        voter = person(f"V{number} Voter")
        poll = Poll.objects.start(
            voter, question="?", options=["Yes", "No"], organization="acme", category=f"Category {number}"
        )
        poll.vote(voter, poll.options.first())
        if number % 2:
            poll.close(voter)

    make(0)
    make(1)
    lea_browser.get("/polls/")  # the first page also keeps Flowdock's answer
    for more in (range(0), range(2, 20)):
        for number in more:
            make(number)
        with django_assert_num_queries(8):  # sign-in, person, last answer, how many, polls, options, voters, categories
            lea_browser.get("/polls/")


def test_a_poll_s_page_needs_a_fixed_number_of_queries(lea_browser, poll, person, django_assert_num_queries):
    for number in range(12):
        if number in (1, 11):
            with django_assert_num_queries(8):  # sign-in, person, last answer, poll, options, voters, votes, comments
                assert lea_browser.get(f"/polls/{poll.pk}/").status_code == 200
            version = Poll.objects.get().version
            with django_assert_num_queries(3):  # sign-in, person, poll
                assert lea_browser.get(f"/polls/{poll.pk}/live/?version={version}").status_code == 204
        voter = browser_of(person(f"V{number} Voter"))
        vote(voter, poll, "Pizza")
        voter.post(f"/polls/{poll.pk}/options/", {"label": f"Option {number}"})
        voter.post(f"/polls/{poll.pk}/comments/", {"text": "Hm."})


def test_polls_of_a_deleted_account_are_still_shown(lea_browser, ola_browser, poll, lea):
    lea_browser.post(f"/polls/{poll.pk}/comments/", {"text": "Bye."})
    vote(lea_browser, poll, "Pizza")
    lea_browser.post(f"/polls/{poll.pk}/close/")

    lea.delete()

    page = page_of(ola_browser, poll)
    assert "somebody closed this poll" in page
    assert "Bye." in page
    assert counts(poll) == {"Pizza": 0, "Sushi": 0}
    assert "somebody" in text_of(ola_browser.get("/polls/"))


def test_times_are_relative_with_the_exact_one_on_hover(lea_browser, poll):
    Poll.objects.update(created_at=timezone.now() - dt.timedelta(minutes=7, seconds=5))

    assert "asked 7 min ago" in page_of(lea_browser, poll)


def test_options_keep_their_positions(lea_browser, poll):
    lea_browser.post(f"/polls/{poll.pk}/options/", {"label": "Salad"})

    assert [option.position for option in Option.objects.filter(poll=poll)] == [1, 2, 3]
