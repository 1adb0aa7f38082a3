"""Polls by the front door: what a signed-in person sees and does."""

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


# Asking


def test_the_empty_list_says_how_to_begin(lea_s):
    page = text_of(lea_s.get("/polls/"))

    assert "There is no poll yet. Ask something" in page
    assert 'href="/polls/new/"' in lea_s.get("/polls/").content.decode()


def test_a_poll_is_asked_with_its_options_in_order(lea_s, lea):
    poll = ask(
        lea_s, "  What for\tlunch? ", "Pizza\r\n\r\n  Sushi  \r\nSalad\r\n", description="On Friday.\r\nAt noon."
    )

    assert (poll.question, poll.description, poll.author) == ("What for lunch?", "On Friday.\nAt noon.", lea)
    assert list(poll.options.values_list("label", "position", "added_by")) == [
        ("Pizza", 1, lea.pk),
        ("Sushi", 2, lea.pk),
        ("Salad", 3, lea.pk),
    ]
    page = page_of(lea_s, poll)
    assert "The poll is open." in page
    assert "Lea Cohen asked" in page
    assert "You have not voted." in page
    assert "On Friday.<br>At noon." in lea_s.get(f"/polls/{poll.pk}/").content.decode()


def test_a_category_is_found_whatever_its_case_and_chosen_from_the_list(lea_s):
    first = ask(lea_s, new_category="Lunch")
    second = ask(lea_s, new_category=" LUNCH ")
    third = ask(lea_s, category=str(first.category.pk), new_category="what is typed behind a chosen one does not count")

    assert first.category == second.category == third.category
    assert [category.name for category in Category.objects.all()] == ["Lunch"]
    chosen = first.category.pk
    assert f'value="{chosen}" selected' in lea_s.get(f"/polls/new/?category={chosen}").content.decode()


@pytest.mark.parametrize(
    ("one", "other"),
    [("Straße", "STRASSE"), ("É", "e\u0301"), ("Lunch", "Lu\u200bnch"), ("Team  events", "team events")],
)
def test_names_that_look_the_same_are_the_same(lea_s, one, other):
    assert ask(lea_s, new_category=one).category == ask(lea_s, new_category=other).category


@pytest.mark.parametrize(
    "names", [("C++", "C#", "C", "c_"), ("昼食", "晩食"), ("team-events", "Team events", "team.events")]
)
def test_categories_that_differ_have_addresses_that_differ(lea_s, names):
    polls = [ask(lea_s, f"About {name}?", new_category=name) for name in names]

    assert len({poll.category.slug for poll in polls}) == len(names)
    for poll in polls:
        page = text_of(lea_s.get(poll.category.get_absolute_url()))
        assert poll.question in page
        assert page.count("About ") == 1


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ({"question": "  "}, "Ask something."),
        ({"question": "x" * 201}, "at most 200 characters"),
        ({"description": "x" * 4001}, "at most 4000 characters"),
        ({"options": "Pizza"}, "Give at least two options"),
        ({"options": ""}, "Give at least two options"),
        ({"options": "Pizza\n\u200b"}, "no sign that can be seen"),
        ({"options": "Pizza\nSushi\nPIZZA"}, "“PIZZA” is there twice."),
        ({"options": "Pizza\n" + "x" * 121}, "longer than 120 characters"),
        ({"options": "\n".join(map(str, range(31)))}, "These are 31 options; a poll has at most 30."),
        ({"new_category": ""}, "Name the category"),
        ({"new_category": "x" * 61}, "at most 60 characters"),
        ({"new_category": "aLL  polls"}, "every category together"),
        ({"new_category": "\u200b\u200d"}, "no sign that can be seen"),
        ({"category": "no-such"}, "There is no such category any more"),
    ],
)
def test_what_cannot_be_a_poll_is_told_and_what_was_typed_stays(lea_s, sent, told):
    typed = {"question": "What <for> lunch?", "description": "", "new_category": "Lunch", "options": "Pizza\nSushi"}

    response = lea_s.post("/polls/new/", typed | sent)

    assert response.status_code == 422
    assert told in text_of(response)
    assert not Poll.objects.exists()
    assert not Category.objects.exists()
    if "question" not in sent:
        assert 'value="What &lt;for&gt; lunch?"' in response.content.decode()


def test_the_same_form_sent_twice_makes_one_poll(lea_s, ola_s):
    form_key = str(uuid.uuid4())

    first, second = ask(lea_s, form_key=form_key), ask(lea_s, form_key=form_key)
    others = ask(ola_s, form_key=form_key)

    assert first == second
    assert others != first
    assert re.search(r'name="form_key" value="[0-9a-f-]{36}"', lea_s.get("/polls/new/").content.decode())


def test_a_mark_that_cannot_be_read_is_none(lea_s, poll):
    assert ask(lea_s, form_key="no mark") != ask(lea_s, form_key="no mark")
    assert lea_s.post(f"/polls/{poll.pk}/comments/", {"text": "Hm.", "form_key": "\0"}).status_code == 302


# The list


def test_the_list_has_open_polls_first_and_results_of_closed_ones(lea_s, ola_s):
    old = ask(lea_s, "The oldest?")
    vote(ola_s, old, "Sushi")
    closed = ask(lea_s, "The closed?")
    vote(ola_s, closed, "Sushi")
    lea_s.post(f"/polls/{closed.pk}/close/")
    ask(lea_s, "The newest?")

    page = text_of(lea_s.get("/polls/"))

    assert page.index("The newest?") < page.index("The oldest?") < page.index("The closed?")
    assert "1 person has voted" in page
    assert "Sushi wins with 1 of 1 vote" in page


def test_the_list_of_a_category_has_its_polls_only_and_search_looks_at_questions(lea_s):
    ask(lea_s, "Pizza place?", new_category="Lunch")
    ask(lea_s, "Pizza oven?", new_category="Purchases")

    category = text_of(lea_s.get("/polls/in/acme/lunch/"))
    assert "Pizza place?" in category
    assert "Pizza oven?" not in category
    assert "New poll" in category
    found = text_of(lea_s.get("/polls/", {"q": " OVEN "}))
    assert "Pizza oven?" in found
    assert "Pizza place?" not in found
    assert "No question has “cake” in it." in text_of(lea_s.get("/polls/?q=cake"))
    assert lea_s.get("/polls/in/acme/dinner/").status_code == 404


def test_the_list_has_pages(lea_s, lea):
    for number in range(30):
        Poll.objects.start(
            lea, question=f"Number {number}?", options=["Yes", "No"], organization="acme", category="Lunch"
        )

    first, second = text_of(lea_s.get("/polls/?q=number")), text_of(lea_s.get("/polls/?q=number&page=2"))

    assert "Page 1 of 2, 30 polls" in first
    assert "?page=2&amp;q=number" in lea_s.get("/polls/?q=number").content.decode()
    assert first.count("Number ") == 25
    assert second.count("Number ") == 5
    assert lea_s.get("/polls/?page=nonsense").status_code == lea_s.get("/polls/?page=-99999999999").status_code == 200


# Voting


def test_votes_are_counted_and_named(lea_s, ola_s, poll):
    assert vote(lea_s, poll, "Pizza")["Location"] == f"/polls/{poll.pk}/"
    assert "You voted for Pizza." in page_of(lea_s, poll)
    vote(ola_s, poll, "Pizza")

    page = page_of(ola_s, poll)

    assert counts(poll) == {"Pizza": 2, "Sushi": 0}
    assert "2 people have voted" in page
    assert "2 votes 100 %" in page
    assert "Lea Cohen, Ola Berg" in page


def test_with_one_answer_a_vote_moves(lea_s, ola_s, poll):
    vote(lea_s, poll, "Pizza")
    vote(ola_s, poll, "Pizza")
    vote(lea_s, poll, "Sushi")

    assert counts(poll) == {"Pizza": 1, "Sushi": 1}
    assert "You voted for Sushi." in page_of(lea_s, poll)


def test_with_several_answers_votes_add_up(lea_s, ola_s):
    poll = ask(lea_s, options="Pizza\nSushi\nSalad", several_answers="on")
    for client, label in ((lea_s, "Pizza"), (lea_s, "Sushi"), (ola_s, "Sushi")):
        vote(client, poll, label)

    page = page_of(lea_s, poll)

    assert counts(poll) == {"Pizza": 1, "Sushi": 2, "Salad": 0}
    assert "You voted for Pizza and Sushi." in page
    assert "2 people have voted" in page
    assert "1 vote 50 %" in page
    assert "2 votes 100 %" in page


def test_a_vote_is_taken_back(lea_s, poll):
    vote(lea_s, poll, "Pizza")
    remove_vote(lea_s, poll, "Pizza")

    assert counts(poll) == {"Pizza": 0, "Sushi": 0}
    page = page_of(lea_s, poll)
    assert "You took back your vote for Pizza." in page
    assert "Nobody has voted" in page


def test_nobody_takes_back_the_vote_of_another(lea_s, ola_s, poll):
    vote(lea_s, poll, "Pizza")
    remove_vote(ola_s, poll, "Pizza")

    assert counts(poll) == {"Pizza": 1, "Sushi": 0}


def test_of_very_many_voters_the_first_are_named(lea_s, poll, person):
    for number in range(23):
        vote(browser_of(person(f"P{number} Voter")), poll, "Pizza")

    assert "P19 Voter and 3 more" in page_of(lea_s, poll)


# Options and comments


def test_an_option_is_added_by_anybody_and_once(lea_s, ola_s, poll, ola):
    ola_s.post(f"/polls/{poll.pk}/options/", {"label": " Salad "})
    assert "Salad is an option now." in page_of(ola_s, poll)
    lea_s.post(f"/polls/{poll.pk}/options/", {"label": "SALAD"})
    assert "Salad is an option already." in page_of(lea_s, poll)

    option = poll.options.get(key="salad")
    assert (option.label, option.position, option.added_by) == ("Salad", 3, ola)
    vote(lea_s, poll, "Salad")
    assert counts(poll)["Salad"] == 1


@pytest.mark.parametrize(("label", "told"), [("  ", "Name the option."), ("x" * 121, "longer than 120 characters")])
def test_what_cannot_be_an_option_is_told_on_the_poll_s_page(lea_s, poll, label, told):
    response = lea_s.post(f"/polls/{poll.pk}/options/", {"label": label})

    assert response.status_code == 422
    assert told in text_of(response)
    assert poll.options.count() == 2


def test_a_poll_takes_no_more_options_than_it_can(lea_s):
    poll = ask(lea_s, options="\n".join(f"Option {number}" for number in range(MOST_OPTIONS)))
    assert "Another option" not in page_of(lea_s, poll)

    lea_s.post(f"/polls/{poll.pk}/options/", {"label": "One more"})

    assert "A poll has at most 30 options, and this one has them." in page_of(lea_s, poll)
    assert poll.options.count() == MOST_OPTIONS


def test_a_comment_is_shown_with_its_author_and_its_time(lea_s, ola_s, poll):
    response = ola_s.post(f"/polls/{poll.pk}/comments/", {"text": "The <b>oven</b>\r\nis back."})

    comment = Comment.objects.get()
    assert response["Location"] == f"/polls/{poll.pk}/#comment-{comment.pk}"
    page = lea_s.get(f"/polls/{poll.pk}/").content.decode()
    assert "The &lt;b&gt;oven&lt;/b&gt;<br>is back." in page
    assert re.search(r"<strong>Ola Berg</strong> <span[^>]*><time datetime=\"[^\"]+\" title=\"[^\"]+\">just now", page)


def test_a_comment_that_is_empty_or_too_long_is_told_and_stays_in_its_box(lea_s, poll):
    assert "Write something first." in text_of(lea_s.post(f"/polls/{poll.pk}/comments/", {"text": " \n "}))
    response = lea_s.post(f"/polls/{poll.pk}/comments/", {"text": "long " * 900})

    assert response.status_code == 422
    assert "at most 4000 characters" in text_of(response)
    assert "long long long" in text_of(response)
    assert not Comment.objects.exists()


def test_a_comment_of_full_length_fits_however_its_lines_end(lea_s, poll):
    response = lea_s.post(f"/polls/{poll.pk}/comments/", {"text": "a\r\n" * 1999 + "ab"})

    assert response.status_code == 302
    assert len(Comment.objects.get().text) == 4000


def test_of_many_comments_the_last_are_shown_and_all_on_request(lea_s, poll, lea):
    Comment.objects.bulk_create(Comment(poll=poll, author=lea, text=f"Comment {number}.") for number in range(102))

    page = page_of(lea_s, poll)
    assert "Comment 101." in page
    assert "Comment 1." not in page
    assert "Show earlier comments" in page
    everything = text_of(lea_s.get(f"/polls/{poll.pk}/?comments=all"))
    assert everything.index("Comment 0.") < everything.index("Comment 101.")
    assert "Show earlier comments" not in everything


# Closing


def test_its_author_closes_a_poll_and_the_result_is_there(lea_s, ola_s, poll):
    vote(ola_s, poll, "Sushi")

    lea_s.post(f"/polls/{poll.pk}/close/")

    page = page_of(ola_s, poll)
    assert "Lea Cohen closed it just now: Sushi wins with 1 of 1 vote." in page
    assert "Sushi Wins" in page
    for button in ("Take back", "Vote for", "Another option", "Say something", "Close the poll"):
        assert button not in page


def test_staff_close_any_poll_and_nobody_else_does(lea_s, ola_s, poll, person):
    assert "Close the poll" not in page_of(ola_s, poll)
    assert ola_s.post(f"/polls/{poll.pk}/close/").status_code == 403
    assert Poll.objects.get().is_open

    staff = browser_of(person("Sam Staff", is_staff=True))
    assert "Close this poll?" in page_of(staff, poll)
    staff.post(f"/polls/{poll.pk}/close/")

    assert Poll.objects.get().closed_by.first_name == "Sam"


@pytest.mark.parametrize("what", ["vote", "remove_vote", "option", "comment"])
def test_a_closed_poll_stays_as_it_is_and_says_so(lea_s, ola_s, poll, what):
    vote(ola_s, poll, "Pizza")
    lea_s.post(f"/polls/{poll.pk}/close/")

    match what:
        case "vote":
            response = vote(lea_s, poll, "Sushi")
        case "remove_vote":
            response = remove_vote(ola_s, poll, "Pizza")
        case "option":
            response = ola_s.post(f"/polls/{poll.pk}/options/", {"label": "Salad"})
        case "comment":
            response = ola_s.post(f"/polls/{poll.pk}/comments/", {"text": "Too late."})

    assert response.status_code == 302
    assert "This poll is closed" in text_of(response.client.get(response["Location"]))
    assert counts(poll) == {"Pizza": 1, "Sushi": 0}
    assert not Comment.objects.exists()


def test_closing_twice_closes_once(lea_s, poll, person):
    staff = browser_of(person("Sam Staff", is_staff=True))

    lea_s.post(f"/polls/{poll.pk}/close/")
    first = Poll.objects.get().closed_at
    staff.post(f"/polls/{poll.pk}/close/")

    closed = Poll.objects.get()
    assert (closed.closed_at, closed.closed_by.first_name) == (first, "Lea")


# Without a new page


def test_with_htmx_a_vote_answers_with_the_changing_parts(lea_s, poll):
    page_of(lea_s, poll)

    response = vote(lea_s, poll, "Pizza", headers=HTMX)

    parts = response.content.decode()
    assert response.status_code == 200
    assert parts.lstrip().startswith('<ol class="rows poll-open" id="options"')
    assert "<html" not in parts
    assert "You voted for <strong>Pizza</strong>." in parts
    assert 'id="messages"' not in parts
    assert "You voted for Pizza" not in text_of(lea_s.get("/polls/")), "no message is left for the next page"


def test_with_htmx_a_refusal_is_told_in_the_page(lea_s, ola_s, poll):
    lea_s.post(f"/polls/{poll.pk}/close/")

    parts = vote(ola_s, poll, "Pizza", headers=HTMX).content.decode()

    assert "This poll is closed" in parts
    assert "every 3s" not in parts, "nothing changes any more"
    for gone in ("closing", "add-option", "add-comment"):
        assert f'<div id="{gone}" hx-swap-oob="true"></div>' in parts


def test_an_open_page_asks_for_news_and_gets_them_once(lea_s, ola_s, poll):
    page = lea_s.get(f"/polls/{poll.pk}/").content.decode()
    address = re.search(rf'hx-get="(/polls/{poll.pk}/live/\?version=\d+)"', page)[1]
    assert lea_s.get(address, headers=HTMX).status_code == 204

    vote(ola_s, poll, "Sushi")
    ola_s.post(f"/polls/{poll.pk}/comments/", {"text": "Raw is fine."})

    news = lea_s.get(address, headers=HTMX)
    assert "Ola Berg" in text_of(news)
    assert "Raw is fine." in text_of(news)
    newer = re.search(r"live/\?version=\d+", news.content.decode())[0]
    assert lea_s.get(f"/polls/{poll.pk}/{newer}", headers=HTMX).status_code == 204


@pytest.mark.parametrize("change", ["vote", "move", "remove_vote", "option", "comment", "close"])
def test_every_change_is_news(lea_s, ola_s, poll, change):
    vote(lea_s, poll, "Pizza")
    before = Poll.objects.get().version

    match change:
        case "vote":
            vote(ola_s, poll, "Pizza")
        case "move":
            vote(lea_s, poll, "Sushi")
        case "remove_vote":
            remove_vote(lea_s, poll, "Pizza")
        case "option":
            lea_s.post(f"/polls/{poll.pk}/options/", {"label": "Salad"})
        case "comment":
            lea_s.post(f"/polls/{poll.pk}/comments/", {"text": "Hm."})
        case "close":
            lea_s.post(f"/polls/{poll.pk}/close/")

    assert Poll.objects.get().version == before + 1


# Who may, and what it costs


def test_whoever_is_not_signed_in_signs_in_and_comes_back(poll):
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


def test_a_page_of_a_poll_that_is_deleted_is_asked_for_anew_and_asks_no_more(lea_s, poll):
    pk = poll.pk
    poll.delete()

    assert lea_s.get(f"/polls/{pk}/live/?version=1", headers=HTMX)["HX-Refresh"] == "true"
    assert lea_s.get(f"/polls/{pk}/").status_code == 404


def test_changes_need_the_token_against_forgery(lea, poll):
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = browser_of(lea).cookies

    assert vote(strict, poll, "Pizza").status_code == 403
    page = strict.get(f"/polls/{poll.pk}/").content.decode()
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)[1]
    assert vote(strict, poll, "Pizza", data={"csrfmiddlewaretoken": token}).status_code == 302


@pytest.mark.parametrize("what", ["options/1/vote/", "options/1/remove-vote/", "options/", "comments/", "close/"])
def test_a_button_s_address_is_no_page(lea_s, poll, what):
    response = lea_s.get(f"/polls/{poll.pk}/{what}")

    assert response.status_code == 405
    assert response["Allow"] == "POST"
    assert "This page only accepts form submissions" in text_of(response)


def test_pages_run_nothing_of_what_people_typed_and_no_inline_script(lea_s, poll):
    hostile = ask(lea_s, "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>\n<svg/onload=alert(2)>')
    lea_s.post(f"/polls/{hostile.pk}/comments/", {"text": "<script>alert(3)</script>"})

    for address in ("/polls/", f"/polls/{hostile.pk}/", "/polls/new/"):
        response = lea_s.get(address)
        page = response.content.decode()
        assert "<script>alert" not in page
        assert "<img src=x" not in page
        assert "<svg/onload" not in page
        assert not re.search(r"<script(?! src)|style=|\son\w+=\"", page)
        assert "script-src 'self'" in response["Content-Security-Policy"]


def test_the_list_costs_the_same_however_long_it_is(lea_s, lea, person, django_assert_num_queries):
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
    lea_s.get("/polls/")  # the first page also keeps Flowdock's answer
    for more in (range(0), range(2, 20)):
        for number in more:
            make(number)
        with django_assert_num_queries(8):  # sign-in, person, last answer, how many, polls, options, voters, categories
            lea_s.get("/polls/")


def test_a_poll_costs_the_same_whatever_happens_in_it(lea_s, poll, person, django_assert_num_queries):
    for number in range(12):
        if number in (1, 11):
            with django_assert_num_queries(8):  # sign-in, person, last answer, poll, options, voters, votes, comments
                assert lea_s.get(f"/polls/{poll.pk}/").status_code == 200
            version = Poll.objects.get().version
            with django_assert_num_queries(3):  # sign-in, person, poll
                assert lea_s.get(f"/polls/{poll.pk}/live/?version={version}").status_code == 204
        voter = browser_of(person(f"V{number} Voter"))
        vote(voter, poll, "Pizza")
        voter.post(f"/polls/{poll.pk}/options/", {"label": f"Option {number}"})
        voter.post(f"/polls/{poll.pk}/comments/", {"text": "Hm."})


def test_a_person_who_is_gone_leaves_no_hole(lea_s, ola_s, poll, lea):
    lea_s.post(f"/polls/{poll.pk}/comments/", {"text": "Bye."})
    vote(lea_s, poll, "Pizza")
    lea_s.post(f"/polls/{poll.pk}/close/")

    lea.delete()

    page = page_of(ola_s, poll)
    assert "somebody closed it" in page
    assert "Bye." in page
    assert counts(poll) == {"Pizza": 0, "Sushi": 0}
    assert "somebody" in text_of(ola_s.get("/polls/"))


def test_times_are_relative_with_the_exact_one_on_hover(lea_s, poll):
    Poll.objects.update(created_at=timezone.now() - dt.timedelta(minutes=7, seconds=5))

    assert "asked 7 min ago" in page_of(lea_s, poll)


def test_options_of_a_poll_keep_their_places(lea_s, poll):
    lea_s.post(f"/polls/{poll.pk}/options/", {"label": "Salad"})

    assert [option.position for option in Option.objects.filter(poll=poll)] == [1, 2, 3]
